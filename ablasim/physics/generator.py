"""The generator: how strongly the probe is driven, as a function of time and of what it measures.

For a frozen sigma the potential problem is linear, so the solver finds the field for 1 V once and
scales it. A generator holds one quantity at its terminals subject to limits on the others. With G
the conductance of the tissue [S] and R_b a resistance in series with it (the rest of the body), the
square of the voltage across the tissue is the least of

    P / (G (1 + G R_b)),   (V / (1 + G R_b))^2,   I^2 / G^2.

A generator is a frozen set of numbers; where it stands is a `GeneratorState`, which the time loop
carries from step to step and keeps in checkpoints. The loop asks for the drive, ends a step at the
next timed event, and after every step shows the generator what it would have measured. A reading
that trips the generator is located by shorter steps, to within `EVENT_TOLERANCE` or closer where
the steps are finer, so that the time of a roll-off does not depend on their length.

`generator_pulsed`, `generator_temperature`, `generator_ramp` and `generator_steps` hold the other
modes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

Mode = Literal["power", "voltage", "current"]

Phase = Literal["on", "pause", "done"]

EVENT_TOLERANCE = 0.1
"""Most time [s] within which the crossing of a generator's limit is located."""

ROUNDING = 1e-9
"""Times [s] closer than this, relative to themselves where that is more, are the same."""


@dataclass(frozen=True)
class Drive:
    """What the generator holds over a step: the tightest of these limits rules.

    Attributes:
        power: at the generator's terminals [W].
        voltage: root mean square [V].
        current: root mean square [A].
        resistance: R_b in series with the tissue [ohm].
        turn: which wiring of the electrodes is in use.
    """

    power: float = math.inf
    voltage: float = math.inf
    current: float = math.inf
    resistance: float = 0.0
    turn: int = 0

    @property
    def off(self) -> bool:
        """Whether nothing is driven."""
        return min(self.power, self.voltage, self.current) == 0.0

    def scale(self, conductance: float) -> float:
        """Square of the voltage across the tissue [V2] for a conductance [S].

        For an antenna, whose unit field is one watt of the generator at a conductance of 1, it is
        that power in watts.
        """
        return 0.0 if self.off else float(voltage_squared(self.limits(), conductance, np))

    def limits(self) -> tuple[float, float, float, float]:
        """P [W], V^2 [V2], I^2 [A2] and R_b [ohm]: what a compiled step needs."""
        return self.power, self.voltage**2, self.current**2, self.resistance

    def power_at(self, conductance: float) -> float:
        """Power at the generator's terminals [W] for a conductance [S]."""
        return self.scale(conductance) * conductance * (1.0 + conductance * self.resistance)


def no_drive(resistance: float = 0.0) -> Drive:
    """The drive of a pause, with the body's resistance [ohm] that goes with the others."""
    return Drive(power=0.0, resistance=resistance)


def voltage_squared(limits: Any, conductance: Any, xp: Any = np) -> Any:
    """The least of the three limits on the square of the voltage across the tissue [V2].

    Args:
        limits: P, V^2, I^2, R_b as `Drive.limits` gives them.
        conductance: G [S].
        xp: array module.
    """
    power, square_voltage, square_current, resistance = limits
    load = 1.0 + conductance * resistance
    by_power = power / (conductance * load)
    by_voltage = square_voltage / load**2
    return xp.minimum(by_power, xp.minimum(by_voltage, square_current / conductance**2))


@dataclass(frozen=True)
class Reading:
    """What a generator measures at the end of a step.

    Attributes:
        time: [s].
        impedance: of the tissue [ohm]; NaN while nothing flows and for an antenna.
        power: at its terminals [W].
        sensors: temperatures of the probe's sensors [°C].
    """

    time: float
    impedance: float = math.nan
    power: float = math.nan
    sensors: tuple[float, ...] = ()


@dataclass(frozen=True)
class GeneratorState:
    """Where a generator stands.

    Attributes:
        phase: "on", "pause", or "done" where it has ended the treatment before its time.
        since: when the phase, or the sampling interval of a controller, began [s].
        level: power from which a ramp rises or that a controller has set [W].
        error: last deviation that a controller saw [K].
        baseline: impedance of the tissue at the start [ohm].
        rolloffs: times at which a limit was crossed [s].
    """

    phase: Phase = "on"
    since: float = 0.0
    level: float = 0.0
    error: float = 0.0
    baseline: float = math.nan
    rolloffs: tuple[float, ...] = ()

    def stored(self) -> dict[str, Any]:
        """Plain numbers for a checkpoint."""
        return asdict(self)

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> GeneratorState:
        """The state that `stored` came from; unknown or missing entries raise KeyError."""
        values = {field.name: stored[field.name] for field in fields(cls)}
        return cls(**(values | {"rolloffs": tuple(values["rolloffs"])}))


class Generator(ABC):
    """A generator that only watches the clock; the modes override what they need.

    Every mode is a frozen dataclass with a `duration` [s], the length of the treatment.
    """

    duration: float

    def start(self, reading: Reading) -> GeneratorState:
        """State at time zero, given what is measured then.

        Raises:
            UsageError: with this load the generator could never work.
        """
        return GeneratorState(baseline=reading.impedance)

    @abstractmethod
    def drive(self, state: GeneratorState, time: float) -> Drive:
        """What is held from a time [s] until the next event."""

    def next_event(self, state: GeneratorState, time: float) -> float:
        """Next time [s] at which a step must end, at most the duration."""
        return self.duration

    def excess(self, state: GeneratorState, reading: Reading) -> float:
        """How far a reading lies beyond the limit that trips the generator, relative to it.

        Positive where it trips; minus infinity where nothing can.
        """
        return -math.inf

    def after_step(self, state: GeneratorState, reading: Reading) -> GeneratorState:
        """State after an accepted step; called also when the drive has just returned."""
        return state

    def ended(self, state: GeneratorState, time: float) -> bool:
        """Whether the treatment is over at a time [s]."""
        return state.phase == "done" or reached(time, self.duration)


@dataclass(frozen=True)
class ConstantGenerator(Generator):
    """A generator that holds power, voltage or current over the whole treatment.

    Attributes:
        mode: what is held.
        setpoint: its value [W], [V] or [A].
        duration: length of the treatment [s].
        resistance: of the body in series with the tissue [ohm].
    """

    mode: Mode
    setpoint: float
    duration: float
    resistance: float = 0.0

    def drive(self, state: GeneratorState, time: float) -> Drive:
        """The same at all times."""
        return held(self.mode, self.setpoint, self.resistance)


def held(mode: Mode, value: float, resistance: float = 0.0) -> Drive:
    """The drive that holds one quantity without limits on the others."""
    if mode == "power":
        return Drive(power=value, resistance=resistance)
    if mode == "voltage":
        return Drive(voltage=value, resistance=resistance)
    return Drive(current=value, resistance=resistance)


def reached(time: float, event: float) -> bool:
    """Whether a time [s] is at or past an event, up to rounding."""
    return time >= event - ROUNDING * max(1.0, abs(event))
