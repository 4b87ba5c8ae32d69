"""What the DOLFINx engine carries from step to step, and what it tells the time loop."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ablasim.physics.damage import Damage
from ablasim.solve.dolfinx_share import Floats


@dataclass(frozen=True, eq=False)
class State:
    """What a step starts from, on this rank's points; all of it goes into a checkpoint.

    Attributes:
        stored: heat above 37 °C (p,) [J].
        temperature: now and at the ends of the two steps before (3, p) [°C].
        past: lengths of the last two steps, latest first; 0 where there is none (2,) [s].
        risen: rise of the stored heat in the last step (p,) [J].
        account: heat of each part in the last step (a,) [J].
        peak: highest temperature so far (p,) [°C].
        potential, volts, unit_heat: as in UnitField.
        past_potential: at the start of the step before (K, p).
        conductance: [S].
        past_heat: driven heat at the start of the step before (p,) [W].
        delayed: at the end of the step before, not scaled to the power: what the heat of a dried
            point goes on from (p,) [W]; NaN where there is none.
        pattern: of microwave antennas, packed, on rank 0; empty elsewhere and without their field.
        hot_seconds: how long each branch has had a wall that coagulates blood (c,) [s].
        damage: under the death models; None where they are not carried.
    """

    stored: Floats
    temperature: Floats
    past: Floats
    risen: Floats
    account: Floats
    peak: Floats
    potential: Floats
    past_potential: Floats
    volts: Floats
    unit_heat: Floats
    conductance: Floats
    past_heat: Floats
    delayed: Floats
    pattern: Floats
    hot_seconds: Floats
    damage: Damage | None = None


@dataclass(frozen=True, eq=False)
class Report:
    """What the time loop needs to know of a step; the attributes as in the JAX engine."""

    error: float
    change: float
    delivered: float = 0.0
    stored: float = 0.0
    perfusion: float = 0.0
    boundary: float = 0.0
    walls: Floats = field(default_factory=lambda: np.zeros(0))
    blood: Floats = field(default_factory=lambda: np.zeros(0))
    flowing: Floats = field(default_factory=lambda: np.zeros(0))
    conductance: float = 1.0
    hot: float = 0.0
    dried: float = 0.0
    lethal: float = 0.0
    iterations: int = 0
    residual: float = 0.0
