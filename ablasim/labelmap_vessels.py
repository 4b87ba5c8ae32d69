"""Vessels of a label map as trees: centrelines, calibre and direction of flow of every branch.

The lumen is thinned to a skeleton (Lee 1994, scikit-image), whose voxels become a graph. Its root
is a thick end of the whole vessel, also outside the simulated region, or its thickest place if no
end is thick: the trunk, or where the branches meet if no trunk is labelled. In the region the root
is the place nearest to it along the vessel. Portal veins and arteries run from the root, hepatic
veins and the vena cava to it. The calibre is twice the distance of the centreline from the wall.
The velocity is the kind's typical one in proportion to the diameter, so that the flow goes with its
cube (Murray 1926, 10.1073/pnas.12.3.207) and a branch does not inherit the errors of others; it
stops growing at FASTEST.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from ablasim.centreline import Branch
from ablasim.frames import MM
from ablasim.labelmap_shapes import Mask, Volume
from ablasim.shapes import FloatArray

TO_THE_ROOT = ("hepatic_vein", "vena_cava")
"""Kinds whose blood flows from thin branches to thick ones."""

THICK_END = 0.7
"""An end at least this much as thick as the thickest place may be the root."""

SPUR = 3.0 * MM
"""A branch that comes out of its parent's wall by less than this is roughness of the wall."""

SAMPLE = 2.0 * MM
"""Distance of the centreline's points."""

COARSE = 1.5 * MM
"""Edge of the cubes in which the root of a whole vessel is looked for."""

FASTEST = 1.5
"""Velocities do not grow beyond this multiple of the kind's typical one: portal veins of 12 mm have
16 to 20 cm/s, not more for being thicker."""

FURTHEST = 1e3  # [m]; stands for "not connected"

Ints = NDArray[np.int64]


@dataclass(eq=False)
class _Skeleton:
    """Skeleton voxels as a rooted forest.

    Attributes:
        place: of the voxels (n, 3) [m].
        radius: distance from the wall (n,) [m].
        links: their graph, weighted by distance [m].
        parent: towards the root, -1 at a root (n,).
        kept: false for pruned voxels (n,).
    """

    place: FloatArray
    radius: FloatArray
    links: csr_array
    parent: Ints
    kept: Mask

    def grow(self, roots: Ints) -> None:
        """Shortest ways to the nearest of the roots."""
        inside = self.links.multiply(self.kept[:, None] & self.kept[None, :])
        distance, parent, _ = dijkstra(
            csr_array(inside), indices=roots, min_only=True, return_predecessors=True
        )
        self.parent = np.where(np.isfinite(distance) & (parent >= 0), parent, -1).astype(np.int64)

    def children(self) -> list[list[int]]:
        """Of each voxel."""
        found: list[list[int]] = [[] for _ in self.parent]
        for voxel in np.flatnonzero(self.kept & (self.parent >= 0)):
            found[self.parent[voxel]].append(int(voxel))
        return found

    def chain(self, leaf: int, children: list[list[int]]) -> list[int]:
        """From a leaf to the voxel where it leaves another branch, or to the root."""
        way = [leaf]
        while self.parent[way[-1]] >= 0:
            way.append(int(self.parent[way[-1]]))
            if len(children[way[-1]]) > 1:
                break
        return way

    def way_to_root(self, voxel: int) -> list[int]:
        """From a voxel to its root."""
        way = [voxel]
        while self.parent[way[-1]] >= 0:
            way.append(int(self.parent[way[-1]]))
        return way

    def length(self, way: list[int]) -> float:
        """Of a way along voxels [m]."""
        return float(np.linalg.norm(np.diff(self.place[way], axis=0), axis=1).sum())

    def prune(self) -> None:
        """Take away spurs, the shortest first."""
        while True:
            children = self.children()
            leaves = [v for v in np.flatnonzero(self.kept) if not children[v]]
            spurs = []
            for leaf in leaves:
                way = self.chain(int(leaf), children)
                free = self.length(way) - self.radius[way[-1]] + self.radius[leaf]
                if len(children[way[-1]]) > 1 and free < SPUR:
                    spurs.append((free, way))
            if not spurs:
                return
            # neighbours of a spur may become one long branch: only one at a time per junction
            done: set[int] = set()
            for _, way in sorted(spurs, key=lambda spur: spur[0]):
                if way[-1] not in done:
                    done.add(way[-1])
                    self.kept[way[:-1]] = False


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
    skeleton = _skeleton(distance, volume.origin, volume.spacing)
    if skeleton is None:
        return ()
    skeleton.grow(_nearest_to_root(skeleton, from_root))
    skeleton.prune()
    ways = _ways(skeleton)
    if not ways:
        return ()
    upstream = _parents(ways)
    calibre = [
        override[0] or _diameter(skeleton, way, None if p < 0 else ways[p])
        for way, p in zip(ways, upstream, strict=True)
    ]
    if override[1] is not None:
        typical = (max(calibre), override[1])
    inward = kind in TO_THE_ROOT
    branches = []
    for number, way in enumerate(ways):
        points = _smooth(skeleton.place[way])
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

    index, links = _voxel_graph(cubes, np.full(3, spacing))
    depth = ndimage.distance_transform_edt(cubes, sampling=spacing)
    along = dijkstra(links, indices=_root_of(kind, depth, spacing, index, to_lps))
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


def _root_of(
    kind: str,
    depth: FloatArray,
    spacing: float,
    index: Ints,
    to_lps: Callable[[FloatArray], FloatArray],
) -> int:
    """Number of the cube where a vessel's tree is rooted: a thick end, or its thickest place.

    Of the thick ends it is the highest where the blood flows to the heart, and the one nearest to
    the thickest place where it comes from below.
    """
    skeleton = _skeleton(-depth, np.full(3, 0.0), spacing)
    if skeleton is None:
        return 0
    thickest = int(np.argmax(skeleton.radius))
    skeleton.grow(np.array([thickest]))
    skeleton.prune()
    children = skeleton.children()
    reached = skeleton.kept & (skeleton.parent >= 0)
    root, best = thickest, np.inf
    for end in (int(v) for v in np.flatnonzero(reached) if not children[v]):
        chain = skeleton.chain(end, children)
        if np.median(skeleton.radius[chain]) < THICK_END * skeleton.radius[thickest]:
            continue
        score = skeleton.length(skeleton.way_to_root(end))
        if kind in TO_THE_ROOT:
            score = -float(to_lps(skeleton.place[[end]] / spacing)[0, 2])
        if score < best:
            root, best = end, score
    cube = np.linalg.norm(spacing * index - skeleton.place[root], axis=1)
    return int(np.argmin(cube))


def _nearest_to_root(skeleton: _Skeleton, from_root: Callable[[FloatArray], FloatArray]) -> Ints:
    """The root of each connected part: the voxel nearest to the whole vessel's root, or the
    thickest end of a part that is not connected with it."""
    count, part = connected_components(skeleton.links, directed=False)
    away = from_root(skeleton.place)
    roots = []
    for number in range(count):
        mine = np.flatnonzero(part == number)
        if away[mine].min() < FURTHEST:
            roots.append(int(mine[np.argmin(away[mine])]))
        else:
            neighbours = np.diff(skeleton.links.indptr)[mine]
            ends = mine[neighbours <= 1] if (neighbours <= 1).any() else mine
            roots.append(int(ends[np.argmax(skeleton.radius[ends])]))
    return np.array(roots)


def _voxel_graph(mask: Mask, voxel: FloatArray) -> tuple[Ints, csr_array]:
    """Voxels (n, 3) of a mask, and the graph of those that touch, weighted by distance [m]."""
    index = np.argwhere(mask)
    number = np.full(np.array(mask.shape) + 2, -1, dtype=np.int64)
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
        lengths.append(np.full(len(here), float(np.linalg.norm(offset * voxel))))
    row, column, length = (np.concatenate(each) for each in (rows, columns, lengths))
    half = coo_array((length, (row, column)), shape=(len(index),) * 2).tocsr()
    return index, csr_array(half + half.T)


def _skeleton(distance: FloatArray, origin: FloatArray, spacing: float) -> _Skeleton | None:
    """The skeleton of where a distance on a grid is negative; None where there is none."""
    from skimage.morphology import skeletonize  # slow to import

    thin = np.asarray(skeletonize(distance < 0.0), dtype=np.bool_)
    if thin.sum() < 2:
        return None
    index, links = _voxel_graph(thin, np.full(3, spacing))
    return _Skeleton(
        origin + spacing * index,
        _depth(distance, index, spacing),
        links,
        np.full(len(index), -1, dtype=np.int64),
        np.ones(len(index), dtype=np.bool_),
    )


def _depth(distance: FloatArray, index: Ints, spacing: float) -> FloatArray:
    """Radius of the largest ball about each voxel's neighbourhood (n,) [m]: a skeleton voxel lies
    up to half a diagonal of the grid off the axis."""
    deepest = ndimage.minimum_filter(distance, size=3, mode="nearest")
    depth: FloatArray = -deepest[tuple(index.T)]
    return np.maximum(depth, 0.5 * spacing)


def _ways(skeleton: _Skeleton) -> list[list[int]]:
    """Voxels of each branch from the root outward; the first is the last of its parent's."""
    children = skeleton.children()
    ways = []
    waiting = [(int(v), child) for v in np.flatnonzero(skeleton.kept & (skeleton.parent < 0))
               for child in children[v]]  # fmt: skip
    while waiting:
        start, following = waiting.pop(0)
        way = [start, following]
        while len(children[way[-1]]) == 1:
            way.append(children[way[-1]][0])
        ways.append(way)
        waiting += [(way[-1], child) for child in children[way[-1]]]
    return ways


def _parents(ways: list[list[int]]) -> list[int]:
    """The branch that each one leaves, -1 at a root."""
    ending = {way[-1]: number for number, way in enumerate(ways)}
    return [ending.get(way[0], -1) for way in ways]


def _diameter(skeleton: _Skeleton, way: list[int], parent: list[int] | None) -> float:
    """Median over the part of a branch that lies outside its parent and before its own end [m]."""
    radius = skeleton.radius[way]
    gap = np.linalg.norm(np.diff(skeleton.place[way], axis=0), axis=1)
    along = np.append(0.0, np.cumsum(gap))
    own = np.ones(len(way), dtype=np.bool_)
    if parent is not None:
        own = along > skeleton.radius[parent[len(parent) // 2 :]].mean()
    if not own.any():
        own[len(way) // 2 :] = True
    return 2.0 * float(np.median(radius[own]))


def _smooth(points: FloatArray) -> FloatArray:
    """A way along voxels as a smooth polyline with the same ends."""
    smooth = ndimage.gaussian_filter1d(points, 2.0, axis=0, mode="nearest")
    smooth[0], smooth[-1] = points[0], points[-1]
    along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(smooth, axis=0), axis=1)))
    count = max(2, round(along[-1] / SAMPLE) + 1)
    at = np.linspace(0.0, along[-1], count)
    return np.stack([np.interp(at, along, smooth[:, i]) for i in range(3)], axis=1)
