"""What the compiled steps of the JAX engine start from, hand on and report."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ablasim.physics.damage import Damage, DeathModels
from ablasim.solve.kernels import register
from ablasim.solve.potential import UnitField

register(Damage)


@register
@dataclass(frozen=True)
class Death:
    """The death models as the compiled step needs them.

    Attributes:
        kinetics: `damage.kinetics_of` the sets (s, 2).
        models: which are carried and what they decide; a step is compiled for each choice.
    """

    kinetics: Array
    models: DeathModels = field(metadata={"static": True})


@register
@dataclass(frozen=True)
class State:
    """What a step starts from; all of it goes into a checkpoint.

    Attributes:
        enthalpy: (n,) [J/m3].
        peak: highest temperature so far (n,) [°C].
        potential: for one volt on each conductor alone (K, n).
        past_potential: at the start of the step before (K, n).
        volts: on the conductors for one volt of the generator (K,).
        unit_heat: heat per point for one volt, or one watt of a microwave generator (n,) [W].
        conductance: [S].
        past_heat: driven heat at the start of the step before (n,) [W].
        delayed: what the heat of a dried point goes on from, not scaled to the power (n,) [W]. In
            fine steps every point has one, that follows its driven heat; in others it is the heat
            in the middle of the step before where dried, and else `past_heat`.
        past_step: its length [s]; 0 where there is none to extrapolate from.
        pattern: of microwave antennas, packed (see `field_heat`); empty without their field.
        hot_seconds: how long each branch of a stream has had a wall that coagulates blood (c,) [s];
            from STASIS_SECONDS on the branch has no flow any more.
        damage: under the death models; None where they are not carried.
        past_temperature: at the start of the step before (n,) [°C]; None where nothing ends
            perfusion.
    """

    enthalpy: Array
    peak: Array
    potential: Array
    past_potential: Array
    volts: Array
    unit_heat: Array
    conductance: Array
    past_heat: Array
    delayed: Array
    past_step: Array
    pattern: Any
    hot_seconds: Array
    damage: Damage | None = None
    past_temperature: Array | None = None


@register
@dataclass(frozen=True)
class Report:
    """What the host needs to know of a step.

    Attributes:
        error: norm of the local error in temperature [K].
        change: relative change of the conductance over the step.
        delivered: heat put into the tissue [J].
        stored: rise of the enthalpy [J].
        perfusion: heat carried away by perfusion [J].
        boundary: heat that left through the held points [J].
        walls: heat into each wall's liquid (w,) [J].
        blood: excess of the blood at the end of each branch, mean over the step (c,) [K].
        flowing: 1 for the branches that have their flow after the step (c,).
        conductance: at the end [S].
        hot: temperature exceeded in HOT_VOLUME [°C].
        dried: volume above the vaporisation band [m3].
        lethal: volume that is dead by the criterion, or has reached LETHAL_C [m3].
        iterations: of the potential.
        residual: of the potential, relative.
    """

    error: Array
    change: Array
    delivered: Array
    stored: Array
    perfusion: Array
    boundary: Array
    walls: Array
    blood: Array
    flowing: Array
    conductance: Array
    hot: Array
    dried: Array
    lethal: Array
    iterations: Array
    residual: Array


@register
@dataclass(frozen=True)
class Moved:
    """The heat problem after a trial step: new fields, local error, driven heat used, by how much
    that had been scaled to the power, flows, and the lumped perfusion (n,) [W/K] left to it."""

    enthalpy: Array
    temperature: Array
    error: Array
    driven: Array
    factor: Array
    flows: tuple[Array, ...]
    perfusion: Array


@jax.jit
def potential_ahead(state: State, step: Array) -> Array:
    """Potential at the end of a step by linear extrapolation (K, n): a first guess that saves a
    third of the iterations in fine steps."""
    fresh = state.past_step <= 0
    ratio = jnp.where(fresh, 0.0, step / jnp.where(fresh, 1.0, state.past_step))
    return state.potential + ratio * (state.potential - state.past_potential)


def with_field(state: State, field: UnitField) -> State:
    """A state with a field that was solved anew."""
    return replace(
        state,
        potential=field.potential,
        volts=field.volts,
        unit_heat=field.heat,
        conductance=field.conductance,
    )
