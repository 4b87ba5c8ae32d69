"""Closed forms for heat put into tissue without end, or into an insulated box: F14, F16 (SciPy)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.special import erfc

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LaserPulse:
    """F14: a Gaussian beam enters at z = 0 and is absorbed along z (Vyas and Rustgi 1992).

    The medium goes on at z < 0. Source: S exp(-2 r2/a2 - alpha z) for z > 0, 0 < t < t0.

    Attributes:
        energy: of the pulse [J].
        duration: t0 [s].
        absorption: alpha [1/m].
        waist: a [m].
        diffusivity: D [m2/s].
        capacity: rho c [J/m3/K].
        sink: perfusion's rate b = W/(rho c) [1/s].
    """

    energy: float
    duration: float
    absorption: float
    waist: float
    diffusivity: float
    capacity: float
    sink: float

    @property
    def _peak(self) -> float:
        """Largest heat during the pulse [W/m3]."""
        area = np.pi * self.waist**2
        return float(2.0 * self.absorption * self.energy / self.duration / area)

    def source(self, r: Floats, z: Floats) -> Floats:
        """Heat [W/m3] during the pulse at points (n,), (n,) [m]."""
        inside: Floats = np.where(
            z > 0.0,
            self._peak
            * np.exp(-2.0 * (r / self.waist) ** 2 - self.absorption * np.maximum(z, 0.0)),
            0.0,
        )
        return inside

    def theta(self, r: Floats, z: Floats, time: float) -> Floats:
        """Temperature rise (n,) [K] at a time [s] after the pulse's begin and end.

        Green's function of free space, its integral over the pulse by Gauss's rule.
        """
        nodes, weights = np.polynomial.legendre.leggauss(60)
        age = time - 0.5 * self.duration * (1.0 + nodes)
        spread = self.diffusivity * age
        wide = self.waist**2 + 8.0 * spread
        across = self.waist**2 / wide * np.exp(-2.0 * r[:, None] ** 2 / wide)
        x = (2.0 * self.absorption * spread - z[:, None]) / (2.0 * np.sqrt(spread))
        depth = self.absorption**2 * spread - self.absorption * z[:, None]
        along = 0.5 * np.exp(depth) * erfc(x)
        rate = self._peak / self.capacity * across * along * np.exp(-self.sink * age)
        rise: Floats = 0.5 * self.duration * (rate @ weights)
        return rise


def heated_box(
    source: Floats, spacing: float, time: float, k: float, perfusion: float, capacity: float
) -> Floats:
    """F16: theta in an insulated box after a source of any shape was on for a time [s], [K].

    Every cosine of the source warms up by itself: (1 - exp(-l t))/l with l = D k2 + W/(rho c).
    The idea is that of k-Wave's `bioheatExact` for periodic tissue.

    Args:
        source: on a grid that includes the box's sides (n, m, l) [W/m3].
        spacing: of the grid [m].
        time: since the source was switched on over theta = 0 [s].
        k: thermal conductivity [W/m/K].
        perfusion: W [W/m3/K].
        capacity: rho c [J/m3/K].
    """
    waves = [np.pi * np.arange(n) / (spacing * (n - 1)) for n in source.shape]
    square = sum(wave**2 for wave in np.meshgrid(*waves, indexing="ij"))
    rate = (k * square + perfusion) / capacity
    gain = np.where(rate > 0.0, -np.expm1(-rate * time) / np.where(rate > 0.0, rate, 1.0), time)
    theta: Floats = idctn(dctn(source / capacity, type=1) * gain, type=1)
    return theta
