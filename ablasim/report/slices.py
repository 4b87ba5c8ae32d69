"""Plane cuts through a run, as plain 2D arrays that matplotlib draws.

A plane has an image basis: ``right`` and ``down`` point where the picture's axes point. Axial
planes are seen from the feet
and coronal ones from the front, so the patient's right is on the left of the picture, as on a
scanner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from ablasim.frames import MM
from ablasim.labelmap import LabelImage
from ablasim.report.saved import ZONE_FIELD, SavedRun, filled_name

Array = NDArray[np.float64]
Polyline = Array

SHOWN_MM = 1.5
"""Nearer than this to a plane, a point counts as lying in it."""


@dataclass(frozen=True)
class LabelOutlines:
    """A label volume whose outlines go under the isotherms, to judge the alignment of zone and
    image.

    Attributes:
        values: (i, j, k) integer labels, 0 is background.
        affine: (4, 4) from voxel index to LPS [mm].
        names: what each label means.
    """

    values: NDArray[np.integer[Any]]
    affine: Array
    names: Mapping[int, str]

    @classmethod
    def of_image(cls, image: LabelImage, labels: Mapping[str, int]) -> LabelOutlines:
        """From a label map, whose affine is in metres, and the names of its labels."""
        affine = image.affine.copy()
        affine[:3] /= MM
        return cls(image.labels, affine, {value: name for name, value in labels.items()})


@dataclass(frozen=True)
class Plane:
    """A cutting plane with the directions of its picture.

    Attributes:
        title: heading of the picture.
        origin: (3,) [mm] the picture's centre.
        right, down: (3,) unit vectors in LPS along the picture's axes.
    """

    title: str
    origin: Array
    right: Array
    down: Array

    @property
    def normal(self) -> Array:
        """Unit normal, pointing away from the reader."""
        return np.cross(self.right, self.down)

    def project(self, points: Array) -> Array:
        """Picture coordinates (n, 2) [mm] (right, down) of points (n, 3) [mm]."""
        offset = np.atleast_2d(points) - self.origin
        return np.column_stack((offset @ self.right, offset @ self.down))

    def distance(self, points: Array) -> Array:
        """Distance of points (n, 3) from the plane, (n,) [mm], signed along the normal."""
        found: Array = (np.atleast_2d(points) - self.origin) @ self.normal
        return found

    def letters(self) -> tuple[str, str, str, str]:
        """Anatomical letters at the left, right, top and bottom edge of the picture."""
        return (
            direction_letters(-self.right),
            direction_letters(self.right),
            direction_letters(-self.down),
            direction_letters(self.down),
        )


def direction_letters(direction: Array, least: float = 0.35) -> str:
    """Letters of a direction in LPS, strongest first: ``A`` or, for an oblique one, ``AS``."""
    names = ("LR", "PA", "SI")
    order = np.argsort(-np.abs(direction))
    return "".join(
        names[axis][0 if direction[axis] > 0 else 1]
        for axis in order
        if abs(direction[axis]) >= least
    )


def standard_planes(centre: Array) -> tuple[Plane, Plane, Plane]:
    """Axial, coronal and sagittal plane through a point (3,) [mm], in radiological convention."""
    left, posterior, inferior = np.eye(3) * (1.0, 1.0, -1.0)
    return (
        Plane("Axial", centre, left, posterior),
        Plane("Coronal", centre, left, inferior),
        Plane("Sagittal", centre, posterior, inferior),
    )


def needle_plane(run: SavedRun, centre: Array) -> Plane | None:
    """The plane along the first probe and through the thinnest point, turned as the nearest
    standard plane is.

    None without a probe or a thinnest point, or where a standard plane already shows the same.
    """
    point = run.thinnest_point
    if not run.probes or point is None:
        return None
    title = "Along the probe, through the thinnest point"
    return probe_plane(run, centre, point, title)


def probe_plane(run: SavedRun, centre: Array, point: Array, title: str) -> Plane | None:
    """The plane along the first probe and through a point (3,) [mm], turned as the nearest standard
    plane is; None where that one already shows the same, and for a point on the probe's axis."""
    tip = np.asarray(run.probes[0]["tip_mm"], dtype=np.float64)
    entry = np.asarray(run.probes[0]["entry_mm"], dtype=np.float64)
    axis = (entry - tip) / np.linalg.norm(entry - tip)
    across = (point - tip) - ((point - tip) @ axis) * axis
    if np.linalg.norm(across) < 1.0:
        return None
    normal = np.cross(axis, across / np.linalg.norm(across))
    nearest = max(standard_planes(centre), key=lambda plane: abs(float(plane.normal @ normal)))
    slant = float(nearest.normal @ normal)
    shown = np.abs(nearest.distance(np.array([tip, tip + 30.0 * axis, point])))
    if np.max(shown) < SHOWN_MM:
        return None
    normal *= np.sign(slant)
    right = nearest.right - (nearest.right @ normal) * normal
    right /= np.linalg.norm(right)
    origin = centre - ((centre - tip) @ normal) * normal
    return Plane(title, origin, right, np.cross(normal, right))


@dataclass(frozen=True)
class Slice:
    """One plane cut through a run; picture coordinates (right, down) in mm.

    Attributes:
        plane: where the cut is.
        points: (n, 2) corners of the cut tetrahedra's triangles.
        triangles: (t, 3) int.
        temperature, peak: (n,) [°C] final and highest temperature.
        tumour: outlines of the tumour.
        surfaces: for each index into ``SavedRun.surfaces`` that is cut, its cut lines.
    """

    plane: Plane
    points: Array
    triangles: NDArray[np.int64]
    temperature: Array
    peak: Array
    tumour: tuple[Polyline, ...]
    surfaces: Mapping[int, tuple[Polyline, ...]]
    _cut: pv.PolyData

    def isotherm(self, level: float) -> tuple[Polyline, ...]:
        """Lines of one peak temperature [°C]; the rim along a cooled probe counts as hot."""
        name = filled_name(level)
        return self.lines(name if name in self._cut.point_data else "peak_C", level)

    def zone_outline(self, level: float) -> tuple[Polyline, ...]:
        """Where the plane cuts the zone of a criterion other than a peak temperature."""
        return self.lines(ZONE_FIELD, level)

    def values(self, name: str) -> Array:
        """An array at the corners of the cut's triangles (n,)."""
        return np.asarray(self._cut.point_data[name], dtype=np.float64)

    def lines(self, name: str, level: float) -> tuple[Polyline, ...]:
        """Lines along which an array has a value; none without the array or the value."""
        if name not in self._cut.point_data or len(self.triangles) == 0:
            return ()
        values = np.asarray(self._cut.point_data[name])
        if not values.min() < level < values.max():
            return ()
        return polylines(self._cut.contour([level], scalars=name), self.plane)


def cut(run: SavedRun, plane: Plane, arrays: Mapping[str, Array] | None = None) -> Slice:
    """Cut the fields, the tumour and every surface of a run by a plane.

    Args:
        run: what to cut.
        plane: where.
        arrays: more fields at the points of the mesh (n,), for `Slice.lines`.
    """
    grid = run.filled_fields
    if arrays:
        grid = grid.copy(deep=False)
        for name, values in arrays.items():
            grid.point_data[name] = values
    sliced = grid.slice(normal=plane.normal, origin=plane.origin).triangulate()
    points = np.asarray(sliced.points, dtype=np.float64)
    triangles = sliced.faces.reshape(-1, 4)[:, 1:] if sliced.n_cells else np.empty((0, 3))
    surfaces = {}
    for index in range(len(run.surfaces)):
        lines = surface_lines(run.surface_mesh(index), plane)
        if lines:
            surfaces[index] = lines
    return Slice(
        plane=plane,
        points=plane.project(points) if len(points) else np.empty((0, 2)),
        triangles=np.asarray(triangles, dtype=np.int64),
        temperature=np.asarray(sliced.point_data["temperature_C"], dtype=np.float64),
        peak=np.asarray(sliced.point_data["peak_C"], dtype=np.float64),
        tumour=surface_lines(run.margin, plane) if run.margin is not None else (),
        surfaces=surfaces,
        _cut=cast(pv.PolyData, sliced),
    )


def surface_lines(surface: pv.PolyData, plane: Plane) -> tuple[Polyline, ...]:
    """The lines in which a surface crosses a plane, in picture coordinates, closed ones repeat
    their first point."""
    if surface.n_cells == 0:
        return ()
    return polylines(surface.slice(normal=plane.normal, origin=plane.origin), plane)


def polylines(lines: pv.DataSet, plane: Plane) -> tuple[Polyline, ...]:
    """The segments of a line mesh joined into as few polylines as possible, each (k, 2) in picture
    coordinates."""
    if lines.n_cells == 0:
        return ()
    joined = cast(pv.PolyData, lines).clean().strip(join=True)
    flat = np.asarray(joined.lines)
    projected = plane.project(np.asarray(joined.points, dtype=np.float64))
    found = []
    start = 0
    while start < len(flat):
        count = int(flat[start])
        found.append(projected[flat[start + 1 : start + 1 + count]])
        start += 1 + count
    return tuple(line for line in found if len(line) > 1)


def label_masks(
    labels: LabelOutlines, plane: Plane, half_width: float, step: float = 0.4
) -> Mapping[int, Array]:
    """Each label's mask (m, m) of 0 and 1 on a square raster of the plane, nearest voxel, for its
    outline at 0.5."""
    axis = np.arange(-half_width, half_width + step / 2, step)
    right, down = np.meshgrid(axis, axis)
    places = plane.origin + right[..., None] * plane.right + down[..., None] * plane.down
    inverse = np.linalg.inv(labels.affine)
    index = np.rint(places @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    inside = np.all((index >= 0) & (index < labels.values.shape), axis=-1)
    found = np.zeros(inside.shape, dtype=int)
    found[inside] = labels.values[tuple(index[inside].T)]
    return {label: (found == label).astype(np.float64) for label in np.unique(found) if label != 0}
