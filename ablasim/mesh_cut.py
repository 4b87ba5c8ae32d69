"""Exact cuts of linear fields on simplices: volume fractions and level-set surfaces.

A P1 field is linear inside a tetrahedron, so the part of it at or above a level is a tetrahedron, a
prism, or a tetrahedron's complement. The fractions are written as products and sums of edge ratios
between a vertex above and a vertex below the level, so that no denominator vanishes where vertex
values coincide and nothing cancels. Volumes and surfaces cut this way converge with the second
order of the field itself; counting nodes or cells would be of first order only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _edge_ratio(above: Any, below: Any, xp: Any) -> Any:
    """Share of an edge at or above zero, from its end `above` to the crossing; 1 if both are."""
    top = xp.maximum(above, 0.0)
    span = top - xp.minimum(below, 0.0)
    return top / xp.where(span > 0.0, span, 1.0)


def _sort_pair(a: Any, b: Any, xp: Any) -> tuple[Any, Any]:
    return xp.minimum(a, b), xp.maximum(a, b)


def tet_fraction_above(values: Any, level: Any, xp: Any = np) -> Any:
    """Exact fraction of each tetrahedron's volume where its linear field is at or above a level.

    Elementwise operations only, so that it also runs inside `jax.jit` with `xp=jax.numpy`, in
    float32 or float64.

    Args:
        values: field at the four vertices (..., 4).
        level: threshold in the field's unit, a scalar.
        xp: array module.

    Returns:
        Fractions (...) between 0 and 1 [-].
    """
    a, b, c, d = (values[..., i] - level for i in range(4))
    a, b = _sort_pair(a, b, xp)
    c, d = _sort_pair(c, d, xp)
    a, c = _sort_pair(a, c, xp)
    b, d = _sort_pair(b, d, xp)
    b, c = _sort_pair(b, c, xp)  # now a <= b <= c <= d
    da, db, dc = (_edge_ratio(d, low, xp) for low in (a, b, c))
    ca, cb = _edge_ratio(c, a, xp), _edge_ratio(c, b, xp)
    ba_below = 1.0 - _edge_ratio(b, a, xp)
    one_above = da * db * dc
    two_above = da * db + ca * (1.0 - da) * db + ca * cb * (1.0 - db)
    three_above = 1.0 - (1.0 - da) * (1.0 - ca) * ba_below
    partial = xp.where(c < 0.0, one_above, xp.where(b < 0.0, two_above, three_above))
    return xp.where(a >= 0.0, 1.0 + 0.0 * partial, partial)


def segment_fraction_above(one: Any, other: Any, xp: Any = np) -> Any:
    """Fraction of a segment where its linear field is at or above zero.

    Args:
        one, other: values at the ends (...).
        xp: array module.

    Returns:
        Fractions (...) between 0 and 1 [-]; 1 where both ends are zero.
    """
    low = xp.minimum(xp.minimum(one, other), 0.0)
    span = xp.maximum(xp.maximum(one, other), 0.0) - low
    return 1.0 + low / xp.where(span > 0.0, span, 1.0)


def triangle_fraction_above(values: Floats, level: float) -> Floats:
    """Exact fraction of each triangle's area where its linear field (..., 3) is >= `level`."""
    ordered = np.sort(values, axis=-1) - level
    a, b, c = (ordered[..., i] for i in range(3))
    ca, cb, ba = _edge_ratio(c, a, np), _edge_ratio(c, b, np), _edge_ratio(b, a, np)
    fraction = np.where(b < 0.0, ca * cb, 1.0 - (1.0 - ca) * (1.0 - ba))
    return np.asarray(np.where(a >= 0.0, 1.0, fraction), dtype=np.float64)


def _level_table() -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Triangles of every above/below pattern of a tetrahedron's vertices (bit i: vertex i above).

    A corner is a pair of local vertices: the edge on which it lies. The orientation is taken from a
    positively oriented reference tetrahedron: normals point from above to below.
    """
    reference = np.vstack([np.zeros(3), np.eye(3)])
    table = np.zeros((16, 2, 3, 2), dtype=np.int8)
    count = np.zeros(16, dtype=np.int8)
    for mask in range(1, 15):
        above = [i for i in range(4) if mask >> i & 1]
        below = [i for i in range(4) if not mask >> i & 1]
        if len(above) == 2:
            (i, j), (k, m) = above, below
            loop = [(i, k), (i, m), (j, m), (j, k)]
        else:
            loop = [(i, k) for i in above for k in below]
        corners = np.array([reference[list(edge)].mean(axis=0) for edge in loop])
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        outward = reference[below].mean(axis=0) - reference[above].mean(axis=0)
        if normal @ outward < 0.0:
            loop.reverse()
        triangles = [loop[:3]] if len(loop) == 3 else [loop[:3], [loop[0], loop[2], loop[3]]]
        count[mask] = len(triangles)
        table[mask, : len(triangles)] = triangles
    return table, count


_LEVEL_TABLE, _LEVEL_COUNT = _level_table()

# The part of a triangle above a level, by pattern; a corner (i, i) is the vertex itself.
_CLIP_COUNT = np.array([0, 1, 1, 2, 1, 2, 2, 1], dtype=np.int8)
_CLIP_TABLE = np.zeros((8, 2, 3, 2), dtype=np.int8)
_CLIP_TABLE[7, 0] = [(0, 0), (1, 1), (2, 2)]
for _i in range(3):
    _j, _k = (_i + 1) % 3, (_i + 2) % 3
    _CLIP_TABLE[1 << _i, 0] = [(_i, _i), (_i, _j), (_i, _k)]
    _CLIP_TABLE[(1 << _i) | (1 << _j), :] = [
        [(_i, _i), (_j, _j), (_j, _k)],
        [(_i, _i), (_j, _k), (_i, _k)],
    ]


def _apply_table(
    simplices: NDArray[np.integer[Any]],
    values: Floats,
    level: float,
    table: NDArray[np.int8],
    count: NDArray[np.int8],
) -> tuple[Ints, Ints]:
    """Corner node pairs (t, 3, 2) of the triangles that a table yields, and each one's simplex."""
    weights = 1 << np.arange(simplices.shape[1])
    pattern = ((values[simplices] >= level) * weights).sum(axis=1)
    corners, owners = [], []
    for slot in range(2):
        owner = np.flatnonzero(count[pattern] > slot)
        local = table[pattern[owner], slot].astype(np.int64)
        corners.append(simplices[owner[:, None, None], local].astype(np.int64))
        owners.append(owner)
    return np.concatenate(corners), np.concatenate(owners)


def level_set_corners(
    cells: NDArray[np.integer[Any]], values: Floats, level: float
) -> tuple[Ints, Ints]:
    """Marching tetrahedra: the level set of a nodal field as triangles on mesh edges.

    Args:
        cells: positively oriented tetrahedra (m, 4).
        values: nodal field (n,).
        level: level in the field's unit; a value equal to it counts as above.

    Returns:
        Node pairs of the triangles' corners (t, 3, 2), oriented away from the part above the level,
        and the tetrahedron of each triangle (t,).
    """
    return _apply_table(cells, values, level, _LEVEL_TABLE, _LEVEL_COUNT)


def clip_corners(
    faces: NDArray[np.integer[Any]], values: Floats, level: float
) -> tuple[Ints, Ints]:
    """Parts of triangles (f, 3) at or above a level: corners (t, 3, 2) and their faces (t,)."""
    return _apply_table(faces, values, level, _CLIP_TABLE, _CLIP_COUNT)


@dataclass(frozen=True)
class CutSurface:
    """A welded triangle surface whose vertices lie on mesh edges or nodes.

    Attributes:
        vertices: (v, 3) [m].
        triangles: (t, 3) indices into `vertices`.
        edges: mesh nodes at the ends of each vertex's edge (v, 2).
        weights: position of each vertex on its edge (v,), 0 at the first node [-].
    """

    vertices: Floats
    triangles: NDArray[np.int32]
    edges: Ints
    weights: Floats

    def interpolate(self, values: Floats) -> Floats:
        """A nodal field (n,) or (n, k) at the vertices."""
        weights = self.weights.reshape((-1,) + (1,) * (values.ndim - 1))
        first, second = values[self.edges[:, 0]], values[self.edges[:, 1]]
        return np.asarray((1.0 - weights) * first + weights * second)


def weld(points: Floats, values: Floats, level: float, corners: Ints) -> CutSurface:
    """Join corners that lie on the same mesh edge into one vertex, and place it at the level.

    Args:
        points: mesh nodes (n, 3) [m].
        values: nodal field (n,) that was cut.
        level: the level it was cut at.
        corners: node pairs (t, 3, 2) from `level_set_corners` or `clip_corners`, or several joined.
    """
    ends = np.sort(corners.reshape(-1, 2), axis=1)
    keys, inverse = np.unique(ends[:, 0] * len(points) + ends[:, 1], return_inverse=True)
    edges = np.stack([keys // len(points), keys % len(points)], axis=1)
    first, second = values[edges[:, 0]], values[edges[:, 1]]
    span = second - first
    crosses = (span != 0.0) & (edges[:, 0] != edges[:, 1])
    weights = np.where(crosses, (level - first) / np.where(crosses, span, 1.0), 0.0)
    weights = np.clip(weights, 0.0, 1.0)
    start, end = points[edges[:, 0]], points[edges[:, 1]]
    vertices = start + weights[:, None] * (end - start)
    triangles = inverse.reshape(-1, 3).astype(np.int32)
    return CutSurface(vertices, triangles, edges, weights)


def triangle_normals(vertices: Floats, triangles: NDArray[np.integer[Any]]) -> Floats:
    """Area vectors (t, 3) [m2]: normal direction, length = area."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    return 0.5 * np.cross(b - a, c - a)
