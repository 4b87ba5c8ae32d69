"""Several electrodes against closed forms: currents, wiring, the field with and without a pad."""

from __future__ import annotations

from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray

from ablasim.frames import MM
from ablasim.mesh import TetMesh
from ablasim.physics.electric import Circuit, connect, far_field_conductance
from ablasim.physics.problem import BioheatProblem, Electrodes
from ablasim.solve.jax_engine import JaxEngine
from ablasim.solve.potential import conductance_matrix, outflow
from ablasim.verify.patches import box, cylinder_patch
from ablasim.verify.scenes import LINEAR, SIGMA, off, tissue

Floats = NDArray[np.float64]

PLACES = np.array([[0.0, 0.0, -7.5], [0.0, 0.0, 7.5], [10.0, 0.0, 2.5]]) * MM
"""Point electrodes on the grid of `cube`."""


@cache
def cube(half: float = 30.0) -> TetMesh:
    """A cube of tissue with a grid of 2.5 mm."""
    line = np.arange(-half, half + 1.0, 2.5) * MM
    names = ("low0", "high0", "low1", "high1", "low2", "high2")
    return box((line, line, line), surfaces=names)


def outer_faces(mesh: TetMesh) -> NDArray[np.int32]:
    """All faces of a cube, normals outward."""
    faces = np.concatenate([mesh.surface_faces(name) for name in mesh.surfaces])
    corner = mesh.points[faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    inward = np.einsum("fi,fi->f", normal, corner.mean(axis=1)) < 0
    assert not inward.any()
    return faces


def engine_of(
    circuits: tuple[Circuit, ...], order: int, places: Floats = PLACES, half: float = 30.0
) -> JaxEngine:
    """Point electrodes in a cube; order 0 is an insulated outer surface."""
    mesh = cube(half)
    masks = np.array([(np.linalg.norm(mesh.points - p, axis=1) < 1e-9) for p in places])
    assert (masks.sum(axis=1) == 1).all()
    faces, count = outer_faces(mesh), len(mesh.points)
    far = np.zeros(count)
    if order:
        sigma = np.full(len(faces), SIGMA)
        far = far_field_conductance(mesh.points, faces, places.mean(axis=0), sigma, order)
    electrodes = Electrodes(masks, np.zeros(count, dtype=bool), far, circuits)
    problem = BioheatProblem(mesh, tissue(), LINEAR, off(1.0), electrodes=electrodes)
    return JaxEngine(problem, device="cpu")


def field_error(engine: JaxEngine, strengths: tuple[float, ...], places: Floats) -> float:
    """Root mean square error of the potential for one ampere, three to six cells from the nearest
    electrode, relative to its root mean square there."""
    state, mesh = engine.start(), engine.problem.mesh
    unit = engine.potential(state)
    assert unit is not None
    found = unit / engine.conductance(state)
    distance = np.linalg.norm(mesh.points[:, None] - places, axis=2)
    expected = (strengths / np.maximum(distance, 1e-9)).sum(axis=1) / (4.0 * np.pi * SIGMA)
    there = (distance.min(axis=1) > 7.4 * MM) & (distance.min(axis=1) < 15.1 * MM)
    found, expected = found[there], expected[there]
    if sum(strengths) == 0.0:  # without a pad only differences have a meaning
        found, expected = found - found.mean(), expected - expected.mean()
    wrong, right = found - expected, expected
    return float(np.sqrt((wrong**2).mean() / (right**2).mean()))


def test_two_electrodes_share_the_current() -> None:
    """phi = (s1/r1 + s2/r2) I/(4 pi sigma). Catches shares that are taken for voltages, and a volt
    of the generator that is not its power over its current."""
    circuit = Circuit((0, 1), (0.7, 0.3))
    error = field_error(engine_of((circuit,), 1, PLACES[:2]), (0.7, 0.3), PLACES[:2])
    print(f"shares: field off by {error:.4f}")
    assert error < 0.02


def test_a_bipolar_field_is_that_of_a_dipole() -> None:
    """phi = (1/r1 - 1/r2) I/(4 pi sigma) in a block four times their distance. Catches
    the monopole's far field: with it, or with an insulated surface, the error is several times as
    large."""
    circuit = Circuit((0, 1), (1.0, -1.0))
    errors = {
        order: field_error(engine_of((circuit,), order, PLACES[:2]), (1.0, -1.0), PLACES[:2])
        for order in (0, 1, 2)
    }
    print("bipolar: field off by", {k: round(v, 4) for k, v in errors.items()})
    assert errors[2] < 0.02
    assert errors[2] < 0.5 * errors[1] < 0.5 * errors[0]


CIRCUITS = (
    Circuit((0, 1, 2), (1.0, 0.0, 0.0)),
    Circuit((0, 0, 1), (1.0, 0.0)),
    Circuit((0, 1, 2), (0.5, 0.3, 0.2)),
)


@pytest.fixture(scope="module")
def three() -> JaxEngine:
    """Three electrodes against a pad, in three wirings, solved to rounding."""
    engine = engine_of(CIRCUITS, 1)
    engine.tolerance = 1e-10
    return engine


def test_reciprocity_and_conservation(three: JaxEngine) -> None:
    """What leaves electrode j for a volt on k is what leaves k for a volt on j, and all that leaves
    the electrodes reaches the pad. Catches a current summed over the wrong points, and a far field
    that is left out of it."""
    state, electric = three.start(), three.electric
    assert electric is not None
    weights = electric.weights(electric.sigma0)
    flows = np.array([outflow(electric, weights, phi) for phi in state.potential])
    currents = np.asarray(electric.active) @ flows.T
    matrix = np.asarray(conductance_matrix(electric, weights, state.potential))
    size = np.abs(matrix).max()
    print("asymmetry", np.abs(currents - currents.T).max() / size)
    assert np.abs(currents - currents.T).max() < 1e-8 * size
    assert currents == pytest.approx(matrix, abs=1e-8 * size)
    assert (matrix[~np.eye(3, dtype=bool)] < 0.0).all() and (np.diag(matrix) > 0.0).all()
    pad = np.asarray(state.potential) @ np.asarray(electric.far_field)
    assert currents.sum(axis=0) == pytest.approx(pad, abs=1e-8 * size)
    assert np.linalg.eigvalsh(matrix).min() > 0.0


@pytest.mark.parametrize("turn", range(len(CIRCUITS)))
def test_each_wiring_has_its_currents(three: JaxEngine, turn: int) -> None:
    """One ampere into the driven nodes, none into floating ones, one volt of the generator, and a
    heat that is its power. Catches a floating electrode that draws current."""
    circuit, electric = CIRCUITS[turn], three.electric
    assert electric is not None
    state = three.start()
    field = three._unit_field(state, state.peak, turn)
    x = np.asarray(field.volts @ field.potential)
    weights = electric.weights(electric.sigma(state.peak))
    flow = np.asarray(electric.active) @ np.asarray(outflow(electric, weights, jnp.asarray(x)))
    currents = np.bincount(circuit.node, flow, minlength=3)[: len(circuit.current)]
    wanted = float(field.conductance) * np.array(circuit.current)
    assert currents == pytest.approx(wanted, abs=1e-6 * float(field.conductance))
    volts = np.asarray(field.volts)
    assert flow @ volts == pytest.approx(float(field.conductance), rel=1e-6)
    for node in set(circuit.node):
        same = volts[np.array(circuit.node) == node]
        assert same == pytest.approx(same[0], rel=1e-9)


def test_joined_electrodes_are_one() -> None:
    """Two conductors at one node give the impedance and the heat of a single one made of both.
    Catches a superposition that counts the shared current twice."""
    both = engine_of((Circuit((0, 0), (1.0,)),), 1, PLACES[:2])
    electrodes = both.problem.electrodes
    assert electrodes is not None
    whole = Electrodes(electrodes.active.any(axis=0), electrodes.grounded, electrodes.far_field)
    mesh = both.problem.mesh
    single = JaxEngine(
        BioheatProblem(mesh, tissue(), LINEAR, off(1.0), electrodes=whole), device="cpu"
    )
    a, b = both.start(), single.start()
    assert both.conductance(a) == pytest.approx(single.conductance(b), rel=1e-6)
    heat = np.asarray(b.unit_heat)
    assert np.asarray(a.unit_heat) == pytest.approx(heat, abs=1e-5 * heat.max())


def test_bipolar_between_coaxial_cylinders() -> None:
    """R = ln(b/a)/(2 pi sigma L) between two conductors without pad and without outer surface.
    Catches a wiring that needs a reference which a bipolar probe does not have."""
    inner, outer, angle, height = 1.5 * MM, 30.0 * MM, 0.26, 1.0 * MM
    mesh = box(
        (np.geomspace(inner, outer, 60), np.linspace(0.0, angle, 3), np.linspace(0.0, height, 3)),
        cylinder_patch,
        ("inner", "outer", "side0", "side1", "end0", "end1"),
    )
    points = np.arange(len(mesh.points))
    masks = np.array([np.isin(points, mesh.surface_faces(name)) for name in ("inner", "outer")])
    none = np.zeros(len(points))
    electrodes = Electrodes(masks, none.astype(bool), none, (Circuit((0, 1), (1.0, -1.0)),))
    problem = BioheatProblem(mesh, tissue(), LINEAR, off(1.0), electrodes=electrodes)
    engine = JaxEngine(problem, device="cpu")
    expected = np.log(outer / inner) / (SIGMA * height * angle)
    resistance = 1.0 / engine.conductance(engine.start())
    print(f"coaxial bipolar: {resistance / expected - 1:+.5f}")
    assert resistance == pytest.approx(expected, rel=0.005)


def test_the_wiring_alone() -> None:
    """By hand: two conductors of 10 mS to the pad and 5 mS between them."""
    matrix = np.array([[15.0, -5.0], [-5.0, 15.0]]) * 1e-3
    volts, conductance = connect(matrix, *Circuit((0, 0), (1.0,)).arrays())
    assert conductance == pytest.approx(20e-3) and volts == pytest.approx([1.0, 1.0])
    volts, conductance = connect(matrix, *Circuit((0, 1), (1.0, 0.0)).arrays())
    assert volts == pytest.approx([1.0, 1.0 / 3.0])  # the other floats
    assert conductance == pytest.approx(15e-3 - 5e-3 / 3.0)
    volts, conductance = connect(matrix, *Circuit((0, 1), (1.0, -1.0)).arrays())
    assert volts == pytest.approx([0.5, -0.5]) and conductance == pytest.approx(10e-3)
    assert Circuit((0, 1), (1.0, -1.0)).isolated and not Circuit().isolated
