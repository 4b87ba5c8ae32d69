"""Heat of dried points, which follows the potential with a delay, and what holds the power.

A law of both engines (`physics.electric`); here for the compiled steps of the JAX engine.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from ablasim.physics.electric import drying_follows, drying_share
from ablasim.physics.generator import voltage_squared
from ablasim.solve.heat import Heat
from ablasim.solve.jax_state import State

DRIED_GAIN = 0.3
"""Most of the way that a dried point's heat goes in one step unless steps are fine: it is known
only after the step, and would swing between all and nothing from step to step."""


def dried_points(heat: Heat, temperature: Array) -> Array:
    """Points above the vaporisation band (n,)."""
    return temperature > heat.constants[3]


def delayed_points(heat: Heat, state: State) -> Array:
    """Points whose heat follows that of the step before with a delay (n,)."""
    return dried_points(heat, heat.temperature(state.enthalpy)) & (state.past_step > 0)


def start_of(state: State, now: Array) -> Array:
    """What the delayed heat of fine steps goes on from (n,) [W]."""
    return jnp.where(state.past_step > 0, state.delayed, now)


def midway(state: State, now: Array, change: Array, step: Array, most_gain: Array) -> Array:
    """Delayed heat in the middle of a step (n,) [W].

    In fine steps it follows, from the start of this one, what changes evenly by `change` up to its
    middle. In coarse ones that would swing: it goes on from the middle of the step before, at most
    `most_gain` of the way to what drives at the start of this one.
    """
    follows = drying_follows(start_of(state, now), now, change, 0.5 * step, jnp)
    share = jnp.minimum(drying_share(middles(state, step), jnp), most_gain)
    return jnp.where(most_gain >= 1.0, follows, state.delayed + share * (now - state.delayed))


def middles(state: State, step: Array) -> Array:
    """Time between the middle of the step before and that of this one [s]."""
    return 0.5 * (state.past_step + step)


def to_power(
    driven: Array, now: Array, wanted: Array, limits: Array, conductance: Array, most_gain: Array
) -> Array:
    """What scales the heat of a step to the power, a number or (b,).

    A drive that is held by its power delivers it exactly, whatever was extrapolated or delayed; the
    power of the others changes with the load, and holding it at its value at the start of the step
    would leave first order in time. Nor may what was extrapolated go beyond the power. In coarse
    steps what is delayed must not change the power either: it is that of what would drive without a
    delay, `wanted`.
    """
    total, power, resistance = driven.sum(axis=0), limits[0], limits[3]
    others = voltage_squared(limits.at[0].set(jnp.inf), conductance, jnp)
    steady = (power <= others * conductance) & (resistance == 0)
    safe = jnp.where(total > 0, total, 1.0)
    sought = jnp.where(most_gain >= 1.0, total, jnp.maximum(wanted.sum(axis=0), 0.0))
    allowed = jnp.minimum(sought, power)
    return jnp.where(total > 0, jnp.where(steady, now.sum(axis=0), allowed) / safe, 1.0)
