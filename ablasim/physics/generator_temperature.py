"""Temperature control: a sampled proportional-integral controller sets the power.

Every `interval` the controller reads its sensors and changes the power by

    K_p (e_n - e_(n-1)) + K_i interval e_n,   e = target - T,

within the generator's limits, and holds it until the next sample. In this form the integral cannot
wind up while the power is at a limit. A sampled controller with its own interval gives the same
treatment whatever the steps of the solver; one that acted at every step would not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from ablasim.physics.generator import Drive, Generator, GeneratorState, Reading, reached


@dataclass(frozen=True)
class TemperatureGenerator(Generator):
    """Keeps the hottest sensor, or the mean of the sensors, at a target.

    Attributes:
        duration: length of the treatment [s].
        target: [°C].
        power: most power at the terminals [W].
        voltage: most voltage, root mean square [V].
        gain: K_p [W/K].
        integral_gain: K_i [W/K/s].
        interval: between two samples [s].
        judged_by: which of the sensors' temperatures is controlled.
        resistance: of the body in series with the tissue [ohm].
    """

    duration: float
    target: float
    power: float
    voltage: float = math.inf
    gain: float = 0.5
    integral_gain: float = 0.02
    interval: float = 2.0
    judged_by: Literal["max", "mean"] = "max"
    resistance: float = 0.0

    def deviation(self, sensors: tuple[float, ...]) -> float:
        """Target minus the controlled temperature [K]."""
        seen = max(sensors) if self.judged_by == "max" else sum(sensors) / len(sensors)
        return self.target - seen

    def start(self, reading: Reading) -> GeneratorState:
        """The first power is proportional to the first deviation."""
        error = self.deviation(reading.sensors)
        return replace(super().start(reading), error=error, level=self._within(self.gain * error))

    def _within(self, power: float) -> float:
        return min(max(power, 0.0), self.power)

    def drive(self, state: GeneratorState, time: float) -> Drive:
        """The power of the last sample."""
        return Drive(state.level, self.voltage, resistance=self.resistance)

    def next_event(self, state: GeneratorState, time: float) -> float:
        """The next sample."""
        return min(state.since + self.interval, self.duration)

    def after_step(self, state: GeneratorState, reading: Reading) -> GeneratorState:
        """A new power at each sample."""
        if not reached(reading.time, state.since + self.interval):
            return state
        error = self.deviation(reading.sensors)
        change = self.gain * (error - state.error) + self.integral_gain * self.interval * error
        return replace(
            state, since=reading.time, error=error, level=self._within(state.level + change)
        )
