"""Blood flow in the vessels whose diameter and velocity a scenario gives: its limits, and cautions.

Vessels of a label map are measured branch by branch; what is said of their flow comes with them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ablasim import catalogue
from ablasim.frames import CM_PER_S, MM
from ablasim.physics.vessels import (
    LAMINAR_LIMIT,
    Blood,
    TubeFlow,
    laminar_velocity,
    range_warning,
)
from ablasim.scenario.anatomy import MeshVessel, Vessel, WallExchange


def tube_flow(exchange: WallExchange, diameter: float, velocity: float) -> TubeFlow:
    """The flow of blood in a tube.

    Args:
        exchange: with the heated length.
        diameter: inner [m].
        velocity: mean [m/s].
    """
    data = catalogue.blood()
    blood = Blood(data.density, data.heat_capacity, data.conductivity, data.viscosity)
    return TubeFlow(diameter, velocity, blood, exchange.heated_length_mm * MM)


def turbulence(exchange: WallExchange, diameter_mm: float, velocity_cm_s: float) -> str | None:
    """What is wrong with a flow that no correlation covers; None where all is well."""
    if exchange.h_W_m2K is not None:
        return None
    flow = tube_flow(exchange, diameter_mm * MM, velocity_cm_s * CM_PER_S)
    if flow.reynolds < LAMINAR_LIMIT:
        return None
    most = math.floor(10.0 * laminar_velocity(flow) / CM_PER_S) / 10.0
    return (
        f"got {velocity_cm_s:g} cm/s in {diameter_mm:g} mm, a Reynolds number of"
        f" {flow.reynolds:.0f}; the wall coefficient holds below {LAMINAR_LIMIT:.0f}, which is up"
        f" to {most:g} cm/s at this diameter: lower velocity_cm_s or diameter_mm, or give the"
        " coefficient itself as h_W_m2K"
    )


def flow_cautions(name: str, vessel: Vessel | MeshVessel, *, warming: bool) -> Iterator[str]:
    """What a user should know of the flow in a vessel; a sentence each."""
    if warming and vessel.path_mm is None:
        yield (
            f"Vessel {name}: its centre line is not known, so its blood stays at one "
            "temperature, which overrates slow flow; in a mesh of your own give path_mm."
        )
    if vessel.h_W_m2K is None:
        flow = tube_flow(vessel, vessel.diameter_mm * MM, vessel.velocity_cm_s * CM_PER_S)
        warning = range_warning(flow, vessel.correlation)
        if warning is not None:
            yield f"Vessel {name}: {warning}."
