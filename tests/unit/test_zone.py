"""The lethal zone on meshes and fields whose zone is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from simple_meshes import MM, Z_AXIS, Axis, box_mesh, moved, needle_mesh, renumbered

from ablasim.assess.compare import surfaces_apart
from ablasim.assess.rim import enclosing_level, fill_cooled_rim
from ablasim.assess.zone import lethal_zone
from ablasim.mesh_tet import TetMesh

LEVEL = 60.0
PER_METRE = 2000.0  # slope of the made-up peak temperatures


def sphere_field(mesh: TetMesh, radius: float, centre: tuple[float, ...] = (0, 0, 0)) -> np.ndarray:
    return LEVEL + PER_METRE * (radius - np.linalg.norm(mesh.points - np.array(centre), axis=1))


def test_volume_of_a_sphere_converges_with_second_order() -> None:
    """Counting nodes or whole cells would be of first order, and rough."""
    radius = 7 * MM
    exact = 4 / 3 * np.pi * radius**3
    errors = []
    for count in (8, 16, 32):
        mesh = box_mesh(count, 20 * MM)
        errors.append(exact - lethal_zone(mesh, sphere_field(mesh, radius), LEVEL).volume)
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert np.all(np.abs(orders - 2.0) < 0.25), orders
    assert abs(errors[-1]) < 5e-3 * exact


def test_axes_of_an_oblique_ellipsoid() -> None:
    semi = np.array([4.0, 6.0, 9.0]) * MM
    turn = Rotation.from_rotvec([0.4, -0.7, 0.2]).as_matrix()
    mesh = box_mesh(28, 24 * MM)
    local = mesh.points @ turn
    peak = LEVEL + 20.0 * (1.0 - np.linalg.norm(local / semi, axis=1))
    zone = lethal_zone(mesh, peak, LEVEL, [Axis(np.zeros(3), turn[:, 2])])
    assert zone.long_axis == pytest.approx(2 * semi[2], rel=0.01)
    assert zone.short_axis == pytest.approx(2 * semi[0], rel=0.02)
    assert zone.wide_axis == pytest.approx(2 * semi[1], rel=0.02)
    assert zone.volume == pytest.approx(4 / 3 * np.pi * semi.prod(), rel=0.02)
    # Knud Thomsen's formula for the area of an ellipsoid is good to 1 %.
    p = 1.6075
    pairs = [semi[0] * semi[1], semi[0] * semi[2], semi[1] * semi[2]]
    area = 4 * np.pi * (sum(x**p for x in pairs) / 3) ** (1 / p)
    assert zone.surface_area == pytest.approx(area, rel=0.02)


def test_sphericity_of_a_ball_is_one() -> None:
    mesh = box_mesh(20, 20 * MM)
    zone = lethal_zone(mesh, sphere_field(mesh, 7 * MM), LEVEL)
    assert zone.sphericity == pytest.approx(1.0, abs=2e-3)
    assert not zone.reaches_outer
    assert set(zone.triangle_part) == {0}


def test_probe_inside_the_zone_counts_without_its_cap() -> None:
    """The needle is a polygon of 48 corners; the zone is a sphere around it."""
    mesh = needle_mesh(rings=30, sectors=48, layers=100)
    radius, needle = 10 * MM, 0.75 * MM
    zone = lethal_zone(mesh, sphere_field(mesh, radius), LEVEL, [Z_AXIS])
    polygon = 0.5 * 48 * needle**2 * np.sin(2 * np.pi / 48)
    chord = 2 * np.sqrt(radius**2 - needle**2)
    assert zone.probe_volume == pytest.approx(polygon * chord, rel=1e-3)
    assert zone.volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)
    assert zone.rim_volume == 0.0
    assert zone.surface_area == pytest.approx(4 * np.pi * radius**2, rel=0.01)


def test_probe_volume_does_not_depend_on_where_its_axis_starts() -> None:
    mesh = needle_mesh()
    peak = sphere_field(mesh, 10 * MM, (1 * MM, 0, 3 * MM))
    near = lethal_zone(mesh, peak, LEVEL, [Z_AXIS])
    far = lethal_zone(mesh, peak, LEVEL, [Axis(np.array([0, 0, 0.1]), Z_AXIS.direction)])
    assert near.probe_volume == pytest.approx(far.probe_volume, rel=1e-12)


def rim_field(mesh: TetMesh, *, shaft_cooled: bool) -> np.ndarray:
    """A sphere of 10 mm with a cold layer of about 0.5 mm at the needle."""
    rho = np.linalg.norm(mesh.points[:, :2], axis=1)
    rim = LEVEL + 10.0 * (rho - 1.3 * MM) / MM
    if not shaft_cooled:
        rim = np.where(np.abs(mesh.points[:, 2]) < 6 * MM, rim, np.inf)
    return np.minimum(sphere_field(mesh, 10 * MM), rim)


def test_closed_cooled_rim_is_filled() -> None:
    mesh = needle_mesh()
    peak = rim_field(mesh, shaft_cooled=False)
    zone = lethal_zone(mesh, peak, LEVEL, [Z_AXIS])
    whole = lethal_zone(mesh, sphere_field(mesh, 10 * MM), LEVEL, [Z_AXIS])
    assert zone.rim_volume > 20e-9
    assert zone.volume == pytest.approx(whole.volume, rel=1e-12)
    assert zone.tissue_volume == pytest.approx(whole.tissue_volume - zone.rim_volume, rel=1e-12)
    assert zone.long_axis == whole.long_axis
    assert len(zone.triangles) == len(whole.triangles)


def test_rim_that_a_cooled_shaft_leaves_open_ends_with_the_tissue_around_it() -> None:
    mesh = needle_mesh()
    peak = rim_field(mesh, shaft_cooled=True)
    assert fill_cooled_rim(mesh, peak, LEVEL)[1] == 0.0
    zone = lethal_zone(mesh, peak, LEVEL, [Z_AXIS])
    whole = lethal_zone(mesh, sphere_field(mesh, 10 * MM), LEVEL, [Z_AXIS])
    assert 0.995 * whole.volume < zone.volume <= whole.volume
    assert zone.rim_volume > 60e-9


def test_the_level_that_encloses_the_probe() -> None:
    """A hot ring of 5 mm around the needle, colder on one side and away from the middle."""
    mesh = needle_mesh()
    rho = np.linalg.norm(mesh.points[:, :2], axis=1)
    height = mesh.points[:, 2]
    ring = 80.0 + 600.0 * np.minimum(mesh.points[:, 0], 0.0) - 1000.0 * np.abs(height)
    field = ring - 2000.0 * np.abs(rho - 5 * MM)
    found = enclosing_level(mesh, field, Z_AXIS)
    inside = (rho < 4 * MM) & (np.abs(height) < 10 * MM)
    coldest = 77.0 - 1000.0 * np.abs(height)
    assert np.abs(found - coldest)[inside].max() < 0.6  # a cell is 1 mm long
    # a ring that is open by a third encloses nothing
    gap = np.where(np.abs(np.arctan2(mesh.points[:, 1], mesh.points[:, 0])) < np.pi / 3, 20, field)
    assert enclosing_level(mesh, gap, Z_AXIS)[inside].max() <= 20.0


def test_hot_tissue_between_two_planes_encloses_nothing() -> None:
    """All hot edges lie between two planes across the probe. Catches a maximum of nothing."""
    mesh = needle_mesh()
    field = np.full(len(mesh.points), 37.0)
    flat = replace(mesh, points=np.where([True, True, False], mesh.points, 0.0))
    assert not np.isfinite(enclosing_level(flat, field, Z_AXIS)).any()


def test_the_enclosing_level_falls_to_the_floor_from_plane_to_plane() -> None:
    """Catches a node that is not enclosed at all because one of its two planes is below the
    floor."""
    mesh, floor = needle_mesh(), 70.0
    height, rho = mesh.points[:, 2], np.linalg.norm(mesh.points[:, :2], axis=1)
    field = 80.0 - 15000.0 * np.maximum(height, 0.0)
    whole = enclosing_level(mesh, field, Z_AXIS)
    cut = enclosing_level(mesh, field, Z_AXIS, floor=floor)
    near = (rho < 8 * MM) & (height > -9 * MM) & (height < 1.1 * MM)
    assert (whole[near] < floor).any() and (whole[near] > floor).any()
    assert (cut[near] >= np.minimum(whole[near], floor) - 1e-9).all()


@pytest.mark.parametrize("turned", [0.0, 7.0, 15.0, 22.0])
@pytest.mark.parametrize(("gap", "enclosed"), [(30.0, True), (65.0, False), (85.0, False)])
def test_a_rim_that_is_cold_on_one_side_is_not_filled(
    gap: float, enclosed: bool, turned: float
) -> None:
    """Wherever the gap lies. Catches sectors so coarse that a wide gap lies between two of them."""
    mesh = needle_mesh()
    angle = np.degrees(np.arctan2(mesh.points[:, 1], mesh.points[:, 0])) - turned
    cold = np.abs((angle + 180.0) % 360.0 - 180.0) < 0.5 * gap
    peak = rim_field(mesh, shaft_cooled=True)
    peak = np.where(cold, np.minimum(peak, 40.0), peak)
    gained = fill_cooled_rim(mesh, peak, LEVEL, [Z_AXIS])[1]
    assert gained > 60e-9 if enclosed else gained == 0.0


def test_the_zone_follows_the_field_without_jumps() -> None:
    """Through the whole range of one layer of cells and more. Catches a rim that is set to the
    level itself, and one that ends with a layer of the mesh: both jump by the edge of a cell."""
    mesh = needle_mesh()
    peak = rim_field(mesh, shaft_cooled=True)
    zones = [
        lethal_zone(mesh, peak + shift, LEVEL, [Z_AXIS]) for shift in np.arange(-0.8, 0.81, 0.04)
    ]
    apart = [surfaces_apart(one, two) for one, two in pairwise(zones)]
    assert max(gap.max for gap in apart if gap is not None) < 0.2 * MM
    assert min(zone.rim_volume for zone in zones) > 50e-9


def test_a_zone_without_a_cold_rim_ends_along_the_shaft_where_its_field_does() -> None:
    """On nodes in no layers. Catches tissue that counts as enclosed by what is hot a little farther
    along the shaft: zones up to 0.3 mm too long."""
    layers = needle_mesh()
    angle = np.arctan2(layers.points[:, 1], layers.points[:, 0])
    points = layers.points.copy()
    points[:, 2] += 0.3 * MM * np.sin(3.0 * angle + points[:, 0] / (0.33 * MM))
    mesh = replace(layers, points=points)
    assert mesh.cell_volumes().min() > 0.0
    for radius in np.arange(9.0, 10.0, 0.1) * MM:
        peak = sphere_field(mesh, radius)
        assert fill_cooled_rim(mesh, peak, LEVEL, [Z_AXIS])[1] == 0.0


def test_cold_tissue_beside_the_zone_is_not_filled() -> None:
    """A probe that only touches the zone from outside has hot tissue on one side."""
    mesh = needle_mesh()
    peak = sphere_field(mesh, 8 * MM, (9 * MM, 0, 0))
    filled, gained = fill_cooled_rim(mesh, peak, LEVEL, [Z_AXIS])
    assert gained == 0.0
    np.testing.assert_array_equal(filled, peak)


def test_rim_at_a_vessel_is_never_filled() -> None:
    mesh = needle_mesh()
    peak = rim_field(mesh, shaft_cooled=False)
    lower = mesh.points[mesh.faces][..., 2].max(axis=1) < 2 * MM
    at_needle = mesh.face_surface > 0
    surface = np.where(at_needle & lower, 3, mesh.face_surface).astype(np.int16)
    with_vessel = TetMesh(
        mesh.points, mesh.cells, mesh.cell_region, mesh.regions, mesh.faces, surface,
        (*mesh.surfaces, "vessel.vein"),
    )  # fmt: skip
    assert fill_cooled_rim(with_vessel, peak, LEVEL, [Z_AXIS])[1] == 0.0


def test_a_zone_that_a_held_boundary_presses_in_warns() -> None:
    """The boundary itself is as cold as it is held. Catches a warning that can never come."""
    mesh = box_mesh(10, 20 * MM)
    outer = np.unique(mesh.surface_faces("outer"))
    for radius, warned in ((12.0, True), (9.5, True), (6.0, False)):
        peak = sphere_field(mesh, radius * MM)
        peak[outer] = 37.0
        assert lethal_zone(mesh, peak, LEVEL).reaches_outer is warned


def test_no_zone() -> None:
    mesh = needle_mesh(layers=10, rings=5)
    zone = lethal_zone(mesh, np.full(len(mesh.points), 45.0), LEVEL, [Z_AXIS])
    assert zone.is_empty
    assert (zone.volume, zone.long_axis, zone.short_axis, zone.sphericity) == (0, 0, 0, 0)
    assert zone.vertices.shape == (0, 3)
    assert "No tissue reached 60 °C" in zone.warnings[0]


def test_zone_at_the_outer_boundary_warns_and_stays_closed() -> None:
    mesh = box_mesh(10, 20 * MM)
    zone = lethal_zone(mesh, sphere_field(mesh, 12 * MM), LEVEL)
    assert zone.reaches_outer
    assert "lower bound" in zone.warnings[0]
    assert zone.facing("outer").size > 0
    assert zone.long_axis == pytest.approx(20 * MM)


def test_everything_dead() -> None:
    mesh = box_mesh(4, 20 * MM)
    zone = lethal_zone(mesh, np.full(len(mesh.points), 90.0), LEVEL)
    assert zone.volume == pytest.approx((20 * MM) ** 3)
    assert zone.surface_area == pytest.approx(6 * (20 * MM) ** 2)


def test_regions_share_the_zone() -> None:
    mesh = box_mesh(16, 20 * MM, regions={"tumour": lambda x: x[:, 0] > 0})
    zone = lethal_zone(mesh, sphere_field(mesh, 7 * MM), LEVEL)
    assert zone.region_volume["tumour"] == pytest.approx(zone.region_volume["liver"], rel=0.01)
    assert sum(zone.region_volume.values()) == pytest.approx(zone.volume)


angles = st.tuples(*[st.floats(-3, 3)] * 3)


@settings(max_examples=10, deadline=None)
@given(angles, st.tuples(*[st.floats(-0.2, 0.2)] * 3), st.integers(0, 1000))
def test_rigid_motion_and_renumbering_change_nothing(
    turn: tuple[float, ...], shift: tuple[float, ...], seed: int
) -> None:
    mesh = needle_mesh(rings=8, sectors=12, layers=20)
    peak = np.minimum(
        rim_field(mesh, shaft_cooled=True), sphere_field(mesh, 9 * MM, (0, 0, 2 * MM))
    )
    before = lethal_zone(mesh, peak, LEVEL, [Z_AXIS])
    rotation = Rotation.from_rotvec(turn).as_matrix()
    other, order = renumbered(moved(mesh, rotation, np.array(shift)), np.random.default_rng(seed))
    axis = Axis(np.array(shift), rotation[:, 2])
    after = lethal_zone(other, peak[order], LEVEL, [axis])
    for name in ("tissue_volume", "probe_volume", "long_axis", "short_axis", "wide_axis"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-9), name
    assert after.surface_area == pytest.approx(before.surface_area, rel=1e-9)
