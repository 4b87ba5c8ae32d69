"""Uniform refinement of a mesh: each tetrahedron into eight, each boundary triangle into four.

Red refinement: the middles of all edges become points; four children are copies of their parent at
its corners, and the octahedron between them is cut along its shortest diagonal (Bey 1995,
10.1007/BF02238487, keeps one diagonal by its numbering instead). Walls stay as flat as they were.
"""

import numpy as np
from numpy.typing import NDArray

from ablasim.mesh import TetMesh

EDGES = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])
"""Of a tetrahedron, by its corners; the middle of edge i is its node 4 + i."""

CORNERS = np.array([[0, 4, 5, 6], [4, 1, 7, 8], [5, 7, 2, 9], [6, 8, 9, 3]])
"""The children at the corners, by the parent's ten nodes."""

DIAGONALS = np.array([[4, 9], [5, 8], [6, 7]])
"""Middles of opposite edges."""

RINGS = np.array([[5, 6, 8, 7], [6, 4, 7, 9], [4, 5, 9, 8]])
"""The other four middles around each diagonal, in the order that gives positive children."""

FACE_EDGES = np.array([[0, 1], [0, 2], [1, 2]])
"""Of a triangle; the middle of edge i is its node 3 + i."""

FACES = np.array([[0, 3, 4], [3, 1, 5], [4, 5, 2], [3, 5, 4]])
"""The children of a triangle by its six nodes, turning as it does."""


def refined(mesh: TetMesh) -> TetMesh:
    """The mesh with every edge halved; children inherit region and surface.

    Args:
        mesh: conforming, of n points and e edges.

    Returns:
        A conforming mesh of n + e points, of which the first n are the old ones.
    """
    count = len(mesh.points)
    pairs = np.sort(mesh.cells[:, EDGES].reshape(-1, 2).astype(np.int64), axis=1)
    keys, edge = np.unique(pairs[:, 0] * count + pairs[:, 1], return_inverse=True)
    middle = 0.5 * (mesh.points[keys // count] + mesh.points[keys % count])
    points = np.concatenate([mesh.points, middle])
    nodes = np.concatenate([mesh.cells, count + edge.reshape(-1, 6)], axis=1).astype(np.int32)
    sides = np.sort(mesh.faces[:, FACE_EDGES].reshape(-1, 2).astype(np.int64), axis=1)
    found = np.searchsorted(keys, sides[:, 0] * count + sides[:, 1]).reshape(-1, 3)
    corners = np.concatenate([mesh.faces, count + found], axis=1).astype(np.int32)
    return TetMesh(
        points=points,
        cells=_children(points, nodes).reshape(-1, 4),
        cell_region=np.repeat(mesh.cell_region, 8),
        regions=mesh.regions,
        faces=corners[:, FACES].reshape(-1, 3),
        face_surface=np.repeat(mesh.face_surface, 4),
        surfaces=mesh.surfaces,
    )


def _children(points: NDArray[np.float64], nodes: NDArray[np.int32]) -> NDArray[np.int32]:
    """The eight children (m, 8, 4) of tetrahedra given by their ten nodes (m, 10)."""
    ends = points[nodes[:, DIAGONALS]]
    choice = np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=2).argmin(axis=1)
    ring, diagonal = RINGS[choice], DIAGONALS[choice]
    around = [
        np.stack([diagonal[:, 0], diagonal[:, 1], ring[:, i], ring[:, (i + 1) % 4]], axis=1)
        for i in range(4)
    ]
    inner = np.take_along_axis(nodes, np.stack(around, axis=1).reshape(-1, 16), axis=1)
    return np.concatenate([nodes[:, CORNERS], inner.reshape(-1, 4, 4)], axis=1)
