"""How far two results are apart: fields in kelvin, lethal surfaces in millimetres.

With d = B - A at samples of A's tissue and w the volume of each,

    rms = sqrt(sum w d^2 / sum w),    relative L2 = sqrt(sum w d^2 / sum w (A - A0)^2),

A0 being the temperature before heating: the number does not depend on where a scale has its zero,
and unheated tissue does not flatter it. On the same mesh the samples are the nodes with their
lumped volumes (a quarter of each tetrahedron around). On different meshes they are the centroids of
A's tetrahedra that lie in B's tissue: nodes of a wall or of a round outer boundary lie on the
chords' far side in the other mesh, and with them the cells around would be lost.

Surfaces: the distance of every vertex of one surface from the other one, exactly; the largest of
both directions (Hausdorff), and the mean over both areas (mean symmetric surface distance).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablasim.assess.distance import surface_distance
from ablasim.assess.sample import locate
from ablasim.assess.zone import LethalZone
from ablasim.mesh_cut import triangle_normals
from ablasim.mesh_tet import TetMesh

Floats = NDArray[np.float64]

SAME_PLACE = 1e-9
"""Points nearer than this are the same [m]: files keep the millimetres of a mesh in metres."""
STANDING_OUT = 0.15
"""Share of a tetrahedron's height by which a node of a round wall may stand out of the other mesh,
whose chords pass inside it, and still have a value there."""
ROUND_OFF = 1e-15
"""Distances below this are none [m]: what double precision leaves of a point on its own triangle,
within a metre of the origin."""


@dataclass(frozen=True, eq=False)
class FieldDifference:
    """B - A of one field at the points of A.

    Attributes:
        values: (n,), for maps; NaN where the point lies outside B's tissue.
        l2_relative: relative to A's rise above the baseline [-]; None where nothing rose.
        rms: root mean square over the volume compared, in the field's unit.
        max: largest absolute difference of a sample.
        place: where that is (3,) [m].
        compared_fraction: of A's volume [-].
    """

    values: Floats
    l2_relative: float | None
    rms: float
    max: float
    place: Floats
    compared_fraction: float


@dataclass(frozen=True, eq=False)
class SurfaceDistance:
    """Distance between two triangle surfaces.

    Attributes:
        there: of each vertex of the first surface from the second (v,) [m].
        back: of each vertex of the second from the first (w,) [m].
        there_mean, back_mean: their means over the area of their own surface [m].
        mean: over the areas of both [m].
        place: the vertex, of either surface, that is farthest from the other (3,) [m].
        on_second: that vertex lies on the second surface.
    """

    there: Floats
    back: Floats
    there_mean: float
    back_mean: float
    mean: float
    place: Floats
    on_second: bool

    @property
    def there_max(self) -> float:
        """Largest distance of the first surface from the second [m]."""
        return float(self.there.max())

    @property
    def back_max(self) -> float:
        """Largest distance of the second surface from the first [m]."""
        return float(self.back.max())

    @property
    def max(self) -> float:
        """Hausdorff distance [m]."""
        return max(self.there_max, self.back_max)


def same_mesh(one: TetMesh, two: TetMesh) -> bool:
    """Whether both meshes have the same points in the same order, and the same cells."""
    return (
        one is two
        or one.points.shape == two.points.shape
        and bool((np.abs(one.points - two.points) < SAME_PLACE).all())
        and np.array_equal(one.cells, two.cells)
    )


def nodal_volumes(mesh: TetMesh) -> Floats:
    """Volume that belongs to each node: a quarter of every tetrahedron around it (n,) [m3]."""
    shares = np.repeat(0.25 * mesh.cell_volumes(), 4)
    return np.bincount(mesh.cells.ravel(), shares, minlength=len(mesh.points))


def field_differences(
    mesh: TetMesh,
    fields: Mapping[str, Floats],
    other_mesh: TetMesh,
    other_fields: Mapping[str, Floats],
    *,
    baseline: float = 0.0,
) -> dict[str, FieldDifference]:
    """Compare nodal fields, node for node on the same mesh, else with B sampled inside A's cells.

    Args:
        mesh: of A.
        fields: of A by name, each (n,).
        other_mesh: of B.
        other_fields: of B; the names that both have are compared.
        baseline: value above which a field of A counts as risen: 37 °C for a temperature.

    Returns:
        The differences by name; empty where no cell of A lies in B's tissue.
    """
    shared = [name for name in fields if name in other_fields]
    if same_mesh(mesh, other_mesh):
        nodes = _Samples(mesh.points, nodal_volumes(mesh), np.ones(len(mesh.points), dtype=bool))
        differences = {name: other_fields[name] - fields[name] for name in shared}
        return {
            name: _measure(nodes, fields[name] - baseline, apart, apart)
            for name, apart in differences.items()
        }
    centroids = mesh.points[mesh.cells].mean(axis=1)
    places = locate(other_mesh, centroids)
    if not places.inside.any():
        return {}
    at_nodes = locate(other_mesh, mesh.points)
    out = np.flatnonzero(~at_nodes.inside)
    beside = locate(other_mesh, mesh.points[out], STANDING_OUT)
    samples = _Samples(centroids, mesh.cell_volumes(), places.inside)
    found = {}
    for name in shared:
        here, there = fields[name], other_fields[name]
        middle = here[mesh.cells].mean(axis=1)
        apart = places.interpolate(there) - middle
        values = at_nodes.interpolate(there)
        values[out] = beside.interpolate(there)
        values -= here
        found[name] = _measure(samples, middle - baseline, apart, values)
    return found


@dataclass(frozen=True, eq=False)
class _Samples:
    """Where the sums run: points (s, 3) [m], their volumes (s,) [m3], and which lie in B."""

    points: Floats
    volume: Floats
    inside: NDArray[np.bool_]


def _measure(samples: _Samples, risen: Floats, apart: Floats, values: Floats) -> FieldDifference:
    """The norms of B - A at samples (s,), relative to A's rise there (s,); NaN stays NaN."""
    inside = np.flatnonzero(samples.inside)
    volume, gap = samples.volume[inside], apart[inside]
    square = float(volume @ gap**2)
    whole = float(volume @ risen[inside] ** 2)
    worst = inside[np.argmax(np.abs(gap))]
    relative = None if whole == 0.0 else float(np.sqrt(square / whole))
    return FieldDifference(
        values=values,
        l2_relative=0.0 if square == 0.0 else relative,
        rms=float(np.sqrt(square / volume.sum())),
        max=float(abs(apart[worst])),
        place=samples.points[worst],
        compared_fraction=float(volume.sum() / samples.volume.sum()),
    )


def surfaces_apart(one: LethalZone, two: LethalZone) -> SurfaceDistance | None:
    """Distance between the surfaces of two zones; None where one of them is empty."""
    if one.is_empty or two.is_empty:
        return None
    there, back = _distances(one, two), _distances(two, one)
    first, second = vertex_areas(one), vertex_areas(two)
    on_second = bool(back.max() > there.max())
    farthest, vertices = (back, two.vertices) if on_second else (there, one.vertices)
    both = first.sum() + second.sum()
    return SurfaceDistance(
        there=there,
        back=back,
        there_mean=float(first @ there / first.sum()),
        back_mean=float(second @ back / second.sum()),
        mean=float((first @ there + second @ back) / both),
        place=vertices[int(np.argmax(farthest))],
        on_second=on_second,
    )


def _distances(one: LethalZone, two: LethalZone) -> Floats:
    found = surface_distance(one.vertices, two.vertices, two.triangles)
    return np.where(found < ROUND_OFF, 0.0, found)


def vertex_areas(zone: LethalZone) -> Floats:
    """A third of every triangle around each vertex of a zone's surface (v,) [m2]."""
    areas = np.linalg.norm(triangle_normals(zone.vertices, zone.triangles), axis=1) / 3.0
    return np.bincount(zone.triangles.ravel(), np.repeat(areas, 3), minlength=len(zone.vertices))


def zone_holds(mesh: TetMesh, zone: LethalZone, point: Floats) -> bool | None:
    """Whether a point (3,) [m] lies in a zone; None where it lies in no tissue of the mesh."""
    value = float(locate(mesh, point[None]).interpolate(zone.field)[0])
    return None if np.isnan(value) else value >= zone.level
