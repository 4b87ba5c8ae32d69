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

from ablasim.solve.kernels import Heat, take

MOST_STAGES = 256
"""Size of the coefficient table; longer steps are cut."""

_DAMPING = 2.0 / 13.0


def stages_for(step: float, radius: float) -> int:
    """Stages that keep a step [s] stable for a spectral radius [1/s]."""
    return max(2, 1 + math.ceil(math.sqrt(1.0 + 1.54 * step * radius)))


def longest_step(radius: float) -> float:
    """Longest step [s] that MOST_STAGES can take."""
    return ((MOST_STAGES - 2.0) ** 2 - 1.0) / (1.54 * radius)


@lru_cache(maxsize=MOST_STAGES)
def coefficients(stages: int) -> NDArray[np.float64]:
    """Rows of (mu, nu, mu~, gamma~) that lead from stage j to j + 1, (MOST_STAGES + 1, 4).

    The row of the last stage leaves the state as it is.
    """
    table = np.zeros((MOST_STAGES + 1, 4))
    w0 = 1.0 + _DAMPING / stages**2
    root = math.sqrt(w0 * w0 - 1.0)
    angle = stages * math.log(w0 + root)
    w1 = math.sinh(angle) * root**2 / (math.cosh(angle) * stages * root - w0 * math.sinh(angle))
    b_last = b_before = 1.0 / (2.0 * w0) ** 2
    table[0, 2] = w1 * b_last
    table[stages, 0] = 1.0
    z, z_before = w0, 1.0
    dz, dz_before = 1.0, 0.0
    ddz, ddz_before = 0.0, 0.0
    for j in range(2, stages + 1):
        z_next = 2.0 * w0 * z - z_before
        dz_next = 2.0 * w0 * dz - dz_before + 2.0 * z
        ddz_next = 2.0 * w0 * ddz - ddz_before + 4.0 * dz
        b = ddz_next / dz_next**2
        mu = 2.0 * w0 * b / b_last
        table[j - 1] = mu, -b / b_before, mu * w1 / w0, -(1.0 - z * b_last) * mu * w1 / w0
        z, z_before, dz, dz_before, ddz, ddz_before = z_next, z, dz_next, dz, ddz_next, ddz
        b_last, b_before = b, b_last
    return table


Flows = tuple[Array, ...]
Carry = tuple[Array, Array, Array, Array, Flows, Flows, Flows]


@jax.jit
def rkc_step(
    heat: Heat,
    enthalpy: Array,
    source: Array,
    step: Array,
    stages: Array,
    table: Array,
) -> tuple[Array, Array, tuple[Array, ...]]:
    """One step with a source that is constant over it.

    Args:
        heat: the heat problem.
        enthalpy: at the start of the step (n,) [J/m3].
        source: heat per point (n,) [W].
        step: length [s].
        stages: number of stages.
        table: `coefficients(stages)`.

    Returns:
        The new enthalpy, the estimate of its local error (n,) [J/m3], and the time integrals of the
        flows that `Heat.rate` gives.
    """

    # One loop body for everything: pass 0 starts the recurrence, the last pass only evaluates the
    # rate at the result; so the operator is compiled once.
    def body(j: Array, carry: Carry) -> Carry:
        last, before, first, _, spent, spent_before, flows = carry
        rate, now = heat.rate(last, source)
        first = jnp.where(j == 0, rate, first)
        flows = tuple(jnp.where(j == 0, n, f) for n, f in zip(now, flows, strict=True))
        mu, nu, mt, gt = table[j]
        state = (
            (1.0 - mu - nu) * enthalpy + mu * last + nu * before + step * (mt * rate + gt * first)
        )
        total = tuple(
            mu * a + nu * b + step * (mt * n + gt * f)
            for a, b, n, f in zip(spent, spent_before, now, flows, strict=True)
        )
        return state, last, first, rate, total, spent, flows

    zero = jnp.zeros_like(enthalpy)
    none = (zero[:1].sum(axis=0),) * 2 + (take(zero, heat.wall_point),)
    carry = (enthalpy, enthalpy, zero, zero, none, none, none)
    state, _, first, final, spent, _, _ = jax.lax.fori_loop(0, stages + 1, body, carry)
    error = 0.8 * (enthalpy - state) + 0.4 * step * (first + final)
    return state, error, spent
