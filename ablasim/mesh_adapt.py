"""MMG: a cut mesh adapted to the size field, its walls and the lines between them kept.

Only the cells near walls are handed over: elsewhere the lattice has the right size and a good shape
already, and leaving it alone nearly halves the time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ablasim.errors import AblasimError
from ablasim.frames import MM
from ablasim.mesh_interrupt import run_interruptibly
from ablasim.mesh_sizes import SizeField
from ablasim.mesh_split import Work
from ablasim.mesh_tet import FloatArray, IntArray, boundary_faces, face_keys
from ablasim.mesh_walls import Wall

METRIC_FACTOR = 1.2  # MMG takes the size as a target it stays below
GRADATION = 1.3  # of neighbouring edges
RINGS = 1  # of cells around the walls' own that MMG may change
SEAM = 1e-9  # [m]; points of the seam are found again within this distance
SEAM_REF = 1 << 20  # above every wall's reference
SLACKER = (1.0, 3.0, 10.0)  # MMG can fail where it refines rough walls: then it may stray farther


Adapted = tuple[FloatArray, IntArray, NDArray[np.int16], IntArray, NDArray[np.int64]]


def adapt(
    work: Work,
    region: NDArray[np.int16],
    faces: IntArray,
    refs: NDArray[np.int64],
    walls: list[Wall],
    size: SizeField,
) -> Adapted:
    """Adapt a mesh to the size field.

    Args:
        work: the cut mesh.
        region: (m,) of its cells.
        faces: (f, 3) boundary and interface triangles.
        refs: (f,) their references.
        walls: what the references mean.
        size: wanted edge lengths.

    Returns:
        points, cells, region, faces, refs of the adapted mesh.

    Raises:
        AblasimError: MMG gave up.
    """
    near = _near_walls(work)
    part = Work(work.points, work.cells[near], work.on)
    used = np.unique(part.cells)
    number = np.full(len(work.points), -1, dtype=np.int32)
    number[used] = np.arange(len(used), dtype=np.int32)
    part.compress()
    faces = number[faces]
    seam = _seam(part.cells, faces)
    metric = METRIC_FACTOR * size(part.points)
    reason = ""
    for slack in SLACKER:
        mmg = _load(part, region[near], faces, refs, seam, metric)
        mmg.set_local_parameters(
            [
                {
                    "type": "triangle",
                    "ref": int(ref),
                    "hmin": 1e-3 * float(metric.min()),
                    "hmax": 10.0 * float(metric.max()),
                    "hausd": slack * walls[int(ref) // 4 - 1].hausdorff,
                }
                for ref in np.unique(refs)
            ]
        )
        try:
            _remesh(mmg, slack)
        except RuntimeError as error:
            reason = str(error)
            continue
        return _rejoin(work.points, work.cells[~near], region[~near], _unload(mmg))
    raise AblasimError(
        f"meshing: MMG failed ({reason}); try another numerics.resolution, or move the probe a"
        " little: surfaces that nearly touch are the usual cause"
    )


def _near_walls(work: Work) -> NDArray[np.bool_]:
    """Cells within RINGS of a wall, (m,)."""
    marked = work.on != 0
    for _ in range(RINGS):
        marked[work.cells[marked[work.cells].any(axis=1)]] = True
    near: NDArray[np.bool_] = marked[work.cells].any(axis=1)
    return near


def _seam(cells: IntArray, faces: IntArray) -> IntArray:
    """Triangles where the part handed over was cut from the rest, (s, 3)."""
    boundary, _ = boundary_faces(cells)
    known = np.isin(face_keys(boundary, triangles=True), face_keys(faces, triangles=True))
    return boundary[~known]


def _rejoin(
    points: FloatArray, cells: IntArray, region: NDArray[np.int16], adapted: Adapted
) -> Adapted:
    """The adapted part and the cells that were left alone, joined at the seam."""
    new_points, new_cells, new_region, faces, refs = adapted
    rest = np.unique(cells)
    if not len(rest):
        return adapted
    # MMG keeps the seam's points in place but for rounding.
    gap, nearest = cKDTree(new_points).query(points[rest], distance_upper_bound=SEAM)
    shared = np.isfinite(gap)
    number = np.full(len(points), -1, dtype=np.int64)
    number[rest[shared]] = nearest[shared]
    number[rest[~shared]] = len(new_points) + np.arange(np.count_nonzero(~shared))
    return (
        np.concatenate([new_points, points[rest[~shared]]]),
        np.concatenate([new_cells, number[cells].astype(np.int32)]),
        np.concatenate([new_region, region]),
        faces,
        refs,
    )


def _load(
    work: Work,
    region: NDArray[np.int16],
    faces: IntArray,
    refs: NDArray[np.int64],
    seam: IntArray,
    metric: FloatArray,
) -> Any:
    from mmgpy import MmgMesh3D

    mmg = MmgMesh3D()
    sharp = _edges_between_walls(faces, refs)
    mmg.set_mesh_size(
        vertices=len(work.points),
        tetrahedra=len(work.cells),
        triangles=len(faces) + len(seam),
        edges=len(sharp),
    )
    mmg.set_vertices(work.points)
    mmg.set_tetrahedra(work.cells, region.astype(np.int64) + 1)
    seam_refs = np.full(len(seam), SEAM_REF, dtype=np.int64)
    mmg.set_triangles(np.concatenate([faces, seam]), np.concatenate([refs, seam_refs]))
    mmg.set_required_triangles(np.arange(len(faces), len(faces) + len(seam), dtype=np.int32))
    mmg.set_edges(sharp, np.ones(len(sharp), dtype=np.int64))
    mmg.set_ridge_edges(np.arange(len(sharp), dtype=np.int32))
    mmg.set_field("metric", metric[:, None])
    return mmg


def _remesh(mmg: Any, slack: float) -> None:
    # Sharp edges are named: detection by angle would also pick up the lattice's steps.
    run_interruptibly(
        lambda: mmg.remesh(hgrad=GRADATION, hausd=slack * 0.3 * MM, angle=0, verbose=-1)
    )


def _unload(mmg: Any) -> Adapted:
    cells, cell_refs = mmg.get_tetrahedra_with_refs()
    triangles, triangle_refs = mmg.get_triangles_with_refs()
    walls = np.asarray(triangle_refs) < SEAM_REF
    return (
        np.asarray(mmg.get_vertices(), dtype=np.float64),
        np.asarray(cells, dtype=np.int32),
        (np.asarray(cell_refs) - 1).astype(np.int16),
        np.asarray(triangles, dtype=np.int32)[walls],
        np.asarray(triangle_refs, dtype=np.int64)[walls],
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
