"""Margins of samples on one case, a chunk of them together.

The chunks are fixed by the samples and by how many are computed together, whoever computes them:
the same samples are always solved together, so that a resumed study repeats the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.frames import MM
from ablasim.physics.damage import criterion
from ablasim.progress import ProgressCallback
from ablasim.study.batches import solve_all
from ablasim.study.case import Case
from ablasim.study.companions import GROUP, companions
from ablasim.study.displacement import Correction, MovedField
from ablasim.study.inputs import sampled_problems
from ablasim.study.priors import AXES
from ablasim.study.samples import Samples

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Plan:
    """How samples are computed.

    Attributes:
        case: geometry.
        columns: values of the inputs (N,), "perfusion_shutdown" among them.
        correction: of displaced probes.
        moved: reads fields at the nodes whose excess is kept; None where none is.
        nodes: those nodes (m,).
        chunk: samples that are computed together.
        device, dtype: of the solver.
    """

    case: Case
    columns: Columns
    correction: Correction
    moved: MovedField | None
    nodes: NDArray[np.int64]
    chunk: int
    device: str
    dtype: str

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(next(iter(self.columns.values())))

    @cached_property
    def members(self) -> list[NDArray[np.int64]]:
        """The samples of every chunk."""
        return companions(self.columns["perfusion_shutdown"], self.chunk)

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return len(self.members)

    def group_of(self, number: int) -> range:
        """The chunks among which the samples of a chunk were divided."""
        first = number - number % GROUP
        return range(first, min(first + GROUP, self.chunks))

    def range_of(self, first: int, last: int) -> tuple[int, int]:
        """Between which samples, counted from 1, those of some chunks are."""
        numbers = np.concatenate(self.members[first : last + 1]) + 1
        return int(numbers.min()), int(numbers.max())


def compute_chunk(plan: Plan, number: int, progress: ProgressCallback | None) -> Samples:
    """The samples of a chunk.

    Args:
        plan: of all samples.
        number: of the chunk, from 0.
        progress: told of the stage "solve".
    """
    members = plan.members[number]
    columns = {name: values[members] for name, values in plan.columns.items()}
    count = len(members)
    solved = solve_all(
        sampled_problems(plan.case.problem, columns),
        plan.case.control,
        device=plan.device,
        dtype=plan.dtype,
        progress=progress,
    )
    sampler = plan.case.sampler
    rows: list[tuple[Any, ...]] = []
    for i in range(count):
        if solved.failed[i]:
            nothing = np.full(len(sampler.points), np.nan)
            rows.append((np.nan, np.nan, 0, np.nan, nothing, _no_excess(plan), False))
            continue
        judge = criterion(
            str(columns["death_criterion"][i]), plan.case.scenario.assessment.arrhenius_set
        )
        field = judge.field(solved.fields[i])
        shift = np.array([columns[axis][i] for axis in AXES], dtype=np.float64) * MM
        correction = plan.correction.at(shift)
        one = sampler.measure(field, judge.level, shift=shift, correction=correction)
        moved_only = one.margin if correction is None else one.margin - correction
        rows.append(
            (
                one.minimal,
                float(moved_only[sampler.counts].min()),
                one.thinnest,
                one.volume,
                one.margin,
                _excess(plan, one.filled - judge.level, shift),
                one.reaches_outer,
            )
        )
    minimal, uncorrected, thinnest, volume, margins, excesses, outer = zip(*rows, strict=True)
    return Samples(
        np.array(minimal),
        np.array(uncorrected),
        np.array(thinnest, dtype=np.int64),
        np.array(volume),
        np.stack(margins),
        np.stack(excesses),
        np.array(outer),
        solved.failed,
        solved.balance,
        np.full(count, solved.batched),
    )


def _excess(plan: Plan, excess: Floats, shift: Floats) -> NDArray[np.float32]:
    if plan.moved is not None and shift.any():
        excess = plan.moved.at(excess, shift)
    else:
        excess = excess[plan.nodes]
    return excess.astype(np.float32)


def _no_excess(plan: Plan) -> NDArray[np.float32]:
    return np.full(len(plan.nodes), np.nan, dtype=np.float32)
