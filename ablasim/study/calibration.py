"""Does the interval of the margin hold what it says? Tried on synthetic truth.

A study says that 90 % of the margins lie between its P5 and its P95. Truths are drawn like
patients: hidden inputs, independent of the study's samples, from the same prior or from one that is
shifted by some standard deviations, as where the prior is wrong. The share of truths inside the
interval is the coverage; below its P5 lie those that would surprise on the dangerous side.

Where a truth's probe is displaced, its margin is that of the moved and corrected zone, as in the
study, or of a case meshed anew (`remeshed_margins`), which also tries the treatment of displaced
probes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ablasim.assess.intervals import Estimate, probability, quantile
from ablasim.frames import MM
from ablasim.study.batches import LARGEST_CHUNK
from ablasim.study.case import Case
from ablasim.study.chunks import run_chunks
from ablasim.study.displacement import Correction, no_correction
from ablasim.study.inputs import EDGE
from ablasim.study.priors import AXES, Inputs
from ablasim.study.sampling import Plan

Floats = NDArray[np.float64]

INTERVAL = (0.05, 0.95)


@dataclass(frozen=True)
class Coverage:
    """How often the truth lies in the interval.

    Attributes:
        inside: share of truths between P5 and P95.
        below: share of truths below P5: the margin is worse than the interval says.
        above: share of truths above P95.
        low, high: the interval [m].
        truths: how many there were, without those whose solver gave up.
        samples: that the interval came from.
    """

    inside: Estimate
    below: Estimate
    above: Estimate
    low: float
    high: float
    truths: int
    samples: int


def coverage(margins: Floats, truths: Floats) -> Coverage:
    """Compare the interval of some margins with truths.

    Args:
        margins: of the study's samples (k,) [m].
        truths: (t,) [m]; NaN where the solver gave up, which the intervals of the shares allow for.
    """
    lost = int(np.count_nonzero(np.isnan(truths)))
    truths = truths[~np.isnan(truths)]
    low, high = (quantile(margins, level).value for level in INTERVAL)
    return Coverage(
        inside=probability((low <= truths) & (truths <= high), unknown=lost),
        below=probability(truths < low, unknown=lost),
        above=probability(truths > high, unknown=lost),
        low=low,
        high=high,
        truths=len(truths),
        samples=len(margins),
    )


def hidden_points(
    count: int, names: tuple[str, ...], seed: int, shift: Mapping[str, float] | None = None
) -> Floats:
    """Hidden inputs as points of the unit cube (count, d), independent of any study's samples.

    Args:
        count: how many.
        names: of the inputs (d,).
        seed: of the truths.
        shift: by how many standard deviations of the prior the truth's own is shifted, by input.
    """
    unit = np.random.default_rng([seed, 0x7275]).random((count, len(names)))
    for name, deviations in (shift or {}).items():
        column = names.index(name)
        unit[:, column] = ndtr(ndtri(unit[:, column]) + deviations)
    return np.clip(unit, EDGE, 1.0 - EDGE)


def calibrate(
    margins: Floats,
    margin_of: Callable[[Floats], Floats],
    names: tuple[str, ...],
    *,
    truths: int,
    seed: int,
    shifts: Mapping[str, Mapping[str, float]],
) -> dict[str, Coverage]:
    """Coverage under several priors of the truth, by their names.

    Args:
        margins: of the study's samples (k,) [m].
        margin_of: margins (t,) [m] of points of the unit cube (t, d).
        names: of the inputs (d,).
        truths: hidden inputs for each prior.
        seed: of the first prior's truths; one more for each that follows.
        shifts: priors of the truth; an empty one is the study's own.
    """
    return {
        title: coverage(margins, margin_of(hidden_points(truths, names, seed + number, shift)))
        for number, (title, shift) in enumerate(shifts.items())
    }


def true_margins(
    case: Case, inputs: Inputs, unit: Floats, correction: Correction, *, dtype: str = "float64"
) -> Floats:
    """Minimal margins (k,) [m] of hidden inputs, by the study's own way: zones moved and corrected;
    NaN where the solver gave up.

    Args:
        case: of the study.
        inputs: of the study.
        unit: hidden points (k, d).
        correction: of displaced probes, of the study.
        dtype: of the solver.
    """
    nodes = np.empty(0, dtype=np.int64)
    columns = inputs.draw(unit)
    plan = Plan(case, columns, correction, None, nodes, LARGEST_CHUNK, "cpu", dtype)
    return run_chunks(plan).minimal


def remeshed_margins(case: Case, inputs: Inputs, unit: Floats) -> Floats:
    """The same with every truth meshed anew around its displaced probes, and solved alone.

    Raises:
        ScenarioError: a probe cannot lie where a truth has it.
    """
    columns = inputs.draw(unit)
    nodes = np.empty(0, dtype=np.int64)
    found = []
    for number in range(len(unit)):
        row = {name: values[number : number + 1] for name, values in columns.items()}
        shift = np.array([row[axis][0] for axis in AXES], dtype=np.float64) * MM
        moved = case.moved(shift)
        row |= {axis: np.zeros(1) for axis in AXES}
        plan = Plan(moved, row, no_correction(""), None, nodes, 1, "cpu", "float64")
        found.append(run_chunks(plan).minimal[0])
    return np.array(found)
