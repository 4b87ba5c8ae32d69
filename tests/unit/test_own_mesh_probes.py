"""Probes outside a mesh of one's own: one clear message, after the mesh is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simple_meshes import box_mesh

from ablasim.errors import ScenarioError
from ablasim.mesh import write_mesh
from ablasim.physics.binding import build_problem
from ablasim.run import place_in_mesh
from ablasim.scenario import Scenario, scenario_from_data

MM = 1e-3
ANTENNA = {"model": "slot_antenna_2450", "tip_mm": [0, 0, -6.5], "entry_mm": [0, 0, 90]}
NEEDLE = {"model": "cooled_needle_17g_30mm", "tip_mm": [0, 0, -15], "entry_mm": [0, 0, 90]}


def hole(x: np.ndarray) -> np.ndarray:
    """Of 6 mm around the axis, through the upper face: wider than any needle."""
    return (np.abs(x[:, :2]).max(axis=1) < 3.0 * MM) & (x[:, 2] > -15.0 * MM)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mesh from -30 to 30 mm."""
    path = tmp_path_factory.mktemp("mesh") / "own.msh"
    write_mesh(box_mesh(20, 60 * MM, holes={"probe.0.active": hole}), path)
    return path


def case(file: Path, unit: str = "mm", **probe: Any) -> Scenario:
    chosen = NEEDLE if probe.pop("rf", False) else ANTENNA
    data: dict[str, Any] = {
        "name": "case",
        "mesh": {
            "file": str(file),
            "unit": unit,
            "regions": {"liver": ["liver"]},
            "surfaces": {"outer": ["outer"], "probe.0.active": ["probe.0.active"]},
        },
        "probes": [chosen | probe],
        "protocol": {"mode": "power", "power_W": 30, "duration_s": 60},
    }
    return scenario_from_data(data)


@pytest.mark.parametrize("model", ["field", "parametric"])
def test_an_antenna_in_the_mesh_is_taken(file: Path, model: str) -> None:
    found = case(file)
    found = found.model_copy(
        update={"physics": found.physics.model_copy(update={"microwave_model": model})}
    )
    problem = build_problem(found, *place_in_mesh(found))
    assert (problem.microwave is not None) == (model == "field")


@pytest.mark.parametrize("rf", [False, True])
@pytest.mark.parametrize(
    ("unit", "tip"),
    [
        ("mm", [0, 0, -100]),
        ("mm", [200, 0, 0]),
        ("mm", [0, 0, 28]),  # the tip is inside, the end of the active part is not
        ("m", [0, 0, -6.5]),
    ],
)
def test_a_probe_outside_the_mesh_is_refused(
    file: Path, rf: bool, unit: str, tip: list[float]
) -> None:
    found = case(file, unit, tip_mm=tip, rf=rf)
    with pytest.raises(ScenarioError) as caught:
        build_problem(found, *place_in_mesh(found))
    (problem,) = caught.value.problems
    assert problem.path == "probes[0].tip_mm" and caught.value.exit_code == 2
    assert "inside the mesh, which reaches from x -3" in problem.message
    assert "check mesh.unit" in problem.message


def test_a_needle_in_the_mesh_is_taken(file: Path) -> None:
    found = case(file, rf=True)
    assert build_problem(found, *place_in_mesh(found)).electrodes is not None
