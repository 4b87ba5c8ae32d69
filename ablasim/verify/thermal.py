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
from ablasim.mesh_sizes import sizes_of
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
    hot_line,
    near,
    off,
    point_weights,
    root_mean_square,
    tissue,
)

TITLE = "Conduction, perfusion, cooled walls"

NO_SHAFT = 5.0 * MM
"""So wide a shaft asks for no small cells: these probes end where their heat does."""

PRECISE = StepControl(tolerance=0.002, longest=15.0)
"""Time steps whose error is small against that of the mesh. The step control takes its mean over a
tenth of a millilitre at least, which is more than these patches hold."""
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

LENGTH, WALL = 30.0 * MM, 40.0
LIQUID, COEFFICIENT = 60.0, 1000.0


SLAB_PLACES = (5.0, 10.0, 15.0, 20.0)
WALL_PLACES = (0.0, 1.0, 3.0, 5.0, 10.0)
LEVELS = (1, 2, 4)


def rod(length: float, places: tuple[float, ...], resolution: str, refine: int) -> TetMesh:
    """A rod along x with points at all places [mm], its sizes those away from a hot x = 0.

    Its section is of the finest size: cells that are wide and short make the points of a plane
    differ, at the rod's edges by as much as the sizes along it leave.
    """
    side = np.linspace(0.0, 2.0 * sizes_of(resolution).electrode, 3)
    stops = [place * MM for place in places if place > 0.0]
    return box(
        (hot_line([*stops, length], resolution, refine), side, side),
        surfaces=("hot", "far", "side0", "side1", "side2", "side3"),
    )


def profile_rows(
    when: str, x: Floats, theta: Floats, expected: Floats, places: tuple[float, ...], floor: float
) -> Iterator[Row]:
    """Compare at the places [mm].

    Args:
        floor: the error counts relative to `expected`, or to this [K] where that is larger.
    """
    for place in places:
        plane = np.abs(x - place * MM) < 1e-9
        worst = int(np.argmax(np.abs(theta[plane] - expected[plane])))
        yield relative(
            f"theta at {place:g} mm, {when}",
            "K",
            float(expected[plane][worst]),
            float(theta[plane][worst]),
            floor=floor,
        )


def slab(resolution: str, refine: int = 1) -> BioheatProblem:
    """F7 up to its steady state."""
    mesh = rod(LENGTH, SLAB_PLACES, resolution, refine)
    return BioheatProblem(
        mesh=mesh,
        materials=tissue(perfusion=PERFUSION),
        laws=LINEAR,
        generator=off(4000.0),
        fixed_temperature=held(mesh, {"hot": BODY + WALL, "far": BODY}),
    )


def perfused_slab(
    resolution: str, control: StepControl = PRECISE, floor: float | None = None
) -> Iterator[Row]:
    """F7.

    Args:
        resolution: whose sizes the mesh has; at "fine" the order in space is observed too.
        control: of the time steps of the transient.
        floor: share of the step at the wall below which an error counts as a fraction of it;
            by default FRONT_FLOOR.
    """
    problem = slab(resolution)
    x = problem.mesh.points[:, 0]
    steady = exact.slab_steady(x, LENGTH, WALL, K, PERFUSION)
    yield from profile_rows("steady", x, excess(problem, STEADY), steady, SLAB_PLACES, 0.0)
    for time in (60.0, 300.0, 600.0):
        theta = excess(replace(problem, generator=off(time)), control)
        expected = exact.slab_transient(x, time, LENGTH, WALL, K, PERFUSION, CAPACITY)
        least = WALL * (FRONT_FLOOR[resolution] if floor is None else floor)
        yield from profile_rows(f"{time:g} s", x, theta, expected, SLAB_PLACES, least)
    if resolution == "fine":
        errors = [slab_error(slab("standard", refine)) for refine in LEVELS]
        yield from observed_order(errors, "order in space, steady")


def slab_error(problem: BioheatProblem) -> float:
    """Root mean square error of the steady state [K]."""
    expected = exact.slab_steady(problem.mesh.points[:, 0], LENGTH, WALL, K, PERFUSION)
    return root_mean_square(excess(problem, STEADY) - expected)


def warmed(resolution: str, refine: int = 1) -> BioheatProblem:
    """F8 up to 300 s."""
    mesh = rod(50.0 * MM, WALL_PLACES, resolution, refine)
    wall = Wall("hot", "vessel", mesh.surface_faces("hot"), COEFFICIENT, BODY + LIQUID)
    return BioheatProblem(mesh, tissue(), LINEAR, off(300.0), walls=(wall,))


def warmed_wall(
    resolution: str, control: StepControl = PRECISE, floor: float | None = None
) -> Iterator[Row]:
    """F8; the arguments as of `perfused_slab`."""
    problem = warmed(resolution)
    x = problem.mesh.points[:, 0]
    for time in (10.0, 60.0, 300.0):
        theta = excess(replace(problem, generator=off(time)), control)
        expected = exact.robin_half_space(x, time, LIQUID, COEFFICIENT, K, CAPACITY)
        least = LIQUID * (FRONT_FLOOR[resolution] if floor is None else floor)
        yield from profile_rows(f"{time:g} s", x, theta, expected, WALL_PLACES, least)
    if resolution == "fine":
        errors = []
        for refine in LEVELS:
            x = (problem := warmed("standard", refine)).mesh.points[:, 0]
            expected = exact.robin_half_space(x, 300.0, LIQUID, COEFFICIENT, K, CAPACITY)
            errors.append(root_mean_square(excess(problem, CONVERGED) - expected))
        yield from observed_order(errors, "order in space, 300 s")


FRONT_FLOOR = {"standard": 0.2, "fine": 0.04}
"""Share of the step at the wall [-] below which an error counts as a fraction of that share: a
front that has hardly arrived is an exponential of the mesh. One per cent of it is 0.08 and 0.12 K
at standard sizes, 0.016 and 0.024 K at fine ones."""


def _slab(resolution: str, name: str) -> Case:
    return Case(
        name=name,
        title=f"Perfused slab between two held walls, {resolution} sizes",
        kind="exact",
        source="Fourier series of Pennes' equation in a slab",
        catches="a rho c or a perfusion in the wrong place of the transient, which the steady "
        "state does not see, and held points that leak",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), "order": Tolerance(0.2)},
        compute=partial(perfused_slab, resolution),
        quick=True,
        remark=FLOOR_SAYS.format(floor=FRONT_FLOOR[resolution] * WALL),
    )


def _wall(resolution: str, name: str) -> Case:
    return Case(
        name=name,
        title=f"Half space warmed by a liquid through its wall, {resolution} sizes",
        kind="exact",
        source="half space behind a surface resistance (Carslaw and Jaeger, textbook)",
        catches="a Robin condition of the wrong sign or lumped on the wrong area, and a wall whose "
        "liquid is taken for a held temperature: the wall itself is 14 K below it after 10 s",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), "order": Tolerance(0.2)},
        compute=partial(warmed_wall, resolution),
        quick=True,
        remark=FLOOR_SAYS.format(floor=FRONT_FLOOR[resolution] * LIQUID),
    )


FLOOR_SAYS = "Below {floor:g} K the error of the transient counts as a fraction of {floor:g} K."

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
    _slab("standard", "F7"),
    _slab("fine", "F7-fine"),
    _wall("standard", "F8"),
    _wall("fine", "F8-fine"),
)
