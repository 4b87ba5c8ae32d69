"""The margin where it is known: concentric and offset balls, vessel notches, capsules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from simple_meshes import MM, Tube, ball, box_mesh, moved, renumbered

from ablasim.assess.distance import _pair_distance, surface_distance
from ablasim.assess.margin import TumourMargin, minimal_margins, set_apart, tumour_margin
from ablasim.assess.zone import lethal_zone
from ablasim.centreline import Branch
from ablasim.mesh_tet import TetMesh

LEVEL = 60.0
PER_METRE = 2000.0
SIZE = 40 * MM


def sphere_field(mesh: TetMesh, radius: float) -> np.ndarray:
    return LEVEL + PER_METRE * (radius - np.linalg.norm(mesh.points, axis=1))


def tumour_mesh(
    centre: tuple[float, float, float], radius: float, count: int = 32, **options
) -> TetMesh:  # type: ignore[no-untyped-def]
    return box_mesh(count, SIZE, regions={"tumour": ball(centre, radius)}, **options)


def margin_in_ball(mesh: TetMesh, radius: float, *vessels: Tube) -> TumourMargin:
    zone = lethal_zone(mesh, sphere_field(mesh, radius), LEVEL)
    margin = tumour_margin(mesh, zone, vessels)
    assert margin is not None
    return margin


@pytest.mark.parametrize("centre_mm", [(0, 0, 0), (3, -2, 1)])
def test_margin_inside_a_ball(centre_mm: tuple[float, float, float]) -> None:
    """From a point inside a ball the nearest surface point lies on the ray from the centre."""
    radius = 14 * MM
    centre = np.array(centre_mm) * MM
    margin = margin_in_ball(tumour_mesh(tuple(centre), 8 * MM), radius)
    exact = radius - np.linalg.norm(margin.points, axis=1)
    np.testing.assert_allclose(margin.margin, exact, atol=0.06 * MM)
    assert margin.minimal == pytest.approx(exact.min(), abs=0.06 * MM)
    assert margin.covered_fraction == pytest.approx(1.0)
    assert margin.residual_volume < 1e-15
    assert margin.nearest_vessel is None
    if centre.any():
        toward = centre / np.linalg.norm(centre)
        assert margin.thinnest_point is not None
        assert margin.thinnest_point @ toward > 10.5 * MM


def test_margin_is_negative_where_the_tumour_sticks_out() -> None:
    radius = 12 * MM
    mesh = tumour_mesh((8 * MM, 0, 0), 9 * MM)
    margin = margin_in_ball(mesh, radius)
    exact = radius - np.linalg.norm(margin.points, axis=1)
    np.testing.assert_allclose(margin.margin, exact, atol=0.1 * MM)
    assert margin.minimal == pytest.approx(exact.min(), abs=0.1 * MM)
    assert margin.minimal < -5 * MM
    corners = margin.points[margin.triangles]
    area = 0.5 * np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    middle = radius - np.linalg.norm(corners.mean(axis=1), axis=1)
    shares = [area[(middle >= a * MM) & (middle < b * MM)].sum() / area.sum() for a, b in
              ((-99, 0), (0, 5), (5, 10), (10, 99))]  # fmt: skip
    np.testing.assert_allclose(margin.class_fractions, shares, atol=0.01)
    assert sum(margin.class_fractions) == pytest.approx(1.0, abs=1e-12)
    # Two balls of 12 and 9 mm, 8 mm apart: the lens they share.
    d, a, b = 8.0, 12.0, 9.0
    lens = np.pi * (a + b - d) ** 2 * (d * d + 2 * d * (a + b) - 3 * (a - b) ** 2) / (12 * d)
    assert margin.covered_fraction == pytest.approx(lens / (4 / 3 * np.pi * b**3), abs=0.01)
    assert margin.residual_volume == pytest.approx(
        (1 - margin.covered_fraction) * margin.tumour_volume
    )


def test_classes_of_points() -> None:
    margin = margin_in_ball(tumour_mesh((8 * MM, 0, 0), 9 * MM), 12 * MM)
    expected = np.searchsorted([0.0, 5 * MM, 10 * MM], margin.margin, side="right")
    np.testing.assert_array_equal(margin.point_class, expected)
    assert set(margin.point_class) == {0, 1, 2, 3}


def vessel_scene() -> tuple[TetMesh, np.ndarray, tuple[Tube, ...]]:
    """A ball of 14 mm with a notch at a vessel along z at x = 15 mm; a second vessel far behind."""
    near = lambda x: np.hypot(x[:, 0] - 15 * MM, x[:, 1]) < 2.5 * MM  # noqa: E731
    far = lambda x: np.hypot(x[:, 0] + 17 * MM, x[:, 1]) < 2 * MM  # noqa: E731
    mesh = tumour_mesh((0, 0, 0), 9 * MM, holes={"vessel.portal_branch": near, "vessel.vein": far})
    wall = np.hypot(mesh.points[:, 0] - 15 * MM, mesh.points[:, 1]) - 2.5 * MM
    notch = LEVEL + PER_METRE * (wall - 2.5 * MM)
    peak = np.minimum(sphere_field(mesh, 14 * MM), notch)
    facts = (Tube("portal_branch", "portal_vein", 5 * MM), Tube("vein", "hepatic_vein", 4 * MM))
    return mesh, peak, facts


def test_vessel_takes_margin_and_is_named() -> None:
    mesh, peak, facts = vessel_scene()
    margin = tumour_margin(mesh, lethal_zone(mesh, peak, LEVEL), facts)
    without = tumour_margin(mesh, lethal_zone(mesh, sphere_field(mesh, 14 * MM), LEVEL), facts)
    assert margin is not None and without is not None
    # The notch's edge is at x = 10 mm; the tumour reaches 9 mm there, 14 mm all around.
    assert margin.minimal == pytest.approx(1.0 * MM, abs=0.7 * MM)
    assert without.minimal is not None and without.minimal > margin.minimal + 2 * MM
    assert margin.thinnest_point is not None
    assert margin.thinnest_point[0] > 8 * MM
    nearest = margin.nearest_vessel
    assert nearest is not None
    assert (nearest.name, nearest.kind) == ("portal_branch", "portal_vein")
    assert nearest.diameter == 5 * MM
    to_axis = np.hypot(margin.thinnest_point[0] - 15 * MM, margin.thinnest_point[1])
    assert nearest.distance == pytest.approx(to_axis - 2.5 * MM, abs=0.9 * MM)
    assert [vessel.name for vessel in margin.vessels] == ["portal_branch", "vein"]
    assert [vessel.is_heat_sink for vessel in margin.vessels] == [True, False]


def test_a_wide_branch_behind_a_nearer_thin_one_is_a_heat_sink() -> None:
    """Catches a rule that asks the branch alone that comes nearest."""
    mesh, peak, _ = vessel_scene()
    zone = lethal_zone(mesh, peak, LEVEL)
    twig, trunk = along_z(-20.0, 4.0, 2.0), along_z(4.6, 20.0, 5.0)
    for branches, sink in (((twig, trunk), True), ((along_z(-20.0, 20.0, 2.7),), False)):
        facts = (Tube("portal_branch", "portal_vein", 5 * MM, branches=branches),)
        margin = tumour_margin(mesh, zone, facts)
        assert margin is not None
        near = margin.vessels[0]
        assert near.distance < 5 * MM and near.is_heat_sink is sink
        assert near.diameter == pytest.approx(branches[0].diameter)
        assert near.widest == pytest.approx(max(branch.diameter for branch in branches))
    unknown = (Tube("portal_branch", "portal_vein", 5 * MM, measured=False),)
    margin = tumour_margin(mesh, zone, unknown)
    assert margin is not None
    assert margin.vessels[0].diameter is None and margin.vessels[0].is_heat_sink


def along_z(start: float, end: float, diameter: float) -> Branch:
    """A straight branch at x = 15 mm [mm]."""
    ends = np.array([[15.0, 0.0, start], [15.0, 0.0, end]]) * MM
    return Branch(ends, diameter * MM, 0.1)


def test_living_tissue_ends_a_margin_but_a_vessel_wall_does_not() -> None:
    """The zone reaches the vessel's wall; the blood behind it is not tissue left alive."""
    mesh, _, facts = vessel_scene()
    zone = lethal_zone(mesh, sphere_field(mesh, 14 * MM), LEVEL)
    assert zone.facing("vessel.portal_branch").size > 0
    margin = tumour_margin(mesh, zone, facts)
    assert margin is not None
    exact = 14 * MM - np.linalg.norm(margin.points, axis=1)
    far_from_vessel = margin.points[:, 0] < 0
    np.testing.assert_allclose(
        margin.margin[far_from_vessel], exact[far_from_vessel], atol=0.06 * MM
    )
    # Towards the vessel the surface of living tissue is missing, so the margin is never less.
    assert (margin.margin >= exact - 0.06 * MM).all()


def test_tumour_surface_counts_on_vessel_walls_and_not_on_probes() -> None:
    core = lambda x: np.hypot(x[:, 0], x[:, 1]) < 2 * MM  # noqa: E731
    plain = tumour_mesh((0, 0, 0), 8 * MM)
    hole = {name: tumour_mesh((0, 0, 0), 8 * MM, holes={name: core})
            for name in ("probe.0.active", "vessel.vein")}  # fmt: skip
    area = {}
    for name, mesh in {"plain": plain, **hole}.items():
        margin = margin_in_ball(mesh, 14 * MM)
        corners = margin.points[margin.triangles]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
        area[name] = np.linalg.norm(normals, axis=1).sum()
        closed = name != "probe.0.active"
        assert (np.abs(normals.sum(axis=0)).max() < 1e-12) or not closed
    assert area["probe.0.active"] < area["plain"] < area["vessel.vein"]


def test_outer_boundary_ends_a_margin() -> None:
    """Nothing is known behind it, so a zone cut off by the block must not look wide."""
    mesh = tumour_mesh((0, 0, 0), 8 * MM)
    zone = lethal_zone(mesh, np.full(len(mesh.points), 90.0), LEVEL)
    margin = tumour_margin(mesh, zone)
    assert margin is not None and margin.minimal is not None
    assert margin.minimal == pytest.approx(20 * MM - np.abs(margin.points).max())
    assert any("outer boundary" in text for text in margin.warnings)


def test_subcapsular_surface_is_set_apart() -> None:
    """The capsule is the plane x = 8.75 mm; the tumour's pole lies close below it."""
    mesh = box_mesh(
        32,
        SIZE,
        regions={
            "tumour": ball((0, 0, 0), 8 * MM),
            "outside": lambda x: x[:, 0] > 9 * MM,
        },
    )
    # Alive from x = 9 mm on: the margin at the pole is small, but beyond it there is no liver.
    peak = np.minimum(sphere_field(mesh, 14 * MM), LEVEL + PER_METRE * (9 * MM - mesh.points[:, 0]))
    margin = tumour_margin(mesh, lethal_zone(mesh, peak, LEVEL))
    assert margin is not None and margin.thinnest_point is not None
    assert margin.minimal is not None and margin.subcapsular_minimal is not None
    depth = 8.75 * MM - margin.points[:, 0]  # the layer of nodes nearest to the capsule
    clear = np.abs(depth - 5 * MM) > 1e-9
    np.testing.assert_array_equal(margin.subcapsular[clear], (depth <= 5 * MM)[clear])
    # A cap of height 4.25 mm on a ball of 8 mm: h / 2 r of its area.
    assert margin.subcapsular_fraction == pytest.approx(4.25 / 16, abs=0.05)
    assert margin.subcapsular_minimal == pytest.approx(9 * MM - margin.points[:, 0].max())
    assert margin.minimal > 3.5 * MM
    assert not margin.warnings


def test_apart_is_what_has_area() -> None:
    """Where all triangles are set apart all points are; a point alone is a corner of what counts.
    Catches a margin of a handful of points that calls itself that of the tumour."""
    mesh = box_mesh(32, SIZE, regions={"outside": lambda x: x[:, 0] > 9 * MM})
    square = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]]) * MM
    triangles = np.array([[0, 1, 2], [1, 3, 2]], dtype=np.int32)

    def at(*depths: float) -> tuple[list[bool], list[bool]]:
        points = square + np.array([[8.75 - depth, 0, 0] for depth in depths]) * MM
        near, counted = set_apart(mesh, points, triangles)
        return near.tolist(), counted.tolist()

    assert at(6, 6, 6, 6) == ([False] * 4, [True] * 2)
    assert at(4, 4, 4, 6) == ([True] * 4, [True] * 2)
    assert at(4, 6, 6, 6) == ([False] * 4, [True] * 2)
    assert at(4, 4, 6, 6) == ([True, True, False, False], [False, True])


def test_uncovered_subcapsular_tumour_is_not_passed_over() -> None:
    mesh = box_mesh(
        32,
        SIZE,
        regions={"tumour": ball((0, 0, 0), 8 * MM), "outside": lambda x: x[:, 0] > 9 * MM},
    )
    peak = np.minimum(sphere_field(mesh, 14 * MM), LEVEL + PER_METRE * (6 * MM - mesh.points[:, 0]))
    margin = tumour_margin(mesh, lethal_zone(mesh, peak, LEVEL))
    assert margin is not None and margin.minimal is not None
    assert margin.minimal > 0.0
    assert margin.covered_fraction < 0.99
    assert any("capsule" in text for text in margin.warnings)


def test_no_zone_at_all() -> None:
    mesh = tumour_mesh((0, 0, 0), 8 * MM, count=16)
    margin = tumour_margin(mesh, lethal_zone(mesh, np.full(len(mesh.points), 40.0), LEVEL))
    assert margin is not None
    assert margin.minimal is None
    assert margin.thinnest_point is None
    assert margin.class_fractions == (1.0, 0.0, 0.0, 0.0)
    assert margin.covered_fraction == 0.0
    assert set(margin.point_class) == {0}
    assert "No tissue reached 60 °C" in margin.warnings[0]


def test_minimal_margins_are_those_of_the_whole_margin() -> None:
    """Catches candidates left out: the shortcut must give what the distance of all points gives,
    with the tumour covered, partly covered, outside, and with a part of it set apart."""
    inside = {"tumour": ball((3 * MM, 0, 0), 8 * MM)}
    for regions in (inside, inside | {"outside": lambda x: x[:, 0] > 9 * MM}):
        mesh = box_mesh(24, SIZE, regions=regions)
        zones = {
            str(radius): lethal_zone(mesh, sphere_field(mesh, radius * MM), LEVEL)
            for radius in (14.0, 12.0, 9.0, 4.0)
        }
        zones["none"] = lethal_zone(mesh, np.full(len(mesh.points), 40.0), LEVEL)
        chosen = tumour_margin(mesh, zones["9.0"])
        assert chosen is not None
        found = minimal_margins(chosen, zones)
        for name, zone in zones.items():
            whole = tumour_margin(mesh, zone)
            assert whole is not None
            if whole.minimal is None:
                assert found[name] is None
            else:
                assert found[name] == pytest.approx(whole.minimal, abs=1e-12)
        assert found["14.0"] > 0.0 > found["4.0"]


def test_no_tumour() -> None:
    mesh = box_mesh(8, SIZE)
    assert tumour_margin(mesh, lethal_zone(mesh, sphere_field(mesh, 9 * MM), LEVEL)) is None


@settings(max_examples=8, deadline=None)
@given(
    st.tuples(*[st.floats(-3, 3)] * 3),
    st.tuples(*[st.floats(-0.2, 0.2)] * 3),
    st.integers(0, 1000),
)
def test_rigid_motion_and_renumbering_change_nothing(
    turn: tuple[float, ...], shift: tuple[float, ...], seed: int
) -> None:
    mesh = tumour_mesh((2.2 * MM, 1.1 * MM, 0.3 * MM), 8 * MM, count=14)
    peak = sphere_field(mesh, 9.123 * MM)
    before = tumour_margin(mesh, lethal_zone(mesh, peak, LEVEL))
    rotation = Rotation.from_rotvec(turn).as_matrix()
    other, order = renumbered(moved(mesh, rotation, np.array(shift)), np.random.default_rng(seed))
    after = tumour_margin(other, lethal_zone(other, peak[order], LEVEL))
    assert before is not None and after is not None
    by_node = np.empty(len(mesh.points))
    by_node[order[after.nodes]] = after.margin
    np.testing.assert_allclose(by_node[before.nodes], before.margin, atol=1e-12)
    assert after.covered_fraction == pytest.approx(before.covered_fraction, rel=1e-9)
    np.testing.assert_allclose(after.class_fractions, before.class_fractions, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_distance_is_exact_for_triangles_of_any_size(seed: int) -> None:
    """A search by centroids alone misses a triangle that is much larger than its neighbours."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-4, 1, size=(60, 1, 1))
    corners = rng.normal(size=(60, 1, 3)) + scale * rng.normal(size=(60, 3, 3))
    corners[0, 2] = corners[0, 1]  # a line
    corners[1] = corners[1, 0]  # a point
    corners[2, 2] = 0.3 * corners[2, 0] + 0.7 * corners[2, 1]  # three points on a line
    points = rng.normal(size=(40, 3)) * rng.choice([0.1, 1.0, 5.0])
    triangles = np.arange(180).reshape(60, 3)
    found = surface_distance(points, corners.reshape(-1, 3), triangles)
    pairs = _pair_distance(np.repeat(points, 60, axis=0), np.tile(corners, (40, 1, 1)))
    np.testing.assert_allclose(found, pairs.reshape(40, 60).min(axis=1), rtol=1e-9, atol=1e-14)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_distance_to_one_triangle_is_the_smallest_over_its_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    triangle, points = rng.normal(size=(3, 3)), 2 * rng.normal(size=(20, 3))
    share = np.stack([g.ravel() for g in np.meshgrid(*[np.linspace(0, 1, 101)] * 2)], axis=1)
    share = share[share.sum(axis=1) <= 1.0 + 1e-12]
    samples = triangle[0] + share @ (triangle[1:] - triangle[0])
    sampled = np.linalg.norm(points[:, None] - samples[None], axis=2).min(axis=1)
    exact = surface_distance(points, triangle, np.array([[0, 1, 2]]))
    assert (exact <= sampled + 1e-12).all()
    longest = np.linalg.norm(triangle - np.roll(triangle, 1, axis=0), axis=1).max()
    assert (sampled - exact < 0.01 * longest).all()
