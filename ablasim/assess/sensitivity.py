"""First-order and total Sobol indices of a margin, from the samples that are there anyway.

Sobol indices need a design of Saltelli (2010): for d inputs (d + 2) times as many evaluations as
its base has points, far more than can be simulated. A Gaussian process through the samples takes
the simulation's place there (SALib draws the design and estimates the indices), and Q2, by leaving
out each sample, says how much of the margin's variance it really knows. Below `LEAST_Q2` no index
is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablasim.assess.surrogate import Features, fit_surrogate, uniform_features

Floats = NDArray[np.float64]

LEAST_Q2 = 0.7
"""A surrogate that explains less of the variance gives no indices."""

BASE = 4096
"""Points of the base of Saltelli's design."""

MOST_FITTED = 1024
"""Samples that the surrogate is fitted to, the first of the sequence: its cost grows with the third
power, and Q2 no more by then."""


@dataclass(frozen=True)
class Sensitivity:
    """Sobol indices.

    Attributes:
        names: of the inputs (d,).
        first: share of the variance that each input explains alone (d,).
        total: share that would go away if each were known (d,).
        first_error, total_error: half widths of their 95 % intervals over the design (d,); what the
            surrogate does not know is not in them.
        q2: share of the variance that the surrogate explains of samples left out.
        samples: that it was fitted to.
        problem: why there are none; empty where there are.
    """

    names: tuple[str, ...]
    first: tuple[float, ...]
    total: tuple[float, ...]
    first_error: tuple[float, ...]
    total_error: tuple[float, ...]
    q2: float
    samples: int
    problem: str = ""


def sensitivity(
    names: tuple[str, ...],
    unit: Floats,
    values: Floats,
    *,
    features: Features = uniform_features,
    seed: int = 0,
) -> Sensitivity:
    """Sobol indices of values that were sampled.

    Args:
        names: of the inputs (d,).
        unit: the samples' points in the unit cube (k, d).
        values: one each (k,), of which at most `MOST_FITTED` are used; minus infinity counts as
            the smallest finite one.
        features: see `fit_surrogate`.
        seed: of the design.
    """
    unit, values = unit[:MOST_FITTED], values[:MOST_FITTED]
    finite = np.isfinite(values)
    if finite.sum() < max(16, 2 * len(names)) or np.ptp(values[finite]) == 0.0:
        return _none(names, float("nan"), len(values), "too few samples, or all alike")
    filled = np.where(finite, values, values[finite].min())
    surrogate = fit_surrogate(unit, filled, features)
    if surrogate.q2 < LEAST_Q2:
        text = (
            f"the surrogate explains only {max(surrogate.q2, 0.0):.0%} of the variance of samples"
            f" left out (wanted: {LEAST_Q2:.0%}); take more samples"
        )
        return _none(names, surrogate.q2, len(values), text.replace("%", " %"))
    first, total, first_error, total_error = sobol_indices(surrogate, len(names), seed)
    return Sensitivity(
        names,
        tuple(map(float, first)),
        tuple(map(float, total)),
        tuple(map(float, first_error)),
        tuple(map(float, total_error)),
        surrogate.q2,
        len(values),
    )


def sobol_indices(
    function: Callable[[Floats], Floats], dimensions: int, seed: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """First-order and total indices of a function of the unit cube, and their half widths."""
    # SALib drags in pandas and matplotlib
    from SALib.analyze import sobol as analyse
    from SALib.sample import sobol as design

    problem = {
        "num_vars": dimensions,
        "names": [f"x{i}" for i in range(dimensions)],
        "bounds": [[0.0, 1.0]] * dimensions,
    }
    points = design.sample(problem, BASE, calc_second_order=False, seed=seed)
    found = analyse.analyze(
        problem, function(np.asarray(points)), calc_second_order=False, seed=seed
    )
    return found["S1"], found["ST"], found["S1_conf"], found["ST_conf"]


def _none(names: tuple[str, ...], q2: float, samples: int, problem: str) -> Sensitivity:
    return Sensitivity(names, (), (), (), (), q2, samples, problem)
