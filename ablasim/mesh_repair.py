"""Pinched walls opened: tissue that touches itself only along an edge or in a point goes.

Such places appear where two branches nearly touch or a wall is thinner than the mesh. MMG fails on
them, and no heat could flow through them anyway.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ablasim.mesh_tet import IntArray, adjacent_cells, boundary_faces, connected_parts

ROUNDS = 12


def sound_cells(cells: IntArray) -> NDArray[np.bool_]:
    """Which cells to keep for one piece with a boundary that never pinches, (m,)."""
    keep = np.ones(len(cells), dtype=np.bool_)
    for _ in range(ROUNDS):
        number = np.flatnonzero(keep)
        parts = connected_parts(cells[number])
        keep[number[parts != np.argmax(np.bincount(parts))]] = False
        number = np.flatnonzero(keep)
        bad = _at_pinched_edges(cells[number]) | _at_pinched_points(cells[number])
        if not bad.any():
            break
        keep[number[bad]] = False
    return keep


def _at_pinched_edges(cells: IntArray) -> NDArray[np.bool_]:
    """Cells around edges with more than two boundary triangles, (m,)."""
    faces, _ = boundary_faces(cells)
    keys, count = np.unique(_edge_keys(faces, 3), return_counts=True)
    pinched = keys[count > 2]
    around: NDArray[np.bool_] = np.isin(_edge_keys(cells, 4), pinched).reshape(-1, 6).any(axis=1)
    return around


def _edge_keys(simplices: IntArray, corners: int) -> NDArray[np.int64]:
    """One integer per edge of triangles or cells, those of one simplex after each other."""
    pairs = [[i, j] for i in range(corners) for j in range(i + 1, corners)]
    ends = np.sort(simplices[:, pairs].reshape(-1, 2), axis=1).astype(np.int64)
    keys: NDArray[np.int64] = (ends[:, 0] << 32) | ends[:, 1]
    return keys


def _at_pinched_points(cells: IntArray) -> NDArray[np.bool_]:
    """Of the cells around a point that fall into several fans, all but the largest fan, (m,)."""
    # A corner is a point seen from one of its cells; faces join corners of the same point.
    one, two = adjacent_cells(cells)
    rows, columns = [], []
    for i in range(4):
        for j in range(4):
            same = np.flatnonzero(cells[one, i] == cells[two, j])
            rows.append(4 * one[same] + i)
            columns.append(4 * two[same] + j)
    row, column = np.concatenate(rows), np.concatenate(columns)
    size = 4 * len(cells)
    graph = coo_array((np.ones(len(row), dtype=np.int8), (row, column)), shape=(size, size))
    _, fan = connected_components(graph, directed=False)
    point = cells.reshape(-1)
    extent = np.bincount(fan)[fan]
    largest = np.zeros(int(point.max()) + 1, dtype=np.int64)
    np.maximum.at(largest, point, extent)
    bad: NDArray[np.bool_] = (extent < largest[point]).reshape(-1, 4).any(axis=1)
    return bad
