"""Signed distance functions as small frozen objects: (n, 3) [m] -> (n,) [m], negative inside.

They are exact distances unless their docstring says otherwise. Being plain data they can be hashed,
which names a mesh in the cache, and moved by nothing but their parameters.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Vector = tuple[float, float, float]

GRADIENT_STEP = 1e-7  # [m]; small against any shape, large against rounding at 0.1 m


class Sdf(Protocol):
    """A signed distance function, negative inside."""

    def __call__(self, x: FloatArray) -> FloatArray:
        """Signed distance of the points (n, 3) [m], (n,) [m]."""
        ...


@dataclass(frozen=True)
class Sphere:
    """A ball."""

    centre: Vector
    radius: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """Signed distance (n,) [m]."""
        distance: FloatArray = np.linalg.norm(x - np.asarray(self.centre), axis=1) - self.radius
        return distance


@dataclass(frozen=True)
class Ellipsoid:
    """An axis-aligned ellipsoid. First-order distance: exact on the surface, right to second
    order in the distance from it, and of the right sign everywhere."""

    centre: Vector
    semi_axes: Vector

    def __call__(self, x: FloatArray) -> FloatArray:
        """Signed distance (n,) [m]."""
        semi = np.asarray(self.semi_axes)
        relative = x - np.asarray(self.centre)
        k0 = np.linalg.norm(relative / semi, axis=1)
        k1 = np.linalg.norm(relative / semi**2, axis=1)
        # At the centre both vanish; the inner radius is the distance there.
        inside = k1 < 1e-12 / semi.min()
        distance: FloatArray = np.where(
            inside, -semi.min(), k0 * (k0 - 1.0) / np.where(inside, 1.0, k1)
        )
        return distance


@dataclass(frozen=True)
class Box:
    """An axis-aligned box."""

    centre: Vector
    size: Vector

    def __call__(self, x: FloatArray) -> FloatArray:
        """Signed distance (n,) [m]."""
        q = np.abs(x - np.asarray(self.centre)) - 0.5 * np.asarray(self.size)
        outside = np.linalg.norm(np.maximum(q, 0.0), axis=1)
        distance: FloatArray = outside + np.minimum(q.max(axis=1), 0.0)
        return distance


@dataclass(frozen=True)
class Tube:
    """A round tube of constant radius along a polyline, round ends and joints."""

    path: tuple[Vector, ...]
    radius: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """Signed distance (n,) [m]."""
        nearest = np.full(len(x), np.inf)
        for start, end in zip(self.path[:-1], self.path[1:], strict=True):
            a = np.asarray(start)
            along = np.asarray(end) - a
            relative = x - a
            t = np.clip(relative @ along / max(float(along @ along), 1e-30), 0.0, 1.0)
            nearest = np.minimum(nearest, np.linalg.norm(relative - t[:, None] * along, axis=1))
        return nearest - self.radius


@dataclass(frozen=True)
class InfiniteCylinder:
    """A round cylinder without ends."""

    point: Vector
    axis: Vector
    radius: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """Signed distance (n,) [m]."""
        relative = x - np.asarray(self.point)
        axis = np.asarray(self.axis)
        across = relative - (relative @ axis)[:, None] * axis
        distance: FloatArray = np.linalg.norm(across, axis=1) - self.radius
        return distance


@dataclass(frozen=True)
class Cone:
    """An infinite half cone opening along the axis from its apex. Exact but behind the apex."""

    apex: Vector
    axis: Vector
    half_angle: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """Signed distance (n,) [m]."""
        relative = x - np.asarray(self.apex)
        axis = np.asarray(self.axis)
        along = relative @ axis
        across = np.linalg.norm(relative - along[:, None] * axis, axis=1)
        flank = across * np.cos(self.half_angle) - along * np.sin(self.half_angle)
        behind = along * np.cos(self.half_angle) + across * np.sin(self.half_angle) < 0.0
        distance: FloatArray = np.where(behind, np.hypot(along, across), flank)
        return distance


@dataclass(frozen=True)
class Torus:
    """A whole torus: a round tube along a circle."""

    centre: Vector
    normal: Vector
    ring_radius: float
    radius: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """Signed distance (n,) [m]."""
        relative = x - np.asarray(self.centre)
        normal = np.asarray(self.normal)
        height = relative @ normal
        across = np.linalg.norm(relative - height[:, None] * normal, axis=1)
        distance: FloatArray = np.hypot(across - self.ring_radius, height) - self.radius
        return distance


@dataclass(frozen=True)
class HalfSpace:
    """The side of a plane its normal points away from."""

    point: Vector
    normal: Vector

    def __call__(self, x: FloatArray) -> FloatArray:
        """Signed distance (n,) [m]."""
        distance: FloatArray = (x - np.asarray(self.point)) @ np.asarray(self.normal)
        return distance


@dataclass(frozen=True)
class Intersection:
    """Inside all of its parts. Exact inside and on the surface, a lower bound outside edges."""

    parts: tuple[Sdf, ...]

    def __call__(self, x: FloatArray) -> FloatArray:
        """Signed distance (n,) [m]."""
        distance: FloatArray = np.asarray(np.max([part(x) for part in self.parts], axis=0))
        return distance


@dataclass(frozen=True)
class Union:
    """Inside any of its parts. Exact outside and on the surface."""

    parts: tuple[Sdf, ...]

    def __call__(self, x: FloatArray) -> FloatArray:
        """Signed distance (n,) [m]."""
        distance: FloatArray = np.asarray(np.min([part(x) for part in self.parts], axis=0))
        return distance


@dataclass(frozen=True, eq=False)
class GridSdf:
    """Signed distance sampled on a regular LPS-aligned grid, linear between the samples.

    Attributes:
        origin: position of sample [0, 0, 0] [m].
        spacing: distance of the samples [m].
        values: (nx, ny, nz) [m].
    """

    origin: Vector
    spacing: float
    values: NDArray[np.float32]

    def __call__(self, x: FloatArray) -> FloatArray:
        """Signed distance (n,) [m]; the nearest border value outside the grid."""
        return self._corners(x)[0]

    def gradient(self, x: FloatArray) -> FloatArray:
        """Gradient (n, 3) [-] of the linear interpolation."""
        _, f, corner = self._corners(x)
        slopes = []
        for axis in range(3):
            rest = corner
            for other in (2, 1, 0):  # the last axis of ``corner`` first
                t = f[:, other].reshape(-1, *([1] * (rest.ndim - 2)))
                low, high = rest[..., 0], rest[..., 1]
                rest = high - low if other == axis else low + t * (high - low)
            slopes.append(rest / self.spacing)
        return np.stack(slopes, axis=1)

    def _corners(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Value (n,), place in the cell (n, 3) and the cell's samples (n, 2, 2, 2)."""
        shape = np.asarray(self.values.shape)
        u = np.clip((x - np.asarray(self.origin)) / self.spacing, 0.0, shape - 1.0)
        cell = np.minimum(u.astype(np.int64), shape - 2)
        f = u - cell
        stride = np.array([shape[1] * shape[2], shape[2], 1])
        offsets = (
            stride[0] * np.arange(2)[:, None, None]
            + stride[1] * np.arange(2)[:, None]
            + stride[2] * np.arange(2)
        )
        index = (cell @ stride)[:, None, None, None] + offsets
        corner = self.values.reshape(-1)[index].astype(np.float64)
        value = corner
        for axis in (2, 1, 0):
            t = f[:, axis].reshape(-1, *([1] * (value.ndim - 2)))
            value = value[..., 0] + t * (value[..., 1] - value[..., 0])
        return value, f, corner


def vector(x: FloatArray) -> Vector:
    """Three coordinates as plain numbers."""
    return float(x[0]), float(x[1]), float(x[2])


def gradient(sdf: Sdf, x: FloatArray) -> FloatArray:
    """Gradient, by central differences where a shape has none of its own, (n, 3) [-]."""
    if isinstance(sdf, GridSdf):
        return sdf.gradient(x)
    columns = []
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = GRADIENT_STEP
        columns.append((sdf(x + step) - sdf(x - step)) / (2.0 * GRADIENT_STEP))
    return np.stack(columns, axis=1)


def project(sdf: Sdf, x: FloatArray, *, level: float | FloatArray = 0.0) -> FloatArray:
    """Points moved along the gradient onto ``sdf == level``, (n, 3) [m].

    Two Newton steps: exact after one for a true distance, the second serves the approximate ones.
    """
    for _ in range(2):
        slope = gradient(sdf, x)
        square = np.maximum(np.einsum("ij,ij->i", slope, slope), 0.1)
        x = x - ((sdf(x) - level) / square)[:, None] * slope
    return x


def content_hash(*objects: object) -> str:
    """SHA-256 over plain data, arrays and the frozen dataclasses made of them."""
    digest = hashlib.sha256()
    for item in objects:
        _feed(digest, item)
    return digest.hexdigest()


def _feed(digest: hashlib._Hash, item: object) -> None:
    if isinstance(item, np.ndarray):
        digest.update(f"{item.dtype.str}{item.shape}".encode())
        digest.update(np.ascontiguousarray(item).tobytes())
    elif isinstance(item, tuple | list):
        digest.update(f"({len(item)}".encode())
        for element in item:
            _feed(digest, element)
    elif isinstance(item, dict):
        _feed(digest, sorted(item.items()))
    elif hasattr(item, "__dataclass_fields__"):
        digest.update(type(item).__name__.encode())
        for field in fields(item):  # type: ignore[arg-type]
            digest.update(field.name.encode())
            _feed(digest, getattr(item, field.name))
    elif item is None or isinstance(item, str | int | float | bool | np.generic):
        digest.update(f"{type(item).__name__}:{item!r};".encode())
    else:
        raise TypeError(f"content_hash: got {type(item).__name__}; allowed: plain data")
