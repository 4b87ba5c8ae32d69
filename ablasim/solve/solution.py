"""Solution: what an engine returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Status(Enum):
    """How a run ended, with what to do about it."""

    DONE = "done"
    INTERRUPTED = "interrupted: run the same command again to continue from the checkpoint"
    STEP_TOO_SMALL = (
        "the time step fell below its limit: refine the mesh at the probe (numerics.resolution) "
        "or lower the power"
    )
    POTENTIAL_FAILED = (
        "the potential did not converge: check the mesh quality with `ablasim mesh` and that the "
        "electrode touches tissue"
    )
    NOT_FINITE = "a field is no longer finite: check the inputs for extreme tissue values"


@dataclass(frozen=True, eq=False)
class Solution:
    """Fields at the end of a run and its history, in the mesh's own point order.

    Attributes:
        temperature: at the last time (n,) [°C].
        peak: highest temperature each point has reached (n,) [°C].
        sigma: electrical conductivity per cell at the last time (m,) [S/m]; None without
            electrodes.
        potential: root mean square potential at the last drive (n,) [V]; None without electrodes.
        history: one array (k,) per column, one row per accepted step; the unit ends the name.
        energy: the heat account [J], its parts summing to zero with `balance_error` relative.
        status: how the run ended.
        statistics: steps, rejected, stages, potential_iterations, potential_residual (the largest
            of the steps, relative), seconds, and start_seconds, the
            part of them up to the end of the first step (set-up and compilation).
        device: what the engine ran on.
        damage: of the death models by name (n,), as `physics.damage.fields_of` gives it; empty
            where none was integrated.
        rolloffs: times at which the generator rolled off [s].
    """

    temperature: Floats
    peak: Floats
    sigma: Floats | None
    potential: Floats | None
    history: dict[str, Floats]
    energy: dict[str, float]
    status: Status
    statistics: dict[str, float] = field(default_factory=dict)
    device: str = "cpu"
    damage: dict[str, Floats] = field(default_factory=dict)
    rolloffs: tuple[float, ...] = ()

    @property
    def times(self) -> Floats:
        """Times of the accepted steps (k,) [s]."""
        return self.history["time_s"]
