"""Nodal fields at a few thousand places near a tumour, again and again.

`sample.locate` asks every tetrahedron of the mesh. Here those around a region are put into a tree
once, and only the nearest few of them are asked for each point.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ablasim.assess.sample import TOLERANCE, barycentric
from ablasim.mesh_tet import TetMesh

Floats = NDArray[np.float64]

FIRST, MORE = 24, 192
"""Tetrahedra asked for every point, and for those that are in none of the first."""

ROUNDING = 1e-9
"""Of interpolation, relative: a field that is the same at all corners is not quite that between."""

AT_ONCE = 20_000
"""Places taken up together: some 100 MB of temporaries."""


class Locator:
    """Where points lie in a part of a mesh; prepared once, asked often."""

    def __init__(self, mesh: TetMesh, points: Floats, reach: float) -> None:
        """Put the tetrahedra around some points into a tree.

        Args:
            mesh: the tissue.
            points: (p, 3) [m].
            reach: how far from their bounding box places will be asked for [m].
        """
        low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
        corners = mesh.points[mesh.cells]
        near = ((corners.max(axis=1) >= low) & (corners.min(axis=1) <= high)).all(axis=1)
        self._cells = mesh.cells[near].astype(np.int64)
        self._corners = corners[near]
        self._tree = cKDTree(self._corners.mean(axis=1))
        self._nodes = cKDTree(mesh.points)

    def interpolation(self, places: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Nodes (p, 4) and weights (p, 4) of places (p, 3) [m].

        A place outside the tissue, in a vessel or a probe, has the value of the nearest node.
        """
        parts = [places[i : i + AT_ONCE] for i in range(0, len(places), AT_ONCE)]
        found = [self._some(part) for part in parts] or [self._some(places)]
        return np.concatenate([n for n, _ in found]), np.concatenate([w for _, w in found])

    def _some(self, places: Floats) -> tuple[NDArray[np.int64], Floats]:
        nodes = np.repeat(self._nodes.query(places)[1][:, None], 4, axis=1).astype(np.int64)
        weights = np.tile([1.0, 0.0, 0.0, 0.0], (len(places), 1))
        left = np.arange(len(places))
        for count in (FIRST, MORE):
            count = min(count, len(self._cells))
            if not len(left):
                break
            found = self._tree.query(places[left], count)[1].reshape(len(left), count)
            shares = barycentric(
                self._corners[found.ravel()], np.repeat(places[left], count, axis=0)
            ).reshape(len(left), count, 4)
            depth = np.nan_to_num(shares.min(axis=2), nan=-np.inf)
            best = depth.argmax(axis=1)
            row = np.arange(len(left))
            inside = depth[row, best] >= -TOLERANCE
            chosen = left[inside]
            nodes[chosen] = self._cells[found[row, best][inside]]
            # on the tissue's surface a share may be a little below zero, and what is interpolated
            # a little beyond the corners
            kept = np.maximum(shares[row, best][inside], 0.0)
            weights[chosen] = kept / kept.sum(axis=1, keepdims=True)
            left = left[~inside]
        return nodes, weights

    def reached(self, places: Floats, values: Floats, level: float) -> NDArray[np.bool_]:
        """Whether a nodal field (n,) is at or above a level at places (p, 3) [m]; (p,).

        Rounding must not take a place out of the zone whose corners lie exactly at the level.
        """
        return self.at(places, values) >= level - ROUNDING * max(abs(level), 1.0)

    def at(self, places: Floats, values: Floats) -> Floats:
        """A nodal field (n,) at places (p, 3) [m]."""
        nodes, weights = self.interpolation(places)
        return np.asarray(np.einsum("pc,pc->p", values[nodes], weights))
