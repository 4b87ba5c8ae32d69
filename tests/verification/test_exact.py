"""The closed forms reproduce printed numbers to every printed digit.

The numbers were evaluated independently of `exact.py`; agreement catches a slip in a formula before
a simulation is compared with it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from ablasim.verify import exact

MM = 1e-3
K = 0.52
CAPACITY = 1079.0 * 3540.0
PERFUSION = 1000.0 * 3639.0 * 3.6e-3
SIGMA = 0.333


def assert_printed(values: Iterable[float] | float, table: str) -> None:
    """Every value rounds to the printed one."""
    values = np.atleast_1d(np.asarray(values, dtype=float))
    for value, text in zip(values, table.split(), strict=True):
        mantissa, _, exponent = text.partition("e")
        decimals = len(mantissa.partition(".")[2])
        half_digit = 0.5 * 10.0 ** (int(exponent or 0) - decimals)
        assert abs(value - float(text)) <= half_digit * (1 + 1e-9), (value, text)


def test_printed_digits_can_fail() -> None:
    assert_printed(0.21814, "0.2181")
    with pytest.raises(AssertionError):
        assert_printed(0.21816, "0.2181")
    with pytest.raises(AssertionError):
        assert_printed(3.6e-5, "2e-5")


def test_point_source() -> None:
    r = np.array([5.0, 10.0, 15.0, 20.0, 30.0]) * MM
    assert_printed(
        exact.point_source(r, 5.0, K, PERFUSION), "69.2028 15.6470 4.71711 1.59983 0.218100"
    )


def test_point_source_switched_on() -> None:
    r = np.array([5.0, 10.0, 20.0]) * MM
    for perfusion, time, table in (
        (PERFUSION, 60.0, "29.2857 0.866503 2.4e-5"),
        (PERFUSION, 300.0, "64.0435 11.9033 0.470197"),
        (PERFUSION, 600.0, "68.3169 14.9071 1.23500"),
        (0.0, 600.0, "106.4586 33.2074 4.50061"),
    ):
        theta = exact.point_source_transient(r, time, 5.0, K, perfusion, CAPACITY)
        assert_printed(theta, table)


def test_cooled_sphere() -> None:
    r = np.array([2.0, 3.0, 5.0, 10.0]) * MM
    theta = exact.cooled_sphere_temperature(r, 1.5 * MM, 20.0, SIGMA, K)
    assert_printed(theta, "24.0144 32.0192 26.8962 16.3298")
    resistance = exact.sphere_resistance(1.5 * MM, SIGMA)
    assert_printed(resistance, "159.314")
    assert_printed(400.0 / resistance, "2.51076")


@pytest.mark.parametrize(
    ("k_slope", "sigma_slope", "printed"),
    [(0.0, 0.015, "41.1027"), (0.0033, 0.0, "29.2959"), (0.0033, 0.015, "36.2276")],
)
def test_kohlrausch(k_slope: float, sigma_slope: float, printed: str) -> None:
    """The largest temperature lies where phi = V/2; between, the relation inverts."""
    phi = np.array([0.0, 3.0, 10.0, 16.0])
    theta = exact.kohlrausch_temperature(phi, 20.0, K, k_slope, SIGMA, sigma_slope)
    assert_printed(theta[2], printed)
    back = exact.kohlrausch_integral(theta, K, k_slope, SIGMA, sigma_slope)
    assert back == pytest.approx(0.5 * phi * (20.0 - phi), rel=1e-10)


def test_sphere_source() -> None:
    r = np.array([0.0, 5.0, 10.0, 15.0, 20.0]) * MM
    assert_printed(
        exact.sphere_source(r, 10 * MM, 1e6, K, PERFUSION),
        "35.9481 31.5733 16.7222 5.04125 1.70977",
    )


def test_sphere_source_far_away_is_a_point_source() -> None:
    """The two branches and the point source agree in their limits."""
    small, r = 0.01 * MM, np.array([5.0, 10.0]) * MM
    heat = 5.0 / (4 / 3 * np.pi * small**3)
    assert exact.sphere_source(r, small, heat, K, PERFUSION) == pytest.approx(
        exact.point_source(r, 5.0, K, PERFUSION), rel=1e-5
    )
    a = 10 * MM
    inside, outside = exact.sphere_source(
        np.array([a * (1 - 1e-9), a * (1 + 1e-9)]), a, 1e6, K, PERFUSION
    )
    assert inside == pytest.approx(outside, rel=1e-7)


def test_coaxial_cylinder() -> None:
    r = np.array([3.0, 6.0, 10.0, 20.0]) * MM
    assert_printed(
        exact.coaxial_temperature(r, 1.5 * MM, 30 * MM, 20.0, SIGMA, K),
        "22.7775 31.8416 29.7443 14.9887",
    )
    assert_printed(exact.coaxial_power(1.5 * MM, 30 * MM, 20.0, SIGMA), "279.371")


def test_spheroid() -> None:
    assert_printed(exact.spheroid_resistance(15 * MM, 1.5 * MM, SIGMA), "47.92654")
    r = np.array([3.0, 5.0, 10.0, 20.0, 0.0, 0.0]) * MM
    z = np.array([0.0, 0.0, 0.0, 0.0, 20.0, 30.0]) * MM
    assert_printed(
        exact.spheroid_potential(r, z, 15 * MM, 1.5 * MM),
        "0.770912 0.605929 0.397760 0.230567 0.322200 0.182402",
    )


def test_slab() -> None:
    x = np.array([5.0, 10.0, 15.0, 20.0]) * MM
    assert_printed(
        exact.slab_steady(x, 30 * MM, 40.0, K, PERFUSION), "18.0831 8.16592 3.66752 1.60283"
    )
    for time, table in (
        (60.0, "7.65471 0.45297 0.00687 2e-5"),
        (300.0, "16.7397 6.22260 1.94676 0.49145"),
        (600.0, "17.8566 7.79226 3.26503 1.27889"),
    ):
        theta = exact.slab_transient(x, time, 30 * MM, 40.0, K, PERFUSION, CAPACITY)
        assert_printed(theta, table)


def test_robin_half_space() -> None:
    x = np.array([0.0, 1.0, 3.0, 5.0, 10.0]) * MM
    for time, table in (
        (10.0, "46.1018 22.7479 2.37226 0.07027 0"),
        (60.0, "53.9382 42.5723 23.2648 10.5212 0.58451"),
        (300.0, "57.2546 52.0023 41.8463 32.5228 14.7117"),
    ):
        assert_printed(exact.robin_half_space(x, time, 60.0, 1000.0, K, CAPACITY), table)
