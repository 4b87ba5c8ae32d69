"""The lethal zone: every point where a field, by default the peak temperature, reached a level.

It is cut through the tetrahedra; volumes are exact for the P1 field. The zone is the filled shape:
killed tissue, the cooled rim (see `rim`) and the part of each probe inside it. The probe is a hole
of the mesh, so its volume comes from the divergence theorem on its wall, -∫ (x_perp / 2)·n dA with
x_perp the distance vector from the probe's axis and n the normal out of the tissue: this field has
divergence 1 and no flux through a cap perpendicular to the axis, so the cap where the probe leaves
the zone is not needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from ablasim.assess.rim import ProbeAxis, axis_of, fill_cooled_rim
from ablasim.mesh_cut import (
    CutSurface,
    clip_corners,
    level_set_corners,
    tet_fraction_above,
    triangle_normals,
    weld,
)
from ablasim.mesh_tet import TetMesh

__all__ = ["LethalZone", "ProbeAxis", "fill_cooled_rim", "lethal_zone"]

Floats = NDArray[np.float64]

TISSUE = "tissue"
"""Name of the part of a zone's surface that lies between killed and living tissue."""


@dataclass(frozen=True, eq=False)
class LethalZone:
    """The filled zone of one criterion.

    Attributes:
        level: of the field that kills: a peak temperature [°C], the logarithm of a dose.
        field: with the cooled rim lifted above the level (n,); a node belongs to the zone where
            this is >= `level`.
        tissue_volume: tissue that itself reached the level [m3].
        rim_volume: tissue of the cooled rim [m3].
        probe_volume: volume of the probes inside the zone [m3].
        volume: sum of the three [m3].
        region_volume: tissue and rim by region name [m3].
        long_axis: extent along the (mean) probe axis [m].
        short_axis: smallest distance of two parallel planes along the axis that hold the zone [m].
        wide_axis: largest extent perpendicular to the axis [m].
        surface_area: closed surface: living tissue, vessel walls and outer boundary that the zone
            reaches, and the probes' cross-sections where they leave it [m2].
        sphericity: pi^(1/3) (6 volume)^(2/3) / surface_area, 1 for a ball [-].
        vertices: of the surface, without the probes' cross-sections (v, 3) [m].
        triangles: (t, 3), normals out of the zone.
        triangle_part: index (t,) into `parts`.
        parts: "tissue", "outer", "vessel.<name>": what lies on the other side.
        reaches_outer: the zone comes within one cell of the outer boundary: the simulated block is
            too small. Where that is held at a temperature, the zone cannot touch it.
        title: of the criterion, as in "60 °C zone"; by default that of a peak temperature.
        says: what its tissue did, as in "reached 60 °C".
    """

    level: float
    field: Floats
    tissue_volume: float = 0.0
    rim_volume: float = 0.0
    probe_volume: float = 0.0
    region_volume: Mapping[str, float] = dataclasses.field(default_factory=dict)
    long_axis: float = 0.0
    short_axis: float = 0.0
    wide_axis: float = 0.0
    surface_area: float = 0.0
    vertices: Floats = dataclasses.field(default_factory=lambda: np.empty((0, 3)))
    triangles: NDArray[np.int32] = dataclasses.field(
        default_factory=lambda: np.empty((0, 3), dtype=np.int32)
    )
    triangle_part: NDArray[np.int16] = dataclasses.field(
        default_factory=lambda: np.empty(0, dtype=np.int16)
    )
    parts: tuple[str, ...] = (TISSUE,)
    reaches_outer: bool = False
    title: str = ""
    says: str = ""

    @property
    def volume(self) -> float:
        """Filled volume: tissue, cooled rim and probes [m3]."""
        return self.tissue_volume + self.rim_volume + self.probe_volume

    @property
    def sphericity(self) -> float:
        """1 for a ball, less for anything else; 0 for an empty zone [-]."""
        if self.surface_area == 0.0:
            return 0.0
        return float(np.pi ** (1 / 3) * (6.0 * self.volume) ** (2 / 3) / self.surface_area)

    @property
    def is_empty(self) -> bool:
        """No tissue reached the level."""
        return len(self.triangles) == 0

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Nodes that belong to the filled zone (n,)."""
        return np.asarray(self.field >= self.level)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before using the numbers."""
        if self.is_empty:
            says = self.says or f"reached {self.level:g} °C"
            return (f"No tissue {says}: there is no lethal zone.",)
        if self.reaches_outer:
            title = self.title or f"{self.level:g} °C"
            return (
                f"The {title} zone comes within one cell of the outer boundary, which may hold it"
                " back: its size is a lower bound; enlarge the simulated block.",
            )
        return ()

    def facing(self, *parts: str) -> NDArray[np.int32]:
        """Triangles whose other side is one of `parts`."""
        wanted = [i for i, name in enumerate(self.parts) if name in parts]
        return self.triangles[np.isin(self.triangle_part, wanted)]


def lethal_zone(
    mesh: TetMesh,
    field: Floats,
    level: float,
    probes: Sequence[ProbeAxis] = (),
    *,
    title: str = "",
    says: str = "",
) -> LethalZone:
    """The filled zone of tissue where a field is at or above `level`.

    Args:
        mesh: the tissue; surfaces `probe.<i>.*` belong to `probes[i]`.
        field: highest temperature that each node reached (n,) [°C], or another field that rises
            with what kills and is smooth enough to be cut.
        level: lethal value of it.
        probes: axis of each probe; without any, lengths are taken along z.
        title, says: of the criterion; see `LethalZone`.
    """
    filled, rim_volume = fill_cooled_rim(mesh, field, level, probes)
    surface, part, parts = zone_surface(mesh, filled, level)
    if not len(surface.triangles):
        none = dict.fromkeys(mesh.regions, 0.0)
        return LethalZone(level, filled, region_volume=none, title=title, says=says)
    tissue = tet_fraction_above(field[mesh.cells], level) @ mesh.cell_volumes()
    killed = tet_fraction_above(filled[mesh.cells], level) * mesh.cell_volumes()
    by_region = np.bincount(mesh.cell_region, killed, minlength=len(mesh.regions))
    probe_volume, cap_area = probe_share(mesh, filled, level, probes)
    long_axis, short_axis, wide_axis = _extents(surface.vertices, _common_axis(probes))
    area = np.linalg.norm(triangle_normals(surface.vertices, surface.triangles), axis=1).sum()
    return LethalZone(
        level=level,
        field=filled,
        tissue_volume=float(tissue),
        rim_volume=rim_volume,
        probe_volume=probe_volume,
        region_volume={n: float(v) for n, v in zip(mesh.regions, by_region, strict=True)},
        long_axis=long_axis,
        short_axis=short_axis,
        wide_axis=wide_axis,
        surface_area=float(area) + cap_area,
        vertices=surface.vertices,
        triangles=surface.triangles,
        triangle_part=part,
        parts=parts,
        reaches_outer=bool((filled[beside_outer(mesh)] >= level).any()),
        title=title,
        says=says,
    )


def beside_outer(mesh: TetMesh) -> NDArray[np.int32]:
    """Nodes on the outer boundary and one cell from it."""
    outer = np.zeros(len(mesh.points), dtype=bool)
    outer[mesh.surface_faces("outer")] = True
    return np.unique(mesh.cells[outer[mesh.cells].any(axis=1)])


def zone_surface(
    mesh: TetMesh, filled: Floats, level: float
) -> tuple[CutSurface, NDArray[np.int16], tuple[str, ...]]:
    """Level set in the tissue and the walls inside the zone, welded; the part of each triangle."""
    parts = (TISSUE, *(name for name in mesh.surfaces if not name.startswith("probe.")))
    corners = [level_set_corners(mesh.cells, filled, level)[0]]
    part = [np.zeros(len(corners[0]), dtype=np.int16)]
    for index, name in enumerate(parts[1:], start=1):
        piece = clip_corners(mesh.surface_faces(name), filled, level)[0]
        corners.append(piece)
        part.append(np.full(len(piece), index, dtype=np.int16))
    surface = weld(mesh.points, filled, level, np.concatenate(corners))
    return surface, np.concatenate(part), parts


def probe_share(
    mesh: TetMesh, filled: Floats, level: float, probes: Sequence[ProbeAxis]
) -> tuple[float, float]:
    """Volume of the probes inside the zone [m3] and area of their cross-sections at its edge [m2].

    The area vectors of a closed surface add up to nothing, so the cross-section is what the wall
    inside the zone lacks along the axis.
    """
    volume = cap_area = 0.0
    for index, probe in enumerate(probes):
        names = [name for name in mesh.surfaces if name.startswith(f"probe.{index}.")]
        if not names:
            continue
        faces = np.concatenate([mesh.surface_faces(name) for name in names])
        wall = weld(mesh.points, filled, level, clip_corners(faces, filled, level)[0])
        normals = triangle_normals(wall.vertices, wall.triangles)
        tip, direction = axis_of(probe)
        centroids = wall.vertices[wall.triangles].mean(axis=1) - tip
        across = centroids - (centroids @ direction)[:, None] * direction
        volume -= 0.5 * float(np.einsum("ij,ij->", across, normals))
        cap_area += abs(float(normals.sum(axis=0) @ direction))
    return volume, cap_area


def _common_axis(probes: Sequence[ProbeAxis]) -> Floats:
    """Mean direction of the probes, z without any (3,)."""
    if not probes:
        return np.array([0.0, 0.0, 1.0])
    directions = np.array([axis_of(probe)[1] for probe in probes])
    signs = np.where(directions @ directions[0] < 0.0, -1.0, 1.0)
    total = (signs[:, None] * directions).sum(axis=0)
    return np.asarray(total / np.linalg.norm(total))


def _extents(vertices: Floats, axis: Floats) -> tuple[float, float, float]:
    """Extent along the axis, and smallest and largest caliper width across it [m]."""
    along = vertices @ axis
    basis = np.linalg.svd(axis[None, :])[2][1:]
    flat = vertices @ basis.T
    try:
        hull = flat[ConvexHull(flat).vertices]
    except QhullError:  # a zone that is flat to rounding
        return float(np.ptp(along)), 0.0, float(np.linalg.norm(np.ptp(flat, axis=0)))
    # The smallest width of a convex polygon is reached with one plane on one of its edges.
    edges = np.roll(hull, -1, axis=0) - hull
    normals = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    narrow = np.ptp(hull @ normals.T, axis=0).min()
    wide = np.linalg.norm(hull[:, None] - hull[None], axis=2).max()
    return float(np.ptp(along)), float(narrow), float(wide)
