"""Heat transfer between a vessel's wall and the blood flowing in it.

    -k dT/dn = h (T - T_blood),   h = Nu k_b / D

In the few centimetres that an ablation heats, the thermal boundary layer of the blood is still
developing; the mean Nusselt number of a laminar tube with a wall at constant temperature is
(Hausen 1943, as given in VDI and Incropera)

    Nu = 3.66 + 0.0668 Gz / (1 + 0.04 Gz^(2/3)),   Gz = Re Pr D / L.

The developed value 3.66 would be three to seven times too small in hepatic vessels.
"""

from __future__ import annotations

from dataclasses import dataclass

from ablasim.errors import AblasimError
from ablasim.frames import CM_PER_S, MM

HEATED_LENGTH = 0.05
"""Length [m] of vessel that an ablation heats; Gz enters with the power 1/3 only."""

LAMINAR_LIMIT = 2300.0
"""Reynolds number above which the laminar correlation does not hold."""

SMALLEST_MESHED = 3.0e-3
"""Diameter [m] below which a vessel counts as perfusion: its blood reaches tissue temperature."""


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


def hausen_coefficient(
    diameter: float, velocity: float, blood: Blood, length: float = HEATED_LENGTH
) -> float:
    """Mean wall coefficient h [W/m2/K] of developing laminar flow (Hausen).

    Args:
        diameter: D [m].
        velocity: mean velocity [m/s].
        blood: properties of the blood.
        length: heated length L [m].

    Raises:
        AblasimError: the flow is not laminar, so that the correlation does not hold.
    """
    reynolds = blood.density * velocity * diameter / blood.viscosity
    if reynolds >= LAMINAR_LIMIT:
        raise AblasimError(
            f"vessel flow: got a Reynolds number of {reynolds:.0f} (diameter {diameter / MM:g} mm, "
            f"velocity {velocity / CM_PER_S:g} cm/s); the wall coefficient holds below "
            f"{LAMINAR_LIMIT:.0f}: lower velocity_cm_s or diameter_mm"
        )
    prandtl = blood.viscosity * blood.heat_capacity / blood.conductivity
    graetz = reynolds * prandtl * diameter / length
    nusselt: float = 3.66 + 0.0668 * graetz / (1.0 + 0.04 * graetz ** (2.0 / 3.0))
    return nusselt * blood.conductivity / diameter
