"""Statistics of the margins of many samples. Lengths in metres; nothing here knows a mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablasim.assess.intervals import Estimate, probability, quantile, wilson

Floats = NDArray[np.float64]

LEVELS = (0.05, 0.5, 0.95)
"""Quantiles that are reported."""

LEAST_SAMPLES = 64
"""Fewer samples never count as enough."""


@dataclass(frozen=True)
class MarginRisk:
    """What the minimal margins say.

    Attributes:
        below_zero: P(minimal margin < 0).
        below_target: P(minimal margin < the wanted one).
        target: that margin [m].
        margin: P5, P50, P95 of it [m]; minus infinity where there is no zone.
        volume: P5, P50, P95 of the zone's volume [m3].
        count: number of samples.
    """

    below_zero: Estimate
    below_target: Estimate
    target: float
    margin: tuple[Estimate, ...]
    volume: tuple[Estimate, ...]
    count: int


def margin_risk(minimal: Floats, volume: Floats, target: float) -> MarginRisk:
    """Probabilities and quantiles of samples.

    Args:
        minimal: minimal margins (k,) [m].
        volume: of the zones (k,) [m3].
        target: wanted margin [m].
    """
    return MarginRisk(
        below_zero=probability(minimal < 0.0),
        below_target=probability(minimal < target),
        target=target,
        margin=tuple(quantile(minimal, level) for level in LEVELS),
        volume=tuple(quantile(volume, level) for level in LEVELS),
        count=len(minimal),
    )


def narrow_enough(minimal: Floats, target: float, half_width: float) -> bool:
    """Whether the intervals of both probabilities are at most +- `half_width`."""
    if len(minimal) < LEAST_SAMPLES:
        return False
    found = (probability(minimal < 0.0), probability(minimal < target))
    return all(estimate.half_width <= half_width for estimate in found)


@dataclass(frozen=True, eq=False)
class SurfaceRisk:
    """Risk at every point of the tumour's surface.

    Attributes:
        probability: P(margin < 0) there (p,).
        low, high: its interval (p,).
        below_target: P(margin < the wanted one) there (p,).
        margin: P5, P50, P95 of the margin there (3, p) [m].
    """

    probability: Floats
    low: Floats
    high: Floats
    below_target: Floats
    margin: Floats


def surface_risk(margin: Floats, target: float) -> SurfaceRisk:
    """Risk at every point.

    Args:
        margin: of samples at points (k, p) [m].
        target: wanted margin [m].
    """
    share = (margin < 0.0).mean(axis=0)
    low, high = wilson(share, len(margin))
    return SurfaceRisk(
        probability=share,
        low=low,
        high=high,
        below_target=(margin < target).mean(axis=0),
        margin=columnwise_quantiles(margin, LEVELS),
    )


def columnwise_quantiles(values: NDArray[np.floating], levels: tuple[float, ...]) -> Floats:
    """Quantiles (q, p) of each column of (k, p), where minus infinity is the smallest value."""
    ordered = np.sort(values, axis=0)
    found = []
    for level in levels:
        place = level * (len(ordered) - 1)
        below = int(place)
        first = ordered[below].astype(np.float64)
        second = ordered[min(below + 1, len(ordered) - 1)].astype(np.float64)
        gap = np.where(np.isfinite(first), second - np.where(np.isfinite(first), first, 0.0), 0.0)
        found.append(first + (place - below) * gap)
    return np.array(found)


def convergence(minimal: Floats, target: float) -> list[tuple[int, Estimate, Estimate]]:
    """Both probabilities after 16, 32, 64, ... samples and after all of them."""
    counts = [2**power for power in range(4, 40) if 2**power < len(minimal)] + [len(minimal)]
    return [
        (count, probability(minimal[:count] < 0.0), probability(minimal[:count] < target))
        for count in counts
    ]
