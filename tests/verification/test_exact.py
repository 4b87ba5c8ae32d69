"""The closed forms reproduce printed numbers to every printed digit.

The numbers were evaluated independently of `exact.py`; agreement catches a slip in a formula before
a simulation is compared with it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from ablasim.verify import exact, exact_vessel
from ablasim.verify.exact_front import LineSinkFront, PlanarFront
from ablasim.verify.exact_heating import LaserPulse, heated_box
from ablasim.verify.exact_vessel import LineBesideVessel

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


@pytest.mark.parametrize(
    ("wall", "printed"),
    [
        (120.0, "0.110721 2.0014 0.0408077 1.4136"),
        (140.0, "0.167343 3.0248 0.0633410 2.1942"),
        (200.0, "0.277275 5.0119 0.108696 3.7653"),
    ],
)
def test_vaporising_front(wall: float, printed: str) -> None:
    latent = 1079.0 * 0.7 * 2.26e6
    values = []
    for k, capacity in ((K, CAPACITY), (0.3, 0.6e6)):
        front = PlanarFront(wall, 100.0, 37.0, k, capacity, K, CAPACITY, latent)
        values += [front.front_constant(), front.position(600.0) / MM]
        edge = np.array([0.0, front.position(600.0) * (1 - 1e-9), 1.0])
        assert front.temperature(edge, 600.0) == pytest.approx([wall, 100.0, 37.0], abs=1e-6)
    assert_printed(values, printed)


def test_freezing_front() -> None:
    front = LineSinkFront(1e4, 36.85, -0.15, 2.22, 1.762e6, 338e6)
    assert_printed(front.front_constant(), "0.828804")
    assert_printed(front.position(1.0) / MM, "1.86061")
    edge = front.position(1.0) * np.array([1 - 1e-9, 1 + 1e-9])
    assert front.temperature(edge, 1.0) == pytest.approx([-0.15, -0.15], abs=1e-5)


INF = float("inf")


@pytest.mark.parametrize(
    ("distance", "h", "plain", "perfused"),
    [
        (7.5, 300.0, "322.554 144.401 752.254 442.080", "107.205 5.0574 308.516 33.390 186.714"),
        (7.5, 1000.0, "112.917 36.276 576.749 294.615", "47.481 1.2159 284.181 27.163 247.552"),
        (7.5, 3000.0, "40.493 11.143 521.660 252.818", "18.523 0.3402 272.936 24.683 272.964"),
        (7.5, INF, "0 0 492.596 232.052", "0 0 266.001 23.293 287.727"),
        (12.5, 300.0, "270.766 168.244 825.329 598.688", "33.846 2.3581 167.709 10.958 67.204"),
        (12.5, 1000.0, "89.102 45.646 666.692 450.284", "14.677 0.6217 163.390 10.107 89.101"),
        (12.5, 3000.0, "30.996 14.537 619.623 407.927", "5.647 0.1831 161.442 9.759 98.248"),
        (12.5, INF, "0 0 595.579 386.766", "0 0 160.260 9.560 103.561"),
    ],
)
def test_line_beside_vessel(distance: float, h: float, plain: str, perfused: str) -> None:
    """To one in the last printed digit, or 2.1e-5: the printed perfused rows of a held wall
    were evaluated with h = 1e7, not with its limit."""

    def close(values: Iterable[float], table: str) -> bool:
        for value, text in zip(values, table.split(), strict=True):
            last_digit = 10.0 ** -len(text.partition(".")[2]) if "." in text else 1e-9
            if abs(value - float(text)) > max(last_digit, 2.1e-5 * abs(value)):
                return False
        return True

    assert not close([144.41], "144.400")
    a, d = 2.5 * MM, distance * MM
    x, y = np.array([a, -a, 0.5 * (a + d), 0.0]), np.array([0.0, 0.0, 0.0, d])
    line = LineBesideVessel(1000.0, a, d, h, K)
    assert close(line.theta(x, y), plain)
    line = LineBesideVessel(1000.0, a, d, h, K, PERFUSION)
    assert close([*line.theta(x, y), line.vessel_heat()], perfused)


@pytest.mark.parametrize("perfusion", [0.0, 13100.0])
def test_the_vessel_takes_what_its_wall_conducts(perfusion: float) -> None:
    """h theta is the flux at every place of the wall, and its integral the vessel's heat."""
    a, step = 2.5 * MM, 1e-4 * MM
    line = LineBesideVessel(1000.0, a, 7.5 * MM, 1000.0, K, perfusion)
    angle = np.linspace(0.0, 2.0 * np.pi, 721)[:-1]

    def at(r: float) -> np.ndarray:
        return line.theta(r * np.cos(angle), r * np.sin(angle))

    # one-sided: the series holds outside the vessel only
    flux = K * (-3.0 * at(a) + 4.0 * at(a + step) - at(a + 2.0 * step)) / (2.0 * step)
    assert 1000.0 * at(a) == pytest.approx(flux, rel=1e-5)
    assert 2.0 * np.pi * a * flux.mean() == pytest.approx(line.vessel_heat(), rel=1e-5)


def test_vessel_in_source() -> None:
    r = np.array([1.5, 3.0, 5.0, 10.0, 20.0]) * MM
    theta = exact_vessel.vessel_in_source(r, 1.5 * MM, 1200.0, 1e6, K, PERFUSION)
    assert_printed(theta, "11.1642 36.7099 52.8959 68.4898 75.1670")
    theta = exact_vessel.tissue_cylinder(r[:4], 1.5 * MM, 10 * MM, 1200.0, 1e6, K)
    assert_printed(theta, "27.1528 90.5564 131.982 162.573")


def test_laser_pulse() -> None:
    """To 1e-5: the printed values have D = 0.12 mm2/s to two digits, and rho c = k/D."""
    pulse = LaserPulse(21.0, 0.3, 60.0, 4.5 * MM, 0.12e-6, 0.45837 / 0.12e-6, 0.0013)
    r = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]) * MM
    z = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 1.0]) * MM
    printed = [0.260552, 1.43244, 3.98152, 6.37121, 7.17285, 6.22017, 4.62082]
    assert pulse.theta(r, z, 5.0) == pytest.approx(printed, rel=1e-5)
    assert pulse.source(np.zeros(2), np.array([-1e-9, 1e-9])) == pytest.approx(
        [0.0, 1.3204e8], 1e-4
    )


def test_heated_box() -> None:
    """One cosine decays with its own rate; a uniform source without perfusion warms steadily."""
    count, width, time = 9, 8.0 * MM, 50.0
    x = np.linspace(0.0, width, count)
    wave = np.cos(2.0 * np.pi * x / width)[:, None, None] * np.ones((1, count, count))
    theta = heated_box(1e6 * (wave + 1.0), width / (count - 1), time, K, 0.0, CAPACITY)
    rate = K * (2.0 * np.pi / width) ** 2 / CAPACITY
    expected = 1e6 / CAPACITY * (time + wave * (1.0 - np.exp(-rate * time)) / rate)
    assert theta == pytest.approx(expected, rel=1e-10)
