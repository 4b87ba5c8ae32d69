"""From an Anatomy to a TetMesh.

A lattice turned into the first probe's frame is refined to the size field, split along every
surface, rid of the insides of probes and vessels, and adapted by MMG, which keeps the surfaces
because every wall has a reference of its own. Points of walls are then put back onto the exact
surfaces and the worst cells are improved.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from ablasim.anatomy import Anatomy, bounding_box
from ablasim.errors import AblasimError
from ablasim.mesh_adapt import adapt
from ablasim.mesh_collapse import collapse
from ablasim.mesh_improve import POOR, improve
from ablasim.mesh_repair import sound_cells
from ablasim.mesh_sizes import SizeField, sizes_of
from ablasim.mesh_split import Work, cells_inside, lattice, refine, split_along, unique_edges
from ablasim.mesh_tet import FloatArray, IntArray, TetMesh, boundary_faces, face_keys, tet_volumes
from ablasim.mesh_walls import PARTS, Contact, Wall, tag_faces, walls_of
from ablasim.progress import Progress, ProgressCallback

MESHER_VERSION = 9  # part of the cache's key: raise it when the same anatomy gives another mesh
HEIGHT_FACTOR = 1.6  # of the finest edge: a quarter of it is half a regular cell's height there
LATTICE_FACTOR = 1.95  # longest edge of the lattice over the wanted mean edge
LIVER, TUMOUR, OUTSIDE = 0, 1, 2


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
    faces, refs = tag_faces(anatomy, work, region, walls)
    report("adapting", 0.2)
    points, cells, region, faces, refs = adapt(work, region, faces, refs, walls, size)
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
    refine(work, lambda x: np.minimum(LATTICE_FACTOR * size(x), size.longest_cut(x)))
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
    # The smallest height bounds the explicit step: everywhere what is usual at the electrode.
    height = HEIGHT_FACTOR * size.finest()
    placed = improve(placed, cells, height, contact.movable, contact.onto_walls)
    stay, cells, target = collapse(placed, cells, height, contact.kind(), POOR)
    cells, region = cells[stay], region[stay]
    placed = improve(placed, cells, height, contact.movable, contact.onto_walls)
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
