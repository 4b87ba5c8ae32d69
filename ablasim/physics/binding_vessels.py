"""The walls of vessels: coefficient point by point, and the blood that warms along them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ablasim.anatomy import Anatomy, VesselShape
from ablasim.centreline import Branch, locate
from ablasim.frames import CM_PER_S, MM
from ablasim.mesh import TetMesh
from ablasim.physics.blood import STASIS_DIAMETER, BloodTree
from ablasim.physics.problem import Stream, Wall
from ablasim.physics.vessels import (
    LAMINAR_LIMIT,
    TubeFlow,
    laminar_velocity,
    range_warning,
    through_wall,
    wall_coefficient,
)
from ablasim.scenario import Scenario, vessel_cautions
from ablasim.scenario.anatomy import Vessel, WallExchange
from ablasim.scenario.flow import tube_flow

Floats = NDArray[np.float64]

STATION = 1.5 * MM
"""Length of a station [m]: about as long as an edge of the wall; the balance is exact in each."""

MOST_STATIONS = 300
"""Per vessel: their balance is a full matrix that is applied in every stage of a step."""

STILL_LAMINAR = 0.999
"""Share of the velocity at the laminar limit to which a measured branch's is lowered."""


@dataclass(frozen=True)
class BranchFlow:
    """What is assumed of the flow in one branch of a vessel.

    Attributes:
        branch: centreline, diameter, velocity.
        flow: the same as numbers of the correlations.
        coefficient: h at the meshed wall [W/m2/K].
        warning: a correlation out of its range; None where all is well.
        lowered: that the velocity was lowered to keep the flow laminar; None where it was not.
    """

    branch: Branch
    flow: TubeFlow
    coefficient: float
    warning: str | None
    lowered: str | None = None


def vessel_walls(scenario: Scenario, anatomy: Anatomy, mesh: TetMesh) -> tuple[Wall, ...]:
    """The walls of the vessels that the mesh has.

    Raises:
        AblasimError: a flow lies outside the range of every wall correlation.
    """
    return tuple(
        _wall(scenario, vessel, mesh)
        for vessel in anatomy.vessels
        if f"vessel.{vessel.name}" in mesh.surfaces
    )


def vessel_flows(scenario: Scenario, vessel: VesselShape) -> tuple[BranchFlow, ...]:
    """Flow and wall coefficient of a vessel's branches; one where its centreline is not known.

    A branch of a label map has a measured calibre: where its flow would not be laminar, its
    velocity is lowered, rather than that one branch refuses the run.

    Raises:
        AblasimError: a flow lies outside the range of every wall correlation.
    """
    exchange = exchange_of(scenario, vessel.name)
    nowhere = np.zeros((2, 3))
    branches = vessel.branches or (Branch(nowhere, vessel.diameter, vessel.velocity),)
    flows = []
    for branch in branches:
        flow, lowered = tube_flow(exchange, branch.diameter, branch.velocity), None
        if (
            scenario.labelmap is not None
            and exchange.h_W_m2K is None
            and flow.reynolds >= LAMINAR_LIMIT
        ):
            branch, lowered = _kept_laminar(branch, flow)
            flow = replace(flow, velocity=branch.velocity)
        if exchange.h_W_m2K is not None:
            inner, warning = exchange.h_W_m2K, None
        else:
            inner = wall_coefficient(flow, exchange.correlation)
            warning = range_warning(flow, exchange.correlation)
        outer = inner
        if isinstance(exchange, Vessel) and exchange.wall_conductivity_W_mK is not None:
            thickness, conductivity = exchange.wall_thickness_mm, exchange.wall_conductivity_W_mK
            outer = through_wall(inner, branch.diameter, thickness * MM, conductivity)
        flows.append(BranchFlow(branch, flow, outer, warning, lowered))
    return tuple(flows)


def vessel_warnings(scenario: Scenario, anatomy: Anatomy) -> tuple[str, ...]:
    """Correlations outside their range, and blood whose way is not known; a sentence each."""
    found = list(vessel_cautions(scenario))
    for vessel in anatomy.vessels if scenario.labelmap is not None else ():
        flows = vessel_flows(scenario, vessel)
        if scenario.physics.blood_warming and not vessel.branches:
            found.append(
                f"Vessel {vessel.name}: its centre line is not known, so its blood stays at one "
                "temperature, which overrates slow flow."
            )
        for told in ([flow.lowered for flow in flows], [flow.warning for flow in flows]):
            texts = [text for text in told if text is not None]
            if texts:
                more = f" (and {len(texts) - 1} more of its branches)" if len(texts) > 1 else ""
                found.append(f"Vessel {vessel.name}: {texts[0]}{more}.")
    return tuple(found)


def _kept_laminar(branch: Branch, flow: TubeFlow) -> tuple[Branch, str]:
    """A branch whose flow is just laminar, and a sentence on what was changed."""
    velocity = STILL_LAMINAR * laminar_velocity(flow)
    text = (
        f"the velocity in a branch of {branch.diameter / MM:.1f} mm was lowered from"
        f" {branch.velocity / CM_PER_S:.1f} to {velocity / CM_PER_S:.1f} cm/s, because at a"
        f" Reynolds number of {flow.reynolds:.0f} no wall coefficient holds (the limit is"
        f" {LAMINAR_LIMIT:.0f}); give velocity_cm_s, or the coefficient itself as h_W_m2K"
    )
    return replace(branch, velocity=velocity), text


def exchange_of(scenario: Scenario, name: str) -> WallExchange:
    """What the scenario says of a vessel's heat exchange; the defaults where it says nothing."""
    known: dict[str, WallExchange] = {}
    if scenario.anatomy is not None:
        known = {vessel.name: vessel for vessel in scenario.anatomy.vessels}
    elif scenario.labelmap is not None:
        known = dict(scenario.labelmap.vessels)
    elif scenario.mesh is not None:
        known = dict(scenario.mesh.vessels)
    return known.get(name, WallExchange())


def _wall(scenario: Scenario, vessel: VesselShape, mesh: TetMesh) -> Wall:
    physics = scenario.physics
    flows = vessel_flows(scenario, vessel)
    faces = mesh.surface_faces(f"vessel.{vessel.name}")
    coefficient: float | Floats = flows[0].coefficient
    stream = None
    if vessel.branches:
        branch, along, _ = locate(vessel.branches, mesh.points[np.unique(faces)])
        if len(flows) > 1:
            coefficient = np.array([flow.coefficient for flow in flows])[branch]
        if physics.blood_warming:
            small = [flow.flow.diameter < STASIS_DIAMETER for flow in flows]
            stops = physics.vessel_stasis == "small_vessels"
            stream = stream_along(flows, branch, along, tuple(stops and thin for thin in small))
    return Wall(
        name=f"vessel.{vessel.name}",
        kind="vessel",
        faces=faces,
        coefficient=coefficient,
        temperature=physics.blood_temperature_C,
        stream=stream,
    )


def stream_along(
    flows: tuple[BranchFlow, ...],
    branch: NDArray[np.int64],
    along: Floats,
    coagulates: tuple[bool, ...],
) -> Stream:
    """Cut the branches into stations where they have a wall.

    Args:
        flows: of the branches.
        branch: of each wall point (p,).
        along: distance of each wall point from its branch's beginning (p,) [m].
        coagulates: branches that lose their flow when their wall stays hot.
    """
    ranges = []
    for number in range(len(flows)):
        mine = along[branch == number]
        ranges.append((mine.min(), mine.max()) if len(mine) else (0.0, 0.0))
    total = sum(high - low for low, high in ranges)
    wanted = max(STATION, total / MOST_STATIONS)
    of_station: list[int] = []
    station = np.zeros((len(branch), 2), dtype=np.int32)
    weight = np.zeros((len(branch), 2))
    for number, (low, high) in enumerate(ranges):
        count = max(1, round((high - low) / wanted))
        mine = np.flatnonzero(branch == number)
        place = (along[mine] - low) / max((high - low) / count, 1e-12) - 0.5
        first = np.clip(np.floor(place), 0, max(count - 2, 0)).astype(np.int32)
        share = np.clip(place - first, 0.0, 1.0)
        station[mine] = len(of_station) + np.stack([first, np.minimum(first + 1, count - 1)], 1)
        weight[mine] = np.stack([1.0 - share, share], axis=1)
        of_station += [number] * count
    tree = BloodTree(
        branch=tuple(of_station),
        capacity=tuple(flow.flow.capacity_rate for flow in flows),
        feeders=tuple(flow.branch.feeders for flow in flows),
    )
    return Stream(tree, station, weight, coagulates)
