"""The death models against published tables and against an independent integrator."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad, solve_ivp

from ablasim import catalogue
from ablasim.physics import damage
from ablasim.physics.damage import Damage
from ablasim.verify import death
from ablasim.verify.death import ARRHENIUS, TEMPERATURES, TO_DEAD

Floats = NDArray[np.float64]


def kinetics(*names: str) -> Floats:
    return death.kinetics(*(names or catalogue.arrhenius_names()))


def expose(
    temperatures: Floats, times: Floats, sets: Floats, start: Damage | None = None
) -> Damage:
    """Damage after a history given at points in time: temperatures (t, n)."""
    state = start or damage.unharmed(temperatures[0], len(sets))
    for before, after, step in zip(
        temperatures[:-1], temperatures[1:], np.diff(times), strict=True
    ):
        count = int(damage.parts_of(before, after, step))
        for part in range(count):
            a, b = (before + (after - before) * (part + i) / count for i in (0, 1))
            state = damage.advance(state, a, b, step / count, sets)
    return state


@pytest.mark.parametrize("name", ARRHENIUS)
def test_arrhenius_integral_is_rate_times_time(name: str) -> None:
    """The published times themselves are a case of `ablasim verify`: F15-arrhenius."""
    hot = np.array(TEMPERATURES)
    rate = damage.arrhenius_rate(hot, hot, kinetics(name))[0]
    state = expose(np.tile(hot, (2, 1)), np.array([0.0, 10.0]), kinetics(name))
    assert state.omega[0] == pytest.approx(10.0 * rate)


def test_every_set_of_the_catalogue_is_checked() -> None:
    assert set(ARRHENIUS) == set(catalogue.arrhenius_names())
    for name in ARRHENIUS:
        assert set(catalogue.arrhenius(name).sources) == {"frequency", "activation_energy"}


def test_cem43_by_parts_of_its_definition() -> None:
    """Catches a rate below 39 °C, a base other than 4 from 39 to 43, other than 2 above."""
    at = np.array([38.99, 39.0, 41.0, 42.999999, 43.0, 44.0, 53.0])
    expected = [0.0, 4.0**-4, 4.0**-2, 1.0, 1.0, 2.0, 1024.0]
    assert damage.cem43_rate(at, at) == pytest.approx(expected, rel=2e-6, abs=1e-20)


@pytest.mark.parametrize(
    ("before", "after"), [(37.0, 60.0), (60.0, 37.0), (38.0, 42.0), (45, 45.3)]
)
def test_cem43_of_a_ramp_is_exact(before: float, after: float) -> None:
    """Catches a quadrature that misses the kinks at 39 and 43 °C."""

    def rate(s: float) -> float:
        t = before + (after - before) * s
        return 0.0 if t < 39.0 else float((0.5 if t > 43.0 else 0.25) ** (43.0 - t))

    kinks = sorted((x - before) / (after - before) for x in (39.0, 43.0))
    points = [x for x in kinks if 0.0 < x < 1.0] or None
    exact, _ = quad(rate, 0.0, 1.0, points=points, epsabs=0.0, epsrel=1e-12)
    mean = damage.cem43_rate(np.array([float(before)]), np.array([float(after)]))
    assert mean[0] == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize("name", ARRHENIUS)
def test_a_steep_ramp_within_one_step(name: str) -> None:
    """Catches too few parts where the rate rises by orders of magnitude: 45 K in one step of 10 s,
    against a quadrature to rounding. 2.5 % of the integral is at most 0.1 K."""
    a, b = kinetics(name)[0]

    def rate(s: float) -> float:
        t = 40.0 + 45.0 * s
        return math.exp(a + b * (t - 60.0) / (t + 273.15))

    exact, _ = quad(rate, 0.0, 1.0, epsabs=0.0, epsrel=1e-12)
    state = expose(np.array([[40.0], [85.0]]), np.array([0.0, 10.0]), kinetics(name))
    assert state.omega[0, 0] == pytest.approx(10.0 * exact, rel=0.025)


def three_state(
    temperature: float, end: float, times: Floats | None = None
) -> tuple[Floats, float]:
    """D at times, and the time of D = 0.8, by an integrator of order eight."""

    def slope(_: float, y: Floats) -> list[float]:
        alive, dead = y
        f = 3.33e-3 * math.exp(temperature / 40.5)
        hurt = 1.0 - alive - dead
        return [-f * (1.0 - alive) * alive + 7.77e-3 * hurt, f * (1.0 - alive) * hurt]

    def kills(_: float, y: Floats) -> float:
        return float(y[1] - 0.8)

    found = solve_ivp(
        slope, (0.0, end), [0.99, 0.0], "DOP853", times, events=kills, rtol=1e-12, atol=1e-14
    )
    crossing = found.t_events[0]
    return found.y[1], float(crossing[0]) if len(crossing) else math.nan


@pytest.mark.parametrize("temperature", TO_DEAD)
def test_three_state_times_to_death(temperature: int) -> None:
    """The table to the second by another integrator, and the product's within half of one."""
    _, exact = three_state(temperature, 5000.0)
    assert round(exact) == TO_DEAD[temperature]
    assert death.time_to_death(float(temperature)) == pytest.approx(exact, abs=0.5)


def test_three_state_at_65_degrees() -> None:
    """The published values, to their digits, by small steps: 0.01423, 0.41814, 0.92003."""
    times = np.array([0.0, 300.0, 600.0, 900.0])
    exact, _ = three_state(65.0, 900.0, times)
    assert exact[1:] == pytest.approx([0.01423, 0.41814, 0.92003], abs=5.1e-6)
    at = np.full((901, 1), 65.0)
    for end, value in zip((300, 600, 900), exact[1:], strict=True):
        state = expose(at[: end + 1], np.arange(end + 1.0), kinetics("hepg2"))
        assert state.dead[0] == pytest.approx(value, abs=1e-5)


def heating(times: Floats) -> Floats:
    """A smooth course of a treatment at three points (t, 3) [°C]."""
    rise = 1.0 - np.exp(-times / 60.0)
    return 37.0 + rise[:, None] * np.array([14.0, 20.0, 26.0]) + 3.0 * np.sin(times / 80.0)[:, None]


def test_second_order_in_time() -> None:
    """Catches a rectangle rule, and a three-state model whose parts follow one after the other."""
    sets = kinetics("hepg2", "colon_mouratidis")

    def at(count: int) -> Floats:
        times = np.linspace(0.0, 240.0, count + 1)
        state = expose(heating(times), times, sets)
        return np.log(np.stack([state.cem43, *state.omega, state.dead]))

    finest = at(6144)
    coarse, middle, fine = (np.abs(at(n) - finest) for n in (48, 96, 192))
    for first, second in ((coarse, middle), (middle, fine)):
        order = np.log2(first / second)
        assert order == pytest.approx(2.0, abs=0.15)
    assert coarse.max() < 0.02


def test_sum_stays_one_and_nothing_is_negative() -> None:
    """Catches a scheme that loses cells, or overshoots at rates of a step of 600 s at 300 °C."""
    at = np.array([20.0, 37.0, 60.0, 100.0, 300.0])
    state = damage.unharmed(at, 1)
    for step in (600.0, 5.0, 0.01, 600.0):
        state = damage.advance(state, at, at, step, kinetics("hepg2"))
        parts = np.stack([state.alive, state.vulnerable, state.dead])
        assert parts.sum(axis=0) == pytest.approx(1.0, abs=1e-15)
        assert parts.min() >= -1e-15
    assert state.dead[-1] == pytest.approx(1.0)
