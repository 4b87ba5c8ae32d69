"""Distances that the rules of a scenario need; coordinates and lengths in mm, LPS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablasim.anatomy_probes import place_probe
from ablasim.catalogue import TinesShape
from ablasim.frames import MM, Array
from ablasim.scenario.anatomy import Block, BoxBlock, CylinderBlock, Sphere, Tumour
from ablasim.scenario.treatment import ProbePlacement


@dataclass(frozen=True)
class Region:
    """The simulated block with its centre resolved."""

    block: Block
    centre: Array  # (3,) [mm]

    @classmethod
    def of(cls, block: Block, probes: Sequence[ProbePlacement]) -> Region:
        """The region of a block; by default around the mean of the probes' active centres."""
        if block.centre_mm is not None:
            return cls(block, np.array(block.centre_mm))
        return cls(block, np.mean([probe.active_centre_mm for probe in probes], axis=0))

    def distance(self, points: Array) -> Array:
        """How far points (n, 3) lie outside, negative inside; (n,) [mm]."""
        block, offset = self.block, points - self.centre
        if isinstance(block, BoxBlock):
            return np.asarray(np.max(np.abs(offset) - np.array(block.size_mm) / 2, axis=1))
        if isinstance(block, CylinderBlock):
            radial = np.hypot(offset[:, 0], offset[:, 1]) - block.diameter_mm / 2
            return np.maximum(radial, np.abs(offset[:, 2]) - block.height_mm / 2)
        return np.asarray(np.linalg.norm(offset, axis=1) - block.diameter_mm / 2)

    def __str__(self) -> str:
        block, centre = self.block, show(self.centre)
        if isinstance(block, BoxBlock):
            return f"a box of {show(block.size_mm)} mm around {centre}"
        if isinstance(block, CylinderBlock):
            return f"a cylinder of {block.diameter_mm:g} x {block.height_mm:g} mm around {centre}"
        return f"a sphere of {block.diameter_mm:g} mm around {centre}"


def surface_points(tumour: Tumour) -> Array:
    """Points of a tumour's surface in the 26 directions of a cube's neighbours, (26, 3) [mm]."""
    steps = np.array([-1.0, 0.0, 1.0])
    directions = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    directions = directions[np.any(directions != 0, axis=1)]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    diameters = tumour.diameter_mm if isinstance(tumour, Sphere) else np.array(tumour.diameters_mm)
    return np.asarray(np.array(tumour.centre_mm) + directions * diameters / 2)


def shaft_axis(probe: ProbePlacement, region: Region | None) -> Array:
    """Ends (2, 3) of a shaft's axis: the tip, and the later of the entry and the region's edge."""
    tip, direction = np.array(probe.tip_mm), np.array(probe.direction)
    length = math.dist(probe.tip_mm, probe.entry_mm)
    if region is not None:
        further = np.arange(length, length + 2000.0, 1.0)
        inside = region.distance(tip + further[:, None] * direction) < 0
        length = float(further[np.argmin(inside)])
    return np.stack([tip, tip + length * direction])


@dataclass(frozen=True)
class Metal:
    """A straight or bent wire.

    Attributes:
        axis: its centre line (n, 3) [mm].
        radius: [mm].
        part: of a probe, in a message: "" for its shaft, or "tine 1 of ".
        moved_by: the keys that move it.
    """

    axis: Array
    radius: float
    part: str
    moved_by: str


def metal_ahead(probe: ProbePlacement) -> list[Metal]:
    """The tines of a probe; none for others."""
    shape = probe.data.shape
    if not isinstance(shape, TinesShape):
        return []
    placed = place_probe(
        probe.data,
        np.array(probe.tip_mm) * MM,
        np.array(probe.direction),
        math.radians(probe.roll_deg),
    )
    radius, keys = shape.tine_radius / MM, "tip_mm, or turn it with roll_deg"
    return [
        Metal(path / MM, radius, f"tine {number} of ", keys)
        for number, path in enumerate(placed.tine_paths, 1)
    ]


def metal_parts(probe: ProbePlacement, region: Region | None) -> list[Metal]:
    """The shaft of a probe, and its tines."""
    return [shaft(probe, region), *metal_ahead(probe)]


def shaft(probe: ProbePlacement, region: Region | None) -> Metal:
    """The shaft of a probe."""
    radius = probe.data.radius / MM
    return Metal(shaft_axis(probe, region), radius, "", "tip_mm or entry_mm")


def polyline_distance(first: Array, second: Array) -> float:
    """Shortest distance between two polylines, (n, 3) and (m, 3)."""
    return min(
        _segment_distance(first[i], first[i + 1], second[j], second[j + 1])
        for i in range(len(first) - 1)
        for j in range(len(second) - 1)
    )


def show(values: object) -> str:
    """A point as a person writes it."""
    return "[" + ", ".join(f"{value:g}" for value in np.round(np.asarray(values), 3)) + "]"


def _segment_distance(p: Array, q: Array, r: Array, s: Array) -> float:
    """Shortest distance between the segments pq and rs.

    The closest points of the two lines, clamped to the segments (Ericson, Real-Time Collision
    Detection, 5.1.9).
    """
    u, v, w = q - p, s - r, p - r
    a, e, b = float(u @ u), float(v @ v), float(u @ v)
    c, f = float(u @ w), float(v @ w)
    denominator = a * e - b * b
    parallel = denominator <= 1e-12 * a * e
    along = 0.0 if parallel else min(max((b * f - c * e) / denominator, 0.0), 1.0)
    other = (b * along + f) / e
    if not 0.0 <= other <= 1.0:
        other = min(max(other, 0.0), 1.0)
        along = min(max((b * other - c) / a, 0.0), 1.0)
    return float(np.linalg.norm(w + along * u - other * v))
