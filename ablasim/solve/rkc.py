"""Second-order Runge-Kutta-Chebyshev steps (Sommeijer, Shampine, Verwer 1997, J Comput Appl Math).

An explicit method whose stability interval grows with the square of the number of stages: a step of
s stages may be 0.65 s^2 over the spectral radius long. It needs operator applications only, no
reductions and no linear solves, so the same code runs on CPU and GPU.

What flows out of the tissue is integrated with the very weights of the stages, so that the heat
account closes to rounding whatever the step.
"""

from __future__ import annotations

import math
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ablasim.solve.heat import Heat
from ablasim.solve.kernels import take

MOST_STAGES = 256
"""Size of the coefficient table; longer steps are cut."""

_DAMPING = 2.0 / 13.0


def stages_for(step: float, radius: float) -> int:
    """Stages that keep a step [s] stable for a spectral radius [1/s]."""
    return max(2, 1 + math.ceil(math.sqrt(1.0 + 1.54 * step * radius)))


def longest_step(radius: float) -> float:
    """Longest step [s] that MOST_STAGES can take."""
    return ((MOST_STAGES - 2.0) ** 2 - 1.0) / (1.54 * radius)


EVALUATE, REST = (0.0, 0.0, 0.0, 1.0, 0.0), (0.0, 1.0, 0.0, 0.0, 0.0)
"""Rows of the table: the step times the rate, and no change."""


@lru_cache(maxsize=MOST_STAGES)
def coefficients(stages: int, dtype: str = "float64") -> NDArray[np.float64]:
    """Rows of (1 - mu - nu, mu, nu, mu~, gamma~), (MOST_STAGES + 3, 5), for numbers of a type.

    The first three of a row make 1 in that type, without rounding: in every stage what they lacked
    would be taken from the enthalpy, 3e-5 of the heat of a run in single precision. Row j leads to
    stage j, from the second one on; row 0 evaluates, and rows after the last stage rest. What the
    first stage takes of the rate at the start is the last number of the last row.
    """
    table = np.tile(REST, (MOST_STAGES + 3, 1))
    w0 = 1.0 + _DAMPING / stages**2
    root = math.sqrt(w0 * w0 - 1.0)
    angle = stages * math.log(w0 + root)
    w1 = math.sinh(angle) * root**2 / (math.cosh(angle) * stages * root - w0 * math.sinh(angle))
    b_last = b_before = 1.0 / (2.0 * w0) ** 2
    table[0] = EVALUATE
    table[-1, -1] = w1 * b_last
    z, z_before = w0, 1.0
    dz, dz_before = 1.0, 0.0
    ddz, ddz_before = 0.0, 0.0
    for j in range(2, stages + 1):
        z_next = 2.0 * w0 * z - z_before
        dz_next = 2.0 * w0 * dz - dz_before + 2.0 * z
        ddz_next = 2.0 * w0 * ddz - ddz_before + 4.0 * dz
        b = ddz_next / dz_next**2
        mu, nu = (float(np.dtype(dtype).type(v)) for v in (2.0 * w0 * b / b_last, -b / b_before))
        table[j] = 1.0 - mu - nu, mu, nu, mu * w1 / w0, -(1.0 - z * b_last) * mu * w1 / w0
        z, z_before, dz, dz_before, ddz, ddz_before = z_next, z, dz_next, dz, ddz_next, ddz
        b_last, b_before = b, b_last
    return table


Flows = tuple[Array, ...]
Values = tuple[Array, Flows]
"""Enthalpies or rates (n,), and time integrals of the flows that belong to them."""


@jax.jit
def rkc_step(
    heat: Heat,
    enthalpy: Array,
    source: Array,
    step: Array,
    stages: Array,
    table: Array,
) -> tuple[Array, Array, Flows]:
    """One step with a source that is constant over it.

    Args:
        heat: the heat problem.
        enthalpy: at the start of the step (n,) [J/m3].
        source: heat per point (n,) [W].
        step: length [s].
        stages: number of stages.
        table: `coefficients(stages, dtype)`.

    Returns:
        The new enthalpy, the estimate of its local error (n,) [J/m3], and the time integrals of the
        heat taken by perfusion [W], the heat that reaches the held points [W] and the temperature
        of the wall points (b,) [°C].
    """
    free = heat.free > 0
    # held points collect from zero what reaches them
    initial = jnp.where(free, enthalpy, 0.0)
    zero = jnp.zeros_like(enthalpy)
    start: Values = (initial, (zero[:1].sum(axis=0), take(zero, heat.wall_point)))

    def stage(j: Array, last: Values, before: Values, first: Values) -> Values:
        """Row j: from the last two stages, and `first`, the step times the rate at its start."""
        keep, mu, nu, mt, gt = table[j]
        rate = heat.inside(j).rate(last[0], source)

        def combined(begin: Array, a: Array, b: Array, now: Array, f: Array) -> Array:
            return keep * begin + mu * a + nu * b + step * (mt * now) + gt * f

        state: Values = jax.tree.map(combined, start, last, before, rate, first)
        return state

    # Two states that change places are copied in every turn of a loop. Where that is much, in a
    # batch, a turn takes two stages, after which they lie where they were; of an odd number the
    # last one rests.
    pairs = enthalpy.ndim > 1

    def follow(begin: Array, end: Array, last: Values, first: Values) -> Values:
        """Rows from begin to the one before end."""

        def turn(k: Array, carry: tuple[Values, Values]) -> tuple[Values, Values]:
            last, before = carry
            if not pairs:
                return stage(begin + k, last, before, first), last
            between = stage(begin + 2 * k, last, before, first)
            return stage(begin + 2 * k + 1, between, last, first), between

        turns = (end - begin + 1) // 2 if pairs else end - begin
        return jax.lax.fori_loop(0, turns, turn, (last, start))[0]

    # The rate at the start, the stages, the rate at the result: three turns of one loop, so that
    # the operator is compiled once and its rates are no burden to the stages.
    def part(k: Array, carry: tuple[Values, Values, Values]) -> tuple[Values, Values, Values]:
        last, first, result = carry
        begin, end = jnp.where(k == 1, 2, 0), jnp.where(k == 1, stages + 1, 1)
        found = follow(begin, end, last, first)

        def chosen(at: int, new: Values, old: Values) -> Values:
            picked: Values = jax.tree.map(lambda a, b: jnp.where(k == at, a, b), new, old)
            return picked

        first, result = chosen(0, found, first), chosen(1, found, result)
        one: Values = jax.tree.map(lambda a, f: a + table[-1, -1] * f, start, first)
        return chosen(0, one, found), first, result

    begun = (start, jax.tree.map(jnp.zeros_like, start), start)
    (final, _), (first, _), (state, spent) = jax.lax.fori_loop(0, 3, part, begun)
    reached = take(heat.volume * state, heat.held).sum(axis=0)
    error = heat.free * (0.8 * (initial - state) + 0.4 * (first + final))
    return jnp.where(free, state, enthalpy), error, (spent[0], reached, spent[1])
