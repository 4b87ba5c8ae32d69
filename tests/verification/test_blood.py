"""Blood that warms and may coagulate: bounds, limits and the account, where no closed form is.

Closed forms of walls and blood are the cases F10, F11 and blood-* of `ablasim verify`.
"""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from ablasim.frames import MM
from ablasim.physics.problem import BioheatProblem, Wall
from ablasim.solve import StepControl, solve
from ablasim.solve.jax_engine import JaxEngine
from ablasim.solve.jax_stasis import flowing_branches, stasis_clock
from ablasim.verify.blood import COEFFICIENT, LENGTH, OUTER, RADIUS, capacity_rate, sector, stream
from ablasim.verify.scenes import BODY, LINEAR, STEADY, end_of, off, tissue


def drained(coefficient: float = COEFFICIENT, **changes: object) -> BioheatProblem:
    """A sector of tissue, insulated but for its vessel, whose blood keeps its temperature."""
    mesh = sector(RADIUS, OUTER)
    wall = Wall("wall", "vessel", mesh.surface_faces("wall"), coefficient, BODY)
    problem = BioheatProblem(mesh, tissue(), LINEAR, off(4000.0), walls=(wall,))
    return replace(problem, **changes)  # type: ignore[arg-type]


def flowing(problem: BioheatProblem, rate: float) -> BioheatProblem:
    """The problem with blood of a capacity rate [W/K] that warms."""
    (wall,) = problem.walls
    return replace(problem, walls=(replace(wall, stream=stream(problem.mesh, rate)),))


def test_warming_blood_cools_less_at_its_end() -> None:
    """Catches a wall that feels the inlet's temperature all along."""
    problem = drained(initial_temperature=BODY + 30.0, generator=off(120.0))
    warming = end_of(flowing(problem, capacity_rate(0.02, RADIUS)), STEADY)
    constant = end_of(problem, STEADY)
    far = problem.mesh.points[:, 2] > 0.9 * LENGTH
    rise = warming.history["wall_blood_C"][-1] - BODY
    assert rise > 1.0
    assert warming.temperature[far].mean() > constant.temperature[far].mean() + 0.1 * rise


@pytest.mark.parametrize("velocity", [1e-9, 1e-5, 1e-3])
def test_slow_blood_never_overshoots(velocity: float) -> None:
    """Flow next to nothing and a strong wall: blood and tissue stay between cold and hot.

    Catches an explicit march along the vessel, which overshoots where C is small.
    """
    problem = drained(3e4)
    z = problem.mesh.points[:, 2]
    start = BODY + 40.0 * np.exp(-(((z - 0.4 * LENGTH) / (5 * MM)) ** 2))
    problem = flowing(
        replace(problem, initial_temperature=start, generator=off(30.0)),
        capacity_rate(velocity, RADIUS),
    )
    solution = solve(problem, control=StepControl(fixed=2.5), device="cpu")
    assert solution.temperature.min() > BODY - 1e-6
    assert solution.temperature.max() < BODY + 40.0
    assert solution.history["wall_blood_C"].min() >= BODY
    assert solution.history["wall_blood_C"].max() < BODY + 40.0
    held_heat = problem.materials.wet_capacity[0] * problem.lump(
        (start - BODY)[problem.mesh.cells].mean(axis=1)
    )
    energy = solution.energy
    assert energy["vessels_J"] + energy["stored_J"] == pytest.approx(
        0.0, abs=1e-9 * held_heat.sum()
    )
    if velocity <= 1e-9:  # hardly any blood: hardly any heat leaves
        assert 0.0 <= energy["vessels_J"] < 1e-6 * held_heat.sum()


def test_fast_blood_is_a_wall_of_one_temperature() -> None:
    """With an endless flow the stream must give what a liquid of constant temperature gives."""
    problem = drained(initial_temperature=BODY + 30.0, generator=off(60.0))
    fast, constant = end_of(flowing(problem, 1e9), STEADY), end_of(problem, STEADY)
    assert np.abs(fast.temperature - constant.temperature).max() < 1e-6
    assert fast.energy["wall_J"] == pytest.approx(constant.energy["wall_J"], rel=1e-8)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_account_closes_with_blood_on_every_step(dtype: str) -> None:
    """Stored heat, walls and source add up after each step, not only at the end."""
    problem = flowing(drained(generator=off(120.0)), capacity_rate(0.005, RADIUS))
    problem = replace(problem, source=problem.lump(np.full(len(problem.mesh.cells), 5e5)))
    solution = solve(problem, control=StepControl(), device="cpu", dtype=dtype)
    h = solution.history
    rest = h["delivered_J"] - h["stored_J"] - h["perfusion_J"] - h["boundary_J"] - h["vessels_J"]
    limit = 1e-9 if dtype == "float64" else 2e-3
    assert np.abs(rest / h["delivered_J"]).max() < limit


# -- blood that coagulates ------------------------------------------------------------------------


def test_a_hot_small_vessel_loses_its_flow() -> None:
    """A wall above 65 °C for a minute stops a branch that may coagulate, for good, and no other.

    Catches a clock that is not reset when the wall cools, and a stopped vessel that still cools.
    """
    problem = flowing(drained(200.0, generator=off(300.0)), capacity_rate(0.06, RADIUS))
    problem = replace(problem, source=problem.lump(np.full(len(problem.mesh.cells), 3e6)))
    (wall,) = problem.walls
    assert wall.stream is not None
    small = replace(wall, stream=replace(wall.stream, coagulates=(True,)))
    open_, stopped = (
        solve(replace(problem, walls=(each,)), control=StepControl(fixed=2.0), device="cpu")
        for each in (wall, small)
    )
    assert "wall_stopped" not in open_.history
    flag, time = stopped.history["wall_stopped"], stopped.times
    assert set(flag) == {0.0, 1.0} and (np.diff(flag) >= 0.0).all()
    when = time[np.argmax(flag)]
    before = np.abs(stopped.history["vessels_J"] - open_.history["vessels_J"])[time <= when]
    assert (before == 0.0).all()  # nothing differs until then
    assert 62.0 <= when < 300.0
    after = stopped.history["vessels_J"][time >= when]
    assert np.ptp(after) < 1e-12 * after[-1]  # and no heat leaves from then on
    assert open_.history["vessels_J"][-1] > 1.2 * after[-1]
    assert stopped.energy["balance_error"] < 1e-12


def test_stasis_clock_starts_again() -> None:
    """Forty seconds hot, cool, forty hot: no stasis. A minute is, and cooling does not mend it."""
    problem = flowing(drained(), capacity_rate(0.06, RADIUS))
    (wall,) = problem.walls
    assert wall.stream is not None
    wall = replace(wall, stream=replace(wall.stream, coagulates=(True,)))
    heat = JaxEngine(replace(problem, walls=(wall,)), device="cpu").heat
    hot, cold = (jnp.full(len(problem.mesh.points), t) for t in (70.0, 50.0))
    clock, step = jnp.zeros(1), jnp.asarray(2.0)
    for temperature, steps, wanted in (
        (hot, 20, 40.0),
        (cold, 1, 0.0),
        (hot, 20, 40.0),
        (hot, 10, 60.0),
        (cold, 5, 60.0),
    ):
        for _ in range(steps):
            clock = stasis_clock(heat, clock, temperature, step)
        assert float(clock[0]) == wanted
    assert float(flowing_branches(heat, clock)[0]) == 0.0
    assert float(flowing_branches(heat, clock - 1.0)[0]) == 1.0
