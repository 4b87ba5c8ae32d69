"""Impedance-controlled pulsing: drive until the impedance rolls off, pause, drive again.

Steam and dried tissue at the electrode raise the impedance; the generator then switches off for a
pause in which the tissue takes up water again. Trujillo et al. 2016
(10.1080/02656736.2016.1190868) modelled pulses of voltage, which have unrealistic power and fewer
millilitres, and pulses of current, which have a realistic power and fewer roll-offs: both are here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ablasim.errors import UsageError
from ablasim.physics.generator import (
    Drive,
    Generator,
    GeneratorState,
    Reading,
    no_drive,
    reached,
)


@dataclass(frozen=True)
class PulsedGenerator(Generator):
    """Holds a voltage or a current, within a power, and pauses when the impedance is too high.

    Attributes:
        duration: length of the treatment [s].
        voltage: that is held, root mean square [V]; infinite where the current is.
        current: that is held, root mean square [A]; infinite where the voltage is.
        power: most power at the terminals [W].
        impedance: limit at the terminals [ohm]; infinite where `rise` is given.
        rise: limit above the impedance at the start [ohm]; infinite where `impedance` is given.
        pause: time without drive after a roll-off [s].
        resistance: of the body in series with the tissue [ohm].
        most_rolloffs: the treatment ends at this roll-off; None for never.
    """

    duration: float
    voltage: float = math.inf
    current: float = math.inf
    power: float = math.inf
    impedance: float = math.inf
    rise: float = math.inf
    pause: float = 15.0
    resistance: float = 0.0
    most_rolloffs: int | None = None

    def start(self, reading: Reading) -> GeneratorState:
        """On; the impedance at the start is the baseline.

        Raises:
            UsageError: the limit is below the impedance of the tissue before it is heated.
        """
        state = super().start(reading)
        refuse_low_limit(
            self.limit(state), reading.impedance + self.resistance, "impedance_limit_ohm"
        )
        return state

    def limit(self, state: GeneratorState) -> float:
        """Impedance at which the generator pauses [ohm]."""
        if not math.isfinite(self.rise):
            return self.impedance
        return min(self.impedance, state.baseline + self.resistance + self.rise)

    def drive(self, state: GeneratorState, time: float) -> Drive:
        """The set value within the power, or nothing."""
        if state.phase != "on":
            return no_drive(self.resistance)
        return Drive(self.power, self.voltage, self.current, self.resistance)

    def next_event(self, state: GeneratorState, time: float) -> float:
        """End of the pause."""
        return self.duration if state.phase == "on" else pause_end(state, self.pause, self.duration)

    def excess(self, state: GeneratorState, reading: Reading) -> float:
        """Impedance beyond its limit."""
        if state.phase != "on":
            return -math.inf
        return beyond(reading.impedance + self.resistance, self.limit(state))

    def after_step(self, state: GeneratorState, reading: Reading) -> GeneratorState:
        """Pause at a roll-off, drive again after the pause."""
        if state.phase == "pause" and reached(reading.time, state.since + self.pause):
            return replace(state, phase="on", since=reading.time)
        if self.excess(state, reading) > 0.0:
            return rolled_off(state, reading.time, self.most_rolloffs)
        return state


def rolled_off(state: GeneratorState, time: float, most: int | None) -> GeneratorState:
    """The state after a roll-off: in the pause, or done where it was the last allowed."""
    times = (*state.rolloffs, time)
    done = most is not None and len(times) >= most
    return replace(state, phase="done" if done else "pause", since=time, rolloffs=times)


def pause_end(state: GeneratorState, pause: float, duration: float) -> float:
    """When a pause ends, at most the end of the treatment [s]."""
    return min(state.since + pause, duration)


def beyond(impedance: float, limit: float) -> float:
    """Impedance beyond a limit, relative to it; minus infinity where either is unknown."""
    if math.isnan(impedance) or not math.isfinite(limit):
        return -math.inf
    return impedance / limit - 1.0


def refuse_low_limit(limit: float, impedance: float, key: str) -> None:
    """Stop where the generator would roll off before it has heated anything.

    Args:
        limit: impedance at which it rolls off [ohm].
        impedance: seen by the generator at the start [ohm].
        key: of the limit in a protocol.

    Raises:
        UsageError: the limit is not above the impedance at the start.
    """
    if beyond(impedance, limit) > 0.0:
        raise UsageError(
            f"protocol.{key}: got {limit:g}; the generator sees {impedance:.1f} ohm "
            "before any tissue is heated: choose a limit above that"
        )
