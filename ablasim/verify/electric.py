"""Radiofrequency current and its heat: F4, F5, F5b, F6.

Patches are structured; the spheroid and the four tines are meshed by the product's own mesher.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

import numpy as np

from ablasim import catalogue
from ablasim.anatomy import Anatomy, Solid, block_solid, place_probe
from ablasim.frames import MM
from ablasim.mesh import TetMesh
from ablasim.mesh_cache import cached_mesh
from ablasim.physics.electric import far_field_conductance
from ablasim.physics.generator import ConstantGenerator
from ablasim.physics.problem import BioheatProblem, Electrodes
from ablasim.shapes import Ellipsoid, Intersection, Tube
from ablasim.verify import exact
from ablasim.verify.case import (
    ONE_PER_CENT,
    VALUE,
    Case,
    Row,
    Tolerance,
    at_least,
    at_most,
    observed_order,
    relative,
)
from ablasim.verify.patches import box, cylinder_patch, halved, spaced, sphere_patch
from ablasim.verify.scenes import (
    BODY,
    LINEAR,
    SIGMA,
    STEADY,
    EngineOf,
    Floats,
    K,
    ball_around,
    end_of,
    held,
    hot_line,
    jax_engine,
    off,
    root_mean_square,
    tissue,
)

TITLE = "Radiofrequency current and its heat"

VOLTAGE = 20.0


def on_surface(mesh: TetMesh, name: str) -> np.ndarray:
    """Mask (n,) of the points of a surface."""
    mask: np.ndarray = np.isin(np.arange(len(mesh.points)), mesh.surface_faces(name))
    return mask


# -- F4: a spherical electrode, cooled inside -----------------------------------------------------

ELECTRODE, OUTSIDE = 1.5 * MM, 20.0 * MM
SECTOR = 0.16
"""Tangent of the half-angle of the coarsest sector; it halves with the sizes."""


def sphere_sector(level: int) -> tuple[TetMesh, float]:
    """A square sector around the electrode, and its share of the whole sphere."""
    refine = 2**level
    line = spaced(
        (ELECTRODE, *(x * MM for x in (2.0, 3.0, 5.0, 10.0)), OUTSIDE), lambda r: 0.2 * r, refine
    )
    width = SECTOR / refine
    side = np.array([-width, width])
    names = ("inner", "outer", "side0", "side1", "side2", "side3")
    mesh = box((line, side, side), sphere_patch, names)
    return mesh, float(np.arcsin(width**2 / (1.0 + width**2)) / np.pi)


def cooled_sphere_at(level: int) -> tuple[Floats, Floats, float]:
    """Radii [m], excess temperatures [K] and power of the whole sphere [W] at the steady state."""
    mesh, share = sphere_sector(level)
    r = np.linalg.norm(mesh.points, axis=1)
    faces = mesh.surface_faces("outer")
    edge = exact.cooled_sphere_temperature(r, ELECTRODE, VOLTAGE, SIGMA, K)
    problem = BioheatProblem(
        mesh=mesh,
        materials=tissue(),
        laws=LINEAR,
        generator=ConstantGenerator("voltage", VOLTAGE, 6000.0),
        fixed_temperature=held(mesh, {"inner": BODY, "outer": BODY + edge}),
        electrodes=Electrodes(
            active=on_surface(mesh, "inner"),
            grounded=np.zeros(len(r), dtype=bool),
            far_field=far_field_conductance(
                mesh.points, faces, np.zeros(3), np.full(len(faces), SIGMA)
            ),
        ),
    )
    solution = end_of(problem, STEADY)
    return r, solution.temperature - BODY, float(solution.history["power_W"][-1]) / share


def cooled_sphere() -> Iterator[Row]:
    """F4."""
    places = np.array([2.0, 3.0, 5.0, 10.0]) * MM
    expected = exact.cooled_sphere_temperature(places, ELECTRODE, VOLTAGE, SIGMA, K)
    resistance = exact.sphere_resistance(ELECTRODE, SIGMA)
    errors = []
    for level in (0, 1, 2):
        r, theta, power = cooled_sphere_at(level)
        found = np.array([theta[np.abs(r - place) < 1e-9].mean() for place in places])
        errors.append(root_mean_square(found - expected))
    for place, one, other in zip(places, expected, found, strict=True):
        yield relative(f"theta at {place / MM:g} mm", "K", float(one), float(other))
    yield relative("resistance", "ohm", resistance, VOLTAGE**2 / power)
    yield relative("power", "W", VOLTAGE**2 / resistance, power)
    yield from observed_order(errors, "order in space of theta")


# -- F5: between coaxial cylinders ----------------------------------------------------------------

INNER, OUTER, WEDGE, HEIGHT = 1.5 * MM, 30.0 * MM, 0.26, 1.0 * MM


def coaxial_at(line: Floats, refine: int) -> tuple[Floats, Floats, float]:
    """Radii [m], excess temperatures [K] and power per length [W/m] on a wedge with these radii."""
    mesh = box(
        (line, np.linspace(0.0, WEDGE / refine, 3), np.linspace(0.0, HEIGHT / refine, 3)),
        cylinder_patch,
        ("inner", "outer", "side0", "side1", "end0", "end1"),
    )
    r = np.hypot(mesh.points[:, 0], mesh.points[:, 1])
    problem = BioheatProblem(
        mesh=mesh,
        materials=tissue(),
        laws=LINEAR,
        generator=ConstantGenerator("voltage", VOLTAGE, 9000.0),
        fixed_temperature=held(mesh, {"inner": BODY, "outer": BODY}),
        electrodes=Electrodes(
            on_surface(mesh, "inner"), on_surface(mesh, "outer"), np.zeros(len(r))
        ),
    )
    solution = end_of(problem, STEADY)
    length = HEIGHT * WEDGE / (2.0 * np.pi * refine**2)
    return r, solution.temperature - BODY, float(solution.history["power_W"][-1]) / length


def coaxial_electrodes() -> Iterator[Row]:
    """F5."""
    r, theta, power = coaxial_at(INNER + hot_line([OUTER - INNER]), 1)
    for radius in (3.0, 6.0, 10.0, 20.0):
        ring = np.abs(r - r[np.argmin(np.abs(r - radius * MM))]) < 1e-9
        expected = exact.coaxial_temperature(r[ring], INNER, OUTER, VOLTAGE, SIGMA, K)
        worst = int(np.argmax(np.abs(theta[ring] / expected - 1.0)))
        yield relative(
            f"theta at {r[ring][worst] / MM:.2f} mm",
            "K",
            float(expected[worst]),
            float(theta[ring][worst]),
        )
    yield relative(
        "power per length", "W/m", exact.coaxial_power(INNER, OUTER, VOLTAGE, SIGMA), power
    )


def coaxial_order() -> Iterator[Row]:
    """F5 with sizes that halve twice."""
    errors = []
    for refine in (2, 4, 8):
        stops = (INNER, *(x * MM for x in (3.0, 6.0, 10.0, 20.0)), OUTER)
        r, theta, _ = coaxial_at(spaced(stops, lambda r: 0.25 * r, refine), refine)
        expected = exact.coaxial_temperature(r, INNER, OUTER, VOLTAGE, SIGMA, K)
        errors.append(root_mean_square(theta - expected))
    yield from observed_order(errors, "order in space of theta")


# -- F5b: a needle as a prolate spheroid, on the product's mesh -----------------------------------

NO_SHAFT = 5.0 * MM
"""So wide a shaft asks for no small cells: this probe ends where its heat does."""

HALF_LENGTH, WAIST = 15.0 * MM, 1.5 * MM


@cache
def spheroid() -> TetMesh:
    """The product's default block around a spheroid."""
    body = Ellipsoid((0.0, 0.0, 0.0), (WAIST, WAIST, HALF_LENGTH))
    # the ellipsoid's distance is right only close to it; the tube's is right far away
    tube = Tube(((0.0, 0.0, WAIST - HALF_LENGTH), (0.0, 0.0, HALF_LENGTH - WAIST)), WAIST)
    anatomy = ball_around(
        Intersection((body, tube)),
        tip=-HALF_LENGTH,
        length=2.0 * HALF_LENGTH + 1.0 * MM,
        radius=NO_SHAFT,
        block=50.0 * MM,
        bodies=(Solid(body),),
    )
    return cached_mesh(anatomy, "standard")


def spheroid_problem(far_field: Floats) -> BioheatProblem:
    """A voltage on the spheroid, and a conductance (n,) [S] from each point to infinity."""
    mesh = spheroid()
    active, grounded = on_surface(mesh, "probe.0.active"), np.zeros(len(mesh.points), dtype=bool)
    electrodes = Electrodes(active, grounded, far_field)
    return BioheatProblem(mesh, tissue(), LINEAR, off(1.0), electrodes=electrodes)


def one_volt(problem: BioheatProblem, by: EngineOf = jax_engine) -> tuple[float, Floats]:
    """Resistance [ohm] and potential (n,) of one volt on the probe."""
    engine = by(problem)
    state = engine.start()
    potential = engine.potential(state)
    assert potential is not None
    return 1.0 / engine.conductance(state), potential


def at_spheroid(x: Floats) -> Floats:
    """The exact potential at points (n, 3) [m]."""
    return exact.spheroid_potential(np.hypot(x[:, 0], x[:, 1]), x[:, 2], HALF_LENGTH, WAIST)


def exact_conductance(mesh: TetMesh) -> Floats:
    """Conductance of the outer points that makes the exact potential's own flux leave there [S]."""
    faces = mesh.surface_faces("outer")
    corner = mesh.points[faces]
    normal = 0.5 * np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    middle, step = corner.mean(axis=1), 1e-3 * MM
    slope = [(at_spheroid(middle + e) - at_spheroid(middle - e)) / 2 for e in step * np.eye(3)]
    flux = -SIGMA * np.einsum("if,fi->f", np.array(slope) / step, normal)
    share = np.repeat(flux / at_spheroid(middle) / 3.0, 3)
    return np.bincount(faces.ravel(), share, minlength=len(mesh.points))


def spheroid_electrode(by: EngineOf = jax_engine) -> Iterator[Row]:
    """F5b."""
    mesh = spheroid()
    outer = mesh.surface_faces("outer")
    expected_ohm = exact.spheroid_resistance(HALF_LENGTH, WAIST, SIGMA)
    sigma = np.full(len(outer), SIGMA)
    far_field = far_field_conductance(mesh.points, outer, np.zeros(3), sigma)
    resistance, _ = one_volt(spheroid_problem(far_field), by)
    yield relative("resistance, far-field condition", "ohm", expected_ohm, resistance)
    resistance, potential = one_volt(spheroid_problem(exact_conductance(mesh)), by)
    yield relative("resistance, exact flux outside", "ohm", expected_ohm, resistance)
    r, z = np.hypot(mesh.points[:, 0], mesh.points[:, 1]), np.abs(mesh.points[:, 2])
    expected = at_spheroid(mesh.points)
    for at_r, at_z in ((3, 0), (5, 0), (10, 0), (20, 0), (0, 20), (0, 30)):
        nearest = np.argsort(np.hypot(r - at_r * MM, z - at_z * MM))[:12]
        yield Row(
            f"potential at r = {at_r}, z = {at_z} mm, rms of 12 points",
            "V",
            float(expected[nearest].mean()),
            float(potential[nearest].mean()),
            root_mean_square(potential[nearest] / expected[nearest] - 1.0),
        )


# -- F6: four tines, any sigma(T) and k(T) --------------------------------------------------------

TINE_BLOCK = 25.0 * MM
SIGMA_SLOPE, K_SLOPE = 0.015, 0.0033
TOP = 36.2276
"""Largest excess temperature for these laws and 20 V [K], where phi is 10 V."""


@cache
def four_tines() -> TetMesh:
    """The catalogue's four-tine electrode in a ball, as the product meshes it for a preview."""
    probe = place_probe(
        catalogue.probe("four_tine_electrode"), np.zeros(3), np.array([0.0, 0.0, 1.0])
    )
    ball = block_solid("sphere", np.zeros(3), (2.0 * TINE_BLOCK,) * 3)
    return cached_mesh(Anatomy(ball, None, None, (), (probe,), {"liver": "liver"}), "preview")


def kohlrausch_errors(mesh: TetMesh) -> tuple[Floats, Floats, Floats]:
    """Found and expected excess temperature (n,) [K] and the points' volumes (n,) [m3]."""
    active, outer = on_surface(mesh, "probe.0.active"), on_surface(mesh, "outer")
    problem = BioheatProblem(
        mesh=mesh,
        materials=tissue(conductivity_slope=K_SLOPE, sigma_slope=SIGMA_SLOPE),
        laws=LINEAR,
        generator=ConstantGenerator("voltage", VOLTAGE, 3000.0),
        fixed_temperature=held(mesh, {"probe.0.active": BODY, "outer": BODY}),
        electrodes=Electrodes(active, outer & ~active, np.zeros(len(mesh.points))),
    )
    solution = end_of(problem, STEADY)
    assert solution.potential is not None
    expected = exact.kohlrausch_temperature(
        solution.potential, VOLTAGE, K, K_SLOPE, SIGMA, SIGMA_SLOPE
    )
    return solution.temperature - BODY, expected, problem.lump(np.ones(len(mesh.cells)))


def kohlrausch(levels: int) -> Iterator[Row]:
    """F6."""
    mesh, errors = four_tines(), []
    for level in range(1, levels + 1):
        theta, expected, volume = kohlrausch_errors(mesh)
        rms = float(np.sqrt((volume * (theta - expected) ** 2).sum() / volume.sum()))
        name = f"level {level} ({len(mesh.points)} points)"
        errors.append(rms)
        yield at_most(f"theta off the relation, rms, {name}", "K", 0.0, rms, "rms")
        if level == 2:
            yield relative(f"highest theta, {name}", "K", TOP, float(theta.max()))
        if level < levels:
            mesh = halved(mesh)
    for coarse, fine in zip(errors[:-1], errors[1:], strict=True):
        fall = float(np.log2(coarse / fine))
        yield at_least("order in space of theta", "1", 1.0, fall, "order")


def _four_tines(levels: int, name: str, *, quick: bool) -> Case:
    return Case(
        name=name,
        title="Four tines on the product's mesh, sigma(T) and k(T)"
        + (", and with every edge halved" if levels == 2 else ""),
        kind="exact",
        source="Kohlrausch 1900: the integral of k/sigma from the electrodes' temperature to T is "
        "phi (V - phi)/2",
        catches="a k(T) or sigma(T) taken at the wrong temperature, and Joule heat that misses "
        "sigma's change: the relation holds in any geometry, so nothing can hide in the mesh",
        tolerances={
            VALUE: Tolerance(ONE_PER_CENT),
            "rms": Tolerance(ONE_PER_CENT * TOP, "K"),
            "order": Tolerance(0.0),
        },
        compute=partial(kohlrausch, levels),
        quick=quick,
        remark="At the sharp ends of the tines the field is singular: order one at least is asked "
        "for, not two.",
    )


CASES = (
    Case(
        name="F4",
        title="Internally cooled spherical electrode, no perfusion",
        kind="exact",
        source="phi = V r0/r; theta = (sigma V2/2k)(x - x2), x = r0/r",
        catches="Joule heat lumped where the field is strong, and amplitude taken for root mean "
        "square (a factor 2)",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), "order": Tolerance(0.2)},
        compute=cooled_sphere,
        quick=True,
    ),
    Case(
        name="F5",
        title="Radiofrequency between coaxial cylinders that are both cooled",
        kind="exact",
        source="phi = V ln(b/r)/ln(b/a); theta = (sigma V2/2k) x (1 - x), x = ln(r/a)/ln(b/a)",
        catches="amplitude taken for root mean square (a factor 2), Joule heat lumped where the "
        "field is strong, and a power that is not the heat",
        tolerances={VALUE: Tolerance(ONE_PER_CENT)},
        compute=coaxial_electrodes,
        quick=True,
    ),
    Case(
        name="F5-order",
        title="Radiofrequency between coaxial cylinders: order in space",
        kind="exact",
        source="phi = V ln(b/r)/ln(b/a); theta = (sigma V2/2k) x (1 - x), x = ln(r/a)/ln(b/a)",
        catches="Joule heat of a cell that goes to the wrong corners: still the right power, but "
        "of first order in theta",
        tolerances={"order": Tolerance(0.2)},
        compute=coaxial_order,
    ),
    Case(
        name="F5b",
        title="Needle as a prolate spheroid on the product's mesh: resistance and potential",
        kind="exact",
        source="Laplace's equation in prolate spheroidal coordinates",
        catches="a far-field condition that is wrong or missing (ground on this block takes 10 % "
        "off), a mesh that loses the electrode's area, and one too coarse at the tip, where too "
        "much current would leave",
        tolerances={VALUE: Tolerance(ONE_PER_CENT)},
        compute=spheroid_electrode,
        quick=True,
    ),
    _four_tines(1, "F6", quick=False),
    _four_tines(2, "F6-fine", quick=False),
)
