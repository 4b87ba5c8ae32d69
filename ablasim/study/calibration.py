"""Does the interval of the margin hold what it says? Tried on synthetic truth.

A study says that 90 % of the margins lie between its P5 and its P95. Truths are drawn like
patients: hidden inputs, independent of the study's samples, from the same prior or from one that is
shifted by some standard deviations, as where the prior is wrong. The share of truths inside the
interval is the coverage; below its P5 lie those that would surprise on the dangerous side.

Where a truth's probe is displaced, its margin is that of the moved zone, or of a case meshed anew
(`true_margins` with `remeshed`), which also tries the treatment of displaced probes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ablasim.assess.intervals import Estimate, probability, quantile
from ablasim.frames import MM
from ablasim.physics.damage import criterion
from ablasim.study.batches import solve_all
from ablasim.study.case import Case
from ablasim.study.inputs import EDGE, sampled_problem, unit_samples
from ablasim.study.priors import AXES, Inputs

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
        truths: how many there were.
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
        truths: (t,) [m].
    """
    low, high = (quantile(margins, level).value for level in INTERVAL)
    return Coverage(
        inside=probability((low <= truths) & (truths <= high)),
        below=probability(truths < low),
        above=probability(truths > high),
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
    margin_of: Callable[[Floats], Floats],
    names: tuple[str, ...],
    *,
    samples: int,
    truths: int,
    seed: int,
    shifts: Mapping[str, Mapping[str, float]],
) -> dict[str, Coverage]:
    """Coverage under several priors of the truth, by their names.

    Args:
        margin_of: margins (k,) [m] of points of the unit cube (k, d).
        names: of the inputs (d,).
        samples: of the study.
        truths: hidden inputs for each prior.
        seed: of both.
        shifts: priors of the truth; an empty one is the study's own.
    """
    margins = margin_of(unit_samples(samples, len(names), seed))
    return {
        title: coverage(margins, margin_of(hidden_points(truths, names, seed + number, shift)))
        for number, (title, shift) in enumerate(shifts.items())
    }


def true_margins(
    case: Case, inputs: Inputs, unit: Floats, *, remeshed: bool = False, device: str = "auto"
) -> Floats:
    """Minimal margins (k,) [m] of hidden inputs.

    Args:
        case: of the study.
        inputs: of the study.
        unit: hidden points (k, d).
        remeshed: mesh every truth anew with its probes displaced, instead of moving its zone.
        device: of the solver.
    """
    columns = inputs.draw(unit)
    rows = [{k: v[i].item() for k, v in columns.items()} for i in range(len(unit))]
    shifts = [np.array([row[axis] for axis in AXES], dtype=np.float64) * MM for row in rows]
    if remeshed:
        cases = [case.moved(shift) for shift in shifts]
        fields = [
            solve_all([sampled_problem(c.problem, row)], c.control, device=device).fields[0]
            for c, row in zip(cases, rows, strict=True)
        ]
        shifts = [np.zeros(3)] * len(rows)
    else:
        cases = [case] * len(rows)
        problems = [sampled_problem(case.problem, row) for row in rows]
        fields = solve_all(problems, case.control, device=device).fields
    found = []
    for one, row, field, shift in zip(cases, rows, fields, shifts, strict=True):
        judge = criterion(str(row["death_criterion"]), case.scenario.assessment.arrhenius_set)
        found.append(one.sampler.measure(judge.field(field), judge.level, shift=shift).minimal)
    return np.array(found)
