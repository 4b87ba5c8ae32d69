"""The smooth pieces that surfaces are made of: which triangle and which point lies on which.

A triangle's reference is 4 (number of its wall + 1) + number of its part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablasim.anatomy import Anatomy
from ablasim.frames import MM
from ablasim.mesh_split import Work
from ablasim.mesh_tet import FloatArray, IntArray, boundary_faces, interface_faces
from ablasim.shapes import GridSdf, Sdf, gradient, project

ROUGH_WALL = 1.0 * MM  # how far MMG may stray from a label map's wall before points are put back
PARTS = ("active", "shaft", "cooled", "active2")


@dataclass(frozen=True)
class Wall:
    """One smooth piece of a surface.

    Attributes:
        sdf: vanishes on it, and perhaps on its continuation.
        body: signed distance of what the wall bounds.
        surface: name prefix of the boundary, "" for a surface between regions.
        hausdorff: how far MMG may stray from the curved wall [m].
        radius: of a round wall [m]; 0 where chords are not compensated.
    """

    sdf: Sdf
    body: Sdf
    surface: str
    hausdorff: float
    radius: float = 0.0


def walls_of(anatomy: Anatomy, electrode: float) -> list[Wall]:
    """Every smooth piece of every surface; its number plus one times 4 is its MMG reference."""
    walls = []
    for i, probe in enumerate(anatomy.probes):
        for solid in probe.solids:
            radius = getattr(solid.base, "radius", 0.0)
            walls.append(Wall(solid.base, solid.sdf, f"probe.{i}", 0.2 * electrode, radius))
            walls += [Wall(clip, solid.sdf, f"probe.{i}", 0.2 * electrode) for clip in solid.clips]
    for vessel in anatomy.vessels:
        radius = getattr(vessel.sdf, "radius", 0.0)
        # The roughness of a label map is no shape worth refining for.
        hausdorff = ROUGH_WALL if isinstance(vessel.sdf, GridSdf) else 0.4 * electrode
        walls.append(Wall(vessel.sdf, vessel.sdf, f"vessel.{vessel.name}", hausdorff, radius))
    for part in (anatomy.block.base, *anatomy.block.clips):
        walls.append(Wall(part, anatomy.block.sdf, "outer", 0.5 * MM))
    if anatomy.tumour is not None:
        radius = getattr(anatomy.tumour, "radius", 0.0) / 3.0  # curved both ways
        hausdorff = 0.5 * ROUGH_WALL if isinstance(anatomy.tumour, GridSdf) else 0.5 * electrode
        walls.append(Wall(anatomy.tumour, anatomy.tumour, "", hausdorff, radius))
    if anatomy.liver is not None:
        walls.append(Wall(anatomy.liver, anatomy.liver, "", 1.5 * ROUGH_WALL))
    return walls


def tag_faces(
    anatomy: Anatomy, work: Work, region: NDArray[np.int16], walls: list[Wall]
) -> tuple[IntArray, NDArray[np.int64]]:
    """Boundary and interface triangles with the reference of their wall and part."""
    outer, _ = boundary_faces(work.cells)
    inner, owner = interface_faces(work.cells, region)
    refs = np.concatenate(
        [
            _nearest_wall(work.points, outer, walls, boundary=True),
            _nearest_wall(work.points, inner, walls, boundary=False),
        ]
    )
    faces = np.concatenate([outer, inner])
    middle = work.points[faces].mean(axis=1)
    refs = 4 * (refs + 1)
    for i, probe in enumerate(anatomy.probes):
        mine = np.flatnonzero(
            np.isin(refs // 4 - 1, [k for k, w in enumerate(walls) if w.surface == f"probe.{i}"])
        )
        parts = probe.surface_parts(middle[mine])
        refs[mine] += np.array([PARTS.index(part) for part in parts], dtype=np.int64)
    return faces, refs


def _nearest_wall(
    points: FloatArray, faces: IntArray, walls: list[Wall], *, boundary: bool
) -> NDArray[np.int64]:
    """The wall each triangle lies in, by its corners' distance and its direction."""
    corner = points[faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1), 1e-30)[:, None]
    length = np.linalg.norm(corner - corner[:, [1, 2, 0]], axis=2).max(axis=1)
    best = np.full(len(faces), np.inf)
    wall_of = np.full(len(faces), -1, dtype=np.int64)
    middle = corner.mean(axis=1)
    for number, wall in enumerate(walls):
        if (wall.surface != "") is not boundary:
            continue
        flat = corner.reshape(-1, 3)
        off = np.maximum(np.abs(wall.sdf(flat)), np.abs(wall.body(flat)))
        # A triangle that lies in no wall, where tissue was removed, goes to the nearest.
        score = off.reshape(-1, 3).max(axis=1) / length + 0.3
        close = np.flatnonzero(score < 1.3)
        slope = gradient(wall.sdf, middle[close])
        slope /= np.maximum(np.linalg.norm(slope, axis=1), 1e-30)[:, None]
        score[close] -= 0.3 * np.abs(np.einsum("ij,ij->i", slope, normal[close]))
        better = score < best
        best[better] = score[better]
        wall_of[better] = number
    return wall_of


class Contact:
    """Which walls each point lies on, and how to get back onto them."""

    def __init__(
        self, points: FloatArray, faces: IntArray, refs: NDArray[np.int64], walls: list[Wall]
    ) -> None:
        corner = points[faces]
        edge = np.linalg.norm(corner - corner[:, [1, 2, 0]], axis=2).mean(axis=1)
        self.walls = walls
        self.on = np.zeros((len(walls), len(points)), dtype=np.bool_)
        self.level = np.zeros((len(walls), len(points)))
        for number, wall in enumerate(walls):
            mine = refs // 4 - 1 == number
            members, where = np.unique(faces[mine], return_inverse=True)
            self.on[number, members] = True
            if wall.radius > 0.0 and len(members):
                count = np.bincount(where.reshape(-1))
                mean_edge = np.bincount(where.reshape(-1), np.repeat(edge[mine], 3)) / count
                # A chord of a circle lies e^2 / 12 r inside it on average, a flat triangle's
                # area is less than the wall's: half-way outward balances both errors.
                self.level[number, members] = mean_edge**2 / (24.0 * wall.radius)
        # Corners stay, and the line between two parts of a wall must not be smeared.
        self.part_line = _on_part_line(len(points), faces, refs)
        self.movable = (self.on.sum(axis=0) <= 2) & ~self.part_line

    def kind(self) -> NDArray[np.int64]:
        """Bits of the walls and part lines each point lies on, (n,)."""
        bits = self.part_line.astype(np.int64)
        for number, on in enumerate(self.on):
            bits |= on.astype(np.int64) << (number + 1)
        return bits

    def onto_walls(self, which: NDArray[np.int64], x: FloatArray) -> FloatArray:
        """Positions (k, 3) [m] of the points ``which`` (k,) moved onto all their walls."""
        x = x.copy()
        several = bool((self.on[:, which].sum(axis=0) > 1).any())
        for turn in range(4 if several else 1):
            for number, wall in enumerate(self.walls):
                mine = np.flatnonzero(self.on[number, which])
                if turn:
                    mine = mine[self.on[:, which[mine]].sum(axis=0) > 1]
                if len(mine):
                    level = self.level[number, which[mine]]
                    x[mine] = project(wall.sdf, x[mine], level=level)
        return x


def _on_part_line(n: int, faces: IntArray, refs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Points where two parts of one wall meet, (n,)."""
    keys = np.unique(faces.reshape(-1).astype(np.int64) * (1 << 20) + np.repeat(refs, 3))
    point, ref = keys >> 20, keys & ((1 << 20) - 1)
    same = (point[1:] == point[:-1]) & (ref[1:] // 4 == ref[:-1] // 4)
    line = np.zeros(n, dtype=np.bool_)
    line[point[1:][same]] = True
    return line
