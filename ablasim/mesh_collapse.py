"""Small cells removed: one end of a short edge is drawn onto the other.

Moving points cannot help a cell whose edges are too short. Few cells are concerned, so this is a
plain loop over them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ablasim.mesh_improve import merit, stars
from ablasim.mesh_split import EDGE_ENDS
from ablasim.mesh_tet import FloatArray, IntArray, tet_volumes

ROUNDS = 4
MOST_CELLS = 300  # of a round
WALL_VOLUME = 0.02  # share of a star's volume that may be lost at a curved wall


def collapse(
    points: FloatArray,
    cells: IntArray,
    height: float,
    kind: NDArray[np.int64],
    below: float,
) -> tuple[NDArray[np.bool_], IntArray, NDArray[np.int64]]:
    """Collapse edges of cells whose merit is below a bound.

    Args:
        points: (n, 3) [m].
        cells: (m, 4).
        height: wanted everywhere [m].
        kind: (n,) bits of the walls a point lies on; a point only goes to one with all of its bits.
        below: merit under which a cell is treated.

    Returns:
        Mask of the cells that stay (m,), the cells with their new corners (m, 4), and for each
        point where it went (n,).
    """
    cells = cells.copy()
    alive = np.ones(len(cells), dtype=np.bool_)
    target = np.arange(len(points))
    value = merit(points, cells, height)
    for _ in range(ROUNDS):
        starts, members = stars(cells[alive], len(points))
        number = np.flatnonzero(alive)
        poor = number[value[alive] < below]
        poor = poor[np.argsort(value[poor], kind="stable")][:MOST_CELLS]
        dirty = np.zeros(len(points), dtype=np.bool_)
        done = 0
        for cell in poor:
            corner = cells[cell]
            if not alive[cell] or dirty[corner].any():
                continue
            ends = corner[EDGE_ENDS]
            length = np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1)
            for k in np.argsort(length)[:3]:
                found = None
                for a, b in (ends[k], ends[k][::-1]):
                    if kind[a] & ~kind[b]:
                        continue
                    around = number[members[starts[a] : starts[a + 1]]]
                    found = _try(points, cells, height, value, a, b, around, bool(kind[a]), below)
                    if found is not None:
                        break
                if found is None:
                    continue
                gone, kept, new_cells, new_value = found
                dirty[cells[np.concatenate([gone, kept])].reshape(-1)] = True
                alive[gone] = False
                cells[kept], value[kept] = new_cells, new_value
                target[a] = b
                done += 1
                break
        if not done:
            break
    for _ in range(ROUNDS):
        target = target[target]
    return alive, cells, target


def _try(
    points: FloatArray,
    cells: IntArray,
    height: float,
    value: FloatArray,
    a: int,
    b: int,
    around: NDArray[np.int64],
    on_wall: bool,
    below: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], IntArray, FloatArray] | None:
    """What drawing point a onto b does to the cells around a; None where it is no gain."""
    both = (cells[around] == b).any(axis=1)
    gone, kept = around[both], around[~both]
    new_cells = np.where(cells[kept] == a, b, cells[kept]).astype(np.int32)
    before = float(tet_volumes(points, cells[around]).sum())
    volumes = tet_volumes(points, new_cells)
    allowed = (WALL_VOLUME if on_wall else 1e-9) * before
    # Equal volume without a negative part means that the new cells fill the same place once.
    if not len(kept) or volumes.min() <= 0.0 or abs(volumes.sum() - before) > allowed:
        return None
    new_value = merit(points, new_cells, height)
    old_value = value[around]
    fewer = np.count_nonzero(new_value < below) < np.count_nonzero(old_value < below)
    if new_value.min() < old_value.min() or not fewer:
        return None
    return gone, kept, new_cells, new_value
