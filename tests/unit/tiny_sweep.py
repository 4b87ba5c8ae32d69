"""A scenario that is solved in a fraction of a second, and plans of sweeps over it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from simple_meshes import ball, box_mesh

from ablasim.mesh import write_mesh

MM = 1e-3

SCENARIO = """\
name: tiny
mesh:
  file: tiny.msh
  regions: {liver: [liver], tumour: [tumour]}
  surfaces: {outer: [outer], probe.0.active: [probe.0.active], vessel.branch: [vessel.branch]}
  vessels:
    branch:
      {kind: portal_vein, path_mm: [[14, 0, -24], [14, 0, 24]], diameter_mm: 4, velocity_cm_s: 12}
probes:
  - {model: cooled_needle_17g_30mm, tip_mm: [0, 0, -12], entry_mm: [0, 0, 90]}
protocol: {mode: power, power_W: 100, duration_s: 240}
numerics: {resolution: preview}
"""


def _needle(x: np.ndarray) -> np.ndarray:
    return (np.abs(x[:, :2]).max(axis=1) < 2.0 * MM) & (x[:, 2] > -12.0 * MM)


def _vessel(x: np.ndarray) -> np.ndarray:
    return np.abs(x[:, :2] - [14.0 * MM, 0.0]).max(axis=1) < 2.01 * MM


def write_scenario(folder: Path) -> Path:
    """A cube of 48 mm with a thick square needle, a tumour and a square vessel; its scenario."""
    tumour = {"tumour": ball((0.0, 0.0, 0.0), 9.0 * MM)}
    holes = {"probe.0.active": _needle, "vessel.branch": _vessel}
    write_mesh(box_mesh(12, 48.0 * MM, regions=tumour, holes=holes), folder / "tiny.msh")
    path = folder / "tiny.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


def write_plan(folder: Path, powers: int = 3, speeds: int = 2, extra: str = "") -> Path:
    """A plan of `powers` times `speeds` cases; the scenario is written where it is missing."""
    if not (folder / "tiny.yaml").is_file():
        write_scenario(folder)
    path = folder / "plan.yaml"
    path.write_text(
        "scenario: tiny.yaml\nvary:\n"
        f"  protocol.power_W: {{from: 80, to: 120, count: {powers}}}\n"
        f"  mesh.vessels.branch.velocity_cm_s: {{from: 4, to: 16, count: {speeds}}}\n" + extra,
        encoding="utf-8",
    )
    return path
