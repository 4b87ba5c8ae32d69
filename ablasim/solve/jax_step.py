"""One trial step of the JAX engine, compiled: move the heat, then judge the step.

`move_heat` takes the RKC2 step with the heat extrapolated to its middle; the engine then solves the
potential for the new temperatures; `close_step` learns from it how wrong the extrapolation was, and
gathers what the host must know.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ablasim.mesh_cut import tet_fraction_above
from ablasim.physics import microwave
from ablasim.solve.kernels import Electric, Heat, register
from ablasim.solve.potential import UnitField
from ablasim.solve.rkc import rkc_step

LETHAL_C = 60.0
"""Level of the lethal volume that progress and history show [°C]."""

DRIED_GAIN = 0.3
"""Share of the way that a dried point's heat goes in one step from the old value to the new one."""

MOST_SHIFT = 1.0
"""Most that a point's local error counts with [K]. A few points at the electrode's corners leave
the vaporisation band abruptly, with errors of tens of kelvin that depend on the mesh: they must
not drive the step, while a whole dried region still does by its volume."""

LEAST_HEATED = 1.0e-7
"""Floor of the heated volume [m3] over which the error of a step is averaged (0.1 ml)."""

HOT_VOLUME = 1.0e-8
"""The `peak_C` of progress and history is exceeded in this volume [m3] (10 mm3): the corner at the
end of an electrode is a singularity, and the plain maximum would measure the mesh."""


@register
@dataclass(frozen=True)
class State:
    """What a step starts from; all of it goes into a checkpoint.

    Attributes:
        enthalpy: (n,) [J/m3].
        peak: highest temperature so far (n,) [°C].
        potential: for one volt (n,).
        unit_heat: Joule heat per point for one volt (n,) [W], or per absorbed watt.
        conductance: [S].
        past_heat: driven heat at the start of the step before, or used in it where dried (n,) [W].
        past_step: its length [s]; 0 where there is none to extrapolate from.
        pattern: of microwave antennas, packed (see `field_heat`); empty without their field.
    """

    enthalpy: Array
    peak: Array
    potential: Array
    unit_heat: Array
    conductance: Array
    past_heat: Array
    past_step: Array
    pattern: Any


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
        conductance: at the end [S].
        unit_power: heat put into the block at one volt at the end [W].
        hot: temperature exceeded in HOT_VOLUME [°C].
        lethal: volume that has reached LETHAL_C [m3].
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
    conductance: Array
    unit_power: Array
    hot: Array
    lethal: Array
    iterations: Array
    residual: Array


@register
@dataclass(frozen=True)
class Moved:
    """The heat problem after a trial step: new fields, local error, driven heat used, flows."""

    enthalpy: Array
    temperature: Array
    error: Array
    driven: Array
    flows: tuple[Array, ...]


@jax.jit
def move_heat(
    heat: Heat, constant: Array, state: State, control: Array, stages: Array, table: Array
) -> Moved:
    """The RKC2 step, its source extrapolated to the middle of the step."""
    step, value, exponent = control
    now = value * state.conductance**exponent * state.unit_heat
    fresh = state.past_step <= 0
    # Linear extrapolation: second order in time at no cost. Where tissue has dried, sigma falls
    # within milliseconds, and the lagged heat would swing between all and nothing from step to
    # step: there it is approached gradually from the value used before.
    ahead = jnp.where(fresh, 0.0, 0.5 * step / jnp.where(fresh, 1.0, state.past_step))
    dried = _dried(heat, heat.temperature(state.enthalpy)) & ~fresh
    driven = now + jnp.where(dried, DRIED_GAIN - 1.0, ahead) * (now - state.past_heat)
    total = driven.sum()
    # A drive of constant power delivers it exactly; the power of the others changes with the load,
    # and holding it at its value at the start of the step would leave first order in time.
    steady = (exponent == -1.0) & (total > 0)
    driven = driven * jnp.where(steady, now.sum() / jnp.where(steady, total, 1.0), 1.0)
    enthalpy, error, flows = rkc_step(
        heat, state.enthalpy, state.peak, driven + constant, step, stages, table
    )
    return Moved(enthalpy, heat.temperature(enthalpy), error, driven, flows)


@jax.jit
def close_step(
    heat: Heat,
    mesh: tuple[Array, Array, Array],
    state: State,
    moved: Moved,
    field: UnitField,
    control: Array,
) -> tuple[State, Report]:
    """Error of the step with that of the extrapolated source, and what the host must know."""
    cells, cell_volume, constant = mesh
    step, value, exponent = control
    now = value * state.conductance**exponent * state.unit_heat
    after = value * field.conductance**exponent * field.heat
    lag = heat.free * step * (0.5 * (now + after) - moved.driven) / heat.volume
    # A dried point follows its neighbours within milliseconds; what the estimate says of it is
    # damped by its own rate, as an implicit filter would.
    dried = _dried(heat, moved.temperature)
    rate = (heat.diagonal + heat.perfusion + heat.wall) / (heat.volume * heat.dry)
    local = (moved.error + lag) / jnp.where(dried, 1.0 + step * rate, 1.0)
    shift = heat.temperature(moved.enthalpy + local) - moved.temperature
    shift = jnp.minimum(jnp.abs(shift), MOST_SHIFT)
    warm = jnp.where(moved.temperature - heat.constants[0] > 1.0, heat.volume, 0.0).sum()
    change = jnp.abs(field.conductance / state.conductance - 1.0)
    peak = jnp.maximum(state.peak, moved.temperature)
    perfusion, boundary, wall_time = moved.flows
    report = Report(
        error=jnp.sqrt((heat.volume * shift**2).sum() / jnp.maximum(warm, LEAST_HEATED)),
        change=change,
        delivered=step * (moved.driven + constant).sum(),
        stored=(heat.volume * (moved.enthalpy - state.enthalpy)).sum(),
        perfusion=perfusion,
        boundary=boundary,
        walls=heat.wall_flows(wall_time, step),
        conductance=field.conductance,
        unit_power=field.heat.sum(),
        hot=_exceeded_in(moved.temperature, heat.volume, HOT_VOLUME),
        lethal=(cell_volume * tet_fraction_above(peak[cells], LETHAL_C, jnp)).sum(),
        iterations=field.iterations,
        residual=field.residual,
    )
    past = jnp.where(dried, moved.driven, now)
    new = replace(
        state,
        enthalpy=moved.enthalpy,
        peak=peak,
        potential=field.potential,
        unit_heat=field.heat,
        conductance=field.conductance,
        past_heat=past,
        past_step=step,
    )
    return new, report


@jax.jit
def sigma_of(electric: Electric, temperature: Array) -> Array:
    return electric.sigma(temperature)


@jax.jit
def absorbed(pattern: Array, temperature: Array) -> Array:
    """The pattern weighted by what heated tissue still absorbs, scaled to one watt again."""
    weighted = pattern * microwave.heated_absorption(temperature, jnp)
    total = weighted.sum()
    return weighted / jnp.where(total > 0, total, 1.0)


@jax.jit
def enthalpy_of(heat: Heat, temperature: Array) -> Array:
    return heat.enthalpy(temperature)


@jax.jit
def temperature_of(heat: Heat, enthalpy: Array) -> Array:
    return heat.temperature(enthalpy)


def _dried(heat: Heat, temperature: Array) -> Array:
    """Points above the vaporisation band (n,)."""
    return temperature > heat.constants[3]


def _exceeded_in(values: Array, volume: Array, amount: float) -> Array:
    """Value that is exceeded in a given volume, by bisection."""

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = 0.5 * (low + high)
        more = jnp.where(values > middle, volume, 0.0).sum() > amount
        return jnp.where(more, middle, low), jnp.where(more, high, middle)

    low, high = jax.lax.fori_loop(0, 20, halve, (values.min(), values.max()))
    return 0.5 * (low + high)
