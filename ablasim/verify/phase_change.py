"""Vaporising and freezing fronts, and the heat account through them: F9."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ablasim.frames import MM
from ablasim.mesh import TetMesh
from ablasim.physics.generator import ConstantGenerator
from ablasim.physics.problem import BioheatProblem, Laws, Materials
from ablasim.physics.tissue import band_capacity, enthalpy
from ablasim.solve import Solution, StepControl
from ablasim.verify.case import (
    ONE_PER_CENT,
    VALUE,
    Case,
    Row,
    Tolerance,
    absolute,
    at_least,
    at_most,
    relative,
)
from ablasim.verify.exact_front import LineSinkFront, PlanarFront
from ablasim.verify.manufactured import run_with, smooth_transient
from ablasim.verify.patches import box, cylinder_patch, spaced
from ablasim.verify.scenes import (
    BODY,
    CAPACITY,
    Floats,
    K,
    end_of,
    held,
    off,
    root_mean_square,
    tissue,
)

TITLE = "Vaporisation and freezing"

HALF_BAND = 0.05
"""Half the width of the transition [K]; the closed forms have none."""

# -- F9 (a): tissue that vaporises from a hot wall on ---------------------------------------------

BOIL = 100.0
LATENT = 1079.0 * 0.7 * 2.26e6
SECONDS = 600.0
DRY_K, DRY_CAPACITY = 0.3, 0.6e6


def constants(front: PlanarFront | LineSinkFront, dry_capacity: float, k: float) -> Materials:
    """Tissue of a front: rho c on either side of the transition, one k, no perfusion."""
    capacity = front.far_capacity if isinstance(front, PlanarFront) else front.capacity
    return replace(
        tissue(),
        wet_capacity=np.full(1, capacity),
        dry_capacity=np.full(1, dry_capacity),
        latent_heat=np.full(1, front.latent),
        conductivity=np.full(1, k),
    )


def band(melt: float) -> Laws:
    """A transition as sharp as the enthalpy form needs it."""
    return Laws(vaporisation_band=(melt - HALF_BAND, melt + HALF_BAND))


def changed_volume(problem: BioheatProblem, temperature: Floats, melt: float) -> float:
    """Volume [m3] that has gone through the transition upwards."""
    share = np.clip((temperature - melt + HALF_BAND) / (2.0 * HALF_BAND), 0.0, 1.0)
    return float((problem.lump(np.ones(len(problem.mesh.cells))) * share).sum())


def planar_mesh(refine: int) -> TetMesh:
    """A rod of 60 mm with its front in the first 6 mm."""
    line = spaced(
        (0.0, 6.0 * MM, 60.0 * MM),
        lambda x: 0.2 * MM + 0.12 * np.maximum(x - 6.0 * MM, 0.0),
        refine,
    )
    side = np.array([0.0, 0.2 * MM / refine])
    return box((line, side, side), surfaces=("hot", "far", "s0", "s1", "s2", "s3"))


def planar_position(front: PlanarFront, refine: int) -> float:
    """Where the front is after SECONDS [m].

    The engine's k has no drop at the transition. In Kirchhoff's variable, temperature above the
    transition times near_k/far_k, there is none: the same front, with another capacity and wall.
    """
    mesh, ratio = planar_mesh(refine), front.near_k / front.far_k
    wall = front.melt + ratio * (front.wall - front.melt)
    problem = BioheatProblem(
        mesh=mesh,
        materials=constants(front, front.near_capacity / ratio, front.far_k),
        laws=band(front.melt),
        generator=off(SECONDS),
        initial_temperature=front.start,
        fixed_temperature=held(mesh, {"hot": wall, "far": front.start}),
    )
    found = end_of(problem, StepControl(tolerance=0.01)).temperature
    return changed_volume(problem, found, front.melt) / mesh.surface_area("hot")


def planar_fronts() -> Iterator[Row]:
    """F9 (a)."""
    errors: dict[int, list[float]] = {1: [], 4: []}
    for near_k, near_capacity, what in (
        (K, CAPACITY, "same properties"),
        (DRY_K, DRY_CAPACITY, "dried side k 0.3, rho c 0.6e6"),
    ):
        for wall in (120.0, 140.0, 200.0):
            front = PlanarFront(wall, BOIL, BODY, near_k, near_capacity, K, CAPACITY, LATENT)
            exact = front.position(SECONDS)
            for refine, listed in errors.items():
                found = planar_position(front, refine)
                listed.append(found / exact - 1.0)
            yield relative(
                f"front after {SECONDS:g} s, wall at {wall:g} °C, {what}",
                "mm",
                exact / MM,
                found / MM,
            )
    coarse, fine = (root_mean_square(np.array(listed)) for listed in errors.values())
    yield at_least(
        "order in space of the front", "1", 1.0, float(np.log2(coarse / fine)) / 2.0, "order"
    )


# -- F9 (b): freezing around a line that takes heat ------------------------------------------------

FREEZING = LineSinkFront(
    sink=1e4, start=310.0 - 273.15, melt=273.0 - 273.15, k=2.22, capacity=1.762e6, latent=338e6
)
ANGLE = 0.4


def freezing_at(refine: int) -> tuple[Floats, Floats, float]:
    """Radii (n,) [m], temperature (n,) [°C] and radius of the frozen cylinder [m] after 1 s."""
    line = spaced(
        (0.0, *(x * MM for x in (1.0, 3.0, 15.0))),
        lambda r: 0.08 * MM + 0.1 * np.maximum(r - 3.0 * MM, 0.0),
        refine,
    )
    height = 0.08 * MM / refine
    mesh = box(
        (line, np.array([-0.5, 0.5]) * ANGLE / refine, np.array([0.0, height])),
        cylinder_patch,
        ("axis", "outer", "side0", "side1", "end0", "end1"),
        weld=True,
    )
    r = np.hypot(mesh.points[:, 0], mesh.points[:, 1])
    axis = r == 0.0
    share = ANGLE / refine / (2.0 * np.pi)
    problem = BioheatProblem(
        mesh=mesh,
        materials=constants(FREEZING, FREEZING.capacity, FREEZING.k),
        laws=band(FREEZING.melt),
        generator=off(1.0),
        blood_temperature=FREEZING.start,
        initial_temperature=FREEZING.start,
        fixed_temperature=held(mesh, {"outer": FREEZING.start}),
        source=np.where(axis, -FREEZING.sink * share * height / axis.sum(), 0.0),
    )
    found = end_of(problem, StepControl(tolerance=0.01, longest=0.01)).temperature
    whole = float(problem.lump(np.ones(len(mesh.cells))).sum())
    frozen = whole - changed_volume(problem, found, FREEZING.melt)
    return r, found, float(line[-1] * np.sqrt(frozen / whole))


def line_freezing() -> Iterator[Row]:
    """F9 (b)."""
    exact, errors = FREEZING.position(1.0), []
    for refine in (1, 2, 4):
        r, found, position = freezing_at(refine)
        errors.append(abs(position / exact - 1.0))
    yield relative("radius of the front after 1 s", "mm", exact / MM, position / MM)
    for radius in (1.0, 3.0):
        ring = np.abs(r - radius * MM) < 1e-9
        wanted = float(FREEZING.temperature(np.array([radius * MM]), 1.0)[0])
        yield absolute(
            f"temperature at {radius:g} mm after 1 s", "°C", wanted, float(found[ring].mean()), "K"
        )
    yield at_least(
        "order in space of the front",
        "1",
        1.0,
        float(np.log2(errors[0] / errors[2])) / 2.0,
        "order",
    )


# -- F9 (c): the heat account through vaporisation, whatever the step ------------------------------


def heat_account() -> Iterator[Row]:
    """F9 (c)."""
    problem = replace(
        smooth_transient("power"),
        laws=Laws(perfusion_shutdown=60.0),
        initial_temperature=BODY,
        source=None,
        generator=ConstantGenerator("power", 30.0, 60.0),
    )
    for step in (0.1, 0.7, 5.0):
        solution, steps = run_with(problem, step), f"steps of {step:g} s"
        energy = solution.energy
        yield at_least(f"highest temperature, {steps}", "°C", 100.0, float(solution.peak.max()))
        yield at_most(f"heat account, {steps}", "1", 0.0, abs(energy["balance_error"]), "account")
        # independent of the engine's own account: the laws applied to the final temperature
        stored, given = stored_heat(problem, solution), energy["delivered_J"]
        out = sum(energy[name] for name in ("perfusion_J", "boundary_J", "vessels_J"))
        yield relative(
            f"heat in the tissue and out of it, {steps}",
            "J",
            given,
            stored + out,
            tolerance="stored",
        )


def stored_heat(problem: BioheatProblem, solution: Solution) -> float:
    """Heat [J] that the final temperature holds above the initial one."""
    material, limits = problem.materials, problem.laws.vaporisation_band
    wet, dry = float(material.wet_capacity[0]), float(material.dry_capacity[0])
    boiling = band_capacity(wet, dry, float(material.latent_heat[0]), limits)
    heat = enthalpy(solution.temperature, wet, boiling, dry, limits)
    volume = problem.lump(np.ones(len(problem.mesh.cells)))
    return float((volume * heat).sum())


ORDER_ONE = Tolerance(0.0)
"""A front between two mesh points leaves order one at least."""

CASES = (
    Case(
        name="F9a",
        title="Tissue vaporises from a hot wall on: where the front is",
        kind="exact",
        source="Neumann's solution of the two-phase Stefan problem (Carslaw and Jaeger, textbook)",
        catches="latent heat that is lost when a step jumps the band, or counted for the wrong "
        "share of the water: the front runs ahead",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), "order": ORDER_ONE},
        compute=planar_fronts,
        quick=True,
        remark="The transition is 0.1 K wide here. The engine's k has no drop in dried tissue: "
        "the second set of properties is computed in Kirchhoff's variable, where k is one number.",
    ),
    Case(
        name="F9b",
        title="Freezing around a line heat sink",
        kind="exact",
        source="Hahn and Özişik, Heat Conduction: freezing around a line sink in a liquid",
        catches="an enthalpy that is right only above body temperature, or only for a front that "
        "heats",
        tolerances={
            VALUE: Tolerance(ONE_PER_CENT),
            "K": Tolerance(1.0, "K"),
            "order": ORDER_ONE,
        },
        compute=line_freezing,
        quick=True,
        remark="The transition is 0.1 K wide here.",
    ),
    Case(
        name="F9c",
        title="Heat account through vaporisation, for steps of any length",
        kind="exact",
        source="conservation of energy",
        catches="an apparent heat capacity that jumps the band within a step and loses the latent "
        "heat, and flows that are not integrated with the weights of the stages",
        tolerances={
            VALUE: Tolerance(0.0, "K"),
            "account": Tolerance(1e-10),
            "stored": Tolerance(1e-9),
        },
        compute=heat_account,
        quick=True,
    ),
)
