"""Margins of one tumour in many zones on one mesh: what does not depend on the zone is kept.

The numbers are those of `lethal_zone` and `tumour_margin`. A displacement d of the probe moves the
zone by d against the tumour, which is the same as moving the tumour's surface by -d against the
zone: exact where tissue is alike all around, and otherwise a first approximation that a correction
per point can mend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablasim.assess.distance import surface_distance
from ablasim.assess.locator import Locator
from ablasim.assess.margin import set_apart, tumour_faces
from ablasim.assess.rim import ProbeAxis, fill_cooled_rim
from ablasim.assess.zone import TISSUE, beside_outer, probe_share, zone_surface
from ablasim.mesh_cut import tet_fraction_above, triangle_normals
from ablasim.mesh_tet import TetMesh

Floats = NDArray[np.float64]

FARTHEST = 10e-3
"""Displacements up to this [m] find every tetrahedron; beyond, the nearest node stands in."""


@dataclass(frozen=True, eq=False)
class SampledMargin:
    """Margin and size of one zone.

    Attributes:
        margin: signed distance of each point of the tumour's surface to the zone's end (p,) [m];
            minus infinity where there is no zone.
        minimal: smallest of those that count [m].
        thinnest: number of that point.
        volume: of the filled zone [m3].
        reaches_outer: the zone comes within one cell of the outer boundary.
        filled: the field with the cooled rim lifted above the level (n,), as in `LethalZone`.
    """

    margin: Floats
    minimal: float
    thinnest: int
    volume: float
    reaches_outer: bool
    filled: Floats


class MarginSampler:
    """Takes margins of the tumour on one mesh.

    Attributes:
        points: of the tumour's surface (p, 3) [m].
        triangles: (q, 3) indices into `points`.
        nodes: mesh node of each point (p,).
        area: of the tumour's surface that belongs to each point (p,) [m2].
        subcapsular: points set apart because they are next to the capsule (p,).
        counts: points that count for the minimal margin (p,).
    """

    def __init__(
        self, mesh: TetMesh, probes: Sequence[ProbeAxis] = (), *, region: str = "tumour"
    ) -> None:
        """Prepare.

        Args:
            mesh: the tissue; it must have the region.
            probes: axis of each probe.
            region: name of the tumour's region.
        """
        self.mesh, self.probes = mesh, tuple(probes)
        tumour = mesh.region_cells(region)
        self.nodes, corners = np.unique(tumour_faces(mesh, tumour), return_inverse=True)
        self.triangles = corners.reshape(-1, 3).astype(np.int32)
        self.points = mesh.points[self.nodes]
        self.subcapsular, _ = set_apart(mesh, self.points, self.triangles)
        self.counts = ~self.subcapsular if not self.subcapsular.all() else self.subcapsular
        area = np.linalg.norm(triangle_normals(self.points, self.triangles), axis=1)
        self.area: Floats = np.bincount(
            self.triangles.ravel(), np.repeat(area / 3.0, 3), minlength=len(self.points)
        )
        self._volumes = mesh.cell_volumes()
        self._outer = beside_outer(mesh)
        self._locator: Locator | None = None

    def measure(
        self,
        field: Floats,
        level: float,
        *,
        shift: Floats | None = None,
        correction: Floats | None = None,
    ) -> SampledMargin:
        """Margin in the zone where a field reached a level.

        Args:
            field: (n,), as for `lethal_zone`.
            level: lethal value of it.
            shift: displacement of the probe (3,) [m]; None for none.
            correction: added to the distance of each point (p,) [m].
        """
        filled, _ = fill_cooled_rim(self.mesh, field, level, self.probes)
        surface, part, parts = zone_surface(self.mesh, filled, level)
        if not len(surface.triangles):
            nothing = np.full(len(self.points), -np.inf)
            first = int(np.flatnonzero(self.counts)[0])
            return SampledMargin(nothing, -np.inf, first, 0.0, False, filled)
        margin = self._distance(
            surface.vertices, surface.triangles, part, parts, filled, level, shift
        )
        if correction is not None:
            margin = margin + correction
        thinnest = int(np.argmin(np.where(self.counts, margin, np.inf)))
        reaches = bool((filled[self._outer] >= level).any())
        volume = self._volume(filled, level)
        return SampledMargin(margin, float(margin[thinnest]), thinnest, volume, reaches, filled)

    def _distance(
        self,
        vertices: Floats,
        triangles: NDArray[np.int32],
        part: NDArray[np.int16],
        parts: tuple[str, ...],
        filled: Floats,
        level: float,
        shift: Floats | None,
    ) -> Floats:
        """Signed distance of the tumour's points, moved against the zone (p,) [m]."""
        ends = [i for i, name in enumerate(parts) if name in (TISSUE, "outer")]
        if shift is None or not np.any(shift):
            places, inside = self.points, filled[self.nodes] >= level
        else:
            places = self.points - shift
            if self._locator is None:
                self._locator = Locator(self.mesh, self.points, FARTHEST)
            inside = self._locator.reached(places, filled, level)
        distance = surface_distance(places, vertices, triangles[np.isin(part, ends)])
        return np.where(inside, distance, -distance)

    def _volume(self, filled: Floats, level: float) -> float:
        """Filled volume [m3]; only the cells that the zone's surface cuts need a fraction."""
        inside = (filled >= level)[self.mesh.cells].sum(axis=1)
        cut = (inside > 0) & (inside < 4)
        tissue = self._volumes[inside == 4].sum()
        tissue += tet_fraction_above(filled[self.mesh.cells[cut]], level) @ self._volumes[cut]
        return float(tissue) + probe_share(self.mesh, filled, level, self.probes)[0]
