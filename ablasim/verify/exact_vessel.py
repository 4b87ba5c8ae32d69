"""Closed forms around one vessel: F10, F11 (SciPy only).

theta = T - T_b [K]; the vessel's axis is z, a its radius [m], h its wall coefficient [W/m2/K],
infinite for a wall held at theta = 0. Every function is checked against printed numbers in the
tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import iv, ivp, k0, k1, kv, kvp

Floats = NDArray[np.float64]

TERMS = 60
"""Of the series: they fall like (a/d)^n, at least threefold per term where the source is 2 a away
or more."""


@dataclass(frozen=True)
class LineBesideVessel:
    """F10: a line source parallel to a vessel in tissue without end.

    Attributes:
        power: of the line per length [W/m].
        radius: a [m].
        distance: d of the line from the vessel's axis [m].
        coefficient: h [W/m2/K].
        k: thermal conductivity [W/m/K].
        perfusion: W [W/m3/K]; 0 for none.
    """

    power: float
    radius: float
    distance: float
    coefficient: float
    k: float
    perfusion: float = 0.0

    def theta(self, x: Floats, y: Floats) -> Floats:
        """Steady theta at points (n,), (n,) [m] of a plane across; the line is at (d, 0) [K]."""
        r, angle = np.hypot(x, y), np.arctan2(y, x)
        apart = np.hypot(x - self.distance, y)
        inner = self._perfused if self.perfusion else self._plain
        with np.errstate(divide="ignore"):  # infinite on the line itself
            value: Floats = self.power / (2.0 * np.pi * self.k) * inner(r, angle, apart)
        return value

    def _plain(self, r: Floats, angle: Floats, apart: Floats) -> Floats:
        a, d = self.radius, self.distance
        n = np.arange(1, TERMS + 1)
        if np.isinf(self.coefficient):
            wall, b = 0.0, -((a / d) ** n) / n
        else:
            biot = self.coefficient * a / self.k
            wall, b = 1.0 / biot, (a / d) ** n * (n - biot) / (n * (n + biot))
        series = (b * (a / r[..., None]) ** n * np.cos(n * angle[..., None])).sum(axis=-1)
        value: Floats = -np.log(apart) + np.log(r) + np.log(d / a) + wall + series
        return value

    def _perfused(self, r: Floats, angle: Floats, apart: Floats) -> Floats:
        mu, c = np.sqrt(self.perfusion / self.k), self._reflections()
        n = np.arange(TERMS + 1)
        twice = np.where(n == 0, 1.0, 2.0)
        waves = kv(n, mu * r[..., None]) * np.cos(n * angle[..., None])
        value: Floats = k0(mu * apart) + (twice * c * waves).sum(axis=-1)
        return value

    def _reflections(self) -> Floats:
        """c_n (TERMS + 1,) of the perfused series."""
        mu = np.sqrt(self.perfusion / self.k)
        a, d, n = mu * self.radius, mu * self.distance, np.arange(TERMS + 1)
        if np.isinf(self.coefficient):
            c: Floats = -kv(n, d) * iv(n, a) / kv(n, a)
            return c
        ratio = self.coefficient / self.k
        c = kv(n, d) * (ratio * iv(n, a) - mu * ivp(n, a)) / (mu * kvp(n, a) - ratio * kv(n, a))
        return c

    def vessel_heat(self) -> float:
        """Heat that the vessel takes per length [W/m]; all of the power without perfusion."""
        if not self.perfusion:
            return self.power
        mu = np.sqrt(self.perfusion / self.k)
        a, d = mu * self.radius, mu * self.distance
        slope = kv(0, d) * ivp(0, a) + self._reflections()[0] * kvp(0, a)
        return float(self.power * self.radius * mu * slope)


def vessel_in_source(
    r: Floats, radius: float, coefficient: float, heat: float, k: float, perfusion: float
) -> Floats:
    """F11: steady theta around a vessel in perfused tissue with a uniform source [K].

    Args:
        r: distance from the vessel's axis (n,) [m].
        radius: of the vessel [m].
        coefficient: h [W/m2/K].
        heat: source [W/m3].
        k: thermal conductivity [W/m/K].
        perfusion: W [W/m3/K].
    """
    mu = np.sqrt(perfusion / k)
    a = mu * radius
    loss = coefficient / (k * mu * k1(a) + coefficient * k0(a))
    theta: Floats = heat / perfusion * (1.0 - loss * k0(mu * r))
    return theta


def tissue_cylinder(
    r: Floats, radius: float, outer: float, coefficient: float, heat: float, k: float
) -> Floats:
    """F11: steady theta in a tissue cylinder (Krogh) around its vessel, its rim insulated [K].

    Args:
        r: distance from the vessel's axis (n,) [m].
        radius: of the vessel [m].
        outer: radius of the tissue cylinder [m].
        coefficient: h [W/m2/K].
        heat: source [W/m3].
        k: thermal conductivity [W/m/K].
    """
    theta: Floats = (
        heat * (radius**2 - r**2) / (4.0 * k)
        + heat * outer**2 / (2.0 * k) * np.log(r / radius)
        + heat * (outer**2 - radius**2) / (2.0 * radius * coefficient)
    )
    return theta
