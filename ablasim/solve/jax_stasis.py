"""Branches whose blood has coagulated have no flow any more, in the compiled steps."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
from jax import Array

from ablasim.physics.blood import STASIS_SECONDS, STASIS_WALL_C
from ablasim.solve.heat import Heat
from ablasim.solve.kernels import apply, take


def with_flow(heat: Heat, hot_seconds: Array) -> Heat:
    """The heat problem with the branches that still have their flow."""
    if heat.blood is None:
        return heat
    return replace(heat, blood=replace(heat.blood, flowing=flowing_branches(heat, hot_seconds)))


def flowing_branches(heat: Heat, hot_seconds: Array) -> Array:
    """1 for the branches of streams that have their flow, 0 for the others (c,)."""
    if heat.blood is None:
        return hot_seconds
    clotted = jnp.where(hot_seconds >= STASIS_SECONDS, 1.0, 0.0).astype(hot_seconds.dtype)
    return jnp.where(apply(heat.blood.stopped_with, clotted) > 0.0, 0.0, 1.0).astype(clotted.dtype)


def stasis_clock(heat: Heat, before: Array, temperature: Array, step: Array) -> Array:
    """For how long each branch has had a ring of wall above STASIS_WALL_C (c,) [s]."""
    if heat.blood is None:
        return before
    excess = heat.wall_excess(take(temperature, heat.wall_point), 1.0)
    ring = heat.blood.wall(excess) + heat.blood.inlet
    own = heat.blood.branch[None] == jnp.arange(before.shape[0], dtype=jnp.int32)[:, None]
    own = own.reshape(*own.shape, *(1,) * (ring.ndim - 1))
    hot = (own & (ring > STASIS_WALL_C)[None]).any(axis=1) & (heat.blood.coagulates > 0.0)
    return jnp.where(before >= STASIS_SECONDS, before, jnp.where(hot, before + step, 0.0))
