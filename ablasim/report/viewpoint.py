"""From where to look at a run: the thin part of the tumour in sight, no vessel in front of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ablasim.report.saved import SavedRun

Array = NDArray[np.float64]

TURNS_DEG = tuple(range(-170, 171, 20))  # never along an axis: depth would be lost
LIFTS_DEG = (-22.0, 14.0, 30.0)
OTHER_SIDE_DEG = 70.0
FRONTAL = 0.45
"""Worth of the front view, against 0.6 for the tumour and 1.6 for its thinnest part."""
CELL_MM = 1.5
THIN_SHARE = 0.15
"""Of the tumour's surface: the part with the thinnest margin, which counts most."""


def view_axis(run: SavedRun, centre: Array, *, other_side: bool = False) -> Array:
    """From the scene to the reader, (3,) unit vector; with `other_side` the best of the views that
    are turned away from the first one.

    Seen straight on, the vessel that thins a margin would hide it. Of a fan of views the one is
    taken that shows most of the tumour and of its thinnest part and is not far from the front.
    """
    views = [(turn, lift, _axis(turn, lift)) for turn in TURNS_DEG for lift in LIFTS_DEG]
    scores = np.array([_score(run, axis, FRONTAL) for _, _, axis in views])
    best = int(np.argmax(scores))
    if other_side:
        away = np.array([abs((turn - views[best][0] + 180) % 360 - 180) for turn, _, _ in views])
        scores = np.array([_score(run, axis, 0.0) for _, _, axis in views])
        scores[away < OTHER_SIDE_DEG] = -np.inf
        best = int(np.argmax(scores))
    return views[best][2]


def _axis(turn_deg: float, lift_deg: float) -> Array:
    """A view turned from the front towards the patient's left, and lifted towards the head."""
    turn, lift = np.radians((turn_deg, lift_deg))
    return np.array(
        [np.sin(turn) * np.cos(lift), -np.cos(turn) * np.cos(lift), np.sin(lift)], dtype=np.float64
    )


def _score(run: SavedRun, axis: Array, frontal: float) -> float:
    front = frontal * float(-axis[1]) + 0.1 * float(axis[2])
    if run.margin is None:
        return front - 0.2 * abs(float(axis[0]))
    points, normals, margins = run.tumour_samples
    faces_reader = normals @ axis > 0.1
    seen = faces_reader & ~_hidden(points, run.vessel_samples, axis)
    thin = margins <= np.quantile(margins, THIN_SHARE)
    # Foreshortened surface is hard to read, so what is seen counts by its cosine.
    weight = np.clip(normals @ axis, 0.0, 1.0)
    share = float((seen * weight).sum() / max(float((faces_reader * weight).sum()), 1e-9))
    return front + 0.6 * share + 1.6 * float((seen * weight)[thin].mean())


def _hidden(points: Array, obstacles: Array, axis: Array) -> NDArray[np.bool_]:
    """Which points (n, 3) lie behind obstacles (k, 3) as seen along an axis, on a coarse raster."""
    if len(obstacles) == 0:
        return np.zeros(len(points), dtype=bool)
    right = np.cross((0.0, 0.0, 1.0), axis)
    right /= np.linalg.norm(right)
    up = np.cross(axis, right)
    low = points @ np.array([right, up]).T
    corner = low.min(axis=0) - 2.0 * CELL_MM
    size = np.ceil((np.ptp(low, axis=0) + 4.0 * CELL_MM) / CELL_MM).astype(int) + 1
    nearest = np.full(size, -np.inf)
    place = np.floor((obstacles @ np.array([right, up]).T - corner) / CELL_MM).astype(int)
    close = np.all((place >= -1) & (place <= size), axis=1)
    place, depth = place[close], obstacles[close] @ axis
    for shift in np.ndindex(3, 3):
        cell = place + np.array(shift) - 1
        inside = np.all((cell >= 0) & (cell < size), axis=1)
        np.maximum.at(nearest, tuple(cell[inside].T), depth[inside])
    own = ((low - corner) / CELL_MM).astype(int)
    hidden: NDArray[np.bool_] = nearest[tuple(own.T)] > points @ axis
    return hidden
