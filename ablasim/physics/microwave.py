"""Microwave heat from a parametric absorption pattern around a slot antenna.

In the antenna's frame (z along the shaft from the tip, rho from the axis)

    g(rho, z) = exp(-((z - z_s)/L_s)^2) exp(-2 alpha (rho - a)) / (rho + r_s),

the standard family of a radiating line in a lossy medium: cylindrical spread, decay of a plane wave
with alpha the attenuation of the field in liver, a bounded width along the antenna. It is scaled so
that the tissue absorbs exactly the power that the antenna puts into it. Near a vessel or a tumour
the pattern is not distorted; that takes the field problem.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def slot_pattern(
    axial: Any,
    radial: Any,
    *,
    slot: float,
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
        slot: where the slot's middle sits along the shaft [m].
        width: 1/e half width of the pattern along the shaft [m].
        attenuation: alpha of the field [1/m]; power decays with twice it.
        radius: radius a of the catheter [m].
        softening: r_s, added to the radius in the cylindrical spread [m].
        xp: array module.
    """
    along = xp.exp(-(((axial - slot) / width) ** 2))
    return along * xp.exp(-2.0 * attenuation * (radial - radius)) / (radial + softening)
