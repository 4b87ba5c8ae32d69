"""The closed forms reproduce printed numbers to every printed digit.

The numbers were evaluated independently of `exact.py`; agreement catches a slip in a formula before
a simulation is compared with it.
"""

from __future__ import annotations

from collections.abc import Iterable

import exact
import numpy as np
import pytest

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


@pytest.mark.parametrize(
    ("distance", "coefficient", "bare", "perfused", "heat"),
    [
        (7.5, 300.0, "322.554 144.401 752.254 442.080", "107.205 5.0574 308.516 33.390", 186.714),
        (7.5, 1000.0, "112.917 36.276 576.749 294.615", "47.481 1.2159 284.181 27.163", 247.552),
        (7.5, 3000.0, "40.493 11.143 521.660 252.818", "18.523 0.3402 272.936 24.683", 272.964),
        (7.5, np.inf, "0 0 492.596 232.052", "0 0 265.999 23.293", None),
        (12.5, 300.0, "270.766 168.244 825.329 598.688", "33.846 2.3581 167.709 10.958", 67.204),
        (12.5, 1000.0, "89.102 45.646 666.692 450.284", "14.677 0.6217 163.390 10.107", 89.101),
        (12.5, 3000.0, "30.996 14.537 619.623 407.927", "5.647 0.1831 161.442 9.759", 98.248),
        (12.5, np.inf, "0 0 595.579 386.766", "0 0 160.260 9.560", None),
    ],
)
def test_vessel_and_line(
    distance: float, coefficient: float, bare: str, perfused: str, heat: float | None
) -> None:
    """Wall towards and away from the source, half-way to it, and beside it."""
    a, d = 2.5 * MM, distance * MM
    r, phi = np.array([a, a, 0.5 * (a + d), d]), np.array([0.0, np.pi, 0.0, 0.5 * np.pi])
    for perfusion, table in ((0.0, bare), (PERFUSION, perfused)):
        theta = exact.vessel_and_line(r, phi, a, d, 1000.0, K, coefficient, perfusion)
        wanted = np.array(table.split(), dtype=float)
        assert theta == pytest.approx(wanted, abs=6e-4)
    if heat is not None:
        around = np.linspace(0.0, 2.0 * np.pi, 400, endpoint=False)
        wall = exact.vessel_and_line(
            np.full(400, a), around, a, d, 1000.0, K, coefficient, PERFUSION
        )
        assert coefficient * 2.0 * np.pi * a * wall.mean() == pytest.approx(heat, abs=6e-4)


def test_vessel_in_heated_tissue() -> None:
    r = np.array([1.5, 3.0, 5.0, 10.0, 20.0]) * MM
    assert_printed(
        exact.heated_around_vessel(r, 1.5 * MM, 1e6, K, PERFUSION, 1200.0),
        "11.1642 36.7099 52.8959 68.4898 75.1670",
    )
    assert_printed(
        exact.tissue_cylinder(r[:4], 1.5 * MM, 10 * MM, 1e6, K, 1200.0),
        "27.1528 90.5564 131.982 162.573",
    )
