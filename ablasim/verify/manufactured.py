"""Manufactured solutions and observed orders: F13 and the order of the method in space and time.

An order shows mistakes that a tolerance hides: a term that is only nearly right converges to the
wrong answer, and a lag of one step costs an order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.special import j0, jn_zeros

from ablasim.physics.generator import ConstantGenerator, Mode
from ablasim.physics.problem import BioheatProblem, Wall
from ablasim.solve import Solution, StepControl
from ablasim.verify.case import ONE_PER_CENT, VALUE, Case, Row, Tolerance, observed_order, relative
from ablasim.verify.cube import COEFFICIENT, LIQUID, SIDE, SINK, SLOPE, cube, electrodes_of
from ablasim.verify.patches import box, cylinder_patch
from ablasim.verify.runner import require
from ablasim.verify.scenes import BODY, LINEAR, Floats, end_of, held, off, tissue

TITLE = "Manufactured solutions, observed orders"

ORDER = {"order": Tolerance(0.1)}


def order_in_space() -> Iterator[Row]:
    """The steady nonlinear problem on three meshes."""
    from ablasim.verify.fields import error_of

    yield from observed_order([error_of(count) for count in (6, 12, 24)], "order in space")


# -- F13 (i): steady, axisymmetric ----------------------------------------------------------------

RADIUS, HEIGHT = 1.0, 10.0
MITA_K, MITA_SINK, MITA_BODY = 0.56, 0.004 * 3640.0, 310.0 - 273.15


def axisymmetric_at(count: int) -> tuple[Floats, Floats]:
    """Found and exact excess temperature (n,) [K] on a wedge with a number of cells outwards."""
    mesh = box(
        (
            np.linspace(0.0, RADIUS, count + 1),
            np.linspace(-0.5, 0.5, 2) * 4.0 / count,
            np.linspace(0.0, HEIGHT, 2 * count + 1),
        ),
        cylinder_patch,
        ("axis", "outer", "side0", "side1", "bottom", "top"),
        weld=True,
    )
    r, z = np.hypot(mesh.points[:, 0], mesh.points[:, 1]), mesh.points[:, 2]
    zero = float(jn_zeros(0, 1)[0])
    truth = 60.0 * j0(zero * r / RADIUS) * np.cos(0.5 * np.pi * z / HEIGHT)
    decay = (zero / RADIUS) ** 2 + (0.5 * np.pi / HEIGHT) ** 2 + MITA_SINK / MITA_K
    materials = replace(
        tissue(perfusion=MITA_SINK),
        conductivity=np.full(1, MITA_K),
        wet_capacity=np.full(1, 1e3),  # the steady state does not depend on it
    )
    problem = BioheatProblem(
        mesh=mesh,
        materials=materials,
        laws=LINEAR,
        generator=off(1000.0),  # eighteen time constants of its slowest part
        blood_temperature=MITA_BODY,
        initial_temperature=MITA_BODY,
        fixed_temperature=held(mesh, {"outer": MITA_BODY, "top": MITA_BODY}),
    )
    volume = problem.lump(np.ones(len(mesh.cells)))
    problem = replace(problem, source=volume * MITA_K * decay * truth)
    return end_of(problem, StepControl(longest=200.0)).temperature - MITA_BODY, truth


def axisymmetric() -> Iterator[Row]:
    """F13 (i)."""
    errors = []
    for count in (8, 16, 32):
        found, truth = axisymmetric_at(count)
        errors.append(float(np.sqrt(np.mean((found - truth) ** 2))))
    hottest = int(np.argmax(truth))
    yield relative("theta on the axis, z = 0", "K", float(truth[hottest]), float(found[hottest]))
    yield relative(
        "theta, rms over the wedge",
        "K",
        float(np.sqrt(np.mean(truth**2))),
        float(np.sqrt(np.mean(found**2))),
    )
    yield from observed_order(errors, "order in space")


# -- F13 (ii): transient, every term on -----------------------------------------------------------


def all_terms(engine: str = "jax") -> Iterator[Row]:
    """F13 (ii)."""
    from ablasim.verify.fields import SECONDS, AllTerms

    errors = []
    for count in (4, 8, 16):
        terms = AllTerms(count)
        found, truth = terms.end(0.5, engine), terms.truth(SECONDS)
        weight = terms.volume / terms.volume.sum()
        errors.append(float(np.sqrt((weight * (found - truth) ** 2).sum())))
    for place, what in ((0.0, "on the cooled wall"), (SIDE, "at the insulated end")):
        plane = np.abs(terms.x - place) < 1e-12
        theta = truth[plane].mean() - BODY, found[plane].mean() - BODY
        yield relative(f"theta {what}, {SECONDS:g} s", "K", float(theta[0]), float(theta[1]))
    yield from observed_order(errors, "order in space")
    terms = AllTerms(6)
    yield from _gap_orders([terms.end(step, engine) for step in (1.0, 0.5, 0.25, 0.125)])


# -- in time: Richardson differences on one mesh ---------------------------------------------------


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
    """The solution with steps of one length [s]."""
    solution = end_of(problem, StepControl(fixed=step))
    require(bool(np.isclose(solution.times[0], step)), "the step was not taken as asked for")
    return solution


def order_in_time(drive: str | None) -> Iterator[Row]:
    """The same transient with steps that halve."""
    problem = smooth_transient(drive)
    # a start that does not meet the walls' conditions is not smooth in time: let it settle first
    settled = run_with(problem, 0.3).temperature
    problem = replace(problem, initial_temperature=settled)
    ends = [run_with(problem, step).temperature for step in (6.0, 3.0, 1.5, 0.75)]
    require(
        max(float(end.max()) for end in ends) < 98.0, "the temperature meets a kink of the laws"
    )
    yield from _gap_orders(ends)


def _gap_orders(ends: list[Floats]) -> list[Row]:
    """Orders from the differences of results with steps that halve."""
    gaps = [float(np.sqrt(np.mean((a - b) ** 2))) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    return observed_order(gaps, "order in time")


def _in_time(drive: str | None) -> Case:
    what = f"RF at constant {drive}" if drive else "no RF"
    return Case(
        name=f"order-time-{drive or 'heat'}",
        title=f"Order in time of a smooth transient, {what}",
        kind="exact",
        source="Richardson differences: an error of order p falls by 2^p as the step halves",
        catches="a wrong coefficient of the stages, and Joule heat or a load that lags behind "
        "sigma: each leaves a scheme that is stable, conserves heat and is of first order",
        tolerances=ORDER,
        compute=partial(order_in_time, drive),
        quick=True,
    )


CASES = (
    Case(
        name="F13i",
        title="Manufactured steady axisymmetric field on a wedge",
        kind="exact",
        source="60 J0(j01 r/R) cos(pi z/2L) + 310 K with R = 1 m, L = 10 m (MITA, mathematical "
        "models of cancer treatment)",
        catches="a volume that belongs to the wrong radius: the error of the axis does not fall",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), **ORDER},
        compute=axisymmetric,
        quick=True,
    ),
    Case(
        name="F13ii",
        title="Manufactured transient with k(T), sigma(T), RF, perfusion and a cooled wall",
        kind="exact",
        source="chosen temperature; its source by automatic differentiation, phi by quadrature",
        catches="any term that is only nearly right, or that lags a step behind: the order falls "
        "to one or to zero",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), **ORDER},
        compute=all_terms,
        quick=True,
    ),
    Case(
        name="order-space",
        title="Order in space of a steady field with k(T), perfusion and a cooled wall",
        kind="exact",
        source="chosen temperature; its source by automatic differentiation",
        catches="a k(T) taken on one side of an edge, a wall integrated on the wrong area, or a "
        "sink lumped with the wrong volume: the order falls to one or to zero",
        tolerances=ORDER,
        compute=order_in_space,
        quick=True,
    ),
    _in_time(None),
    _in_time("voltage"),
    _in_time("power"),
)
