"""LPS and RAS, millimetres and metres."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablasim import frames

POINTS = st.lists(
    st.tuples(*[st.floats(-500.0, 500.0) for _ in range(3)]), min_size=1, max_size=5
).map(np.array)


def test_one_millimetre_is_a_thousandth_of_a_metre() -> None:
    assert frames.to_metres([1.0, 250.0]) == pytest.approx([0.001, 0.25])
    assert frames.to_mm(0.25) == pytest.approx(250.0)
    assert frames.to_ml(2.5e-6) == pytest.approx(2.5)


@given(POINTS)
def test_lengths_survive_there_and_back(points: np.ndarray) -> None:
    assert frames.to_mm(frames.to_metres(points)) == pytest.approx(points, rel=1e-12)


def test_flip_reverses_x_and_y_and_nothing_else() -> None:
    assert frames.flip_lps_ras([1.0, 2.0, 3.0]) == pytest.approx([-1.0, -2.0, 3.0])


@given(POINTS)
def test_flip_is_its_own_inverse(points: np.ndarray) -> None:
    assert np.array_equal(frames.flip_lps_ras(frames.flip_lps_ras(points)), points)


def test_flip_refuses_what_is_not_a_point() -> None:
    with pytest.raises(ValueError, match="last axis must have length 3"):
        frames.flip_lps_ras(np.zeros((3, 2)))


def test_nifti_header_becomes_lps_metres() -> None:
    """A voxel 10 mm to the patient's right of the origin lies at x = -10 mm in LPS."""
    ras = np.array([[2.0, 0, 0, 10.0], [0, 3.0, 0, -20.0], [0, 0, 4.0, 5.0], [0, 0, 0, 1.0]])
    lps = frames.ras_mm_affine_to_lps_m(ras)
    assert frames.apply_affine(lps, [0, 0, 0]) == pytest.approx([-0.010, 0.020, 0.005])
    assert frames.apply_affine(lps, [1, 1, 1]) == pytest.approx([-0.012, 0.017, 0.009])


@given(st.lists(st.floats(-50.0, 50.0), min_size=12, max_size=12))
def test_affine_survives_there_and_back(numbers: list[float]) -> None:
    affine = np.vstack([np.reshape(numbers, (3, 4)), [0, 0, 0, 1]])
    back = frames.lps_m_affine_to_ras_mm(frames.ras_mm_affine_to_lps_m(affine))
    assert back == pytest.approx(affine, rel=1e-12, abs=1e-12)


def test_grid_affine_puts_directions_in_columns() -> None:
    """Rows instead of columns would send index (1, 0, 0) along -x here."""
    direction = [0, 1, 0, -1, 0, 0, 0, 0, 1]
    affine = frames.grid_affine([10, 20, 30], [1, 2, 3], direction)
    assert frames.apply_affine(affine, [1, 0, 0]) == pytest.approx([0.010, 0.019, 0.030])
    assert frames.apply_affine(affine, [0, 1, 0]) == pytest.approx([0.012, 0.020, 0.030])


def test_affine_must_be_four_by_four() -> None:
    with pytest.raises(ValueError, match=r"must be \(4, 4\)"):
        frames.ras_mm_affine_to_lps_m(np.eye(3))
