"""Centrelines of vessels: branches with the direction of flow, and where a wall point lies on them.

A vessel is a tree of branches. Each is a polyline in the direction of flow with one diameter and
one mean velocity; its feeders are the branches whose blood enters it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablasim.shapes import FloatArray


@dataclass(frozen=True, eq=False)
class Branch:
    """A piece of a vessel between two places where it divides or joins.

    Attributes:
        points: centreline in the direction of flow (k, 3), k >= 2 [m].
        diameter: inner [m].
        velocity: mean [m/s].
        feeders: numbers of the branches whose blood enters it.
    """

    points: FloatArray
    diameter: float
    velocity: float
    feeders: tuple[int, ...] = ()

    @property
    def length(self) -> float:
        """Along the centreline [m]."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())

    @property
    def flow(self) -> float:
        """Volume of blood per time [m3/s]."""
        return 0.25 * np.pi * self.diameter**2 * self.velocity


def locate(
    branches: Sequence[Branch], x: FloatArray
) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Where points of a wall lie along a vessel.

    Args:
        branches: of the vessel.
        x: points (n, 3) [m].

    Returns:
        For each point its branch (n,), the one whose round tube is nearest; how far along that
        branch it lies (n,) [m]; and its distance from the centreline (n,) [m].
    """
    nearest = np.full(len(x), np.inf)
    branch = np.zeros(len(x), dtype=np.int64)
    along, away = np.zeros(len(x)), np.zeros(len(x))
    for number, tube in enumerate(branches):
        start = 0.0
        for a, b in zip(tube.points[:-1], tube.points[1:], strict=True):
            way = b - a
            length = float(np.linalg.norm(way))
            share = np.clip((x - a) @ way / max(length**2, 1e-30), 0.0, 1.0)
            distance = np.linalg.norm(x - a - share[:, None] * way, axis=1)
            better = distance - 0.5 * tube.diameter < nearest
            nearest[better] = distance[better] - 0.5 * tube.diameter
            branch[better] = number
            along[better] = start + share[better] * length
            away[better] = distance[better]
            start += length
    return branch, along, away
