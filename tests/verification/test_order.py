"""Observed orders: two in space by a manufactured solution, two in time by Richardson differences.

An order shows mistakes that a tolerance hides: a term that is only nearly right converges to the
wrong answer, and a lag of one step costs an order.
"""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import BODY, LINEAR, Floats, K, held, off, tissue
from patches import box

from ablasim.mesh import TetMesh
from ablasim.physics.generator import ConstantGenerator, Mode
from ablasim.physics.problem import BioheatProblem, Electrodes, Laws, Wall
from ablasim.physics.tissue import band_capacity, enthalpy
from ablasim.solve import Solution, Status, StepControl, solve

SIDE = 0.01
SLOPE, SINK = 0.005, 4.5e4
LIQUID, COEFFICIENT = 30.0, 250.0


def bent(x: Floats) -> Floats:
    """The unit cube mapped smoothly: no two cells are alike, and the wall x = 0 stays plane."""
    u, v, w = x.T
    bump = np.sin(np.pi * u) * np.sin(np.pi * v) * np.sin(np.pi * w)
    return SIDE * np.stack([u + 0.06 * bump, v - 0.05 * bump, w + 0.07 * bump * v], axis=1)


def cube(count: int) -> TetMesh:
    line = np.linspace(0.0, 1.0, count + 1)
    names = ("wall", "side0", "side1", "side2", "side3", "side4")
    return box((line, line, line), bent, names)


def manufactured(x: jax.Array) -> jax.Array:
    """A temperature [°C] at a point (3,) [m] that meets k dT/dx = h (T - T_wall) at x = 0."""
    u, v, w = x[0] / SIDE, x[1] / SIDE, x[2] / SIDE
    at_wall = 42.0 + 6.0 * jnp.sin(2.0 * v + 0.3) * jnp.cos(1.5 * w)
    k = K + SLOPE * (at_wall - BODY)
    rise = COEFFICIENT * (at_wall - LIQUID) / k * x[0]
    return at_wall + rise - 45.0 * u**2 * (1.0 + 0.3 * jnp.sin(2.0 * w + v))


def heat_density(x: jax.Array) -> jax.Array:
    """-div(k grad T) + W (T - T_b) of the manufactured temperature [W/m3]."""
    temperature, gradient = jax.value_and_grad(manufactured)(x)
    curvature = jnp.trace(jax.hessian(manufactured)(x))
    k = K + SLOPE * (temperature - BODY)
    density: jax.Array = -k * curvature - SLOPE * gradient @ gradient + SINK * (temperature - BODY)
    return density


@jax.jit
def at_points(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The manufactured temperature and heat density at points (n, 3) [m]."""
    return jax.vmap(manufactured)(x), jax.vmap(heat_density)(x)


def error_of(count: int) -> float:
    """Root mean square error [K] of the steady state that the engine reaches from 37 °C."""
    mesh = cube(count)
    points = jnp.asarray(mesh.points)
    truth, density = (np.asarray(values) for values in at_points(points))
    assert 25.0 < truth.min() < truth.max() < 98.0  # inside the law's sloped range
    wall = Wall("wall", "vessel", mesh.surface_faces("wall"), COEFFICIENT, LIQUID)
    others = {f"side{i}": truth for i in range(5)}
    problem = BioheatProblem(
        mesh=mesh,
        materials=tissue(perfusion=SINK, conductivity_slope=SLOPE),
        laws=Laws(),
        generator=off(300.0),
        walls=(wall,),
        fixed_temperature=held(mesh, others),
    )
    volume = problem.lump(np.ones(len(mesh.cells)))
    solution = solve(replace(problem, source=volume * density), control=StepControl(longest=20.0))
    assert solution.status is Status.DONE
    return float(np.sqrt((volume * (solution.temperature - truth) ** 2).sum() / volume.sum()))


def test_second_order_in_space() -> None:
    """Catches a k(T) taken on one side of an edge, a wall integrated on the wrong area, or a sink
    lumped with the wrong volume: the order falls to one or to zero."""
    errors = np.array([error_of(count) for count in (6, 12, 24)])
    orders = np.log2(errors[:-1] / errors[1:])
    print("errors", errors, "orders", orders)
    assert orders == pytest.approx(2.0, abs=0.1)


# -- in time --------------------------------------------------------------------------------------


def electrodes_of(mesh: TetMesh) -> Electrodes:
    """One volt between two opposite sides."""
    number = np.arange(len(mesh.points))
    active, grounded = (np.isin(number, mesh.surface_faces(name)) for name in ("wall", "side0"))
    return Electrodes(active, grounded, np.zeros(len(number)))


DRIVES: dict[str, tuple[Mode, float]] = {
    "voltage": ("voltage", 12.0),
    "power": ("power", 0.6),
}
"""Each heats the cube by some kelvin in 24 s."""


def smooth_transient(drive: str | None) -> BioheatProblem:
    """24 s from an uneven temperature, far from any kink of the laws; with or without RF."""
    mesh = cube(12)
    x = mesh.points / SIDE
    start = 45.0 + 6.0 * np.cos(np.pi * x[:, 0]) * np.cos(np.pi * x[:, 1]) + 4.0 * x[:, 2] ** 2
    problem = BioheatProblem(
        mesh=mesh,
        materials=tissue(perfusion=SINK, conductivity_slope=SLOPE, sigma_slope=0.015),
        laws=LINEAR,
        generator=off(24.0) if drive is None else ConstantGenerator(*DRIVES[drive], 24.0),
        walls=(Wall("side4", "vessel", mesh.surface_faces("side4"), COEFFICIENT, LIQUID),),
        initial_temperature=start,
        electrodes=None if drive is None else electrodes_of(mesh),
    )
    volume = problem.lump(np.ones(len(mesh.cells)))
    return replace(problem, source=1e6 * volume * (1.0 + x[:, 1]))


def run_with(problem: BioheatProblem, step: float) -> Solution:
    solution = solve(problem, control=StepControl(fixed=step))
    assert solution.status is Status.DONE
    assert solution.times[0] == pytest.approx(step)
    return solution


@pytest.mark.parametrize("drive", [None, *DRIVES])
def test_second_order_in_time(drive: str | None) -> None:
    """Catches a wrong coefficient of the stages, and Joule heat or a load that lags behind sigma:
    each leaves a scheme that is stable, conserves heat and is of first order."""
    problem = smooth_transient(drive)
    # a start that does not meet the walls' conditions is not smooth in time: let it settle first
    settled = run_with(problem, 0.3).temperature
    problem = replace(problem, initial_temperature=settled)
    ends = [run_with(problem, step).temperature for step in (6.0, 3.0, 1.5, 0.75)]
    assert max(end.max() for end in ends) < 98.0
    gaps = [np.sqrt(np.mean((a - b) ** 2)) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    orders = np.log2(np.array(gaps[:-1]) / np.array(gaps[1:]))
    print("gaps", gaps, "orders", orders)
    assert orders == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("step", [0.1, 0.7, 5.0])
def test_heat_is_conserved_through_vaporisation(step: float) -> None:
    """Catches an apparent heat capacity that jumps the band within a step and loses the latent
    heat, and flows that are not integrated with the weights of the stages."""
    problem = replace(
        smooth_transient("power"),
        laws=Laws(perfusion_shutdown=60.0),
        initial_temperature=BODY,
        source=None,
        generator=ConstantGenerator("power", 30.0, 60.0),
    )
    solution = run_with(problem, step)
    peak = solution.peak.max()
    assert peak > 100.0, peak  # some of it is dry
    energy = solution.energy
    assert abs(energy["balance_error"]) < 1e-10
    # independent of the engine's own account: the laws applied to the final temperature
    assert energy["stored_J"] == pytest.approx(stored_heat(problem, solution), rel=1e-9)


def stored_heat(problem: BioheatProblem, solution: Solution) -> float:
    """Heat [J] that the final temperature holds above the initial one."""
    material, band = problem.materials, problem.laws.vaporisation_band
    wet, dry = float(material.wet_capacity[0]), float(material.dry_capacity[0])
    boiling = band_capacity(wet, dry, float(material.latent_heat[0]), band)
    heat = enthalpy(solution.temperature, wet, boiling, dry, band)
    volume = problem.lump(np.ones(len(problem.mesh.cells)))
    return float((volume * heat).sum())
