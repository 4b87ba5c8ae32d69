"""Conduction, perfusion and cooled walls: F1, F2, F3, F7, F8.

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
from ablasim.verify.patches import box, spaced, sphere_patch
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


# -- F2: the same point source switched on, in a cone around it ------------------------------------

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
        found[time] = excess(replace(problem, generator=off(time - now)), PRECISE)
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


# -- F7, F8: heat from a wall ---------------------------------------------------------------------

LENGTH, WALL = 30.0 * MM, 40.0
LIQUID, COEFFICIENT = 60.0, 1000.0


def rod(length: float, places: tuple[float, ...], resolution: str) -> TetMesh:
    """A rod along x with points at all places [mm], its sizes those away from a hot x = 0."""
    side = np.linspace(0.0, 0.56 * MM, 3)
    stops = [place * MM for place in places if place > 0.0]
    return box(
        (hot_line([*stops, length], resolution), side, side),
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


def perfused_slab(resolution: str) -> Iterator[Row]:
    """F7."""
    places = (5.0, 10.0, 15.0, 20.0)
    mesh = rod(LENGTH, places, resolution)
    x = mesh.points[:, 0]
    problem = BioheatProblem(
        mesh=mesh,
        materials=tissue(perfusion=PERFUSION),
        laws=LINEAR,
        generator=off(4000.0),
        fixed_temperature=held(mesh, {"hot": BODY + WALL, "far": BODY}),
    )
    steady = exact.slab_steady(x, LENGTH, WALL, K, PERFUSION)
    yield from profile_rows("steady", x, excess(problem, STEADY), steady, places, 0.0)
    for time in (60.0, 300.0, 600.0):
        theta = excess(replace(problem, generator=off(time)), PRECISE)
        expected = exact.slab_transient(x, time, LENGTH, WALL, K, PERFUSION, CAPACITY)
        floor = FRONT_FLOOR[resolution] * WALL
        yield from profile_rows(f"{time:g} s", x, theta, expected, places, floor)


def warmed_wall(resolution: str) -> Iterator[Row]:
    """F8."""
    places = (0.0, 1.0, 3.0, 5.0, 10.0)
    mesh = rod(50.0 * MM, places, resolution)
    x = mesh.points[:, 0]
    wall = Wall("hot", "vessel", mesh.surface_faces("hot"), COEFFICIENT, BODY + LIQUID)
    problem = BioheatProblem(mesh, tissue(), LINEAR, off(300.0), walls=(wall,))
    for time in (10.0, 60.0, 300.0):
        theta = excess(replace(problem, generator=off(time)), PRECISE)
        expected = exact.robin_half_space(x, time, LIQUID, COEFFICIENT, K, CAPACITY)
        floor = FRONT_FLOOR[resolution] * LIQUID
        yield from profile_rows(f"{time:g} s", x, theta, expected, places, floor)


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
        tolerances={VALUE: Tolerance(ONE_PER_CENT)},
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
        tolerances={VALUE: Tolerance(ONE_PER_CENT)},
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
