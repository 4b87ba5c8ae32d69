"""A mesh from a file, with named regions and surfaces, gives what its anatomy gives."""

from pathlib import Path

import pytest

from ablasim.mesh import write_mesh
from ablasim.run import place_in_mesh, run
from ablasim.scenario import load_scenario

IDEAL = Path(__file__).resolve().parents[2] / "scenarios" / "rf_beside_portal_vein.yaml"
SHORT = {"numerics.resolution": "preview", "protocol.duration_s": 120.0}

OWN = """\
name: own_mesh
mesh:
  file: own.msh
  regions: {liver: [liver], tumour: [tumour]}
  surfaces:
    outer: [outer]
    probe.0.active: [probe.0.active]
    probe.0.shaft: [probe.0.shaft]
    vessel.portal_branch: [vessel.portal_branch]
  vessels:
    portal_branch:
      {kind: portal_vein, path_mm: [[16, 0, -60], [16, 0, 60]], diameter_mm: 6, velocity_cm_s: 12}
probes:
  - {model: cooled_needle_17g_30mm, tip_mm: [0, 0, -15], entry_mm: [0, 0, 90]}
protocol: {mode: power, power_W: 30, duration_s: 120}
numerics: {resolution: preview}
"""


def test_own_mesh_gives_the_same(tmp_path: Path) -> None:
    """Catches a unit, a region or a wall that is lost between a file and the solver."""
    ideal = load_scenario(IDEAL, SHORT)
    write_mesh(place_in_mesh(ideal)[1], tmp_path / "own.msh")
    (tmp_path / "own.yaml").write_text(OWN)
    own = run(load_scenario(tmp_path / "own.yaml"), device="cpu").summary
    expected = run(ideal, device="cpu").summary
    volume, margin = own["zone"]["peak_60C"]["volume_ml"], own["margin"]["minimal_mm"]
    assert volume == pytest.approx(expected["zone"]["peak_60C"]["volume_ml"], rel=1e-3)
    assert margin == pytest.approx(expected["margin"]["minimal_mm"], abs=0.01)
    assert own["margin"]["nearest_vessel"] == "portal_branch"
    heat = expected["energy"]["vessels"]["portal_branch"]
    assert own["energy"]["vessels"]["portal_branch"] == pytest.approx(heat, rel=1e-3)
