"""Masks of voxels as smooth signed distances on an isotropic grid; thin and tiny parts removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablasim.frames import MM
from ablasim.shapes import FloatArray, GridSdf

BAND = 6.0 * MM  # distances are kept up to this far from the surface
SMALLEST_VESSEL = 100.0 * MM**3  # an island below this volume is noise
CAPSULE_RADIUS = 3.0 * MM  # vessels that leave the liver do not drag its surface along

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Volume:
    """Labels around the region, and the isotropic grid its shapes are sampled on.

    Attributes:
        labels: (ni, nj, nk) integers.
        affine: (4, 4) from index to LPS [m].
        origin: (3,) first sample of the isotropic grid [m].
        spacing: of that grid [m].
        shape: of that grid.
    """

    labels: NDArray[np.int64]
    affine: FloatArray
    origin: FloatArray
    spacing: float
    shape: tuple[int, int, int]

    @property
    def voxel(self) -> FloatArray:
        """Edge lengths of a voxel, (3,) [m]."""
        edges: FloatArray = np.linalg.norm(self.affine[:3, :3], axis=0)
        return edges

    def resample(self, values: FloatArray) -> FloatArray:
        """Values on the voxels, linearly interpolated to the isotropic grid."""
        inverse = np.linalg.inv(self.affine[:3, :3])
        resampled: FloatArray = ndimage.affine_transform(
            values,
            inverse * self.spacing,
            inverse @ (self.origin - self.affine[:3, 3]),
            output_shape=self.shape,
            order=1,
            mode="nearest",
        )
        return resampled


def smooth_distance(volume: Volume, mask: Mask, sigma: float) -> FloatArray:
    """Signed distance of a mask on the isotropic grid, smoothed, its volume kept.

    Args:
        volume: the grids.
        mask: (ni, nj, nk) on the voxels.
        sigma: of the Gaussian [m].
    """
    distance = volume.resample(signed_distance(mask, volume.voxel))
    wanted = float(volume.resample(mask.astype(np.float64)).sum())
    smoothed: FloatArray = ndimage.gaussian_filter(distance, sigma / volume.spacing)
    return smoothed - _level_of_volume(smoothed, wanted, volume.spacing)


def signed_distance(mask: Mask, voxel: FloatArray) -> FloatArray:
    """Distance to the boundary between voxels, negative inside, at most BAND, (ni, nj, nk) [m].

    The boundary lies half-way between the centres of two voxels of different kind.
    """
    if mask.all() or not mask.any():
        return np.full(mask.shape, -BAND if mask.all() else BAND)
    outside, nearest_in = ndimage.distance_transform_edt(~mask, sampling=voxel, return_indices=True)
    inside, nearest_out = ndimage.distance_transform_edt(mask, sampling=voxel, return_indices=True)
    own = np.indices(mask.shape)

    def half_step(nearest: NDArray[np.int32]) -> FloatArray:
        # Half a voxel along the line to the nearest centre of the other kind.
        across = np.abs(nearest - own) * voxel.reshape(3, 1, 1, 1)
        length = np.maximum(np.linalg.norm(across, axis=0), 1e-12)
        step: FloatArray = 0.5 * (across * voxel.reshape(3, 1, 1, 1)).sum(axis=0) / length
        return step

    distance = np.where(mask, -inside + half_step(nearest_out), outside - half_step(nearest_in))
    clipped: FloatArray = np.clip(distance, -BAND, BAND)
    return clipped


def _level_of_volume(values: FloatArray, wanted: float, spacing: float) -> float:
    """The level below which ``values`` fills as much as ``wanted`` samples."""
    low, high = -BAND, BAND
    for _ in range(40):
        level = 0.5 * (low + high)
        # A linear ramp one sample wide counts cut cells by their share.
        filled = float(np.clip(0.5 - (values - level) / spacing, 0.0, 1.0).sum())
        low, high = (level, high) if filled < wanted else (low, level)
    return 0.5 * (low + high)


def open_tubes(
    distance: FloatArray, volume: Volume, thinnest: Callable[[FloatArray], FloatArray]
) -> FloatArray | None:
    """Parts of a vessel that are thick enough to be meshed; None where nothing is.

    What lies in no inscribed ball of the wanted size goes; so do islands.

    Args:
        distance: on the isotropic grid [m].
        volume: the grids.
        thinnest: smallest radius to keep at points (n, 3), (n,) [m].
    """
    spacing = volume.spacing
    # The deepest sample of a tube is up to half a diagonal of the grid off its axis.
    core = np.zeros(distance.shape, dtype=np.bool_)
    inside = np.argwhere(distance < 0.0)
    if not len(inside):
        return None
    radius = thinnest(volume.origin + spacing * inside)
    place = tuple(inside.T)
    core[place] = distance[place] < 0.4 * spacing - radius
    if not core.any():
        return None
    to_core, nearest = ndimage.distance_transform_edt(~core, sampling=spacing, return_indices=True)
    depth = -distance[tuple(nearest)]
    opened = np.maximum(distance, to_core - depth - 0.8 * spacing)
    parts, count = ndimage.label(opened < 0.0)
    sizes = ndimage.sum_labels(np.ones(parts.shape), parts, np.arange(count + 1)) * spacing**3
    small = sizes < SMALLEST_VESSEL
    small[0] = False
    kept: FloatArray = np.where(small[parts], 0.5 * spacing, opened)
    return kept if bool((kept < 0.0).any()) else None


def closed_liver(volume: Volume, mask: Mask) -> FloatArray:
    """Signed distance of the liver with what lies in it, without stumps of vessels or gaps."""
    distance = smooth_distance(volume, mask, 1.5 * MM)
    spacing = volume.spacing
    for sign in (1.0, -1.0):  # first off with what is thin, then in with narrow gaps
        field = sign * distance
        core = field < -CAPSULE_RADIUS
        if not core.any():
            continue
        reach = ndimage.distance_transform_edt(~core, sampling=spacing) - CAPSULE_RADIUS
        distance = sign * np.maximum(field, reach - 0.5 * spacing)
    parts, count = ndimage.label(distance < 0.0)
    if count > 1:
        sizes = np.bincount(parts.reshape(-1))
        sizes[0] = 0
        distance = np.where((parts > 0) & (parts != sizes.argmax()), 0.5 * spacing, distance)
    return distance


def to_sdf(distance: FloatArray, volume: Volume) -> GridSdf:
    """Samples on the isotropic grid as a function of place."""
    x, y, z = (float(v) for v in volume.origin)
    return GridSdf((x, y, z), volume.spacing, np.ascontiguousarray(distance, dtype=np.float32))
