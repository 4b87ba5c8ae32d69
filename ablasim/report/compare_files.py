"""Writes the files of a comparison into a directory. Lengths in mm, LPS; `b` minus `a`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyvista as pv

from ablasim.errors import UsageError
from ablasim.frames import MM
from ablasim.report.atomic import Kind, atomic_directory, check_free
from ablasim.report.compare import FINAL, PEAK, Comparison
from ablasim.report.compare_picture import write_picture
from ablasim.report.files import polydata, save_mesh

COMPARISON = Kind(
    "an ablasim comparison", "comparison.json", frozenset({"a", "b", "surface", "notice"})
)


def check_target(target: Path, *, force: bool = False) -> None:
    """Refuse a target that exists; `force` allows that of an earlier comparison.

    Raises:
        UsageError: see `atomic_directory`.
    """
    check_free(target, force=force, kind=COMPARISON)


def write_comparison(
    target: Path | str,
    comparison: Comparison,
    summary: Mapping[str, Any] | None = None,
    *,
    force: bool = False,
) -> None:
    """Write `comparison.json`, `.png`, `.vtu` and `surface_distance.vtp`, all or nothing.

    Args:
        target: the directory to make.
        comparison: of two runs that were read from their directories.
        summary: content of the JSON file; by default the comparison's.
        force: replace an earlier comparison.

    Raises:
        UsageError: the target may not be replaced, or a run was compared in memory, which has no
            files to draw from.
        ResourceError: no permission, or no space left.
    """
    one, two = comparison.a.saved, comparison.b.saved
    if one is None or two is None:
        raise UsageError(
            "write_comparison: a run in memory cannot be drawn; give `compare` two directories"
        )
    with atomic_directory(target, force=force, kind=COMPARISON) as folder:
        text = json.dumps(
            dict(comparison.summary if summary is None else summary),
            indent=2,
            ensure_ascii=False,
            allow_nan=False,
        )
        (folder / "comparison.json").write_text(text + "\n", encoding="utf-8")
        save_mesh(_fields(comparison), folder / "comparison.vtu")
        save_mesh(_surface(comparison), folder / "surface_distance.vtp")
        write_picture(folder / "comparison.png", comparison, one, two)


def _fields(comparison: Comparison) -> pv.UnstructuredGrid:
    """A's mesh with A's fields and the differences; NaN where there is nothing of B."""
    mesh = comparison.a.mesh
    grid = pv.UnstructuredGrid({pv.CellType.TETRA: mesh.cells}, mesh.points / MM)
    for name, unit in ((FINAL, "temperature"), (PEAK, "peak")):
        grid.point_data[f"a_{name}"] = comparison.a.fields[name]
        grid.point_data[f"{unit}_difference_K"] = comparison.fields[name].values
    grid.cell_data["region"] = mesh.cell_region.astype(np.int32)
    return grid


def _surface(comparison: Comparison) -> pv.PolyData:
    """A's lethal surface with the distance from B's; without an array where B has none."""
    name = comparison.a.criterion
    zone, apart = comparison.a.zones[name], comparison.surfaces[name]
    surface = polydata(zone.vertices, zone.triangles)
    if apart is not None:
        surface.point_data["distance_mm"] = apart.there / MM
    return surface
