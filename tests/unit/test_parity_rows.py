"""How far two engines are apart, as rows of a case: units, and zones that one of them lacks."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
from simple_meshes import MM, box_mesh

from ablasim.verify.apart import zone_rows


def surface_row(first: float, second: float) -> Any:
    """The distance of the surfaces of two zones, x below the given places [mm]."""
    mesh = box_mesh(10, 40 * MM)
    peaks = (60.0 + 1000.0 * (place * MM - mesh.points[:, 0]) for place in (first, second))
    solutions: list[Any] = [SimpleNamespace(peak=peak) for peak in peaks]
    problem: Any = SimpleNamespace(mesh=mesh)
    (row,) = [r for r in zone_rows(problem, (), *solutions, "") if r.tolerance == "surface"]
    return row


def test_the_distance_is_in_millimetres() -> None:
    row = surface_row(1.3, 4.3)
    assert row.unit == "mm"
    assert row.computed == pytest.approx(3.0, rel=1e-9)
    assert row.error == pytest.approx(3.0, rel=1e-9)


def test_a_zone_that_one_engine_lacks_is_no_agreement() -> None:
    """Catches a distance that counts as none where there is nothing to measure it to."""
    nowhere = -100.0
    assert surface_row(1.3, nowhere).error == inf
    assert surface_row(nowhere, 1.3).error == inf
    assert surface_row(nowhere, nowhere).error == 0.0
