"""Temperatures whose sources come by automatic differentiation, on a cube of uneven cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ablasim.physics.generator import ConstantGenerator, Drive
from ablasim.physics.problem import BioheatProblem, Laws, Wall
from ablasim.solve import StepControl
from ablasim.solve.kernels import put
from ablasim.verify.cube import COEFFICIENT, LIQUID, SIDE, SINK, SLOPE, cube, electrodes_of
from ablasim.verify.runner import require
from ablasim.verify.scenes import (
    BODY,
    CAPACITY,
    LINEAR,
    SIGMA,
    Floats,
    K,
    dolfinx_engine,
    end_of,
    held,
    jax_engine,
    off,
    tissue,
)


def smooth(x: jax.Array) -> jax.Array:
    """A temperature [°C] at a point (3,) [m] that meets k dT/dx = h (T - T_wall) at x = 0."""
    u, v, w = x[0] / SIDE, x[1] / SIDE, x[2] / SIDE
    at_wall = 42.0 + 6.0 * jnp.sin(2.0 * v + 0.3) * jnp.cos(1.5 * w)
    k = K + SLOPE * (at_wall - BODY)
    rise = COEFFICIENT * (at_wall - LIQUID) / k * x[0]
    return at_wall + rise - 45.0 * u**2 * (1.0 + 0.3 * jnp.sin(2.0 * w + v))


def heat_density(x: jax.Array) -> jax.Array:
    """-div(k grad T) + W (T - T_b) of that temperature [W/m3]."""
    temperature, gradient = jax.value_and_grad(smooth)(x)
    curvature = jnp.trace(jax.hessian(smooth)(x))
    k = K + SLOPE * (temperature - BODY)
    density: jax.Array = -k * curvature - SLOPE * gradient @ gradient + SINK * (temperature - BODY)
    return density


@jax.jit
def at_points(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The manufactured temperature and heat density at points (n, 3) [m]."""
    return jax.vmap(smooth)(x), jax.vmap(heat_density)(x)


# -- F13 (ii): transient, every term on -----------------------------------------------------------


def error_of(count: int) -> float:
    """Root mean square error [K] of the steady state that the engine reaches from 37 °C."""
    mesh = cube(count)
    points = jnp.asarray(mesh.points)
    truth, density = (np.asarray(values) for values in at_points(points))
    # inside the law's sloped range
    require(bool(25.0 < truth.min() < truth.max() < 98.0), "the temperature leaves the law's range")
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
    found = end_of(replace(problem, source=volume * density), StepControl(longest=20.0)).temperature
    return float(np.sqrt((volume * (found - truth) ** 2).sum() / volume.sum()))


VOLTS, SIGMA_SLOPE = 12.0, 0.015
SECONDS = 12.0


def along(x: jax.Array, time: jax.Array) -> jax.Array:
    """Temperature [°C] at a coordinate x [m] and a time [s]: 40 to 69 °C."""
    wave = jnp.cos(jnp.pi * x / SIDE + 0.3) * (1.0 + 0.6 * jnp.sin(time / 8.0))
    return 54.0 + 9.0 * wave


def conductivity_along(x: jax.Array, time: jax.Array) -> jax.Array:
    """k(T) [W/m/K] there."""
    return K + SLOPE * (along(x, time) - BODY)


def sigma_along(x: jax.Array, time: jax.Array) -> jax.Array:
    """sigma(T) [S/m] there."""
    return SIGMA * (1.0 + SIGMA_SLOPE * (along(x, time) - BODY))


def conducted(x: jax.Array, time: jax.Array) -> jax.Array:
    """k dT/dx [W/m2] there."""
    flux: jax.Array = conductivity_along(x, time) * jax.grad(along)(x, time)
    return flux


@jax.jit
def missing(x: jax.Array, time: jax.Array) -> jax.Array:
    """Source [W/m3] at coordinates (n,) that makes `along` solve the equation with RF on."""
    nodes, weights = (jnp.asarray(v) for v in np.polynomial.legendre.leggauss(24))
    middle = 0.5 * SIDE * (1.0 + nodes)
    resistance = (0.5 * SIDE * weights / sigma_along(middle, time)).sum()
    joule = (VOLTS / resistance) ** 2 / sigma_along(x, time)
    warming = CAPACITY * jax.vmap(jax.grad(along, argnums=1), (0, None))(x, time)
    spreading = jax.vmap(jax.grad(conducted), (0, None))(x, time)
    source: jax.Array = warming - spreading + SINK * (along(x, time) - BODY) - joule
    return source


class AllTerms:
    """A transient with k(T), perfusion, sigma(T), Joule heat and a cooled wall on the bent cube.

    Temperature and current vary along x only, so that phi and Joule heat are known as integrals;
    the cells see no such symmetry. What the equation lacks enters as a source, and at both ends as
    a flux.
    """

    def __init__(self, count: int) -> None:
        self.mesh = mesh = cube(count)
        wall = Wall("wall", "vessel", mesh.surface_faces("wall"), COEFFICIENT, LIQUID)
        end = Wall("end", "vessel", mesh.surface_faces("side0"), 1.0, LIQUID)
        self.x = mesh.points[:, 0]
        problem = BioheatProblem(
            mesh=mesh,
            materials=tissue(perfusion=SINK, conductivity_slope=SLOPE, sigma_slope=SIGMA_SLOPE),
            laws=LINEAR,
            generator=ConstantGenerator("voltage", VOLTS, SECONDS),
            walls=(wall,),
            electrodes=electrodes_of(mesh),
        )
        self.volume = problem.lump(np.ones(len(mesh.cells)))
        self.area = problem.wall_share(wall), problem.wall_share(end)
        self.problem = replace(problem, initial_temperature=self.truth(0.0))

    def truth(self, time: float) -> Floats:
        """The temperature at the points (n,) [°C]."""
        return np.asarray(along(jnp.asarray(self.x), jnp.asarray(time)))

    def source(self, time: float) -> Floats:
        """What must be put in at the points (n,) [W]."""
        now, front, back = jnp.asarray(time), jnp.asarray(0.0), jnp.asarray(SIDE)
        at_front = COEFFICIENT * (float(along(front, now)) - LIQUID) - float(conducted(front, now))
        at_back = float(conducted(back, now))
        inside = np.asarray(missing(jnp.asarray(self.x), now))
        return self.volume * inside + self.area[0] * at_front + self.area[1] * at_back

    def end(self, step: float, engine: str = "jax") -> Floats:
        """Temperature (n,) [°C] that steps of one length [s] lead to at SECONDS.

        Args:
            step: length of the steps [s].
            engine: "jax" or "dolfinx".
        """
        drive = Drive(voltage=VOLTS)
        # What is put in stays the same over a step. Second order is that of its middle for the
        # stages of RKC2, and that of its end for BDF2, whose equation holds there.
        solver, moment = (jax_engine, 0.5) if engine == "jax" else (dolfinx_engine, 1.0)
        runner: Any = solver(self.problem)
        state = runner.start()
        for number in range(round(SECONDS / step)):
            now = self.source((number + moment) * step)
            if engine == "jax":
                runner.constant = put(now[runner.graph.to_mesh], runner.dtype)
            else:
                runner.constant = runner.matrices.load(runner.share.own(now))
            state, report = runner.advance(state, step, drive)
            state = runner.accept(state, report, drive)
        found: Floats = runner.temperature(state)
        return found
