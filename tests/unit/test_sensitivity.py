"""Sobol indices of functions whose exact indices are known."""

import numpy as np
import pytest

from ablasim.assess.sensitivity import sensitivity, sobol_indices
from ablasim.assess.surrogate import fit_surrogate
from ablasim.study.inputs import unit_samples

ISHIGAMI_FIRST = (0.3139, 0.4424, 0.0)
ISHIGAMI_TOTAL = (0.5576, 0.4424, 0.2437)


def ishigami(u: np.ndarray) -> np.ndarray:
    """Ishigami and Homma 1990, a = 7, b = 0.1."""
    x = np.pi * (2.0 * u - 1.0)
    return np.asarray(
        np.sin(x[:, 0]) + 7.0 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])
    )


def test_the_design_itself_on_ishigami() -> None:
    first, total, first_error, _ = sobol_indices(ishigami, 3, seed=1)
    np.testing.assert_allclose(first, ISHIGAMI_FIRST, atol=0.02)
    np.testing.assert_allclose(total, ISHIGAMI_TOTAL, atol=0.02)
    assert (first_error < 0.1).all()


def test_from_256_samples_of_ishigami() -> None:
    """A hard function: not monotone, and its third input acts only together with the first."""
    unit = unit_samples(256, 3, seed=3)
    found = sensitivity(("a", "b", "c"), unit, ishigami(unit), seed=1)
    assert found.q2 > 0.95
    np.testing.assert_allclose(found.first, ISHIGAMI_FIRST, atol=0.05)
    np.testing.assert_allclose(found.total, ISHIGAMI_TOTAL, atol=0.05)


def test_thirteen_inputs_and_a_jump() -> None:
    """What a study looks like: many smooth inputs, two of them names; exact indices by hand."""
    weights = np.array([3.0, 1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.1, 0.0, 0.8, 0.8])
    unit = unit_samples(256, 13, seed=5)

    def margin(u: np.ndarray) -> np.ndarray:
        from scipy.special import ndtri

        jumps = 2.0 * (u[:, 11] < 0.5) + 1.0 * (u[:, 12] < 0.5)
        return np.asarray(ndtri(u[:, :11]) @ weights + jumps)

    variances = np.concatenate([weights**2, [2.0**2 / 4, 1.0 / 4]])
    exact = variances / variances.sum()
    names = tuple(f"x{i}" for i in range(13))

    def features(u: np.ndarray) -> np.ndarray:
        """As a study gives them: scores, and steps for names."""
        from scipy.special import ndtri

        steps = np.where(u[:, 11:] < 0.5, -1.0, 1.0)
        return np.column_stack([ndtri(np.clip(u[:, :11], 1e-6, 1 - 1e-6)), steps])

    found = sensitivity(names, unit, margin(unit), features=features, seed=2)
    assert found.q2 > 0.99
    np.testing.assert_allclose(found.first, exact, atol=0.02)
    np.testing.assert_allclose(found.total, exact, atol=0.02)


def test_q2_tells_noise_from_knowledge() -> None:
    unit = unit_samples(128, 4, seed=0)
    noise = np.random.default_rng(1).normal(size=128)
    found = sensitivity(("a", "b", "c", "d"), unit, noise)
    assert found.q2 < 0.3 and found.first == () and "take more samples" in found.problem


def test_q2_is_what_leaving_out_gives() -> None:
    """The closed formula against predictions of held-out samples."""
    unit = unit_samples(512, 3, seed=9)
    values = ishigami(unit)
    fitted = fit_surrogate(unit[:256], values[:256])
    residual = values[256:] - fitted(unit[256:])
    outside = 1.0 - np.mean(residual**2) / np.var(values[256:])
    assert outside == pytest.approx(fitted.q2, abs=0.05)


def test_samples_without_a_zone_do_not_spoil_it() -> None:
    unit = unit_samples(128, 2, seed=0)
    values = unit @ np.array([3.0, 1.0])
    values[values < 0.3] = -np.inf
    found = sensitivity(("a", "b"), unit, values)
    assert found.problem == "" and found.first[0] > found.first[1]
