"""Perfusion that ends by a temperature, for the peers: edge by edge, as in the engines."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from peer_case import Floats, Ints

from ablasim.mesh_cut import segment_fraction_above


class Supply:
    """What is left to each point: a twelfth of W V of each cell for each half of its edges."""

    def __init__(self, cells: Ints, weight: Floats, count: int):
        """Sum the cells' weights over the edges.

        Args:
            cells: corners (m, 4), of a rank's own cells.
            weight: W V of the cells (m,) [W/K].
            count: of points, ghosts included.
        """
        pairs = np.sort(cells[:, list(combinations(range(4), 2))].reshape(-1, 2), axis=1)
        key, edge = np.unique(
            pairs[:, 0].astype(np.int64) * count + pairs[:, 1], return_inverse=True
        )
        self.one, self.other, self.count = key // count, key % count, count
        self.weight = np.bincount(edge, np.repeat(weight / 12.0, 6))

    def left(self, excess: Floats) -> Floats:
        """Lumped W (count,) [W/K] left by an excess (count,) over the shut-down temperature."""
        below = excess < 0.0
        first, second = below[self.one], below[self.other]
        whole, cut = first & second, first != second
        one, other, weight = self.one[cut], self.other[cut], self.weight[cut]
        middle = 0.5 * (excess[one] + excess[other])
        ends = [(self.one[whole], self.weight[whole]), (self.other[whole], self.weight[whole])]
        for end in (one, other):
            ends.append((end, weight * (1.0 - segment_fraction_above(excess[end], middle))))
        found: Floats = sum(np.bincount(at, share, minlength=self.count) for at, share in ends)
        return found
