"""What must hold of any solution, on one small mesh with a hole for an electrode.

Every problem here has the same numbers of points, edges and walls, so the kernels compile once.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ablasim.mesh import TetMesh, boundary_faces
from ablasim.physics import tissue
from ablasim.physics.electric import far_field_conductance
from ablasim.physics.generator import ConstantGenerator, Drive
from ablasim.physics.problem import BioheatProblem, Electrodes, Laws, Materials, Wall
from ablasim.solve import Solution, Status, StepControl, jax_engine, solve
from ablasim.verify.patches import box, sphere_patch

Floats = NDArray[np.float64]

BODY = 37.0
BLOCK = 20e-3  # edge of the block, five times that of the electrode [m]
STEPS = StepControl(fixed=2.0)
SAME = 1e-10

SURFACES = ("outer", "probe.0.active")


def material(**changes: float) -> Materials:
    """Liver, with some constants changed."""
    values = {
        "wet_capacity": 3.8e6,
        "dry_capacity": 0.6e6,
        "latent_heat": 1.8e9,
        "conductivity": 0.52,
        "conductivity_slope": 0.0011,
        "perfusion": 4.5e4,
        "sigma": 0.333,
        "sigma_slope": 0.015,
        "sigma_dry_ratio": 0.01,
    }
    return Materials(**{name: np.array([value]) for name, value in (values | changes).items()})


@cache
def block() -> TetMesh:
    """A cube of uneven tetrahedra with a cubic hole in its middle, 216 points."""
    line = np.linspace(-0.5, 0.5, 6) * BLOCK
    random = np.random.default_rng(1)

    def shaken(x: Floats) -> Floats:
        inside = (np.abs(x) < 0.45 * BLOCK).all(axis=1) & (np.abs(x) > 0.15 * BLOCK).any(axis=1)
        return x + inside[:, None] * random.uniform(-0.15, 0.15, x.shape) * BLOCK / 5

    whole = box((line, line, line), shaken)
    hole = (np.abs(whole.points[whole.cells].mean(axis=1)) < 0.1 * BLOCK).all(axis=1)
    cells = whole.cells[~hole]
    faces, _ = boundary_faces(cells)
    near = (np.abs(whole.points[faces]) < 0.15 * BLOCK).all(axis=(1, 2))
    return TetMesh(
        points=whole.points,
        cells=cells,
        cell_region=np.zeros(len(cells), dtype=np.int16),
        regions=("liver",),
        faces=faces,
        face_surface=near.astype(np.int16),
        surfaces=SURFACES,
    )


def ablation(mesh: TetMesh, centre: Floats | None = None) -> BioheatProblem:
    """A cooled electrode in perfused tissue: every law and every boundary condition takes part."""
    outer, inner = (mesh.surface_faces(name) for name in SURFACES)
    active = np.isin(np.arange(len(mesh.points)), inner)
    fixed = np.where(np.isin(np.arange(len(mesh.points)), outer), BODY, np.nan)
    far = far_field_conductance(
        mesh.points, outer, np.zeros(3) if centre is None else centre, np.full(len(outer), 0.333)
    )
    return BioheatProblem(
        mesh=mesh,
        materials=material(),
        laws=Laws(perfusion_shutdown=60.0),
        generator=ConstantGenerator("power", 40.0, 120.0),
        walls=(Wall("probe.0.active", "probe", inner, 300.0, 10.0),),
        fixed_temperature=fixed,
        electrodes=Electrodes(active, np.zeros(len(mesh.points), dtype=bool), far),
    )


def run(problem: BioheatProblem) -> Solution:
    solution = solve(problem, device="cpu", control=STEPS)
    assert solution.status is Status.DONE
    return solution


@pytest.fixture
def exact_potential(monkeypatch: pytest.MonkeyPatch) -> None:
    """Iterate the potential to rounding: where the iteration stops depends on the numbering."""
    monkeypatch.setitem(jax_engine.POTENTIAL_TOLERANCE, "float64", 1e-14)


def assert_same(one: Solution, two: Solution, order: NDArray[np.int64] | slice) -> None:
    """All results agree; `order` takes the points of `one` to those of `two`."""
    assert one.potential is not None and two.potential is not None
    for name in ("temperature", "peak", "potential"):
        before, after = getattr(one, name)[order], getattr(two, name)
        assert np.abs(after - before).max() < SAME * np.abs(before).max(), name
    assert two.history["impedance_ohm"] == pytest.approx(one.history["impedance_ohm"], rel=SAME)
    for name, joule in one.energy.items():
        assert two.energy[name] == pytest.approx(joule, rel=SAME, abs=1e-9), name


def test_the_reference_uses_every_law() -> None:
    """Otherwise the other tests would show nothing about those laws."""
    solution = run(ablation(block()))
    assert (solution.temperature > 99.0).sum() >= 5  # boils, and has lost its perfusion
    assert solution.sigma is not None
    assert solution.sigma.max() > 1.3 * 0.333
    for name in ("perfusion_J", "boundary_J", "probe_cooling_J", "stored_J"):
        assert solution.energy[name] > 1.0, name


@pytest.mark.parametrize("mode", ["power", "voltage", "current"])
def test_no_drive_keeps_body_temperature_exactly(mode: str) -> None:
    """Catches a constant in a law that only nearly cancels, and 0/0 in the drive."""
    problem = ablation(block())
    wall = replace(problem.walls[0], temperature=BODY)
    generator = ConstantGenerator(mode, 0.0, 20.0)  # type: ignore[arg-type]
    solution = run(replace(problem, walls=(wall,), generator=generator))
    assert (solution.temperature == BODY).all()
    assert (solution.peak == BODY).all()
    assert (solution.history["power_W"] == 0.0).all()
    assert solution.energy["delivered_J"] == 0.0


@pytest.mark.parametrize("factor", [0.1, 7.0])
def test_constant_properties_make_it_linear(factor: float) -> None:
    """Catches an absolute temperature where an excess belongs, and a power scaled twice."""
    problem = ablation(block())
    problem = replace(
        problem,
        materials=material(conductivity_slope=0.0, sigma_slope=0.0, sigma_dry_ratio=1.0),
        laws=Laws(vaporisation_band=(1e5, 2e5)),
        walls=(replace(problem.walls[0], temperature=BODY),),
    )
    once = run(problem)
    power = factor * problem.generator.setpoint
    more = run(replace(problem, generator=replace(problem.generator, setpoint=power)))
    rise = once.temperature - BODY
    assert rise.max() > 10.0
    assert more.temperature - BODY == pytest.approx(factor * rise, rel=SAME, abs=SAME)
    assert more.history["voltage_V"] == pytest.approx(
        np.sqrt(factor) * once.history["voltage_V"], rel=SAME
    )
    assert more.history["impedance_ohm"] == pytest.approx(once.history["impedance_ohm"], rel=SAME)


def test_numbering_does_not_matter(exact_potential: None) -> None:
    """Catches a result in the solver's order, and a table that depends on the cells' order."""
    mesh = block()
    random = np.random.default_rng(2)
    order = random.permutation(len(mesh.points))  # new point i is the old point order[i]
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    shuffle = random.permutation(len(mesh.cells))
    turned = mesh.cells[shuffle][:, [0, 2, 3, 1]]  # an even permutation keeps the orientation
    other = replace(
        mesh,
        points=mesh.points[order],
        cells=number[turned].astype(np.int32),
        cell_region=mesh.cell_region[shuffle],
        faces=number[mesh.faces].astype(np.int32),
    )
    assert_same(run(ablation(mesh)), run(ablation(other)), order)


def test_place_and_direction_do_not_matter(exact_potential: None) -> None:
    """Catches anything tied to an axis or to the origin."""
    mesh = block()
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    shift = np.array([0.05, -0.12, 0.2])
    moved = replace(mesh, points=mesh.points @ turn.T + shift)
    assert_same(run(ablation(mesh)), run(ablation(moved, shift)), slice(None))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 5.0, 60.0]))
def test_the_peak_never_falls(seed: int, power: float) -> None:
    """Catches a peak that is taken over by the present temperature while tissue cools."""
    start = np.random.default_rng(seed).uniform(20.0, 130.0, len(block().points))
    problem = replace(ablation(block()), initial_temperature=start)
    engine = jax_engine.JaxEngine(problem, device="cpu")
    state = engine.start()
    before, drive = engine.peak(state), Drive(power)
    assert before == pytest.approx(engine.temperature(state), abs=1e-9)
    for _ in range(6):
        state, report = engine.advance(state, 1.0, drive)
        state = engine.accept(state, report, drive)
        peak = engine.peak(state)
        assert (peak >= before).all()
        assert (peak >= engine.temperature(state)).all()
        before = peak


# -- the potential in a block of any size ---------------------------------------------------------


@pytest.mark.parametrize("outer", [10e-3, 40e-3, 160e-3])
def test_far_field_takes_the_block_out_of_the_impedance(outer: float) -> None:
    """A spherical electrode of radius r0 has R = 1/(4 pi sigma r0). Catches a condition taken along
    the wrong normal: grounded, the smallest block here would have 15 % less."""
    radius, sigma, width = 1.5e-3, 0.333, 0.1
    side = np.linspace(-width, width, 5)
    names = ("inner", "outer", "side0", "side1", "side2", "side3")
    mesh = box((np.geomspace(radius, outer, 41), side, side), sphere_patch, names)
    faces, count = mesh.surface_faces("outer"), len(mesh.points)
    electrodes = Electrodes(
        active=np.isin(np.arange(count), mesh.surface_faces("inner")),
        grounded=np.zeros(count, dtype=bool),
        far_field=far_field_conductance(
            mesh.points, faces, np.zeros(3), np.full(len(faces), sigma)
        ),
    )
    problem = BioheatProblem(
        mesh, material(), Laws(), ConstantGenerator("power", 0.0, 1.0), electrodes=electrodes
    )
    conductance = float(jax_engine.JaxEngine(problem, device="cpu").start().conductance)
    solid_angle = 4.0 * np.arcsin(width**2 / (1.0 + width**2))
    whole = conductance * 4.0 * np.pi / solid_angle
    assert 1.0 / whole == pytest.approx(1.0 / (4.0 * np.pi * sigma * radius), rel=0.005)


# -- the laws of tissue ---------------------------------------------------------------------------

TEMPERATURES = arrays(float, 64, elements=st.floats(-20.0, 400.0))
BANDS = st.tuples(st.floats(85.0, 99.0), st.floats(0.5, 15.0)).map(lambda b: (b[0], b[0] + b[1]))
CAPACITIES = st.tuples(st.floats(3e6, 4.5e6), st.floats(4e5, 1e6), st.floats(1e9, 2.5e9))


@given(TEMPERATURES, BANDS, CAPACITIES)
def test_temperature_inverts_enthalpy(
    temperature: Floats, band: tuple[float, float], capacity: tuple[float, float, float]
) -> None:
    """Catches a branch of T(H) that starts from the wrong end of the band."""
    wet, dry, latent = capacity
    slopes = wet, tissue.band_capacity(wet, dry, latent, band), dry, band
    heat = tissue.enthalpy(temperature, *slopes)
    assert tissue.temperature(heat, *slopes) == pytest.approx(temperature, abs=1e-8)
    assert (np.diff(heat[np.argsort(temperature)]) >= 0.0).all()


@settings(deadline=None)
@given(TEMPERATURES, BANDS, CAPACITIES, st.floats(1.0, 60.0))
def test_laws_agree_between_numpy_and_jax(
    temperature: Floats,
    band: tuple[float, float],
    capacity: tuple[float, float, float],
    drop: float,
) -> None:
    """Catches a law that loses its precision or its branch in JAX."""
    wet, dry, latent = capacity
    slopes = wet, tissue.band_capacity(wet, dry, latent, band), dry, band
    inside = jnp.asarray(temperature)
    pairs = [
        (tissue.enthalpy(temperature, *slopes), tissue.enthalpy(inside, *slopes, jnp)),
        (
            tissue.temperature(1e7 * temperature, *slopes),
            tissue.temperature(1e7 * inside, *slopes, jnp),
        ),
        *zip(tissue.kirchhoff(temperature), tissue.kirchhoff(inside, jnp), strict=True),
        (
            tissue.conductivity(temperature, 0.52, 0.0011),
            tissue.conductivity(inside, 0.52, 0.0011, jnp),
        ),
        (
            tissue.electrical_conductivity(temperature, 0.333, 0.015, 0.01, drop),
            tissue.electrical_conductivity(inside, 0.333, 0.015, 0.01, drop, jnp),
        ),
    ]
    for ours, theirs in pairs:
        assert theirs.dtype == np.float64
        assert np.asarray(theirs) == pytest.approx(ours, rel=1e-13, abs=1e-9)


@given(st.floats(-20.0, 400.0))
def test_the_kirchhoff_potentials_integrate_conductivity(temperature: float) -> None:
    """Catches potentials that do not belong to k(T): k0 f0' + dk f1' must be k."""
    step = 1e-3
    high, low = (tissue.kirchhoff(np.array([temperature + s])) for s in (step, -step))
    slope = sum(c * (a - b) for c, a, b in zip((0.52, 0.0011), high, low, strict=True))
    k = tissue.conductivity(np.array([temperature]), 0.52, 0.0011)
    assert slope / (2.0 * step) == pytest.approx(k, rel=1e-5)
