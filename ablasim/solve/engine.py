"""What the time loop needs of an engine."""

from __future__ import annotations

from typing import Any, Protocol

from ablasim.physics.generator import Drive
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.solution import Floats


class Engine(Protocol):
    """What the time loop needs of an engine; states and reports are the engine's own."""

    problem: BioheatProblem
    device_name: str
    stages: int
    watched_step: float
    """Longest step [s] while tissue dries under a generator that the impedance can trip."""

    def start(self) -> Any:
        """State at time zero."""

    def longest_step(self, state: Any) -> float:
        """Longest step [s] that the engine can take from a state."""

    def advance(self, state: Any, step: float, drive: Drive) -> tuple[Any, Any]:
        """A trial step: new state and report."""

    def accept(self, state: Any, report: Any, drive: Drive) -> Any:
        """The state to go on from after a step was accepted."""

    def switch(self, state: Any, before: Drive, after: Drive) -> Any:
        """The state to go on from with another drive."""

    def conductance(self, state: Any) -> float:
        """Conductance of the tissue between the generator's terminals [S]."""

    def sensors(self, state: Any) -> tuple[float, ...]:
        """Temperatures of the problem's sensors [°C]."""

    def temperature(self, state: Any) -> Floats:
        """Temperature in mesh order (n,) [°C]."""

    def peak(self, state: Any) -> Floats:
        """Highest temperature so far in mesh order (n,) [°C]."""

    def damage(self, state: Any) -> dict[str, Floats]:
        """What the death models say, by name, in mesh order (n,)."""

    def potential(self, state: Any) -> Floats | None:
        """Potential for one volt in mesh order (n,) [V]."""

    def sigma(self, state: Any) -> Floats | None:
        """Electrical conductivity per cell (m,) [S/m]."""

    def statistics(self, state: Any) -> dict[str, float]:
        """What else the engine counted."""
