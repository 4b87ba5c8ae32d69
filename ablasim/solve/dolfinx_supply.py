"""Perfusion that ends from a border on, on this rank's nodes.

Half of every edge belongs to each of its ends. What is left to a node is the mean over the halves
that belong to it of the share on this side of the border, weighted with W V of the tetrahedra. A
node that lost all its perfusion at once would decide by a thousandth of a kelvin over kelvins.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from ablasim.mesh_cut import segment_fraction_above
from ablasim.solve.dolfinx_share import Floats, Share

CORNERS = tuple(combinations(range(4), 2))

MIDDLES = {4: (2, 3), 5: (1, 3), 6: (1, 2), 7: (0, 3), 8: (0, 2), 9: (0, 1)}
"""Corners between which the further nodes of quadratic functions lie, in Basix's order."""


def _edges(nodes: int) -> Any:
    """Pairs of a tetrahedron's nodes (e, 2) that are next to each other."""
    if nodes == 4:
        return np.array(CORNERS)
    to_corner = [(corner, middle) for middle, ends in MIDDLES.items() for corner in ends]
    on_faces = [
        (one, other)
        for one, other in combinations(MIDDLES, 2)
        if set(MIDDLES[one]) & set(MIDDLES[other])
    ]
    return np.array(to_corner + on_faces)


class Supply:
    """What a border leaves of the perfusion."""

    def __init__(self, share: Share, weight: Floats):
        """Weigh the edges.

        Args:
            share: this rank's part of the mesh.
            weight: W V of the own cells (m,) [W/K].
        """
        self.share, self.weight = share, weight
        self.pairs = _edges(share.cells.shape[1])
        count = np.bincount(self.pairs.ravel(), minlength=share.cells.shape[1])
        self.total = share.add_up(weight[:, None] * count)

    def left(self, excess: Floats) -> Floats:
        """Share of the perfusion left at the nodes where something (p,) ends it from zero on."""
        values = self.share.with_ghosts(excess)[self.share.cells]
        below = values < 0.0
        part = np.zeros_like(values)
        cut = below.any(axis=1) & ~below.all(axis=1)
        part[below.all(axis=1)] = np.bincount(self.pairs.ravel())
        ends = values[cut][:, self.pairs]
        middle = ends.mean(axis=2, keepdims=True)
        halves = 1.0 - segment_fraction_above(ends, middle)
        for number, (one, other) in enumerate(self.pairs):
            part[cut, one] += halves[:, number, 0]
            part[cut, other] += halves[:, number, 1]
        kept = self.share.add_up(self.weight[:, None] * part)
        found: Floats = np.divide(kept, self.total, np.ones_like(kept), where=self.total > 0.0)
        return found
