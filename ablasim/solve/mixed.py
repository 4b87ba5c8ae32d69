"""Values of many problems as a few patterns times numbers of each problem.

What differs between the problems of a batch mostly does so by one factor for all points, or for all
of a tissue. A batch waits for memory: reading a column or two and some numbers takes a small part
of the time of reading a column for every problem.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

Floats = NDArray[np.float64]

MOST_PATTERNS = 3
"""With more of them the values themselves are read as fast."""

ROUNDING = 1e-13
"""Of the largest: what is less than that is no pattern."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mixed:
    """Values per point (n, b), or entries of a slice (k, rows, b).

    Attributes:
        patterns: columns (n, 1), or (k, rows, 1).
        strengths: of each pattern in each problem (r, b).
    """

    patterns: tuple[Array, ...]
    strengths: Array


def full(values: Array | Mixed) -> Array:
    """The values themselves."""
    if not isinstance(values, Mixed):
        return values
    parts = [pattern * values.strengths[r] for r, pattern in enumerate(values.patterns)]
    return sum(parts[1:], parts[0])


def patterns(values: Floats) -> tuple[Floats, Floats]:
    """Columns (n, r) and strengths (r, b) whose product the values (n, b) are to rounding.

    The columns are some of the values' own, those that differ most (QR with pivoting), so that
    zeros stay zeros.
    """
    _, triangle, order = qr(values, mode="economic", pivoting=True)
    size = np.abs(np.diag(triangle))
    rank = max(1, int((size > ROUNDING * size[0]).sum()))
    columns = values[:, order[:rank]]
    strengths = np.zeros((rank, values.shape[1]))
    if size[0] > 0.0:
        strengths[:, order] = solve_triangular(triangle[:rank, :rank], triangle[:rank])
    return columns, strengths
