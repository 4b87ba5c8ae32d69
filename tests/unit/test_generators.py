"""The generators' state machines against a load of one number: the real time loop, no mesh.

The load is a lump of tissue whose conductance rises with temperature and collapses above 100 °C, so
that it rolls off as tissue does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablasim.errors import Interrupted, UsageError
from ablasim.physics.electric import Circuit
from ablasim.physics.generator import (
    EVENT_TOLERANCE,
    ConstantGenerator,
    Drive,
    Generator,
    GeneratorState,
    Reading,
)
from ablasim.physics.generator_pulsed import PulsedGenerator
from ablasim.physics.generator_ramp import RampGenerator
from ablasim.physics.generator_steps import StepsGenerator, SwitchedGenerator
from ablasim.physics.generator_temperature import TemperatureGenerator
from ablasim.solve import Solution, Status, StepControl
from ablasim.solve.checkpoint import Checkpoint
from ablasim.solve.step_control import FINE_K
from ablasim.solve.stepping import march

CAPACITY = 40.0  # [J/K]
LOSS = 0.5  # [W/K]
BODY = 37.0
COLD_OHM = 50.0


@dataclass(frozen=True)
class Lump:
    """State of the load."""

    temperature: np.ndarray
    turn: np.ndarray


class LumpedLoad:
    """An engine whose tissue is one temperature, integrated exactly for a constant power."""

    stages = 0
    watched_step = 0.5
    device_name = "none"

    def __init__(self, generator: Generator, turns: int = 1) -> None:
        circuits = (Circuit(),) * turns
        self.problem: Any = SimpleNamespace(
            generator=generator,
            electrodes=SimpleNamespace(circuits=circuits),
            walls=(),
            laws=SimpleNamespace(vaporisation_band=(99.0, 100.0)),
        )
        self.solved = 0

    def start(self) -> Lump:
        return Lump(np.array(BODY), np.array(0))

    def longest_step(self, state: Lump) -> float:
        return math.inf

    def conductance(self, state: Lump) -> float:
        T = float(state.temperature)
        rising = 1.0 + 0.015 * (min(T, 100.0) - BODY)
        dried = 1.0 / (1.0 + math.exp((T - 104.0) / 1.0))
        return rising * (0.05 + 0.95 * dried) / COLD_OHM / (1.0 + int(state.turn))

    def advance(self, state: Lump, step: float, drive: Drive) -> tuple[Lump, Any]:
        # short substeps make the load's own answer independent of the step
        T, count = float(state.temperature), max(1, math.ceil(step / 0.02))
        small, delivered = step / count, 0.0
        for _ in range(count):
            G = self.conductance(Lump(np.array(T), state.turn))
            heat = drive.scale(G) * G
            delivered += heat * small
            T += small * (heat - LOSS * (T - BODY)) / CAPACITY
        new = Lump(np.array(T), np.array(drive.turn if not drive.off else int(state.turn)))
        G = self.conductance(new)
        report = SimpleNamespace(
            error=0.0, change=0.0, conductance=G, residual=0.0, iterations=0 if drive.off else 1,
            delivered=delivered, stored=0.0, perfusion=0.0, boundary=0.0, walls=(),
            hot=T, dried=0.0, lethal=0.0, blood=(), flowing=(),
        )  # fmt: skip
        self.solved += not drive.off
        return new, report

    def accept(self, state: Lump, report: Any, drive: Drive) -> Lump:
        return state

    def switch(self, state: Lump, before: Drive, after: Drive) -> Lump:
        return state if after.off else replace(state, turn=np.array(after.turn))

    def sensors(self, state: Lump) -> tuple[float, ...]:
        return float(state.temperature), BODY

    def temperature(self, state: Lump) -> np.ndarray:
        return state.temperature[None]

    peak = temperature

    def potential(self, state: Lump) -> None:
        return None

    def sigma(self, state: Lump) -> None:
        return None

    def damage(self, state: Lump) -> dict[str, np.ndarray]:
        return {}

    def statistics(self, state: Lump) -> dict[str, float]:
        return {}


def treat(generator: Generator, longest: float = 10.0, turns: int = 1, **more: Any) -> Solution:
    solution = march(LumpedLoad(generator, turns), StepControl(longest=longest), **more)
    assert solution.status is Status.DONE
    return solution


def pulses(**changes: Any) -> PulsedGenerator:
    values: dict[str, Any] = {"duration": 200.0, "current": 1.2, "power": 120.0, "rise": 30.0}
    return PulsedGenerator(**(values | changes))


# -- the drive ------------------------------------------------------------------------------------


@given(
    st.floats(1.0, 500.0), st.floats(1.0, 300.0), st.floats(0.1, 5.0),
    st.floats(1e-4, 1.0), st.floats(0.0, 100.0),
)  # fmt: skip
def test_a_drive_reaches_one_limit_and_exceeds_none(
    power: float, voltage: float, current: float, conductance: float, resistance: float
) -> None:
    """Catches a limit taken at the tissue where it holds at the terminals."""
    drive = Drive(power, voltage, current, resistance)
    tissue_volt = math.sqrt(drive.scale(conductance))
    amps = tissue_volt * conductance
    volts = tissue_volt + amps * resistance
    shares = (volts * amps / power, volts / voltage, amps / current)
    assert max(shares) == pytest.approx(1.0, rel=1e-9)
    assert drive.power_at(conductance) == pytest.approx(volts * amps, rel=1e-9)


@pytest.mark.parametrize("drive", [Drive(power=0.0), Drive(voltage=0.0), Drive(current=0.0)])
def test_a_drive_that_holds_nothing_is_off(drive: Drive) -> None:
    assert drive.off and drive.scale(0.02) == 0.0 and drive.power_at(0.02) == 0.0


# -- pulsing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [{"current": 1.2}, {"current": math.inf, "voltage": 65.0}])
def test_pulses_pause_at_each_rolloff(held: dict[str, float]) -> None:
    """Catches a pause that is counted from the wrong time, and a roll-off that is counted twice."""
    generator = pulses(power=200.0, **held)
    solution = treat(generator)
    history, times = solution.history, solution.history["time_s"]
    assert len(solution.rolloffs) >= 2
    for rolloff in solution.rolloffs:
        assert rolloff in times
        end = min(rolloff + generator.pause, generator.duration)
        resting = (times > rolloff) & (times <= end)
        assert resting.any() or rolloff == times[-1]
        assert (history["power_W"][resting] == 0.0).all()
        assert np.isnan(history["impedance_ohm"][resting]).all()
        assert (history["generator_on"][resting] == 0.0).all()
        assert end in times  # the switch ends a step
        assert history["impedance_ohm"][times == rolloff][0] > COLD_OHM + generator.rise
    on = history["generator_on"] == 1.0
    before = on & ~np.isin(times, solution.rolloffs)
    assert (history["impedance_ohm"][before] <= COLD_OHM + generator.rise).all()


@settings(max_examples=15, deadline=None)
@given(
    current=st.floats(0.8, 2.0), power=st.floats(40.0, 200.0), pause=st.floats(2.0, 20.0),
    resistance=st.floats(0.0, 40.0), longest=st.floats(0.5, 20.0),
)  # fmt: skip
def test_pulses_keep_their_limits(
    current: float, power: float, pause: float, resistance: float, longest: float
) -> None:
    """No row beyond the power or the current; no heat in a pause. Catches a limit that is applied
    to the tissue alone and one that is dropped after a pause."""
    generator = pulses(current=current, power=power, pause=pause, resistance=resistance)
    history = treat(generator, longest).history
    total = history.get("generator_power_W", history["power_W"])
    assert (total <= power * (1 + 1e-9)).all()
    assert (history["current_A"] <= current * (1 + 1e-9)).all()
    off = history["generator_on"] == 0.0
    assert (history["power_W"][off] == 0.0).all()
    delivered = np.diff(np.append(0.0, history["delivered_J"]))
    assert (delivered[off] == 0.0).all()


@pytest.mark.parametrize("longest", [20.0, 10.0, 5.0, 1.0])
def test_a_rolloff_is_found_inside_a_long_step(longest: float) -> None:
    """The load's own crossing, found by steps of 10 ms, whatever the longest step. Catches a
    roll-off that waits for the end of a step."""
    generator = pulses(duration=180.0)
    exact = treat(generator, 0.01).rolloffs
    found = treat(generator, longest).rolloffs
    assert len(found) == len(exact) >= 1
    assert found[0] == pytest.approx(exact[0], abs=EVENT_TOLERANCE + 0.01)


@pytest.mark.parametrize("tolerance", [0.02, 0.002])
def test_finer_steps_locate_a_rolloff_more_closely(tolerance: float) -> None:
    """Within 2 s for each kelvin of a step's error, and a tenth of that where steps are fine; with
    a tenth of a second for every tolerance two engines would still treat differently."""
    exact = treat(pulses(duration=180.0), 0.001).rolloffs[0]
    control = StepControl(tolerance=tolerance, longest=5.0)
    found = march(LumpedLoad(pulses(duration=180.0), 1), control).rolloffs[0]
    assert control.event == pytest.approx((0.2 if tolerance <= FINE_K else 2.0) * tolerance)
    assert found == pytest.approx(exact, abs=control.event + 0.002)


def test_the_limit_counts_the_body() -> None:
    """30 ohm of body beside the tissue trip an absolute limit earlier, a rise at the same time."""
    limit = {"rise": math.inf, "impedance": 110.0}
    without = treat(pulses(**limit)).rolloffs[0]
    assert treat(pulses(**limit, resistance=30.0, power=math.inf)).rolloffs[0] < without
    free = pulses(power=math.inf)
    bodily = replace(free, resistance=30.0)
    assert treat(bodily).rolloffs[0] == pytest.approx(treat(free).rolloffs[0], abs=1e-9)
    history = treat(replace(bodily, duration=5.0)).history
    assert history["generator_impedance_ohm"] == pytest.approx(history["impedance_ohm"] + 30.0)


def test_a_treatment_can_end_at_a_rolloff() -> None:
    solution = treat(pulses(most_rolloffs=2))
    assert len(solution.rolloffs) == 2
    assert solution.history["time_s"][-1] == solution.rolloffs[-1] < 200.0


def test_a_limit_below_the_cold_tissue_is_refused() -> None:
    with pytest.raises(UsageError, match=r"got 40; the generator sees 50\.0 ohm"):
        treat(pulses(rise=math.inf, impedance=40.0))


class DryLoad(LumpedLoad):
    """A load that stays dry once it was."""

    dry = False

    def conductance(self, state: Lump) -> float:
        self.dry |= float(state.temperature) > 104.0
        return 1e-3 if self.dry else super().conductance(state)


def test_still_dry_tissue_trips_at_once() -> None:
    """After a pause the generator measures, finds no way, and pauses again without driving."""
    solution = march(DryLoad(pulses()), StepControl(longest=10.0))
    first, times = solution.rolloffs[0], solution.history["time_s"]
    assert len(solution.rolloffs) >= 3
    assert np.diff(solution.rolloffs) == pytest.approx(15.0)
    assert (solution.history["generator_on"][times > first] == 0.0).all()


# -- interruption ---------------------------------------------------------------------------------


def test_a_run_resumes_inside_a_pause(tmp_path: Path) -> None:
    """Catches a pause that begins anew, and roll-offs that are forgotten."""
    whole = treat(pulses())
    stop_after = whole.rolloffs[0] + 3.0

    def interrupt(event: Any) -> None:
        if event.time_s is not None and event.time_s > stop_after:
            raise KeyboardInterrupt

    keeper = Checkpoint(tmp_path / "run.npz", "key")
    with pytest.raises(Interrupted):
        treat(pulses(), checkpoint=keeper, progress=interrupt)
    loaded = keeper.load(LumpedLoad(pulses()).start())
    assert loaded is not None
    assert loaded[1].generator.phase == "pause"
    resumed = treat(pulses(), checkpoint=keeper)
    assert resumed.rolloffs == whole.rolloffs
    assert resumed.statistics["rejected"] == whole.statistics["rejected"] > 0
    for name, column in whole.history.items():
        np.testing.assert_array_equal(resumed.history[name], column, name)


def test_an_interruption_at_the_end_of_a_step_loses_nothing(tmp_path: Path) -> None:
    """Catches a step that is booked before its state is kept: the heat would be there twice."""

    class Interrupting(LumpedLoad):
        def accept(self, state: Lump, report: Any, drive: Drive) -> Lump:
            if self.solved > 12:
                raise KeyboardInterrupt
            return state

    whole = treat(pulses())
    keeper = Checkpoint(tmp_path / "run.npz", "key")
    with pytest.raises(Interrupted):
        march(Interrupting(pulses(), 1), StepControl(longest=10.0), checkpoint=keeper)
    resumed = treat(pulses(), checkpoint=keeper)
    for name, column in whole.history.items():
        np.testing.assert_array_equal(resumed.history[name], column, name)


def test_a_state_survives_the_checkpoint() -> None:
    state = GeneratorState("pause", 3.5, 1.25, -2.0, 50.0, (3.5, 20.25))
    assert GeneratorState.restored(state.stored()) == state
    with pytest.raises(KeyError):
        GeneratorState.restored({"phase": "on"})


# -- the other modes ------------------------------------------------------------------------------


def test_temperature_control_reaches_its_target_and_stays() -> None:
    """Catches a wrong sign, a wound-up integral (an overshoot of many kelvin), and sampling that
    follows the solver's steps."""
    generator = TemperatureGenerator(400.0, target=85.0, power=60.0, gain=2.0, integral_gain=0.05)
    solutions = [treat(generator, longest) for longest in (10.0, 0.5)]
    for solution in solutions:
        times, peak = solution.history["time_s"], solution.history["peak_C"]
        assert peak.max() < 87.5
        assert peak[times > 200.0] == pytest.approx(85.0, abs=0.2)
        assert (solution.history["power_W"] <= 60.0 * (1 + 1e-9)).all()
        assert np.isin(np.arange(2.0, 400.0, 2.0), times).all()
    ends = [solution.history["power_W"][-1] for solution in solutions]
    assert ends[0] == pytest.approx(ends[1], rel=1e-6)


def test_temperature_control_by_the_mean() -> None:
    """The second sensor stays at body temperature, so the mean asks for twice the rise."""
    generator = TemperatureGenerator(
        600.0, target=55.0, power=60.0, gain=2.0, integral_gain=0.05, judged_by="mean"
    )
    assert treat(generator).history["peak_C"][-1] == pytest.approx(73.0, abs=0.3)


def test_a_ramp_rises_rolls_off_and_restarts_lower() -> None:
    generator = RampGenerator(
        400.0, first=20.0, rise=5.0, interval=20.0, impedance=100.0, pause=30.0, restart=0.5
    )
    solution = treat(generator)
    times, power = solution.history["time_s"], solution.history["power_W"]
    (first, *_) = solution.rolloffs
    # power at the end of each accepted step: that of the step before a rise
    rises = np.floor((times - 1e-6) / 20.0)
    early = times <= first
    assert power[early] == pytest.approx((20.0 + 5.0 * rises)[early])
    assert np.isin(np.arange(20.0, first, 20.0), times).all()
    at_rolloff = 20.0 + 5.0 * math.floor(first / 20.0)
    back = np.flatnonzero(times > first + 30.0 + 1e-9)[0]
    assert power[back] == pytest.approx(0.5 * at_rolloff)


def test_a_ramp_rolls_off_where_its_voltage_holds_the_power_down() -> None:
    generator = RampGenerator(
        300.0, first=40.0, rise=10.0, interval=20.0, voltage=60.0, least_power=36.0, most_rolloffs=1
    )
    solution = treat(generator)
    assert len(solution.rolloffs) == 1
    assert solution.history["power_W"][-1] < 36.0
    assert (solution.history["voltage_V"] <= 60.0 * (1 + 1e-9)).all()


def test_a_ramp_still_sees_its_power_fall_after_a_restart() -> None:
    """Catches a rule that looks at the power of the restart, not at the one that was set."""
    generator = RampGenerator(900.0, first=80.0, rise=10.0, least_power=25.0, restart=0.25)
    state = generator.start(Reading(0.0, 50.0, 80.0))
    state = generator.after_step(state, Reading(30.0, 50.0, 2.0))
    assert state.phase == "pause" and state.level == 20.0
    state = generator.after_step(state, Reading(60.0, 50.0))
    assert generator.excess(state, Reading(61.0, 50.0, 20.0)) == -math.inf
    assert generator.excess(state, Reading(600.0, 50.0, 2.0)) > 0.0


def test_a_ramp_that_rolls_off_at_a_rise_restarts_from_what_was_set() -> None:
    """Catches a rise at that moment, which was never asked for, in the power of the restart."""
    generator = RampGenerator(
        300.0, first=50.0, rise=10.0, interval=60.0, impedance=100.0, restart=0.5
    )
    state = generator.start(Reading(0.0, 50.0, 50.0))
    for time in (59.0, 60.0):
        assert generator.after_step(state, Reading(time, 120.0, 50.0)).level == 25.0
    assert generator.after_step(state, Reading(61.0, 120.0, 60.0)).level == 30.0


def test_timed_steps_end_exactly() -> None:
    drives = (Drive(power=20.0), Drive(power=0.0), Drive(voltage=30.0), Drive(current=0.5))
    generator = StepsGenerator(drives, (13.7, 20.0, 61.3, 90.0))
    assert generator.duration == 90.0
    history = treat(generator).history
    times = history["time_s"]
    assert np.isin([13.7, 20.0, 61.3, 90.0], times).all()
    assert history["power_W"][times <= 13.7] == pytest.approx(20.0)
    assert (history["power_W"][(times > 13.7) & (times <= 20.0)] == 0.0).all()
    assert history["voltage_V"][(times > 20.0) & (times <= 61.3)] == pytest.approx(30.0)
    assert history["current_A"][times > 61.3] == pytest.approx(0.5)


def test_turns_follow_the_clock() -> None:
    generator = SwitchedGenerator(ConstantGenerator("current", 0.6, 100.0), turns=3, dwell=12.5)
    history = treat(generator, turns=3).history
    times = history["time_s"]
    assert np.isin(np.arange(12.5, 100.0, 12.5), times).all()
    assert history["turn"] == pytest.approx(np.floor((times - 1e-6) / 12.5) % 3)


def test_nothing_is_solved_while_the_generator_is_off() -> None:
    engine = LumpedLoad(pulses())
    march(engine, StepControl(longest=10.0))
    on = LumpedLoad(ConstantGenerator("power", 0.0, 50.0))
    march(on, StepControl(longest=10.0))
    assert engine.solved > 0 and on.solved == 0


@pytest.mark.parametrize(
    "generator",
    [
        ConstantGenerator("voltage", 30.0, 60.0),
        pulses(duration=60.0),
        TemperatureGenerator(60.0, target=80.0, power=50.0),
        RampGenerator(60.0, first=20.0, rise=5.0),
        StepsGenerator((Drive(power=20.0),), (60.0,)),
        SwitchedGenerator(ConstantGenerator("power", 20.0, 60.0), 2, 20.0),
    ],
    ids=lambda generator: type(generator).__name__,
)
def test_no_mode_asks_for_an_event_in_the_past(generator: Generator) -> None:
    """Catches an event that does not move on, at which the time loop would stand still."""
    state = generator.start(Reading(0.0, COLD_OHM, sensors=(BODY,)))
    time = 0.0
    for _ in range(1000):
        event = generator.next_event(state, time)
        assert time < event <= 60.0
        time = event
        if generator.ended(state, time):
            return
        state = generator.after_step(state, Reading(time, COLD_OHM, 20.0, (BODY + time,)))
    raise AssertionError("the treatment does not end")
