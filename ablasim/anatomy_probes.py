"""Probes in place: solids whose flat ends and insulation junctions are planes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ablasim.catalogue import AntennaShape, NeedleShape, ProbeData, TinesShape
from ablasim.shapes import (
    Cone,
    FloatArray,
    HalfSpace,
    Intersection,
    Sdf,
    Torus,
    Tube,
    Union,
    Vector,
    vector,
)

TINE_POINTS = 25
"""On the centre line of a tine: its chords keep within 1/400 of the arc's radius of it."""

FAR = 1.0  # [m]; a shaft runs this far past its tip, out of every block


@dataclass(frozen=True)
class Solid:
    """A body with sharp edges only where planes clip it.

    Attributes:
        base: smooth shape.
        clips: the body is the part of the base inside all of these.
        marks: planes whose trace on the wall separates named parts.
    """

    base: Sdf
    clips: tuple[HalfSpace, ...] = ()
    marks: tuple[HalfSpace, ...] = ()

    @property
    def sdf(self) -> Sdf:
        """Signed distance of the body."""
        return Intersection((self.base, *self.clips)) if self.clips else self.base


@dataclass(frozen=True)
class ProbeShape:
    """A probe in place.

    Attributes:
        data: of the catalogue, with the placement's coolant.
        tip: [m].
        direction: unit vector from the tip towards the entry.
        roll: turn about the axis [rad].
        solids: bodies that make up the probe.
        hot: shape around which heat is released, for mesh sizes.
    """

    data: ProbeData
    tip: Vector
    direction: Vector
    roll: float
    solids: tuple[Solid, ...]
    hot: Sdf

    @property
    def sdf(self) -> Sdf:
        """Signed distance of the whole probe."""
        parts = tuple(solid.sdf for solid in self.solids)
        return parts[0] if len(parts) == 1 else Union(parts)

    @property
    def active_centre(self) -> FloatArray:
        """Middle of the heating part, (3,) [m]."""
        return np.asarray(self.tip) + self.data.active_centre * np.asarray(self.direction)

    def along(self, x: FloatArray) -> FloatArray:
        """Distance from the tip along the axis towards the entry, (n,) [m]."""
        distance: FloatArray = (x - np.asarray(self.tip)) @ np.asarray(self.direction)
        return distance

    def surface_parts(self, x: FloatArray) -> list[str]:
        """Which part of the wall each point (n, 3) belongs to: an active part, cooled or shaft."""
        s = self.along(x)
        _, cooled_from, cooled_to = part_limits(self.data)
        part = np.where((s > cooled_from) & (s < cooled_to), "cooled", "shaft")
        for name, (start, end) in self.data.active_parts.items():
            # the first part reaches to the tip and to the tines ahead of it
            part = np.where((s < end) & ((s > start) | (start == 0.0)), name, part)
        return [str(name) for name in part]

    @property
    def tine_paths(self) -> FloatArray:
        """Centre lines of the tines, from the trocar to their ends (t, k, 3) [m]."""
        shape = self.data.shape
        if not isinstance(shape, TinesShape):
            return np.empty((0, TINE_POINTS, 3))
        tip, axis = np.asarray(self.tip), np.asarray(self.direction)
        turn = np.linspace(0.0, math.pi, TINE_POINTS)[:, None]
        outward = np.array(_tine_directions(shape, axis, self.roll))[:, None]
        along = shape.arc_centre_offset - shape.arc_radius * np.cos(turn)
        return np.asarray(tip + along * outward - shape.arc_radius * np.sin(turn) * axis)

    @property
    def sensor_points(self) -> FloatArray:
        """Where the probe's own thermometers are, (s, 3) [m]."""
        shape = self.data.shape
        if self.data.sensors == "none" or not isinstance(shape, TinesShape):
            return np.empty((0, 3))
        tip, reach = np.asarray(self.tip), shape.arc_centre_offset + shape.arc_radius
        directions = _tine_directions(shape, np.asarray(self.direction), self.roll)
        return np.stack([tip + reach * outward for outward in directions])


def heat_distance(probes: tuple[ProbeShape, ...], x: FloatArray) -> FloatArray:
    """Distance of points (n, 3) [m] from the hot part of the nearest probe, (n,) [m]."""
    nearest: FloatArray = np.asarray(np.min([probe.hot(x) for probe in probes], axis=0))
    return np.maximum(nearest, 0.0)


def part_limits(data: ProbeData) -> tuple[float, float, float]:
    """Where the active part ends, where the cooled shaft begins and ends, from the tip [m]."""
    active = max(end for _, end in data.active_parts.values())
    cooling = data.cooling
    if cooling is None or cooling.cooled_length <= 0.0:
        return active, math.inf, math.inf
    start = max(active, cooling.cooled_from)
    return active, start, cooling.cooled_from + cooling.cooled_length


def place_probe(
    data: ProbeData, tip: FloatArray, direction: FloatArray, roll: float = 0.0
) -> ProbeShape:
    """A probe of the catalogue put in place.

    Args:
        data: the probe.
        tip: (3,) [m].
        direction: (3,) from the tip towards the entry; any length.
        roll: turn about its axis [rad].
    """
    axis = np.asarray(direction, dtype=np.float64)
    axis = axis / np.linalg.norm(axis)
    tip = np.asarray(tip, dtype=np.float64)
    shape = data.shape
    radius = data.radius
    ends = {end for part in data.active_parts.values() for end in part if end > 0.0}
    limits = sorted(ends | {limit for limit in part_limits(data) if limit < FAR})
    marks = tuple(HalfSpace(vector(tip + s * axis), vector(axis)) for s in limits)
    end = HalfSpace(vector(tip), vector(-axis))
    # The base runs on past a flat end, so that only the plane makes the end.
    tube = Tube((vector(tip - 3.0 * radius * axis), vector(tip + FAR * axis)), radius)
    trunk: Sdf = tube
    solids: tuple[Solid, ...]
    if isinstance(shape, TinesShape):
        tines = _tines(shape, tip, axis, roll)
        solids = (*tines, Solid(tube, (end,), marks))
        heel = Tube((vector(tip), vector(tip + shape.conducting_length * axis)), radius)
        hot: Sdf = Union((heel, *(tine.sdf for tine in tines)))
    else:
        clips: tuple[HalfSpace, ...] = (end,)
        if isinstance(shape, AntennaShape) and shape.wire_length > 0.0:
            return _monopole(data, shape, tip, axis, roll)
        if isinstance(shape, NeedleShape) and shape.tip == "cone" and shape.cone_length > 0.0:
            cone = Cone(vector(tip), vector(axis), math.atan2(radius, shape.cone_length))
            trunk, clips = Intersection((tube, cone)), ()
        solids = (Solid(trunk, clips, marks),)
        length = part_limits(data)[0]
        if isinstance(shape, AntennaShape) and data.sar is not None:
            length = shape.slot_from_tip + data.sar.axial_length
        hot = Tube((vector(tip), vector(tip + length * axis)), radius)
    return ProbeShape(data, vector(tip), vector(axis), roll, solids, hot)


def _monopole(
    data: ProbeData, shape: AntennaShape, tip: FloatArray, axis: FloatArray, roll: float
) -> ProbeShape:
    """A cable with bare inner conductor ahead of it: a thin and a thick cylinder, ends flat."""
    thin = 0.5 * shape.wire_diameter
    cable_end = tip + shape.wire_length * axis
    # The wire runs on into the cable, so that only the cable's end plane cuts it.
    inside = cable_end + data.radius * axis
    wire = Tube((vector(tip - 3.0 * thin * axis), vector(inside)), thin)
    cable = Tube(
        (vector(cable_end - 3.0 * data.radius * axis), vector(tip + FAR * axis)), data.radius
    )
    cooled = sorted({s for s in part_limits(data)[1:] if shape.wire_length < s < FAR})
    marks = tuple(HalfSpace(vector(tip + s * axis), vector(axis)) for s in cooled)
    ahead = vector(-axis)
    solids = (
        Solid(wire, (HalfSpace(vector(tip), ahead),)),
        Solid(cable, (HalfSpace(vector(cable_end), ahead),), marks),
    )
    hot = Tube((vector(tip), vector(cable_end)), thin)
    return ProbeShape(data, vector(tip), vector(axis), roll, solids, hot)


def _tines(shape: TinesShape, tip: FloatArray, axis: FloatArray, roll: float) -> tuple[Solid, ...]:
    """Half tori ahead of the tip."""
    front = HalfSpace(vector(tip), vector(axis))
    solids = []
    for outward in _tine_directions(shape, axis, roll):
        normal = np.cross(axis, outward)
        centre = tip + shape.arc_centre_offset * outward
        torus = Torus(vector(centre), vector(normal), shape.arc_radius, shape.tine_radius)
        solids.append(Solid(torus, (front,)))
    return tuple(solids)


def _tine_directions(shape: TinesShape, axis: FloatArray, roll: float) -> list[FloatArray]:
    """Unit vectors from the axis to each tine; the first is a fixed one turned by the roll."""
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    across = np.cross(np.cross(axis, helper), axis)
    across = across / np.linalg.norm(across)
    sideways = np.cross(axis, across)
    angles = [roll + 2.0 * math.pi * i / shape.tine_count for i in range(shape.tine_count)]
    return [math.cos(angle) * across + math.sin(angle) * sideways for angle in angles]
