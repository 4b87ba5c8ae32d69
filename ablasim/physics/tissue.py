"""Thermal and electrical laws of tissue, as functions of arrays.

The unknown of the heat problem is the volumetric enthalpy H [J/m3], zero at 37 °C:

    dH/dT = rho c                                          below the vaporisation band
            (rho c + rho_v c_v)/2 + rho w L/(T_u - T_l)    inside it
            rho_v c_v                                      above it

with w the water fraction and L the latent heat of water. T(H) is its inverse, so the heat of
vaporisation is conserved whatever the time step (physics of Hall and Payne 2015; a band of
temperatures as in Trujillo 2012, whose own is 90 to 100 °C). Conduction uses the Kirchhoff
transform of k(T) = k0 + dk (min(T, 100) - 37):

    div(k grad T) = div(k0 grad f0(T)) + div(dk grad f1(T)),

where f0 and f1 are the same functions in every tissue; so two constant operators carry any k(T).

Every function takes `xp`, NumPy or `jax.numpy`, and nothing here knows a mesh.
"""

from __future__ import annotations

from typing import Any

import numpy as np

REFERENCE_C = 37.0
"""Temperature [°C] at which enthalpy is zero and k0, sigma0 are given."""

BOILING_C = 100.0
"""Above it [°C] conductivity no longer rises and sigma falls."""

LATENT_HEAT = 2.26e6
"""Latent heat of vaporisation of water [J/kg]."""


def band_capacity(wet: Any, dry: Any, latent: Any, band: tuple[float, float]) -> Any:
    """Apparent heat capacity [J/m3/K] inside the vaporisation band.

    Args:
        wet: rho c below the band [J/m3/K].
        dry: rho_v c_v above it [J/m3/K].
        latent: heat of vaporisation per volume of tissue [J/m3].
        band: lower and upper temperature of the band [°C].
    """
    return 0.5 * (wet + dry) + latent / (band[1] - band[0])


def enthalpy(
    temperature: Any, wet: Any, boiling: Any, dry: Any, band: tuple[Any, Any], xp: Any = np
) -> Any:
    """Volumetric enthalpy H(T) [J/m3], zero at 37 °C.

    Args:
        temperature: T [°C].
        wet: slope dH/dT below the band [J/m3/K].
        boiling: slope inside the band, from `band_capacity` [J/m3/K].
        dry: slope above the band [J/m3/K].
        band: the vaporisation band [°C].
        xp: array module.
    """
    low, high = band
    return (
        wet * (xp.minimum(temperature, low) - REFERENCE_C)
        + boiling * xp.clip(temperature - low, 0.0, high - low)
        + dry * xp.maximum(temperature - high, 0.0)
    )


def temperature(
    enthalpy: Any, wet: Any, boiling: Any, dry: Any, band: tuple[Any, Any], xp: Any = np
) -> Any:
    """Temperature T(H) [°C], the inverse of `enthalpy`; the arguments are the same."""
    low, high = band
    start = wet * (low - REFERENCE_C)
    latent = boiling * (high - low)
    return (
        REFERENCE_C
        + xp.minimum(enthalpy, start) / wet
        + xp.clip(enthalpy - start, 0.0, latent) / boiling
        + xp.maximum(enthalpy - start - latent, 0.0) / dry
    )


def kirchhoff(temperature: Any, xp: Any = np) -> tuple[Any, Any]:
    """The potentials f0 [K] and f1 [K2] of conduction: k grad T = k0 grad f0 + dk grad f1."""
    top = BOILING_C - REFERENCE_C
    excess = temperature - REFERENCE_C
    capped = xp.minimum(excess, top)
    return excess, 0.5 * capped * capped + top * (excess - capped)


def conductivity(temperature: Any, k0: Any, dk: Any, xp: Any = np) -> Any:
    """Thermal conductivity k(T) [W/m/K], linear up to 100 °C and constant above."""
    return k0 + dk * (xp.minimum(temperature, BOILING_C) - REFERENCE_C)


def electrical_conductivity(
    temperature: Any, sigma0: Any, slope: Any, dry_ratio: Any, drop: Any, xp: Any = np
) -> Any:
    """Electrical conductivity sigma(T) [S/m] near 500 kHz.

    Rises by `slope` per kelvin up to 100 °C, falls linearly over `drop` kelvin to `dry_ratio`
    times sigma0 (dried tissue) and stays there. It falls with temperature above 100 °C, where the
    vaporisation band ends by default, not with the vapour fraction inside the band: otherwise
    roll-off comes far too early.

    Args:
        temperature: T [°C].
        sigma0: value at 37 °C [S/m].
        slope: relative rise [1/K].
        dry_ratio: sigma of dried tissue over sigma0.
        drop: width of the fall above 100 °C [K].
        xp: array module.
    """
    peak = 1.0 + slope * (BOILING_C - REFERENCE_C)
    wet = 1.0 + slope * (xp.minimum(temperature, BOILING_C) - REFERENCE_C)
    dried = xp.clip((temperature - BOILING_C) / drop, 0.0, 1.0)
    # tissue far below body temperature must not reach zero conductivity on the straight line
    return sigma0 * xp.maximum(wet - (peak - dry_ratio) * dried, dry_ratio)
