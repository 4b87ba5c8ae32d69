"""Conforming splits of a tetrahedral mesh: to a size field, and along the zero set of a function.

Everything rests on one step: flag edges, give each a point, and let every tetrahedron bisect its
flagged edges in one global order. A face shared by two tetrahedra sees its own edges split in the
same order from both sides, so the result conforms without any table of cases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ablasim.errors import UsageError
from ablasim.mesh_tet import FloatArray, IntArray, tet_quality
from ablasim.shapes import Sdf, project

EDGE_ENDS = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])
# For edge k: the edges that end at its second point, lost by the child that keeps the first
# point, and the other way round.
_LOST_WITH = [
    [[k for k in range(6) if v in EDGE_ENDS[k]] for v in EDGE_ENDS[edge][::-1]] for edge in range(6)
]

TOLERANCE = 1e-9  # [m]; a point this close to a surface lies on it
NEAR_WALL = 1e-4  # [m]; a cell whose corners are all this near may lie across a thin tube
ARRIVED = 0.02  # a pull that leaves more than this share of the distance has missed the surface
SNAP_FRACTION = 0.4
SNAP_QUALITY = 0.08  # a pull that leaves a worse tetrahedron is taken back


@dataclass
class Work:
    """A mesh being built.

    Attributes:
        points: (n, 3) [m].
        cells: (m, 4).
        on: (n,) bit j is set where the point lies on ``surfaces[j]``.
        surfaces: functions the mesh has been split along so far.
    """

    points: FloatArray
    cells: IntArray
    on: NDArray[np.int64]
    surfaces: list[Sdf] = field(default_factory=list)

    def drop(self, gone: NDArray[np.bool_]) -> None:
        """Remove cells (m,) and the points that only they use."""
        self.cells = self.cells[~gone]
        self.compress()

    def compress(self) -> None:
        """Remove points that no cell uses."""
        used = np.zeros(len(self.points), dtype=np.bool_)
        used[self.cells] = True
        number = (np.cumsum(used) - 1).astype(np.int32)
        self.points, self.on = self.points[used], self.on[used]
        self.cells = number[self.cells]


def lattice(low: FloatArray, high: FloatArray, size: float) -> Work:
    """Cubes of six tetrahedra that cover a box.

    Args:
        low: (3,) lower corner [m].
        high: (3,) upper corner [m].
        size: edge of the cubes [m].
    """
    count = np.ceil((high - low) / size).astype(int)
    start = 0.5 * (low + high) - 0.5 * size * count
    axes = [start[i] + size * np.arange(count[i] + 1) for i in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    index = np.arange(len(points)).reshape(count + 1)
    corner = [
        index[i : count[0] + i, j : count[1] + j, k : count[2] + k].reshape(-1)
        for i in (0, 1)
        for j in (0, 1)
        for k in (0, 1)
    ]
    # Kuhn's six tetrahedra around the diagonal 0-7; odd permutations swapped to positive volume.
    paths = [(0, 4, 6, 7), (0, 6, 2, 7), (0, 2, 3, 7), (0, 3, 1, 7), (0, 1, 5, 7), (0, 5, 4, 7)]
    cells = np.concatenate([np.stack([corner[i] for i in path], axis=1) for path in paths])
    return Work(points, cells.astype(np.int32), np.zeros(len(points), dtype=np.int64))


def unique_edges(cells: IntArray) -> tuple[IntArray, NDArray[np.int64]]:
    """Edges of a mesh, (e, 2), and for each cell the index of its six edges, (m, 6)."""
    ends = np.sort(cells[:, EDGE_ENDS].reshape(-1, 2), axis=1).astype(np.int64)
    keys, inverse = np.unique((ends[:, 0] << 32) | ends[:, 1], return_inverse=True)
    edges = np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1).astype(np.int32)
    return edges, inverse.reshape(-1, 6)


def bisect(
    work: Work,
    chosen: NDArray[np.bool_],
    cell_edges: NDArray[np.int64],
    flagged: NDArray[np.int64],
    new_points: FloatArray,
    new_on: NDArray[np.int64],
    n_edges: int,
) -> None:
    """Bisect every flagged edge, the later ones in ``flagged`` first.

    Args:
        work: the mesh; points are appended, cells replaced in place.
        chosen: (m,) mask of the cells that may have flagged edges; no other cell has one.
        cell_edges: (k, 6) index of the chosen cells' edges.
        flagged: (k,) indices of the edges to bisect, in ascending priority.
        new_points: (k, 3) where [m].
        new_on: (k,) the surfaces they lie on.
        n_edges: number of edges in all.
    """
    rank = np.full(n_edges, -1, dtype=np.int64)
    rank[flagged] = np.arange(len(flagged))
    first_new = len(work.points)
    cells, ranks = work.cells[chosen], rank[cell_edges]
    done = [work.cells[~chosen]]
    while True:
        edge = np.argmax(ranks, axis=1)
        top = ranks[np.arange(len(ranks)), edge]
        done.append(cells[top < 0])
        active = top >= 0
        if not active.any():
            break
        cells, ranks, edge, top = cells[active], ranks[active], edge[active], top[active]
        children, child_ranks = [], []
        for side in (0, 1):
            child, child_rank = cells.copy(), ranks.copy()
            for k in range(6):
                here = np.flatnonzero(edge == k)
                child[here, EDGE_ENDS[k][1 - side]] = first_new + top[here]
                child_rank[np.ix_(here, _LOST_WITH[k][side])] = -1
            children.append(child)
            child_ranks.append(child_rank)
        cells, ranks = np.concatenate(children), np.concatenate(child_ranks)
    work.cells = np.concatenate(done)
    work.points = np.concatenate([work.points, new_points])
    work.on = np.concatenate([work.on, new_on])


def refine(work: Work, longest: Callable[[FloatArray], FloatArray]) -> None:
    """Bisect edges, the longest first, until none is longer than ``longest`` at its middle."""
    settled = []  # a cell without a long edge has none that a neighbour could split
    while True:
        edges, cell_edges = unique_edges(work.cells)
        a, b = work.points[edges[:, 0]], work.points[edges[:, 1]]
        length = np.linalg.norm(a - b, axis=1)
        long = length > longest(0.5 * (a + b))
        active = long[cell_edges].any(axis=1)
        settled.append(work.cells[~active])
        if not active.any():
            work.cells = np.concatenate(settled)
            return
        work.cells, cell_edges = work.cells[active], cell_edges[active]
        flagged = np.flatnonzero(long)
        flagged = flagged[np.argsort(length[flagged], kind="stable")]
        nowhere = np.zeros(len(flagged), dtype=np.int64)
        everything = np.ones(len(work.cells), dtype=np.bool_)
        middle = (0.5 * (a + b))[flagged]
        bisect(work, everything, cell_edges, flagged, middle, nowhere, len(edges))


def split_along(work: Work, sdf: Sdf, *, within: Sdf | None = None) -> None:
    """Make the zero set of a function a union of faces.

    Points near it are first moved onto it, which avoids most of the thin tetrahedra.

    Args:
        work: the mesh, changed in place.
        sdf: the function.
        within: where given, only edges with both ends inside or on this shape are cut, so that a
            plane cuts a tube's inside and wall and nothing else.
    """
    phi = sdf(work.points)
    bit = 1 << _surface_number(work, sdf)
    allowed = np.ones(len(phi), dtype=np.bool_)
    if within is not None:
        allowed = within(work.points) < TOLERANCE
    edges, _ = unique_edges(work.cells[_crossed(work, phi)])
    edges = edges[allowed[edges].all(axis=1)]
    _snap(work, sdf, phi, edges)
    phi[np.abs(phi) < TOLERANCE] = 0.0
    work.on[(phi == 0.0) & allowed] |= bit
    chosen = _crossed(work, phi)
    edges, cell_edges = unique_edges(work.cells[chosen])
    a, b = edges[:, 0], edges[:, 1]
    flagged = np.flatnonzero((phi[a] * phi[b] < 0.0) & allowed[a] & allowed[b])
    a, b = a[flagged], b[flagged]
    cut = _root_on_edge(sdf, work.points[a], work.points[b])
    # The chord between two points of a curved wall runs off it: back onto the line of both walls.
    on = (work.on[a] & work.on[b]) | bit
    first = len(work.points)
    bisect(work, chosen, cell_edges, flagged, _onto_line(work, cut, on), on, len(edges))
    _take_back(work, np.arange(first, len(work.points)), cut)


def _crossed(work: Work, phi: FloatArray) -> NDArray[np.bool_]:
    """Cells with corners on both sides, (m,)."""
    positive, negative = phi > 0.0, phi < 0.0
    crossed: NDArray[np.bool_] = positive[work.cells].any(axis=1) & negative[work.cells].any(axis=1)
    return crossed


def _surface_number(work: Work, sdf: Sdf) -> int:
    if len(work.surfaces) > 60:
        raise UsageError(
            f"meshing: got more than {len(work.surfaces)} surfaces; a scene can have 60: leave out"
            " some probes or vessels"
        )
    work.surfaces.append(sdf)
    return len(work.surfaces) - 1


def _take_back(work: Work, moved: NDArray[np.int64], original: FloatArray) -> None:
    """Put points (k,) back to (k, 3) [m] where their move has spoiled a cell."""
    safe = work.points.copy()
    safe[moved] = original
    is_moved = np.zeros(len(safe), dtype=np.bool_)
    is_moved[moved] = (work.points[moved] != original).any(axis=1)
    touched = work.cells[is_moved[work.cells].any(axis=1)]
    accepted = 0.3 * tet_quality(safe, touched)
    while len(touched):
        bad = touched[tet_quality(work.points, touched) < accepted]
        back = np.unique(bad[is_moved[bad]])
        if not len(back):
            break
        work.points[back] = safe[back]
        is_moved[back] = False


def _onto_line(work: Work, points: FloatArray, on: NDArray[np.int64]) -> FloatArray:
    """Points moved onto all the surfaces they belong to, by turns."""
    points = points.copy()
    members = [np.flatnonzero(on >> j & 1) for j in range(len(work.surfaces))]
    several = (on & (on - 1)) != 0
    for _ in range(4):
        for j, mine in enumerate(members):
            mine = mine[several[mine]]
            if len(mine):
                points[mine] = project(work.surfaces[j], points[mine])
    return points


def _snap(work: Work, sdf: Sdf, phi: FloatArray, edges: IntArray) -> None:
    """Move points close to the surface onto it, along the walls they lie on; ``phi`` becomes 0."""
    a, b = edges[:, 0], edges[:, 1]
    crossing = phi[a] * phi[b] < 0.0
    a, b = a[crossing], b[crossing]
    share = np.full(len(phi), np.inf)
    jump = np.abs(phi[a] - phi[b])
    np.minimum.at(share, a, np.abs(phi[a]) / jump)
    np.minimum.at(share, b, np.abs(phi[b]) / jump)
    free = work.on == 0
    moved = np.flatnonzero(share < np.where(free, SNAP_FRACTION, 0.7 * SNAP_FRACTION))
    original = work.points.copy()
    pulled = project(sdf, original[moved])
    pulled = _onto_line(work, pulled, work.on[moved] | 1 << (len(work.surfaces) - 1))
    # A function that is no distance far from its surface can lead astray: such points stay.
    arrived = np.abs(sdf(pulled)) < ARRIVED * np.abs(phi[moved]) + TOLERANCE
    moved, pulled = moved[arrived], pulled[arrived]
    work.points[moved] = pulled
    is_moved = np.zeros(len(phi), dtype=np.bool_)
    is_moved[moved] = True
    touched = work.cells[is_moved[work.cells].any(axis=1)]
    reach = np.where(is_moved, share, -1.0)
    accepted = np.minimum(SNAP_QUALITY, 0.5 * tet_quality(original, touched))
    while True:
        bad = touched[tet_quality(work.points, touched) < accepted]
        # Of a bad cell's moved corners only the one pulled farthest goes back.
        farthest = np.argmax(np.where(is_moved[bad], reach[bad], -1.0), axis=1)
        worst = bad[np.arange(len(bad)), farthest]
        back = np.unique(worst[is_moved[worst]])
        if not len(back):
            break
        work.points[back] = original[back]
        is_moved[back] = False
    phi[is_moved] = 0.0


def _root_on_edge(sdf: Sdf, a: FloatArray, b: FloatArray) -> FloatArray:
    """Where the function vanishes between a (one sign) and b (the other), (k, 3) [m]."""
    fa, fb = sdf(a), sdf(b)
    low, high = np.zeros(len(a)), np.ones(len(a))
    for step in range(8):
        # Regula falsi converges fast on smooth functions, halving guards it on others.
        t = low + (high - low) * (fa / (fa - fb) if step % 3 != 2 else 0.5)
        value = sdf(a + t[:, None] * (b - a))
        same = np.sign(value) == np.sign(fa)
        low, fa = np.where(same, t, low), np.where(same, value, fa)
        high, fb = np.where(same, high, t), np.where(same, fb, value)
    t = low + (high - low) * np.where(fa == fb, 0.5, fa / np.where(fa == fb, 1.0, fa - fb))
    return a + t[:, None] * (b - a)


def cells_inside(work: Work, sdf: Sdf) -> NDArray[np.bool_]:
    """Which cells lie inside a shape the mesh has been split along, (m,).

    The corner farthest from the surface decides: the middle of a thin cell outside a convex wall
    can lie inside it. Only where all corners lie on the wall, as across a thin tube, does the
    middle decide.
    """
    phi = sdf(work.points)[work.cells]
    farthest = phi[np.arange(len(phi)), np.argmax(np.abs(phi), axis=1)]
    near = np.flatnonzero(np.abs(farthest) < NEAR_WALL)
    if len(near):
        middle = sdf(work.points[work.cells[near]].mean(axis=1))
        across = np.abs(middle) > 5.0 * np.abs(farthest[near])
        farthest[near[across]] = middle[across]
    inside: NDArray[np.bool_] = farthest < 0.0
    return inside
