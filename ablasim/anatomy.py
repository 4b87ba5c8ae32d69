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
from ablasim.anatomy_probes import ProbeShape, Solid, heat_distance, part_limits, place_probe
from ablasim.centreline import Branch
from ablasim.errors import UsageError
from ablasim.frames import CM_PER_S, MM
from ablasim.shapes import (
    Ellipsoid,
    FloatArray,
    HalfSpace,
    InfiniteCylinder,
    Sdf,
    Sphere,
    Tube,
    Vector,
    content_hash,
    vector,
)

if TYPE_CHECKING:
    from ablasim.scenario import Scenario

SMALLEST_MESHED_VESSEL = 3.0 * MM  # thinner ones lose their flow to heat: they count as perfusion
COLD = 20.0 * MM  # tissue farther from the hot part stays cool: thicker vessels may go there too
THINNEST_GROWTH = 0.2  # of the thinnest meshed vessel, per metre beyond COLD
THINNEST_FAR = 6.0 * MM


@dataclass(frozen=True)
class VesselShape:
    """A vessel whose wall is meshed.

    Attributes:
        name: the wall is the surface "vessel.<name>".
        kind: of the catalogue.
        diameter: inner, that of the thickest branch [m].
        velocity: mean velocity of the blood there [m/s].
        sdf: signed distance of the lumen.
        branches: its centreline and flow, branch by branch; empty where they are not known.
        measured: whether the diameter is its own; if not, the typical one of its kind stands in.
    """

    name: str
    kind: str
    diameter: float
    velocity: float
    sdf: Sdf
    branches: tuple[Branch, ...] = ()
    measured: bool = True


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
            [
                (probe.solids, probe.hot, part_limits(probe.data), *_more_parts(probe.data))
                for probe in self.probes
            ],
        )


def _more_parts(data: catalogue.ProbeData) -> list[tuple[float, float]]:
    """Limits of the active parts beyond the first, which `part_limits` does not tell."""
    return list(data.active_parts.values()) if len(data.active_parts) > 1 else []


def thinnest_vessel(heat: FloatArray) -> FloatArray:
    """Diameter from which a vessel of a label map is meshed, (n,) [m].

    Args:
        heat: (n,) distance from the hot part of the nearest probe [m].
    """
    grown = SMALLEST_MESHED_VESSEL + THINNEST_GROWTH * np.maximum(heat - COLD, 0.0)
    return np.minimum(grown, THINNEST_FAR)


def block_solid(shape: str, centre: FloatArray, size: tuple[float, float, float]) -> Solid:
    """The simulated region.

    Args:
        shape: "sphere", "box" or "cylinder" (axis z).
        centre: (3,) [m].
        size: extent along x, y, z [m].
    """
    centre = np.asarray(centre, dtype=np.float64)
    if shape == "sphere":
        return Solid(Sphere(vector(centre), 0.5 * size[0]))
    planes = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = sign * np.eye(3)[axis]
            planes.append(HalfSpace(vector(centre + 0.5 * size[axis] * normal), vector(normal)))
    if shape == "cylinder":
        tube = InfiniteCylinder(vector(centre), (0.0, 0.0, 1.0), 0.5 * size[0])
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


def place_probes(scenario: Scenario) -> tuple[ProbeShape, ...]:
    """The probes of a scenario in place."""
    return tuple(
        place_probe(
            placement.data,
            np.asarray(placement.tip_mm) * MM,
            np.asarray(placement.direction),
            math.radians(placement.roll_deg),
        )
        for placement in scenario.probes
    )


def build_anatomy(scenario: Scenario) -> Anatomy:
    """The shapes of a scenario that gives an ``anatomy`` or a ``labelmap``.

    Raises:
        UsageError: the scenario brings its own mesh, which has no anatomy.
        InputFileError, ScenarioError: the label map does not fit; see ``labelmap``.
    """
    probes = place_probes(scenario)
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
        middle = vector(np.asarray(ideal.tumour.centre_mm) * MM)
        tissues["tumour"] = ideal.tumour.tissue
        if ideal.tumour.shape == "sphere":
            tumour = Sphere(middle, 0.5 * ideal.tumour.diameter_mm * MM)
        else:
            tumour = Ellipsoid(middle, vector(0.5 * np.asarray(ideal.tumour.diameters_mm) * MM))
    vessels = tuple(
        VesselShape(
            vessel.name,
            vessel.kind,
            vessel.diameter_mm * MM,
            vessel.velocity_cm_s * CM_PER_S,
            Tube(_path(vessel.path_mm), 0.5 * vessel.outer_diameter_mm * MM),
            straight_branch(vessel.path_mm, vessel.diameter_mm, vessel.velocity_cm_s),
        )
        for vessel in ideal.meshed_vessels
    )
    return Anatomy(block_solid(block.shape, centre, size), None, tumour, vessels, probes, tissues)


def _from_labelmap(scenario: Scenario, probes: tuple[ProbeShape, ...]) -> Anatomy:
    from ablasim.labelmap import region_of_interest  # SimpleITK is slow to import

    section = scenario.labelmap
    assert section is not None
    region = region_of_interest(section, probes)
    vessels = []
    for kind, sdf in region.vessels.items():
        # a vessel too small for a skeleton has no branches: the kind's typical flow stands in
        known, branches = catalogue.vessel_kind(kind), region.branches[kind]
        trunk = max(branches, key=lambda branch: branch.diameter, default=known)
        flow = (trunk.diameter, trunk.velocity)
        vessels.append(VesselShape(kind, kind, *flow, sdf, branches, measured=bool(branches)))
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


def straight_branch(
    path_mm: tuple[Vector, ...], diameter_mm: float, velocity_cm_s: float
) -> tuple[Branch, ...]:
    """The one branch of a vessel that a scenario gives as a path."""
    return (Branch(np.asarray(path_mm) * MM, diameter_mm * MM, velocity_cm_s * CM_PER_S),)


def _path(points_mm: tuple[Vector, ...]) -> tuple[Vector, ...]:
    return tuple(vector(np.asarray(point) * MM) for point in points_mm)


__all__ = [
    "Anatomy",
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
