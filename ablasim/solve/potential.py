"""The potential for one volt by preconditioned conjugate gradients, warm-started.

One solve per conductor, superposed as they are wired; see `physics.electric`.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from ablasim.physics.electric import connect
from ablasim.solve.electric import Electric
from ablasim.solve.kernels import Slices, difference_product, edge_power, register
from ablasim.solve.multigrid import Hierarchy


@register
@dataclass(frozen=True)
class UnitField:
    """The solution for one volt of the generator.

    Attributes:
        potential: for one volt on each conductor alone (K, n) [V].
        volts: on the conductors (K,) [V].
        heat: Joule heat per point (n,) [W].
        conductance: of the tissue between the generator's terminals [S].
        iterations: taken, over all conductors.
        residual: of the net currents, relative; the largest.
    """

    potential: Array
    volts: Array
    heat: Array
    conductance: Array
    iterations: Array
    residual: Array


Carry = tuple[Array, Array, Array, Array, Array, Array]


Wiring = tuple[Array, Array]
"""`join` and `current` of `physics.electric.connect`."""


@jax.jit
def solve_potential(
    electric: Electric,
    hierarchy: Hierarchy,
    start: Array,
    sigma: Array,
    wiring: Wiring,
    tolerance: float,
    limit: int,
) -> UnitField:
    """Solve div(sigma grad phi) = 0 for one volt on each conductor, and superpose.

    Args:
        electric: the operator.
        hierarchy: its multigrid cycle, for this or a similar sigma.
        start: first guesses, with the held values in place (K, n).
        sigma: per cell (m,) [S/m].
        wiring: how the conductors are joined to the generator.
        tolerance: on the relative residual.
        limit: most iterations for one conductor.
    """
    weights = electric.weights(sigma)
    diagonal = electric.diagonal(weights)

    def solve(guess: Array, active: Array) -> tuple[Array, Array, Array]:
        return _solve_one(electric, hierarchy, guess, active, weights, diagonal, tolerance, limit)

    if len(start) == 1:  # one conductor has the generator's own volt
        x, iterations, residual = solve(start[0], electric.active[0])
        heat = edge_power(electric.index, weights, x)
        conductance = heat.sum(axis=0) + (electric.far_field * x**2).sum(axis=0)
        volts = jnp.ones((1, *x.shape[1:]), x.dtype)
        return UnitField(x[None], volts, heat, conductance, iterations, residual)
    basis, iterations, residual = jax.lax.map(lambda each: solve(*each), (start, electric.active))
    volts = _volts(conductance_matrix(electric, weights, basis), wiring)
    x = jnp.einsum("k...,kn...->n...", volts, basis)
    heat = edge_power(electric.index, weights, x)
    conductance = heat.sum(axis=0) + (electric.far_field * x**2).sum(axis=0)
    return UnitField(basis, volts, heat, conductance, iterations.sum(), residual.max())


def conductance_matrix(electric: Electric, weights: Slices, basis: Array) -> Array:
    """Current out of each conductor for one volt on each (K, K) [S], by the power they share.

    phi_j . A phi_k is the current out of conductor j for phi_k, up to the product of two residuals;
    it is symmetric, as reciprocity wants it, by rounding alone.
    """
    flows = jax.lax.map(lambda x: outflow(electric, weights, x), basis)
    matrix = jnp.einsum("kn...,ln...->kl...", basis, flows)
    return 0.5 * (matrix + matrix.swapaxes(0, 1))


def _volts(matrix: Array, wiring: Wiring) -> Array:
    """Voltages of the conductors (K,), of each problem of a batch (K, b)."""

    def of_one(matrix: Array) -> Array:
        return connect(matrix, *wiring, jnp)[0]

    return of_one(matrix) if matrix.ndim == 2 else jax.vmap(of_one, -1, -1)(matrix)


def outflow(electric: Electric, weights: Slices, potential: Array) -> Array:
    """Net current out of every point (n,) [A], what leaves to infinity included."""
    flow = difference_product(electric.index, weights, potential)
    return flow + electric.far_field * potential


def _solve_one(
    electric: Electric,
    hierarchy: Hierarchy,
    start: Array,
    active: Array,
    weights: Slices,
    diagonal: Array,
    tolerance: float,
    limit: int,
) -> tuple[Array, Array, Array]:
    """Potential (n,), iterations and relative residual for one volt on one conductor."""
    # in the norm of D^-1 a residual has the unit of the square root of a conductance; it is held
    # against that of the edges that end on the electrode
    scale = jnp.sqrt((active * electric.row_sums(weights)).sum(axis=0))
    rest = -electric.residual(weights, start)

    def still(residual: Array) -> Array:
        return _size(residual, diagonal) > tolerance * scale

    def going(carry: Carry) -> Array:
        return still(carry[1]).any() & (carry[5] < limit)

    def body(carry: Carry) -> Carry:
        x, r, past, p, rz, k = carry
        z = hierarchy.cycle(electric, weights, diagonal, r)
        # the flexible form: the cycle is only nearly the same operator in rounded arithmetic
        beta = jnp.where(k > 0, ((r - past) * z).sum(axis=0) / rz, 0.0)
        rz = (r * z).sum(axis=0)
        p = z + beta * p
        q = electric.residual(weights, p)
        alpha = rz / (p * q).sum(axis=0)
        if r.ndim > 1:  # of a batch, those that are done stay as they are
            on = still(r)
            alpha, rz = jnp.where(on, alpha, 0.0), jnp.where(on, rz, 1.0)
            p = jnp.where(on, p, 0.0)
        return x + alpha * p, r - alpha * q, r, p, rz, k + 1

    zero = jnp.zeros_like(rest)
    carry = (start, rest, zero, zero, jnp.ones_like(scale), jnp.zeros((), jnp.int32))
    x, r, _, _, _, iterations = jax.lax.while_loop(going, body, carry)
    return x, iterations, _size(r, diagonal) / scale


def _size(residual: Array, diagonal: Array) -> Array:
    return jnp.sqrt((residual**2 / diagonal).sum(axis=0))
