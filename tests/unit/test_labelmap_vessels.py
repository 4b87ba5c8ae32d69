"""Trees found in label maps against the tubes that the labels were drawn from."""

from pathlib import Path

import numpy as np
import pytest

from ablasim.anatomy import VesselShape, build_anatomy
from ablasim.centreline import Branch, locate
from ablasim.labelmap_shapes import Volume, open_tubes, smooth_distance
from ablasim.labelmap_vessels import FURTHEST, distance_from_root, vessel_branches
from ablasim.scenario import load_scenario
from ablasim.shapes import Sdf, Tube, Union

MM = 1e-3
SPACING = 1.0 * MM
PORTAL = (6.0 * MM, 0.12)


def drawn(shape: Sdf, half: float = 32.0 * MM, voxel: float = 1.25 * MM) -> Volume:
    """Voxels of a shape around the origin, and an isotropic grid on them."""
    count = int(2.0 * half / voxel)
    affine = np.diag([voxel, voxel, voxel, 1.0])
    affine[:3, 3] = -0.5 * voxel * (count - 1)
    index = np.indices((count,) * 3).reshape(3, -1).T
    labels = (shape(index @ affine[:3, :3].T + affine[:3, 3]) < 0.0).reshape((count,) * 3)
    size = int(2.0 * half / SPACING) - 3
    origin = np.full(3, -0.5 * SPACING * (size - 1))
    return Volume(labels.astype(np.int64), affine, origin, SPACING, (size,) * 3)


def found(
    shape: Sdf,
    kind: str = "portal_vein",
    override: tuple[float | None, float | None] = (None, None),
    whole: Sdf | None = None,
) -> tuple[Branch, ...]:
    """The branches that are found in the voxels of a shape; `whole` is the vessel beyond it."""
    volume = drawn(shape)
    mask = volume.labels > 0
    distance = smooth_distance(volume, mask, 0.5 * MM)
    opened = open_tubes(distance, volume, lambda x: np.full(len(x), 1.3 * MM))
    assert opened is not None
    everywhere = volume if whole is None else drawn(whole, 60.0 * MM)
    root = distance_from_root(kind, everywhere.labels > 0, everywhere.affine)
    return vessel_branches(kind, opened, volume, root, PORTAL, override)


def line(*points: tuple[float, float, float], radius: float) -> Tube:
    """A tube along points, all in mm."""
    return Tube(tuple((x * MM, y * MM, z * MM) for x, y, z in points), radius * MM)


def off_axis(branch: Branch, tube: Tube, ends: float) -> float:
    """Largest distance of a branch's points from a tube's axis, away from the ends [m]."""
    points = branch.points
    from_ends = np.minimum(
        np.linalg.norm(points - points[0], axis=1), np.linalg.norm(points - points[-1], axis=1)
    )
    return float((tube(points) + tube.radius)[from_ends >= min(ends, 0.4 * branch.length)].max())


@pytest.mark.parametrize("radius", [1.8, 2.5, 4.0, 6.0])
@pytest.mark.parametrize("tilt", [(1.0, 0.0, 0.0), (1.0, 0.6, 0.35)])
def test_calibre_and_centreline_of_a_tube(radius: float, tilt: tuple[float, float, float]) -> None:
    """Catches a radius for a diameter and a shift by half a voxel.

    The calibre is compared with that of the labelled voxels: 1.25 mm cannot draw 3.6 mm better.
    """
    way = 40.0 * np.array(tilt) / np.linalg.norm(tilt)
    tube = line((-way[0], -way[1], -way[2]), (way[0], way[1], way[2]), radius=radius)
    (branch,) = found(tube)
    mask = drawn(tube).labels > 0
    x = drawn(tube).affine[0, 3] + 1.25 * MM * np.arange(mask.shape[0])
    section = mask.sum(axis=(1, 2))[np.abs(x) < 15.0 * MM].mean() * (1.25 * MM) ** 2
    labelled = 2.0 * np.sqrt(section * tilt[0] / np.linalg.norm(tilt) / np.pi)
    assert branch.diameter == pytest.approx(labelled, abs=0.3 * MM)
    assert labelled == pytest.approx(2.0 * radius * MM, abs=0.7 * MM)
    assert off_axis(branch, tube, 2.0 * radius * MM) < 0.6 * MM
    assert branch.velocity == pytest.approx(min(0.02 * branch.diameter / MM, 0.18))


TRUNK = line((0, 0, -40), (0, 0, -4), radius=4.5)
LEFT = line((0, 0, -4), (-20, 0, 18), (-24, 0, 40), radius=3.4)
RIGHT = line((0, 0, -4), (22, 6, 22), (26, 6, 40), radius=2.4)
TREE = Union((TRUNK, LEFT, RIGHT))


@pytest.mark.parametrize("kind", ["portal_vein", "hepatic_vein"])
def test_direction_of_flow_in_a_tree(kind: str) -> None:
    """Portal blood leaves the trunk, hepatic blood gathers in it; each branch has its own calibre.

    The hepatic tree stands on its head, since its trunk lies on top.
    """
    inward = kind == "hepatic_vein"
    turn = -1.0 if inward else 1.0

    def turned(tube: Tube) -> Tube:
        return Tube(tuple((x, y, turn * z) for x, y, z in tube.path), tube.radius)

    tubes = [turned(tube) for tube in (TRUNK, LEFT, RIGHT)]
    branches = found(Union(tuple(tubes)), kind)
    assert len(branches) == 3
    order = []
    for tube in tubes:
        middle = np.mean([tube.path[0], tube.path[1]], axis=0)
        order.append(int(locate(branches, middle[None])[0][0]))
    assert sorted(order) == [0, 1, 2]
    for number, tube in zip(order, tubes, strict=True):
        branch = branches[number]
        assert branch.diameter == pytest.approx(2.0 * tube.radius, abs=0.6 * MM)
        rise = branch.points[-1, 2] - branch.points[0, 2]
        assert rise > 0.0, "blood runs upward in both trees"
        assert off_axis(branch, tube, 3.0 * tube.radius) < 1.0 * MM
    trunk, left, right = order
    if inward:
        assert set(branches[trunk].feeders) == {left, right}
        assert branches[left].feeders == branches[right].feeders == ()
    else:
        assert branches[left].feeders == branches[right].feeders == (trunk,)
        assert branches[trunk].feeders == ()


@pytest.mark.parametrize("upward", [True, False])
def test_the_trunk_outside_the_region_decides(upward: bool) -> None:
    """A tube of one calibre in the region: blood comes from where the thick trunk lies outside it.

    Catches a root that is looked for in the region only.
    """
    sign = 1.0 if upward else -1.0
    inside = line((0, 0, -40), (0, 0, 40), radius=2.5)
    trunk = line((0, 0, -58 * sign), (0, 0, -42 * sign), radius=6.0)
    rest = line((0, 0, -50), (0, 0, 50), radius=2.5)
    (branch,) = found(inside, whole=Union((rest, trunk)))
    assert sign * (branch.points[-1, 2] - branch.points[0, 2]) > 0.0


def test_what_the_scenario_says_wins() -> None:
    """A diameter holds for all branches; a velocity in the thickest, others in proportion."""
    fast = found(TREE, override=(None, 0.3))
    widest = max(fast, key=lambda branch: branch.diameter)
    assert widest.velocity == pytest.approx(0.3)
    for branch in fast:
        assert branch.velocity == pytest.approx(0.3 * branch.diameter / widest.diameter)
    same = found(TREE, override=(5.0 * MM, None))
    assert {branch.diameter for branch in same} == {5.0 * MM}
    assert {round(branch.velocity, 9) for branch in same} == {0.1}


def test_parts_without_a_trunk_are_rooted_at_their_thick_end() -> None:
    """An island: no way leads to the trunk, and its distance says so."""
    lone = line((14, -20, 0), (14, 20, 0), radius=2.0)
    volume = drawn(Union((lone, line((-14, -25, 0), (-14, 25, 0), radius=5.0))))
    mask = volume.labels > 0
    root = distance_from_root("portal_vein", mask, volume.affine)
    assert root(np.array([[14.0, 0.0, 0.0]]) * MM)[0] == FURTHEST
    distance = smooth_distance(volume, mask, 0.5 * MM)
    branches = vessel_branches("portal_vein", distance, volume, root, PORTAL)
    assert len(branches) == 2
    assert sorted(round(b.diameter / MM) for b in branches) == [4, 10]


def _check_tree(vessel: VesselShape) -> None:
    """The centreline lies in the lumen, and every junction joins in space."""
    assert vessel.branches
    for branch in vessel.branches:
        assert (vessel.sdf(branch.points) < 1.0 * MM).all()
        assert 2.0 * MM < branch.diameter < 35.0 * MM and 0.0 < branch.velocity < 0.5
        for feeder in branch.feeders:
            gap = np.linalg.norm(vessel.branches[feeder].points[-1] - branch.points[0])
            assert gap < 1e-9


def test_vessels_of_the_shipped_label_map(repository: Path) -> None:
    """Trees from the generated liver: their calibres lie in the generator's range of 3 to 10 mm."""
    anatomy = build_anatomy(load_scenario(repository / "scenarios" / "patient_like.yaml"))
    for vessel in anatomy.vessels:
        _check_tree(vessel)
        assert len(vessel.branches) > 6
        calibre = [branch.diameter for branch in vessel.branches]
        assert min(calibre) > 2.5 * MM and max(calibre) < 11.0 * MM
        assert vessel.diameter == max(calibre)
        # thin and thick branches differ, as they do in the generator
        assert max(calibre) > 2.0 * min(calibre)


@pytest.mark.liver
def test_vessels_of_a_real_liver(liver: Path, tmp_path: Path) -> None:
    """Hepatic veins end at the top of the vena cava; portal blood comes from the thick trunk."""
    scenario = tmp_path / "liver.yaml"
    scenario.write_text(
        f"name: liver\nlabelmap: {{file: {liver}, labels: {{liver: 1, tumour: 2, portal_vein: 3,"
        " hepatic_vein: 4}}\nprobes: [{model: cooled_needle_17g_30mm, tip_mm: [146.7, 201.2,"
        " 182.1], entry_mm: [130.1, 88.1, 194.6]}]\n"
        "protocol: {mode: power, power_W: 36, duration_s: 720}\n"
    )
    vessels = {vessel.kind: vessel for vessel in build_anatomy(load_scenario(scenario)).vessels}
    for vessel in vessels.values():
        _check_tree(vessel)
    hepatic = vessels["hepatic_vein"].branches
    last = [b for n, b in enumerate(hepatic) if not any(n in other.feeders for other in hepatic)]
    highest = max(branch.points[:, 2].max() for branch in hepatic)
    out = max(last, key=lambda branch: branch.diameter)
    assert out.points[-1, 2] > highest - 5.0 * MM
    portal = vessels["portal_vein"].branches
    first = max((b for b in portal if not b.feeders), key=lambda branch: branch.diameter)
    assert first.diameter > 0.7 * max(branch.diameter for branch in portal)
