"""Closed-form solutions that the verification tests compare with (SciPy only).

theta = T - T_b [K]; lengths in metres. W is the perfusion conductance [W/m3/K], mu = sqrt(W/k) the
inverse of its length scale. Every function is checked against printed numbers in `test_exact.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc, erfcx

Floats = NDArray[np.float64]


def point_source(r: Floats, power: float, k: float, perfusion: float) -> Floats:
    """F1: steady theta around a point source in perfused tissue without end [K].

    Args:
        r: distance (n,) [m].
        power: of the source [W].
        k: thermal conductivity [W/m/K].
        perfusion: W [W/m3/K].
    """
    theta: Floats = power * np.exp(-np.sqrt(perfusion / k) * r) / (4.0 * np.pi * k * r)
    return theta


def sphere_source(r: Floats, radius: float, heat: float, k: float, perfusion: float) -> Floats:
    """F3: steady theta of a uniformly heated sphere in perfused tissue without end [K].

    Args:
        r: distance from the centre (n,) [m].
        radius: of the sphere [m].
        heat: in it [W/m3].
        k: thermal conductivity [W/m/K].
        perfusion: W [W/m3/K].
    """
    mu = np.sqrt(perfusion / k)
    c = mu * radius
    x = np.maximum(mu * r, 1e-9)  # sinh(x)/x is 1 at the centre
    inner = 1.0 - (1.0 + c) * np.exp(-c) * np.sinh(np.minimum(x, c)) / np.minimum(x, c)
    outer = (c * np.cosh(c) - np.sinh(c)) * np.exp(-x) / x
    theta: Floats = heat / perfusion * np.where(x < c, inner, outer)
    return theta


def coaxial_temperature(
    r: Floats, inner: float, outer: float, voltage: float, sigma: float, k: float
) -> Floats:
    """F5: steady theta between coaxial electrodes that are both held at theta = 0 [K].

    Args:
        r: distance from the axis (n,) [m].
        inner: radius of the electrode at `voltage` [m].
        outer: radius of the grounded electrode [m].
        voltage: root mean square [V].
        sigma: electrical conductivity [S/m].
        k: thermal conductivity [W/m/K].
    """
    x = np.log(r / inner) / np.log(outer / inner)
    theta: Floats = sigma * voltage**2 / (2.0 * k) * x * (1.0 - x)
    return theta


def coaxial_power(inner: float, outer: float, voltage: float, sigma: float) -> float:
    """F5: power per length between the coaxial electrodes [W/m]."""
    return float(2.0 * np.pi * sigma * voltage**2 / np.log(outer / inner))


def spheroid_resistance(half_length: float, radius: float, sigma: float) -> float:
    """F5b: resistance from a prolate spheroid to infinity [ohm].

    Args:
        half_length: semi-axis along the axis of rotation [m].
        radius: semi-axis across [m].
        sigma: electrical conductivity [S/m].
    """
    focus = np.sqrt(half_length**2 - radius**2)
    return float(_spheroid_log(half_length / focus) / (8.0 * np.pi * sigma * focus))


def spheroid_potential(r: Floats, z: Floats, half_length: float, radius: float) -> Floats:
    """F5b: potential of a prolate spheroid for one volt on it [V].

    Args:
        r: distance from the axis (n,) [m].
        z: along the axis, from the middle (n,) [m].
        half_length: semi-axis along z [m].
        radius: semi-axis across [m].
    """
    focus = np.sqrt(half_length**2 - radius**2)
    xi = (np.hypot(r, z + focus) + np.hypot(r, z - focus)) / (2.0 * focus)
    phi: Floats = _spheroid_log(xi) / _spheroid_log(half_length / focus)
    return phi


def _spheroid_log(xi: Floats | float) -> Floats:
    value: Floats = np.log((xi + 1.0) / (xi - 1.0))
    return value


def slab_steady(x: Floats, length: float, wall: float, k: float, perfusion: float) -> Floats:
    """F7: steady theta in a perfused slab, `wall` at x = 0 and 0 at x = length [K].

    Args:
        x: (n,) [m].
        length: of the slab [m].
        wall: theta at x = 0 [K].
        k: thermal conductivity [W/m/K].
        perfusion: W [W/m3/K].
    """
    mu = np.sqrt(perfusion / k)
    theta: Floats = wall * np.sinh(mu * (length - x)) / np.sinh(mu * length)
    return theta


def slab_transient(
    x: Floats,
    time: float,
    length: float,
    wall: float,
    k: float,
    perfusion: float,
    capacity: float,
    terms: int = 400,
) -> Floats:
    """F7: theta in the slab at a time [s] after the wall was switched on over theta = 0 [K].

    The other arguments are those of `slab_steady`; capacity is rho c [J/m3/K].
    """
    n = np.arange(1, terms + 1)
    weight = 2.0 * wall * n * np.pi / ((n * np.pi) ** 2 + perfusion / k * length**2)
    decay = np.exp(-(k * (n * np.pi / length) ** 2 + perfusion) / capacity * time)
    modes = np.sin(n * np.pi * np.asarray(x)[..., None] / length)
    theta: Floats = slab_steady(x, length, wall, k, perfusion) - modes @ (weight * decay)
    return theta


def robin_half_space(
    x: Floats, time: float, liquid: float, coefficient: float, k: float, capacity: float
) -> Floats:
    """F8: theta in a half space whose wall a liquid at theta = `liquid` warms from t = 0 on [K].

    Args:
        x: depth (n,) [m].
        time: [s].
        liquid: its excess temperature [K].
        coefficient: h [W/m2/K].
        k: thermal conductivity [W/m/K].
        capacity: rho c [J/m3/K].
    """
    spread = np.sqrt(k / capacity * time)
    eta, beta = x / (2.0 * spread), coefficient * spread / k
    # exp(2 eta beta + beta^2) erfc(eta + beta) overflows; erfcx takes the exponentials together
    theta: Floats = liquid * (erfc(eta) - np.exp(-(eta**2)) * erfcx(eta + beta))
    return theta


def point_source_transient(
    r: Floats, time: float, power: float, k: float, perfusion: float, capacity: float
) -> Floats:
    """F2: theta at a time [s] after a point source was switched on over theta = 0 [K].

    The other arguments are those of `point_source`; capacity is rho c [J/m3/K].
    """
    mu, beta = np.sqrt(perfusion / k), perfusion / capacity
    x, y = r / np.sqrt(4.0 * k / capacity * time), np.sqrt(beta * time)
    waves = np.exp(-mu * r) * erfc(x - y) + np.exp(mu * r) * erfc(x + y)
    theta: Floats = power / (8.0 * np.pi * k * r) * waves
    return theta


def cooled_sphere_temperature(
    r: Floats, radius: float, voltage: float, sigma: float, k: float
) -> Floats:
    """F4: steady theta around a spherical electrode that is held at theta = 0 [K].

    The current spreads to infinity; tissue without perfusion.

    Args:
        r: distance from the centre (n,) [m].
        radius: of the electrode [m].
        voltage: root mean square [V].
        sigma: electrical conductivity [S/m].
        k: thermal conductivity [W/m/K].
    """
    x = radius / r
    theta: Floats = sigma * voltage**2 / (2.0 * k) * (x - x**2)
    return theta


def sphere_resistance(radius: float, sigma: float) -> float:
    """F4: resistance from a sphere of a radius [m] to infinity [ohm]."""
    return float(1.0 / (4.0 * np.pi * sigma * radius))


def kohlrausch_integral(
    theta: Floats, k: float, k_slope: float, sigma: float, sigma_slope: float
) -> Floats:
    """F6: integral of k/sigma over temperature from 0 to theta (n,) [V2].

    k = k0 + k_slope theta, sigma = sigma0 (1 + sigma_slope theta). Where electrodes at 0 and V are
    the only places that heat and current leave through, and are held at theta = 0, it equals
    phi (V - phi)/2 at every point of any geometry (Kohlrausch 1900).
    """
    if sigma_slope == 0.0:
        plain: Floats = (k * theta + 0.5 * k_slope * theta**2) / sigma
        return plain
    log = np.log1p(sigma_slope * theta) / sigma_slope
    value: Floats = (k * log + k_slope * (theta - log) / sigma_slope) / sigma
    return value


def kohlrausch_temperature(
    potential: Floats, voltage: float, k: float, k_slope: float, sigma: float, sigma_slope: float
) -> Floats:
    """F6: theta (n,) [K] where the potential is phi (n,) [V], by inverting the relation above."""
    wanted = 0.5 * potential * (voltage - potential)
    theta: Floats = np.zeros_like(wanted)
    for _ in range(60):
        missing = wanted - kohlrausch_integral(theta, k, k_slope, sigma, sigma_slope)
        theta = theta + missing * sigma * (1.0 + sigma_slope * theta) / (k + k_slope * theta)
        if np.abs(missing).max() < 1e-12 * voltage**2:
            break
    return theta
