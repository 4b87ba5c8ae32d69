"""Heat transfer between a vessel's wall and the blood flowing in it.

    -k dT/dn = h (T - T_blood),   h = Nu k_b / D

In the few centimetres that an ablation heats, the thermal boundary layer of the blood is still
developing, so that the mean Nu over the heated length counts (`nusselt`). The developed value 3.66
is three to seven times too small in hepatic vessels. A wall of another material between blood and
tissue, such as the glass tube of an experiment, adds its resistance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ablasim.errors import AblasimError
from ablasim.frames import CM_PER_S, MM
from ablasim.physics import nusselt

HEATED_LENGTH = 0.05
"""Length [m] of vessel that an ablation heats; Gz enters with the power 1/3 only."""

LAMINAR_LIMIT = 2300.0
"""Reynolds number above which the laminar correlations do not hold."""

Correlation = Literal["hausen", "graetz", "sieder_tate", "developed", "developed_flux"]


@dataclass(frozen=True)
class Blood:
    """Blood as a coolant.

    Attributes:
        density: [kg/m3].
        heat_capacity: [J/kg/K].
        conductivity: [W/m/K].
        viscosity: dynamic [Pa s].
    """

    density: float
    heat_capacity: float
    conductivity: float
    viscosity: float


@dataclass(frozen=True)
class TubeFlow:
    """Flow in a round vessel.

    Attributes:
        diameter: inner D [m].
        velocity: mean [m/s].
        blood: properties of the blood.
        length: heated length L [m].
    """

    diameter: float
    velocity: float
    blood: Blood
    length: float = HEATED_LENGTH

    @property
    def reynolds(self) -> float:
        """rho v D / mu [-]."""
        return self.blood.density * self.velocity * self.diameter / self.blood.viscosity

    @property
    def graetz(self) -> float:
        """Re Pr D / L [-]."""
        prandtl = self.blood.viscosity * self.blood.heat_capacity / self.blood.conductivity
        return self.reynolds * prandtl * self.diameter / self.length

    @property
    def capacity_rate(self) -> float:
        """Mass flow times heat capacity [W/K]."""
        area = 0.25 * math.pi * self.diameter**2
        return self.blood.density * self.blood.heat_capacity * self.velocity * area


@dataclass(frozen=True)
class _Law:
    """A correlation: mean Nu of Gz, the range of Gz it is meant for, and what happens outside."""

    nusselt: Callable[[float], float]
    lowest: float = 0.0
    highest: float = math.inf
    outside: str = ""


LAWS: dict[str, _Law] = {
    "hausen": _Law(nusselt.hausen),
    "graetz": _Law(nusselt.graetz_mean),
    "sieder_tate": _Law(nusselt.sieder_tate, 20.0, math.inf, "is wrong in slow or long tubes"),
    # 6 % below the exact mean at Gz = 5
    "developed": _Law(
        lambda graetz: nusselt.DEVELOPED, 0.0, 5.0, "is too small while the flow is developing"
    ),
    "developed_flux": _Law(
        lambda graetz: nusselt.DEVELOPED_FLUX, 0.0, 5.0, "is too small while the flow is developing"
    ),
}
"""Correlations by name."""


def wall_coefficient(flow: TubeFlow, correlation: Correlation = "hausen") -> float:
    """Mean wall coefficient h [W/m2/K] over the heated length of a vessel.

    Args:
        flow: of the blood.
        correlation: name of the Nusselt law.

    Raises:
        AblasimError: the flow is not laminar, so that no correlation here holds.
    """
    if flow.reynolds >= LAMINAR_LIMIT:
        raise AblasimError(
            f"vessel flow: got a Reynolds number of {flow.reynolds:.0f} (diameter "
            f"{flow.diameter / MM:g} mm, velocity {flow.velocity / CM_PER_S:g} cm/s); the wall "
            f"coefficient holds below {LAMINAR_LIMIT:.0f}: lower velocity_cm_s or diameter_mm, or "
            "give the coefficient itself as h_W_m2K"
        )
    return LAWS[correlation].nusselt(flow.graetz) * flow.blood.conductivity / flow.diameter


def laminar_velocity(flow: TubeFlow) -> float:
    """Mean velocity [m/s] in a vessel from which on its flow is not laminar."""
    return flow.velocity * LAMINAR_LIMIT / flow.reynolds


def range_warning(flow: TubeFlow, correlation: Correlation) -> str | None:
    """What a user should know who takes a correlation outside its range; None inside it."""
    law = LAWS[correlation]
    if law.lowest <= flow.graetz <= law.highest:
        return None
    limit = f"from {law.lowest:g}" if math.isinf(law.highest) else f"up to {law.highest:g}"
    return (
        f"the correlation {correlation!r} is meant for a Graetz number {limit}, got "
        f"{flow.graetz:.3g} (diameter {flow.diameter / MM:g} mm, velocity "
        f"{flow.velocity / CM_PER_S:g} cm/s, heated length {flow.length / MM:g} mm): the wall "
        f"coefficient {law.outside}; 'hausen' and 'graetz' hold in any laminar flow"
    )


def through_wall(
    coefficient: float, diameter: float, thickness: float, conductivity: float
) -> float:
    """Coefficient at the outer surface of a tube's wall [W/m2/K], wall resistance included.

    1/U = (r_o/r_i)/h + (r_o/k) ln(r_o/r_i): two resistances of a cylinder in series.

    Args:
        coefficient: h at the inner surface [W/m2/K].
        diameter: inner [m].
        thickness: of the wall [m]; 0 for none.
        conductivity: of the wall [W/m/K].
    """
    inner = 0.5 * diameter
    outer = inner + thickness
    ratio = outer / inner
    return 1.0 / (ratio / coefficient + outer / conductivity * math.log(ratio))
