"""The meshes and runs that the cases stand on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ablasim.anatomy import build_anatomy
from ablasim.errors import ConvergenceError, InputFileError
from ablasim.frames import MM
from ablasim.mesh_tet import boundary_faces, face_keys
from ablasim.physics.problem import BioheatProblem, Laws
from ablasim.verify import runs
from ablasim.verify.cube import cube
from ablasim.verify.patches import box, cylinder_patch, halved, spaced, sphere_patch
from ablasim.verify.published import with_tip
from ablasim.verify.runs import scenario, stages_of
from ablasim.verify.scenes import Floats, off, tissue


def test_a_line_meets_its_stops_and_halves() -> None:
    """Catches a refinement that moves the places where fields are compared."""
    stops = (0.0, 3.0, 10.0)
    line = spaced(stops, lambda x: 0.2 + 0.1 * x)
    assert set(stops) <= set(line)
    assert (np.diff(line) > 0.0).all()
    assert np.diff(line) == pytest.approx(0.2 + 0.1 * 0.5 * (line[1:] + line[:-1]), rel=0.2)
    finer = spaced(stops, lambda x: 0.2 + 0.1 * x, 2)
    assert len(finer) == 2 * len(line) - 1
    assert finer[::2] == pytest.approx(line, abs=1e-3)


@pytest.mark.parametrize("place", [cylinder_patch, sphere_patch])
def test_welded_patches_close(place: Callable[[Floats], Floats]) -> None:
    """Catches cells without volume at an axis or a tip, and a boundary with holes."""
    side = np.array([-0.1, 0.1])
    third = np.linspace(0.0, 1.0, 4) if place is cylinder_patch else side
    mesh = box((np.linspace(0.0, 1.0, 5), side, third), place, weld=True)
    assert mesh.cell_volumes().min() > 0.0
    assert len(np.unique(mesh.points.round(12), axis=0)) == len(mesh.points)
    assert np.unique(mesh.cells).tolist() == list(range(len(mesh.points)))
    assert mesh.face_normals().sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-15)
    through = np.einsum("fi,fi->", mesh.face_normals(), mesh.points[mesh.faces].mean(axis=1))
    assert through / 3.0 == pytest.approx(mesh.cell_volumes().sum())
    assert mesh.surface_area("high0") > 0.0


def test_halved_edges() -> None:
    """Catches cells that overlap or are lost, and faces that lose their name."""
    line = np.linspace(0.0, 1.0, 4)
    coarse = box((line, line, line), lambda x: x + 0.1 * np.sin(3.0 * x[:, ::-1]))
    fine = halved(coarse)
    assert len(fine.cells) == 8 * len(coarse.cells)
    assert fine.cell_volumes().min() > 0.0
    assert fine.cell_volumes().sum() == pytest.approx(coarse.cell_volumes().sum())
    outside = face_keys(boundary_faces(fine.cells)[0], triangles=True)
    assert set(outside) == set(face_keys(fine.faces, triangles=True))
    for name in coarse.surfaces:
        assert fine.surface_area(name) == pytest.approx(coarse.surface_area(name))
    assert fine.quality().min() > 0.5 * coarse.quality().min()


def test_another_electrode_keeps_its_middle() -> None:
    """Catches a longer electrode that leaves its thermocouples behind."""
    anatomy = build_anatomy(scenario("g1_needle_in_liver"))
    longer = with_tip(anatomy, 45.0 * MM)
    assert longer.probes[0].active_centre == pytest.approx(np.zeros(3), abs=1e-12)
    assert longer.probes[0].tip[2] == pytest.approx(-22.5 * MM)
    assert longer.key() != anatomy.key()


def test_the_published_model_has_its_published_numbers() -> None:
    case = scenario("g16_four_tines_comsol")
    liver = case.tissue("liver")
    assert (liver.rho_c, liver.conductivity, liver.sigma0) == (1079 * 3540, 0.52, 0.333)
    assert liver.perfusion == pytest.approx(1000 * 4180 * 6.4e-3)
    assert (liver.conductivity_slope, liver.sigma_slope, liver.sigma_dry_ratio) == (0, 0, 1)


def test_without_the_source_tree_a_case_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "SCENARIOS", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputFileError, match="source tree"):
        scenario("i1_code_to_code")


def test_stages_refuse_what_they_would_forget() -> None:
    """Catches a run in stages whose perfusion comes back at every stage."""
    case = scenario("rf_without_vessel")
    problem = BioheatProblem(cube(2), tissue(), Laws(perfusion_shutdown=60.0), off(2.0))
    with pytest.raises(ConvergenceError, match="in stages"):
        stages_of(case, build_anatomy(case), problem, (1.0, 2.0))
