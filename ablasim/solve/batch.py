"""Many problems on one mesh at once: the samples of a risk, the cases of a sweep.

They go through the same kernels as one problem, with an axis for the problems at the end of every
array (`batch_setup`), and through the same time loop: the step is as long as the most demanding of
them allows. So a batch takes more steps than one of its problems alone, and each costs far less.
The few that would make all steps short are set aside (`batch_aside`). Which problems can be solved
at once is said in `batch_alike`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from numpy.typing import NDArray

from ablasim.errors import ConvergenceError
from ablasim.physics.finite import refuse_not_finite
from ablasim.physics.problem import BioheatProblem
from ablasim.progress import ProgressCallback
from ablasim.solve.batch_alike import refuse_different
from ablasim.solve.batch_aside import solve_aside
from ablasim.solve.batch_engine import BatchEngine
from ablasim.solve.jax_state import State
from ablasim.solve.solution import Solution, Status
from ablasim.solve.step_control import StepControl
from ablasim.solve.stepping import march

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BatchSolution:
    """What many problems on one mesh end with, in the mesh's own point order.

    Attributes:
        temperature: at the last time (n, b) [°C].
        peak: highest temperature each point has reached (n, b) [°C].
        damage: of the death models by name (n, b); empty where none was integrated.
        conductance: of the tissue at the last time (b,) [S]; 1 without electrodes.
        energy: the heat account of each problem [J], arrays (b,), with `balance_error` relative.
        statistics: steps, rejected, stages, potential_iterations, potential_residual, seconds,
            start_seconds, and how many problems were set `aside`; steps and the rest are those
            of the others.
        device: what the engine ran on.
    """

    temperature: Floats
    peak: Floats
    damage: dict[str, Floats]
    conductance: Floats
    energy: dict[str, Floats]
    statistics: dict[str, float]
    device: str


def solve_batch(
    problems: Sequence[BioheatProblem],
    *,
    control: StepControl | None = None,
    device: str = "auto",
    dtype: str = "float32",
    progress: ProgressCallback | None = None,
) -> BatchSolution:
    """Integrate problems on one mesh to the end of their common protocol.

    Args:
        problems: on the same mesh.
        control: tolerance and limits of the step.
        device: "cpu", "gpu", or "auto" for a GPU where there is one.
        dtype: "float32" or "float64".
        progress: told after every step.

    Raises:
        NotBatchable: they differ in more than a batch can hold, or their drive follows what it
            measures.
        UsageError: numbers of a problem that are not finite.
        ConvergenceError: the solver gave up. Where it does so for a problem that was set aside,
            the fields of that one are NaN.
        ResourceError: no such device.
    """
    refuse_different(problems)
    for problem in problems:
        refuse_not_finite(problem)
    begun = time.perf_counter()
    kept: list[State] = []
    control = control or StepControl()
    with jax.numpy_rank_promotion("allow"):  # numbers of each problem (b,) meet fields (n, b)
        engine = BatchEngine(problems, control=control, device=device, dtype=dtype)
        done = march(
            engine,
            control,
            progress=progress,
            begun=begun,
            at_end=lambda state, _: kept.append(state),
        )
    if done.status is not Status.DONE:
        reached = done.times[-1] if done.times.size else 0.0
        raise ConvergenceError(
            f"a batch of {len(problems)} problems: at {reached:.1f} s {done.status.value}"
        )
    together = BatchSolution(
        temperature=done.temperature,
        peak=done.peak,
        damage=done.damage,
        conductance=np.array(kept[0].conductance, dtype=float),
        energy=engine.energy(),
        statistics=done.statistics | {"aside": float(np.count_nonzero(engine.aside))},
        device=engine.device_name,
    )
    aside, graph = engine.aside, engine.graph
    kept.clear()
    del engine  # its arrays make room for those of the runs to come
    for number, problem in enumerate(problems):
        if aside[number]:
            _put_in(together, number, solve_aside(problem, graph, control, device, dtype))
    return together


def _put_in(together: BatchSolution, number: int, alone: Solution) -> None:
    """Take what a problem of the batch ends with from its own run."""
    failed = alone.status is not Status.DONE
    for field in ("temperature", "peak"):
        getattr(together, field)[:, number] = np.nan if failed else getattr(alone, field)
    for model, values in alone.damage.items():
        together.damage[model][:, number] = np.nan if failed else values
    impedance = alone.history.get("impedance_ohm")
    if impedance is not None and len(impedance):
        together.conductance[number] = 1.0 / impedance[-1]
    walls = alone.energy["vessels_J"] + alone.energy["probe_cooling_J"]
    for name, values in together.energy.items():
        values[number] = walls if name == "walls_J" else alone.energy[name]
