"""Conduction, perfusion and cooled walls: F1, F3, F7, F8.

Where the product's mesher can make the geometry it does, at standard resolution; elsewhere a patch
has the spacing of `mesh_sizes` away from the hot side, or a finer one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial

import numpy as np

from ablasim.frames import MM
from ablasim.mesh import TetMesh
from ablasim.mesh_cache import cached_mesh
from ablasim.physics.problem import BioheatProblem, Wall
from ablasim.shapes import Sphere, Tube
from ablasim.solve import StepControl
from ablasim.verify import exact
from ablasim.verify.case import ONE_PER_CENT, VALUE, Case, Row, Tolerance, observed_order, relative
from ablasim.verify.patches import box
from ablasim.verify.scenes import (
    BODY,
    CAPACITY,
    LINEAR,
    PERFUSION,
    STEADY,
    Floats,
    K,
    ball_around,
    excess,
    held,
    near,
    off,
    point_weights,
    root_mean_square,
    standard_line,
    tissue,
)

TITLE = "Conduction, perfusion, cooled walls"

NO_SHAFT = 5.0 * MM
"""So wide a shaft asks for no small cells: these probes end where their heat does."""

CONVERGED = StepControl(tolerance=1e-5, longest=3.0)
"""Time steps for an order in space, where the mesh's error is a thousandth of a kelvin."""

# -- F1, F3: heat in perfused tissue, on a mesh that the product makes around a 30 mm needle tip --

POWER = 5.0
RADIUS = 10.0 * MM
HEAT = 1e6
BLOCK = 40.0 * MM


@cache
def ball() -> TetMesh:
    """A ball whose sizes follow a needle that takes no room, with a spherical tumour."""
    half, radius = 15.0 * MM, 0.735 * MM
    needle = Tube(((0.0, 0.0, -half), (0.0, 0.0, half)), radius)
    anatomy = ball_around(
        needle,
        tip=-half,
        length=2.0 * half,
        radius=NO_SHAFT,
        block=BLOCK,
        tumour=Sphere((0.0, 0.0, 0.0), RADIUS),
    )
    return cached_mesh(anatomy, "standard")


def heated_ball(mesh: TetMesh, source: Floats, boundary: Floats) -> Floats:
    """Steady excess temperature (n,) [K] from body temperature, the outer surface held."""
    problem = BioheatProblem(
        mesh=mesh,
        materials=tissue(perfusion=PERFUSION, regions=len(mesh.regions)),
        laws=LINEAR,
        generator=off(2500.0),  # more than eight time constants of the perfusion
        source=source,
        fixed_temperature=held(mesh, {"outer": BODY + boundary}),
    )
    return excess(problem, STEADY)


def shell_row(place: str, theta: Floats, expected: Floats, *, mean: bool = False) -> Row:
    """Error of the points of a shell: root mean square, or of their mean over all directions."""
    error = theta / expected - 1.0
    return Row(
        f"theta at {place}" + (", mean over the sphere" if mean else ""),
        "K",
        float(expected.mean()),
        float(theta.mean()),
        abs(float(error.mean())) if mean else root_mean_square(error),
    )


def point_source() -> Iterator[Row]:
    """F1."""
    mesh = ball()
    r = np.linalg.norm(mesh.points, axis=1)
    expected = exact.point_source(np.maximum(r, 1e-6), POWER, K, PERFUSION)
    theta = heated_ball(mesh, POWER * point_weights(mesh, np.zeros(3)), expected)
    for radius in (5.0, 10.0, 15.0, 20.0, 30.0):
        shell = near(r, radius * MM, 1.0 * MM)
        place = f"{radius:g} mm"
        # The field is radial: its value at a radius is the mean over all directions. At 30 mm, far
        # outside any zone, single points scatter by one per cent around it.
        yield shell_row(place, theta[shell], expected[shell], mean=True)
        if radius < 30.0:
            yield shell_row(place, theta[shell], expected[shell])


def heated_sphere() -> Iterator[Row]:
    """F3."""
    mesh = ball()
    r = np.linalg.norm(mesh.points, axis=1)
    problem = BioheatProblem(mesh, tissue(regions=2), LINEAR, off(1.0))
    heated = problem.lump((mesh.cell_region == mesh.regions.index("tumour")).astype(float))
    expected = exact.sphere_source(r, RADIUS, HEAT, K, PERFUSION)
    theta = heated_ball(mesh, HEAT * heated, expected)
    for radius in (0.0, 5.0, 10.0, 15.0, 20.0):
        shell = near(r, radius * MM, 1.0 * MM)
        yield shell_row(f"{radius:g} mm", theta[shell], expected[shell])


# -- F7, F8: heat from a wall ---------------------------------------------------------------------

FINE = 4
"""What the sizes of the finer rods are divided by."""

LENGTH, WALL = 30.0 * MM, 40.0
LIQUID, COEFFICIENT = 60.0, 1000.0


def rod(length: float, refine: int = 1) -> TetMesh:
    """A rod along x with standard sizes from x = 0 on, each divided by `refine`."""
    line = standard_line(length)
    share = np.arange(refine * (len(line) - 1) + 1) / refine
    side = np.linspace(0.0, 0.56 * MM, 3)
    return box(
        (np.interp(share, np.arange(len(line)), line), side, side),
        surfaces=("hot", "far", "side0", "side1", "side2", "side3"),
    )


def profile_rows(
    when: str, x: Floats, theta: Floats, expected: Floats, places: tuple[float, ...], floor: float
) -> Iterator[Row]:
    """Compare at the mesh points next to the places [mm].

    Args:
        floor: the error counts relative to `expected`, or to this [K] where that is larger.
    """
    for place in places:
        plane = np.abs(x - x[np.argmin(np.abs(x - place * MM))]) < 1e-9
        worst = int(np.argmax(np.abs(theta[plane] - expected[plane])))
        yield relative(
            f"theta at {x[plane][worst] / MM:.2f} mm, {when}",
            "K",
            float(expected[plane][worst]),
            float(theta[plane][worst]),
            floor=floor,
        )


def slab(refine: int) -> BioheatProblem:
    """F7 for its steady state."""
    mesh = rod(LENGTH, refine)
    return BioheatProblem(
        mesh=mesh,
        materials=tissue(perfusion=PERFUSION),
        laws=LINEAR,
        generator=off(4000.0),
        fixed_temperature=held(mesh, {"hot": BODY + WALL, "far": BODY}),
    )


def perfused_slab(refine: int) -> Iterator[Row]:
    """F7."""
    problem = slab(refine)
    x = problem.mesh.points[:, 0]
    places = (5.0, 10.0, 15.0, 20.0)
    steady = exact.slab_steady(x, LENGTH, WALL, K, PERFUSION)
    theta = excess(problem, STEADY)
    yield from profile_rows("steady", x, theta, steady, places, 0.0)
    for time in (60.0, 300.0, 600.0):
        found = excess(replace(problem, generator=off(time)))
        expected = exact.slab_transient(x, time, LENGTH, WALL, K, PERFUSION, CAPACITY)
        floor = 0.0 if time == 600.0 else front_floor(refine, WALL)
        yield from profile_rows(f"{time:g} s", x, found, expected, places, floor)
    if refine == FINE:
        errors = [slab_error(slab(coarser)) for coarser in (1, 2)]
        errors.append(root_mean_square(theta - steady))
        yield from observed_order(errors, "order in space, steady")


def slab_error(problem: BioheatProblem) -> float:
    """Root mean square error of the steady state [K]."""
    expected = exact.slab_steady(problem.mesh.points[:, 0], LENGTH, WALL, K, PERFUSION)
    return root_mean_square(excess(problem, STEADY) - expected)


def warmed(refine: int) -> BioheatProblem:
    """F8 up to 300 s."""
    mesh = rod(50.0 * MM, refine)
    wall = Wall("hot", "vessel", mesh.surface_faces("hot"), COEFFICIENT, BODY + LIQUID)
    return BioheatProblem(mesh, tissue(), LINEAR, off(300.0), walls=(wall,))


def warmed_wall(refine: int) -> Iterator[Row]:
    """F8."""
    problem = warmed(refine)
    x = problem.mesh.points[:, 0]
    places = (0.0, 1.0, 3.0, 5.0, 10.0)
    for time in (10.0, 60.0, 300.0):
        theta = excess(replace(problem, generator=off(time)))
        expected = exact.robin_half_space(x, time, LIQUID, COEFFICIENT, K, CAPACITY)
        floor = 0.0 if time == 300.0 else front_floor(refine, LIQUID)
        yield from profile_rows(f"{time:g} s", x, theta, expected, places, floor)
    if refine == FINE:
        errors = []
        for size in (1, 2, FINE):
            x = (problem := warmed(size)).mesh.points[:, 0]
            expected = exact.robin_half_space(x, 300.0, LIQUID, COEFFICIENT, K, CAPACITY)
            errors.append(root_mean_square(excess(problem, CONVERGED) - expected))
        yield from observed_order(errors, "order in space, 300 s")


def front_floor(refine: int, step: float) -> float:
    """What the error of a young front counts relative to, at least [K].

    Soon after a step at the wall the front is steeper than standard sizes can follow: there one per
    cent of the step is asked for. With a quarter of the sizes it is one per cent of theta itself,
    down to five per cent of the step.
    """
    return step if refine == 1 else 0.05 * step


def _slab(refine: int, name: str, sizes: str) -> Case:
    return Case(
        name=name,
        title=f"Perfused slab between two held walls, {sizes} sizes",
        kind="exact",
        source="Fourier series of Pennes' equation in a slab",
        catches="a rho c or a perfusion in the wrong place of the transient, which the steady "
        "state does not see, and held points that leak",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), "order": Tolerance(0.2)},
        compute=partial(perfused_slab, refine),
        quick=True,
        remark=FLOORS[refine].format(step=WALL),
    )


def _wall(refine: int, name: str, sizes: str) -> Case:
    return Case(
        name=name,
        title=f"Half space warmed by a liquid through its wall, {sizes} sizes",
        kind="exact",
        source="half space behind a surface resistance (Carslaw and Jaeger, textbook)",
        catches="a Robin condition of the wrong sign or lumped on the wrong area, and a wall whose "
        "liquid is taken for a held temperature: the wall itself is 14 K below it after 10 s",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), "order": Tolerance(0.2)},
        compute=partial(warmed_wall, refine),
        quick=True,
        remark=FLOORS[refine].format(step=LIQUID),
    )


FLOORS = {
    1: "While the front is young its error counts as a fraction of the {step:g} K at the wall.",
    FINE: "While the front is young its error counts as a fraction of theta, or of 5 % of the "
    "{step:g} K at the wall where that is more.",
}
"""What `front_floor` does, for the page."""

CASES = (
    Case(
        name="F1",
        title="Point source in perfused tissue, steady; the product's mesh of a ball",
        kind="exact",
        source="Green's function of Pennes' equation: P exp(-mu r)/(4 pi k r)",
        catches="a perfusion in the wrong unit, a lost factor 4 pi, or a sink on the wrong volume: "
        "each changes the decay length, and with it theta at 30 mm by tens of per cent",
        tolerances={VALUE: Tolerance(ONE_PER_CENT)},
        compute=point_source,
        quick=True,
    ),
    Case(
        name="F3",
        title="Uniformly heated sphere in perfused tissue; the product's mesh of a ball",
        kind="exact",
        source="Pennes' equation in spherical shells: sinh(mu r)/r inside, exp(-mu r)/r outside",
        catches="a volumetric source that loses heat at the edge of the region that it fills, and "
        "a sink that is right only far from the source",
        tolerances={VALUE: Tolerance(ONE_PER_CENT)},
        compute=heated_sphere,
        quick=True,
    ),
    _slab(1, "F7", "standard"),
    _slab(FINE, "F7-fine", "a quarter of the standard"),
    _wall(1, "F8", "standard"),
    _wall(FINE, "F8-fine", "a quarter of the standard"),
)
