"""The heat of dried points follows the potential with a delay that is a law, not a step's."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from ablasim.physics.electric import (
    DRYING_SECONDS,
    drying_follows,
    drying_moment,
    drying_share,
    not_below_zero,
)
from ablasim.physics.generator import Drive, voltage_squared


@pytest.mark.parametrize("elapsed", [1e-9, 9e-5, 1.1e-4, 1e-3, 0.02, 0.1, 0.5, 5.0])
def test_a_step_is_exact_where_the_potential_changes_evenly(elapsed: float) -> None:
    """x' = (p - x)/tau with p = 2 - 3 t/h and x(0) = 5, solved in closed form."""
    start, first, change, tau = 5.0, 2.0, -3.0, DRYING_SECONDS
    rate = change / elapsed
    decay = math.exp(-elapsed / tau)
    exact = first + change - rate * tau + decay * (start - first + rate * tau)
    towards = first + drying_moment(elapsed) * change
    found = start + float(drying_share(elapsed)) * (towards - start)
    # the closed form is a difference of numbers tau/h times as large
    assert found == pytest.approx(exact, abs=1e-12 + 1e-15 * tau / elapsed)


@pytest.mark.parametrize("elapsed", [1e-6, 0.02, 0.1, 2.0])
def test_both_engines_follow_by_the_same_numbers(elapsed: float) -> None:
    """Also: two halves of a time lead where the whole leads."""
    heat, now, change = np.array([5.0, -1.0]), np.array([2.0, 3.0]), np.array([-1.5, 4.0])
    whole = drying_follows(heat, now, change, elapsed)
    half = drying_follows(heat, now, 0.5 * change, 0.5 * elapsed)
    again = drying_follows(half, now + 0.5 * change, 0.5 * change, 0.5 * elapsed)
    np.testing.assert_allclose(again, whole, rtol=1e-9)
    arrays = (jnp.asarray(values) for values in (heat, now, change))
    np.testing.assert_allclose(drying_follows(*arrays, elapsed, jnp), whole, rtol=1e-12)


def test_no_heat_is_extrapolated_below_zero() -> None:
    """But where it is below zero now, as at corners of quadratic functions, it may stay there."""
    now, change = np.array([2.0, 2.0, -1.0, -1.0]), np.array([-1.0, -5.0, -3.0, 3.0])
    np.testing.assert_array_equal(now + not_below_zero(now, change), [1.0, 0.0, -1.0, 2.0])


@pytest.mark.parametrize(
    ("drive", "coarse", "fine"),
    [
        (Drive(current=0.5), 6.0, 8.0),  # 1/4 A2 on 1/20 S: 5 W now
        (Drive(current=0.5, power=5.5), 5.5, 5.5),
        (Drive(power=4.0), 4.0, 4.0),
    ],
)
def test_in_coarse_steps_a_delay_does_not_change_the_power(
    drive: Drive, coarse: float, fine: float
) -> None:
    """What drives without a delay is extrapolated from 5 W to 6 W, with it 8 W. Catches dried
    points that go on taking heat which no generator gives: a zone 1.3 % too large."""
    from ablasim.solve.jax_drying import DRIED_GAIN, to_power

    conductance = jnp.asarray(0.05)
    now = voltage_squared(drive.limits(), 0.05) * 0.05 * jnp.array([0.4, 0.6])
    wanted, delayed = jnp.array([2.5, 3.5]), jnp.array([4.5, 3.5])
    for most_gain, power in ((DRIED_GAIN, coarse), (1.0, fine)):
        factor = to_power(
            delayed, now, wanted, jnp.asarray(drive.limits()), conductance, jnp.asarray(most_gain)
        )
        assert float((factor * delayed).sum()) == pytest.approx(power)


@pytest.mark.usefixtures("dolfinx")
def test_every_point_has_a_heat_to_go_on_from_when_it_dries() -> None:
    """In fine steps, so that the delay does not begin at the end of one. Catches a point that in
    the step in which it dries is expected to lose all its heat at once."""
    from ablasim.solve.dolfinx_sources import Sources

    share = SimpleNamespace(owned=2, total=lambda values: np.asarray(values, dtype=float))
    sources: Any = Sources.__new__(Sources)
    laws = SimpleNamespace(vaporisation_band=(99.0, 100.0))
    sources.share, sources.facts, sources.fine = share, SimpleNamespace(laws=laws), True
    state: Any = SimpleNamespace(
        temperature=np.array([[60.0, 99.9]]),
        unit_heat=np.array([1.0, 1.0]),
        conductance=1.0,
        past=np.zeros(2),
        delayed=np.array([1.0, 0.9]),
    )
    step, after = 0.05, np.array([1.0, 0.2])
    wanted, delayed = sources.wanted(
        state, step, Drive(current=1.0), after, np.array([False, True])
    )
    assert wanted[0] == 1.0 and wanted[1] == delayed[1]
    assert delayed[1] == pytest.approx(
        float(drying_follows(np.array(0.9), np.array(1.0), np.array(-0.8), step))
    )
    assert 0.2 < delayed[1] < 0.9


@pytest.mark.usefixtures("dolfinx")
@pytest.mark.parametrize("step", [0.02, 0.005, 0.001])
@pytest.mark.parametrize("held", ["power", "current"])
def test_the_delay_does_not_hang_on_the_step(step: float, held: str) -> None:
    """The potential heats a dried point half as much from one moment on. Catches a delayed heat
    that is scaled to the power in every step, which ends the delay the sooner the shorter they
    are."""
    from ablasim.solve.dolfinx_sources import Sources

    share = SimpleNamespace(owned=2, total=lambda values: np.asarray(values, dtype=float))
    laws = SimpleNamespace(vaporisation_band=(99.0, 100.0))
    sources: Any = Sources.__new__(Sources)
    sources.share, sources.facts, sources.fine = share, SimpleNamespace(laws=laws), True
    drive = Drive(power=10.0) if held == "power" else Drive(current=math.sqrt(10.0))
    state = SimpleNamespace(
        temperature=np.array([[60.0, 120.0]]),
        unit_heat=np.array([0.95, 0.05]),
        conductance=1.0,
        past=np.array([step, step]),
        past_heat=np.array([9.5, 0.5]),
        delayed=np.array([9.0, 1.0]),
    )
    for _ in range(round(DRYING_SECONDS / step)):
        used, state.delayed = sources.driven(state, step, drive)
    left = (state.delayed[1] - 0.5) / 0.5
    assert left == pytest.approx(math.exp(-1.0), rel=1e-9)
    assert used.sum() == pytest.approx(10.0, rel=0.02)
    if held == "power":
        assert used.sum() == pytest.approx(10.0, rel=1e-12)
