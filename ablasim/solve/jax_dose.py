"""What heat does to the tissue in a compiled step: damage, perfusion that is left, what is dead."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from ablasim.mesh_cut import tet_fraction_above
from ablasim.physics import damage
from ablasim.physics.damage import Damage
from ablasim.solve.heat import Heat
from ablasim.solve.jax_state import Death, State
from ablasim.solve.mixed import full
from ablasim.solve.step_control import LETHAL_C


def suffer(
    heat: Heat, state: State, after: Array, step: Array, death: Death | None
) -> Damage | None:
    """Damage at the end of a step: its temperature is a straight line, cut where it is steep."""
    if death is None or state.damage is None:
        return None
    before = heat.temperature(state.enthalpy)
    count = damage.parts_of(before, after, step, jnp).max()
    change, kinetics = (after - before) / count, death.kinetics

    def part(number: Array, so_far: Damage) -> Damage:
        first = before + number.astype(before.dtype) * change
        return damage.advance(so_far, first, first + change, step / count, kinetics, jnp)

    return jax.lax.fori_loop(0, count.astype("int32"), part, state.damage)


def perfusion_left(
    heat: Heat, hottest: Array, suffered: Damage | None, death: Death | None
) -> Array:
    """Lumped perfusion (n,) [W/K] that is left by the temperatures so far and by the dose."""
    models = None if death is None else death.models
    excess = damage.stasis_excess(hottest, heat.constants[1], suffered, models, jnp)
    left = heat.perfusion_left(excess)
    if models is None or suffered is None:
        return left
    return left * damage.arrhenius_share(suffered, models, jnp)


def perfusion_midway(heat: Heat, state: State, step: Array, death: Death | None) -> Array:
    """What is left in the middle of a step, for second order in time.

    To the middle the temperature goes on as in the step before.
    """
    if state.past_temperature is None:
        return full(heat.perfusion)
    now = heat.temperature(state.enthalpy)
    fresh = state.past_step <= 0
    slope = (now - state.past_temperature) / jnp.where(fresh, 1.0, state.past_step)
    middle = now + jnp.where(fresh, 0.0, 0.5 * step) * slope
    suffered = state.damage
    if death is not None and suffered is not None and death.models.stasis != "none":
        suffered = damage.advance(suffered, now, middle, 0.5 * step, death.kinetics, jnp)
    return perfusion_left(heat, jnp.maximum(state.peak, middle), suffered, death)


def lethal_volume(
    heat: Heat,
    mesh: tuple[Array | None, Array | None],
    peak: Array,
    suffered: Damage | None,
    death: Death | None,
) -> Array:
    """Volume that is dead by the criterion of the run [m3], a number or (b,); by whole points
    without cells."""
    values, level = peak, LETHAL_C
    if death is not None and suffered is not None:
        judge = death.models.criterion
        fields = damage.fields_of(suffered, death.models.sets, jnp)
        values, level = judge.field({"peak_C": peak, **fields}, jnp), judge.level
    cells, volume = mesh
    if cells is None or volume is None:
        return jnp.where(values >= level, heat.volume, 0.0).sum(axis=0)
    corners = jnp.moveaxis(values[cells], 1, -1)  # of a batch (m, b, 4)
    total: Array = (volume * tet_fraction_above(corners, level, jnp)).sum(axis=0)
    return total
