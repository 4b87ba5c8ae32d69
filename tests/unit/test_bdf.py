"""The time discretisation of the engine dolfinx: orders with uneven steps, its own error estimate.

The mistake each would catch: a coefficient that is right for equal steps only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablasim.solve.bdf import MOST_GROWTH, Scheme, error_share, increment, predict

RATE, WAVE = 0.7, 2.0
END = 3.0


def exact(time: float) -> float:
    """Solution of y' = -RATE y + WAVE cos(WAVE t) + RATE sin(WAVE t), y(0) = 1."""
    return math.exp(-RATE * time) + math.sin(WAVE * time)


def march(scheme: Scheme, steps: list[float]) -> list[tuple[float, float, float, float]]:
    """End, length, result and distance to the prediction of every step."""
    now, past = 0.0, np.zeros(2)
    values = [np.array([exact(0.0)])] * 3
    found = []
    for step in steps:
        value, before, earlier = values
        slope = -RATE * value + WAVE + 0.0  # y'(0); used in the first step only
        guess = predict(step, past, value, before, earlier, slope)
        keep, gain = increment(scheme, step, past)
        now += step
        given_ = WAVE * math.cos(WAVE * now) + RATE * math.sin(WAVE * now)
        base = value + keep * (value - before) + gain * step * given_
        new = base / (1.0 + gain * step * RATE)
        share = error_share(scheme, step, past)
        values, past = [new, value, before], np.array([step, past[0]])
        found.append((now, step, float(new[0]), share * float(new[0] - guess[0])))
    return found


def uneven(count: int) -> list[float]:
    """Steps to END whose lengths vary smoothly by a factor of four."""
    ends = np.linspace(0.0, 1.0, count + 1)
    ends = END * (ends + 0.6 * np.sin(2.0 * np.pi * ends) / (2.0 * np.pi))
    return [float(b - a) for a, b in pairwise(ends)]


@pytest.mark.parametrize(("scheme", "order"), [("bdf2", 2.0), ("euler", 1.0)])
def test_order_with_uneven_steps(scheme: Scheme, order: float) -> None:
    """Catches BDF2 with the coefficients of equal steps: its order falls to one."""
    errors = [abs(march(scheme, uneven(count))[-1][2] - exact(END)) for count in (100, 200, 400)]
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("scheme", ["bdf2", "euler"])
def test_error_estimate_is_the_local_error(scheme: Scheme) -> None:
    """Catches a share that belongs to another predictor.

    The local error is that of one step from exact values; where it passes zero it is no measure.
    """
    steps = uneven(800)
    ends = np.cumsum([0.0, *steps])
    worst, power = 0.0, {"euler": 2, "bdf2": 3}[scheme]
    for number in range(3, len(steps)):
        step, past = steps[number], np.array([steps[number - 1], steps[number - 2]])
        now, before, earlier = (np.array([exact(float(ends[number - k]))]) for k in range(3))
        keep, gain = increment(scheme, step, past)
        time = float(ends[number + 1])
        forcing = WAVE * math.cos(WAVE * time) + RATE * math.sin(WAVE * time)
        new = (now + keep * (now - before) + gain * step * forcing) / (1.0 + gain * step * RATE)
        guess = predict(step, past, now, before, earlier, now)
        estimate = float(error_share(scheme, step, past) * (new - guess)[0])
        error = float(new[0]) - exact(time)
        worst = max(worst, abs(estimate - error) / max(abs(error), 0.3 * step**power))
    assert worst < 0.3


lengths = st.floats(1e-3, 10.0)


@given(first=lengths, ratio=st.floats(0.05, MOST_GROWTH), other=st.floats(0.05, MOST_GROWTH))
@settings(deadline=None)
def test_quadratics_are_exact(first: float, ratio: float, other: float) -> None:
    """BDF2 and the prediction follow any parabola, whatever the steps."""
    second, third = first * other, first * other * ratio
    times = np.cumsum([0.0, first, second, third])
    y: Callable[[float], float] = lambda t: 2.0 - 3.0 * t / first + 0.5 * (t / first) ** 2  # noqa: E731
    rate = (-3.0 + times[3] / first) / first
    past = np.array([second, first])
    earlier, before, now, end = (np.array([y(float(t))]) for t in times)
    keep, gain = increment("bdf2", third, past)
    scale = max(1.0, float(np.abs(end[0])))
    assert now + keep * (now - before) + gain * third * rate == pytest.approx(end, abs=1e-9 * scale)
    assert predict(third, past, now, before, earlier, now) == pytest.approx(end, abs=1e-9 * scale)


@given(step=lengths, past=lengths)
@settings(deadline=None)
def test_constants_stay_and_the_first_step_is_euler(step: float, past: float) -> None:
    assert increment("bdf2", step, np.zeros(2)) == (0.0, 1.0)
    assert increment("euler", step, np.array([past, past])) == (0.0, 1.0)
    keep, gain = increment("bdf2", step, np.array([past, 0.0]))
    # a straight line: y' = 1 everywhere
    assert keep * past + gain * step == pytest.approx(step)
    assert 0.0 < error_share("bdf2", step, np.array([past, past])) < 1.0
