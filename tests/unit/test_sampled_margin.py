"""Margins of many zones on one mesh: the numbers of the single run, and displaced probes."""

import numpy as np
import pytest
from simple_meshes import MM, Axis, Place, ball, box_mesh

from ablasim.assess import lethal_zone, tumour_margin
from ablasim.assess.locator import Locator
from ablasim.assess.sample import locate
from ablasim.assess.sampled_margin import MarginSampler
from ablasim.mesh_tet import TetMesh

Z_AXIS = Axis(np.zeros(3), np.array([0.0, 0.0, 1.0]))


def rod(radius: float) -> Place:
    """A needle along z through the whole block."""
    return lambda points: np.linalg.norm(points[:, :2], axis=1) < radius


def heat(mesh: TetMesh, centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """A peak temperature that is 60 °C at a radius, with a cooled needle on the axis."""
    away = np.linalg.norm(mesh.points - np.array(centre), axis=1)
    cold = 30.0 * np.exp(-((np.linalg.norm(mesh.points[:, :2], axis=1) / (1.5 * MM)) ** 2))
    return 60.0 + 3.0 * (radius - away) / MM - cold


@pytest.fixture(scope="module")
def mesh() -> TetMesh:
    """A tumour beside a vessel, with a needle in it and a capsule on one side."""
    return box_mesh(
        26,
        40 * MM,
        regions={
            "tumour": ball((2 * MM, 0.0, 0.0), 7.2 * MM),
            "outside": lambda points: points[:, 1] > 11 * MM,
        },
        holes={
            "probe.0.active": rod(1.6 * MM),
            "vessel.v": lambda points: np.hypot(points[:, 0] - 13 * MM, points[:, 1]) < 3 * MM,
        },
    )


@pytest.mark.parametrize("radius", [4.0, 9.0, 12.0])
def test_it_is_the_margin_of_a_single_run(mesh: TetMesh, radius: float) -> None:
    field = heat(mesh, (0.5 * MM, -0.3 * MM, 0.2 * MM), radius * MM)
    zone = lethal_zone(mesh, field, 60.0, [Z_AXIS])
    single = tumour_margin(mesh, zone)
    assert single is not None and single.minimal is not None
    assert single.subcapsular.any() and not single.subcapsular.all()
    found = MarginSampler(mesh, [Z_AXIS]).measure(field, 60.0)
    assert found.minimal == pytest.approx(single.minimal, abs=1e-9)
    np.testing.assert_allclose(found.margin, single.margin, atol=1e-9)
    assert found.volume == pytest.approx(zone.volume, rel=1e-9)
    assert found.reaches_outer == zone.reaches_outer


def test_no_zone(mesh: TetMesh) -> None:
    found = MarginSampler(mesh).measure(np.full(len(mesh.points), 37.0), 60.0)
    assert found.minimal == -np.inf and found.volume == 0.0


def test_a_moved_probe_is_a_moved_tumour() -> None:
    """Exact on a homogeneous block: the zone of the moved field, and the shifted one, agree.

    A wrong sign of the shift would be off by twice the displacement.
    """
    block = box_mesh(40, 40 * MM, regions={"tumour": ball((0.0, 0.0, 0.0), 6.2 * MM)})
    sampler = MarginSampler(block)
    shift = np.array([2.0, -1.0, 1.0]) * MM  # whole cells, so that the mesh is alike from both

    def zone_around(centre: np.ndarray) -> np.ndarray:
        return 60.0 + 3.0 * (11 * MM - np.linalg.norm(block.points - centre, axis=1)) / MM

    at_rest = zone_around(np.zeros(3))
    moved = sampler.measure(zone_around(shift), 60.0)
    still = sampler.measure(at_rest, 60.0, shift=shift)
    assert still.minimal < sampler.measure(at_rest, 60.0).minimal - 2.0 * MM
    np.testing.assert_allclose(still.margin, moved.margin, atol=1e-9)
    assert still.minimal == pytest.approx(moved.minimal, abs=1e-9)


def test_a_correction_is_added(mesh: TetMesh) -> None:
    sampler = MarginSampler(mesh)
    field = heat(mesh, (0.0, 0.0, 0.0), 12 * MM)
    plain = sampler.measure(field, 60.0)
    more = np.linspace(-1, 1, len(sampler.points)) * MM
    found = sampler.measure(field, 60.0, correction=more)
    np.testing.assert_allclose(found.margin, plain.margin + more)
    assert found.minimal == (plain.margin + more)[sampler.counts].min()


def test_locator_agrees_with_the_thorough_one(mesh: TetMesh) -> None:
    rng = np.random.default_rng(1)
    places = rng.uniform(-9 * MM, 9 * MM, (500, 3))
    values = mesh.points @ np.array([1.0, -2.0, 0.5]) + 3.0
    thorough = locate(mesh, places)
    found = Locator(mesh, places, 2 * MM).at(places, values)
    inside = thorough.inside
    assert 100 < inside.sum() < 500, "some places must lie in the needle"
    np.testing.assert_allclose(found[inside], thorough.interpolate(values)[inside], atol=1e-12)
    assert np.isfinite(found).all()


def test_the_filled_rim_is_inside_however_the_probe_is_displaced(mesh: TetMesh) -> None:
    """Rounding must not make a hole of the rim.

    Every point of the tumour well inside the zone has a positive margin, also where it comes to lie
    in the cooled tissue beside the needle or on the needle itself.
    """
    sampler = MarginSampler(mesh, [Z_AXIS])
    cold = 60.0 * np.exp(-((np.linalg.norm(mesh.points[:, :2], axis=1) / (3 * MM)) ** 2))
    field = heat(mesh, (0.0, 0.0, 0.0), 15 * MM) - cold
    rim = sampler.measure(field, 60.0).filled
    assert (rim != field).sum() > 50
    rng = np.random.default_rng(2)
    for shift in rng.uniform(-1.5 * MM, 1.5 * MM, (40, 3)):
        found = sampler.measure(field, 60.0, shift=shift)
        assert found.margin.min() > 0.0


def test_interpolation_stays_between_the_corners(mesh: TetMesh) -> None:
    """On the needle's surface too, where a place is in a tetrahedron by a hair only."""
    on_surface = np.unique(mesh.surface_faces("probe.0.active"))
    corners = mesh.points[mesh.surface_faces("probe.0.active")]
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(3), len(corners))
    places = np.einsum("fc,fcd->fd", shares, corners)
    values = np.full(len(mesh.points), 90.0)
    values[on_surface] = 60.0
    found = Locator(mesh, places, 2 * MM)
    assert found.at(places, values).min() >= 60.0 - 1e-12
    assert found.reached(places, values, 60.0).all()
