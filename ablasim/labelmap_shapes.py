"""Masks of voxels as smooth signed distances on an isotropic grid; thin and tiny parts removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablasim.frames import MM
from ablasim.shapes import FloatArray, GridSdf

BAND = 20.0 * MM  # distances are kept up to this far; edges grow with them
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
    wanted = float(volume.resample(mask.astype(np.float32)).sum(dtype=np.float64))
    smoothed = ndimage.gaussian_filter(distance, sigma / volume.spacing)
    # Between voxels a distance from their centres is flatter than a distance from a surface.
    near = redistance(smoothed, volume.spacing)
    return redistance(near - _level_of_volume(near, wanted, volume.spacing), volume.spacing)


def signed_distance(mask: Mask, voxel: FloatArray) -> FloatArray:
    """Distance to voxels of the other kind, negative inside, at most BAND, (ni, nj, nk) [m].

    Half of the smallest voxel edge is taken off, so that the zero lies between the voxels.
    """
    if mask.all() or not mask.any():
        return np.full(mask.shape, -BAND if mask.all() else BAND, dtype=np.float32)
    half = 0.5 * voxel.min()
    outside = ndimage.distance_transform_edt(~mask, sampling=voxel) - half
    inside = ndimage.distance_transform_edt(mask, sampling=voxel) - half
    distance: FloatArray = np.clip(np.where(mask, -inside, outside), -BAND, BAND)
    return distance.astype(np.float32)


def redistance(values: FloatArray, spacing: float) -> FloatArray:
    """Signed distance from the zero set of a function on a grid, at most BAND [m].

    A sample beside the surface is first moved onto it along the gradient; every other sample
    measures its distance to where its nearest such sample went.
    """
    negative = values < 0.0
    beside = np.zeros(values.shape, dtype=np.bool_)
    for axis in range(3):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        crossing = negative[tuple(low)] != negative[tuple(high)]
        beside[tuple(low)] |= crossing
        beside[tuple(high)] |= crossing
    if not beside.any():
        return np.where(negative, -BAND, BAND)
    seeds = np.argwhere(beside)
    place = tuple(seeds.T)
    slopes: list[FloatArray] = list(np.gradient(values, spacing))
    slope = np.stack([g[place] for g in slopes], axis=1)
    square = np.maximum(np.einsum("ij,ij->i", slope, slope), 0.01)
    step = -(values[place] / square)[:, None] * slope
    length = np.linalg.norm(step, axis=1, keepdims=True)
    step *= np.minimum(1.0, 1.5 * spacing / np.maximum(length, 1e-12))
    number = np.full(values.shape, -1, dtype=np.int32)
    number[place] = np.arange(len(seeds))
    far, nearest = ndimage.distance_transform_edt(~beside, sampling=spacing, return_indices=True)
    band = np.argwhere(far < BAND)
    where = tuple(band.T)
    seed = number[tuple(axis[where] for axis in nearest)]
    gap = spacing * (band - seeds[seed]) - step[seed]
    result = np.full(values.shape, BAND)
    result[where] = np.minimum(np.linalg.norm(gap, axis=1), BAND)
    return np.where(negative, -result, result)


def _level_of_volume(values: FloatArray, wanted: float, spacing: float) -> float:
    """The level below which ``values`` fills as much as ``wanted`` samples."""
    reach = 3.0 * spacing
    near = values[np.abs(values) < 2.0 * reach]
    base = float((values <= -2.0 * reach).sum())
    low, high = -reach, reach
    for _ in range(30):
        level = 0.5 * (low + high)
        # A linear ramp one sample wide counts cut cells by their share.
        filled = base + float(np.clip(0.5 - (near - level) / spacing, 0.0, 1.0).sum())
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
    core[place] = distance[place] < 0.25 * spacing - radius
    if not core.any():
        return None
    to_core, nearest = ndimage.distance_transform_edt(~core, sampling=spacing, return_indices=True)
    depth = -distance[tuple(nearest)]
    opened = np.maximum(distance, to_core - depth - 0.8 * spacing)
    # The balls' union is ragged where branches were cut off: rounded like everything else.
    rounded = redistance(np.clip(opened, -BAND, BAND), spacing)
    opened = redistance(ndimage.gaussian_filter(rounded, 0.7), spacing)
    parts, count = ndimage.label(opened < 0.0)
    sizes = ndimage.sum_labels(np.ones(parts.shape), parts, np.arange(count + 1)) * spacing**3
    small = sizes < SMALLEST_VESSEL
    small[0] = False
    kept: FloatArray = np.where(small[parts], 0.5 * spacing, opened)
    if not (kept < 0.0).any():
        return None
    return redistance(kept, spacing) if small.any() else kept


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
