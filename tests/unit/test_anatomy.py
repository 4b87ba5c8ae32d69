"""Shapes as signed distances, probes in place, and what names a mesh in the cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ablasim import catalogue
from ablasim.anatomy import Anatomy, block_solid, bounding_box, build_anatomy, place_probe
from ablasim.anatomy_probes import part_limits
from ablasim.errors import UsageError
from ablasim.frames import MM
from ablasim.scenario import load_scenario, scenario_from_data
from ablasim.shapes import (
    Box,
    Cone,
    Ellipsoid,
    FloatArray,
    GridSdf,
    HalfSpace,
    InfiniteCylinder,
    Sdf,
    Sphere,
    Torus,
    Tube,
    content_hash,
    gradient,
    project,
)

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
NEEDLE = catalogue.probe("cooled_needle_17g_30mm")
TINES = catalogue.probe("four_tine_electrode")
ANTENNA = catalogue.probe("slot_antenna_2450")
Z = (0.0, 0.0, 1.0)

EXACT: list[tuple[Sdf, Callable[[FloatArray], FloatArray]]] = [
    (Sphere((0.1, 0.0, 0.0), 0.2), lambda x: np.linalg.norm(x - [0.1, 0.0, 0.0], axis=1) - 0.2),
    (InfiniteCylinder((0.0, 0.0, 5.0), Z, 0.1), lambda x: np.hypot(x[:, 0], x[:, 1]) - 0.1),
    (HalfSpace((0.0, 0.0, 0.2), Z), lambda x: x[:, 2] - 0.2),
    (
        Torus((0.0, 0.0, 0.0), Z, 0.3, 0.05),
        lambda x: np.hypot(np.hypot(x[:, 0], x[:, 1]) - 0.3, x[:, 2]) - 0.05,
    ),
]


@pytest.mark.parametrize(("shape", "exact"), EXACT)
def test_a_shape_is_its_distance(shape: Sdf, exact: Callable[[FloatArray], FloatArray]) -> None:
    x = np.random.default_rng(0).normal(scale=0.4, size=(200, 3))
    np.testing.assert_allclose(shape(x), exact(x), atol=1e-15)


@pytest.mark.parametrize(
    "shape",
    [
        Sphere((0.0, 0.1, 0.0), 0.2),
        Ellipsoid((0.0, 0.0, 0.0), (0.3, 0.2, 0.1)),
        Box((0.0, 0.0, 0.0), (0.3, 0.4, 0.5)),
        Tube(((0.0, 0.0, 0.0), (0.3, 0.1, 0.0), (0.5, 0.3, 0.1)), 0.05),
        Cone((0.0, 0.0, -0.3), Z, 0.4),
        Torus((0.0, 0.0, 0.0), Z, 0.3, 0.08),
    ],
    ids=lambda shape: type(shape).__name__,
)
def test_projection_ends_on_the_surface(shape: Sdf) -> None:
    x = np.random.default_rng(1).normal(scale=0.25, size=(2000, 3))
    # Near the surface a distance has a gradient of length one, and Newton's step hits it
    near = x[np.abs(shape(x)) < 0.01]
    assert len(near) > 10
    # (but for the few points at a crease between two pieces of a tube).
    slope = np.linalg.norm(gradient(shape, near), axis=1)
    assert (np.abs(slope - 1.0) < 0.12).mean() > 0.97
    on = project(shape, near)
    assert np.median(np.abs(shape(on))) < 1e-6
    # A second projection leaves the points where they are.
    np.testing.assert_allclose(np.median(np.abs(project(shape, on) - on)), 0.0, atol=1e-6)


def test_an_ellipsoid_has_the_right_sign_everywhere() -> None:
    shape = Ellipsoid((0.0, 0.0, 0.0), (0.3, 0.2, 0.1))
    x = np.random.default_rng(2).uniform(-0.4, 0.4, size=(5000, 3))
    level = np.linalg.norm(x / np.array([0.3, 0.2, 0.1]), axis=1) - 1.0
    assert (np.sign(shape(x)) == np.sign(level)).all()
    assert shape(np.zeros((1, 3)))[0] == pytest.approx(-0.1)


def test_a_sampled_distance_is_linear_between_samples() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(6) * 0.1] * 3, indexing="ij"), axis=-1)
    slope = np.array([1.0, -2.0, 0.5])
    sampled = GridSdf((0.0, 0.0, 0.0), 0.1, (grid @ slope + 0.3).astype(np.float32))
    x = np.random.default_rng(3).uniform(0.0, 0.5, size=(50, 3))
    np.testing.assert_allclose(sampled(x), x @ slope + 0.3, atol=1e-6)
    np.testing.assert_allclose(gradient(sampled, x), np.tile(slope, (50, 1)), atol=1e-5)
    outside = sampled(np.array([[9.0, 0.0, 0.0]]))
    assert outside[0] == pytest.approx(0.8, abs=1e-6), "the nearest border value counts outside"


def test_a_flat_needle_ends_at_its_tip() -> None:
    tip, direction = np.array([0.01, 0.02, 0.03]), np.array([1.0, 2.0, 2.0]) / 3.0
    probe = place_probe(NEEDLE, tip, direction)
    s = np.array([-1.0, -0.1, 0.1, 15.0, 29.9, 30.1, 200.0]) * MM
    along = tip + s[:, None] * direction
    np.testing.assert_allclose(probe.sdf(along[:2]), [1.0 * MM, 0.1 * MM], atol=1e-12)
    assert (probe.sdf(along[2:]) < 0.0).all()
    assert probe.surface_parts(along[2:]) == ["active"] * 3 + ["shaft"] * 2
    np.testing.assert_allclose(probe.active_centre, tip + 15.0 * MM * direction)
    across = np.cross(direction, [0.0, 0.0, 1.0])
    across /= np.linalg.norm(across)
    wall = tip + 10.0 * MM * direction + NEEDLE.radius * across
    assert probe.sdf(wall[None])[0] == pytest.approx(0.0, abs=1e-12)


def test_tines_are_half_tori_ahead_of_the_trocar() -> None:
    probe = place_probe(TINES, np.zeros(3), np.array([0.0, 0.0, 1.0]))
    shape = TINES.shape
    assert len(probe.solids) == shape.tine_count + 1  # type: ignore[union-attr]
    ahead, sideways = TINES.reach
    bottom = np.array([[x, y, -ahead - 0.01 * MM] for x in (0.0, 8e-3) for y in (0.0, 8e-3)])
    assert (probe.sdf(bottom) > 0.0).all()
    # The lowest point of a tine's wire lies under the arc's centre, 8 mm from the axis.
    angle = np.linspace(0.0, 2.0 * np.pi, 3601)
    ring = np.stack([8e-3 * np.cos(angle), 8e-3 * np.sin(angle), np.full(3601, -7.5e-3)], axis=1)
    assert probe.sdf(ring).min() == pytest.approx(-0.2667e-3, abs=1e-5)
    inside = probe.sdf(ring) < 0.0
    assert np.count_nonzero(inside[:-1] & ~np.roll(inside[:-1], 1)) == 4
    assert sideways > 15.5e-3


def test_turning_a_probe_about_its_axis_turns_its_tines() -> None:
    x = np.random.default_rng(4).normal(scale=8e-3, size=(500, 3))
    axis = np.array([0.0, 0.0, 1.0])
    straight = place_probe(TINES, np.zeros(3), axis)
    turned = place_probe(TINES, np.zeros(3), axis, math.radians(30.0))
    c, s = math.cos(math.radians(30.0)), math.sin(math.radians(30.0))
    rotation = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(turned.sdf(x @ rotation.T), straight.sdf(x), atol=1e-12)
    assert not np.allclose(turned.sdf(x), straight.sdf(x))


def test_parts_of_an_antenna_follow_its_cooling() -> None:
    active, cooled_from, cooled_to = part_limits(ANTENNA)
    assert active == pytest.approx(7.0 * MM)
    assert cooled_from == pytest.approx(7.0 * MM) and cooled_to > 0.2
    uncooled = replace(ANTENNA, cooling=None)
    assert part_limits(uncooled)[1:] == (math.inf, math.inf)


@pytest.mark.parametrize("shape", ["sphere", "box", "cylinder"])
def test_a_block_fills_its_bounding_box(shape: str) -> None:
    block = block_solid(shape, np.array([0.01, 0.0, -0.02]), (0.1, 0.1, 0.06))
    low, high = bounding_box(block)
    size = (0.1, 0.1, 0.1) if shape == "sphere" else (0.1, 0.1, 0.06)
    np.testing.assert_allclose(high - low, size)
    x = np.random.default_rng(5).uniform(low - 0.02, high + 0.02, size=(4000, 3))
    inside = block.sdf(x) < 0.0
    in_box = ((x > low) & (x < high)).all(axis=1)
    assert not inside[~in_box].any()
    share = {"sphere": math.pi / 6.0, "box": 1.0, "cylinder": math.pi / 4.0}[shape]
    assert inside[in_box].mean() == pytest.approx(share, abs=0.05)


def anatomy(**changes: object) -> Anatomy:
    """A needle in a ball of liver with a tumour."""
    base = Anatomy(
        block_solid("sphere", np.zeros(3), (0.1, 0.1, 0.1)),
        None,
        Sphere((0.0, 0.0, 0.0), 0.012),
        (),
        (place_probe(NEEDLE, np.array([0.0, 0.0, -0.015]), np.array([0.0, 0.0, 1.0])),),
        {"liver": "liver", "tumour": "colorectal_metastasis"},
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_the_key_is_of_the_shapes_alone() -> None:
    key = anatomy().key()
    assert anatomy().key() == key
    cooler = NEEDLE.with_cooling(coolant_temperature=5.0)
    tip, axis = np.array([0.0, 0.0, -0.015]), np.array([0.0, 0.0, 1.0])
    assert anatomy(probes=(place_probe(cooler, tip, axis),)).key() == key, "the mesh is the same"
    assert anatomy(tissues={"liver": "cirrhotic_liver"}).key() == key
    moved = place_probe(NEEDLE, tip + [1e-6, 0.0, 0.0], axis)
    assert anatomy(probes=(moved,)).key() != key
    assert anatomy(tumour=Sphere((0.0, 0.0, 0.0), 0.0121)).key() != key


def test_a_hash_tells_plain_data_apart() -> None:
    values = [1, 1.0, "1", None, True, (1, 2), [[1], 2], np.zeros(2), np.zeros((2, 1))]
    values += [np.zeros(2, dtype=np.float32), {"a": 1}, {"a": 2}]
    hashes = {content_hash(value) for value in values}
    assert len(hashes) == len(values)
    with pytest.raises(TypeError, match="plain data"):
        content_hash(object())


def test_a_scenario_becomes_shapes() -> None:
    scenario = load_scenario(SCENARIOS / "rf_beside_portal_vein.yaml")
    made = build_anatomy(scenario)
    (vessel,) = made.vessels
    assert vessel.diameter == pytest.approx(6.0 * MM) and len(vessel.branches) == 1
    np.testing.assert_allclose(
        made.active_centre, np.array(scenario.probes[0].active_centre_mm) * MM
    )
    assert made.tumour is not None and made.liver is None
    low, high = bounding_box(made.block)
    np.testing.assert_allclose(0.5 * (low + high), made.active_centre, atol=1e-12)


def test_thin_vessels_count_as_perfusion() -> None:
    scenario = load_scenario(
        SCENARIOS / "rf_beside_portal_vein.yaml", {"anatomy.vessels[0].diameter_mm": 2.9}
    )
    assert build_anatomy(scenario).vessels == ()


def test_a_scenario_with_its_own_mesh_has_no_anatomy(tmp_path: Path) -> None:
    mesh = tmp_path / "a.msh"
    mesh.touch()
    scenario = scenario_from_data(
        {
            "name": "own",
            "mesh": {"file": str(mesh), "regions": {"liver": [1]}},
            "probes": [
                {"model": NEEDLE.name, "tip_mm": [0, 0, 0], "entry_mm": [0, 0, 90]},
            ],
            "protocol": {"mode": "power", "power_W": 30, "duration_s": 60},
        }
    )
    with pytest.raises(UsageError, match="read_mesh"):
        build_anatomy(scenario)
