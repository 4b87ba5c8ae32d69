"""A batch is its problems: many at once end as each of them does alone.

With steps of a fixed length and number of stages, and the potential iterated to rounding, nothing
else may differ. One small mesh with a hole for an electrode, of two tissues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from test_solver_properties import BLOCK, STEPS, ablation, block

from ablasim import catalogue
from ablasim.mesh import TetMesh
from ablasim.physics.blood import BloodTree
from ablasim.physics.damage import Arrhenius, DeathModels, criterion
from ablasim.physics.electric import Circuit
from ablasim.physics.generator import ConstantGenerator, Drive
from ablasim.physics.generator_pulsed import PulsedGenerator
from ablasim.physics.generator_steps import StepsGenerator
from ablasim.physics.problem import BioheatProblem, Stream, Wall
from ablasim.solve import Solution, Status, StepControl, jax_engine, solve
from ablasim.solve import batch as batch_module
from ablasim.solve.batch import BatchSolution, solve_batch
from ablasim.solve.batch_alike import NotBatchable
from ablasim.solve.batch_aside import set_aside, solve_aside
from ablasim.solve.batch_each import solve_each
from ablasim.solve.rkc import stages_for
from ablasim.solve.step_control import DRIED_VOLUME

SAME = 1e-9


@cache
def two_tissues() -> TetMesh:
    mesh = block()
    beyond = mesh.points[mesh.cells].mean(axis=1)[:, 0] > 0.0
    return replace(mesh, cell_region=beyond.astype(np.int16), regions=("liver", "tumour"))


def reference() -> BioheatProblem:
    """The cooled electrode of `ablation` in two tissues."""
    problem = ablation(two_tissues())
    m = problem.materials
    both = {name: np.repeat(getattr(m, name), 2) for name in m.__dataclass_fields__}
    both["perfusion"] = both["perfusion"] * np.array([1.0, 0.3])
    return replace(problem, materials=replace(m, **both))


def scaled(problem: BioheatProblem, **factors: Sequence[float] | float) -> BioheatProblem:
    """Constants of the materials times a factor, the same or one for each tissue."""
    m = problem.materials
    changed = {name: getattr(m, name) * np.asarray(by) for name, by in factors.items()}
    return replace(problem, materials=replace(m, **changed))


def driven(problem: BioheatProblem, **limits: float) -> BioheatProblem:
    """A problem with another generator: one step of a minute, and a weaker one."""
    drives = (Drive(**limits), Drive(**{name: 0.9 * value for name, value in limits.items()}))
    return replace(problem, generator=StepsGenerator(drives, (60.0, 90.0)))


STAGES = 40
"""Of every step: else a batch takes those of the problem that changes fastest."""


@pytest.fixture(autouse=True)
def exact_potential(monkeypatch: pytest.MonkeyPatch) -> None:
    """Iterate the potential to rounding."""
    monkeypatch.setitem(jax_engine.POTENTIAL_TOLERANCE, "float64", 1e-13)


@pytest.fixture
def same_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    def enough(step: float, rate: float) -> int:
        assert stages_for(step, rate) <= STAGES
        return STAGES

    monkeypatch.setattr(jax_engine, "stages_for", enough)


def assert_batch_is_its_problems(
    problems: Sequence[BioheatProblem], control: StepControl = STEPS
) -> BatchSolution:
    """Fields, damage, conductance and heat account of each agree with those of its own run."""
    batch = solve_batch(problems, control=control, device="cpu", dtype="float64")
    assert batch.energy["balance_error"].max() < 1e-11
    for number, problem in enumerate(problems):
        alone = solve(problem, control=control, device="cpu")
        for name in ("temperature", "peak"):
            one, many = getattr(alone, name), getattr(batch, name)[:, number]
            assert np.abs(many - one).max() < SAME * 100.0, (number, name)
        for name, values in alone.damage.items():
            assert np.allclose(batch.damage[name][:, number], values, rtol=1e-8, atol=1e-9), name
        for name in ("delivered_J", "stored_J", "perfusion_J"):
            assert batch.energy[name][number] == pytest.approx(alone.energy[name], rel=1e-8), name
        if problem.electrodes is not None:
            impedance = alone.history["impedance_ohm"][-1]
            assert 1.0 / batch.conductance[number] == pytest.approx(impedance, rel=1e-9)
    return batch


@pytest.mark.usefixtures("same_stages")
def test_tissues_walls_power_and_the_end_of_perfusion_differ() -> None:
    """All that a sample of a risk changes, by one factor for both tissues or by two."""
    base = reference()
    cooler = tuple(replace(wall, coefficient=900.0) for wall in base.walls)
    problems = [
        base,
        scaled(base, conductivity=1.2, conductivity_slope=1.2, wet_capacity=0.9),
        scaled(base, perfusion=(0.5, 2.5), sigma=(1.3, 0.8), sigma_slope=0.7),
        replace(base, walls=cooler),
        replace(base, laws=replace(base.laws, perfusion_shutdown=np.inf)),
        replace(base, generator=ConstantGenerator("power", 30.0, 120.0)),
        scaled(base, dry_capacity=1.3, latent_heat=(0.8, 1.1), sigma_dry_ratio=2.0),
    ]
    batch = assert_batch_is_its_problems(problems)
    ends = batch.temperature
    gaps = [np.abs(ends[:, one] - ends[:, 0]).max() for one in range(1, len(problems))]
    assert min(gaps) > 1e-2  # every change shows


@pytest.mark.usefixtures("same_stages")
def test_conductivities_differ_in_one_tissue_only() -> None:
    base = reference()
    problems = [
        scaled(base, conductivity=(1.0, 0.8)),
        base,
        scaled(base, conductivity=(1.0, 1.3), conductivity_slope=(0.6, 1.3)),
    ]
    assert_batch_is_its_problems(problems)


@pytest.mark.usefixtures("same_stages")
def test_each_problem_has_its_own_history() -> None:
    """What a case of a sweep tells of is what its own run would. Catches histories of the mean, a
    lethal volume by whole points, and the account of another problem."""
    base = reference()
    problems = [
        driven(base, power=45.0),
        driven(scaled(base, perfusion=(0.5, 2.5), sigma=(1.3, 0.8)), power=60.0),
        driven(scaled(base, conductivity=1.2, conductivity_slope=1.2), power=80.0),
    ]
    batch = solve_each(problems, control=STEPS, device="cpu", dtype="float64")
    for problem, one in zip(problems, batch, strict=True):
        alone = solve(problem, control=STEPS, device="cpu")
        assert list(one.history) == list(alone.history)
        for name in one.history.keys() - {"potential_iterations"}:
            assert one.history[name] == pytest.approx(alone.history[name], rel=1e-8, nan_ok=True)
        assert one.energy == pytest.approx(alone.energy, rel=1e-8, abs=1e-9)
        assert one.temperature == pytest.approx(alone.temperature, rel=1e-9)
        assert one.statistics["batch"] == 3.0
    ends = [one.history["lethal_ml"][-1] for one in batch]
    assert len(set(ends)) == 3 and max(ends) > 0.0


@pytest.mark.usefixtures("same_stages")
def test_one_problem_is_a_batch() -> None:
    assert_batch_is_its_problems([reference()])


@pytest.mark.parametrize("quantity, value", [("power", 40.0), ("voltage", 25.0), ("current", 0.7)])
@pytest.mark.usefixtures("same_stages")
def test_every_quantity_can_be_held(quantity: str, value: float) -> None:
    """In two steps of the generator, of another strength for each problem."""
    base = reference()
    problems = [
        driven(scaled(base, sigma=1.0 + 0.1 * number), **{quantity: value * (1.0 - 0.1 * number)})
        for number in range(3)
    ]
    assert_batch_is_its_problems(problems)


@pytest.mark.usefixtures("same_stages")
def test_two_conductors_and_the_body_in_series() -> None:
    """Electrodes of which one has twice the other's current, under a limit of the voltage."""
    base = reference()
    assert base.electrodes is not None
    upper = base.electrodes.active & (base.mesh.points[:, 2] > 0.0)
    masks = np.array([upper, base.electrodes.active & ~upper])
    electrodes = replace(
        base.electrodes, active=masks, circuits=(Circuit((0, 1), (2.0 / 3.0, 1.0 / 3.0)),)
    )
    drive = Drive(power=40.0, voltage=30.0, resistance=20.0)
    wired = replace(base, electrodes=electrodes, generator=StepsGenerator((drive,), (60.0,)))
    problems = [wired, scaled(wired, sigma=(0.9, 1.2)), scaled(wired, perfusion=0.5)]
    assert_batch_is_its_problems(problems)


@pytest.mark.parametrize("stasis", ["none", "arrhenius", "three_state"])
@pytest.mark.usefixtures("same_stages")
def test_death_models_and_what_they_end(stasis: str) -> None:
    base = reference()
    found = catalogue.arrhenius("hepg2")
    kinetics = Arrhenius(found.name, found.frequency, found.activation_energy)
    models = DeathModels((kinetics,), criterion("peak_60C", found.name), stasis)  # type: ignore[arg-type]
    carried = replace(base, laws=replace(base.laws, perfusion_shutdown=np.inf, death=models))
    problems = [carried, scaled(carried, perfusion=1.6), scaled(carried, conductivity=1.1)]
    assert_batch_is_its_problems(problems)


@pytest.mark.parametrize("coefficient", [300.0, 700.0])
@pytest.mark.usefixtures("same_stages")
def test_blood_that_warms(coefficient: float) -> None:
    """The coefficients of the wall are the same for all problems, or not."""
    base = reference()
    wall = base.walls[0]
    height = base.mesh.points[wall.points, 2]
    station = (height > 0.0).astype(np.int32)
    tree = BloodTree((0, 0), (0.02,), ((),))
    stream = Stream(
        tree, np.stack([station, station], axis=1), np.full((len(station), 2), 0.5), (True,)
    )
    vein = Wall("vein", "vessel", wall.faces, 300.0, 37.0, stream)
    warmed = replace(base, walls=(vein,))
    other = replace(warmed, walls=(replace(vein, coefficient=coefficient),))
    assert_batch_is_its_problems([warmed, scaled(other, perfusion=1.4), other])


@pytest.mark.usefixtures("same_stages")
def test_absorbed_microwaves() -> None:
    """Of patterns that differ, with power that differs."""
    base = replace(reference(), electrodes=None)
    near = np.exp(-np.linalg.norm(base.mesh.points, axis=1) / (0.2 * BLOCK))
    near /= near.sum()
    wide = np.sqrt(near) / np.sqrt(near).sum()
    problems = [
        replace(base, absorption=near),
        replace(base, absorption=wide),
        replace(base, absorption=near, generator=ConstantGenerator("power", 55.0, 120.0)),
    ]
    assert_batch_is_its_problems(problems)


def test_steps_are_as_short_as_the_most_demanding_problem_wants() -> None:
    """With the error of a step controlled, a batch is no less accurate than its problems alone."""
    base = reference()
    hot = replace(base, generator=ConstantGenerator("power", 60.0, 120.0))
    control = StepControl(tolerance=0.02)
    batch = solve_batch([base, hot], control=control, device="cpu", dtype="float64")
    alone = [solve(problem, control=control, device="cpu") for problem in (base, hot)]
    assert batch.statistics["steps"] >= max(each.statistics["steps"] for each in alone)
    warm = [each.temperature[each.temperature < 95.0] for each in alone]
    for number, (each, values) in enumerate(zip(alone, warm, strict=True)):
        gap = batch.temperature[each.temperature < 95.0, number] - values
        assert np.sqrt((gap**2).mean()) < 0.2


@cache
def drying() -> tuple[BioheatProblem, ...]:
    """Five problems, of which the second dries far more than where the time loop takes short steps,
    and the others nothing."""
    base = reference()
    powers = (20.0, 70.0, 22.0, 24.0, 26.0)
    return tuple(
        replace(base, generator=ConstantGenerator("power", power, 120.0)) for power in powers
    )


COARSE = StepControl(tolerance=0.2)


def test_what_dries_is_set_aside_and_ends_as_alone() -> None:
    """Neither shortens it the steps of the others, nor do theirs change what it ends with. Catches
    the column that goes on without a drive, and the account of it."""
    problems = drying()
    batch = solve_batch(problems, control=COARSE, device="cpu", dtype="float64")
    others = [problem for number, problem in enumerate(problems) if number != 1]
    without = solve_batch(others, control=COARSE, device="cpu", dtype="float64")
    alone = solve(problems[1], control=COARSE, device="cpu")
    assert batch.statistics["aside"] == 1.0 and without.statistics["aside"] == 0.0
    assert alone.history["dried_ml"].max() > 2e6 * DRIED_VOLUME
    assert batch.statistics["steps"] < 0.7 * alone.statistics["steps"]
    # until it dries it has its say
    assert batch.statistics["steps"] <= without.statistics["steps"] + 5.0
    for name in ("temperature", "peak"):
        assert np.array_equal(getattr(batch, name)[:, 1], getattr(alone, name)), name
        rest = np.delete(getattr(batch, name), 1, axis=1)
        assert np.abs(rest - getattr(without, name)).max() < COARSE.tolerance, name
    assert 1.0 / batch.conductance[1] == pytest.approx(alone.history["impedance_ohm"][-1])
    for name in ("delivered_J", "stored_J", "perfusion_J", "boundary_J", "balance_error"):
        assert batch.energy[name][1] == alone.energy[name], name
    parts = sum(batch.energy[f"{name}_J"] for name in ("stored", "perfusion", "boundary", "walls"))
    assert parts == pytest.approx(batch.energy["delivered_J"], rel=1e-9)


def test_what_is_set_aside_is_driven_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its column, of which nothing is kept, cools: it can neither run away nor demand anything."""
    problems = drying()
    whole = solve_batch(problems, control=COARSE, device="cpu", dtype="float64")
    monkeypatch.setattr(batch_module, "_put_in", lambda *_: None)
    column = solve_batch(problems, control=COARSE, device="cpu", dtype="float64")
    assert column.energy["delivered_J"][1] < 0.9 * whole.energy["delivered_J"][1]
    assert column.temperature[:, 1].max() < whole.temperature[:, 1].max() - 5.0
    assert column.energy["balance_error"].max() < 1e-11


def test_a_case_that_is_set_aside_has_the_history_of_its_own_run() -> None:
    problems = drying()
    each = solve_each(problems, control=COARSE, device="cpu", dtype="float64")
    alone = solve(problems[1], control=COARSE, device="cpu")
    assert all(np.array_equal(each[1].history[k], v) for k, v in alone.history.items())
    assert [one.statistics["batch"] for one in each] == [5.0, 1.0, 5.0, 5.0, 5.0]


def test_nothing_is_set_aside_where_many_dry_or_steps_are_fixed() -> None:
    """Then short steps of all take less time; and those of a fixed length are no shorter."""
    problems = drying()[:3]
    batch = solve_batch(problems, control=COARSE, device="cpu", dtype="float64")
    assert batch.statistics["aside"] == 0.0
    assert batch.statistics["steps"] > 60.0
    fixed = solve_batch(drying(), control=StepControl(fixed=2.0), device="cpu", dtype="float64")
    assert fixed.statistics["aside"] == 0.0


def test_most_that_is_set_aside() -> None:
    dry = np.array([0.0, 2.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]) * DRIED_VOLUME
    none = np.zeros(8, dtype=bool)
    two = set_aside(none, dry)
    assert np.flatnonzero(two).tolist() == [1, 3]
    dry[5] = 2.0 * DRIED_VOLUME  # a third one of eight is too many, and stays with the others
    assert np.array_equal(set_aside(two, dry), two)
    assert not set_aside(none, dry).any()
    assert np.array_equal(set_aside(two, np.zeros(8)), two)


def test_what_fails_aside_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(*args: object) -> Solution:
        return replace(solve_aside(*args), status=Status.STEP_TOO_SMALL)  # type: ignore[arg-type]

    monkeypatch.setattr(batch_module, "solve_aside", give_up)
    batch = solve_batch(drying(), control=COARSE, device="cpu", dtype="float64")
    assert np.isnan(batch.peak).all(axis=0).tolist() == [False, True, False, False, False]
    assert np.isfinite(np.delete(batch.peak, 1, axis=1)).all()


def test_single_precision_is_close() -> None:
    """Also with short steps. Catches a potential solved so loosely that what is left adds up."""
    base = reference()
    problems = [base, scaled(base, perfusion=2.0)]
    exact, single = (
        solve_batch(problems, control=StepControl(fixed=0.5), device="cpu", dtype=dtype)
        for dtype in ("float64", "float32")
    )
    wet = exact.peak < 95.0
    assert np.abs(exact.peak - single.peak)[wet].max() < 0.002


def test_what_cannot_be_batched_says_why() -> None:
    base = reference()
    for other, reason in (
        (replace(base, mesh=block(), materials=ablation(block()).materials), "mesh"),
        (replace(base, initial_temperature=30.0), "initial temperature"),
        (replace(base, laws=replace(base.laws, sigma_drop=20.0)), "sigma"),
        (replace(base, generator=ConstantGenerator("power", 40.0, 60.0)), "generator"),
        (replace(base, electrodes=None), "electrodes"),
        (replace(base, walls=()), "walls"),
        (scaled(base, perfusion=0.0), "perfused"),
    ):
        with pytest.raises(NotBatchable, match=reason):
            solve_batch([base, other], device="cpu")
    pulsed = replace(base, generator=PulsedGenerator(60.0, current=0.9, rise=10.0))
    with pytest.raises(NotBatchable, match="follows what it measures"):
        solve_batch([pulsed, pulsed], device="cpu")
