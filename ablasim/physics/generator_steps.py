"""A list of timed steps, and electrodes that are switched in turn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ablasim.physics.generator import ROUNDING, Drive, Generator, GeneratorState, Reading, reached


@dataclass(frozen=True)
class StepsGenerator(Generator):
    """Holds one drive after another.

    Attributes:
        drives: what is held in each step.
        ends: when each step ends, rising [s]; the last is the end of the treatment.
    """

    drives: tuple[Drive, ...]
    ends: tuple[float, ...]

    @property
    def duration(self) -> float:  # type: ignore[override]
        """Length of the treatment [s]."""
        return self.ends[-1]

    def _number(self, time: float) -> int:
        return sum(reached(time, end) for end in self.ends[:-1])

    def drive(self, state: GeneratorState, time: float) -> Drive:
        """That of the present step."""
        return self.drives[self._number(time)]

    def next_event(self, state: GeneratorState, time: float) -> float:
        """End of the present step."""
        return self.ends[self._number(time)]


@dataclass(frozen=True)
class SwitchedGenerator(Generator):
    """A generator that feeds its wirings one after the other, each for the same time.

    The turns follow the clock alone, also through the pauses of the generator inside.

    Attributes:
        inside: the generator.
        turns: number of wirings.
        dwell: time at each [s].
    """

    inside: Generator
    turns: int
    dwell: float

    @property
    def duration(self) -> float:  # type: ignore[override]
        """Length of the treatment [s]."""
        return self.inside.duration

    def _count(self, time: float) -> int:
        return math.floor(time / self.dwell + ROUNDING)

    def start(self, reading: Reading) -> GeneratorState:
        """As the generator inside."""
        return self.inside.start(reading)

    def drive(self, state: GeneratorState, time: float) -> Drive:
        """That of the generator inside, into the wiring whose turn it is."""
        return replace(self.inside.drive(state, time), turn=self._count(time) % self.turns)

    def next_event(self, state: GeneratorState, time: float) -> float:
        """The next turn, or an event of the generator inside."""
        turn = (self._count(time) + 1) * self.dwell
        return min(turn, self.inside.next_event(state, time))

    def excess(self, state: GeneratorState, reading: Reading) -> float:
        """As the generator inside."""
        return self.inside.excess(state, reading)

    def after_step(self, state: GeneratorState, reading: Reading) -> GeneratorState:
        """As the generator inside."""
        return self.inside.after_step(state, reading)

    def ended(self, state: GeneratorState, time: float) -> bool:
        """As the generator inside."""
        return self.inside.ended(state, time)
