"""The order and the index tables with which the JAX kernels see a mesh (NumPy, built once).

Points are numbered by reverse Cuthill-McKee and then sorted, stably, by their number of neighbours,
so that a sparse matrix becomes a few dense slices of about equal row length ("sliced ELLPACK") that
are read by gathers with next to no padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import reverse_cuthill_mckee

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

SLICES = 8
"""Slices per matrix: more would shorten the padding but lengthen compilation."""

CELL_EDGES = tuple(combinations(range(4), 2))


@dataclass(frozen=True, eq=False)
class Slices:
    """Ragged rows packed into dense slices.

    Attributes:
        order: row held at each position of the slices put end to end (n,).
        index: per slice (k, rows) column numbers, padded with `pad`.
        entry: per slice (k, rows) position of the entry in the CSR data, or -1 where padded.
    """

    order: Ints
    index: tuple[Ints, ...]
    entry: tuple[NDArray[np.int64], ...]

    def pack(self, data: Floats) -> tuple[Floats, ...]:
        """CSR data laid out like `index`, zero where padded."""
        extended = np.append(data, 0.0)
        return tuple(extended[entry] for entry in self.entry)


def slice_rows(indptr: NDArray[np.int32], indices: Ints, slices: int = SLICES) -> Slices:
    """Pack the rows of a CSR pattern, sorted by length, into dense slices."""
    length = np.diff(indptr)
    order = np.argsort(length, kind="stable").astype(np.int32)
    bounds = np.unique(np.linspace(0, len(order), slices + 1).astype(int))
    index, entry = [], []
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        rows = order[start:stop]
        width = max(int(length[rows].max(initial=0)), 1)
        step = np.arange(width)[:, None]
        inside = step < length[rows]
        position = np.where(inside, indptr[rows] + step, -1)
        # padding reads the row's first entry: a valid place close by, multiplied by zero
        nearby = indices[np.minimum(indptr[rows], len(indices) - 1)]
        index.append(np.where(inside, indices[position], nearby).astype(np.int32))
        entry.append(position.astype(np.int64))
    return Slices(order, tuple(index), tuple(entry))


@dataclass(frozen=True, eq=False)
class Graph:
    """Edges of a tetrahedral mesh in the solver's point order.

    Attributes:
        to_mesh: solver point -> mesh point (n,).
        from_mesh: mesh point -> solver point (n,).
        cells: (m, 4) in solver numbers.
        edge_of: (m, 6) edge number of each pair of a cell's corners, in CELL_EDGES' order.
        edges: (e, 2) end points.
        indptr, indices: CSR pattern of neighbours.
        slot_edge: edge number of each CSR entry.
        stiffness: (m, 6) -V grad N_a . grad N_b of each pair [m]; times a coefficient it is the
            weight with which the difference of two corners drives a flow.
        volumes: of cells (m,) [m3].
    """

    to_mesh: NDArray[np.int64]
    from_mesh: NDArray[np.int64]
    cells: Ints
    edge_of: Ints
    edges: Ints
    indptr: Ints
    indices: Ints
    slot_edge: Ints
    stiffness: Floats
    volumes: Floats

    def edge_weights(self, cell_values: Floats) -> Floats:
        """Edge weights of the operator -div(c grad), c per cell (m,); (e,)."""
        weights = (cell_values[:, None] * self.stiffness).ravel()
        return np.bincount(self.edge_of.ravel(), weights, minlength=len(self.edges))

    def around_edges(self, cell_values: Floats) -> Floats:
        """Sum of the values (m,) of the cells around each edge (e,)."""
        weights = np.repeat(cell_values, len(CELL_EDGES))
        return np.bincount(self.edge_of.ravel(), weights, minlength=len(self.edges))

    def row_sums(self, edge_weights: Floats) -> Floats:
        """Sum of the weights of each point's edges (n,), the operator's diagonal."""
        both = np.concatenate([edge_weights, edge_weights])
        return np.bincount(self.edges.T.ravel(), both, minlength=len(self.to_mesh))

    def matrix(self, edge_weights: Floats) -> sp.csr_matrix:
        """The stiffness matrix of given edge weights, with its diagonal."""
        shape = (len(self.indptr) - 1,) * 2
        off = sp.csr_matrix((edge_weights[self.slot_edge], self.indices, self.indptr), shape)
        return (sp.diags(np.asarray(off.sum(axis=1)).ravel()) - off).tocsr()


def build_graph(points: Floats, cells: Ints) -> Graph:
    """Number the points for the kernels and list the edges with their weights."""
    count = len(points)
    one, other = (cells[:, corners].ravel() for corners in np.array(CELL_EDGES).T)
    low, high = np.minimum(one, other), np.maximum(one, other)
    # SciPy's conversion counts where np.unique would sort: four times as fast
    table = sp.coo_matrix((np.ones(len(low), dtype=np.int8), (low, high)), (count, count)).tocsr()
    table.data = np.arange(table.nnz, dtype=np.int32)
    edge_of = np.asarray(table[low, high]).ravel()
    rows = np.repeat(np.arange(count), np.diff(table.indptr))
    edges = np.stack([rows, table.indices], axis=1).astype(np.int64)
    to_mesh = _number(edges, count)
    from_mesh = np.empty_like(to_mesh)
    from_mesh[to_mesh] = np.arange(count)

    edges = from_mesh[edges]
    number = np.arange(1, len(edges) + 1, dtype=np.int32)  # from 1: a stored 0 would vanish
    half = sp.coo_matrix((number, (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    full = (half + half.T).tocsr()  # an edge's number stands once on each side
    full.sort_indices()
    scaled, volumes = _gradients(points, cells)
    return Graph(
        to_mesh=to_mesh,
        from_mesh=from_mesh,
        cells=from_mesh[cells].astype(np.int32),
        edge_of=edge_of.reshape(-1, 6).astype(np.int32),
        edges=edges.astype(np.int32),
        indptr=full.indptr.astype(np.int32),
        indices=full.indices.astype(np.int32),
        slot_edge=full.data.astype(np.int32) - 1,
        stiffness=_pair_stiffness(scaled, volumes),
        volumes=np.abs(volumes),
    )


def _number(edges: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Solver order of the points: close in the mesh first, then stably by number of neighbours."""
    ones = np.ones(len(edges), dtype=np.int8)
    half = sp.coo_matrix((ones, (edges[:, 0], edges[:, 1])), (count, count))
    near = reverse_cuthill_mckee((half + half.T).tocsr(), symmetric_mode=True)
    degree = np.bincount(edges.ravel(), minlength=count)
    order: NDArray[np.int64] = near[np.argsort(degree[near], kind="stable")].astype(np.int64)
    return order


def _gradients(points: Floats, cells: Ints) -> tuple[Floats, Floats]:
    """6 V times the gradients of the four hats (m, 4, 3) [m2], and signed volumes (m,) [m3]."""
    corner = points[cells]
    one, two, three = (corner[:, i] - corner[:, 0] for i in (1, 2, 3))
    scaled = np.empty((len(cells), 4, 3))
    scaled[:, 1] = np.cross(two, three)
    scaled[:, 2] = np.cross(three, one)
    scaled[:, 3] = np.cross(one, two)
    scaled[:, 0] = -scaled[:, 1:].sum(axis=1)
    return scaled, np.einsum("mi,mi->m", scaled[:, 1], one) / 6.0


def _pair_stiffness(scaled: Floats, volume: Floats) -> Floats:
    """-V grad N_a . grad N_b for the six pairs of each cell (m, 6) [m], from `_gradients`."""
    return np.stack(
        [-np.einsum("mi,mi->m", scaled[:, a], scaled[:, b]) for a, b in CELL_EDGES], axis=1
    ) / (36.0 * np.abs(volume)[:, None])
