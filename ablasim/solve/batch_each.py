"""A batch whose problems each leave what a run of their own would: history, account, solution.

For the cases of a sweep, whose tables tell of each; the samples of a risk need only the fields.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from ablasim.errors import ConvergenceError
from ablasim.physics.finite import refuse_not_finite
from ablasim.physics.generator import Drive
from ablasim.physics.problem import BioheatProblem
from ablasim.progress import ProgressCallback
from ablasim.solve.batch_alike import refuse_different
from ablasim.solve.batch_aside import solve_aside
from ablasim.solve.batch_engine import BatchDrive, BatchEngine, BatchReport
from ablasim.solve.checkpoint import Record
from ablasim.solve.jax_state import Report, State
from ablasim.solve.kernels import put
from ablasim.solve.solution import Floats, Solution, Status
from ablasim.solve.step_control import StepControl
from ablasim.solve.stepping import march


class FollowedBatch(BatchEngine):
    """The engine of a batch that keeps the report of every problem and step."""

    def _set_up(self) -> None:
        super()._set_up()
        self.cells = put(self.graph.cells)
        self.cell_volume = self._put(self.graph.volumes[:, None])
        self.booked: list[tuple[BatchDrive, Report]] = []

    def accept(self, state: State, report: Report, drive: Drive) -> State:
        """Book what each problem reports."""
        assert isinstance(report, BatchReport) and isinstance(drive, BatchDrive)
        self.booked.append((drive, jax.tree.map(np.asarray, report.each)))
        return super().accept(state, report, drive)

    def record(self, number: int, history: Mapping[str, Floats]) -> Record:
        """History and account of one problem; times and steps are those of the whole batch's."""
        count, found = len(self.problems), Record()

        def own(values: Any) -> Any:
            alone = values.ndim == 0 or values.shape[-1] != count
            return values if alone else values[..., number]

        steps = zip(history["time_s"], history["step_s"], self.booked, strict=True)
        for now, step, (drive, report) in steps:
            mine = jax.tree.map(own, report)
            found.add(float(now), float(step), self.problems[number], drive.each[number], mine)
        return found


def solve_each(
    problems: Sequence[BioheatProblem],
    *,
    control: StepControl | None = None,
    device: str = "auto",
    dtype: str = "float32",
    progress: ProgressCallback | None = None,
) -> list[Solution]:
    """Integrate problems on one mesh together; a solution of each, without its potential.

    Args:
        problems: at least two, on the same mesh.
        control: tolerance and limits of the step.
        device: "cpu", "gpu", or "auto" for a GPU where there is one.
        dtype: "float32" or "float64".
        progress: told after every step.

    Raises:
        NotBatchable: they differ in more than a batch can hold, or their drive follows what it
            measures.
        UsageError: numbers of a problem that are not finite.
        ConvergenceError: the solver gave up, but not in a problem that was set aside: the status of
            its solution says so.
        ResourceError: no such device.
    """
    refuse_different(problems)
    for problem in problems:
        refuse_not_finite(problem)
    begun, control = time.perf_counter(), control or StepControl()
    with jax.numpy_rank_promotion("allow"):  # numbers of each problem (b,) meet fields (n, b)
        engine = FollowedBatch(problems, control=control, device=device, dtype=dtype)
        done = march(engine, control, progress=progress, begun=begun)
    if done.status is not Status.DONE or not np.isfinite(done.temperature).all():
        raise ConvergenceError(f"a batch of {len(problems)} problems: {done.status.value}")
    found = []
    for number, problem in enumerate(problems):
        if engine.aside[number]:
            alone = solve_aside(problem, engine.graph, control, device, dtype)
            found.append(replace(alone, statistics=alone.statistics | {"batch": 1.0}))
        else:
            found.append(_solution(engine, done, number))
    return found


def _solution(engine: FollowedBatch, done: Solution, number: int) -> Solution:
    record = engine.record(number, done.history)
    return replace(
        done,
        temperature=done.temperature[:, number],
        peak=done.peak[:, number],
        damage={name: values[:, number] for name, values in done.damage.items()},
        history=record.history(),
        energy=record.energy(engine.problems[number]),
        statistics=done.statistics | {"batch": float(len(engine.problems))},
    )
