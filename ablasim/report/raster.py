"""Fields of a tetrahedral mesh on a voxel grid, at the voxels' centres.

Each tetrahedron is filled column by column of the grid: its four barycentric coordinates are linear
along a column, so that the voxels inside it are one interval, found without testing any outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ablasim.mesh_tet import TetMesh

Floats = NDArray[np.float64]

COLUMNS_AT_ONCE = 500_000
TOLERANCE = 1e-9
"""Slack of the barycentric coordinates: a voxel centre on a face belongs to both neighbours."""


@dataclass(frozen=True, eq=False)
class Grid:
    """A voxel grid.

    Attributes:
        shape: number of voxels along the index axes (i, j, k).
        affine: matrix (4, 4) from index (i, j, k, 1) to LPS [m].
    """

    shape: tuple[int, int, int]
    affine: Floats

    @property
    def spacing(self) -> Floats:
        """Edge lengths of a voxel (3,) [m]."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    def index_of(self, points: Floats) -> Floats:
        """Continuous index (n, 3) of points (n, 3) [m]."""
        return np.linalg.solve(self.affine[:3, :3], (points - self.affine[:3, 3]).T).T

    def position_of(self, index: NDArray[np.integer]) -> Floats:
        """Points (n, 3) [m] of indices (n, 3)."""
        return np.asarray(index @ self.affine[:3, :3].T + self.affine[:3, 3])

    def window(self, points: Floats) -> tuple[Grid, tuple[slice, slice, slice]]:
        """The smallest part around points (n, 3) [m], and where it lies in the whole grid."""
        index = self.index_of(points)
        last = np.array(self.shape) - 1
        low = np.clip(np.floor(index.min(axis=0)).astype(np.int64), 0, last)
        high = np.clip(np.ceil(index.max(axis=0)).astype(np.int64), 0, last)
        affine = self.affine.copy()
        affine[:3, 3] = self.position_of(low)
        i, j, k = (slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
        return Grid((i.stop - i.start, j.stop - j.start, k.stop - k.start), affine), (i, j, k)


def grid_around(mesh: TetMesh, spacing: float = 1e-3) -> Grid:
    """The LPS-aligned grid that covers a mesh, its voxel centres on multiples of the spacing."""
    low = np.floor(mesh.points.min(axis=0) / spacing)
    high = np.ceil(mesh.points.max(axis=0) / spacing)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low * spacing
    i, j, k = (int(n) for n in high - low + 1)
    return Grid((i, j, k), affine)


def rasterise(mesh: TetMesh, values: Floats, grid: Grid) -> Floats:
    """A nodal field at the voxel centres of a grid.

    Args:
        mesh: the tissue.
        values: nodal field (n,).
        grid: where.

    Returns:
        Values of `grid.shape`; NaN where the centre lies in no tetrahedron.
    """
    result = np.full(grid.shape, np.nan)
    flat = result.reshape(-1)
    corners = grid.index_of(mesh.points)[mesh.cells]
    last = np.array(grid.shape) - 1
    low = np.clip(np.ceil(corners.min(axis=1) - TOLERANCE), 0, None).astype(np.int64)
    high = np.minimum(np.floor(corners.max(axis=1) + TOLERANCE), last).astype(np.int64)
    size = np.maximum(high - low + 1, 0)
    hit = np.flatnonzero(size.prod(axis=1) > 0)
    columns = size[hit, 0] * size[hit, 1]
    for chunk in np.split(hit, _chunk_ends(columns)):
        if chunk.size:
            inside = values[mesh.cells[chunk]]
            _fill(flat, grid.shape, corners[chunk], inside, low[chunk], size[chunk])
    return result


def _chunk_ends(columns: NDArray[np.int64]) -> NDArray[np.int64]:
    total = np.cumsum(columns)
    steps = np.arange(COLUMNS_AT_ONCE, total[-1] if total.size else 0, COLUMNS_AT_ONCE)
    return np.unique(np.searchsorted(total, steps))


def _fill(
    flat: Floats,
    shape: tuple[int, int, int],
    corners: Floats,
    values: Floats,
    low: NDArray[np.int64],
    size: NDArray[np.int64],
) -> None:
    """Write the voxels of some tetrahedra: corners (m, 4, 3) in index units, values (m, 4)."""
    # Barycentric coordinates 1 to 3 are rows of the inverse edge matrix; the first is what is left.
    edges = corners[:, 1:] - corners[:, :1]
    inverse = np.linalg.inv(np.swapaxes(edges, 1, 2))
    gradient = np.concatenate([-inverse.sum(axis=1, keepdims=True), inverse], axis=1)
    constant = -np.einsum("mcx,mx->mc", gradient, corners[:, 0])
    constant[:, 0] += 1.0
    owner, offset = _expand(size[:, 0] * size[:, 1])
    i = low[owner, 0] + offset // size[owner, 1]
    j = low[owner, 1] + offset % size[owner, 1]
    start = low[owner, 2].astype(np.float64)
    end = start + (size[owner, 2] - 1)
    for c in range(4):
        base = constant[owner, c] + TOLERANCE
        base += gradient[owner, c, 0] * i + gradient[owner, c, 1] * j
        along = gradient[owner, c, 2]
        parallel = np.abs(along) < TOLERANCE
        limit = -base / np.where(parallel, 1.0, along)
        start = np.where(~parallel & (along > 0.0), np.maximum(start, limit), start)
        end = np.where(~parallel & (along < 0.0), np.minimum(end, limit), end)
        end = np.where(parallel & (base < 0.0), -1.0, end)
    begin = np.ceil(np.minimum(start, shape[2])).astype(np.int64)
    count = np.maximum(np.floor(np.maximum(end, -1.0)).astype(np.int64) - begin + 1, 0)

    column, step = _expand(count)
    i, j, k, tet = i[column], j[column], begin[column] + step, owner[column]
    slope = np.einsum("mc,mcx->mx", values, gradient)
    value = np.einsum("mc,mc->m", values, constant)[tet]
    value += slope[tet, 0] * i + slope[tet, 1] * j + slope[tet, 2] * k
    flat[(i * shape[1] + j) * shape[2] + k] = value


def _expand(count: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For counts (m,): the owner of each item, and the item's number within its owner."""
    owner = np.repeat(np.arange(len(count)), count)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)


def voxels_in_probes(
    mesh: TetMesh, grid: Grid, uncovered: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Voxels outside the tissue that lie inside a probe, and the nearest node of its wall.

    A probe is a hole of the mesh, so such a voxel is one whose nearest wall is a probe's.

    Returns:
        Indices (n, 3) of the voxels and nodes (n,) of the mesh.
    """
    walls = np.array([name.startswith("probe.") for name in mesh.surfaces], dtype=bool)
    at_probe = walls[mesh.face_surface]
    nodes = np.unique(mesh.faces)
    nobody = np.empty((0, 3), dtype=np.int64), np.empty(0, dtype=np.int64)
    if not at_probe.any():
        return nobody
    extent = grid.index_of(mesh.points[mesh.faces[at_probe].ravel()])
    low = np.clip(np.floor(extent.min(axis=0)), 0, None).astype(np.int64)
    high = np.minimum(np.ceil(extent.max(axis=0)), np.array(grid.shape) - 1).astype(np.int64)
    if (high < low).any():
        return nobody
    window = uncovered[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))]
    voxels = np.argwhere(window) + low
    if not len(voxels):
        return nobody
    positions = grid.position_of(voxels)
    centres = mesh.points[mesh.faces].mean(axis=1)
    inside = at_probe[cKDTree(centres).query(positions)[1]]
    wall_nodes = nodes[np.isin(nodes, mesh.faces[at_probe])]
    nearest = wall_nodes[cKDTree(mesh.points[wall_nodes]).query(positions[inside])[1]]
    return voxels[inside], nearest
