"""The time loop: adaptive step, generator events, history, heat account, checkpoints, progress.

Plain Python around an engine's compiled steps; it knows no mesh kernel. The step is chosen so that
the local error in temperature, as a root mean square over the heated tissue, stays near the
tolerance: no quantity at the corner of the electrode, which is a singularity, can drive it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ablasim.errors import Interrupted
from ablasim.physics.generator import Drive
from ablasim.physics.problem import BioheatProblem
from ablasim.progress import Progress, ProgressCallback
from ablasim.solve.checkpoint import Checkpoint, Record
from ablasim.solve.solution import Floats, Solution, Status

FIRST_STEP = 0.05
"""First step after the drive changes [s]; the controller lengthens it quickly."""

SHORTEST_STEP = 1e-5
"""Step [s] at which the run is given up."""

MOST_CHANGE = 0.1
"""Relative change of the load over a step: drying tissue must not outrun the step."""

POTENTIAL_LIMIT = 1e-3
"""Relative residual at which the potential counts as failed; the engine has tried to mend it."""

SAFETY, SHRINK, GROW = 0.9, 0.2, 2.0
"""Of the step controller: aim below the tolerance, and change the step by these factors at most."""


class Engine(Protocol):
    """What the time loop needs of an engine; states and reports are the engine's own."""

    problem: BioheatProblem
    device_name: str
    stages: int

    def start(self) -> Any:
        """State at time zero."""

    def longest_step(self, state: Any) -> float:
        """Longest step [s] that the engine can take from a state."""

    def advance(self, state: Any, step: float, drive: Drive) -> tuple[Any, Any]:
        """A trial step: new state and report."""

    def accept(self, state: Any, report: Any) -> Any:
        """The state to go on from after a step was accepted."""

    def temperature(self, state: Any) -> Floats:
        """Temperature in mesh order (n,) [°C]."""

    def peak(self, state: Any) -> Floats:
        """Highest temperature so far in mesh order (n,) [°C]."""

    def potential(self, state: Any) -> Floats | None:
        """Potential for one volt in mesh order (n,) [V]."""

    def sigma(self, state: Any) -> Floats | None:
        """Electrical conductivity per cell (m,) [S/m]."""

    def statistics(self, state: Any) -> dict[str, float]:
        """What else the engine counted."""


@dataclass(frozen=True)
class StepControl:
    """Numbers of the step control.

    Attributes:
        tolerance: local error per step, root mean square over the heated tissue [K].
        longest: longest step [s].
        fixed: constant step [s] without error control, for convergence tests.
    """

    tolerance: float = 0.02
    longest: float = 15.0
    fixed: float | None = None


@dataclass
class _Clock:
    """Where the loop is."""

    now: float
    step: float
    rejected: int = 0
    begun: float = 0.0
    first_step: float = 0.0


def march(
    engine: Engine,
    control: StepControl,
    *,
    checkpoint: Checkpoint | None = None,
    progress: ProgressCallback | None = None,
    resume: bool = True,
    begun: float | None = None,
) -> Solution:
    """Integrate a problem to the end of its protocol.

    Args:
        engine: holds the problem.
        control: tolerance and limits of the step.
        checkpoint: where the state is kept between sessions; None for nowhere.
        progress: told after every step.
        resume: continue from a valid checkpoint of the same problem.
        begun: when the engine's set-up began, by `time.perf_counter`, for the statistics.

    Raises:
        Interrupted: on Ctrl-C, after the checkpoint was written.
    """
    problem = engine.problem
    state, record = engine.start(), Record()
    clock = _Clock(0.0, control.fixed or FIRST_STEP, begun=begun or time.perf_counter())
    if checkpoint is not None and resume:
        loaded = checkpoint.load(state)
        if loaded is not None:
            state, record, clock.now, clock.step = loaded
    end = problem.generator.events()[-1]
    status = Status.DONE
    try:
        while clock.now < end * (1.0 - 1e-12):
            state, failure = _step(engine, control, state, clock, record)
            if failure is not None:
                status = failure
                break
            clock.first_step = clock.first_step or time.perf_counter()
            if progress is not None:
                if len(record.rows) == 1:
                    progress(Progress("compile", 1.0))
                progress(_event(record, end))
            if checkpoint is not None:
                checkpoint.save_if_due((state, record, clock.now, clock.step))
    except KeyboardInterrupt:
        where = ""
        if checkpoint is not None:
            checkpoint.save((state, record, clock.now, clock.step))
            where = f"; the state is kept in {checkpoint.path}, run the same command to continue"
        raise Interrupted(f"interrupted at {clock.now:.1f} s of {end:g} s{where}") from None
    if checkpoint is not None:
        checkpoint.save((state, record, clock.now, clock.step))
    return _solution(engine, state, record, status, clock)


def _step(
    engine: Engine, control: StepControl, state: Any, clock: _Clock, record: Record
) -> tuple[Any, Status | None]:
    """Take one accepted step, retrying shorter ones; a Status where that is impossible."""
    generator = engine.problem.generator
    event = next(t for t in generator.events() if t > clock.now * (1.0 + 1e-12))
    while True:
        wanted = min(clock.step, control.fixed or min(control.longest, engine.longest_step(state)))
        step, hits = _fit(wanted, event - clock.now)
        drive = _drive(engine.problem, clock.now)
        trial, report = engine.advance(state, step, drive)
        error = max(float(report.error), control.tolerance * float(report.change) / MOST_CHANGE)
        if control.fixed is not None or error <= control.tolerance:
            break
        clock.rejected += 1
        factor = SAFETY * (control.tolerance / error) ** (1.0 / 3.0) if error < math.inf else 0.0
        clock.step = step * max(SHRINK, min(factor, 0.7)) if factor > 0 else step * SHRINK
        if clock.step < SHORTEST_STEP:
            finite = math.isfinite(error)
            return state, Status.STEP_TOO_SMALL if finite else Status.NOT_FINITE
    if not math.isfinite(error):
        return state, Status.NOT_FINITE
    clock.now = event if hits else clock.now + step
    record.add(clock.now, step, engine.problem, drive, report)
    if float(report.residual) > POTENTIAL_LIMIT:
        return trial, Status.POTENTIAL_FAILED
    if control.fixed is None:
        factor = SAFETY * (control.tolerance / max(error, 1e-12)) ** (1.0 / 3.0)
        grown = step * min(GROW, max(0.5, factor))
        # a step cut short by an event says little about the next one
        clock.step = max(grown, clock.step) if hits and grown > step else grown
    return engine.accept(trial, report), None


def _fit(wanted: float, rest: float) -> tuple[float, bool]:
    """The step to take towards an event `rest` seconds away, and whether it ends there.

    Two steps of equal length replace a full one and a sliver.
    """
    if wanted >= rest * (1.0 - 1e-9):
        return rest, True
    return (0.5 * rest if wanted > 0.5 * rest else wanted), False


def _drive(problem: BioheatProblem, now: float) -> Drive:
    """The drive at a time [s]: electric, absorbed, or nothing to drive."""
    if problem.electrodes is not None:
        return problem.generator.electric_drive(now)
    if problem.absorption is not None or problem.microwave is not None:
        return problem.generator.absorbed_drive(now)
    return Drive(0.0, 0.0)


def _event(record: Record, end: float) -> Progress:
    row = record.last()
    return Progress(
        stage="solve",
        fraction=row["time_s"] / end,
        time_s=row["time_s"],
        duration_s=end,
        peak_C=row["peak_C"],
        lethal_ml=row["lethal_ml"],
    )


def _solution(
    engine: Engine, state: Any, record: Record, status: Status, clock: _Clock
) -> Solution:
    history = record.history()
    unit, potential = engine.potential(state), None
    if unit is not None and len(history["time_s"]):
        potential = unit * history["voltage_V"][-1]
    return Solution(
        temperature=engine.temperature(state),
        peak=engine.peak(state),
        sigma=engine.sigma(state),
        potential=potential,
        history=history,
        energy=record.energy(engine.problem),
        status=status,
        statistics={
            "steps": float(len(history["time_s"])),
            "rejected": float(clock.rejected),
            "potential_iterations": float(np.sum(history["potential_iterations"])),
            "stages": float(engine.stages),
            "seconds": time.perf_counter() - clock.begun,
            "start_seconds": max(clock.first_step - clock.begun, 0.0),
            **engine.statistics(state),
        },
        device=engine.device_name,
    )
