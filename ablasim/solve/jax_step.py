"""One trial step of the JAX engine, compiled: move the heat, then judge the step.

`move_heat` takes the RKC2 step with the heat and what is left of the perfusion extrapolated to its
middle, the heat of dried points with a delay; the engine then solves the potential for the new
temperatures; `close_step` learns from it how wrong that was, and gathers what the host must know.
"""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from ablasim.physics import microwave
from ablasim.physics.electric import drying_follows, drying_share, not_below_zero
from ablasim.physics.generator import voltage_squared
from ablasim.solve.heat import Heat
from ablasim.solve.jax_dose import lethal_volume, perfusion_left, perfusion_midway, suffer
from ablasim.solve.jax_drying import (
    delayed_points,
    dried_points,
    middles,
    midway,
    start_of,
    to_power,
)
from ablasim.solve.jax_stasis import flowing_branches, stasis_clock, with_flow
from ablasim.solve.jax_state import Death, Moved, Report, State
from ablasim.solve.kernels import written
from ablasim.solve.mixed import full
from ablasim.solve.potential import UnitField
from ablasim.solve.rkc import rkc_step
from ablasim.solve.step_control import HOT_VOLUME, LEAST_HEATED, MOST_SHIFT


@jax.jit
def move_heat(
    heat: Heat,
    constant: Array,
    state: State,
    control: Array,
    stages: Array,
    table: Array,
    most_gain: Array,
    death: Death | None = None,
) -> Moved:
    """The RKC2 step, its source and perfusion extrapolated to the middle of the step.

    `most_gain` is the most of the way that a dried point's heat goes in one step; 1 in fine steps.
    """
    heat = with_flow(heat, state.hot_seconds)
    step, limits = control[0], control[1:]
    heat = replace(heat, perfusion=perfusion_midway(heat, state, step, death))
    now = voltage_squared(limits, state.conductance, jnp) * state.unit_heat
    fresh = state.past_step <= 0
    # Linear extrapolation: second order in time at no cost.
    ahead = jnp.where(fresh, 0.0, 0.5 * step / jnp.where(fresh, 1.0, state.past_step))
    change = ahead * (now - state.past_heat)
    delayed = midway(state, now, not_below_zero(now, change, jnp), step, most_gain)
    driven = jnp.where(delayed_points(heat, state), delayed, now + change)
    factor = to_power(driven, now, now + change, limits, state.conductance, most_gain)
    driven = driven * factor
    enthalpy, error, flows = rkc_step(heat, state.enthalpy, driven + constant, step, stages, table)
    temperature, perfusion = heat.temperature(enthalpy), full(heat.perfusion)
    return Moved(enthalpy, temperature, error, driven, factor, flows, perfusion)


@jax.jit
def close_step(
    heat: Heat,
    mesh: tuple[Array | None, Array | None, Array],
    state: State,
    moved: Moved,
    field: UnitField,
    control: Array,
    most_gain: Array,
    death: Death | None = None,
    misplaced: Array | None = None,
) -> tuple[State, Report]:
    """Error of the step with those of what was extrapolated, and what the host must know.

    `misplaced` is what the heat of antennas, a part of the constant one, lacked (n,) [W].
    """
    heat = with_flow(heat, state.hot_seconds)
    cells, cell_volume, constant = mesh
    step, limits = control[0], control[1:]
    now = voltage_squared(limits, state.conductance, jnp) * state.unit_heat
    after = voltage_squared(limits, field.conductance, jnp) * field.heat
    suffered = jax.tree.map(written, suffer(heat, state, moved.temperature, step, death))
    peak = jnp.maximum(state.peak, moved.temperature)
    fine, dried = most_gain >= 1.0, dried_points(heat, moved.temperature)
    mean = wanted = 0.5 * (now + after)
    # in coarse steps the heat at the end of what the delay covers: sees it swing, errs high
    share = drying_share(middles(state, step), jnp)
    swinging = state.delayed + share * (wanted - state.delayed)
    late = jnp.where(fine, midway(state, now, wanted - now, step, most_gain), swinging)
    wanted = jnp.where(delayed_points(heat, state) | (fine & dried), late, wanted)
    factor = to_power(wanted, now, mean, limits, state.conductance, most_gain)
    lag = wanted * factor - moved.driven
    lag = lag if misplaced is None else lag + misplaced
    if state.past_temperature is not None:
        # perfusion's heat by the mean of what is left at both ends, less that of what was used
        ends = written(perfusion_left(heat, state.peak, state.damage, death))
        ends = 0.5 * (ends + written(perfusion_left(heat, peak, suffered, death)))
        middle = 0.5 * (heat.temperature(state.enthalpy) + moved.temperature)
        lag = lag - (ends - moved.perfusion) * (middle - heat.constants[0])
    lag = heat.free * step * lag / heat.volume
    # A dried point follows its neighbours within milliseconds; in coarse steps what the estimate
    # says of it is damped by its own rate, as an implicit filter would. Fine ones resolve when it
    # dries: undamped, a first roll-off is twice as near for half as many steps again.
    sinks = full(heat.perfusion) + full(heat.wall)
    rate = (heat.factor * heat.diagonal + sinks) / (heat.volume * full(heat.dry))
    local = (moved.error + lag) / jnp.where(dried & ~fine, 1.0 + step * rate, 1.0)
    shift = heat.temperature(moved.enthalpy + local) - moved.temperature
    shift = written(jnp.minimum(jnp.abs(shift), MOST_SHIFT))
    warm = jnp.where(moved.temperature - heat.constants[0] > 1.0, heat.volume, 0.0).sum(axis=0)
    change = jnp.abs(field.conductance / state.conductance - 1.0)
    perfusion, boundary, wall_time = moved.flows
    hot_seconds = stasis_clock(heat, state.hot_seconds, moved.temperature, step)
    ends = hot_seconds  # no streams: both are empty
    if heat.blood is not None:
        ends = heat.blood.ends(heat.wall_excess(wall_time, step)) / step
    report = Report(
        error=jnp.sqrt((heat.volume * shift**2).sum(axis=0) / jnp.maximum(warm, LEAST_HEATED)),
        change=change,
        delivered=step * (moved.driven + constant).sum(axis=0),
        stored=(heat.volume * (moved.enthalpy - state.enthalpy)).sum(axis=0),
        perfusion=perfusion,
        boundary=boundary,
        walls=heat.wall_flows(wall_time, step),
        blood=ends,
        flowing=flowing_branches(heat, hot_seconds),
        conductance=field.conductance,
        # of a batch, whose cells are not given, only the progress shows it
        hot=moved.temperature.max(axis=0)
        if cells is None
        else _exceeded_in(moved.temperature, heat.volume, HOT_VOLUME),
        dried=jnp.where(dried, heat.volume, 0.0).sum(axis=0),
        lethal=lethal_volume(heat, (cells, cell_volume), peak, suffered, death),
        iterations=field.iterations,
        residual=field.residual,
    )
    new = replace(
        state,
        enthalpy=moved.enthalpy,
        peak=peak,
        potential=field.potential,
        past_potential=state.potential,
        volts=field.volts,
        unit_heat=field.heat,
        conductance=field.conductance,
        past_heat=now,
        delayed=jnp.where(
            fine,
            drying_follows(start_of(state, now), now, after - now, step, jnp),
            jnp.where(dried, moved.driven / jnp.where(moved.factor > 0, moved.factor, 1.0), now),
        ),
        past_step=step,
        hot_seconds=hot_seconds,
        damage=suffered,
        past_temperature=None
        if state.past_temperature is None
        else heat.temperature(state.enthalpy),
    )
    return new, report


def _exceeded_in(values: Array, volume: Array, amount: float) -> Array:
    """Value that is exceeded in a given volume, by bisection."""

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = 0.5 * (low + high)
        more = jnp.where(values > middle, volume, 0.0).sum(axis=0) > amount
        return jnp.where(more, middle, low), jnp.where(more, high, middle)

    low, high = jax.lax.fori_loop(0, 20, halve, (values.min(axis=0), values.max(axis=0)))
    return 0.5 * (low + high)


@jax.jit
def absorbed(pattern: Array, temperature: Array) -> Array:
    """The pattern weighted by what heated tissue still absorbs, scaled to the same sum again."""
    weighted = pattern * microwave.heated_absorption(temperature, jnp)
    total = weighted.sum(axis=0)
    return weighted * pattern.sum(axis=0) / jnp.where(total > 0, total, 1.0)
