"""Algebraic multigrid for the potential: set up once by PyAMG on the host, applied in JAX.

Smoothed aggregation on the stiffness matrix of one conductivity field. When sigma changes, the
finest level works with the current matrix and the coarse levels stay: the cycle remains a symmetric
positive preconditioner, and the set-up is repeated only when the iterations have grown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyamg
import scipy.sparse as sp
from jax import Array
from numpy.typing import NDArray
from pyamg.relaxation.smoothing import rho_D_inv_A
from threadpoolctl import threadpool_limits

from ablasim.solve.electric import Electric
from ablasim.solve.kernels import Slices, product, put, register, take
from ablasim.solve.layout import slice_rows

DIRECT = 300
"""Size below which the coarsest matrix is inverted densely."""

DAMPING = 4.0 / 3.0
"""Jacobi damping over the largest eigenvalue of D^-1 A: best for the upper half of the spectrum."""


@register
@dataclass(frozen=True)
class Rows:
    """A sparse matrix in slices, with the gather that puts the rows back in order."""

    index: Slices
    value: Slices
    place: Array

    def __matmul__(self, x: Array) -> Array:
        """Product with a vector."""
        return take(product(self.index, self.value, x), self.place)


@register
@dataclass(frozen=True)
class Level:
    """One coarse level: its matrix, damped inverse diagonal, transfer from the level above."""

    matrix: Rows
    smoother: Array
    prolong: Rows
    restrict: Rows


@register
@dataclass(frozen=True)
class Hierarchy:
    """Coarse levels, the dense inverse of the last one, and the damping of the finest."""

    levels: tuple[Level, ...]
    inverse: Array
    damping: Array

    def cycle(self, electric: Electric, weights: Slices, diagonal: Array, rhs: Array) -> Array:
        """One symmetric V-cycle for the current matrix (n,)."""
        smoother = electric.free * self.damping / diagonal
        guess = smoother * rhs
        rest = rhs - electric.residual(weights, guess)
        guess = guess + self.levels[0].prolong @ self._coarse(0, self.levels[0].restrict @ rest)
        guess = electric.free * guess
        return guess + smoother * (rhs - electric.residual(weights, guess))

    def _coarse(self, depth: int, rhs: Array) -> Array:
        """V-cycle from a coarse level downwards."""
        if depth == len(self.levels) - 1:
            return self.inverse @ rhs
        level, below = self.levels[depth], self.levels[depth + 1]
        guess = level.smoother * rhs
        rest = rhs - level.matrix @ guess
        guess = guess + below.prolong @ self._coarse(depth + 1, below.restrict @ rest)
        return guess + level.smoother * (rhs - level.matrix @ guess)


def build_hierarchy(matrix: sp.csr_matrix, free: NDArray[np.bool_], dtype: str) -> Hierarchy:
    """Set up the cycle for a stiffness matrix (n, n) on its free points (host, PyAMG).

    Args:
        matrix: symmetric positive on the free points.
        free: mask of the unknown points (n,).
        dtype: of the arrays on the device.
    """
    inside = np.flatnonzero(free)
    embed = sp.csr_matrix(
        (np.ones(len(inside)), (inside, np.arange(len(inside)))), (len(free), len(inside))
    )
    # PyAMG's dot products are too short for threads: with them the set-up takes six times as long
    with threadpool_limits(1, user_api="blas"), _fixed_random_numbers():
        solver = pyamg.smoothed_aggregation_solver(
            matrix[inside][:, inside].tocsr(), max_coarse=DIRECT, max_levels=12
        )
        damping = [_damping(level.A.tocsr()) for level in solver.levels]
    matrices = [level.A.tocsr() for level in solver.levels]
    transfers = [level.P.tocsr() for level in solver.levels[:-1]]
    if transfers:
        transfers[0] = (embed @ transfers[0]).tocsr()
    else:  # so small that the finest matrix itself is inverted
        matrices.append(matrices[0])
        damping.append(damping[0])
        transfers.append(embed)
    levels = tuple(
        Level(
            matrix=_rows(matrix, dtype),
            smoother=put(omega / matrix.diagonal(), dtype),
            prolong=_rows(prolong, dtype),
            restrict=_rows(prolong.T.tocsr(), dtype),
        )
        for matrix, omega, prolong in zip(matrices[1:], damping[1:], transfers, strict=True)
    )
    return Hierarchy(
        levels,
        put(np.linalg.inv(matrices[-1].toarray()), dtype),
        put(damping[0], dtype),
    )


@contextmanager
def _fixed_random_numbers() -> Iterator[None]:
    """NumPy's global random numbers begin anew, and go on afterwards where they were.

    PyAMG starts its eigenvalue estimates from them. With others the potential differs within its
    tolerance; where tissue dries that grows until roll-offs move by hundredths of a second.
    """
    before = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(before)


def _damping(matrix: sp.csr_matrix) -> float:
    """DAMPING over the spectral radius of D^-1 A, as PyAMG estimates it for its own use."""
    return DAMPING / (1.05 * float(rho_D_inv_A(matrix)))


def _rows(matrix: sp.csr_matrix, dtype: str) -> Rows:
    """Put a SciPy matrix on the device."""
    packed = slice_rows(matrix.indptr, matrix.indices, slices=4)
    place = np.empty_like(packed.order)
    place[packed.order] = np.arange(len(packed.order), dtype=packed.order.dtype)
    return Rows(
        tuple(put(i) for i in packed.index),
        tuple(put(v, dtype) for v in packed.pack(matrix.data)),
        put(place),
    )
