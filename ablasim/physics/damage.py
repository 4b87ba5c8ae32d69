"""Death of tissue by heat: CEM43, Arrhenius injury and the three-state model.

    CEM43 = integral R^(43 - T) dt,  R = 0.5 above 43 °C, 0.25 from 39 to 43 °C, nothing below;
            240 minutes kill
    Omega = integral A exp(-Ea/(R T)) dt,  1 kills (63 % of the cells)
    three-state (O'Neill 2011, 10.1007/s10439-010-0177-1): alive A, vulnerable V, dead D, sum 1,
            dA/dt = -f (1 - A) A + k_b V,   dD/dt = f (1 - A) V,   f = k_f exp(T/T_k);
            D > 0.8 is dead

Over a part of a step the temperature is a straight line. CEM43's rates are exponentials of it, so
its integral is exact; so is that of f; the logarithm of an Arrhenius rate is nearly straight. Rates
are formed as logarithms, around 60 °C and bounded: ln A and Ea/(R T) are both near 200 and would
cancel in single precision, which A itself may exceed. The three-state model is split (Strang) into
the recovery, which is linear, and the rest, which has a closed solution: in the variable
dtau = f (1 - A) dt,

    A = A0 exp(-tau),   V = (V0 + A0 tau) exp(-tau),   exp(tau) = A0 + (1 - A0) exp(integral f dt),

so that nothing can become negative, the sum stays 1 and D never falls, whatever the step. All three
grow with the temperature, in the numerical solution too.

Every function takes `xp`, NumPy or `jax.numpy`, and nothing here knows a mesh.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

GAS_CONSTANT = 8.314462618
"""[J/mol/K]"""

KELVIN = 273.15
"""0 °C [K]."""

CEM43_LETHAL_MIN = 240.0
"""Lethal thermal dose [min]."""

OMEGA_LETHAL = 1.0
"""Lethal Arrhenius integral: 63 % of the cells are dead."""

DEAD_LETHAL = 0.8
"""Share of dead cells in the three-state model above which tissue is dead."""

FORWARD_RATE = 3.33e-3
"""k_f of the three-state model [1/s] (published ablation models after O'Neill 2011)."""

BACKWARD_RATE = 7.77e-3
"""k_b of the three-state model [1/s]."""

RATE_TEMPERATURE = 40.5
"""T_k of the three-state model [°C]."""

ALIVE_AT_START = 0.99
"""A at the start of the three-state model."""

LONGEST_PART = 15.0
"""Longest part of a step [s]: the three-state model's D is then within 2e-3."""

LARGEST_CHANGE = 10.0
"""Largest change of temperature in a part [K]: the Arrhenius integral is then within 2.5 %, which
is 0.05 K."""

MOST_PARTS = 256
"""Of a step, so that no input makes it endless."""

LEAST_CEM43 = 1e-3
"""Dose [min] below which no logarithm is taken. A zone's surface, cut through a tetrahedron, would
cling to its hot corner wherever another one is below 39 °C and has no dose at all."""

LEAST_OMEGA = 1e-6
"""The same for Omega."""

HOTTEST = 150.0
"""Tissue above this [°C] collects CEM43 as at it: 1e32 minutes in one, in single precision too."""

MOST_LN_RATE = 60.0
"""Largest logarithm of an Arrhenius rate [1/s]."""

SMALL_GAP = 0.03
"""Exponents closer than this are averaged by a series, which is right to 1e-13 there."""

CENTRE = 60.0
"""Temperature [°C] around which Arrhenius rates are written."""

LEAST_ODDS = 1e-3
"""Added to D and 1 - D before their logarithms are taken."""

MOST_GROWTH = 80.0
"""Exponent above which the three-state model's living cells are gone for any purpose."""

Floats = NDArray[np.float64]

Stasis = Literal["none", "arrhenius", "three_state"]


@dataclass(frozen=True)
class Arrhenius:
    """Kinetics of an injury.

    Attributes:
        name: as in the catalogue.
        frequency: A [1/s].
        activation_energy: Ea [J/mol].
    """

    name: str
    frequency: float
    activation_energy: float

    @property
    def kinetics(self) -> tuple[float, float]:
        """a and b of ln rate = a + b (T - CENTRE)/(T + KELVIN), T in °C."""
        slope = self.activation_energy / (GAS_CONSTANT * (CENTRE + KELVIN))
        return math.log(self.frequency) - slope, slope


@dataclass(frozen=True)
class Damage:
    """What n points have suffered under all models.

    Attributes:
        cem43: thermal dose (n,) [min].
        omega: Arrhenius integral, one row per set of kinetics (s, n).
        vulnerable: V of the three-state model (n,).
        dead: D of it (n,).
    """

    cem43: Any
    omega: Any
    vulnerable: Any
    dead: Any

    @property
    def alive(self) -> Any:
        """A of the three-state model (n,)."""
        return 1.0 - (self.vulnerable + self.dead)


@dataclass(frozen=True)
class Criterion:
    """When tissue counts as dead: where a field that is smooth enough to be cut reaches a level.

    Attributes:
        name: as in a scenario.
        key: of the field in `fields_of`, or "peak_C".
        level: in the unit of what `field` gives.
        title: for people, as in "60 °C zone".
        says: what tissue did that counts as dead, as in "reached 60 °C".
    """

    name: str
    key: str
    level: float
    title: str
    says: str

    def field(self, values: Mapping[str, Any], xp: Any = np) -> Any:
        """What is cut (n,): the field itself, and for the three-state model ln(D/(1 - D)).

        D runs from 0 to 1 within few kelvin and is flat on both sides; where a mesh is as coarse
        as that, a surface cut through D lies several times as far off as one through the logarithm.
        """
        values = values[self.key]
        return ln_odds(values, xp) if self.key == DEAD else values


CRITERIA = ("peak_60C", "peak_54C", "peak_50C", "cem43_240", "arrhenius", "three_state")
"""Names that `criterion` knows: 60 °C kills at once, 54 and 50 °C bracket it."""

CEM43, OMEGA, DEAD = "log10_cem43_min", "log10_omega", "three_state_dead"
"""Keys of `fields_of`; a set's name follows OMEGA."""


def criterion(name: str, arrhenius_set: str) -> Criterion:
    """The criterion of a name: peak_60C, peak_54C, peak_50C, cem43_240, arrhenius, three_state.

    Args:
        name: of the criterion.
        arrhenius_set: the kinetics by which "arrhenius" judges.
    """
    if name == "cem43_240":
        level, text = math.log10(CEM43_LETHAL_MIN), f"{CEM43_LETHAL_MIN:g} min"
        return Criterion(name, CEM43, level, "CEM43", f"reached a CEM43 of {text}")
    if name == "arrhenius":
        key, level = f"{OMEGA}_{arrhenius_set}", math.log10(OMEGA_LETHAL)
        says = f"reached an Arrhenius integral of {OMEGA_LETHAL:g} with {arrhenius_set}"
        return Criterion(name, key, level, "Arrhenius", says)
    if name == "three_state":
        level = float(ln_odds(np.float64(DEAD_LETHAL)))
        says = f"is more than {DEAD_LETHAL:.0%} dead in the three-state model".replace("%", " %")
        return Criterion(name, DEAD, level, "three-state", says)
    level = float(name.removeprefix("peak_").removesuffix("C"))
    return Criterion(name, "peak_C", level, f"{level:g} °C", f"reached {level:g} °C")


def ln_odds(dead: Any, xp: Any = np) -> Any:
    """ln(D/(1 - D)), bounded where D is 0 or 1."""
    return xp.log((dead + LEAST_ODDS) / (1.0 - dead + LEAST_ODDS))


@dataclass(frozen=True)
class DeathModels:
    """What a run carries of the death models, and what it does with them.

    Attributes:
        sets: Arrhenius kinetics that are integrated.
        criterion: of the lethal volume in the history.
        stasis: the dose that ends perfusion: W exp(-Omega) with the kinetics `stasis_set`, or none
            where D > 0.8. The rule by peak temperature is one of the laws (`stasis_excess`).
        stasis_set: number of the set in `sets`.
    """

    sets: tuple[Arrhenius, ...]
    criterion: Criterion
    stasis: Stasis = "none"
    stasis_set: int = 0


def fields_of(damage: Damage, sets: Sequence[Arrhenius], xp: Any = np) -> dict[str, Any]:
    """Damage by name (n,): log10 of CEM43 in minutes, log10 of Omega for each set, and D."""
    omega = {f"{OMEGA}_{each.name}": row for each, row in zip(sets, damage.omega, strict=True)}
    return {
        CEM43: xp.log10(xp.maximum(damage.cem43, LEAST_CEM43)),
        **{name: xp.log10(xp.maximum(row, LEAST_OMEGA)) for name, row in omega.items()},
        DEAD: damage.dead,
    }


def arrhenius_share(damage: Damage, models: DeathModels, xp: Any = np) -> Any:
    """Share of the perfusion (n,) that an Arrhenius integral leaves, where that is the rule."""
    if models.stasis == "arrhenius":
        return xp.exp(-damage.omega[models.stasis_set])
    return xp.ones_like(damage.dead)


def stasis_excess(
    hottest: Any, shutdown: Any, damage: Damage | None, models: DeathModels | None, xp: Any = np
) -> Any:
    """What ends all perfusion where it is not negative (n,): about linear across the border.

    Args:
        hottest: highest temperature so far (n,) [°C].
        shutdown: temperature that ends perfusion [°C], where the three-state model does not.
        damage: under the death models; None where they are not carried.
        models: which are carried.
        xp: array module.
    """
    if models is not None and damage is not None and models.stasis == "three_state":
        return ln_odds(damage.dead, xp) - float(ln_odds(np.float64(DEAD_LETHAL)))
    return hottest - shutdown


def kinetics_of(sets: Sequence[Arrhenius]) -> Floats:
    """Rows (s, 2) of `Arrhenius.kinetics`, as `advance` takes them."""
    return np.array([each.kinetics for each in sets], dtype=float).reshape(-1, 2)


def unharmed(like: Any, sets: int, xp: Any = np) -> Damage:
    """The start of a treatment.

    Args:
        like: an array (n,) of the wanted type.
        sets: number of sets of Arrhenius kinetics.
        xp: array module.
    """
    return Damage(
        cem43=xp.zeros_like(like),
        omega=xp.zeros((sets, *like.shape), dtype=like.dtype),
        vulnerable=xp.full_like(like, 1.0 - ALIVE_AT_START),
        dead=xp.zeros_like(like),
    )


def parts_of(before: Any, after: Any, step: Any, xp: Any = np) -> Any:
    """Parts into which a step is cut for `advance`: no longer, no steeper than they may be.

    Args:
        before, after: temperatures at its ends (n,) [°C].
        step: its length [s].
        xp: array module.
    """
    steep = xp.abs(after - before).max() / LARGEST_CHANGE
    return xp.clip(xp.ceil(xp.maximum(steep, step / LONGEST_PART)), 1.0, float(MOST_PARTS))


def advance(
    damage: Damage, before: Any, after: Any, seconds: Any, kinetics: Any, xp: Any = np
) -> Damage:
    """Damage after a time in which the temperature goes from one value to another.

    Args:
        damage: so far.
        before, after: temperatures (n,) [°C].
        seconds: how long it takes, a scalar.
        kinetics: `kinetics_of` the Arrhenius sets (s, 2).
        xp: array module.
    """
    vulnerable, dead = _three_state(damage.vulnerable, damage.dead, before, after, seconds, xp)
    return Damage(
        cem43=damage.cem43 + seconds / 60.0 * cem43_rate(before, after, xp),
        omega=damage.omega + seconds * arrhenius_rate(before, after, kinetics, xp),
        vulnerable=vulnerable,
        dead=dead,
    )


def arrhenius_rate(before: Any, after: Any, kinetics: Any, xp: Any = np) -> Any:
    """Mean Arrhenius rate [1/s] between two temperatures (n,) [°C]; (s, n)."""
    constant, slope = (kinetics[:, i].reshape(-1, *(1,) * before.ndim) for i in (0, 1))
    first, second = (
        constant + slope * ((T - CENTRE) / (T + KELVIN))[None] for T in (before, after)
    )
    return _mean_exp(xp.minimum(first, MOST_LN_RATE), xp.minimum(second, MOST_LN_RATE), xp)


def cem43_rate(before: Any, after: Any, xp: Any = np) -> Any:
    """Mean of R^(43 - T) between two temperatures (n,) [°C]; (n,)."""
    low, high = (xp.minimum(T, HOTTEST) for T in (before, after))
    low, high = xp.minimum(low, high), xp.maximum(low, high)
    warm = _share(low, high, 39.0, 43.0, math.log(4.0), xp)
    return warm + _share(low, high, 43.0, math.inf, math.log(2.0), xp)


def _share(low: Any, high: Any, start: float, end: float, slope: float, xp: Any) -> Any:
    """The part of CEM43's mean rate that a straight line between two temperatures collects between
    `start` and `end`."""
    bottom, top = xp.clip(low, start, end), xp.clip(high, start, end)
    moves = high > low
    still = ((low >= start) & (low < end)).astype(low.dtype)
    time = xp.where(moves, (top - bottom) / xp.where(moves, high - low, 1.0), still)
    return time * _mean_exp(slope * (bottom - 43.0), slope * (top - 43.0), xp)


def _mean_exp(first: Any, second: Any, xp: Any) -> Any:
    """Mean of exp(y) for y on a straight line from `first` to `second`."""
    gap = xp.abs(second - first)
    small = gap < SMALL_GAP
    # (1 - exp(-gap))/gap, by its series where the difference would cancel; expm1 is slow compiled
    series = 1.0 - gap * (1 / 2 - gap * (1 / 6 - gap * (1 / 24 - gap * (1 / 120 - gap / 720))))
    share = xp.where(small, series, (1.0 - xp.exp(-gap)) / xp.where(small, 1.0, gap))
    return xp.exp(xp.maximum(first, second)) * share


def _three_state(
    vulnerable: Any, dead: Any, before: Any, after: Any, seconds: Any, xp: Any
) -> tuple[Any, Any]:
    """V and D after some time: half the recovery, the injury, the other half."""
    recovery = xp.exp(-0.5 * BACKWARD_RATE * seconds)
    first, second = (xp.minimum(T / RATE_TEMPERATURE, MOST_GROWTH) for T in (before, after))
    growth = xp.minimum(FORWARD_RATE * seconds * _mean_exp(first, second, xp), MOST_GROWTH)
    hurt = recovery * vulnerable
    alive = xp.maximum(1.0 - (hurt + dead), 0.0)
    excess = (hurt + dead) * xp.expm1(growth)  # exp(tau) - 1
    tau, left = xp.log1p(excess), 1.0 / (1.0 + excess)
    killed = left * (hurt * excess + alive * xp.maximum(excess - tau, 0.0))
    return recovery * left * (hurt + alive * tau), xp.minimum(dead + killed, 1.0)
