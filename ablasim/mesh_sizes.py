"""How long an edge may be, point by point, for each resolution.

Heat and current fall off from a thin electrode like 1/r, so edges grow in proportion to the
distance from it up to the size that the 60 °C surface needs, and slowly from there on. Walls and
the tumour's surface have sizes of their own; away from each of them edges may grow again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablasim.anatomy import Anatomy, thinnest_vessel
from ablasim.errors import UsageError
from ablasim.frames import MM
from ablasim.shapes import FloatArray, GridSdf, Tube


@dataclass(frozen=True)
class Sizes:
    """Edge lengths of one resolution.

    Attributes:
        electrode: on the hot part of a probe [m].
        electrode_growth: per metre of distance from it [-].
        plateau: where the growth turns slow [m].
        plateau_growth: from there to ``reach`` [-].
        near: distance from the hot part up to which walls are finest [m].
        reach: distance from the hot part up to which the zone can come [m].
        outer_growth: beyond it, and from every wall [-].
        wall: on a vessel of 6 mm near the hot part [m].
        tumour: on the tumour's surface [m].
        capsule: on the liver's surface [m].
        largest: anywhere [m].
        turn: edges around a thin tube, at least: limits the electrode size on tines [-].
    """

    electrode: float
    electrode_growth: float
    plateau: float
    plateau_growth: float
    outer_growth: float
    wall: float
    tumour: float
    capsule: float
    largest: float
    turn: float
    near: float = 12.0 * MM
    reach: float = 22.0 * MM


RESOLUTIONS: dict[str, Sizes] = {
    "preview": Sizes(
        0.55 * MM, 0.35, 2.0 * MM, 0.10, 0.35, 1.1 * MM, 1.8 * MM, 4.0 * MM, 8.0 * MM, 6.0
    ),
    "standard": Sizes(
        0.28 * MM, 0.25, 1.2 * MM, 0.05, 0.25, 0.60 * MM, 1.1 * MM, 2.5 * MM, 5.0 * MM, 8.0
    ),
    "fine": Sizes(
        0.14 * MM, 0.18, 0.7 * MM, 0.025, 0.25, 0.30 * MM, 0.6 * MM, 1.5 * MM, 4.0 * MM, 12.0
    ),
}


def sizes_of(resolution: str) -> Sizes:
    """The sizes of a named resolution."""
    if resolution not in RESOLUTIONS:
        names = ", ".join(RESOLUTIONS)
        raise UsageError(f"numerics.resolution: got {resolution!r}; use one of {names}")
    return RESOLUTIONS[resolution]


@dataclass(frozen=True)
class SizeField:
    """Edge length wanted at a point: (n, 3) [m] -> (n,) [m]."""

    anatomy: Anatomy
    sizes: Sizes

    def __call__(self, x: FloatArray) -> FloatArray:
        """Edge length (n,) [m]."""
        s = self.sizes
        size: FloatArray = np.full(len(x), s.largest)
        heat = np.full(len(x), np.inf)
        for probe in self.anatomy.probes:
            distance = np.maximum(probe.hot(x), 0.0)
            heat = np.minimum(heat, distance)
            near = min(s.electrode, 2.0 * np.pi * self._thinnest(probe.solids) / s.turn)
            size = np.minimum(size, near + s.electrode_growth * distance)
            # The insulated shaft only has to be there: six edges around it are enough.
            shaft = Tube((probe.tip, _far_end(probe.tip, probe.direction)), probe.data.radius)
            size = np.minimum(
                size,
                np.maximum(probe.data.radius, near) + s.outer_growth * np.maximum(shaft(x), 0.0),
            )
        slow = s.plateau + s.plateau_growth * np.minimum(heat, s.reach)
        size = np.minimum(size, slow + s.outer_growth * np.maximum(heat - s.reach, 0.0))
        # Farther from the heat a wall is seen through more tissue: it may be coarser.
        remote = 0.8 * s.outer_growth * np.maximum(heat - s.near, 0.0)
        for vessel in self.anatomy.vessels:
            scale = np.clip(vessel.diameter / (6.0 * MM), 0.6, 1.5)
            thinnest: float | FloatArray = vessel.diameter
            if isinstance(vessel.sdf, GridSdf):
                thinnest = thinnest_vessel(heat)
            wall = np.minimum(s.wall * scale + remote, 0.35 * thinnest)
            size = np.minimum(size, wall + s.outer_growth * np.abs(vessel.sdf(x)))
        if self.anatomy.tumour is not None:
            size = np.minimum(
                size, s.tumour + remote + s.outer_growth * np.abs(self.anatomy.tumour(x))
            )
        if self.anatomy.liver is not None:
            size = np.minimum(
                size, s.capsule + 2.0 * remote + s.outer_growth * np.abs(self.anatomy.liver(x))
            )
        return size

    @staticmethod
    def _thinnest(solids: tuple[object, ...]) -> float:
        radii = [getattr(getattr(solid, "base", None), "radius", None) for solid in solids]
        return float(min((r for r in radii if r is not None), default=np.inf))


def _far_end(
    tip: tuple[float, float, float], direction: tuple[float, float, float]
) -> tuple[float, float, float]:
    x, y, z = (t + d for t, d in zip(tip, direction, strict=True))
    return x, y, z
