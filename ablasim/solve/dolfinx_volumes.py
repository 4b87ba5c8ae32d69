"""Volumes above a level over all ranks, for progress and history."""

from __future__ import annotations

import numpy as np

from ablasim.mesh_cut import tet_fraction_above
from ablasim.solve.dolfinx_share import Floats, Share


def volume_above(share: Share, cell_volume: Floats, values: Floats, level: float) -> float:
    """Volume [m3] where a linear function (p,) is at or above a level.

    Args:
        share: this rank's part of the mesh.
        cell_volume: of the own cells (m,) [m3].
        values: at the own nodes (p,); only those at corners count.
        level: in their unit.
    """
    corners = share.with_ghosts(values)[share.cells[:, :4]]
    above = (corners >= level).sum(axis=1)
    fraction, cut = (above == 4).astype(float), (above > 0) & (above < 4)
    fraction[cut] = tet_fraction_above(corners[cut], level)
    return float(share.total((cell_volume * fraction).sum()))


def exceeded_in(share: Share, weight: Floats, values: Floats, amount: float) -> float:
    """Value that is exceeded in a given volume, by bisection.

    Five halvings at a time: every sum over the ranks is a message that all wait for.

    Args:
        share: this rank's part of the mesh.
        weight: volume of the own nodes (p,) [m3].
        values: there (p,).
        amount: the volume [m3].
    """
    low = -share.largest(-values.min(initial=np.inf))  # a rank may own no node
    high = share.largest(values.max(initial=-np.inf))
    above = values
    for _ in range(4):
        levels = np.array([low, high])
        for _ in range(5):
            middles = 0.5 * (levels[1:] + levels[:-1])
            levels = np.insert(levels, np.arange(1, len(levels)), middles)
        place = np.searchsorted(levels, above)
        between = share.total(np.bincount(place, weight, minlength=len(levels) + 1))
        volume = between[::-1].cumsum()[::-1][1:]  # above each level
        last = int(np.count_nonzero(volume[1:-1] > amount))
        low, high = float(levels[last]), float(levels[last + 1])
        above, weight = above[place > last], weight[place > last]
    return 0.5 * (low + high)
