"""From an Anatomy to a TetMesh.

A lattice turned into the first probe's frame is refined to the size field, split along every
surface, rid of the insides of probes and vessels, and adapted by MMG, which keeps the surfaces
because every wall has a reference of its own. Points of walls are then put back onto the exact
surfaces and the worst cells are improved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from ablasim.anatomy import Anatomy, bounding_box
from ablasim.errors import AblasimError
from ablasim.frames import MM
from ablasim.mesh_collapse import collapse
from ablasim.mesh_improve import POOR, improve
from ablasim.mesh_interrupt import run_interruptibly
from ablasim.mesh_repair import sound_cells
from ablasim.mesh_sizes import SizeField, sizes_of
from ablasim.mesh_split import Work, cells_inside, lattice, refine, split_along, unique_edges
from ablasim.mesh_tet import (
    FloatArray,
    IntArray,
    TetMesh,
    boundary_faces,
    face_keys,
    interface_faces,
    tet_volumes,
)
from ablasim.progress import Progress, ProgressCallback
from ablasim.shapes import Sdf, gradient, project

MESHER_VERSION = 1  # part of the cache's key: raise it when the same anatomy gives another mesh
LATTICE_FACTOR = 1.95  # longest edge of the lattice over the wanted mean edge
METRIC_FACTOR = 1.2  # MMG takes the size as a target it stays below
LIVER, TUMOUR, OUTSIDE = 0, 1, 2


@dataclass(frozen=True)
class Wall:
    """One smooth piece of a surface.

    Attributes:
        sdf: vanishes on it.
        surface: name prefix of the boundary, "" for a surface between regions.
        hausdorff: how far MMG may stray from the curved wall [m].
        radius: of a round wall [m]; 0 where chords are not compensated.
    """

    sdf: Sdf
    surface: str
    hausdorff: float
    radius: float = 0.0


def mesh_anatomy(
    anatomy: Anatomy, resolution: str, *, progress: ProgressCallback | None = None
) -> TetMesh:
    """Mesh an anatomy.

    Args:
        anatomy: what to mesh.
        resolution: "preview", "standard" or "fine".
        progress: told of the stage "mesh".
    """

    def report(message: str, fraction: float) -> None:
        if progress is not None:
            progress(Progress("mesh", fraction, message))

    size = SizeField(anatomy, sizes_of(resolution))
    report("refining the lattice", 0.0)
    work = _background(anatomy, size)
    report("cutting along the surfaces", 0.1)
    _cut(anatomy, work)
    region = _regions(anatomy, work)
    sound = sound_cells(work.cells)
    region = region[sound]
    work.drop(~sound)
    walls = walls_of(anatomy, size.sizes.electrode)
    faces, refs = _tag_faces(anatomy, work, region, walls)
    report("adapting", 0.2)
    points, cells, region, faces, refs = _adapt(work, region, faces, refs, walls, size)
    report("placing points on the surfaces", 0.9)
    points, cells, region, faces = _place(points, cells, region, faces, refs, walls, size)
    mesh = _finish(anatomy, points, cells, region, faces, refs, walls)
    report("meshed", 1.0)
    return mesh


def _background(anatomy: Anatomy, size: SizeField) -> Work:
    """A graded lattice over the block, one axis along the first probe."""
    axis = np.asarray(anatomy.probes[0].direction)
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    across = np.cross(axis, helper)
    across /= np.linalg.norm(across)
    frame = np.stack([across, np.cross(axis, across), axis])
    origin = np.asarray(anatomy.probes[0].tip)
    low, high = bounding_box(anatomy.block)
    corner = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    turned = (low + corner * (high - low) - origin) @ frame.T
    edge = size.sizes.largest
    work = lattice(turned.min(axis=0) - 0.5 * edge, turned.max(axis=0) + 0.5 * edge, edge)
    work.points = work.points @ frame + origin
    outside = anatomy.block.sdf(work.points[work.cells].mean(axis=1)) > edge
    work.drop(outside)
    refine(work, size, factor=LATTICE_FACTOR)
    corner = work.points[work.cells]
    middle = corner.mean(axis=1)
    radius = np.linalg.norm(corner - middle[:, None], axis=2).max(axis=1)
    work.drop(anatomy.block.sdf(middle) > radius)
    return work


def _cut(anatomy: Anatomy, work: Work) -> None:
    """Split along every surface and drop the holes and what is outside the block."""
    for probe in anatomy.probes:
        for solid in probe.solids:
            split_along(work, solid.base)
            for plane in (*solid.clips, *solid.marks):
                split_along(work, plane, within=solid.base)
            inside = cells_inside(work, solid.base)
            for clip in solid.clips:
                inside &= cells_inside(work, clip)
            work.drop(inside)
    for vessel in anatomy.vessels:
        split_along(work, vessel.sdf)
        work.drop(cells_inside(work, vessel.sdf))
    for part in (anatomy.block.base, *anatomy.block.clips):
        split_along(work, part)
        work.drop(~cells_inside(work, part))
    for sdf in (anatomy.tumour, anatomy.liver):
        if sdf is not None:
            split_along(work, sdf)


def _regions(anatomy: Anatomy, work: Work) -> NDArray[np.int16]:
    region = np.full(len(work.cells), LIVER, dtype=np.int16)
    if anatomy.liver is not None:
        region[~cells_inside(work, anatomy.liver)] = OUTSIDE
    if anatomy.tumour is not None:
        region[cells_inside(work, anatomy.tumour)] = TUMOUR
    return region


def walls_of(anatomy: Anatomy, electrode: float) -> list[Wall]:
    """Every smooth piece of every surface; its number plus one times 4 is its MMG reference."""
    walls = []
    for i, probe in enumerate(anatomy.probes):
        for solid in probe.solids:
            radius = getattr(solid.base, "radius", 0.0)
            walls.append(Wall(solid.base, f"probe.{i}", 0.2 * electrode, radius))
            walls += [Wall(clip, f"probe.{i}", 0.2 * electrode) for clip in solid.clips]
    for vessel in anatomy.vessels:
        radius = getattr(vessel.sdf, "radius", 0.0)
        # The roughness of a label map is no shape worth refining for.
        hausdorff = 0.4 * electrode if radius > 0.0 else max(0.8 * electrode, 0.2 * MM)
        walls.append(Wall(vessel.sdf, f"vessel.{vessel.name}", hausdorff, radius))
    for part in (anatomy.block.base, *anatomy.block.clips):
        walls.append(Wall(part, "outer", 0.5 * MM))
    if anatomy.tumour is not None:
        radius = 0.5 * getattr(anatomy.tumour, "radius", 0.0)  # curved both ways
        walls.append(Wall(anatomy.tumour, "", 0.5 * electrode, radius))
    if anatomy.liver is not None:
        walls.append(Wall(anatomy.liver, "", max(2.0 * electrode, 0.5 * MM)))
    return walls


PARTS = ("active", "shaft", "cooled")


def _tag_faces(
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
        score = np.abs(wall.sdf(corner.reshape(-1, 3)).reshape(-1, 3)).max(axis=1) / length
        close = np.flatnonzero(score < 1.0)
        slope = gradient(wall.sdf, middle[close])
        slope /= np.maximum(np.linalg.norm(slope, axis=1), 1e-30)[:, None]
        score[close] += 0.3 * (1.0 - np.abs(np.einsum("ij,ij->i", slope, normal[close])))
        better = score < best
        best[better] = score[better]
        wall_of[better] = number
    return wall_of


def _adapt(
    work: Work,
    region: NDArray[np.int16],
    faces: IntArray,
    refs: NDArray[np.int64],
    walls: list[Wall],
    size: SizeField,
) -> tuple[FloatArray, IntArray, NDArray[np.int16], IntArray, NDArray[np.int64]]:
    """Adapt to the size field with MMG; surfaces and the lines between them are kept."""
    from mmgpy import MmgMesh3D

    mmg = MmgMesh3D()
    sharp = _edges_between_walls(faces, refs)
    mmg.set_mesh_size(
        vertices=len(work.points),
        tetrahedra=len(work.cells),
        triangles=len(faces),
        edges=len(sharp),
    )
    mmg.set_vertices(work.points)
    mmg.set_tetrahedra(work.cells, region.astype(np.int64) + 1)
    mmg.set_triangles(faces, refs)
    mmg.set_edges(sharp, np.ones(len(sharp), dtype=np.int64))
    mmg.set_ridge_edges(np.arange(len(sharp), dtype=np.int32))
    metric = METRIC_FACTOR * size(work.points)
    mmg.set_field("metric", metric[:, None])
    used = np.unique(refs)
    mmg.set_local_parameters(
        [
            {
                "type": "triangle",
                "ref": int(ref),
                "hmin": 1e-3 * float(metric.min()),
                "hmax": 10.0 * float(metric.max()),
                "hausd": walls[int(ref) // 4 - 1].hausdorff,
            }
            for ref in used
        ]
    )
    try:
        # Sharp edges are named above: detection by angle would also pick up the lattice's steps.
        run_interruptibly(lambda: mmg.remesh(hgrad=1.3, hausd=0.3 * MM, angle=0, verbose=-1))
    except RuntimeError as error:
        raise AblasimError(
            f"meshing: MMG failed ({error}); try another numerics.resolution, or move the probe a"
            " little: surfaces that nearly touch are the usual cause"
        ) from error
    cells, cell_refs = mmg.get_tetrahedra_with_refs()
    triangles, triangle_refs = mmg.get_triangles_with_refs()
    return (
        np.asarray(mmg.get_vertices(), dtype=np.float64),
        np.asarray(cells, dtype=np.int32),
        (np.asarray(cell_refs) - 1).astype(np.int16),
        np.asarray(triangles, dtype=np.int32),
        np.asarray(triangle_refs, dtype=np.int64),
    )


def _edges_between_walls(faces: IntArray, refs: NDArray[np.int64]) -> IntArray:
    """Edges whose triangles lie in different walls, (e, 2): the sharp lines."""
    ends = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1).astype(np.int64)
    keys = (ends[:, 0] << 32) | ends[:, 1]
    wall = np.repeat(refs // 4, 3)
    order = np.lexsort((wall, keys))
    keys, wall = keys[order], wall[order]
    differ = (keys[1:] == keys[:-1]) & (wall[1:] != wall[:-1])
    sharp = np.unique(keys[1:][differ])
    return np.stack([sharp >> 32, sharp & 0xFFFFFFFF], axis=1).astype(np.int32)


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


def _place(
    points: FloatArray,
    cells: IntArray,
    region: NDArray[np.int16],
    faces: IntArray,
    refs: NDArray[np.int64],
    walls: list[Wall],
    size: SizeField,
) -> tuple[FloatArray, IntArray, NDArray[np.int16], IntArray]:
    """Put the points of every wall back onto it, then improve or remove the poorest cells."""
    contact = Contact(points, faces, refs, walls)
    members = np.flatnonzero(contact.on.any(axis=0))
    placed = points.copy()
    placed[members] = contact.onto_walls(members, points[members])
    limit = 0.05 * np.abs(tet_volumes(points, cells))
    while True:
        bad = tet_volumes(placed, cells) < limit
        back = np.unique(cells[bad])
        back = back[(placed[back] != points[back]).any(axis=1)]
        if not len(back):
            break
        placed[back] = points[back]
    # The smallest heights bound the explicit step: near the electrode more is asked for.
    wanted = np.maximum(size(placed[cells].mean(axis=1)), 2.0 * size.sizes.electrode)
    placed = improve(placed, cells, wanted, contact.movable, contact.onto_walls)
    stay, cells, target = collapse(placed, cells, wanted, contact.kind(), POOR)
    cells, region, wanted = cells[stay], region[stay], wanted[stay]
    placed = improve(placed, cells, wanted, contact.movable, contact.onto_walls)
    return placed, cells, region, target[faces].astype(np.int32)


def _finish(
    anatomy: Anatomy,
    points: FloatArray,
    cells: IntArray,
    region: NDArray[np.int16],
    faces: IntArray,
    refs: NDArray[np.int64],
    walls: list[Wall],
) -> TetMesh:
    """Number points and cells for locality, name the boundary."""
    edges, _ = unique_edges(cells)
    n = len(points)
    graph = coo_array(
        (np.ones(2 * len(edges)), (edges.T.reshape(-1), edges[:, ::-1].T.reshape(-1))),
        shape=(n, n),
    ).tocsr()
    order = np.asarray(reverse_cuthill_mckee(graph, symmetric_mode=True))
    used = np.zeros(n, dtype=np.bool_)
    used[cells] = True
    order = order[used[order]]
    number = np.full(n, -1, dtype=np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    points, cells = points[order], number[cells]
    flip = tet_volumes(points, cells) < 0.0
    cells[flip] = cells[flip][:, [0, 2, 1, 3]]
    by_first = np.argsort(cells.min(axis=1), kind="stable")
    cells, region = cells[by_first], region[by_first]
    boundary, _ = boundary_faces(cells)
    face_refs = _lookup(boundary, number[faces], refs)
    surfaces: list[str] = ["outer"]
    face_surface = np.zeros(len(boundary), dtype=np.int16)
    for ref in np.unique(face_refs):
        wall = walls[int(ref) // 4 - 1]
        name = wall.surface
        if name.startswith("probe."):
            name = f"{name}.{PARTS[int(ref) % 4]}"
        if name not in surfaces:
            surfaces.append(name)
        face_surface[face_refs == ref] = surfaces.index(name)
    present = np.unique(region)
    regions = tuple(anatomy.regions[int(k)] for k in present)
    compact = np.searchsorted(present, region).astype(np.int16)
    return TetMesh(points, cells, compact, regions, boundary, face_surface, tuple(surfaces))


def _lookup(wanted: IntArray, faces: IntArray, refs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Reference of each wanted triangle among ``faces``."""
    keys = face_keys(np.maximum(faces, 0), triangles=True)
    wanted_keys = face_keys(wanted, triangles=True)
    order = np.argsort(keys)
    place = np.minimum(np.searchsorted(keys[order], wanted_keys), len(keys) - 1)
    found = keys[order][place] == wanted_keys
    if not found.all():
        raise AblasimError(
            f"meshing: {int((~found).sum())} boundary triangles lost their name; try another"
            " numerics.resolution"
        )
    return refs[order][place]
