"""The radiofrequency potential problem: div(sigma(T) grad phi) = 0, Joule heat sigma |grad phi|2.

At 500 kHz the wavelength is far longer than the body, so the field is quasi-static. phi is the
root-mean-square potential: 1 on the active surfaces, no current through insulated shafts and vessel
walls. The outer surface is either grounded or carries the far-field condition

    sigma dphi/dn = -sigma phi (n . r) / r2,   r measured from the middle of the active surface,

which is exact for the monopole field phi ~ 1/r of an electrode whose pad is far away: the impedance
then does not depend on the size of the block.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def far_field_conductance(
    points: Floats, faces: NDArray[np.int32], centre: Floats, sigma: Floats
) -> Floats:
    """Conductance [S] from each point of the outer surface to a pad at infinity, lumped.

    Args:
        points: mesh points (n, 3) [m].
        faces: outer triangles (f, 3), normals outward.
        centre: middle of the active surface (3,) [m].
        sigma: conductivity next to each face (f,) [S/m].

    Returns:
        One value per mesh point (n,) [S]; zero inside.
    """
    corners = points[faces]
    normal = 0.5 * np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    offset = corners.mean(axis=1) - centre
    rate = sigma * np.einsum("fi,fi->f", normal, offset) / np.einsum("fi,fi->f", offset, offset)
    share = np.repeat(np.maximum(rate, 0.0) / 3.0, 3)
    return np.bincount(faces.ravel(), share, minlength=len(points))
