"""Closed-form solutions that the verification tests compare with (SciPy only).

theta = T - T_b [K]; lengths in metres. W is the perfusion conductance [W/m3/K], mu = sqrt(W/k) the
inverse of its length scale. Every function is checked against printed numbers in `test_exact.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc, erfcx, ive, k0, k1, kve

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


def vessel_and_line(
    r: Floats,
    phi: Floats,
    radius: float,
    distance: float,
    per_length: float,
    k: float,
    coefficient: float,
    perfusion: float = 0.0,
    terms: int = 40,
) -> Floats:
    """F10: steady theta of a line source beside a parallel vessel with a Robin wall [K].

    Args:
        r: distance from the vessel's axis (n,) [m].
        phi: angle from the direction of the source (n,).
        radius: of the vessel [m].
        distance: of the source from the vessel's axis [m].
        per_length: heat of the source [W/m].
        k: thermal conductivity [W/m/K].
        coefficient: h of the wall, infinite for one at theta = 0 [W/m2/K].
        perfusion: W [W/m3/K]; 0 for none.
        terms: of the series.
    """
    apart = np.sqrt(r**2 + distance**2 - 2.0 * r * distance * np.cos(phi))
    n = np.arange(1, terms + 1)[:, None]
    if perfusion == 0.0:
        biot = coefficient * radius / k
        share = -1.0 if np.isinf(biot) else (n - biot) / (n + biot)
        resistance = 0.0 if np.isinf(biot) else 1.0 / biot
        # (a/d)^n (a/r)^n, together so that nothing under- or overflows
        series = (share / n * (radius**2 / (distance * r)) ** n * np.cos(n * phi)).sum(axis=0)
        theta = -np.log(apart) + np.log(r) + np.log(distance / radius) + resistance + series
    else:
        mu = np.sqrt(perfusion / k)
        m = np.arange(terms + 1)[:, None]
        inner, x = mu * radius, mu * r
        # scaled Bessel functions; what is left of the scales is one exponential
        i, di = ive(m, inner), 0.5 * (ive(np.abs(m - 1), inner) + ive(m + 1, inner))
        q, dq = kve(m, inner), -0.5 * (kve(np.abs(m - 1), inner) + kve(m + 1, inner))
        ratio = -i / q
        if np.isfinite(coefficient):
            biot = coefficient / (k * mu)
            ratio = (biot * i - di) / (dq - biot * q)
        twice = np.where(m == 0, 1.0, 2.0) * kve(m, mu * distance) * kve(m, x) * ratio
        damp = np.exp(2.0 * inner - mu * distance - x)
        theta = k0(mu * apart) + (np.nan_to_num(twice) * np.cos(m * phi)).sum(axis=0) * damp
    scaled: Floats = per_length / (2.0 * np.pi * k) * theta
    return scaled


def heated_around_vessel(
    r: Floats, radius: float, heat: float, k: float, perfusion: float, coefficient: float
) -> Floats:
    """F11: steady theta in uniformly heated perfused tissue around a vessel [K].

    Args:
        r: distance from the vessel's axis (n,) [m].
        radius: of the vessel [m].
        heat: in the tissue [W/m3].
        k: thermal conductivity [W/m/K].
        perfusion: W [W/m3/K].
        coefficient: h of the wall [W/m2/K].
    """
    mu = np.sqrt(perfusion / k)
    drop = coefficient / (k * mu * k1(mu * radius) + coefficient * k0(mu * radius))
    theta: Floats = heat / perfusion * (1.0 - drop * k0(mu * r))
    return theta


def tissue_cylinder(
    r: Floats, radius: float, outer: float, heat: float, k: float, coefficient: float
) -> Floats:
    """F11 (Krogh): steady theta around a vessel in a heated cylinder that is insulated outside [K].

    Args:
        r: distance from the vessel's axis (n,) [m].
        radius: of the vessel [m].
        outer: radius of the insulated surface [m].
        heat: in the tissue [W/m3].
        k: thermal conductivity [W/m/K].
        coefficient: h of the wall [W/m2/K].
    """
    inside = heat * (radius**2 - r**2) / (4.0 * k)
    flow = heat * outer**2 / (2.0 * k) * np.log(r / radius)
    wall = heat * (outer**2 - radius**2) / (2.0 * radius * coefficient)
    theta: Floats = inside + flow + wall
    return theta
