"""Small structured meshes with named regions and surfaces, for tests with analytic fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from ablasim.centreline import Branch
from ablasim.mesh_tet import TetMesh, boundary_faces, tet_volumes

Array = NDArray[np.float64]
Place = Callable[[Array], NDArray[np.bool_]]
MM = 1e-3


@dataclass(frozen=True)
class Axis:
    """A probe as the assessment sees it."""

    tip: Array
    direction: Array


@dataclass(frozen=True)
class Tube:
    """A vessel as the assessment sees it."""

    name: str
    kind: str
    diameter: float | None
    velocity: float | None = None
    branches: tuple[Branch, ...] = ()
    measured: bool = True


Z_AXIS = Axis(np.zeros(3), np.array([0.0, 0.0, 1.0]))


def ball(centre: tuple[float, float, float], radius: float) -> Place:
    """Membership of a ball."""
    return lambda points: np.linalg.norm(points - np.array(centre), axis=1) < radius


def box_mesh(
    count: int,
    size: float,
    *,
    regions: Mapping[str, Place] | None = None,
    holes: Mapping[str, Place] | None = None,
    background: str = "liver",
) -> TetMesh:
    """A cube of `count`^3 cubes of six tetrahedra, centred on the origin.

    Args:
        count: cubes along an edge.
        size: edge [m].
        regions: cells whose centroid fulfils the condition; later ones win.
        holes: removed cells and the name of the wall they leave.
        background: region of all other cells.
    """
    line = np.linspace(-size / 2, size / 2, count + 1)
    points = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    number = np.arange((count + 1) ** 3).reshape((count + 1,) * 3)
    cells = _kuhn([number[i : i + count, j : j + count, k : k + count] for i, j, k in _CORNERS])
    centres = points[cells].mean(axis=1)
    names = [background, *(regions or {})]
    region = np.zeros(len(cells), dtype=np.int16)
    for index, place in enumerate((regions or {}).values(), start=1):
        region[place(centres)] = index
    hole = np.full(len(cells), -1)
    for index, place in enumerate((holes or {}).values()):
        hole[place(centres)] = index
    faces, _ = boundary_faces(cells[hole < 0])
    surface = np.zeros(len(faces), dtype=np.int16)
    for index in range(len(holes or {})):
        removed, _ = boundary_faces(cells[hole == index])
        surface[_same_face(faces, removed, len(points))] = index + 1
    outer = np.isclose(np.abs(points[faces]), size / 2).all(axis=1).any(axis=1)
    surface[outer] = 0
    return _compact(
        points, cells[hole < 0], region[hole < 0], names, faces, surface, ["outer", *(holes or {})]
    )


def needle_mesh(
    radius: float = 0.75 * MM,
    outer: float = 20 * MM,
    half_length: float = 25 * MM,
    rings: int = 20,
    sectors: int = 24,
    layers: int = 50,
    active: float = 15 * MM,
) -> TetMesh:
    """A cylinder around a needle along z that passes through it; rings grow in proportion."""
    rho = radius * (outer / radius) ** np.linspace(0, 1, rings + 1)
    phi = 2 * np.pi * np.arange(sectors) / sectors
    z = np.linspace(-half_length, half_length, layers + 1)
    grid = np.meshgrid(rho, phi, z, indexing="ij")
    points = np.stack(
        [grid[0] * np.cos(grid[1]), grid[0] * np.sin(grid[1]), grid[2]], axis=-1
    ).reshape(-1, 3)
    number = np.arange(len(points)).reshape(rings + 1, sectors, layers + 1)
    closed = np.concatenate([number, number[:, :1]], axis=1)
    cells = _kuhn([closed[i : i + rings, j : j + sectors, k : k + layers] for i, j, k in _CORNERS])
    flip = tet_volumes(points, cells) < 0
    cells[flip] = cells[flip][:, [0, 2, 1, 3]]
    faces, _ = boundary_faces(cells)
    corner = points[faces]
    at_needle = np.isclose(np.linalg.norm(corner[..., :2], axis=2), radius).all(axis=1)
    surface = np.where(at_needle, np.where(abs(corner[..., 2].mean(axis=1)) < active, 1, 2), 0)
    names = ["outer", "probe.0.active", "probe.0.shaft"]
    region = np.zeros(len(cells), dtype=np.int16)
    return _compact(points, cells, region, ["liver"], faces, surface.astype(np.int16), names)


def moved(mesh: TetMesh, rotation: Array, shift: Array) -> TetMesh:
    """The mesh after a rigid motion x -> R x + s."""
    return TetMesh(
        mesh.points @ rotation.T + shift, mesh.cells, mesh.cell_region, mesh.regions,
        mesh.faces, mesh.face_surface, mesh.surfaces,
    )  # fmt: skip


def renumbered(mesh: TetMesh, rng: np.random.Generator) -> tuple[TetMesh, NDArray[np.int64]]:
    """The mesh with points, cells and faces in another order, and the new order of the points."""
    order = rng.permutation(len(mesh.points))
    new = np.empty_like(order)
    new[order] = np.arange(len(order))
    cells, faces = rng.permutation(len(mesh.cells)), rng.permutation(len(mesh.faces))
    return (
        TetMesh(
            mesh.points[order],
            new[mesh.cells[cells]][:, [1, 2, 0, 3]].astype(np.int32),
            mesh.cell_region[cells],
            mesh.regions,
            new[mesh.faces[faces]].astype(np.int32),
            mesh.face_surface[faces],
            mesh.surfaces,
        ),
        order,
    )


_CORNERS = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]


def _kuhn(corners: list[NDArray[np.int64]]) -> NDArray[np.int32]:
    """Six tetrahedra along the diagonal of every hexahedron, given its eight corner arrays."""
    at = dict(zip(_CORNERS, corners, strict=True))
    cells = []
    for order in permutations(range(3)):
        path = [np.zeros(3, dtype=int)]
        for axis in order:
            path.append(path[-1] + np.eye(3, dtype=int)[axis])
        tets = np.stack([at[tuple(p)].ravel() for p in path], axis=1)
        if np.linalg.det(np.eye(3)[list(order)]) < 0:
            tets = tets[:, [0, 2, 1, 3]]
        cells.append(tets)
    return np.concatenate(cells).astype(np.int32)


def _same_face(faces: NDArray[np.int32], others: NDArray[np.int32], size: int) -> NDArray[np.bool_]:
    weights = np.array([size**2, size, 1], dtype=np.int64)
    keys = [np.sort(f, axis=1).astype(np.int64) @ weights for f in (faces, others)]
    return np.isin(*keys)


def _compact(points, cells, region, names, faces, surface, surfaces) -> TetMesh:  # type: ignore[no-untyped-def]
    used, local = np.unique(cells, return_inverse=True)
    new = np.full(len(points), -1)
    new[used] = np.arange(len(used))
    return TetMesh(
        points[used], local.reshape(-1, 4).astype(np.int32), region, tuple(names),
        new[faces].astype(np.int32), surface, tuple(surfaces),
    )  # fmt: skip
