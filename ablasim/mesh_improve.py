"""Better worst cells: points around them move to where the poorest cell of their star is best.

An explicit step is bounded by the smallest height in the mesh, so a handful of flat or small cells
would slow the whole solution. A point of a wall stays on it; corners stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ablasim.mesh_tet import FloatArray, IntArray, tet_heights, tet_quality

POOR = 0.25  # cells below this merit have their points moved
ROUNDS = 12
MOST_CELLS = 2000  # the poorest ones, of a round
SHAPE_WEIGHT = 1.25  # a shape quality of 0.2 is as poor as a height of a quarter of the scale


def merit(points: FloatArray, cells: IntArray, height: float) -> FloatArray:
    """The smaller of weighted shape quality and height over a wanted height, (m,).

    Args:
        points: (n, 3) [m].
        cells: (m, 4).
        height: at which a cell is good enough [m].
    """
    quality = tet_quality(points, cells)
    smallest = np.sign(quality) * tet_heights(points, cells)
    smaller: FloatArray = np.minimum(SHAPE_WEIGHT * quality, smallest / height)
    return smaller


def improve(
    points: FloatArray,
    cells: IntArray,
    height: float,
    movable: NDArray[np.bool_],
    onto_walls: Callable[[NDArray[np.int64], FloatArray], FloatArray],
) -> FloatArray:
    """Move points of poor cells.

    Args:
        points: (n, 3) [m].
        cells: (m, 4).
        height: wanted everywhere [m].
        movable: (n,) points that may move.
        onto_walls: takes numbers (k,) and trial positions (k, 3) [m] to the walls they belong to.

    Returns:
        points: (n, 3) [m]; no cell's star has got worse.
    """
    points = points.copy()
    starts, star = stars(cells, len(points))
    random = np.random.default_rng(1)  # fixed: the same anatomy gives the same mesh
    value = merit(points, cells, height)
    for _ in range(ROUNDS):
        poor = np.flatnonzero(value < POOR)
        if len(poor) > MOST_CELLS:
            poor = poor[np.argpartition(value[poor], MOST_CELLS)[:MOST_CELLS]]
        touched = np.unique(cells[poor]).astype(np.int64)
        touched = touched[movable[touched]]
        if not len(touched):
            break
        count = starts[touched + 1] - starts[touched]
        owner = np.repeat(np.arange(len(touched)), count)
        around = star[_ranges(starts[touched], count)]
        here = np.minimum.reduceat(value[around], np.concatenate([[0], np.cumsum(count)[:-1]]))
        best, place = here.copy(), points[touched].copy()
        for trial in _trials(points, cells, touched, owner, around, value, random):
            trial = onto_walls(touched, trial)
            result = _worst_with(points, cells, height, touched, owner, around, trial)
            better = result > best + 1e-3
            best[better], place[better] = result[better], trial[better]
        gain = best - here
        chosen = _independent(gain, owner, around, len(cells))
        if not chosen.any():
            break
        points[touched[chosen]] = place[chosen]
        changed = np.unique(around[chosen[owner]])
        value[changed] = merit(points, cells[changed], height)
    return points


def stars(cells: IntArray, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells around each point as rows of a sparse table: starts (n + 1,) and members."""
    corner = cells.reshape(-1)
    order = np.argsort(corner, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(corner, minlength=n))])
    return starts, order // 4


def _ranges(starts: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """starts[0], starts[0] + 1, ... (count[0] of them), starts[1], ..."""
    ends = np.cumsum(count)
    result: NDArray[np.int64] = np.arange(ends[-1]) + np.repeat(starts - ends + count, count)
    return result


def _trials(
    points: FloatArray,
    cells: IntArray,
    touched: NDArray[np.int64],
    owner: NDArray[np.int64],
    around: NDArray[np.int64],
    value: FloatArray,
    random: np.random.Generator,
) -> list[FloatArray]:
    """Places to try: towards the middle of the star, off the poorest cell's base, at random."""
    here = points[touched]
    weight = np.bincount(owner)[:, None]
    middle = np.zeros_like(here)
    np.add.at(middle, owner, points[cells[around]].mean(axis=1))
    middle = middle / weight * (4.0 / 3.0) - here / 3.0  # without the point itself
    order = np.lexsort((value[around], owner))
    first = np.concatenate([[True], owner[order][1:] != owner[order][:-1]])
    poorest = around[order[first]]
    base = cells[poorest]
    own = base == touched[:, None]
    rest = base[~own].reshape(-1, 3)
    a, b, c = (points[rest[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1), 1e-30)[:, None]
    side = np.sign(np.einsum("ij,ij->i", here - a, normal))[:, None]
    reach = np.linalg.norm(middle - a, axis=1)[:, None]
    trials = [here + step * (middle - here) for step in (0.25, 0.6, 1.0)]
    trials += [here + step * reach * side * normal for step in (0.08, 0.2)]
    trials += [here + 0.15 * reach * random.normal(size=here.shape) for _ in range(3)]
    return trials


def _worst_with(
    points: FloatArray,
    cells: IntArray,
    height: float,
    touched: NDArray[np.int64],
    owner: NDArray[np.int64],
    around: NDArray[np.int64],
    trial: FloatArray,
) -> FloatArray:
    """Poorest merit of each point's star with that point alone at its trial place, (k,)."""
    own = cells[around] == touched[owner][:, None]
    corner = np.where(own[:, :, None], trial[owner][:, None, :], points[cells[around]])
    numbers = np.arange(4 * len(around), dtype=np.int32).reshape(-1, 4)
    value = merit(corner.reshape(-1, 3), numbers, height)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(owner)) + 1])
    worst: FloatArray = np.minimum.reduceat(value, starts)
    return worst


def _independent(
    gain: FloatArray, owner: NDArray[np.int64], around: NDArray[np.int64], n_cells: int
) -> NDArray[np.bool_]:
    """Points with the largest gain in all of their cells, so that no two of a cell move."""
    rank = np.empty(len(gain), dtype=np.int64)
    rank[np.argsort(gain, kind="stable")] = np.arange(len(gain))
    top = np.full(n_cells, -1, dtype=np.int64)
    np.maximum.at(top, around, rank[owner])
    loses = np.zeros(len(gain), dtype=np.bool_)
    loses[owner[top[around] != rank[owner]]] = True
    chosen: NDArray[np.bool_] = ~loses & (gain > 0.0)
    return chosen
