"""The potential for one volt by preconditioned conjugate gradients, warm-started."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from ablasim.solve.kernels import Electric, edge_power, register
from ablasim.solve.multigrid import Hierarchy


@register
@dataclass(frozen=True)
class UnitField:
    """The solution for one volt.

    Attributes:
        potential: (n,) [V].
        heat: Joule heat per point (n,) [W].
        conductance: what the generator sees [S].
        iterations: taken.
        residual: of the net currents, relative.
    """

    potential: Array
    heat: Array
    conductance: Array
    iterations: Array
    residual: Array


Carry = tuple[Array, Array, Array, Array, Array, Array]


@jax.jit
def solve_potential(
    electric: Electric,
    hierarchy: Hierarchy,
    start: Array,
    sigma: Array,
    tolerance: float,
    limit: int,
) -> UnitField:
    """Solve div(sigma grad phi) = 0 with phi = 1 on the active and 0 on the grounded points.

    Args:
        electric: the operator.
        hierarchy: its multigrid cycle, for this or a similar sigma.
        start: first guess, with the held values in place (n,).
        sigma: per cell (m,) [S/m].
        tolerance: on the relative residual.
        limit: most iterations.
    """
    weights = electric.weights(sigma)
    diagonal = electric.diagonal(weights)
    # in the norm of D^-1 a residual has the unit of the square root of a conductance; it is held
    # against that of the edges that end on the electrode
    scale = jnp.sqrt((electric.active * electric.row_sums(weights)).sum())
    rest = -electric.residual(weights, start)

    def going(carry: Carry) -> Array:
        return (_size(carry[1], diagonal) > tolerance * scale) & (carry[5] < limit)

    def body(carry: Carry) -> Carry:
        x, r, past, p, rz, k = carry
        z = hierarchy.cycle(electric, weights, diagonal, r)
        # the flexible form: the cycle is only nearly the same operator in rounded arithmetic
        beta = jnp.where(k > 0, ((r - past) * z).sum() / rz, 0.0)
        rz = (r * z).sum()
        p = z + beta * p
        q = electric.residual(weights, p)
        alpha = rz / (p * q).sum()
        return x + alpha * p, r - alpha * q, r, p, rz, k + 1

    one = jnp.ones((), rest.dtype)
    zero = jnp.zeros_like(rest)
    carry = (start, rest, zero, zero, one, jnp.zeros((), jnp.int32))
    x, r, _, _, _, iterations = jax.lax.while_loop(going, body, carry)
    heat = edge_power(electric.index, weights, x)
    return UnitField(
        potential=x,
        heat=heat,
        conductance=heat.sum() + (electric.far_field * x**2).sum(),
        iterations=iterations,
        residual=_size(r, diagonal) / scale,
    )


def _size(residual: Array, diagonal: Array) -> Array:
    return jnp.sqrt((residual**2 / diagonal).sum())
