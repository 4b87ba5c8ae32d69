"""Intervals against the binomial distribution, and with Sobol instead of independent samples."""

import numpy as np
import pytest
from scipy import stats

from ablasim.assess.intervals import (
    closed_from,
    paired_difference,
    probability,
    quantile,
    wilson,
)
from ablasim.study.inputs import unit_samples


def test_wilson_against_an_independent_implementation() -> None:
    for happened, count in ((0, 20), (3, 64), (32, 64), (64, 64)):
        expected = stats.binomtest(happened, count).proportion_ci(0.95, method="wilson")
        got = probability(np.arange(count) < happened)
        assert (got.low, got.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert got.value == happened / count


@pytest.mark.parametrize("p", [0.02, 0.1, 0.3, 0.5])
def test_wilson_covers_what_it_says(p: float) -> None:
    """Exact coverage by summing the binomial distribution; a normal interval has 0.7 at 0.02."""
    count = 256
    counts = np.arange(count + 1)
    low, high = wilson(counts.astype(float), count)
    covered = stats.binom.pmf(counts, count, p)[(low <= p) & (p <= high)].sum()
    assert covered == pytest.approx(0.95, abs=0.025)


def test_quantile_interval_covers_any_distribution() -> None:
    rng = np.random.default_rng(5)
    for level, exact in ((0.05, stats.expon.ppf(0.05)), (0.5, np.log(2.0))):
        hits = 0
        for _ in range(400):
            got = quantile(rng.exponential(size=256), level)
            assert got.low <= got.value <= got.high
            hits += got.low <= exact <= got.high
        assert 0.92 <= hits / 400 <= 1.0


@pytest.mark.parametrize("count", [8, 16, 32, 71, 72, 128])
def test_quantile_intervals_of_few_samples_are_open(count: int) -> None:
    """Catches an end at the extreme sample that covers far less than it says: exact coverage of
    the interval of P5 and P95 of a uniform distribution by the beta distribution of its ends."""
    assert closed_from(0.05) == closed_from(0.95) == 72
    ordered = np.arange(count, dtype=float)
    for level in (0.05, 0.5, 0.95):
        found = quantile(ordered, level)
        below = 0.0 if found.low == -np.inf else stats.beta.sf(
            level, found.low + 1, count - found.low
        )  # fmt: skip
        above = 0.0 if found.high == np.inf else stats.beta.cdf(
            level, found.high + 1, count - found.high
        )  # fmt: skip
        assert below + above <= 0.05
    assert np.isfinite(quantile(ordered, 0.05).low) == (count >= 72)
    assert np.isfinite(quantile(ordered, 0.95).high) == (count >= 72)


def test_quantile_with_no_zone() -> None:
    values = np.array([-np.inf] * 10 + list(np.linspace(0, 1, 90)))
    assert quantile(values, 0.05).value == -np.inf
    assert np.isfinite(quantile(values, 0.5).value)
    assert quantile(values, 0.5).value == pytest.approx(
        np.quantile(values[10:], 0.5 * 99 / 89 - 10 / 89)
    )


def test_the_interval_is_honest_for_sobol_samples() -> None:
    """Doubling the samples moves P inside its interval, and the interval covers the exact P.

    A margin that depends on 13 inputs, smoothly and by a jump, P(margin < 0) about 0.1.
    """

    def failed(u: np.ndarray) -> np.ndarray:
        z = stats.norm.ppf(u)
        margin = z[:, :11] @ np.linspace(1.0, 0.2, 11) + 0.5 * np.abs(z[:, 11])
        return np.asarray(margin + np.where(u[:, 12] < 0.5, 0.0, 1.5) < -2.0)

    exact = failed(np.random.default_rng(0).random((2_000_000, 13))).mean()
    assert 0.05 < exact < 0.2
    covered = moved_inside = 0
    seeds = range(200)
    for seed in seeds:
        u = unit_samples(512, 13, seed)
        half, whole = probability(failed(u[:256])), probability(failed(u))
        covered += half.low <= exact <= half.high
        moved_inside += half.low <= whole.value <= half.high
    assert covered / len(seeds) >= 0.95
    assert moved_inside / len(seeds) >= 0.97


def test_a_difference_of_pairs_covers_what_it_says() -> None:
    """Catches two intervals that are taken as if their samples had nothing to do with each other:
    here the one of the difference is a third as wide."""
    rng = np.random.default_rng(3)
    inside, widths, apart = 0, [], []
    for _ in range(2000):
        first = rng.random(128) < 0.5
        other = np.where(rng.random(128) < 0.1, True, first)  # P(other) - P(first) = 0.05
        found = paired_difference(other, first)
        inside += found.low <= 0.05 <= found.high
        widths.append(found.half_width)
        apart.append(probability(other).half_width + probability(first).half_width)
    assert 0.94 < inside / 2000 < 0.985
    assert np.mean(widths) < 0.4 * np.mean(apart)
    assert paired_difference(first, first).value == 0.0
    nothing = np.zeros(50, dtype=bool)
    assert (
        paired_difference(~nothing, nothing).value
        == 1.0
        == paired_difference(~nothing, nothing).high
    )
