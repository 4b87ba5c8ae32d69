"""Intervals of probabilities and quantiles from samples.

The probability of an event that happened k times in n samples has Wilson's interval

    (p + z2/2n -+ z sqrt(p (1 - p)/n + z2/4n2)) / (1 + z2/n),   p = k/n,  z2 = z^2,

which stays honest where k is 0 or n. It holds for independent samples. Those of a scrambled Sobol
sequence estimate a probability with about that error or less, so that the interval errs on the wide
side. (Independent scrambles would give an interval of their own, but none at all where the event
never happened, and each of them would have to be small.) A quantile has the interval between two of
the sorted samples that the binomial distribution gives, whatever the distribution of the values;
where the samples are too few for one of its ends, that end is infinite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binom

Floats = NDArray[np.float64]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: the estimate.
        low, high: ends of the interval.
    """

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return 0.5 * (self.high - self.low)


def probability(
    happened: NDArray[np.bool_], confidence: float = CONFIDENCE, *, unknown: int = 0
) -> Estimate:
    """Probability of an event and its Wilson interval.

    Args:
        happened: in each sample (n,), at least one.
        confidence: of the interval.
        unknown: further samples of which nobody knows; the interval holds for whatever they are.
    """
    times, count = np.array([float(np.count_nonzero(happened))]), len(happened)
    low, high = wilson(times, count, confidence, unknown=unknown)
    return Estimate(float(times[0]) / count, float(low[0]), float(high[0]))


def paired_difference(
    one: NDArray[np.bool_],
    other: NDArray[np.bool_],
    confidence: float = CONFIDENCE,
    *,
    unknown: int = 0,
) -> Estimate:
    """P(one) - P(other) of two events in the same samples: Wald's interval for matched pairs with
    half a pair added to each of the four kinds (Agresti and Min, Statistics in Medicine 24, 2005,
    729-740): the pairs in which both happened or neither say nothing of the difference.

    Args:
        one, other: whether each happened (n,).
        confidence: of the interval.
        unknown: further pairs of which nobody knows; the interval holds for whatever they are.
    """
    count = len(one)
    only_one = float(np.count_nonzero(one & ~other))
    only_other = float(np.count_nonzero(other & ~one))
    value, every, z = (only_one - only_other) / count, count + unknown + 2.0, _deviate(confidence)

    def end(first: float, second: float, side: float) -> float:
        first, second = (first + 0.5) / every, (second + 0.5) / every
        spread = float(np.sqrt((first + second - (first - second) ** 2) / every))
        return first - second + side * z * spread

    low = end(only_one, only_other + unknown, -1.0)
    high = end(only_one + unknown, only_other, 1.0)
    return Estimate(value, max(min(low, value), -1.0), min(max(high, value), 1.0))


def wilson(
    times: Floats, count: int, confidence: float = CONFIDENCE, *, unknown: int = 0
) -> tuple[Floats, Floats]:
    """Ends of Wilson's interval for events that happened so many times (...) in `count` samples.

    Args:
        times: how often (...).
        count: samples.
        confidence: of the interval.
        unknown: further samples of which nobody knows; the interval holds for whatever they are.
    """
    z, every = _deviate(confidence), count + unknown
    scale = 1.0 + z**2 / every

    def ends(shares: Floats) -> tuple[Floats, Floats]:
        centre = shares + z**2 / (2 * every)
        spread = z * np.sqrt(shares * (1.0 - shares) / every + (z / (2 * every)) ** 2)
        return (centre - spread) / scale, (centre + spread) / scale

    fewest, most = times / every, (times + unknown) / every
    # exact at the ends, where rounding would leave 1e-18
    low = np.where(fewest == 0.0, 0.0, ends(fewest)[0])
    return low, np.where(most == 1.0, 1.0, ends(most)[1])


def _deviate(confidence: float) -> float:
    """Of the normal distribution: 1.96 for 0.95."""
    return float(ndtri(0.5 + 0.5 * confidence))


def quantile(values: Floats, level: float, confidence: float = CONFIDENCE) -> Estimate:
    """A quantile of a distribution and an interval that holds for any distribution.

    Args:
        values: samples (n,); minus infinity counts as smaller than any.
        level: 0.05 for P5.
        confidence: of the interval.
    """
    ordered = np.sort(values)
    count = len(ordered)
    tail = 0.5 * (1.0 - confidence)
    low = int(binom.ppf(tail, count, level)) - 1
    high = int(binom.ppf(1.0 - tail, count, level))
    return Estimate(
        _between(ordered, level),
        float(ordered[low]) if low >= 0 else -np.inf,
        float(ordered[high]) if high < count else np.inf,
    )


def closed_from(level: float, confidence: float = CONFIDENCE) -> int:
    """Samples from which the interval of a quantile has two ends."""
    tail = 0.5 * (1.0 - confidence)
    return next(n for n in range(1, 100_000) if _is_closed(n, level, tail))


def _is_closed(count: int, level: float, tail: float) -> bool:
    low, high = binom.ppf([tail, 1.0 - tail], count, level)
    return bool(low >= 1 and high < count)


def _between(ordered: Floats, level: float) -> float:
    """NumPy's linear quantile, which infinite values do not turn into NaN."""
    place = level * (len(ordered) - 1)
    below = int(place)
    first, second = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
    if first == second or place == below:
        return first
    return first + (place - below) * (second - first) if np.isfinite(first) else first
