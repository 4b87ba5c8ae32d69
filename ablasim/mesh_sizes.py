"""How long an edge may be, point by point, for each resolution.

Heat and current fall off from a thin electrode like 1/r, so edges grow in proportion to the
distance from it up to the size that the 60 °C surface needs, and slowly from there on. Walls and
the tumour's surface have sizes of their own; away from each of them edges may grow again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablasim import catalogue
from ablasim.anatomy import Anatomy, ProbeShape, thinnest_vessel
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
        tube: on a vessel, at most this share of its diameter [-].
        turn: edges around a thin tube, at least: limits the electrode size on tines [-].
        rim: of the electrode size, at the ends of an electrode [-]: the current crowds there, and
            what is lost of it is lost in the impedance.
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
    tube: float
    turn: float
    rim: float = 1.0
    near: float = 12.0 * MM
    reach: float = 22.0 * MM


RESOLUTIONS: dict[str, Sizes] = {
    "preview": Sizes(
        0.50 * MM, 0.32, 1.8 * MM, 0.10, 0.40, 1.2 * MM, 2.2 * MM, 4.0 * MM, 9.0 * MM, 0.55, 6.0
    ),
    "standard": Sizes(
        0.28 * MM, 0.20, 1.1 * MM, 0.045, 0.20, 0.60 * MM, 1.1 * MM, 2.5 * MM, 5.0 * MM, 0.35, 7.0
    ),
    "fine": Sizes(
        0.14 * MM,
        0.10,
        0.8 * MM,
        0.03,
        0.25,
        0.30 * MM,
        0.6 * MM,
        1.5 * MM,
        4.0 * MM,
        0.25,
        12.0,
        rim=0.5,
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
            near = self._at(probe)
            size = np.minimum(size, near + s.electrode_growth * distance)
            if s.rim < 1.0 and probe.data.modality == "rf":
                crowded = s.rim * near + s.electrode_growth * _rim_distance(probe, x)
                size = np.minimum(size, crowded)
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
            typical, thinnest = vessel.diameter, np.asarray(vessel.diameter)
            if isinstance(vessel.sdf, GridSdf):  # its branches are of every calibre
                typical = catalogue.vessel_kind(vessel.kind).diameter
                thinnest = thinnest_vessel(heat)
            scale = np.clip(typical / (6.0 * MM), 0.6, 1.5)
            wall = np.minimum(s.wall * scale + remote, s.tube * thinnest)
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

    def longest_cut(self, x: FloatArray) -> FloatArray:
        """Longest edge that can be cut by the walls without breaking a thin tube, (n,) [m]."""
        longest = np.full(len(x), np.inf)
        heat = np.maximum(np.min([probe.hot(x) for probe in self.anatomy.probes], axis=0), 0.0)
        for probe in self.anatomy.probes:
            for solid in probe.solids:
                radius = getattr(solid.base, "radius", probe.data.radius)
                longest = np.minimum(longest, radius + np.abs(solid.sdf(x)))
        for vessel in self.anatomy.vessels:
            rough = isinstance(vessel.sdf, GridSdf)
            thinnest = thinnest_vessel(heat) if rough else vessel.diameter
            longest = np.minimum(longest, 0.5 * thinnest + np.abs(vessel.sdf(x)))
        return longest

    def finest(self) -> float:
        """The smallest edge that is wanted [m]."""
        return self.sizes.rim * min(self._at(probe) for probe in self.anatomy.probes)

    def _at(self, probe: ProbeShape) -> float:
        """Edge on a probe's hot part: thin tines need shorter ones [m]."""
        radii = [getattr(solid.base, "radius", np.inf) for solid in probe.solids]
        thinnest = min(radii, default=np.inf)
        return float(min(self.sizes.electrode, 2.0 * np.pi * thinnest / self.sizes.turn))


def _rim_distance(probe: ProbeShape, x: FloatArray) -> FloatArray:
    """Distance from the edges where planes end a probe's parts, (n,) [m]."""
    nearest: FloatArray = np.full(len(x), np.inf)
    for solid in probe.solids:
        wall = solid.base(x)
        for plane in (*solid.clips, *solid.marks):
            nearest = np.minimum(nearest, np.hypot(wall, plane(x)))
    return nearest


def _far_end(
    tip: tuple[float, float, float], direction: tuple[float, float, float]
) -> tuple[float, float, float]:
    x, y, z = (t + d for t, d in zip(tip, direction, strict=True))
    return x, y, z
