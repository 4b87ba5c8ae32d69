"""Anatomy: tumour, vessels, liver, simulated block and probes as signed distance functions [m].

A body that is meshed is a ``Solid``: a smooth base shape, planes that clip it (the flat end of a
needle) and planes that only mark it (where the insulation begins). The mesher makes every plane a
line of edges on the base's wall, so sharp ends and the insulation junction stay sharp.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ablasim import catalogue
from ablasim.catalogue import AntennaShape, NeedleShape, ProbeData, TinesShape
from ablasim.errors import UsageError
from ablasim.frames import CM_PER_S, MM
from ablasim.shapes import (
    Box,
    Cone,
    Ellipsoid,
    FloatArray,
    HalfSpace,
    InfiniteCylinder,
    Intersection,
    Sdf,
    Sphere,
    Torus,
    Tube,
    Union,
    Vector,
    content_hash,
)

if TYPE_CHECKING:
    from ablasim.scenario import Scenario

SMALLEST_MESHED_VESSEL = 3.0 * MM  # thinner ones lose their flow to heat: they count as perfusion
COLD = 20.0 * MM  # tissue farther from the hot part stays cool: thicker vessels may go there too
THINNEST_GROWTH = 0.2  # of the thinnest meshed vessel, per metre beyond COLD
THINNEST_FAR = 6.0 * MM
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
class VesselShape:
    """A vessel whose wall is meshed.

    Attributes:
        name: the wall is the surface "vessel.<name>".
        kind: of the catalogue.
        diameter: inner diameter for the heat transfer [m].
        velocity: mean velocity of the blood [m/s].
        sdf: signed distance of the lumen.
        path: (k, 3) points of the centreline [m], in the direction of ``Scenario``; None where the
            vessel comes from a label map.
    """

    name: str
    kind: str
    diameter: float
    velocity: float
    sdf: Sdf
    path: tuple[Vector, ...] | None = None


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
        """Which part of the wall each point (n, 3) belongs to: active, cooled or shaft."""
        s = self.along(x)
        active, cooled_from, cooled_to = part_limits(self.data)
        part = np.where(
            s < active, "active", np.where((s > cooled_from) & (s < cooled_to), "cooled", "shaft")
        )
        return [str(name) for name in part]


@dataclass(frozen=True)
class Anatomy:
    """Everything that has a shape, LPS [m].

    Attributes:
        block: the simulated region.
        liver: None where the whole block is liver.
        tumour: None where there is none.
        vessels: those that are meshed.
        probes: at least one.
        tissues: name of the tissue in each region: "liver", "tumour", "outside".
    """

    block: Solid
    liver: Sdf | None
    tumour: Sdf | None
    vessels: tuple[VesselShape, ...]
    probes: tuple[ProbeShape, ...]
    tissues: Mapping[str, str] = field(default_factory=dict)

    @property
    def active_centre(self) -> FloatArray:
        """Middle of the probes' heating parts, (3,) [m]."""
        centre: FloatArray = np.mean([probe.active_centre for probe in self.probes], axis=0)
        return centre

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions that can occur, in the order of the mesh's numbers."""
        return ("liver", "tumour", "outside")

    def key(self) -> str:
        """Hash of the shapes and their names: what decides the mesh, and nothing else."""
        return content_hash(
            self.block,
            self.liver,
            self.tumour,
            [(vessel.name, vessel.sdf) for vessel in self.vessels],
            [(probe.solids, probe.hot, part_limits(probe.data)) for probe in self.probes],
        )


def thinnest_vessel(heat: FloatArray) -> FloatArray:
    """Diameter from which a vessel of a label map is meshed, (n,) [m].

    Args:
        heat: (n,) distance from the hot part of the nearest probe [m].
    """
    grown = SMALLEST_MESHED_VESSEL + THINNEST_GROWTH * np.maximum(heat - COLD, 0.0)
    return np.minimum(grown, THINNEST_FAR)


def heat_distance(probes: tuple[ProbeShape, ...], x: FloatArray) -> FloatArray:
    """Distance of points (n, 3) [m] from the hot part of the nearest probe, (n,) [m]."""
    nearest: FloatArray = np.min([probe.hot(x) for probe in probes], axis=0)
    return np.maximum(nearest, 0.0)


def part_limits(data: ProbeData) -> tuple[float, float, float]:
    """Where the active part ends, where the cooled shaft begins and ends, from the tip [m]."""
    shape = data.shape
    if isinstance(shape, NeedleShape):
        active = shape.active_length
    elif isinstance(shape, TinesShape):
        active = shape.conducting_length
    else:
        active = shape.slot_from_tip + 0.5 * shape.slot_length
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
    limits = sorted({limit for limit in part_limits(data) if limit < FAR})
    marks = tuple(HalfSpace(_vector(tip + s * axis), _vector(axis)) for s in limits)
    end = HalfSpace(_vector(tip), _vector(-axis))
    # The base runs on past a flat end, so that only the plane makes the end.
    tube = Tube((_vector(tip - 3.0 * radius * axis), _vector(tip + FAR * axis)), radius)
    trunk: Sdf = tube
    solids: tuple[Solid, ...]
    if isinstance(shape, TinesShape):
        tines = _tines(shape, tip, axis, roll)
        solids = (*tines, Solid(tube, (end,), marks))
        heel = Tube((_vector(tip), _vector(tip + shape.conducting_length * axis)), radius)
        hot: Sdf = Union((heel, *(tine.sdf for tine in tines)))
    else:
        clips: tuple[HalfSpace, ...] = (end,)
        if isinstance(shape, NeedleShape) and shape.tip == "cone" and shape.cone_length > 0.0:
            cone = Cone(_vector(tip), _vector(axis), math.atan2(radius, shape.cone_length))
            trunk, clips = Intersection((tube, cone)), ()
        solids = (Solid(trunk, clips, marks),)
        length = part_limits(data)[0]
        if isinstance(shape, AntennaShape) and data.sar is not None:
            length = shape.slot_from_tip + data.sar.axial_length
        hot = Tube((_vector(tip), _vector(tip + length * axis)), radius)
    return ProbeShape(data, _vector(tip), _vector(axis), roll, solids, hot)


def _tines(shape: TinesShape, tip: FloatArray, axis: FloatArray, roll: float) -> tuple[Solid, ...]:
    """Half tori ahead of the tip; the first points along ``across`` turned by the roll."""
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    across = np.cross(np.cross(axis, helper), axis)
    across = across / np.linalg.norm(across)
    sideways = np.cross(axis, across)
    front = HalfSpace(_vector(tip), _vector(axis))
    solids = []
    for i in range(shape.tine_count):
        angle = roll + 2.0 * math.pi * i / shape.tine_count
        outward = math.cos(angle) * across + math.sin(angle) * sideways
        normal = np.cross(axis, outward)
        centre = tip + shape.arc_centre_offset * outward
        torus = Torus(_vector(centre), _vector(normal), shape.arc_radius, shape.tine_radius)
        solids.append(Solid(torus, (front,)))
    return tuple(solids)


def block_solid(shape: str, centre: FloatArray, size: tuple[float, float, float]) -> Solid:
    """The simulated region.

    Args:
        shape: "sphere", "box" or "cylinder" (axis z).
        centre: (3,) [m].
        size: extent along x, y, z [m].
    """
    centre = np.asarray(centre, dtype=np.float64)
    if shape == "sphere":
        return Solid(Sphere(_vector(centre), 0.5 * size[0]))
    planes = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = sign * np.eye(3)[axis]
            planes.append(HalfSpace(_vector(centre + 0.5 * size[axis] * normal), _vector(normal)))
    if shape == "cylinder":
        tube = InfiniteCylinder(_vector(centre), (0.0, 0.0, 1.0), 0.5 * size[0])
        return Solid(tube, tuple(planes[4:]))
    return Solid(planes[0], tuple(planes[1:]))


def bounding_box(block: Solid) -> tuple[FloatArray, FloatArray]:
    """Lower and upper corner of a block, (3,) each [m]."""
    low, high = np.full(3, -math.inf), np.full(3, math.inf)
    for part in (block.base, *block.clips):
        if isinstance(part, Sphere):
            low = np.maximum(low, np.asarray(part.centre) - part.radius)
            high = np.minimum(high, np.asarray(part.centre) + part.radius)
        elif isinstance(part, InfiniteCylinder):
            across = np.where(np.asarray(part.axis) == 0.0, part.radius, math.inf)
            low = np.maximum(low, np.asarray(part.point) - across)
            high = np.minimum(high, np.asarray(part.point) + across)
        elif isinstance(part, HalfSpace):
            axis = int(np.argmax(np.abs(part.normal)))
            if part.normal[axis] > 0.0:
                high[axis] = min(high[axis], part.point[axis])
            else:
                low[axis] = max(low[axis], part.point[axis])
        else:
            raise UsageError(f"block: got {type(part).__name__}; use block_solid() to make one")
    return low, high


def build_anatomy(scenario: Scenario) -> Anatomy:
    """The shapes of a scenario that gives an ``anatomy`` or a ``labelmap``.

    Raises:
        UsageError: the scenario brings its own mesh, which has no anatomy.
        InputFileError, ScenarioError: the label map does not fit; see ``labelmap``.
    """
    probes = tuple(
        place_probe(
            placement.data,
            np.asarray(placement.tip_mm) * MM,
            np.asarray(placement.direction),
            math.radians(placement.roll_deg),
        )
        for placement in scenario.probes
    )
    if scenario.labelmap is not None:
        return _from_labelmap(scenario, probes)
    ideal = scenario.anatomy
    if ideal is None:
        raise UsageError("build_anatomy: the scenario brings its own mesh; read it by read_mesh()")
    centre = np.mean([probe.active_centre for probe in probes], axis=0)
    block = ideal.block
    if block.centre_mm is not None:
        centre = np.asarray(block.centre_mm) * MM
    if block.shape == "sphere":
        size = (block.diameter_mm * MM,) * 3
    elif block.shape == "cylinder":
        size = (block.diameter_mm * MM, block.diameter_mm * MM, block.height_mm * MM)
    else:
        size = (block.size_mm[0] * MM, block.size_mm[1] * MM, block.size_mm[2] * MM)
    tumour: Sdf | None = None
    tissues = {"liver": ideal.liver.tissue}
    if ideal.tumour is not None:
        middle = _vector(np.asarray(ideal.tumour.centre_mm) * MM)
        tissues["tumour"] = ideal.tumour.tissue
        if ideal.tumour.shape == "sphere":
            tumour = Sphere(middle, 0.5 * ideal.tumour.diameter_mm * MM)
        else:
            tumour = Ellipsoid(middle, _vector(0.5 * np.asarray(ideal.tumour.diameters_mm) * MM))
    vessels = tuple(
        VesselShape(
            vessel.name,
            vessel.kind,
            vessel.diameter_mm * MM,
            vessel.velocity_cm_s * CM_PER_S,
            Tube(path := _path(vessel.path_mm), 0.5 * vessel.diameter_mm * MM),
            path,
        )
        for vessel in ideal.vessels
        if vessel.diameter_mm * MM >= SMALLEST_MESHED_VESSEL
    )
    return Anatomy(block_solid(block.shape, centre, size), None, tumour, vessels, probes, tissues)


def _from_labelmap(scenario: Scenario, probes: tuple[ProbeShape, ...]) -> Anatomy:
    from ablasim.labelmap import region_of_interest  # SimpleITK is slow to import

    section = scenario.labelmap
    assert section is not None
    region = region_of_interest(section, probes)
    vessels = []
    for kind, sdf in region.vessels.items():
        known = catalogue.vessel_kind(kind)
        flow = section.vessels.get(kind)
        diameter = (
            known.diameter if flow is None or flow.diameter_mm is None else flow.diameter_mm * MM
        )
        velocity = (
            known.velocity
            if flow is None or flow.velocity_cm_s is None
            else flow.velocity_cm_s * CM_PER_S
        )
        vessels.append(VesselShape(kind, kind, diameter, velocity, sdf))
    tissues = {
        "liver": section.tissues.liver,
        "tumour": section.tissues.tumour,
        "outside": section.tissues.outside,
    }
    size = (section.roi_mm * MM,) * 3
    return Anatomy(
        block_solid("box", region.centre, size),
        region.liver,
        region.tumour,
        tuple(vessels),
        probes,
        tissues,
    )


def _path(points_mm: tuple[Vector, ...]) -> tuple[Vector, ...]:
    return tuple(_vector(np.asarray(point) * MM) for point in points_mm)


def _vector(x: FloatArray) -> Vector:
    return float(x[0]), float(x[1]), float(x[2])


__all__ = [
    "Anatomy",
    "Box",
    "ProbeShape",
    "Solid",
    "VesselShape",
    "block_solid",
    "bounding_box",
    "build_anatomy",
    "heat_distance",
    "part_limits",
    "place_probe",
    "thinnest_vessel",
]
