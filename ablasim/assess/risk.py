"""Statistics of the margins of many samples. Lengths in metres; nothing here knows a mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablasim.assess.intervals import Estimate, probability, quantile, wilson

Floats = NDArray[np.float64]

LEVELS = (0.05, 0.5, 0.95)
"""Quantiles that are reported."""

LEAST_SAMPLES = 72
"""Fewer samples never count as enough: the intervals of P5 and P95 would be open at one end."""


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
        apart_below_zero: P(margin < 0 somewhere in the part of the tumour's surface next to the
            capsule, which the minimal margin leaves out); None where there is none.
    """

    below_zero: Estimate
    below_target: Estimate
    target: float
    margin: tuple[Estimate, ...]
    volume: tuple[Estimate, ...]
    count: int
    apart_below_zero: Estimate | None = None


def margin_risk(
    minimal: Floats,
    volume: Floats,
    target: float,
    apart: Floats | None = None,
    *,
    failed: int = 0,
) -> MarginRisk:
    """Probabilities and quantiles of samples.

    Args:
        minimal: minimal margins (k,) [m].
        volume: of the zones (k,) [m3].
        target: wanted margin [m].
        apart: margins (k, s) [m] in the part that the minimal margin leaves out; None for none.
        failed: further samples whose solver gave up; the intervals of the probabilities hold for
            whatever their margins are.
    """
    uncovered = None if apart is None else (apart < 0.0).any(axis=1)
    return MarginRisk(
        below_zero=probability(minimal < 0.0, unknown=failed),
        below_target=probability(minimal < target, unknown=failed),
        target=target,
        margin=tuple(quantile(minimal, level) for level in LEVELS),
        volume=tuple(quantile(volume, level) for level in LEVELS),
        count=len(minimal),
        apart_below_zero=None if uncovered is None else probability(uncovered, unknown=failed),
    )


def narrow_enough(minimal: Floats, target: float, half_width: float, *, failed: int = 0) -> bool:
    """Whether the intervals of both probabilities are at most +- `half_width`, whatever `failed`
    further samples would be."""
    if len(minimal) < LEAST_SAMPLES:
        return False
    found = [probability(minimal < level, unknown=failed) for level in (0.0, target)]
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


def surface_risk(margin: Floats, target: float, *, failed: int = 0) -> SurfaceRisk:
    """Risk at every point.

    Args:
        margin: of samples at points (k, p) [m].
        target: wanted margin [m].
        failed: further samples whose solver gave up; the interval holds for whatever they are.
    """
    share = (margin < 0.0).mean(axis=0)
    times = np.count_nonzero(margin < 0.0, axis=0).astype(np.float64)
    low, high = wilson(times, len(margin), unknown=failed)
    return SurfaceRisk(
        probability=share,
        low=low,
        high=high,
        below_target=(margin < target).mean(axis=0),
        margin=columnwise_quantiles(margin, LEVELS),
    )


def columnwise_quantiles(values: NDArray[np.floating], levels: tuple[float, ...]) -> Floats:
    """Quantiles (q, p) of each column of (k, p): the largest of its values that at least a share
    1 - level of them reaches, so that what is said of a P5 holds for 95 % of the samples."""
    ordered = np.sort(values, axis=0)
    count = len(ordered)
    # rounding must not take 0.05 times 20 for less than one
    places = [min(int(level * count + 1e-9), count - 1) for level in levels]
    return ordered[places].astype(np.float64)


def convergence(
    minimal: Floats, target: float, failed: NDArray[np.bool_]
) -> list[tuple[int, Estimate, Estimate]]:
    """Both probabilities after 16, 32, 64, ... samples and after all of them.

    Args:
        minimal: minimal margins of all samples in their order (k,) [m].
        target: wanted margin [m].
        failed: samples of which nothing is known (k,).
    """
    found = []
    counts = [2**power for power in range(4, 40) if 2**power < len(minimal)] + [len(minimal)]
    for count in counts:
        lacking = failed[:count]
        if lacking.all():
            continue
        known, unknown = minimal[:count][~lacking], int(lacking.sum())
        zero, wanted = (probability(known < level, unknown=unknown) for level in (0.0, target))
        found.append((count, zero, wanted))
    return found
