"""Structured meshes of patches on which radial exact solutions hold: cut sides carry no flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from ablasim.mesh_tet import TetMesh, boundary_faces, tet_volumes

Floats = NDArray[np.float64]


def box(
    lines: tuple[Floats, Floats, Floats],
    place: Callable[[Floats], Floats] = lambda x: x,
    surfaces: tuple[str, ...] = ("low0", "high0", "low1", "high1", "low2", "high2"),
    *,
    weld: bool = False,
) -> TetMesh:
    """A grid of six-tetrahedra (Kuhn) cubes, mapped by `place`; its six sides are named surfaces.

    Args:
        lines: grid coordinates along the three axes.
        place: maps grid coordinates (n, 3) to points (n, 3) [m], orientation kept or reversed.
        surfaces: names of the sides.
        weld: `place` puts grid points onto each other (an axis, a tip): they become one, and the
            cells that vanish are left out.
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
    if weld:
        grid, points, cells = _welded(grid, points, cells)
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


def _welded(
    grid: Floats, points: Floats, cells: NDArray[np.int32]
) -> tuple[Floats, Floats, NDArray[np.int32]]:
    """The same with points at one place made one, without the cells that lose their volume."""
    place = np.round(points / (1e-9 * np.ptp(points)))
    _, first, number = np.unique(place, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # keep the grid's order
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    cells = rank[number.ravel()][cells].astype(np.int32)
    corner = np.sort(cells, axis=1)
    cells = cells[(corner[:, 1:] > corner[:, :-1]).all(axis=1)]
    return grid[first[order]], points[first[order]], cells


def spaced(stops: Sequence[float], size: Callable[[Floats], Floats], refine: int = 1) -> Floats:
    """A line through all stops, its intervals near `size` at their place, over `refine`.

    Args:
        stops: coordinates that are met exactly, rising.
        size: wanted interval at coordinates (n,).
        refine: number of parts that every interval of the coarsest line is cut into.
    """
    parts = [np.array([stops[0]], dtype=float)]
    for start, stop in zip(stops[:-1], stops[1:], strict=True):
        x = np.linspace(start, stop, 400)
        inverse = 1.0 / size(x)
        count = np.append(0.0, np.cumsum(0.5 * (inverse[1:] + inverse[:-1]) * np.diff(x)))
        whole = max(int(np.ceil(count[-1] - 1e-9)), 1)
        share = np.linspace(0.0, count[-1], refine * whole + 1)[1:]
        line = np.interp(share, count, x)
        line[-1] = stop
        parts.append(line)
    return np.concatenate(parts)


def graded(start: float, stop: float, first: float, largest: float, growth: float = 1.15) -> Floats:
    """A line from start to stop whose intervals grow from `first` up to `largest`."""
    steps: list[float] = []
    size = first
    while sum(steps) < stop - start:
        steps.append(size)
        size = min(size * growth, largest)
    line: Floats = start + np.append(0.0, np.cumsum(steps)) * (stop - start) / sum(steps)
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
    points: Floats = r[:, None] * ray / np.linalg.norm(ray, axis=1)[:, None]
    return points


def halved(mesh: TetMesh) -> TetMesh:
    """The mesh with every edge halved: eight tetrahedra from one, four triangles from one."""
    pairs = np.array(PAIRS)
    edges, place = np.unique(
        np.sort(mesh.cells[:, pairs], axis=2).reshape(-1, 2), axis=0, return_inverse=True
    )
    count = len(mesh.points)
    points = np.concatenate([mesh.points, mesh.points[edges].mean(axis=1)])
    middle = count + place.reshape(-1, 6)  # in the order of PAIRS: 01 02 03 12 13 23
    ends, (a, b, c, d, e, f) = mesh.cells.T, middle.T
    outer = [
        (ends[0], a, b, c),
        (a, ends[1], d, e),
        (b, d, ends[2], f),
        (c, e, f, ends[3]),
    ]
    # the octahedron inside is cut along the shortest of its three diagonals
    length = [np.linalg.norm(points[i] - points[j], axis=1) for i, j in ((a, f), (b, e), (c, d))]
    best = np.argmin(length, axis=0)
    rings = ((a, f, (b, c, e, d)), (b, e, (a, c, f, d)), (c, d, (a, b, f, e)))
    inner = []
    for side in range(4):
        corner = [
            np.select(
                [best == k for k in range(3)],
                [
                    (start, stop, ring[side], ring[(side + 1) % 4])[place_in]
                    for start, stop, ring in rings
                ],
            )
            for place_in in range(4)
        ]
        inner.append(tuple(corner))
    cells = np.concatenate([np.stack(tet, axis=1) for tet in (*outer, *inner)]).astype(np.int32)
    flip = tet_volumes(points, cells) < 0.0
    cells[flip] = cells[flip][:, [0, 1, 3, 2]]

    key = edges[:, 0].astype(np.int64) * count + edges[:, 1]
    sides = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]], axis=2).astype(np.int64)
    u, v, w = (count + np.searchsorted(key, sides[..., 0] * count + sides[..., 1])).T
    p, q, r = mesh.faces.T
    faces = np.concatenate(
        [np.stack(tri, axis=1) for tri in ((p, u, w), (u, q, v), (w, v, r), (u, v, w))]
    ).astype(np.int32)
    return TetMesh(
        points=points,
        cells=cells,
        cell_region=np.tile(mesh.cell_region, 8),
        regions=mesh.regions,
        faces=faces,
        face_surface=np.tile(mesh.face_surface, 4),
        surfaces=mesh.surfaces,
    )


PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""Edges of a tetrahedron."""
