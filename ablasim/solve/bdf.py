"""Backward differentiation with steps of any length: backward Euler and BDF2.

Written for increments, so that every part of the heat account has its own:

    y_(n+1) - y_n = keep (y_n - y_(n-1)) + gain dt y'_(n+1),

with w = dt/dt1 the ratio of the step to the one before, and

    BDF2:  keep = w^2/(1 + 2w),  gain = (1 + w)/(1 + 2w);     Euler:  keep = 0,  gain = 1.

What is true of y is true of each term of y', integrated by the same rule: the increments of the
parts sum to that of the whole.

The local error is taken from the distance of the solution to an extrapolation from the steps
before (Milne's device). With s = dt + dt1, a quadratic through three values is off by
dt s (s + dt2)/6 y''' and BDF2 by -dt^2 s^2/(6 (s + dt)) y''' (both by Taylor's formula); a straight
line is off by dt s/2 y'' and Euler by -dt^2/2 y''; next to that the parabola is exact.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Scheme = Literal["bdf2", "euler"]

MOST_GROWTH = 2.0
"""Ratio of a step to the one before; BDF2 is stable for any steps up to 1 + sqrt(2)."""


def increment(scheme: Scheme, step: float, past: Floats) -> tuple[float, float]:
    """`keep` and `gain` of a step [s] after `past` ones (latest first; 0 where there is none)."""
    if scheme == "euler" or past[0] <= 0.0:
        return 0.0, 1.0
    ratio = step / float(past[0])
    return ratio**2 / (1.0 + 2.0 * ratio), (1.0 + ratio) / (1.0 + 2.0 * ratio)


def predict(
    step: float, past: Floats, now: Floats, before: Floats, earlier: Floats, slope: Floats
) -> Floats:
    """Extrapolation to the end of a step from up to three values.

    Args:
        step: its length [s].
        past: lengths of the two steps before, latest first; 0 where there is none (2,) [s].
        now, before, earlier: the values after and before those steps (p,).
        slope: dy/dt now, used where nothing came before (p,) [1/s].
    """
    one, two = (float(length) for length in past)
    if one <= 0.0:
        return now + step * slope
    rise = (now - before) / one
    if two <= 0.0:
        return now + step * rise
    bend = (rise - (before - earlier) / two) / (one + two)
    return now + step * rise + step * (step + one) * bend


def error_share(scheme: Scheme, step: float, past: Floats) -> float:
    """Local error of a step over the distance of its result to `predict`."""
    one, two = (float(length) for length in past)
    if one <= 0.0:
        return 0.5
    both = step + one
    if two <= 0.0:
        # Euler's against a straight line; the second step of BDF2 has no better reference
        return step / (step + both)
    if scheme == "euler":  # the parabola is of higher order: the distance is the error
        return 1.0
    own = step**2 * both**2 / (6.0 * (both + step))
    return own / (own + step * both * (both + two) / 6.0)
