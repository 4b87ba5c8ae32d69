"""From the streams of a problem's walls to the matrices of `kernels.Streams`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from ablasim.physics.blood import blood_response
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.heat import Streams
from ablasim.solve.kernels import put

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def stream_arrays(
    problem: BioheatProblem, wall_point: NDArray[np.int32], wall_area: Floats, dtype: str
) -> Streams | None:
    """Matrices of the blood along the walls; None where no wall has a stream.

    Args:
        problem: its walls in their order.
        wall_point: solver points of all walls, wall after wall (b,).
        wall_area: their h A (b,) [W/K].
        dtype: of the arrays.
    """
    count = len(problem.mesh.points)
    station = np.zeros((2, len(wall_point)), dtype=np.int64)
    weight = np.zeros((2, len(wall_point)))
    responses, outlets, branches, stops, coagulates, inlet = [], [], [], [], [], []
    listed: list[Ints] = []  # wall points with a stream, by their position
    start = stations = found = 0
    for wall in problem.walls:
        size = len(wall.points)
        if wall.stream is not None:
            tree, place = wall.stream.tree, slice(start, start + size)
            station[:, place] = wall.stream.station.T + stations
            weight[:, place] = wall.stream.weight.T
            conductance = np.bincount(
                wall.stream.station.ravel(),
                (wall.stream.weight * wall_area[place, None]).ravel(),
                minlength=len(tree.branch),
            )
            mean, outlet = blood_response(tree, conductance)
            responses.append(mean)
            outlets.append(outlet)
            inlet.append(np.full(len(tree.branch), wall.temperature))
            branches.append(np.array(tree.branch) + found)
            stops.append(tree.stopped_with())
            coagulates.append(np.array(wall.stream.coagulates, dtype=float))
            listed.append(np.arange(start, start + size))
            stations += len(tree.branch)
            found += len(tree.capacity)
        start += size
    if not listed:
        return None
    flowing = np.concatenate(listed)
    gather, share = _station_means(station, weight * wall_area, flowing, stations)
    return Streams(
        gather=put(gather.astype(np.int32)),
        gather_weight=put(share, dtype),
        response=put(block_diag(*responses), dtype),
        outlet=put(block_diag(*outlets), dtype),
        inlet=put(np.concatenate(inlet), dtype),
        station=put(station.astype(np.int32)),
        weight=put(weight, dtype),
        slot=put(_slots(wall_point[flowing], flowing, count, len(wall_point)).astype(np.int32)),
        branch=put(np.concatenate(branches).astype(np.int32)),
        stopped_with=put(block_diag(*stops), dtype),
        coagulates=put(np.concatenate(coagulates), dtype),
        flowing=put(np.ones(found), dtype),
    )


def _station_means(
    station: Ints, conductance: Floats, flowing: Ints, stations: int
) -> tuple[Ints, Floats]:
    """Wall points around each station, and their shares of its mean wall temperature (k, s)."""
    where = np.concatenate([flowing, flowing])
    rows = station[:, flowing].ravel()
    share = conductance[:, flowing].ravel()
    used = share > 0.0
    rows, where, share = rows[used], where[used], share[used]
    order = np.argsort(rows, kind="stable")
    rows, where, share = rows[order], where[order], share[order]
    length = np.bincount(rows, minlength=stations)
    depth = np.arange(len(rows)) - np.repeat(np.append(0, np.cumsum(length)[:-1]), length)
    gather = np.zeros((max(int(length.max(initial=0)), 1), stations), dtype=np.int64)
    weight = np.zeros(gather.shape)
    total = np.bincount(rows, share, minlength=stations)
    gather[depth, rows] = where
    weight[depth, rows] = share / total[rows]
    return gather, weight


def _slots(points: NDArray[np.int32], position: Ints, count: int, none: int) -> Ints:
    """Positions of each point's entries in the list of wall points (m, n), `none` where padded."""
    order = np.argsort(points, kind="stable")
    sorted_points = points[order]
    length = np.bincount(sorted_points, minlength=count)
    depth = np.arange(len(order)) - np.repeat(np.append(0, np.cumsum(length)[:-1]), length)
    slot = np.full((max(int(length.max(initial=0)), 1), count), none, dtype=np.int64)
    slot[depth, sorted_points] = position[order]
    return slot
