"""What the generator does over time: the modes of `protocol`, and how the electrodes are wired.

Defaults marked "choice" are ablasim's own and rest on no measurement.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ablasim.scenario.fields import Duration, Point, Section, fault

Power = Annotated[float, Field(strict=True, gt=0, le=1000)]
Voltage = Annotated[float, Field(strict=True, gt=0, le=1000)]
Current = Annotated[float, Field(strict=True, gt=0, le=20)]
Impedance = Annotated[float, Field(strict=True, gt=0, le=100_000)]
Resistance = Annotated[float, Field(strict=True, ge=0, le=1000)]
Pause = Annotated[float, Field(strict=True, gt=0, le=600)]
ProbeIndex = Annotated[int, Field(strict=True, ge=0, le=99)]

POWER_LIMIT_W = 200.0  # choice
BODY = "resistance of the rest of the body, in series with the tissue at the generator [ohm]"
POWER_LIMIT = "most power that the generator gives [W]"
VOLTAGE_LIMIT = "most voltage that the generator gives, RMS [V]"
MOST_ROLLOFFS = "the treatment ends at this roll-off; by default never"


class Turn(Section):
    """Which probes the generator feeds; probes that are named nowhere float.

    A bipolar probe carries both poles: in `driven` it is fed between them.
    """

    driven: tuple[ProbeIndex, ...] = Field(
        min_length=1, description="probes that are driven, counted from 0"
    )
    returns: tuple[ProbeIndex, ...] = Field(
        default=(), description="probes that take the current back; by default the pad does"
    )
    current_shares: tuple[Annotated[float, Field(strict=True, gt=0, le=1)], ...] | None = Field(
        default=None,
        description="share of the current for each driven probe; by default one common voltage",
    )

    @model_validator(mode="after")
    def _probes_have_one_part(self) -> Turn:
        named = [*self.driven, *self.returns]
        twice = sorted({index for index in named if named.count(index) > 1})
        if twice:
            raise fault(
                f"got probe {twice[0]} more than once; a probe is driven, or returns the current,"
                " once in a turn"
            )
        return self

    @model_validator(mode="after")
    def _shares_make_a_whole(self) -> Turn:
        shares = self.current_shares
        if shares is None:
            return self
        if len(shares) != len(self.driven):
            raise fault(
                f"got {len(shares)} current_shares for {len(self.driven)} driven probes; give one"
                " for each"
            )
        if abs(sum(shares) - 1.0) > 1e-6:
            raise fault(f"got current_shares that sum to {sum(shares):g}; they must sum to 1")
        return self


class Wiring(Section):
    """How the electrodes are connected, at once or in turn."""

    turns: tuple[Turn, ...] = Field(
        min_length=1, description="the connections, one after the other and round again"
    )
    dwell_s: Duration | None = Field(
        default=None, description="time at each turn, where there are several [s]"
    )

    @model_validator(mode="after")
    def _turns_have_a_time(self) -> Wiring:
        if len(self.turns) == 1 and self.dwell_s is not None:
            raise fault(
                f"got dwell_s {self.dwell_s:g} with a single turn, which never ends: remove dwell_s"
                " or add a turn"
            )
        if len(self.turns) > 1 and self.dwell_s is None:
            raise fault(f"got {len(self.turns)} turns without dwell_s; give the time of each turn")
        return self


class ProtocolSection(Section):
    """What every mode has."""

    duration_s: Duration = Field(description="how long the treatment takes [s]")
    wiring: Wiring | None = Field(
        default=None,
        description="how the electrodes are connected; by default all together against the pad,"
        " a bipolar probe between its poles",
    )


class PowerProtocol(ProtocolSection):
    """Constant power of the generator."""

    mode: Literal["power"]
    power_W: Power = Field(description="power that the generator delivers [W]")


class VoltageProtocol(ProtocolSection):
    """Constant voltage (root mean square), RF only."""

    mode: Literal["voltage"]
    voltage_V: Voltage = Field(description="voltage between electrode and pad, RMS [V]")


class CurrentProtocol(ProtocolSection):
    """Constant current (root mean square), RF only."""

    mode: Literal["current"]
    current_A: Current = Field(description="current through the electrode, RMS [A]")


class PulsedProtocol(ProtocolSection):
    """Impedance-controlled pulsing, RF only: a voltage or a current until the impedance rolls off,
    then a pause."""

    mode: Literal["impedance_pulsed"]
    voltage_V: Voltage | None = Field(default=None, description="voltage of the pulses, RMS [V]")
    current_A: Current | None = Field(default=None, description="current of the pulses, RMS [A]")
    power_limit_W: Power = Field(default=POWER_LIMIT_W, description=POWER_LIMIT)
    impedance_limit_ohm: Impedance | None = Field(
        default=None,
        description="impedance at the generator that starts a pause; 120 by default [ohm]",
    )
    impedance_rise_ohm: Impedance | None = Field(
        default=None, description="the same as a rise above the impedance at the start [ohm]"
    )
    pause_s: Pause = Field(default=15.0, description="time without drive after a roll-off [s]")
    max_rolloffs: int | None = Field(
        default=None, strict=True, ge=1, le=1000, description=MOST_ROLLOFFS
    )
    body_resistance_ohm: Resistance = Field(default=0.0, description=BODY)

    @model_validator(mode="after")
    def _one_drive(self) -> PulsedProtocol:
        given = [k for k in ("voltage_V", "current_A") if getattr(self, k) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "neither voltage_V nor current_A"
            raise fault(f"got {got}; give exactly one of voltage_V and current_A")
        return self

    @model_validator(mode="after")
    def _one_limit(self) -> PulsedProtocol:
        if self.impedance_limit_ohm is not None and self.impedance_rise_ohm is not None:
            raise fault(
                "got both impedance_limit_ohm and impedance_rise_ohm; give only one of them"
            )
        return self


IMPEDANCE_LIMIT_OHM = 120.0
"""Limit where a pulsed protocol gives none; with the pause of 15 s that of the MITA suite's public
model of a pulsed generator."""


class TemperatureProtocol(ProtocolSection):
    """Power controlled by the temperature of sensors, RF only."""

    mode: Literal["temperature"]
    target_C: float = Field(
        strict=True, ge=40, le=110, description="temperature that the sensors are kept at [°C]"
    )
    power_limit_W: Power = Field(default=POWER_LIMIT_W, description=POWER_LIMIT)
    voltage_limit_V: Voltage | None = Field(default=None, description=VOLTAGE_LIMIT)
    sensors_mm: tuple[Point, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="places of the sensors in LPS; by default those of the probe [mm]",
    )
    judged_by: Literal["max", "mean"] = Field(
        default="max", description="which of the sensors' temperatures is controlled"
    )
    gain_W_per_K: float = Field(  # choice
        default=0.5, strict=True, ge=0, le=1000, description="proportional gain [W/K]"
    )
    integral_gain_W_per_K_s: float = Field(  # choice
        default=0.02, strict=True, ge=0, le=1000, description="integral gain [W/K/s]"
    )
    sample_s: float = Field(  # choice
        default=2.0, strict=True, ge=0.1, le=60, description="time between two samples [s]"
    )
    body_resistance_ohm: Resistance = Field(default=0.0, description=BODY)


class RampProtocol(ProtocolSection):
    """Power that rises in steps until it rolls off, pauses, and restarts lower.

    What a roll-off is must be given for RF; a microwave antenna has none, and its power only rises.
    """

    mode: Literal["ramp"]
    start_W: Power = Field(description="power at the start [W]")
    ramp_W_per_min: float = Field(  # choice
        default=10.0, strict=True, ge=0, le=1000, description="rise of the power [W/min]"
    )
    raise_every_s: float = Field(  # choice
        default=60.0, strict=True, ge=1, le=600, description="time between two rises [s]"
    )
    power_limit_W: Power = Field(default=POWER_LIMIT_W, description=POWER_LIMIT)
    voltage_limit_V: Voltage | None = Field(default=None, description=VOLTAGE_LIMIT)
    rolloff_impedance_ohm: Impedance | None = Field(
        default=None, description="impedance at the generator that ends the ramp [ohm]"
    )
    rolloff_power_W: Power | None = Field(
        default=None,
        description="power below which the ramp ends, where voltage_limit_V holds it down [W]",
    )
    pause_s: Pause = Field(  # choice
        default=30.0, description="time without drive after a roll-off [s]"
    )
    restart_fraction: float = Field(  # choice
        default=0.5, strict=True, gt=0, le=1, description="share of the power after the pause"
    )
    max_rolloffs: int | None = Field(
        default=None, strict=True, ge=1, le=1000, description=MOST_ROLLOFFS
    )
    body_resistance_ohm: Resistance = Field(default=0.0, description=BODY)

    @model_validator(mode="after")
    def _starts_within_its_limits(self) -> RampProtocol:
        if self.start_W > self.power_limit_W:
            raise fault(
                f"got start_W {self.start_W:g} and power_limit_W {self.power_limit_W:g}; the ramp"
                " must start at or below the most power: lower start_W or raise power_limit_W"
            )
        if self.rolloff_power_W is not None and self.rolloff_power_W >= self.start_W:
            raise fault(
                f"got rolloff_power_W {self.rolloff_power_W:g} and start_W {self.start_W:g}; the"
                " ramp must start above the power at which it ends"
            )
        return self


class ProtocolStep(Section):
    """One of the timed steps; without power, voltage and current the generator is off."""

    power_W: float | None = Field(default=None, strict=True, ge=0, le=1000)
    voltage_V: float | None = Field(default=None, strict=True, ge=0, le=1000)
    current_A: float | None = Field(default=None, strict=True, ge=0, le=20)
    duration_s: Duration = Field(description="how long the step takes [s]")

    @model_validator(mode="after")
    def _one_quantity(self) -> ProtocolStep:
        given = [k for k in STEP_KEYS if getattr(self, k) is not None]
        if len(given) > 1:
            raise fault(f"got {' and '.join(given)}; a step holds one of them, or none to be off")
        return self

    @property
    def held(self) -> tuple[Literal["power", "voltage", "current"], float]:
        """What the step holds, and its value; power 0 where it is off."""
        if self.voltage_V is not None:
            return "voltage", self.voltage_V
        if self.current_A is not None:
            return "current", self.current_A
        return "power", self.power_W or 0.0


STEP_KEYS = ("power_W", "voltage_V", "current_A")


class StepsProtocol(Section):
    """Timed steps, each at constant power, voltage or current, or off."""

    mode: Literal["steps"]
    steps: tuple[ProtocolStep, ...] = Field(
        min_length=1, max_length=1000, description="the steps, one after the other"
    )
    wiring: Wiring | None = Field(
        default=None, description="how the electrodes are connected; by default all together"
    )

    @property
    def duration_s(self) -> float:
        """Length of all steps [s]."""
        return sum(step.duration_s for step in self.steps)

    @model_validator(mode="after")
    def _not_too_long_nor_off(self) -> StepsProtocol:
        if self.duration_s > 7200:
            raise fault(f"got steps of {self.duration_s:g} s in all; must be at most 7200 s")
        if all(step.held[1] == 0.0 for step in self.steps):
            raise fault(
                "got steps that are all off; give power_W, voltage_V or current_A greater than 0 in"
                " at least one of them"
            )
        return self


Protocol = Annotated[
    PowerProtocol
    | VoltageProtocol
    | CurrentProtocol
    | PulsedProtocol
    | TemperatureProtocol
    | RampProtocol
    | StepsProtocol,
    Field(discriminator="mode"),
]
