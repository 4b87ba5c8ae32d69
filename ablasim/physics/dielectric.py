"""Dielectric properties of liver at microwave frequencies, as published laws of temperature.

    eta(T) = s1 (1 - 1/(1 + exp(s2 - s3 T))) + s4,    T in °C,

one sigmoid for the relative permittivity and one for the conductivity: heated tissue loses its
water, and with it most of its polarisation and of its loss. The complex relative permittivity of a
wave exp(j omega t) is eps = eps_r - j sigma/(omega eps_0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ablasim.errors import UsageError

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

VACUUM_PERMITTIVITY = 8.8541878128e-12
"""eps_0 [F/m]."""

HOTTEST = 300.0
"""Tissue above this [°C] counts as at it: the sigmoids have long reached their end."""


@dataclass(frozen=True)
class Sigmoid:
    """s1 (1 - 1/(1 + exp(s2 - s3 T))) + s4; s1 and s4 in the quantity's unit, s3 in 1/K."""

    s1: float
    s2: float
    s3: float
    s4: float

    def __call__(self, temperature: Floats) -> Floats:
        """Value at temperatures (n,) [°C], (n,)."""
        # 1 - 1/(1 + exp(x)) = 1/(1 + exp(-x)), which loses no digits for hot tissue
        hot = np.minimum(temperature, HOTTEST)
        value: Floats = self.s1 / (1.0 + np.exp(self.s3 * hot - self.s2)) + self.s4
        return value


@dataclass(frozen=True)
class Dielectric:
    """A published law of liver's dielectric properties.

    Attributes:
        permittivity: relative permittivity of temperature [1].
        conductivity: effective conductivity of temperature [S/m].
        frequency: at which it was measured [Hz].
        source: where it was published.
        frozen: temperature [°C] at which the law is evaluated whatever the tissue's; None for the
            tissue's own.
    """

    permittivity: Sigmoid
    conductivity: Sigmoid
    frequency: float
    source: str
    frozen: float | None = None

    def complex_permittivity(self, temperature: Floats) -> Complexes:
        """eps_r - j sigma/(omega eps_0) of tissue at temperatures (n,) [°C], (n,)."""
        t = np.asarray(temperature, dtype=float)
        t = t if self.frozen is None else np.full_like(t, self.frozen)
        loss = self.conductivity(t) / (2.0 * np.pi * self.frequency * VACUUM_PERMITTIVITY)
        # a sigmoid without an offset falls below vacuum far above the temperatures it was fitted to
        value: Complexes = np.maximum(self.permittivity(t), 1.0) - 1j * loss
        return value

    @property
    def varies(self) -> bool:
        """Whether heat changes it."""
        return self.frozen is None and (self.permittivity.s3, self.conductivity.s3) != (0.0, 0.0)


def constant(permittivity: float, conductivity: float, frequency: float, source: str) -> Dielectric:
    """A law without temperature: relative permittivity [1] and conductivity [S/m]."""
    flat = (0.0, 0.0, 0.0)
    return Dielectric(Sigmoid(*flat, permittivity), Sigmoid(*flat, conductivity), frequency, source)


_JI_BRACE = (Sigmoid(48.391, 6.286, 0.0764, 1.0), Sigmoid(2.173, 5.951, 0.0697, 0.0))
_LOPRESTO = (Sigmoid(45.57, 5.223, 0.05243, 0.0), Sigmoid(1.803, 6.538, 0.05984, 0.0))
_JI_BRACE_SOURCE = "Ji and Brace 2011, doi 10.1088/0031-9155/56/16/011 (as in the MITA manual)"
_LOPRESTO_SOURCE = "Lopresto et al. (coefficients as in the MITA manual)"

MODELS: Mapping[str, Dielectric] = MappingProxyType(
    {
        "ji_brace_2011": Dielectric(*_JI_BRACE, 2.45e9, _JI_BRACE_SOURCE),
        "lopresto": Dielectric(*_LOPRESTO, 2.45e9, _LOPRESTO_SOURCE),
        "ji_brace_2011_at_37C": Dielectric(*_JI_BRACE, 2.45e9, _JI_BRACE_SOURCE, 37.0),
        "lopresto_at_37C": Dielectric(*_LOPRESTO, 2.45e9, _LOPRESTO_SOURCE, 37.0),
        "comsol_constant": constant(
            43.03, 1.69, 2.45e9, "COMSOL application library, microwave_cancer_therapy"
        ),
    }
)
"""The laws by the name that a scenario gives them."""

SAME_FREQUENCY = 0.03
"""Relative distance of an antenna's frequency from a law's within which the law is used: the ISM
band at 2.45 GHz is 4 % wide, and liver's properties change little over it."""


def dielectric(name: str, frequency: float) -> Dielectric:
    """A law for an antenna's frequency [Hz].

    Raises:
        UsageError: no such law, or no data at this frequency; says what there is.
    """
    if name not in MODELS:
        raise UsageError(f"microwave_dielectric: got {name!r}; use one of {', '.join(MODELS)}")
    law = MODELS[name]
    if not _holds(law, frequency):
        there = [key for key, other in MODELS.items() if _holds(other, frequency)]
        known = ", ".join(sorted({f"{other.frequency / 1e6:g}" for other in MODELS.values()}))
        what = f"use {' or '.join(there)}" if there else "there is no law at this frequency"
        raise UsageError(
            f"antenna frequency: got {frequency / 1e6:g} MHz; {name} was measured at "
            f"{law.frequency / 1e6:g} MHz, and liver absorbs otherwise at other frequencies: "
            f"{what}, or take an antenna of {known} MHz"
        )
    return law


def _holds(law: Dielectric, frequency: float) -> bool:
    return abs(frequency / law.frequency - 1.0) <= SAME_FREQUENCY
