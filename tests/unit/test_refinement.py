"""The uniform refinement that the scaling benchmark makes its meshes with."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from simple_meshes import ball, box_mesh

from ablasim.mesh_tet import TetMesh, boundary_faces, face_keys

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "refinement.py"


def refined(mesh: TetMesh) -> TetMesh:
    spec = importlib.util.spec_from_file_location("refinement", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: TetMesh = module.refined(mesh)
    return made


@pytest.fixture(scope="module", params=[0, 1, 2])
def pair(request: pytest.FixtureRequest) -> tuple[TetMesh, TetMesh]:
    """A distorted box with a hole and two regions, and its refinement; three distortions, so that
    each of the three diagonals is the shortest somewhere."""
    mesh = box_mesh(
        5,
        0.02,
        regions={"tumour": ball((0.004, 0.0, 0.0), 0.005)},
        holes={"wall": ball((-0.005, 0.0, 0.0), 0.003)},
    )
    rng = np.random.default_rng(request.param)
    shear = np.eye(3) + 0.4 * rng.uniform(-1.0, 1.0, (3, 3))
    shear *= np.sign(np.linalg.det(shear))
    jitter = 2e-4 * rng.uniform(-1.0, 1.0, mesh.points.shape)
    moved = (mesh.points + jitter) @ shear.T
    coarse = TetMesh(
        moved,
        mesh.cells,
        mesh.cell_region,
        mesh.regions,
        mesh.faces,
        mesh.face_surface,
        mesh.surfaces,
    )
    assert coarse.cell_volumes().min() > 0.0
    return coarse, refined(coarse)


def test_every_child_has_an_eighth_of_its_parent(pair: tuple[TetMesh, TetMesh]) -> None:
    coarse, fine = pair
    children = fine.cell_volumes().reshape(-1, 8)
    np.testing.assert_allclose(children, np.repeat(coarse.cell_volumes()[:, None] / 8, 8, axis=1))


def test_it_conforms(pair: tuple[TetMesh, TetMesh]) -> None:
    """No face belongs to more than two cells, and those of one cell are the inherited faces."""
    _, fine = pair
    every = np.sort(fine.cells[:, [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]], axis=2)
    _, count = np.unique(every.reshape(-1, 3), axis=0, return_counts=True)
    assert count.max() == 2
    faces, _ = boundary_faces(fine.cells)
    found, kept = (face_keys(f, triangles=True) for f in (faces, fine.faces))
    assert np.array_equal(np.sort(found), np.sort(kept))
    assert len(np.unique(fine.points.round(12), axis=0)) == len(fine.points)


def test_regions_and_surfaces_are_inherited(pair: tuple[TetMesh, TetMesh]) -> None:
    coarse, fine = pair
    assert (fine.regions, fine.surfaces) == (coarse.regions, coarse.surfaces)
    for name in coarse.regions:
        volumes = [mesh.cell_volumes()[mesh.region_cells(name)].sum() for mesh in pair]
        assert volumes[0] > 0.0
        assert volumes[1] == pytest.approx(volumes[0])
    for number, name in enumerate(coarse.surfaces):
        areas = [mesh.face_normals()[mesh.face_surface == number].sum(axis=0) for mesh in pair]
        np.testing.assert_allclose(areas[1], areas[0], atol=1e-15)
        assert fine.surface_area(name) == pytest.approx(coarse.surface_area(name))
        assert len(fine.surface_faces(name)) == 4 * len(coarse.surface_faces(name))


def test_normals_point_out(pair: tuple[TetMesh, TetMesh]) -> None:
    """Gauss' theorem: the faces enclose three times the volume."""
    _, fine = pair
    centres = fine.points[fine.faces].mean(axis=1)
    enclosed = np.einsum("fi,fi->", centres, fine.face_normals()) / 3.0
    assert enclosed == pytest.approx(fine.cell_volumes().sum())
