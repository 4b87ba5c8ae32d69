"""Exact distance from points to a triangle surface.

A KD-tree of triangle centroids gives candidates: a triangle of radius r around its centroid c is at
least |p - c| - r away. Triangles are grouped by size, so that a few large ones do not widen the
search for all. The distance from a triangle's plane is a second bound, which leaves few candidates
even for a point that is nearly as far from all of a round surface. The answer is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]

PAIRS_AT_ONCE = 1_000_000
"""Point-triangle pairs taken up together: some 100 MB of temporaries."""
SMALLEST_SINE_SQUARED = 1e-16
"""A triangle flatter than this has no usable normal; its edges give the distance."""


def surface_distance(points: Floats, vertices: Floats, triangles: NDArray[np.integer]) -> Floats:
    """Distance of each point to the nearest point of a triangle surface.

    Args:
        points: (p, 3) [m].
        vertices: (v, 3) [m].
        triangles: (t, 3), at least one; degenerate ones are allowed.

    Returns:
        Distances (p,) [m].
    """
    corners = vertices[triangles]
    centres = corners.mean(axis=1)
    radii = np.linalg.norm(corners - centres[:, None], axis=2).max(axis=1)
    normals = _unit_normals(corners)
    offsets = _dot(centres, normals)
    nearest = cKDTree(centres).query(points)[1]
    best = _pair_distance(points, corners[nearest])
    size = np.floor(np.log2(np.maximum(radii, radii.max() * 1e-3))).astype(np.int64)
    for group in np.unique(size):
        members = np.flatnonzero(size == group)
        tree = cKDTree(centres[members])
        reach = best + radii[members].max()
        counts = tree.query_ball_point(points, reach, return_length=True)
        chunk_of = np.cumsum(counts) // PAIRS_AT_ONCE
        for chunk in np.unique(chunk_of):
            rows = np.flatnonzero((chunk_of == chunk) & (counts > 0))
            if rows.size == 0:
                continue
            found = tree.query_ball_point(points[rows], reach[rows], return_sorted=False)
            row = np.repeat(rows, counts[rows])
            triangle = members[np.concatenate(found).astype(np.int64)]
            near = np.abs(_dot(points[row], normals[triangle]) - offsets[triangle]) < best[row]
            row, triangle = row[near], triangle[near]
            away = np.linalg.norm(points[row] - centres[triangle], axis=1)
            near = away - radii[triangle] < best[row]
            row, triangle = row[near], triangle[near]
            np.minimum.at(best, row, _pair_distance(points[row], corners[triangle]))
    return best


def _unit_normals(corners: Floats) -> Floats:
    """Unit normals (t, 3); zero where a triangle has none, so that its plane excludes nothing."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    squared = _dot(normals, normals)
    usable = squared > SMALLEST_SINE_SQUARED * _longest_squared(corners) ** 2
    length = np.sqrt(np.where(usable, squared, np.inf))
    return np.asarray(normals / length[:, None])


def _longest_squared(corners: Floats) -> Floats:
    edges = corners - np.roll(corners, 1, axis=1)
    return np.asarray(np.einsum("tcx,tcx->tc", edges, edges).max(axis=1))


def _pair_distance(points: Floats, corners: Floats) -> Floats:
    """Distance of point i (k, 3) to triangle i (k, 3, 3)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    squared = np.minimum(_segment_squared(points, a, b), _segment_squared(points, b, c))
    squared = np.minimum(squared, _segment_squared(points, c, a))
    ab, ac, ap = b - a, c - a, points - a
    normal = np.cross(ab, ac)
    area_squared = _dot(normal, normal)
    usable = area_squared > SMALLEST_SINE_SQUARED * _longest_squared(corners) ** 2
    scale = np.where(usable, area_squared, 1.0)
    second = _dot(np.cross(ap, ac), normal) / scale
    third = _dot(np.cross(ab, ap), normal) / scale
    over = usable & (second >= 0.0) & (third >= 0.0) & (second + third <= 1.0)
    squared = np.where(over, _dot(ap, normal) ** 2 / scale, squared)
    return np.sqrt(squared)


def _segment_squared(points: Floats, start: Floats, end: Floats) -> Floats:
    along, offset = end - start, points - start
    length = _dot(along, along)
    position = np.clip(_dot(offset, along) / np.where(length > 0.0, length, 1.0), 0.0, 1.0)
    rest = offset - position[:, None] * along
    return _dot(rest, rest)


def _dot(left: Floats, right: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", left, right))
