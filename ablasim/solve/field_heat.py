"""When the field of the antennas is solved again, and what heat they give in between.

Drying tissue and its field hold each other in balance: dry tissue absorbs little and so cools, and
it lets the wave pass or sends it back. Within a time step of seconds that balance is stiff; heat
that always followed the latest field would swing between all and nothing. So the heat in use is led
to that of each new field by Aitken's relaxation,

    heat += omega (found - heat),   omega *= -<r_old, r - r_old>/|r - r_old|^2,   r = found - heat,

which leaves out swings, and where the pattern only drifts goes beyond the latest one, so that its
lag counts little. The field is solved again as soon as the dielectric has changed by `trigger`; the
trigger follows the share of the power that the heat in use then misplaces, so that this stays
near LAG_TOLERANCE. All of it is part of the engine's state: a resumed run continues exactly.

Where the errors of time are to be small the steps are short against that balance, and the field is
solved for the end of every one that is tried (`MicrowaveField.every_step`). The heat of a step is
then that of the latest two fields, extrapolated along the straight line through them: second order
in the step.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ablasim.physics.antenna_heat import PARTS, MicrowaveField

Floats = NDArray[np.float64]

LAG_TOLERANCE = 0.0025
"""Share of the incident power that the heat in use may misplace when the field is solved again."""

FIRST_TRIGGER, LEAST_TRIGGER, MOST_TRIGGER = 0.005, 0.00375, 0.01
"""Relative change of the dielectric, a mean over the heat, after which the field is renewed. The
field's lag makes a zone too large: by 0.35 % of its volume in mw_beside_hepatic_vein at these."""

MOST_CHANGE = 0.0125
"""Most that the dielectric may have changed at the end of a step since the field was solved."""

LEAST_OMEGA, MOST_OMEGA = 0.1, 2.0
"""Of the relaxation. In a steady drift, 2 puts the heat in use half an interval ahead of the latest
field: the mean over the interval to come is then right."""

MOST_AHEAD = 2.0
"""Furthest that the heat is extrapolated, over the time between the latest two fields."""

NUMBERS = 6


@dataclass(frozen=True, eq=False)
class Pattern:
    """The heat of one watt of the generator, as it is used from step to step.

    Attributes:
        heat: per mesh point (n,) [W/W].
        residual: what the last field had differed from it, or from the one before where every
            step has its own (n,) [W/W].
        omega: relaxation factors (n,).
        circles: temperature of the dielectric that was last solved for (v,) [°C].
        powers: where the watt goes, as PARTS (6,) [W/W].
        energy: integral of the generator's power times `powers` so far (6,) [J].
        numbers: trigger, solutions, largest error, reflected share at the start, scale, time
            between the latest two fields where every step has its own [s], else 0 (6,).
    """

    heat: Floats
    residual: Floats
    omega: Floats
    circles: Floats
    powers: Floats
    energy: Floats
    numbers: Floats

    @classmethod
    def at_start(cls, field: MicrowaveField, temperature: Floats) -> Pattern:
        """The pattern of the initial temperature (n,) [°C]."""
        circles = field.circles(temperature)
        found = field.solve(circles)
        reflected = found.powers[1] / found.powers[0]
        return cls(
            heat=found.heat,
            residual=np.zeros_like(found.heat),
            omega=np.ones_like(found.heat),
            circles=circles,
            powers=found.powers,
            energy=np.zeros(len(PARTS)),
            numbers=np.array([FIRST_TRIGGER, 1.0, 0.0, reflected, found.scale, 0.0]),
        )

    def pack(self) -> Floats:
        """All of it as one array, for the engine's state."""
        return np.concatenate([getattr(self, item.name) for item in fields(self)])

    @classmethod
    def unpack(cls, packed: Floats, points: int) -> Pattern:
        """The inverse of `pack` for a mesh of so many points."""
        ends = [len(PARTS), len(PARTS), NUMBERS]
        circles = len(packed) - 3 * points - sum(ends)
        sizes = [points, points, points, circles, *ends]
        return cls(*np.split(np.asarray(packed), np.cumsum(sizes)[:-1]))

    def ahead(self, time: float) -> Pattern:
        """Extrapolated to a time [s] after the latest field, where every step has its own."""
        interval = float(self.numbers[-1])
        if interval <= 0.0:
            return self
        heat = self.heat + min(time / interval, MOST_AHEAD) * self.residual
        heat = _within(heat, float(self.powers[0]))
        return replace(self, heat=heat, powers=_with_tissue(self.powers, float(heat.sum())))

    def stepped(self, step: float, power: float, powers: Floats) -> Pattern:
        """After a step [s] with a power of the generator [W], of which each watt went to `powers`
        (6,)."""
        return replace(self, energy=self.energy + step * power * powers)

    def change(self, field: MicrowaveField, temperature: Floats) -> float:
        """Change of the dielectric since the field was last solved, over the most allowed [1]."""
        if not field.law.varies:
            return 0.0
        return field.change(field.circles(temperature), self.circles) / MOST_CHANGE

    def renewed(self, field: MicrowaveField, temperature: Floats, step: float) -> Pattern:
        """Led to the field of a temperature (n,) [°C] where the dielectric has changed enough, or
        the field itself where every step has its own.

        Args:
            field: of the antennas.
            temperature: of the mesh points (n,) [°C].
            step: since the latest solution, where every step has its own [s]; 0 where what was
                before says nothing about what comes.
        """
        if not field.law.varies:
            return self
        circles = field.circles(temperature)
        if field.every_step:
            return self._next(field, circles, step)
        trigger, solves, worst, at_start, scale, _ = self.numbers
        if field.change(circles, self.circles) <= trigger:
            return self
        found = field.solve(circles)
        residual = found.heat - self.heat
        # two distributions of one watt differ by half the sum of their differences
        error = 0.5 * float(np.abs(residual).sum())
        omega = _aitken(self.omega, self.residual, residual)
        growth = np.clip(LAG_TOLERANCE / max(error, 1e-12), 0.5, 1.5)
        heat = _within(self.heat + omega * residual, float(found.powers[0]))
        return replace(
            self,
            heat=heat,
            residual=residual,
            omega=omega,
            circles=circles,
            powers=_with_tissue(found.powers, float(heat.sum())),
            numbers=np.array(
                [
                    np.clip(trigger * growth, LEAST_TRIGGER, MOST_TRIGGER),
                    solves + 1.0,
                    max(worst, error),
                    at_start,
                    _worse(found.scale, scale),
                    0.0,
                ]
            ),
        )

    def _next(self, field: MicrowaveField, circles: Floats, step: float) -> Pattern:
        """The field of temperatures on the circles (v,) [°C], a step [s] after the latest."""
        found = field.solve(circles)
        error = 0.5 * float(np.abs(found.heat - self.ahead(step).heat).sum())
        trigger, solves, worst, at_start, scale, _ = self.numbers
        numbers = [trigger, solves + 1.0, max(worst, error), at_start, _worse(found.scale, scale)]
        return replace(
            self,
            heat=found.heat,
            residual=found.heat - self.heat,
            circles=circles,
            powers=found.powers,
            numbers=np.array([*numbers, step]),
        )

    def statistics(self) -> dict[str, float]:
        """Energies by part [J], and how the field was followed."""
        return {
            **{f"microwave_{name}_J": float(e) for name, e in zip(PARTS, self.energy, strict=True)},
            "microwave_solves": float(self.numbers[1]),
            "microwave_lag_error": float(self.numbers[2]),
            "microwave_reflected_at_start": float(self.numbers[3]),
            "microwave_reflected_at_end": float(self.powers[1] / self.powers[0]),
            "microwave_scale": float(self.numbers[4]),
        }


def _worse(one: float, other: float) -> float:
    """The scale that is further from 1."""
    return one if abs(one - 1.0) > abs(other - 1.0) else other


def _within(heat: Floats, incident: float) -> Floats:
    """Relaxed heat (n,) without places that cool and without more than the incident power."""
    positive = np.maximum(heat, 0.0)
    bounded: Floats = positive * min(1.0, incident / max(float(positive.sum()), 1e-300))
    return bounded


def _with_tissue(powers: Floats, absorbed: float) -> Floats:
    """Powers whose part in the tissue is given; the others share what is left as they did."""
    incident, tissue = powers[0], powers[PARTS.index("tissue")]
    changed = powers * (incident - absorbed) / (incident - tissue)
    result: Floats = np.asarray(changed)
    result[0], result[PARTS.index("tissue")] = incident, absorbed
    return result


def _aitken(omega: Floats, old: Floats, new: Floats) -> Floats:
    """The next relaxation factor of every point from two residuals in a row (n,)."""
    if not old.any():
        return omega
    step = new - old
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(step == 0.0, MOST_OMEGA, -omega * old / step)
    # a drift leaves equal residuals, of which the formula makes any large number, of either sign
    wanted = np.where(wanted <= 0.0, np.where(old * new > 0.0, MOST_OMEGA, LEAST_OMEGA), wanted)
    factor: Floats = np.sqrt(omega * np.clip(wanted, LEAST_OMEGA, MOST_OMEGA))
    return factor
