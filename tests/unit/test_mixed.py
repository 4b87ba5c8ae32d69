"""Values of many problems as a few patterns, which must be the values."""

import jax
import numpy as np
import pytest

from ablasim.solve.kernels import put
from ablasim.solve.mixed import Mixed, full, patterns

RANDOM = np.random.default_rng(3)


def test_one_factor_for_each_problem_is_one_pattern() -> None:
    column, factor = RANDOM.uniform(1.0, 2.0, 50), RANDOM.uniform(0.5, 1.5, 16)
    columns, strengths = patterns(np.outer(column, factor))
    assert columns.shape == (50, 1) and strengths.shape == (1, 16)
    np.testing.assert_allclose(columns @ strengths, np.outer(column, factor), rtol=1e-13)


def test_two_tissues_are_two_patterns_and_zeros_stay_zeros() -> None:
    share = RANDOM.uniform(0.0, 1.0, (60, 2))
    share[:20, 0], share[10:30, 1] = 0.0, 0.0
    values = share @ RANDOM.uniform(1e3, 6e4, (2, 16))
    columns, strengths = patterns(values)
    assert strengths.shape == (2, 16)
    np.testing.assert_allclose(columns @ strengths, values, rtol=1e-11, atol=1e-9)
    assert ((columns @ strengths)[10:20] == 0.0).all(), "no perfusion is none, not a little"


@pytest.mark.parametrize("problems", [1, 5])
def test_nothing_at_all(problems: int) -> None:
    columns, strengths = patterns(np.zeros((7, problems)))
    assert (columns @ strengths == np.zeros((7, problems))).all()


def test_values_without_a_pattern_need_as_many_as_there_are_problems() -> None:
    assert len(patterns(RANDOM.uniform(size=(40, 6)))[1]) == 6


def test_full() -> None:
    values = RANDOM.uniform(size=(9, 2)) @ RANDOM.uniform(size=(2, 4))
    columns, strengths = patterns(values)
    mixed = Mixed(tuple(put(c[:, None]) for c in columns.T), put(strengths))
    with jax.numpy_rank_promotion("allow"):
        np.testing.assert_allclose(full(mixed), values, rtol=1e-6)
    plain = put(values)
    assert full(plain) is plain
