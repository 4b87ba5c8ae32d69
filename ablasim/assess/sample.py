"""Nodal fields of a tetrahedral mesh at any points.

A tetrahedron lies in the ball around its centroid that holds its corners, so the points in that
ball are all that can lie in it: a KD-tree of the points finds them, and the barycentric coordinates
decide. Every tetrahedron is asked, so no point inside the mesh is missed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ablasim.mesh_tet import TetMesh

Floats = NDArray[np.float64]

TOLERANCE = 1e-6
"""Slack of the barycentric coordinates: a point on a wall that both meshes share counts as inside,
and extrapolating by so little of an edge changes nothing."""
PAIRS_AT_ONCE = 1_000_000
"""Point-tetrahedron pairs taken up together: some 200 MB of temporaries."""


@dataclass(frozen=True, eq=False)
class Places:
    """Where points lie in a mesh.

    Attributes:
        nodes: corners of each point's tetrahedron (p, 4); meaningless outside.
        weights: barycentric coordinates (p, 4); NaN outside.
    """

    nodes: NDArray[np.int64]
    weights: Floats

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Points that lie in the mesh (p,)."""
        return np.asarray(~np.isnan(self.weights[:, 0]))

    def interpolate(self, values: Floats) -> Floats:
        """A nodal field (n,) at the points (p,); NaN outside."""
        return np.asarray(np.einsum("pc,pc->p", values[self.nodes], self.weights))


def locate(mesh: TetMesh, points: Floats, slack: float = TOLERANCE) -> Places:
    """The tetrahedron of each point, of several the one that it lies deepest in.

    Args:
        mesh: to look in.
        points: (p, 3) [m].
        slack: how far below zero a barycentric coordinate may be: a share of a tetrahedron's height
            by which a point may stand out of the mesh.
    """
    corners = mesh.points[mesh.cells]
    centres = corners.mean(axis=1)
    reach = np.linalg.norm(corners - centres[:, None], axis=2).max(axis=1)
    # Three coordinates at -slack: sum |w| = 1 + 6 slack bounds the distance from the centroid.
    reach *= 1.0 + 6.0 * slack
    owner = np.zeros(len(points), dtype=np.int64)
    weights = np.full((len(points), 4), np.nan)
    if not len(points):
        return Places(mesh.cells[owner].astype(np.int64), weights)
    deepest = np.full(len(points), -slack)
    tree = cKDTree(points)
    counts = tree.query_ball_point(centres, reach, return_length=True)
    chunk_of = np.cumsum(counts) // PAIRS_AT_ONCE
    for chunk in np.unique(chunk_of[counts > 0]):
        cells = np.flatnonzero((chunk_of == chunk) & (counts > 0))
        found = tree.query_ball_point(centres[cells], reach[cells], return_sorted=False)
        cell = np.repeat(cells, counts[cells])
        point = np.concatenate(found).astype(np.int64)
        shares = barycentric(corners[cell], points[point])
        depth = shares.min(axis=1)
        better = np.flatnonzero(depth >= deepest[point])
        # On a face both neighbours hold the point; of equal indices the last one stays.
        better = better[np.argsort(depth[better], kind="stable")]
        owner[point[better]] = cell[better]
        weights[point[better]] = shares[better]
        deepest[point[better]] = depth[better]
    return Places(mesh.cells[owner].astype(np.int64), weights)


def barycentric(corners: Floats, points: Floats) -> Floats:
    """Coordinates (k, 4) of point i (k, 3) in tetrahedron i (k, 4, 3); NaN in a flat one."""
    a, b, c = (corners[:, i] - corners[:, 0] for i in (1, 2, 3))
    p = points - corners[:, 0]
    normal = np.cross(b, c)
    volume = _dot(a, normal)
    volume = np.where(volume == 0.0, np.nan, volume)
    second = _dot(p, normal) / volume
    third = _dot(np.cross(a, p), c) / volume
    fourth = _dot(np.cross(a, b), p) / volume
    return np.stack([1.0 - second - third - fourth, second, third, fourth], axis=1)


def _dot(left: Floats, right: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", left, right))
