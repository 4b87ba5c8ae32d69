"""Makes patient_like.nii.gz: a liver, its portal and hepatic trees and a tumour, from a seed.

    python scenarios/make_patient_like.py            writes the file beside this script
    python scenarios/make_patient_like.py --check    says whether the file is what it would write

No patient is behind it. Two trees grow from their trunks, each branch dividing by Murray's law
(cubes of radii add up) and keeping clear of the other tree; the tumour is put beside a hepatic vein
and the needle's path is the one that stays farthest from all vessels. Lengths in mm, LPS.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablasim.frames import MM
from ablasim.labelmap import read_labels, write_volume
from ablasim.shapes import Sphere, Tube

SEED = 11
SPACING = 1.25
LIVER, TUMOUR, PORTAL, HEPATIC = 1, 2, 3, 4
SEMI_AXES = np.array([78.0, 62.0, 58.0])  # of the ellipsoid that the liver is cut from
THINNEST = 1.5  # radius at which a branch ends
CLEARANCE = 3.0  # tissue between the two trees
STEP = 4.0
TUMOUR_RADIUS = 11.0
TUMOUR_GAP = 4.0  # between the tumour and its vein
NEEDLE_BELOW = 15.0  # of the tip, beyond the tumour's centre

FILE = Path(__file__).with_name("patient_like.nii.gz")
Array = NDArray[np.float64]


@dataclass
class Branch:
    """A piece of a tree between two divisions."""

    points: list[Array]
    radius: float


@dataclass
class Tree:
    """A vessel tree that grows away from its trunk."""

    branches: list[Branch] = field(default_factory=list)

    def samples(self) -> tuple[Array, Array]:
        """Points of all centre lines (n, 3) and their radii (n,)."""
        points = [np.array(branch.points) for branch in self.branches]
        radii = [np.full(len(branch.points), branch.radius) for branch in self.branches]
        return np.concatenate(points), np.concatenate(radii)


def in_liver(x: Array) -> Array:
    """Depth under the capsule, positive inside, (n,); a lobe narrows to the patient's left."""
    # The half on the patient's left (+x in LPS) is thinner, as a left lobe is.
    thin = 1.0 - 0.35 / (1.0 + np.exp(-(x[:, 0] - 15.0) / 15.0))
    semi = np.stack([np.full(len(x), SEMI_AXES[0]), SEMI_AXES[1] * thin, SEMI_AXES[2] * thin])
    norm = np.linalg.norm(x / semi.T, axis=1)
    hilum = np.linalg.norm(x - np.array([25.0, 10.0, -62.0]), axis=1) - 22.0
    depth: Array = np.minimum((1.0 - norm) * semi.min(axis=0), hilum)
    return depth


def grow(
    tree: Tree,
    start: Array,
    direction: Array,
    radius: float,
    other: Tree | None,
    random: np.random.Generator,
    depth: int = 0,
) -> None:
    """Add a branch from ``start`` and what divides from it."""
    length = random.uniform(5.0, 7.0) * radius + 6.0
    points, heading = [start], direction
    for _ in range(int(length / STEP)):
        wander = heading + 0.22 * random.normal(size=3)
        heading = wander / np.linalg.norm(wander)
        following = points[-1] + STEP * heading
        if depth and not allowed(following, radius, other):
            break
        points.append(following)
    if len(points) < 2:
        return
    tree.branches.append(Branch(points, radius))
    share = random.uniform(0.35, 0.6)
    axis = np.cross(heading, random.normal(size=3))
    axis /= np.linalg.norm(axis)
    for part, turn in ((1.0 - share, -0.45), (share, 0.75)):
        child = radius * part ** (1.0 / 3.0)
        if child < THINNEST:
            continue
        towards = np.cos(turn) * heading + np.sin(turn) * axis
        grow(tree, points[-1], towards, child, other, random, depth + 1)


def allowed(x: Array, radius: float, other: Tree | None) -> bool:
    """Whether a branch may pass here: in the liver and clear of the other tree."""
    if in_liver(x[None])[0] < radius + 4.0:
        return False
    if other is None:
        return True
    points, radii = other.samples()
    gap = np.linalg.norm(points - x, axis=1) - radii - radius
    return bool(gap.min() > CLEARANCE)


def trees(random: np.random.Generator) -> tuple[Tree, Tree]:
    """The portal tree from the hilum, the hepatic veins from the back of the dome."""
    portal, hepatic = Tree(), Tree()
    trunk = np.array([18.0, 8.0, -34.0])
    portal.branches.append(Branch([np.array([24.0, 10.0, -50.0]), trunk], 5.0))
    for heading, radius in (((-1.0, 0.0, 0.25), 4.5), ((0.8, -0.3, 0.5), 3.6)):
        way = np.array(heading) / np.linalg.norm(heading)
        grow(portal, trunk, way, radius, None, random)
    mouth = np.array([6.0, 26.0, 42.0])
    for heading, radius in (
        ((-1, -0.1, -0.4), 4.6),
        ((-0.35, -0.8, -0.6), 4.2),
        ((1, -0.7, -0.3), 3.6),
    ):
        way = np.array(heading, dtype=float) / np.linalg.norm(heading)
        grow(hepatic, mouth, way, radius, portal, random)
    return portal, hepatic


def place_tumour(portal: Tree, hepatic: Tree) -> Array:
    """Beside a hepatic vein of at least 5 mm, far from the portal tree and the capsule."""
    portal_points, portal_radii = portal.samples()
    vein_points, vein_radii = hepatic.samples()
    random = np.random.default_rng(SEED + 1)
    best, score = vein_points[0], -np.inf
    for _ in range(4000):
        pick = random.integers(len(vein_points))
        if vein_radii[pick] < 2.5:
            continue
        way = random.normal(size=3)
        away = vein_radii[pick] + TUMOUR_GAP + TUMOUR_RADIUS
        centre = vein_points[pick] + away * way / np.linalg.norm(way)
        veins = np.linalg.norm(vein_points - centre, axis=1) - vein_radii - TUMOUR_RADIUS
        branches = np.linalg.norm(portal_points - centre, axis=1) - portal_radii - TUMOUR_RADIUS
        under = in_liver(centre[None])[0] - TUMOUR_RADIUS
        if veins.min() < TUMOUR_GAP - 0.2:
            continue
        quality = min(branches.min(), 14.0) + min(under, 18.0)
        if quality > score:
            best, score = centre, quality
    return np.round(best, 1)


def needle_path(centre: Array, portal: Tree, hepatic: Tree) -> tuple[Array, Array, float]:
    """Tip, entry and the least distance of the path from a vessel's wall."""
    points, radii = (
        np.concatenate(x) for x in zip(portal.samples(), hepatic.samples(), strict=True)
    )
    count = np.arange(1500) + 0.5  # directions of a spiral over the sphere
    polar, turn = np.arccos(1.0 - 2.0 * count / 1500), np.pi * (1.0 + 5.0**0.5) * count
    ways = np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], 1)
    best = (centre, centre, -np.inf)
    # Neither through the lung nor through the back.
    for way in ways[(ways[:, 2] < 0.5) & (ways[:, 1] < 0.2)]:
        tip = centre - NEEDLE_BELOW * way
        s = np.arange(0.0, 160.0, 1.0)
        path = tip + s[:, None] * way
        gap = (np.linalg.norm(path[:, None] - points, axis=2) - radii).min()
        left = np.flatnonzero(in_liver(path) < 0.0)
        if not len(left):
            continue
        # A short way through the liver is worth something too.
        value = gap - 0.03 * s[left[0]]
        if value > best[2]:
            best = (tip, tip + (s[left[0]] + 10.0) * way, value)
    tip, entry = np.round(best[0], 1), np.round(best[1], 1)
    s = np.linspace(0.0, 1.3, 400)[:, None]
    path = tip + s * (entry - tip)
    return tip, entry, float((np.linalg.norm(path[:, None] - points, axis=2) - radii).min())


def label_volume(portal: Tree, hepatic: Tree, centre: Array) -> tuple[NDArray[np.uint8], Array]:
    """Labels (ni, nj, nk) and the affine from index to LPS [m]; axes run to R, A, S."""
    low, high = -SEMI_AXES - 6.0, SEMI_AXES + 6.0
    shape = np.ceil((high - low) / SPACING).astype(int)
    affine = np.diag([-SPACING * MM, -SPACING * MM, SPACING * MM, 1.0])
    affine[:3, 3] = np.array([high[0], high[1], low[2]]) * MM
    index = np.indices(shape).reshape(3, -1).T
    x = index @ affine[:3, :3].T + affine[:3, 3]
    labels = np.where(in_liver(x / MM) > 0.0, LIVER, 0).astype(np.uint8)
    for label, tree in ((PORTAL, portal), (HEPATIC, hepatic)):
        for branch in tree.branches:
            path = tuple(tuple(float(c) * MM for c in point) for point in branch.points)
            near = np.flatnonzero(np.abs(x - np.mean(path, axis=0)).max(axis=1) < 60.0 * MM)
            tube = Tube(path, branch.radius * MM)  # type: ignore[arg-type]
            labels[near[tube(x[near]) < 0.0]] = label
    ball = Sphere((centre[0] * MM, centre[1] * MM, centre[2] * MM), TUMOUR_RADIUS * MM)
    labels[ball(x) < 0.0] = TUMOUR
    return labels.reshape(shape), affine


def main() -> int:
    """Write the file, or compare it with what would be written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    portal, hepatic = trees(np.random.default_rng(SEED))
    centre = place_tumour(portal, hepatic)
    tip, entry, gap = needle_path(centre, portal, hepatic)
    labels, affine = label_volume(portal, hepatic, centre)
    print(f"tumour at {centre.tolist()}; tip_mm: {tip.tolist()}, entry_mm: {entry.tolist()}")
    print(f"the needle's axis stays {gap:.1f} mm from every vessel")
    if check:
        kept = read_labels(FILE)
        same = kept.labels.shape == labels.shape and bool((kept.labels == labels).all())
        print("the file is as made here" if same else "the file differs: run without --check")
        return 0 if same else 1
    write_volume(FILE, labels, affine)
    print(
        f"{FILE.name}: {labels.shape} voxels of {SPACING} mm, {FILE.stat().st_size / 1000:.0f} kB"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
