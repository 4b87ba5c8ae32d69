"""Power ramp with roll-off: power rises in steps until the tissue dries, pauses, starts lower.

The roll-off is a limit on the impedance, a power that the generator's voltage no longer lets it
reach, or both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ablasim.physics.generator import (
    ROUNDING,
    Drive,
    Generator,
    GeneratorState,
    Reading,
    no_drive,
    reached,
)
from ablasim.physics.generator_pulsed import beyond, pause_end, refuse_low_limit, rolled_off

BEFORE = 1e-3
"""So long [s] before the end of a step the power is that of the step."""


@dataclass(frozen=True)
class RampGenerator(Generator):
    """Raises its power by `rise` every `interval`, from `first` or from where it restarts.

    Attributes:
        duration: length of the treatment [s].
        first: power at the start [W].
        rise: added each interval [W].
        interval: between two rises [s].
        power: most power [W].
        voltage: most voltage, root mean square [V].
        impedance: limit at the terminals [ohm].
        least_power: power below which the tissue counts as dried [W]; 0 for no such rule.
        pause: time without drive after a roll-off [s].
        restart: share of the power set at the roll-off with which it goes on.
        resistance: of the body in series with the tissue [ohm].
        most_rolloffs: the treatment ends at this roll-off; None for never.
    """

    duration: float
    first: float
    rise: float
    interval: float = 60.0
    power: float = math.inf
    voltage: float = math.inf
    impedance: float = math.inf
    least_power: float = 0.0
    pause: float = 30.0
    restart: float = 0.5
    resistance: float = 0.0
    most_rolloffs: int | None = None

    def start(self, reading: Reading) -> GeneratorState:
        """On with the first power.

        Raises:
            UsageError: the impedance's limit is below that of the tissue before it is heated.
        """
        refuse_low_limit(
            self.impedance, reading.impedance + self.resistance, "rolloff_impedance_ohm"
        )
        return replace(super().start(reading), level=self.first)

    def wanted(self, state: GeneratorState, time: float) -> float:
        """Power that is set at a time [W]."""
        rises = math.floor((time - state.since) / self.interval + ROUNDING)
        return min(state.level + self.rise * rises, self.power)

    def drive(self, state: GeneratorState, time: float) -> Drive:
        """The set power within the voltage, or nothing."""
        if state.phase != "on":
            return no_drive(self.resistance)
        return Drive(self.wanted(state, time), self.voltage, resistance=self.resistance)

    def next_event(self, state: GeneratorState, time: float) -> float:
        """Next rise, or the end of the pause."""
        if state.phase != "on":
            return pause_end(state, self.pause, self.duration)
        if self.rise == 0.0 or self.wanted(state, time) >= self.power:
            return self.duration
        rises = math.floor((time - state.since) / self.interval + ROUNDING) + 1
        return min(state.since + rises * self.interval, self.duration)

    def excess(self, state: GeneratorState, reading: Reading) -> float:
        """Impedance beyond its limit, or power missing, whichever is worse."""
        if state.phase != "on":
            return -math.inf
        missing = -math.inf
        asked = self._asked(state, reading)
        if 0.0 < self.least_power < asked and not math.isnan(reading.power):
            missing = 1.0 - reading.power / self.least_power
        return max(beyond(reading.impedance + self.resistance, self.impedance), missing)

    def _asked(self, state: GeneratorState, reading: Reading) -> float:
        """Power [W] that was set in the step just taken: not yet a rise at its end."""
        return self.wanted(state, max(state.since, reading.time - BEFORE))

    def after_step(self, state: GeneratorState, reading: Reading) -> GeneratorState:
        """Pause at a roll-off; after the pause rise again from a share of the power."""
        if state.phase == "pause" and reached(reading.time, state.since + self.pause):
            return replace(state, phase="on", since=reading.time)
        if self.excess(state, reading) > 0.0:
            level = self.restart * self._asked(state, reading)
            return replace(rolled_off(state, reading.time, self.most_rolloffs), level=level)
        return state
