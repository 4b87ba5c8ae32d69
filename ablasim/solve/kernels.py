"""JAX kernels on P1 tetrahedra: sums over the edges at every point, of which heat and potential are
made.

Everything is a gather with indices computed once (`layout`): no scatter-add, which is slow on a CPU
and not reproducible on a GPU. All arrays are arguments of the compiled functions, so that the same
compilation serves every case on a mesh.

Many problems on one mesh go through the same kernels at once (`batch`): every array of numbers then
has one more axis at its end, of length one where the problems do not differ. An index is read once
for all of them, and what it points at lies side by side in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ablasim.solve.mixed import Mixed, full

Slices = tuple[Array, ...]
Weights = tuple[Array | Mixed, ...]


def register[T](cls: type[T]) -> type[T]:
    """Make a dataclass of arrays a JAX pytree."""
    return jax.tree_util.register_dataclass(cls)


def put(values: object, dtype: str | None = None) -> Array:
    """An array on the default device; converted by NumPy, so that nothing is compiled for it."""
    return jax.device_put(np.asarray(values, dtype))


UNROLLED = 32
"""Rows up to this long are summed entry by entry, which XLA fuses into one loop: twice as fast as a
two-dimensional gather, but each entry costs compilation time."""

BLOCK = 8
"""Entries of longer rows that a batch sums at a time on a CPU. XLA does a sum over the
two-dimensional gather number by number: 16 problems on 55 687 points took 13 ms on their way to the
coarse points, and take 0.5 ms in blocks of 8 (0.7 in blocks of 16 or 32, 1.5 of 4); the whole
multigrid cycle 17 ms instead of 55. One problem would gain 0.15 ms and compile 1.5 s longer."""


def take(x: Array, index: Array) -> Array:
    """x[index] of a vector or of rows (n, b), without the checks for outlying numbers.

    Written with the bare primitive, as the sums below: it halves the time that tracing takes.
    """
    places = lax.reshape(index, (*index.shape, 1))
    own = tuple(range(index.ndim, index.ndim + x.ndim - 1))
    pick = lax.GatherDimensionNumbers(own, collapsed_slice_dims=(0,), start_index_map=(0,))
    size = (1, *x.shape[1:])
    return lax.gather(x, places, pick, size, mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS)


def times(weight: Array, x: Array) -> Array:
    """A product, whose weights may be the same for all problems of a batch."""
    return lax.mul(weight, x) if weight.shape == x.shape else weight * x


def apply(matrix: Array, x: Array) -> Array:
    """A dense matrix (m, n) times x (n,) or (n, b); (b, m, n) where it differs in a batch."""
    return matrix @ x if matrix.ndim == 2 else jnp.einsum("bmn,nb->mb", matrix, x)


def _entry(values: Array | Mixed, k: int) -> Array:
    """The k-th entry of every row of a slice (k, rows)."""
    if isinstance(values, Mixed):
        return full(replace(values, patterns=tuple(_entry(p, k) for p in values.patterns)))
    return lax.index_in_dim(values, k, keepdims=False)


@jax.jit
def product(index: Slices, value: Slices, x: Array) -> Array:
    """Rows of a sliced matrix times x, in the order of the slices; (rows,)."""
    return jnp.concatenate([_slice_product(i, w, x) for i, w in zip(index, value, strict=True)])


def _slice_product(index: Array, value: Array, x: Array) -> Array:
    """One slice (k, rows) of `product`."""
    if len(value) > UNROLLED:
        if x.ndim == 1:
            return _sum_at_once(index, value, x)
        return lax.platform_dependent(index, value, x, cpu=_sum_by_blocks, default=_sum_at_once)
    total = times(_entry(value, 0), take(x, _entry(index, 0)))
    for k in range(1, len(value)):
        total = lax.add(total, times(_entry(value, k), take(x, _entry(index, k))))
    return total


def _sum_at_once(index: Array, value: Array, x: Array) -> Array:
    return (value * take(x, index)).sum(axis=0)


def _sum_by_blocks(index: Array, value: Array, x: Array) -> Array:
    def add(start: Array | int, count: int, total: Array) -> Array:
        for k in range(count):
            weight, place = (
                lax.dynamic_index_in_dim(each, start + k, keepdims=False) for each in (value, index)
            )
            total = lax.add(total, times(weight, take(x, place)))
        return total

    blocks, rest = divmod(len(value), BLOCK)
    total = jnp.zeros((index.shape[1], *x.shape[1:]), x.dtype)
    total = lax.fori_loop(0, blocks, lambda turn, so_far: add(turn * BLOCK, BLOCK, so_far), total)
    return add(blocks * BLOCK, rest, total)


@jax.jit
def difference_product(index: Slices, weight: Weights, x: Array) -> Array:
    """sum_j w_ij (x_i - x_j) for every row i of a square sliced matrix; (n,)."""
    return over_edges(index, weight, x, lambda w, own, other: times(w, lax.sub(own, other)))


@jax.jit
def edge_power(index: Slices, weight: Slices, x: Array) -> Array:
    """1/2 sum_j w_ij (x_i - x_j)^2 for every row i; (n,).

    Of a potential it is the Joule heat, half the power of the edges that end at a point. That is
    the weak form of div(sigma phi grad phi), and sums exactly to phi^T K phi, the power that the
    generator delivers.
    """

    def power(w: Array, own: Array, other: Array) -> Array:
        step = lax.sub(own, other)
        return times(times(w, step), step)

    return 0.5 * over_edges(index, weight, x, power)


def over_edges(
    index: Slices, weight: Weights, x: Array, term: Callable[[Array, Array, Array], Array]
) -> Array:
    """Sum over the neighbours of every point of a term in the weight, x_i and x_j; (n,)."""
    x = _settled(x)
    parts, start = [], 0
    for i, w in zip(index, weight, strict=True):
        own = lax.slice_in_dim(x, start, start + i.shape[1])
        total = term(_entry(w, 0), own, take(x, _entry(i, 0)))
        for k in range(1, len(i)):
            total = lax.add(total, term(_entry(w, k), own, take(x, _entry(i, k))))
        parts.append(total)
        start += i.shape[1]
    return _settled(jnp.concatenate(parts))


def _settled(x: Array) -> Array:
    """A vector that is written before it is read: XLA would compute it anew for every neighbour
    that reads it, and look up for every point in which slice it is: a run takes a seventh less
    time. A batch, which reads rows, is slower with it."""
    return lax.optimization_barrier(x) if x.ndim == 1 else x


def written(x: Array) -> Array:
    """Values of a batch (n, b) that are written before they are read: XLA would put what makes them
    into each neighbour's reading, or into a sum over the points, which is slow there."""
    return lax.optimization_barrier(x) if x.ndim > 1 else x


def and_zero(values: Array) -> Array:
    """Values with a zero after the last one, at which padded entries point."""
    return jnp.concatenate([values, jnp.zeros_like(values[:1])])
