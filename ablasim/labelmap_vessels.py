"""Vessels of a label map as trees: centrelines, calibre and direction of flow of every branch.

Centrelines are shortest ways through the lumen that are cheap where it is deep (after TEASAR, Sato
et al. 2000, 10.1109/PCCGA.2000.883951), from its root to the farthest place that no way is near
yet, again and again. (Thinning, as in scikit-image 0.26, may leave nothing of a symmetric tube.)
The root is a thick end of the whole vessel, also outside the simulated region, or its thickest
place if no end is thick: the trunk, or where the branches meet if no trunk is labelled. In the
region it is the place nearest to that along the vessel. Portal veins and arteries run from the
root, hepatic veins and the vena cava to it. The calibre is that of a round tube of the branch's
volume. The velocity is the kind's typical one in proportion to the diameter, so that the flow goes
with its cube (Murray 1926, 10.1073/pnas.12.3.207) and a branch does not inherit the errors of
others; it stops growing at FASTEST.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from ablasim.centreline import Branch
from ablasim.frames import MM
from ablasim.labelmap_shapes import Mask, Volume
from ablasim.shapes import FloatArray

TO_THE_ROOT = ("hepatic_vein", "vena_cava")
"""Kinds whose blood flows from thin branches to thick ones."""

THICK_END = 0.5
"""An end at least this much as thick as the thickest place may be the root."""

CENTRED = 3.0
"""A way costs its length over this power of the depth: high enough to follow the axis."""

REACH = 2.5
"""A way covers the lumen up to this many times its depth, and SPUR; what reaches beyond is a branch
of its own. Veins in thick slices are flat, two to three times as wide as high."""

SPUR = 3.0 * MM
"""What comes out of a wall by less than this is roughness of the wall."""

SAMPLE = 2.0 * MM
"""Distance of the centreline's points."""

COARSE = 1.5 * MM
"""Edge of the cubes in which the root of a whole vessel is looked for."""

FASTEST = 1.5
"""Velocities do not grow beyond this multiple of the kind's typical one: portal veins of 12 mm have
16 to 20 cm/s, not more for being thicker."""

FURTHEST = 1e3  # [m]; stands for "not connected"

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Lumen:
    """The voxels of a vessel on an isotropic grid.

    Attributes:
        index: of the voxels (n, 3).
        place: the same (n, 3) [m].
        depth: distance from the wall (n,) [m].
        links: graph of touching voxels, weighted by distance [m].
        part: number of the connected part each voxel belongs to (n,).
    """

    index: Ints
    place: FloatArray
    depth: FloatArray
    links: csr_array
    part: Ints


@dataclass(frozen=True, eq=False)
class _Tree:
    """Centrelines as voxels of a lumen.

    Attributes:
        parent: next voxel towards the root, -1 at a root and off the tree (n,).
        on: voxels of the tree (n,).
        children: of each voxel of the tree.
    """

    parent: Ints
    on: Mask
    children: list[list[int]]

    def chain(self, leaf: int) -> list[int]:
        """From a leaf to the voxel where it leaves another branch, or to the root."""
        way = [leaf]
        while self.parent[way[-1]] >= 0:
            way.append(int(self.parent[way[-1]]))
            if len(self.children[way[-1]]) > 1:
                break
        return way

    def ways(self) -> list[list[int]]:
        """Voxels of each branch from the root outward; the first is the last of its parent's."""
        roots = np.flatnonzero(self.on & (self.parent < 0))
        waiting = [(int(v), child) for v in roots for child in self.children[v]]
        found = []
        while waiting:
            start, following = waiting.pop(0)
            way = [start, following]
            while len(self.children[way[-1]]) == 1:
                way.append(self.children[way[-1]][0])
            found.append(way)
            waiting += [(way[-1], child) for child in self.children[way[-1]]]
        return found


def vessel_branches(
    kind: str,
    distance: FloatArray,
    volume: Volume,
    from_root: Callable[[FloatArray], FloatArray],
    typical: tuple[float, float],
    override: tuple[float | None, float | None] = (None, None),
) -> tuple[Branch, ...]:
    """Centreline, calibre and flow of a vessel's branches.

    Args:
        kind: of the vessel, which decides the direction of flow.
        distance: signed distance of the lumen on the isotropic grid [m].
        volume: the grids.
        from_root: distance of places (n, 3) [m] from the root of the whole vessel (n,) [m].
        typical: a diameter [m] and the mean velocity that belongs to it [m/s].
        override: diameter of all branches [m] and velocity in the thickest one [m/s] where given.
    """
    lumen = _lumen(distance, volume.origin, volume.spacing)
    if not len(lumen.index):
        return ()
    tree = _centrelines(lumen, _nearest_to_root(lumen, from_root))
    ways = tree.ways()
    if not ways:
        return ()
    ending = {way[-1]: number for number, way in enumerate(ways)}
    upstream = [ending.get(way[0], -1) for way in ways]
    filled = _volumes(lumen, tree, distance, volume)
    calibre = [
        override[0] or _diameter(lumen, filled, way, None if p < 0 else ways[p])
        for way, p in zip(ways, upstream, strict=True)
    ]
    if override[1] is not None:
        typical = (max(calibre), override[1])
    inward = kind in TO_THE_ROOT
    branches = []
    for number, way in enumerate(ways):
        points = _sampled(_smooth(lumen.place[way]))
        if inward:
            feeders = tuple(b for b, p in enumerate(upstream) if p == number)
        else:
            feeders = () if upstream[number] < 0 else (upstream[number],)
        speed = typical[1] * min(calibre[number] / typical[0], FASTEST)
        branches.append(Branch(points[::-1] if inward else points, calibre[number], speed, feeders))
    return tuple(branches)


def distance_from_root(
    kind: str, mask: Mask, affine: FloatArray
) -> Callable[[FloatArray], FloatArray]:
    """How far places are from the root of a vessel, along the vessel.

    Args:
        kind: of the vessel.
        mask: voxels of the whole vessel (ni, nj, nk).
        affine: (4, 4) from index to LPS [m].

    Returns:
        A function of places (n, 3) [m]; FURTHEST where the root cannot be reached.
    """
    voxel = np.linalg.norm(affine[:3, :3], axis=0)
    inside = np.argwhere(mask)
    start = inside.min(axis=0) - 1
    part = mask[tuple(slice(a, b + 1) for a, b in zip(start + 1, inside.max(axis=0), strict=True))]
    padded = np.pad(part, 1).astype(np.float32)
    spacing = float(max(voxel.min(), COARSE))
    cubes = ndimage.zoom(padded, voxel / spacing, order=1, grid_mode=True, mode="nearest") > 0.5
    if not cubes.any():
        return lambda x: np.full(len(x), FURTHEST)
    ratio = np.array(padded.shape) / np.array(cubes.shape)

    def to_lps(index: FloatArray) -> FloatArray:
        at = start + (index + 0.5) * ratio - 0.5
        place: FloatArray = at @ affine[:3, :3].T + affine[:3, 3]
        return place

    depth = ndimage.distance_transform_edt(cubes, sampling=spacing)
    lumen = _lumen(0.5 * spacing * ~cubes - depth, np.zeros(3), spacing)
    root = _root_of(kind, lumen, lambda number: to_lps(lumen.index[[number]].astype(np.float64))[0])
    along = dijkstra(lumen.links, indices=root)
    field = np.full(cubes.shape, FURTHEST)
    field[cubes] = np.where(np.isfinite(along), along, FURTHEST)
    # places just outside take the value of the nearest cube
    nearest = ndimage.distance_transform_edt(~cubes, return_distances=False, return_indices=True)
    field = field[tuple(nearest)]

    def measure(x: FloatArray) -> FloatArray:
        at = np.linalg.solve(affine[:3, :3], (x - affine[:3, 3]).T).T
        at = np.round((at - start + 0.5) / ratio - 0.5)
        high = np.array(cubes.shape) - 1
        found: FloatArray = field[tuple(np.clip(at, 0, high).astype(int).T)]
        return found

    return measure


def _root_of(kind: str, lumen: _Lumen, to_lps: Callable[[int], FloatArray]) -> int:
    """Number of the voxel where a vessel's tree is rooted: a thick end, or its thickest place.

    Of the thick ends it is the highest where the blood flows to the heart, and the one nearest to
    the thickest place where it comes from below.
    """
    thickest = int(np.argmax(lumen.depth))
    tree = _centrelines(lumen, np.array([thickest]))
    root, best = thickest, np.inf
    ends = [int(v) for v in np.flatnonzero(tree.on) if not tree.children[v]]
    if len(tree.children[thickest]) == 1 or kind in TO_THE_ROOT:
        ends.append(thickest)  # the end of a wide trunk may lie within the reach of its middle
    for end in ends:
        depth = lumen.depth[[end] if end == thickest else tree.chain(end)]
        if np.median(depth) < THICK_END * lumen.depth[thickest]:
            continue
        if kind in TO_THE_ROOT:
            score = -float(to_lps(end)[2])
        else:
            score = float(np.linalg.norm(lumen.place[end] - lumen.place[thickest]))
        if score < best:
            root, best = end, score
    return root


def _nearest_to_root(lumen: _Lumen, from_root: Callable[[FloatArray], FloatArray]) -> Ints:
    """The root of each connected part: the voxel nearest to the whole vessel's root, or the thicker
    end of a part that is not connected with it."""
    away = from_root(lumen.place)
    roots = []
    for number in range(int(lumen.part.max()) + 1):
        mine = np.flatnonzero(lumen.part == number)
        if away[mine].min() < FURTHEST:
            roots.append(int(mine[np.argmin(away[mine])]))
            continue
        one = int(mine[np.argmax(dijkstra(lumen.links, indices=int(mine[0]))[mine])])
        from_one = dijkstra(lumen.links, indices=one)[mine]
        other = int(mine[np.argmax(from_one)])
        near_one = lumen.depth[mine[from_one < 0.3 * from_one.max()]].max()
        near_other = lumen.depth[mine[from_one > 0.7 * from_one.max()]].max()
        roots.append(one if near_one >= near_other else other)
    return np.array(roots)


def _lumen(distance: FloatArray, origin: FloatArray, spacing: float) -> _Lumen:
    """The voxels where a signed distance on a grid is negative."""
    inside = distance < 0.0
    index = np.argwhere(inside)
    number = np.full(np.array(inside.shape) + 2, -1, dtype=np.int64)
    number[tuple((index + 1).T)] = np.arange(len(index))
    rows, columns, lengths = [], [], []
    for step in np.ndindex(3, 3, 3):
        offset = np.array(step) - 1
        if tuple(offset) <= (0, 0, 0):
            continue
        other = number[tuple((index + 1 + offset).T)]
        here = np.flatnonzero(other >= 0)
        rows.append(here)
        columns.append(other[here])
        lengths.append(np.full(len(here), spacing * float(np.linalg.norm(offset))))
    row, column, length = (np.concatenate(each) for each in (rows, columns, lengths))
    half = coo_array((length, (row, column)), shape=(len(index),) * 2).tocsr()
    links = csr_array(half + half.T)
    _, part = connected_components(links, directed=False)
    # a voxel on the wall is not infinitely dear
    depth = np.maximum(-distance[inside], 0.25 * spacing).astype(np.float64)
    return _Lumen(index, origin + spacing * index, depth, links, part.astype(np.int64))


def _centrelines(lumen: _Lumen, roots: Ints) -> _Tree:
    """Ways along the axes of a lumen from given roots to all its ends."""
    links = lumen.links.tocoo()
    shallow = np.minimum(lumen.depth[links.row], lumen.depth[links.col])
    price = csr_array(
        (links.data * (MM / shallow) ** CENTRED, (links.row, links.col)), shape=links.shape
    )
    _, parent, _ = dijkstra(price, indices=roots, min_only=True, return_predecessors=True)
    far = dijkstra(lumen.links, indices=roots, min_only=True)
    far = np.where(np.isfinite(far), far, -1.0)
    count = len(lumen.index)
    on, covered = np.zeros(count, dtype=np.bool_), ~np.isfinite(far)
    places = cKDTree(lumen.place)

    def cover(way: list[int]) -> None:
        reach = REACH * lumen.depth[way] + SPUR
        for near in places.query_ball_point(lumen.place[way], reach):
            covered[near] = True

    on[roots] = True
    cover([int(v) for v in roots])
    covered |= far < 0.0
    while not covered.all():
        way = [int(np.argmax(np.where(covered, -1.0, far)))]
        while not on[way[-1]]:
            way.append(int(parent[way[-1]]))
        cover(way)
        # the farthest voxel lies in a corner of the end: the way begins where it is deep
        middle = 0.7 * float(np.median(lumen.depth[way[:-1]]))
        first = next(k for k, voxel in enumerate(way) if lumen.depth[voxel] >= middle)
        on[way[first:]] = True
    children: list[list[int]] = [[] for _ in range(count)]
    kept = np.where(on, parent, -1)
    kept[kept < 0] = -1
    for voxel in np.flatnonzero(on & (kept >= 0)):
        children[kept[voxel]].append(int(voxel))
    return _Tree(kept.astype(np.int64), on, children)


def _volumes(lumen: _Lumen, tree: _Tree, distance: FloatArray, volume: Volume) -> FloatArray:
    """Volume of the lumen around each voxel of the tree (n,) [m3]."""
    share = np.clip(0.5 - distance / volume.spacing, 0.0, 1.0)
    index = np.argwhere(share > 0.0)
    nodes = np.flatnonzero(tree.on)
    place = volume.origin + volume.spacing * index
    _, nearest = cKDTree(lumen.place[nodes]).query(place)
    filled = share[tuple(index.T)] * volume.spacing**3
    volumes: FloatArray = np.bincount(nodes[nearest], filled, minlength=len(tree.on))
    return volumes


def _diameter(lumen: _Lumen, filled: FloatArray, way: list[int], parent: list[int] | None) -> float:
    """Of a round tube with the volume of the part of a branch that is outside its parent and before
    its own end [m]."""
    gap = np.linalg.norm(np.diff(_smooth(lumen.place[way]), axis=0), axis=1)
    along = np.append(0.0, np.cumsum(gap))
    radius = float(np.median(lumen.depth[way]))
    begin = radius
    if parent is not None:
        begin = float(np.median(lumen.depth[parent])) + 0.5 * radius
    own = (along > begin) & (along < along[-1] - radius)
    if own.sum() < 3:
        return 2.0 * radius
    length = np.gradient(along)[own].sum()
    return 2.0 * float(np.sqrt(filled[np.array(way)[own]].sum() / (np.pi * length)))


def _smooth(points: FloatArray) -> FloatArray:
    """A way along voxels without their staircase, its ends kept."""
    smooth: FloatArray = ndimage.gaussian_filter1d(points, 2.0, axis=0, mode="nearest")
    smooth[0], smooth[-1] = points[0], points[-1]
    return smooth


def _sampled(points: FloatArray) -> FloatArray:
    """A polyline with points SAMPLE apart."""
    along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    at = np.linspace(0.0, along[-1], max(2, round(along[-1] / SAMPLE) + 1))
    return np.stack([np.interp(at, along, points[:, i]) for i in range(3)], axis=1)
