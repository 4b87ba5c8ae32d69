"""LPS and RAS axes, millimetres and metres: the only place where a sign flips or a length scales.

Files and scenarios hold millimetres in the LPS frame of DICOM (x to the patient's left, y to the
posterior, z to the head). Inside ablasim every length is in metres, in the same LPS frame. NIfTI
headers and most viewers use RAS (x to the right, y to the anterior), which is LPS with the first
two axes reversed; the flip is its own inverse.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

MM = 1e-3
"""One millimetre [m]."""

CM_PER_S = 1e-2
"""One centimetre per second [m/s]."""

MHZ = 1e6
"""One megahertz in hertz."""

ML = 1e-6
"""One millilitre [m3]."""

LPS_TO_RAS: Array = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Homogeneous matrix (4, 4) from LPS to RAS and back, whatever the unit of length."""
LPS_TO_RAS.setflags(write=False)


def to_metres(length_mm: ArrayLike) -> Array:
    """Lengths of any shape from [mm] to [m]."""
    scaled: Array = np.asarray(length_mm, dtype=np.float64) * MM
    return scaled


def to_mm(length: ArrayLike) -> Array:
    """Lengths of any shape from [m] to [mm]."""
    scaled: Array = np.asarray(length, dtype=np.float64) / MM
    return scaled


def to_ml(volume: ArrayLike) -> Array:
    """Volumes of any shape from [m3] to [ml]."""
    scaled: Array = np.asarray(volume, dtype=np.float64) / ML
    return scaled


def flip_lps_ras(vectors: ArrayLike) -> Array:
    """Points or directions (..., 3) from LPS to RAS, or from RAS to LPS; any unit."""
    vectors = np.asarray(vectors, dtype=np.float64)
    if vectors.shape[-1:] != (3,):
        raise ValueError(f"vectors: got shape {vectors.shape}; the last axis must have length 3")
    flipped: Array = vectors * np.array([-1.0, -1.0, 1.0])
    return flipped


def ras_mm_affine_to_lps_m(affine: ArrayLike) -> Array:
    """Voxel-to-world matrix (4, 4) of a NIfTI header (RAS [mm]) as voxel to LPS [m]."""
    matrix = LPS_TO_RAS @ _affine(affine)
    matrix[:3] *= MM
    return matrix


def lps_m_affine_to_ras_mm(affine: ArrayLike) -> Array:
    """Inverse of `ras_mm_affine_to_lps_m`: voxel to LPS [m] as voxel to RAS [mm]."""
    matrix = LPS_TO_RAS @ _affine(affine)
    matrix[:3] /= MM
    return matrix


def grid_affine(origin_mm: ArrayLike, spacing_mm: ArrayLike, direction: ArrayLike) -> Array:
    """Voxel-to-world matrix of an image in the manner of ITK, from LPS [mm] to LPS [m].

    Args:
        origin_mm: centre of voxel (0, 0, 0), (3,) LPS [mm].
        spacing_mm: edge lengths of a voxel, (3,) [mm].
        direction: unit vectors of the three index axes as columns, (9,) row by row or (3, 3).

    Returns:
        Matrix (4, 4) that takes an index (i, j, k, 1) to LPS [m].
    """
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(np.asarray(direction, dtype=np.float64), (3, 3)) * to_metres(
        spacing_mm
    )
    matrix[:3, 3] = to_metres(origin_mm)
    return matrix


def apply_affine(affine: ArrayLike, points: ArrayLike) -> Array:
    """Points (..., 3) moved by a homogeneous matrix (4, 4)."""
    matrix = _affine(affine)
    moved: Array = np.asarray(points, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def _affine(affine: ArrayLike) -> Array:
    matrix = np.array(affine, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise ValueError(f"affine: got shape {matrix.shape}; must be (4, 4)")
    return matrix
