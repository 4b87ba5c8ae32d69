"""MMG: a cut mesh adapted to the size field, its walls and the lines between them kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.errors import AblasimError
from ablasim.frames import MM
from ablasim.mesh_interrupt import run_interruptibly
from ablasim.mesh_sizes import SizeField
from ablasim.mesh_split import Work
from ablasim.mesh_tet import FloatArray, IntArray
from ablasim.mesh_walls import Wall

METRIC_FACTOR = 1.2  # MMG takes the size as a target it stays below
GRADATION = 1.3  # of neighbouring edges
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
    metric = METRIC_FACTOR * size(work.points)
    reason = ""
    for slack in SLACKER:
        mmg = _load(work, region, faces, refs, metric)
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
        return _unload(mmg)
    raise AblasimError(
        f"meshing: MMG failed ({reason}); try another numerics.resolution, or move the probe a"
        " little: surfaces that nearly touch are the usual cause"
    )


def _load(
    work: Work,
    region: NDArray[np.int16],
    faces: IntArray,
    refs: NDArray[np.int64],
    metric: FloatArray,
) -> Any:
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
