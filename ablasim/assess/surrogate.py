"""A Gaussian process through the samples of a study: a margin as a smooth function of its inputs.

    y = m + f(x) + noise,   cov f(x, x') = s2 exp(-sum_i (x_i - x'_i)^2 / (2 l_i^2))

One length l_i per input, s2 and the noise maximise the likelihood (Rasmussen and Williams 2006,
chapter 5). Each sample is predicted from all the others without it (their equation 5.12); the share
of the variance that these predictions explain is Q2, which says whether the surrogate can be used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Features = Callable[[Floats], Floats]

AT_ONCE = 4096
"""Places predicted together."""

LENGTHS = (0.1, 30.0)
"""Bounds of a length, in standard deviations of its input."""

STARTS = (3.0, 1.0)
"""Lengths from which the likelihood is climbed."""

NOISE = (1e-8, 1.0)
"""Bounds of the noise, relative to the variance of the samples."""

JITTER = 1e-9


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A fitted Gaussian process.

    Attributes:
        q2: share of the variance that predictions of left-out samples explain.
        lengths: l_i (d,), in standard deviations of each input.
        features: from points of the unit cube (k, d) to the coordinates x (k, d).
    """

    q2: float
    lengths: Floats
    features: Features
    _x: Floats
    _weights: Floats
    _mean: float
    _scale: float

    def __call__(self, unit: Floats) -> Floats:
        """Predictions for points of the unit cube (k, d); (k,)."""
        found = []
        for start in range(0, len(unit), AT_ONCE):
            x = self.features(unit[start : start + AT_ONCE]) / self.lengths
            found.append(self._scale * (_kernel(x, self._x) @ self._weights) + self._mean)
        return np.concatenate(found)


def uniform_features(unit: Floats) -> Floats:
    """Points of the unit cube (k, d) with standard deviation 1."""
    return np.asarray(np.sqrt(12.0) * (unit - 0.5))


def fit_surrogate(unit: Floats, values: Floats, features: Features = uniform_features) -> Surrogate:
    """Fit a Gaussian process to samples.

    Args:
        unit: their points in the unit cube (k, d).
        values: one each (k,), finite.
        features: coordinates in which the values are smooth, of about standard deviation 1.
    """
    x = features(unit)
    mean, spread = float(values.mean()), float(values.std()) or 1.0
    y = (values - mean) / spread
    squares = [(x[:, i, None] - x[None, :, i]) ** 2 for i in range(x.shape[1])]
    bounds = [tuple(np.log(LENGTHS))] * x.shape[1] + [tuple(np.log(NOISE))]
    climbs = [
        minimize(
            _loss,
            np.concatenate([np.full(x.shape[1], np.log(start)), [np.log(1e-2)]]),
            (squares, y),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 200},
        )
        for start in STARTS
    ]
    best = min(climbs, key=lambda climb: climb.fun)
    lengths, noise = np.exp(best.x[:-1]), float(np.exp(best.x[-1]))
    scaled = x / lengths
    matrix = _kernel(scaled, scaled) + (noise + JITTER) * np.eye(len(y))
    factor = cho_factor(matrix, lower=True)
    weights = cho_solve(factor, y)
    inverse = cho_solve(factor, np.eye(len(y)))
    left_out = weights / np.diag(inverse)
    q2 = 1.0 - float(np.mean(left_out**2)) / float(np.mean((y - y.mean()) ** 2) or 1.0)
    return Surrogate(q2, lengths, features, scaled, weights, mean, spread)


def _kernel(a: Floats, b: Floats) -> Floats:
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2.0 * a @ b.T
    return np.exp(-0.5 * np.maximum(squared, 0.0))


def _loss(logs: Floats, squares: list[Floats], y: Floats) -> tuple[float, Floats]:
    """Negative logarithm of the likelihood, s2 at its best value, and its gradient."""
    inverse_squares, noise = np.exp(-2.0 * logs[:-1]), np.exp(logs[-1])
    total = sum(w * s for w, s in zip(inverse_squares, squares, strict=True))
    kernel = np.exp(-0.5 * np.asarray(total))
    count = len(y)
    factor = cho_factor(kernel + (noise + JITTER) * np.eye(count), lower=True)
    weights = cho_solve(factor, y)
    variance = float(y @ weights) / count
    logdet = 2.0 * float(np.log(np.diag(factor[0])).sum())
    inverse = cho_solve(factor, np.eye(count))
    outer = np.outer(weights, weights) / variance - inverse
    gradient = np.empty_like(logs)
    changed = outer * kernel
    for i, (w, s) in enumerate(zip(inverse_squares, squares, strict=True)):
        gradient[i] = -0.5 * float((changed * s).sum()) * w
    gradient[-1] = -0.5 * float(np.trace(outer)) * noise
    return 0.5 * (count * np.log(variance) + logdet), gradient
