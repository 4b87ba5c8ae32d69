"""Coverage of the 90 % interval on a cheap synthetic model whose coverage is known."""

import numpy as np
import pytest
from scipy import stats

from ablasim.study.calibration import Coverage, calibrate, coverage, hidden_points
from ablasim.study.inputs import unit_samples

NAMES = ("perfusion_liver", "net_power", "probe_x")
WEIGHTS = np.array([2.0, 1.0, 0.5]) * 1e-3


def margin_of(unit: np.ndarray) -> np.ndarray:
    """Normally distributed margins with a standard deviation of 2.29 mm."""
    return np.asarray(stats.norm.ppf(unit) @ WEIGHTS + 1e-3)


def covered(samples: int, shift: dict[str, float]) -> Coverage:
    """Coverage of the interval of a study under one prior of 20 000 truths."""
    margins = margin_of(unit_samples(samples, len(NAMES), 1))
    return calibrate(margins, margin_of, NAMES, truths=20_000, seed=1, shifts={"it": shift})["it"]


def test_the_same_prior_is_covered_as_promised() -> None:
    found = covered(256, {})
    assert found.inside.value == pytest.approx(0.9, abs=0.02)
    assert found.below.value == pytest.approx(0.05, abs=0.015)
    assert found.inside.value + found.below.value + found.above.value == pytest.approx(1.0)


def test_a_shifted_prior_is_covered_less_by_what_theory_says() -> None:
    """Shifted by d standard deviations of the margin: Phi(1.645 - d) - Phi(-1.645 - d)."""
    shift = {"perfusion_liver": -1.0}
    found = covered(4096, shift)
    moved = -WEIGHTS[0] / np.linalg.norm(WEIGHTS)
    ends = stats.norm.ppf([0.05, 0.95]) - moved
    expected = stats.norm.cdf(ends[1]) - stats.norm.cdf(ends[0])
    assert expected < 0.8, "the shift must matter"
    assert found.inside.value == pytest.approx(expected, abs=0.015)
    assert found.below.value > 0.15 > found.above.value, "the margin is worse than it says"


def test_truths_are_no_samples_of_the_study() -> None:
    same = hidden_points(64, NAMES, seed=1)
    np.testing.assert_array_equal(same, hidden_points(64, NAMES, seed=1))
    assert not np.array_equal(same, hidden_points(64, NAMES, seed=2))
    shifted = hidden_points(64, NAMES, seed=1, shift={"probe_x": 1.0})
    np.testing.assert_array_equal(same[:, :2], shifted[:, :2])
    assert (shifted[:, 2] > same[:, 2]).all()


def test_no_zone_in_some_samples() -> None:
    margins = np.concatenate([np.full(50, -np.inf), np.linspace(0.0, 1.0, 50)])
    found = coverage(margins, np.array([-np.inf, 0.5, 2.0, -3.0]))
    assert found.inside.value == 0.75 and found.above.value == 0.25


def test_a_truth_whose_solver_gave_up_may_be_anything() -> None:
    """It is no truth less: the interval of the share holds for whatever it is."""
    margins, truths = np.linspace(0.0, 1.0, 65), np.full(20, 0.5)
    plain = coverage(margins, truths)
    found = coverage(margins, np.append(truths, [np.nan, np.nan]))
    assert (plain.truths, found.truths) == (20, 20)
    assert found.inside.value == plain.inside.value == 1.0
    assert found.inside.low <= coverage(margins, np.append(truths, [-1.0, -1.0])).inside.low
    assert found.below.high >= coverage(margins, np.append(truths, [-1.0, -1.0])).below.high
