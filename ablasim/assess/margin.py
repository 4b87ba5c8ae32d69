"""The ablative margin: signed distance from the tumour's surface to the lethal zone's surface.

Convention of quantitative ablation margin (Sandu 2021, 10.3389/fonc.2021.623098): Euclidean
distance at every point of the tumour's surface, positive inside the zone, negative outside; tumour
surface within 5 mm of the liver capsule is set apart, because no margin is to be had beyond it.
Only living tissue ends a margin: where the zone reaches a vessel's wall the blood behind it is not
tissue. The block's outer boundary does end it, since nothing is known behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ablasim.assess.distance import surface_distance
from ablasim.assess.zone import TISSUE, LethalZone
from ablasim.centreline import Branch, locate
from ablasim.mesh_cut import tet_fraction_above, triangle_fraction_above, triangle_normals
from ablasim.mesh_tet import TetMesh, boundary_faces, interface_faces

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CLASS_LIMITS = (0.0, 5e-3, 10e-3)
"""Limits of the margin's classes [m]: uncovered, below 5 mm, 5 to 10 mm, at least 10 mm."""
SUBCAPSULAR_DISTANCE = 5e-3
"""Tumour surface nearer than this to the liver capsule is set apart [m]."""
HEAT_SINK_DISTANCE = 5e-3
HEAT_SINK_DIAMETER = 3e-3
"""A vessel at least as wide, and as near to a tumour, is a heat sink [m]: 3 mm after Lin 2016 and
Dou 2017, 5 mm after Huang 2014 (Eur J Radiol 83:552)."""


class VesselFacts(Protocol):
    """What the assessment needs of a vessel; its wall is the surface `vessel.<name>`."""

    @property
    def name(self) -> str:
        """Unique name."""

    @property
    def kind(self) -> str:
        """Catalogue kind, for example "portal_vein"."""

    @property
    def diameter(self) -> float | None:
        """[m]."""

    @property
    def measured(self) -> bool:
        """Whether the diameter is its own; if not, the typical one of its kind stands in."""

    @property
    def branches(self) -> Sequence[Branch]:
        """Its branches with their own diameters; empty where they are not known."""


@dataclass(frozen=True)
class NearVessel:
    """A vessel and its distance from a point or a surface.

    Attributes:
        name: as in the scenario.
        kind: catalogue kind, "" where unknown.
        diameter: of the branch that is nearest [m], None where unknown.
        distance: to the nearest point of its wall in the mesh [m].
        widest: diameter of the widest of its branches within `HEAT_SINK_DISTANCE` [m]; None where
            none is, or it is unknown.
    """

    name: str
    kind: str
    diameter: float | None
    distance: float
    widest: float | None = None

    @property
    def is_heat_sink(self) -> bool:
        """Wide enough and near enough to matter by the usual clinical definition.

        One of unknown diameter is: it was wide enough to be meshed.
        """
        known = [each for each in (self.diameter, self.widest) if each is not None]
        wide = not known or max(known) >= HEAT_SINK_DIAMETER
        return wide and self.distance <= HEAT_SINK_DISTANCE


@dataclass(frozen=True, eq=False)
class TumourMargin:
    """Margin of one tumour against one lethal zone.

    Attributes:
        points: of the tumour's surface (p, 3) [m].
        triangles: (q, 3) indices into `points`.
        nodes: mesh node of each point (p,).
        margin: signed distance to living tissue (p,) [m]; NaN where there is no zone at all.
        subcapsular: points within 5 mm of the capsule (p,).
        minimal: smallest margin of the points that count [m]; None where there is no zone.
        thinnest_point: where that is (3,) [m]; None where there is no zone.
        nearest_vessel: the vessel nearest to the thinnest point, None without vessels.
        vessels: every vessel with its distance from the tumour's surface, nearest first.
        class_fractions: area below 0, from 0 to 5, from 5 to 10, and above 10 mm [-]; sum 1.
        subcapsular_fraction: area set apart [-].
        subcapsular_minimal: smallest margin there [m]; None without such points or without a zone.
        tumour_volume: meshed tumour tissue [m3].
        covered_volume: its part inside the zone [m3].
        warnings: what a reader must know.
    """

    points: Floats
    triangles: NDArray[np.int32]
    nodes: NDArray[np.int32]
    margin: Floats
    subcapsular: Mask
    minimal: float | None
    thinnest_point: Floats | None
    nearest_vessel: NearVessel | None
    vessels: tuple[NearVessel, ...]
    class_fractions: tuple[float, float, float, float]
    subcapsular_fraction: float
    subcapsular_minimal: float | None
    tumour_volume: float
    covered_volume: float
    warnings: tuple[str, ...] = ()

    @property
    def covered_fraction(self) -> float:
        """Share of the tumour's volume inside the zone [-]."""
        return min(1.0, self.covered_volume / self.tumour_volume)

    @property
    def residual_volume(self) -> float:
        """Tumour left alive [m3]."""
        return max(0.0, self.tumour_volume - self.covered_volume)

    @property
    def point_class(self) -> NDArray[np.int8]:
        """Class of each point (p,): 0 below 0, 1 to 5, 2 to 10, 3 above 10 mm; 0 without a zone."""
        return np.digitize(np.nan_to_num(self.margin, nan=-np.inf), CLASS_LIMITS).astype(np.int8)


def tumour_margin(
    mesh: TetMesh,
    zone: LethalZone,
    vessels: Sequence[VesselFacts] = (),
    *,
    region: str = "tumour",
) -> TumourMargin | None:
    """Margin of the tumour in the filled zone; None where the mesh has no such region.

    Args:
        mesh: the tissue.
        zone: filled zone on the same mesh.
        vessels: facts of the vessels whose walls the mesh has.
        region: name of the tumour's region.
    """
    tumour = mesh.region_cells(region)
    if not tumour.any():
        return None
    nodes, corners = np.unique(tumour_faces(mesh, tumour), return_inverse=True)
    triangles = corners.reshape(-1, 3).astype(np.int32)
    points = mesh.points[nodes]
    area = np.linalg.norm(triangle_normals(points, triangles), axis=1)
    volumes = mesh.cell_volumes()[tumour]
    covered = tet_fraction_above(zone.field[mesh.cells[tumour]], zone.level) @ volumes
    margin = _signed_distance(points, zone.inside[nodes], zone)

    subcapsular, counted = set_apart(mesh, points, triangles)
    warnings = list(zone.warnings)
    minimal = thinnest = nearest = set_apart_minimal = None
    if not zone.is_empty:
        counts = ~subcapsular if not subcapsular.all() else subcapsular
        lowest = int(np.argmin(np.where(counts, margin, np.inf)))
        minimal, thinnest = float(margin[lowest]), points[lowest]
        nearest = _near_vessels(mesh, thinnest[None], vessels)[:1]
        if subcapsular.any():
            set_apart_minimal = float(margin[subcapsular].min())
            if set_apart_minimal < 0.0 <= minimal:
                warnings.append("Tumour next to the liver capsule, set apart, is not covered.")
    return TumourMargin(
        points=points,
        triangles=triangles,
        nodes=nodes.astype(np.int32),
        margin=margin,
        subcapsular=subcapsular,
        minimal=minimal,
        thinnest_point=thinnest,
        nearest_vessel=nearest[0] if nearest else None,
        vessels=_near_vessels(mesh, points, vessels),
        class_fractions=_class_fractions(margin[triangles[counted]], area[counted]),
        subcapsular_fraction=float(area[~counted].sum() / area.sum()) if subcapsular.any() else 0.0,
        subcapsular_minimal=set_apart_minimal,
        tumour_volume=float(volumes.sum()),
        covered_volume=float(covered),
        warnings=tuple(warnings),
    )


def minimal_margins(
    margin: TumourMargin, zones: Mapping[str, LethalZone]
) -> dict[str, float | None]:
    """Smallest margin [m] of the same tumour in other zones; None where there is none.

    Only the distances that can be the smallest are computed, so it costs next to nothing.

    Args:
        margin: in one zone, for the tumour's surface and the part of it that counts.
        zones: by criterion.
    """
    counts = ~margin.subcapsular if not margin.subcapsular.all() else margin.subcapsular
    points, nodes = margin.points[counts], margin.nodes[counts]
    return {name: _minimal(points, zone.inside[nodes], zone) for name, zone in zones.items()}


def _minimal(points: Floats, inside: Mask, zone: LethalZone) -> float | None:
    """Smallest signed distance of points to a zone's end [m]."""
    if zone.is_empty:
        return None
    ends = zone.facing(TISSUE, "outer")
    if inside.all():
        return _closest_approach(points, zone.vertices, ends)[0]
    outside = points[~inside]
    to_corner = _to_corner(outside, zone.vertices, ends)
    # A corner is at most an edge farther away than the surface itself.
    candidates = outside[to_corner >= to_corner.max() - _longest_edge(zone.vertices[ends])]
    return -float(surface_distance(candidates, zone.vertices, ends).max())


def tumour_faces(mesh: TetMesh, tumour: Mask) -> NDArray[np.int32]:
    """Faces between tumour and other tissue, vessel walls and the outer boundary, normals out.

    The walls of probes inside the tumour are no part of its surface.
    """
    faces, _ = boundary_faces(mesh.cells[tumour])
    at_probe = [i for i, name in enumerate(mesh.surfaces) if name.startswith("probe.")]
    walls = np.sort(mesh.faces[np.isin(mesh.face_surface, at_probe)], axis=1).astype(np.int64)
    sorted_faces = np.sort(faces, axis=1).astype(np.int64)
    size = len(mesh.points)
    # Three nodes on a probe do not make a face of it, so whole faces are compared.
    weights = np.array([size**2, size, 1], dtype=np.int64)
    kept: NDArray[np.int32] = faces[~np.isin(sorted_faces @ weights, walls @ weights)]
    return kept


def _signed_distance(points: Floats, inside: Mask, zone: LethalZone) -> Floats:
    if zone.is_empty:
        return np.full(len(points), np.nan)
    ends = zone.facing(TISSUE, "outer")
    distance = surface_distance(points, zone.vertices, ends)
    return np.where(inside, distance, -distance)


def set_apart(mesh: TetMesh, points: Floats, triangles: NDArray[np.int32]) -> tuple[Mask, Mask]:
    """Points (p,) within 5 mm of the capsule, and triangles (q,) that count for the fractions.

    Where no triangle would count all points are said to be within, and all triangles count.
    The capsule is the interface between the region "outside" and all other tissue.
    """
    outside = mesh.region_cells("outside")
    near = np.zeros(len(points), dtype=bool)
    if outside.any() and not outside.all():
        capsule, _ = interface_faces(mesh.cells, outside.astype(np.int16))
        near = surface_distance(points, mesh.points, capsule) <= SUBCAPSULAR_DISTANCE
    apart = near[triangles].sum(axis=1) >= 2
    if apart.all():  # nothing would be left
        return np.ones_like(near), np.ones_like(apart)
    # a point with no neighbour at the capsule is a corner of what counts
    near &= np.bincount(triangles[apart].ravel(), minlength=len(points)) > 0
    return near, ~apart


def _class_fractions(margin: Floats, area: Floats) -> tuple[float, float, float, float]:
    """Area fractions of the classes, triangles cut exactly at the limits."""
    if np.isnan(margin).any():
        return (1.0, 0.0, 0.0, 0.0)
    above = [float(triangle_fraction_above(margin, x) @ area / area.sum()) for x in CLASS_LIMITS]
    return (1.0 - above[0], above[0] - above[1], above[1] - above[2], above[2])


def _near_vessels(
    mesh: TetMesh, points: Floats, vessels: Sequence[VesselFacts]
) -> tuple[NearVessel, ...]:
    """Vessels with a wall in the mesh and their smallest distance from any of the points."""
    facts = {vessel.name: vessel for vessel in vessels}
    found = []
    for surface in mesh.surfaces:
        faces = mesh.surface_faces(surface)
        if not surface.startswith("vessel.") or not len(faces):
            continue
        name = surface.removeprefix("vessel.")
        known = facts.get(name)
        distance, place = _closest_approach(points, mesh.points, faces)
        kind = known.kind if known else ""
        diameter = known.diameter if known and known.measured else None
        widest = None
        if known and known.branches:
            wall = mesh.points[np.unique(faces)]
            near = wall[cKDTree(points).query(wall)[0] <= HEAT_SINK_DISTANCE]
            branch, _, _ = locate(known.branches, np.concatenate([place[None], near]))
            diameter = known.branches[int(branch[0])].diameter
            if distance <= HEAT_SINK_DISTANCE:
                widest = max(known.branches[int(each)].diameter for each in np.unique(branch))
        found.append(NearVessel(name, kind, diameter, distance, widest))
    return tuple(sorted(found, key=lambda vessel: vessel.distance))


def _closest_approach(
    points: Floats, vertices: Floats, triangles: NDArray[np.int32]
) -> tuple[float, Floats]:
    """Smallest distance between a set of points and a surface [m], and the corner near it (3,)."""
    corners = vertices[np.unique(triangles)]
    to_corner, nearest = cKDTree(corners).query(points)
    place = corners[nearest[np.argmin(to_corner)]]
    candidates = points[to_corner <= to_corner.min() + _longest_edge(vertices[triangles])]
    return float(surface_distance(candidates, vertices, triangles).min()), place


def _to_corner(points: Floats, vertices: Floats, triangles: NDArray[np.int32]) -> Floats:
    """Distance of each point (p, 3) to the nearest corner of a surface (p,) [m]."""
    distance: Floats = cKDTree(vertices[np.unique(triangles)]).query(points)[0]
    return distance


def _longest_edge(corners: Floats) -> float:
    edges = corners - np.roll(corners, 1, axis=1)
    return float(np.linalg.norm(edges, axis=2).max())
