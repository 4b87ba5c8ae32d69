"""Wall coefficients and the blood's heat balance against exact values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from ablasim.errors import AblasimError
from ablasim.physics import nusselt
from ablasim.physics.blood import BloodTree, blood_response
from ablasim.physics.vessels import (
    Blood,
    TubeFlow,
    range_warning,
    through_wall,
    wall_coefficient,
)

BLOOD = Blood(1050.0, 3617.0, 0.52, 3.5e-3)


def test_graetz_series_solves_its_equation() -> None:
    """Eigenvalues by integrating the mode's equation; catches a wrong weight or a wrong scale."""
    square, strength = nusselt.graetz_series()
    assert square[:3] == pytest.approx([7.3135869, 44.6094604, 113.92103], rel=1e-6)
    for n in (0, 1, 4, 20, 49):

        def mode(r: float, y: np.ndarray, value: float = square[n]) -> list[float]:
            return [y[1], -y[1] / r - value * (1.0 - r * r) * y[0]]

        near = 1e-6
        end = solve_ivp(mode, (near, 1.0), [1.0, -0.5 * square[n] * near], rtol=1e-10, atol=1e-12)
        assert abs(end.y[0, -1]) < 1e-7 * np.sqrt(square[n])
    # heat at the inlet: theta = 1, a sum that converges like the terms' number to the power -4/3
    assert 8.0 * (strength / square).sum() == pytest.approx(1.0, abs=1e-5)


def test_graetz_matches_a_march_down_the_tube() -> None:
    """The energy equation (1 - r2) dT/dx+ = 1/r d/dr(r dT/dr), solved by lines; no modes in it.

    With x+ = (x/R)/(Re Pr) and a velocity 2 (1 - r2) the left side carries a factor of one.
    """
    count = 1200
    edge = 1.0 - (1.0 - np.linspace(0.0, 1.0, count + 1)) ** 1.7  # finer at the wall
    middle = 0.5 * (edge[1:] + edge[:-1])
    gap = np.diff(middle)
    coupling = np.append(edge[1:-1] / gap, edge[-1] / (edge[-1] - middle[-1]))
    amount = 0.25 * np.diff(2.0 * edge**2 - edge**4)  # integral of r (1 - r2)
    from scipy.sparse import diags
    from scipy.sparse.linalg import splu

    lower = coupling[:-1]
    diagonal = -coupling.copy()
    diagonal[1:] -= lower
    operator = diags([lower, diagonal, lower], [-1, 0, 1]).tocsc()  # type: ignore[list-item]
    temperature, x = np.ones(count), 0.0
    for target in (0.01, 0.05, 0.1, 0.2):
        steps = 2000
        step = (target - x) / steps
        # Crank-Nicolson would ring at the inlet's jump: backward differences, extrapolated
        both = []
        for parts in (1, 2):
            solver = splu((diags(amount) - step / parts * operator).tocsc())
            value = temperature
            for _ in range(parts * steps):
                value = solver.solve(amount * value)
            both.append(value)
        temperature, x = 2.0 * both[1] - both[0], target
        bulk = float(amount @ temperature) * 4.0
        flux = temperature[-1] / (1.0 - middle[-1])
        assert nusselt.graetz_local(2.0 / x) == pytest.approx(2.0 * flux / bulk, rel=2e-3)
        assert nusselt.graetz_mean(2.0 / x) == pytest.approx(-np.log(bulk) / (2.0 * x), rel=2e-3)


def test_nusselt_limits() -> None:
    """Far downstream 3.6568, near the inlet Leveque's 1.615 Gz^(1/3) less its constant 0.7."""
    assert nusselt.graetz_local(1e-3) == pytest.approx(3.65679, abs=1e-5)
    assert nusselt.graetz_mean(1e6) == pytest.approx(1.615 * 100.0, rel=0.01)
    values = [nusselt.graetz_mean(g) for g in np.geomspace(0.1, 1e6, 60)]
    assert (np.diff(values) > 0.0).all()
    for gz in (1.0, 20.0, 200.0, 2000.0):
        assert -0.001 < nusselt.hausen(gz) / nusselt.graetz_mean(gz) - 1.0 < 0.13


@pytest.mark.parametrize(
    ("diameter", "velocity", "reynolds", "developed", "flux", "hausen"),
    [
        (12e-3, 0.16, 576, 159, 189, 1134),
        (6e-3, 0.12, 216, 317, 378, 1244),
        (10e-3, 0.20, 600, 190, 227, 1296),
        (5e-3, 0.10, 150, 381, 453, 1214),
        (3e-3, 0.06, 54, 634, 756, 1161),
        (1e-3, 0.02, 6, 1903, 2267, 1997),
        (4e-3, 0.40, 480, 476, 567, 2159),
        (20e-3, 0.20, 1200, 95, 113, 1035),
    ],
)
def test_wall_coefficients(
    diameter: float, velocity: float, reynolds: int, developed: int, flux: int, hausen: int
) -> None:
    """Hepatic vessels over 5 cm; catches a length, a diameter or a radius in the wrong place."""
    flow = TubeFlow(diameter, velocity, BLOOD)
    assert flow.reynolds == pytest.approx(reynolds, abs=0.51)
    assert wall_coefficient(flow, "developed") == pytest.approx(developed, abs=0.6)
    assert wall_coefficient(flow, "developed_flux") == pytest.approx(flux, rel=0.005)
    assert wall_coefficient(flow) == pytest.approx(hausen, abs=1.0)
    exact = wall_coefficient(flow, "graetz")
    assert exact < wall_coefficient(flow) < 1.14 * exact


def test_ranges() -> None:
    """A turbulent flow is refused with the range; a law out of its range is named with it."""
    with pytest.raises(AblasimError, match=r"Reynolds number of 7200 .* holds below 2300.*h_W_m2K"):
        wall_coefficient(TubeFlow(20e-3, 1.2, BLOOD))
    fast, slow = TubeFlow(6e-3, 0.12, BLOOD), TubeFlow(3e-3, 1e-3, BLOOD)
    assert range_warning(fast, "hausen") is None and range_warning(slow, "graetz") is None
    assert range_warning(fast, "sieder_tate") is None and range_warning(slow, "developed") is None
    assert "up to 5, got 631" in str(range_warning(fast, "developed"))
    assert "from 20, got 1.31" in str(range_warning(slow, "sieder_tate"))


def test_wall_in_series() -> None:
    """A thin wall adds t/k; catches a resistance that is referred to the wrong surface."""
    assert through_wall(1000.0, 3.4e-3, 0.0, 1.0) == pytest.approx(1000.0)
    thin = 1.0 / through_wall(1000.0, 1.0, 1e-4, 0.5) - 1.0 / 1000.0
    assert thin == pytest.approx(1e-4 / 0.5, rel=2e-3)
    inner, outer = 1.7e-3, 2.2e-3  # heat per length through both resistances
    per_length = 1.0 / (1.0 / (2 * np.pi * inner * 900.0) + np.log(outer / inner) / (2 * np.pi))
    wanted = per_length / (2 * np.pi * outer)
    assert through_wall(900.0, 3.4e-3, 0.5e-3, 1.0) == pytest.approx(wanted)


# -- blood along a vessel ------------------------------------------------------------------------


@pytest.mark.parametrize("stations", [1, 7, 40])
@pytest.mark.parametrize(
    ("diameter", "velocity", "fraction"),
    [(3e-3, 0.06, 0.244866), (5e-3, 0.10, 0.0961662), (10e-3, 0.20, 0.0249607)],
)
def test_outlet_behind_a_warm_wall(
    stations: int, diameter: float, velocity: float, fraction: float
) -> None:
    """1 - exp(-h pi D L / C) whatever the number of stations; catches a radius for a diameter."""
    flow = TubeFlow(diameter, velocity, BLOOD)
    conductance = np.full(stations, 1200.0 * np.pi * diameter * 0.04 / stations)
    tree = BloodTree((0,) * stations, (flow.capacity_rate,), ((),))
    _, outlet = blood_response(tree, conductance)
    assert outlet[0].sum() == pytest.approx(fraction, abs=6e-7)


def test_a_wall_that_warms_along_the_way() -> None:
    """dT/ds = (T_w(s) - T)/l for a wall T_w = s: T = s - l + l exp(-s/l); order two in stations."""
    length, fold = 1.0, 0.3
    errors = []
    for count in (20, 40):
        s = (np.arange(count) + 0.5) * length / count
        tree = BloodTree((0,) * count, (1.0,), ((),))
        mean, outlet = blood_response(tree, np.full(count, length / fold / count))
        exact = length - fold + fold * np.exp(-length / fold)
        errors.append(abs(float(outlet[0] @ s) - exact))
        assert np.abs(mean @ s - (s - fold + fold * np.exp(-s / fold))).max() < 1.0 / count
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05)


@st.composite
def trees(draw: st.DrawFn) -> tuple[BloodTree, np.ndarray]:
    """Random networks whose branches are fed by earlier ones, with walls here and there."""
    count = draw(st.integers(1, 5))
    stations = [draw(st.integers(1, 3)) for _ in range(count)]
    feeders = [
        tuple(sorted(draw(st.sets(st.integers(0, number - 1), max_size=2)))) if number else ()
        for number in range(count)
    ]
    capacity = [10.0 ** draw(st.floats(-9.0, 2.0)) for _ in range(count)]
    branch = tuple(b for b, n in enumerate(stations) for _ in range(n))
    conductance = np.array([draw(st.sampled_from([0.0, 1e-6, 0.1, 3.0])) for _ in branch])
    return BloodTree(branch, tuple(capacity), tuple(feeders)), conductance


@given(trees())
def test_blood_stays_between_inlet_and_walls(case: tuple[BloodTree, np.ndarray]) -> None:
    """Catches overshoot where the flow tends to zero, and blood that is mixed to more than all."""
    tree, conductance = case
    mean, outlet = blood_response(tree, conductance)
    for rows in (mean, outlet):
        assert (rows >= 0.0).all() and (rows.sum(axis=1) <= 1.0 + 1e-12).all()


@given(trees(), st.integers(0, 1000))
def test_blood_carries_out_what_the_walls_give(
    case: tuple[BloodTree, np.ndarray], seed: int
) -> None:
    """Heat of the walls = heat of the blood that leaves: none is lost or made where veins meet.

    What leaves is the flow of each branch less what goes on into others.
    """
    tree, conductance = case
    wall = np.random.default_rng(seed).uniform(-5.0, 60.0, len(tree.branch))
    mean, outlet = blood_response(tree, conductance)
    given_off = conductance * (wall - mean @ wall)
    end, passed = outlet @ wall, tree.inflow()
    # a branch that gets more than it carries lets the rest go at the mixed temperature
    received = passed.sum(axis=1)
    capacity = np.array(tree.capacity)
    surplus = np.maximum(received - capacity, 0.0)
    mixed = passed @ end / np.maximum(np.maximum(received, capacity), 1e-300)
    leaving = (capacity - passed.sum(axis=0)) @ end + surplus @ mixed
    size = 60.0 * (capacity.sum() + conductance.sum())
    assert leaving == pytest.approx(given_off.sum(), abs=1e-13 * size)


def test_a_ring_is_refused() -> None:
    with pytest.raises(ValueError, match="ring"):
        BloodTree((0, 1), (1.0, 1.0), ((1,), (0,))).in_flow_order()
