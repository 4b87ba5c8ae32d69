"""Closed forms of moving fronts (Stefan problems): F9 (SciPy only).

s = 2 lambda sqrt(alpha t) is where the front is. Every function is checked against printed numbers
in the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import erf, erfc, exp1

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PlanarFront:
    """F9 (a): Neumann's solution for a half space whose wall is held above the transition.

    Attributes:
        wall: temperature of the wall [°C].
        melt: of the transition [°C].
        start: of the half space [°C].
        near_k, near_capacity: k [W/m/K] and rho c [J/m3/K] between wall and front.
        far_k, far_capacity: beyond the front.
        latent: heat of the transition [J/m3].
    """

    wall: float
    melt: float
    start: float
    near_k: float
    near_capacity: float
    far_k: float
    far_capacity: float
    latent: float

    @property
    def near_diffusivity(self) -> float:
        """Between wall and front [m2/s]."""
        return self.near_k / self.near_capacity

    @property
    def far_diffusivity(self) -> float:
        """Beyond the front [m2/s]."""
        return self.far_k / self.far_capacity

    def front_constant(self) -> float:
        """lambda, from the heat balance at the front [1]."""
        near, far = self.near_diffusivity, self.far_diffusivity
        ratio = math.sqrt(near / far)

        def imbalance(x: float) -> float:
            arriving = self.near_k * (self.wall - self.melt) * math.exp(-(x**2))
            leaving = self.far_k * (self.melt - self.start) * math.exp(-((x * ratio) ** 2))
            return float(
                arriving / (math.sqrt(math.pi * near) * erf(x))
                - leaving / (math.sqrt(math.pi * far) * erfc(x * ratio))
                - self.latent * x * math.sqrt(near)
            )

        return float(brentq(imbalance, 1e-6, 3.0, xtol=1e-14))

    def position(self, time: float) -> float:
        """Distance of the front from the wall at a time [s], [m]."""
        return 2.0 * self.front_constant() * math.sqrt(self.near_diffusivity * time)

    def temperature(self, x: Floats, time: float) -> Floats:
        """Temperature at depths (n,) [m] and a time [s], [°C]."""
        constant = self.front_constant()
        near, far = self.near_diffusivity, self.far_diffusivity
        inside = self.wall - (self.wall - self.melt) * erf(x / np.sqrt(4.0 * near * time)) / erf(
            constant
        )
        outside = self.start + (self.melt - self.start) * erfc(
            x / np.sqrt(4.0 * far * time)
        ) / erfc(constant * np.sqrt(near / far))
        temperature: Floats = np.where(x < self.position(time), inside, outside)
        return temperature


@dataclass(frozen=True)
class LineSinkFront:
    """F9 (b): tissue that freezes around a line heat sink (Hahn and Özişik, Heat Conduction).

    Attributes:
        sink: heat taken per length [W/m].
        start: temperature of the liquid [°C].
        melt: of the transition [°C].
        k, capacity: k [W/m/K] and rho c [J/m3/K], the same in both phases.
        latent: heat of the transition [J/m3].
    """

    sink: float
    start: float
    melt: float
    k: float
    capacity: float
    latent: float

    @property
    def diffusivity(self) -> float:
        """Of both phases [m2/s]."""
        return self.k / self.capacity

    def front_constant(self) -> float:
        """lambda, from the heat balance at the front [1]."""

        def imbalance(x: float) -> float:
            taken = self.sink / (4.0 * math.pi) * math.exp(-(x**2))
            arriving = self.k * (self.start - self.melt) * math.exp(-(x**2)) / exp1(x**2)
            return float(taken - arriving - x**2 * self.diffusivity * self.latent)

        return float(brentq(imbalance, 1e-3, 5.0, xtol=1e-14))

    def position(self, time: float) -> float:
        """Radius of the frozen cylinder at a time [s], [m]."""
        return 2.0 * self.front_constant() * math.sqrt(self.diffusivity * time)

    def temperature(self, r: Floats, time: float) -> Floats:
        """Temperature at distances (n,) [m] from the line and a time [s], [°C]."""
        constant = self.front_constant() ** 2
        here = exp1(r**2 / (4.0 * self.diffusivity * time))
        frozen = self.melt + self.sink / (4.0 * math.pi * self.k) * (exp1(constant) - here)
        liquid = self.start + (self.melt - self.start) * here / exp1(constant)
        temperature: Floats = np.where(r < self.position(time), frozen, liquid)
        return temperature
