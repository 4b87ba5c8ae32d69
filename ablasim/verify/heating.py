"""Heat of a given pattern: a point (F2), a sphere (F3), a laser pulse (F14), any shape (F16)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ablasim.frames import MM
from ablasim.mesh import TetMesh
from ablasim.physics.problem import BioheatProblem
from ablasim.solve import StepControl
from ablasim.verify import exact
from ablasim.verify.case import ONE_PER_CENT, VALUE, Case, Row, Tolerance, observed_order, relative
from ablasim.verify.exact_heating import LaserPulse, heated_box
from ablasim.verify.patches import box, cylinder_patch, spaced, sphere_patch
from ablasim.verify.scenes import (
    BODY,
    CAPACITY,
    LINEAR,
    PERFUSION,
    STEADY,
    Floats,
    K,
    excess,
    held,
    off,
    root_mean_square,
    tissue,
)
from ablasim.verify.thermal import HEAT, POWER, RADIUS

TITLE = "Heat of a given pattern"

PRECISE = StepControl(tolerance=1e-4, longest=2.0)
"""Time steps whose error is small against that of the mesh."""

SWITCHED = StepControl(tolerance=0.002, longest=15.0)
"""The same around a point source, whose temperatures are higher."""

# -- F2: a point source switched on, in a cone around it -------------------------------------------

CONE = 0.12
"""Tangent of the half-angle of the coarsest cone; it halves with the sizes."""


def cone(level: int) -> TetMesh:
    """A square cone from the origin to 60 mm; one level on, every size is half as large."""
    refine = 2**level
    line = spaced(
        (0.0, *(x * MM for x in (5.0, 10.0, 20.0, 60.0))),
        lambda r: np.clip(0.1 * r, 0.3 * MM, 0.5 * MM) + 0.1 * np.maximum(r - 20.0 * MM, 0.0),
        refine,
    )
    side = np.array([-CONE, CONE]) / refine
    names = ("tip", "outer", "side0", "side1", "side2", "side3")
    return box((line, side, side), sphere_patch, names, weld=True)


def switched_on(
    level: int, times: tuple[float, ...], perfusion: float
) -> tuple[Floats, dict[float, Floats]]:
    """Radii (n,) [m] and excess temperature (n,) [K] at times [s] after the switch."""
    mesh = cone(level)
    r = np.linalg.norm(mesh.points, axis=1)
    width = CONE / 2**level
    solid_angle = 4.0 * np.arcsin(width**2 / (1.0 + width**2))
    problem = BioheatProblem(
        mesh=mesh,
        materials=tissue(perfusion=perfusion),
        laws=LINEAR,
        generator=off(times[0]),
        source=np.where(r == 0.0, POWER * solid_angle / (4.0 * np.pi), 0.0),
        fixed_temperature=held(mesh, {"outer": BODY}),
    )
    found, now = {}, 0.0
    for time in times:
        found[time] = excess(replace(problem, generator=off(time - now)), SWITCHED)
        problem, now = replace(problem, initial_temperature=BODY + found[time]), time
    return r, found


FRONT = 0.01
"""Excess temperature [K] down to which a front is compared as a fraction of itself (F2)."""

PLACES = (5.0, 10.0, 20.0)


def transient_point_source() -> Iterator[Row]:
    """F2."""
    errors = {}
    for perfusion, times, what in (
        (PERFUSION, (60.0, 300.0, 600.0), ""),
        (0.0, (600.0,), ", no perfusion"),
    ):
        r, found = switched_on(2, times, perfusion)
        for time, theta in found.items():
            for place in PLACES:
                shell = np.abs(r - place * MM) < 1e-9
                (expected,) = exact.point_source_transient(
                    np.array([place * MM]), time, POWER, K, perfusion, CAPACITY
                )
                yield relative(
                    f"theta at {place:g} mm, {time:g} s{what}",
                    "K",
                    float(expected),
                    float(theta[shell].mean()),
                    floor=FRONT,
                )
        if perfusion:
            errors[2] = cone_error(r, found[300.0])
    for level in (0, 1):
        r, found = switched_on(level, (300.0,), PERFUSION)
        errors[level] = cone_error(r, found[300.0])
    yield from observed_order([errors[level] for level in (0, 1, 2)], "order in space at 300 s")


def cone_error(r: Floats, theta: Floats) -> float:
    """Root mean square error [K] at PLACES after 300 s."""
    shell = np.isin(np.round(r / MM, 6), PLACES)
    expected = exact.point_source_transient(r[shell], 300.0, POWER, K, PERFUSION, CAPACITY)
    return root_mean_square(theta[shell] - expected)


# -- F14: a laser pulse ---------------------------------------------------------------------------

LASER_K, DIFFUSIVITY = 0.45837, 0.12e-6
PULSE = LaserPulse(
    energy=21.0,
    duration=0.3,
    absorption=60.0,
    waist=4.5 * MM,
    diffusivity=DIFFUSIVITY,
    capacity=LASER_K / DIFFUSIVITY,
    sink=0.0013,
)
AFTER = 5.0
ANGLE = 0.3
SPOTS = ((0.0, -2.0), (0.0, -1.0), (0.0, 0.0), (0.0, 1.0), (0.0, 2.0), (0.0, 5.0), (2.0, 1.0))
"""(r, z) where theta is compared [mm]."""


def laser_wedge(refine: int) -> TetMesh:
    """A wedge around the beam; z = 0, where the medium begins to absorb, is a plane of points."""
    r = spaced(
        (0.0, 2.0 * MM, 14.0 * MM),
        lambda r: 0.35 * MM + 0.1 * np.maximum(r - 5.0 * MM, 0.0),
        refine,
    )
    z = spaced(
        [x * MM for x in (-8.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 14.0)],
        lambda z: 0.25 * MM + 0.1 * np.maximum(np.abs(z) - 5.0 * MM, 0.0),
        refine,
    )
    side = np.array([-0.5, 0.5]) * ANGLE / refine
    names = ("axis", "rim", "side0", "side1", "back", "front")
    return box((r, side, z), cylinder_patch, names, weld=True)


def after_pulse(refine: int) -> tuple[Floats, Floats]:
    """Found theta (n,) [K] after AFTER seconds, and r, z of the points (n, 2) [m]."""
    mesh = laser_wedge(refine)
    materials = replace(
        tissue(perfusion=PULSE.sink * PULSE.capacity),
        wet_capacity=np.full(1, PULSE.capacity),
        conductivity=np.full(1, LASER_K),
    )
    middle = mesh.points[mesh.cells].mean(axis=1)
    problem = BioheatProblem(mesh, materials, LINEAR, off(PULSE.duration))
    heat = problem.lump(PULSE.source(np.hypot(middle[:, 0], middle[:, 1]), middle[:, 2]))
    pulse = excess(replace(problem, source=heat), PRECISE)
    problem = replace(
        problem, generator=off(AFTER - PULSE.duration), initial_temperature=BODY + pulse
    )
    place = np.stack([np.hypot(mesh.points[:, 0], mesh.points[:, 1]), mesh.points[:, 2]], axis=1)
    return excess(problem, PRECISE), place


def laser_pulse() -> Iterator[Row]:
    """F14."""
    errors = []
    spots = np.array(SPOTS) * MM
    truth = PULSE.theta(spots[:, 0], spots[:, 1], AFTER)
    for refine in (1, 2, 4):
        theta, place = after_pulse(refine)
        near = [np.linalg.norm(place - spot, axis=1) < 1e-9 for spot in spots]
        found = np.array([theta[mask].mean() for mask in near])
        # far from the sides of the wedge, which the medium of the closed form does not have
        inside = (place[:, 0] < 8.0 * MM) & (np.abs(place[:, 1]) < 5.5 * MM)
        expected = PULSE.theta(place[inside, 0], place[inside, 1], AFTER)
        errors.append(root_mean_square(theta[inside] - expected))
    for (r, z), wanted, got in zip(SPOTS, truth, found, strict=True):
        quantity = f"theta at r = {r:g}, z = {z:g} mm, {AFTER:g} s"
        yield relative(quantity, "K", float(wanted), float(got))
    yield from observed_order(errors, "order in space")


# -- F16: a source of any shape in an insulated box ------------------------------------------------

EDGE, HEATED = 20.0 * MM, 120.0


def any_source(x: Floats) -> Floats:
    """Six blobs [W/m3] at points (n, 3) [m], hot and cold, placed by chance, with their mirror
    images in the sides: so no heat flows through the sides, and the cosines converge fast."""
    random = np.random.default_rng(16)
    heat = np.zeros(len(x))
    for _ in range(6):
        centre, width = random.uniform(0.15, 0.85, 3) * EDGE, random.uniform(2.5, 4.0) * MM
        blob = random.uniform(-1.0, 3.0) * 1e6 * np.ones(len(x))
        for axis in range(3):
            apart = [x[:, axis] - c for c in (centre[axis], -centre[axis], 2 * EDGE - centre[axis])]
            blob *= sum(np.exp(-(d**2) / (2.0 * width**2)) for d in apart)
        heat += blob
    return heat


def boxes(count: int) -> tuple[Floats, Floats]:
    """Found and exact theta (n,) [K] on a grid of count^3 cubes."""
    line = np.linspace(0.0, EDGE, count + 1)
    mesh = box((line, line, line))
    problem = BioheatProblem(mesh, tissue(perfusion=PERFUSION), LINEAR, off(HEATED))
    volume = problem.lump(np.ones(len(mesh.cells)))
    theta = excess(replace(problem, source=volume * any_source(mesh.points)), PRECISE)
    finer = np.linspace(0.0, EDGE, 49)
    grid = np.stack(np.meshgrid(finer, finer, finer, indexing="ij"), axis=-1).reshape(-1, 3)
    source = any_source(grid).reshape(49, 49, 49)
    truth = heated_box(source, EDGE / 48, HEATED, K, PERFUSION, CAPACITY)
    every = 48 // count
    # the mesh numbers its points like the grid
    return theta, truth[::every, ::every, ::every].ravel()


def source_of_any_shape() -> Iterator[Row]:
    """F16."""
    errors = []
    for count in (6, 12, 24):
        theta, truth = boxes(count)
        errors.append(root_mean_square(theta - truth))
    for what, index in (("hottest", int(np.argmax(truth))), ("coldest", int(np.argmin(truth)))):
        quantity = f"theta at the {what} point, {HEATED:g} s"
        yield relative(quantity, "K", float(truth[index]), float(theta[index]))
    size = root_mean_square(truth)
    yield Row(
        f"theta, rms of {len(truth)} points", "K", size, root_mean_square(theta), errors[-1] / size
    )
    yield from observed_order(errors, "order in space")


# -- F3: order, in a cone -------------------------------------------------------------------------


def sphere_order() -> Iterator[Row]:
    """F3 with sizes that halve, in a cone instead of the product's mesh."""
    errors = []
    for level in (0, 1, 2):
        mesh = cone(level)
        r = np.linalg.norm(mesh.points, axis=1)
        inside = np.linalg.norm(mesh.points[mesh.cells], axis=2).max(axis=1) < RADIUS * (1 + 1e-9)
        problem = BioheatProblem(mesh, tissue(perfusion=PERFUSION), LINEAR, off(2500.0))
        truth = exact.sphere_source(r, RADIUS, HEAT, K, PERFUSION)
        problem = replace(
            problem,
            source=HEAT * problem.lump(inside.astype(float)),
            fixed_temperature=held(mesh, {"outer": BODY + truth}),
        )
        errors.append(root_mean_square(excess(problem, STEADY) - truth))
    yield from observed_order(errors, "order in space")


CASES = (
    Case(
        name="F2",
        title="Point source switched on, with and without perfusion",
        kind="exact",
        source="continuous point source (Carslaw and Jaeger, textbook), with perfusion",
        catches="a heat capacity that belongs to another volume than the perfusion: the steady "
        "state stays right and the time to reach it does not",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), "order": Tolerance(0.2)},
        compute=transient_point_source,
        remark=f"Below {FRONT:g} K the error counts as a fraction of {FRONT:g} K.",
    ),
    Case(
        name="F3-order",
        title="Uniformly heated sphere in a cone: order in space",
        kind="exact",
        source="Pennes' equation in spherical shells: sinh(mu r)/r inside, exp(-mu r)/r outside",
        catches="a source that is smeared over one more layer of cells than it fills",
        tolerances={"order": Tolerance(0.2)},
        compute=sphere_order,
    ),
    Case(
        name="F14",
        title="Laser pulse of 0.3 s into absorbing tissue, 5 s after its begin",
        kind="exact",
        source="Vyas and Rustgi 1992, as Green's function of free space",
        catches="a source that is spread over the edge of the region that it fills, and perfusion "
        "that counts only where heat is put in",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), "order": Tolerance(0.2)},
        compute=laser_pulse,
        remark="rho c is k/D with D = 0.12 mm2/s.",
    ),
    Case(
        name="F16",
        title="Source of any shape in an insulated box, switched on",
        kind="exact",
        source="cosine transform: every wave warms as (1 - exp(-l t))/l, l = D k2 + W/(rho c) "
        "(after k-Wave's bioheatExact)",
        catches="a source or a result that is mirrored, shifted or in the order of another axis: "
        "nothing here is symmetric",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), "order": Tolerance(0.2)},
        compute=source_of_any_shape,
        quick=True,
    ),
)
