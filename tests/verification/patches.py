"""Structured meshes of patches on which radial exact solutions hold: cut sides carry no flow."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from ablasim.mesh import TetMesh, boundary_faces

Floats = NDArray[np.float64]


def box(
    lines: tuple[Floats, Floats, Floats],
    place: Callable[[Floats], Floats] = lambda x: x,
    surfaces: tuple[str, ...] = ("low0", "high0", "low1", "high1", "low2", "high2"),
) -> TetMesh:
    """A grid of six-tetrahedra (Kuhn) cubes, mapped by `place`; its six sides are named surfaces.

    Args:
        lines: grid coordinates along the three axes.
        place: maps grid coordinates (n, 3) to points (n, 3) [m], orientation kept or reversed.
        surfaces: names of the sides.
    """
    shape = tuple(len(line) for line in lines)
    grid = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)
    number = np.arange(len(grid)).reshape(shape)
    tets = []
    for path in permutations(range(3)):
        corner = np.zeros(3, dtype=int)
        walk = [corner.copy()]
        for axis in path:
            corner[axis] += 1
            walk.append(corner.copy())
        tets.append(
            np.stack(
                [
                    number[tuple(slice(c[a], shape[a] - 1 + c[a]) for a in range(3))].ravel()
                    for c in walk
                ],
                axis=1,
            )
        )
    cells = np.concatenate(tets).astype(np.int32)
    points = place(grid)
    corner = points[cells]
    volume = np.einsum(
        "ij,ij->i",
        np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]),
        corner[:, 3] - corner[:, 0],
    )
    cells[volume < 0] = cells[volume < 0][:, [0, 1, 3, 2]]
    faces, _ = boundary_faces(cells)
    tag = np.full(len(faces), -1, dtype=np.int16)
    for axis, line in enumerate(lines):
        for end, value in enumerate((line[0], line[-1])):
            tag[(grid[faces][:, :, axis] == value).all(axis=1)] = 2 * axis + end
    return TetMesh(
        points=points,
        cells=cells,
        cell_region=np.zeros(len(cells), dtype=np.int16),
        regions=("liver",),
        faces=faces,
        face_surface=tag,
        surfaces=surfaces,
    )


def graded(start: float, stop: float, first: float, largest: float, growth: float = 1.15) -> Floats:
    """A line from start to stop whose intervals grow from `first` up to `largest`."""
    steps, size = [], first
    while sum(steps) < stop - start:
        steps.append(size)
        size = min(size * growth, largest)
    line = start + np.append(0.0, np.cumsum(steps)) * (stop - start) / sum(steps)
    line[-1] = stop
    return line


def cylinder_patch(x: Floats) -> Floats:
    """(r, angle, z) to Cartesian."""
    r, angle, z = x.T
    return np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=1)


def sphere_patch(x: Floats) -> Floats:
    """(r, u, v) to Cartesian: radial rays through a square of tangents u, v."""
    r, u, v = x.T
    ray = np.stack([np.ones_like(u), u, v], axis=1)
    return r[:, None] * ray / np.linalg.norm(ray, axis=1)[:, None]
