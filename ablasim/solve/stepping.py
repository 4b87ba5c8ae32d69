"""The time loop: adaptive step, generator events, history, heat account, checkpoints, progress.

Plain Python around an engine's compiled steps; it knows no mesh kernel. The step is chosen so that
the local error in temperature, as a root mean square over the heated tissue, stays near the
tolerance: no quantity at the corner of the electrode, which is a singularity, can drive it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ablasim.errors import Interrupted
from ablasim.physics.generator import Drive, GeneratorState, Reading
from ablasim.progress import Progress, ProgressCallback
from ablasim.solve.checkpoint import Checkpoint, Record
from ablasim.solve.engine import Engine
from ablasim.solve.solution import Solution, Status
from ablasim.solve.step_control import (
    DRIED_STEP,
    DRIED_VOLUME,
    FIRST_STEP,
    GROW,
    HOPELESS,
    HOT_VOLUME,
    LEVEL_CHANGE,
    MOST_CHANGE,
    POTENTIAL_LIMIT,
    SAFETY,
    SHORTEST_STEP,
    SHRINK,
    STEP_AFTER_SWITCH,
    StepControl,
)


@dataclass
class _Clock:
    """Where the loop is."""

    now: float
    step: float
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
    at_end: Callable[[Any, float], None] | None = None,
) -> Solution:
    """Integrate a problem to the end of its protocol.

    Args:
        engine: holds the problem.
        control: tolerance and limits of the step.
        checkpoint: where the state is kept between sessions; None for nowhere.
        progress: told after every step.
        resume: continue from a valid checkpoint of the same problem.
        begun: when the engine's set-up began, by `time.perf_counter`, for the statistics.
        at_end: given the last state and its time [s], even where the checkpoint was of the end.

    Raises:
        Interrupted: on Ctrl-C, after the checkpoint was written.
        UsageError: with this load the generator could never work.
    """
    generator = engine.problem.generator
    state, record = engine.start(), Record()
    if progress is not None:
        progress(Progress("compile", 0.5, message="taking the first step"))
    clock = _Clock(0.0, control.fixed or FIRST_STEP, begun=begun or time.perf_counter())
    if checkpoint is not None and resume:
        loaded = checkpoint.load(state)
        if loaded is not None:
            state, record, clock.now, clock.step = loaded
    if not record.rows:
        record.generator = generator.start(_reading(engine, state, None, 0.0))
    end = generator.duration
    status = Status.DONE
    try:
        while not generator.ended(record.generator, clock.now):
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
    if at_end is not None:
        at_end(state, clock.now)
    return _solution(engine, state, record, status, clock)


def _step(
    engine: Engine, control: StepControl, state: Any, clock: _Clock, record: Record
) -> tuple[Any, Status | None]:
    """Take one accepted step, retrying shorter ones; a Status where that is impossible."""
    generator, before = engine.problem.generator, record.generator
    drive = generator.drive(before, clock.now)
    event = generator.next_event(before, clock.now)
    longest = control.longest
    dried = _dried_under_current(engine, drive, record)
    if dried > HOT_VOLUME and _can_roll_off(engine, state, drive, clock.now, record):
        longest = min(longest, engine.watched_step)
    elif dried > DRIED_VOLUME:
        longest = min(longest, DRIED_STEP)
    while True:
        wanted = min(clock.step, control.fixed or min(longest, engine.longest_step(state)))
        step, hits = _fit(wanted, event - clock.now)
        trial, report = engine.advance(state, step, drive)
        error = max(float(report.error), control.tolerance * float(report.change) / MOST_CHANGE)
        if error <= control.tolerance or (control.fixed is not None and not error > HOPELESS):
            ending = event if hits else clock.now + step
            reading = _reading(engine, trial, drive, ending)
            excess = generator.excess(before, reading)
            if excess <= 0.0 or step <= control.event:
                break
            share = _towards_event(engine, state, drive, clock.now, excess, before)
            clock.step = max(share * step, control.event)
            record.rejected += 1
            continue
        record.rejected += 1
        factor = SAFETY * (control.tolerance / error) ** (1.0 / 3.0) if error < math.inf else 0.0
        clock.step = step * max(SHRINK, min(factor, 0.7)) if factor > 0 else step * SHRINK
        if clock.step < SHORTEST_STEP:
            finite = math.isfinite(error)
            return state, Status.STEP_TOO_SMALL if finite else Status.NOT_FINITE
    if not math.isfinite(error):
        return state, Status.NOT_FINITE
    failed = float(report.residual) > POTENTIAL_LIMIT
    stands, switched = generator.after_step(before, reading), False
    if not failed:
        trial = engine.accept(trial, report, drive)
        trial, stands, switched = _switch(engine, trial, drive, ending, stands)
    # All that takes long is done: an interruption finds time, account and state of one moment.
    clock.now = ending
    record.add(clock.now, step, engine.problem, drive, report)
    if reading.sensors:
        record.last()["hottest_sensor_C"] = max(reading.sensors)
    record.generator = stands
    if failed:
        return trial, Status.POTENTIAL_FAILED
    if switched:
        clock.step = STEP_AFTER_SWITCH
    elif control.fixed is None:
        factor = SAFETY * (control.tolerance / max(error, 1e-12)) ** (1.0 / 3.0)
        grown = step * min(GROW, max(0.5, factor))
        # a step cut short by an event says little about the next one
        clock.step = max(grown, clock.step) if hits and grown > step else grown
    else:
        clock.step = control.fixed
    return trial, None


def _switch(
    engine: Engine, state: Any, drive: Drive, now: float, stands: GeneratorState
) -> tuple[Any, GeneratorState, bool]:
    """State and generator for the next step, whose drive the generator may have changed.

    The last value says whether what comes has little to do with what was.
    """
    generator = engine.problem.generator
    if generator.ended(stands, now):
        return state, stands, False
    after = generator.drive(stands, now)
    if after == drive:
        return state, stands, False
    state = engine.switch(state, drive, after)
    if drive.off and not after.off:
        # Tissue that is still dry trips the generator as soon as it drives again.
        reading = _reading(engine, state, after, now)
        if generator.excess(stands, reading) > 0.0:
            stands = generator.after_step(stands, reading)
            state, stands, _ = _switch(engine, state, after, now, stands)
            return state, stands, True
    return state, stands, _is_switch(engine, state, drive, after)


def _dried_under_current(engine: Engine, drive: Drive, record: Record) -> float:
    """Volume of dried tissue [m3] while a current flows, else zero."""
    if drive.off or engine.problem.electrodes is None or not record.rows:
        return 0.0
    return record.last()["dried_ml"] * 1e-6


def _can_roll_off(engine: Engine, state: Any, drive: Drive, now: float, record: Record) -> bool:
    """Whether the generator can roll off."""
    reading = _reading(engine, state, drive, now)
    return math.isfinite(engine.problem.generator.excess(record.generator, reading))


def _is_switch(engine: Engine, state: Any, before: Drive, after: Drive) -> bool:
    """Whether a change of the drive is more than a new level close to the old one."""
    if before.off or after.off or before.turn != after.turn:
        return True
    ratio = after.power_at(engine.conductance(state)) / before.power_at(engine.conductance(state))
    return not 1.0 / LEVEL_CHANGE < ratio < LEVEL_CHANGE


def _reading(engine: Engine, state: Any, drive: Drive | None, time: float) -> Reading:
    """What the generator measures in a state; before the start without a drive."""
    sensors = engine.sensors(state)
    if engine.problem.electrodes is None or (drive is not None and drive.off):
        return Reading(time, sensors=sensors)
    conductance = engine.conductance(state)
    power = math.nan if drive is None else drive.power_at(conductance)
    return Reading(time, 1.0 / conductance, power, sensors)


def _towards_event(
    engine: Engine, state: Any, drive: Drive, now: float, excess: float, before: GeneratorState
) -> float:
    """The share of a step that ends near the crossing of a generator's limit.

    Straight-line interpolation of the excess: where the impedance climbs ever faster it ends before
    the crossing and the step is taken, so that each try brings the crossing nearer.
    """
    reading = _reading(engine, state, drive, now)
    start = engine.problem.generator.excess(before, reading)
    share = -start / (excess - start) if math.isfinite(start) and start < 0.0 else 0.5
    return min(max(share, 0.1), 0.9)


def _fit(wanted: float, rest: float) -> tuple[float, bool]:
    """The step to take towards an event `rest` seconds away, and whether it ends there.

    Two steps of equal length replace a full one and a sliver.
    """
    if wanted >= rest * (1.0 - 1e-9):
        return rest, True
    return (0.5 * rest if wanted > 0.5 * rest else wanted), False


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
            "rejected": float(record.rejected),
            "potential_iterations": float(np.sum(history["potential_iterations"])),
            "potential_residual": float(np.max(history["potential_residual"], initial=0.0)),
            "stages": float(engine.stages),
            "seconds": time.perf_counter() - clock.begun,
            "start_seconds": max(clock.first_step - clock.begun, 0.0),
            **engine.statistics(state),
        },
        device=engine.device_name,
        damage=engine.damage(state),
        rolloffs=record.generator.rolloffs,
    )
