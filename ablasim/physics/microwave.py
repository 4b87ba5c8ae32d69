"""Microwave heat from a parametric absorption pattern around a slot antenna.

In the antenna's frame (z along the shaft from the tip, rho from the axis)

    g(rho, z) = exp(-((z - z_s)/L_s)^2) exp(-2 alpha (rho - a)) / (rho + r_s),

the standard family of a radiating line in a lossy medium: cylindrical spread, decay of a wave with
alpha its attenuation in liver, a bounded width along the antenna, all fitted to the antenna's field
solution at body temperature (`benchmarks/fit_parametric.py`). It is scaled so
that the tissue absorbs exactly the power that the antenna puts into it. Heated tissue loses water
and with it absorbs less: the pattern is weighted by sigma(T)/sigma(37 °C) at 2.45 GHz (sigmoid of
Ji and Brace 2011, 10.1088/0031-9155/56/16/011) and scaled again, so that the wave's power moves
outward. What drying does to the match of the antenna and to the shape of the pattern is left out:
that takes the field problem.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

SIGMA_SIGMOID = (2.173, 5.951, 0.0697)
"""s1 [S/m], s2 [-], s3 [1/K] of sigma(T) = s1 (1 - 1/(1 + exp(s2 - s3 T))), T in °C."""

HOTTEST = 300.0
"""Tissue above this [°C] counts as at it: next to nothing is left to absorb."""


def heated_absorption(temperature: Any, xp: Any = np) -> Any:
    """sigma(T)/sigma(37 °C) of liver at 2.45 GHz: 0.88 at 60, 0.27 at 100, 0.09 at 120 °C.

    Args:
        temperature: T [°C].
        xp: array module.
    """
    s1, s2, s3 = SIGMA_SIGMOID
    hot = xp.minimum(temperature, HOTTEST)
    # 1 - 1/(1 + exp(x)) = 1/(1 + exp(-x)), which loses no digits for hot tissue
    reference = s1 / (1.0 + math.exp(s3 * 37.0 - s2))
    return s1 / (1.0 + xp.exp(s3 * hot - s2)) / reference


def slot_pattern(
    axial: Any,
    radial: Any,
    *,
    centre: float,
    width: float,
    attenuation: float,
    radius: float,
    softening: float,
    xp: Any = np,
) -> Any:
    """Relative absorption [1/m] of a slot antenna; scaled by the caller to the absorbed power.

    Args:
        axial: distance from the tip along the shaft [m].
        radial: distance from the axis [m].
        centre: where the middle of the heat sits along the shaft [m].
        width: 1/e half width of the pattern along the shaft [m].
        attenuation: alpha of the field [1/m]; power decays with twice it.
        radius: radius a of the part that radiates [m].
        softening: r_s, added to the radius in the cylindrical spread [m].
        xp: array module.
    """
    along = xp.exp(-(((axial - centre) / width) ** 2))
    return along * xp.exp(-2.0 * attenuation * (radial - radius)) / (radial + softening)
