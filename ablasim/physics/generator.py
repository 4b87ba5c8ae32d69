"""The generator: how strongly the probe is driven, as a function of time and load.

For a frozen sigma the potential problem is linear, so the solver finds the field for 1 V once and
scales it. With G the conductance seen by the generator [S], the power that the drive delivers is

    constant power P: P,   constant voltage V: V2 G,   constant current I: I2 / G,

so that the square of the voltage is always `value * G ** exponent`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Mode = Literal["power", "voltage", "current"]

_EXPONENT = {"power": -1.0, "voltage": 0.0, "current": -2.0}


@dataclass(frozen=True)
class Drive:
    """Square of the voltage that scales the unit field: `value * G ** exponent` [V2].

    For a microwave antenna the unit field is one watt absorbed, and the same scale is in watts.
    """

    value: float
    exponent: float

    def scale(self, conductance: float) -> float:
        """Square of the voltage [V2] for a conductance [S]."""
        return self.value * math.pow(conductance, self.exponent)


@dataclass(frozen=True)
class ConstantGenerator:
    """A generator that holds power, voltage or current over the whole treatment.

    Attributes:
        mode: what is held.
        setpoint: its value [W], [V] or [A].
        duration: length of the treatment [s].
        efficiency: share of the set power that reaches the patient (cable and match of a microwave
            antenna; 1 for radiofrequency).
    """

    mode: Mode
    setpoint: float
    duration: float
    efficiency: float = 1.0

    def events(self) -> tuple[float, ...]:
        """Times [s] at which the drive changes and a step must end; the last ends the run."""
        return (self.duration,)

    def electric_drive(self, time: float) -> Drive:
        """Drive of a radiofrequency electrode at a time [s]."""
        value = self.setpoint * self.efficiency if self.mode == "power" else self.setpoint**2
        return Drive(value, _EXPONENT[self.mode])

    def absorbed_drive(self, time: float) -> Drive:
        """Drive of a microwave antenna at a time [s]: the absorbed power."""
        return Drive(self.setpoint * self.efficiency, 0.0)
