"""A vessel beside a line source, a vessel in heated tissue: F10, F11.

Two-dimensional problems on structured patches one cell thick: half a plane around the vessel, or a
narrow wedge. Tissue without end is cut off where the closed form gives the temperature.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from ablasim.frames import MM
from ablasim.mesh import TetMesh
from ablasim.physics.problem import BioheatProblem, Wall
from ablasim.solve.layout import build_graph
from ablasim.verify import exact_vessel
from ablasim.verify.case import ONE_PER_CENT, VALUE, Case, Row, Tolerance, observed_order, relative
from ablasim.verify.exact_vessel import LineBesideVessel
from ablasim.verify.patches import box, cylinder_patch, spaced
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

TITLE = "Vessels"

# -- F10: a line source beside a vessel -----------------------------------------------------------

RADIUS, LINE_POWER = 2.5 * MM, 1000.0
DISTANCES = (7.5 * MM, 12.5 * MM)
COEFFICIENTS = (300.0, 1000.0, 3000.0, math.inf)
SURFACES = ("vessel", "outer", "front", "back", "low", "high")


@dataclass(frozen=True, eq=False)
class Plane:
    """Half a plane around the vessel, and where its points lie.

    Attributes:
        mesh: one cell thick.
        height: its thickness [m].
        line: load (n,) of a unit line source at distance d [m].
        places: the points compared, four to a name.
    """

    mesh: TetMesh
    height: float
    line: Floats
    places: dict[str, NDArray[np.bool_]]


@cache
def half_plane(distance: float, refine: int) -> Plane:
    """The mesh for a distance of the line; its sizes divided by `refine`."""
    middle = 0.5 * (RADIUS + distance)
    finest = 0.25 * MM
    radii = spaced(
        (RADIUS, middle, distance, 2.0 * distance),
        lambda r: finest + 0.2 * np.minimum(np.abs(r - distance), r - RADIUS + 0.5 * MM),
        refine,
    )
    angles = spaced(
        (0.0, 0.5 * np.pi, np.pi),
        lambda angle: finest / distance + np.minimum(0.2 * angle, 0.2),
        refine,
    )
    height = finest / refine
    mesh = box((radii, angles, np.array([0.0, height])), cylinder_patch, SURFACES)
    x, y, z = mesh.points.T
    at_line = np.hypot(x - distance, y) < 1e-9
    # half of the line's heat goes to the other half of the plane; the points share the height
    line = np.where(at_line, 0.5 * height / at_line.sum(), 0.0)
    places = {
        "wall, phi = 0": (RADIUS, 0.0),
        "wall, phi = 180°": (-RADIUS, 0.0),
        "half way": (middle, 0.0),
        "d, phi = 90°": (0.0, distance),
    }
    masks = {name: np.hypot(x - at[0], y - at[1]) < 1e-9 for name, at in places.items()}
    return Plane(mesh, height, line, masks)


def beside(line: LineBesideVessel, refine: int) -> tuple[dict[str, float], float, float]:
    """Theta [K] at the places, heat into the vessel [W/m], and the error's root mean square [K]."""
    plane = half_plane(line.distance, refine)
    mesh = plane.mesh
    truth = line.theta(mesh.points[:, 0], np.abs(mesh.points[:, 1]))
    fixed: dict[str, float | Floats] = {"outer": BODY + truth}
    walls: tuple[Wall, ...] = ()
    if math.isinf(line.coefficient):
        fixed["vessel"] = BODY
    else:
        faces = mesh.surface_faces("vessel")
        walls = (Wall("vessel", "vessel", faces, line.coefficient, BODY),)
    # ten time constants: of the perfusion, or of a layer of this width that only one side cools
    width = 2.0 * line.distance - RADIUS
    slowest = CAPACITY / (line.perfusion + K * (0.5 * np.pi / width) ** 2)
    problem = BioheatProblem(
        mesh=mesh,
        materials=tissue(perfusion=line.perfusion),
        laws=LINEAR,
        generator=off(10.0 * slowest),
        walls=walls,
        source=line.power * plane.line,
        fixed_temperature=held(mesh, fixed),
    )
    theta = excess(problem, STEADY)
    far = np.hypot(mesh.points[:, 0] - line.distance, mesh.points[:, 1]) > 1.0 * MM
    found = {name: float(theta[mask].mean()) for name, mask in plane.places.items()}
    heat = 2.0 * into_vessel(problem, theta) / plane.height
    return found, heat, root_mean_square((theta - truth)[far])


def into_vessel(problem: BioheatProblem, theta: Floats) -> float:
    """Heat [W] that conduction brings to the vessel's wall."""
    graph = build_graph(problem.mesh.points, problem.mesh.cells)
    stiffness = graph.matrix(graph.edge_weights(problem.per_cell(problem.materials.conductivity)))
    leaving = (stiffness @ theta[graph.to_mesh])[graph.from_mesh]
    wall = np.unique(problem.mesh.surface_faces("vessel"))
    sink = problem.lump(problem.per_cell(problem.materials.perfusion)) * theta
    return float(-(leaving + sink)[wall].sum())


def line_beside_vessel(distance: float, perfusion: float) -> Iterator[Row]:
    """F10 for one distance, with or without perfusion."""
    for coefficient in COEFFICIENTS:
        line = LineBesideVessel(LINE_POWER, RADIUS, distance, coefficient, K, perfusion)
        found, heat, _ = beside(line, 3)
        wall = "held" if math.isinf(coefficient) else f"h = {coefficient:g} W/m2/K"
        plane = half_plane(distance, 3)
        for name, mask in plane.places.items():
            x, y, _ = plane.mesh.points[mask][0]
            expected = float(line.theta(np.array([x]), np.array([abs(y)]))[0])
            if name.startswith("wall") and math.isinf(coefficient):
                continue  # zero by construction
            yield relative(f"theta at {name}, wall {wall}", "K", expected, found[name])
        yield relative(f"heat into the vessel, wall {wall}", "W/m", line.vessel_heat(), heat)
    if distance > DISTANCES[0]:
        return
    line = LineBesideVessel(LINE_POWER, RADIUS, distance, 1000.0, K, perfusion)
    errors = [beside(line, refine)[2] for refine in (1, 2, 4)]
    yield from observed_order(errors, "order in space, h = 1000 W/m2/K")


# -- F11: a vessel in uniformly heated tissue -----------------------------------------------------

NARROW, HEAT, COEFFICIENT = 1.5 * MM, 1e6, 1200.0
KROGH = 10.0 * MM


def heated_wedge(outer: float, perfusion: float, refine: int) -> tuple[Floats, Floats, Floats]:
    """Radii (n,) [m], theta (n,) and its exact value (n,) [K] around a vessel."""
    stops = [NARROW, *(x * MM for x in (3.0, 5.0, 10.0, 20.0) if x * MM < outer), outer]
    line = spaced(stops, lambda r: 0.2 * r, refine)
    mesh = box(
        (line, np.array([0.0, 0.2 / refine]), np.array([0.0, 0.3 * MM / refine])),
        cylinder_patch,
        ("vessel", "outer", "side0", "side1", "end0", "end1"),
    )
    r = np.hypot(mesh.points[:, 0], mesh.points[:, 1])
    wall = Wall("vessel", "vessel", mesh.surface_faces("vessel"), COEFFICIENT, BODY)
    fixed = None
    if perfusion:
        truth = exact_vessel.vessel_in_source(r, NARROW, COEFFICIENT, HEAT, K, perfusion)
        fixed = held(mesh, {"outer": BODY + truth})
    else:
        truth = exact_vessel.tissue_cylinder(r, NARROW, outer, COEFFICIENT, HEAT, K)
    problem = BioheatProblem(
        mesh=mesh,
        materials=tissue(perfusion=perfusion),
        laws=LINEAR,
        generator=off(4000.0 if perfusion else 20000.0),
        walls=(wall,),
        source=HEAT
        * BioheatProblem(mesh, tissue(), LINEAR, off(1.0)).lump(np.ones(len(mesh.cells))),
        fixed_temperature=fixed,
    )
    return r, excess(problem, STEADY), truth


def vessel_in_source(outer: float, perfusion: float, places: tuple[float, ...]) -> Iterator[Row]:
    """F11 with perfusion, or without in a tissue cylinder."""
    errors = []
    for refine in (1, 2, 4):
        r, theta, truth = heated_wedge(outer, perfusion, refine)
        errors.append(root_mean_square(theta - truth))
    for place in places:
        ring = np.abs(r - place * MM) < 1e-9
        yield relative(
            f"theta at {place:g} mm", "K", float(truth[ring].mean()), float(theta[ring].mean())
        )
    yield from observed_order(errors, "order in space")


def _beside(distance: float, perfusion: float) -> Case:
    what = "perfused" if perfusion else "not perfused"
    return Case(
        name=f"F10-{distance / MM:g}mm{'-perfused' if perfusion else ''}",
        title=f"Line source {distance / MM:g} mm from the axis of a 5 mm vessel, tissue {what}",
        kind="exact",
        source="Robin cylinder and line source: images and Bessel series",
        catches="a wall coefficient on the wrong area or against the wrong temperature, a sink "
        "that counts inside the vessel, and heat that the vessel takes but nobody books",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), "order": Tolerance(0.2)},
        compute=partial(line_beside_vessel, distance, perfusion),
        # the cheapest of the four; it has every term
        quick=bool(perfusion) and distance == DISTANCES[0],
    )


CASES = (
    *(_beside(distance, perfusion) for perfusion in (0.0, PERFUSION) for distance in DISTANCES),
    Case(
        name="F11-perfused",
        title="3 mm vessel in perfused tissue with a uniform source",
        kind="exact",
        source="q/W + A K0(mu r), A from the Robin wall",
        catches="a wall of the wrong area: theta next to the vessel is 15 % of that far away",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), "order": Tolerance(0.2)},
        compute=partial(vessel_in_source, 40.0 * MM, PERFUSION, (1.5, 3.0, 5.0, 10.0, 20.0)),
        quick=True,
    ),
    Case(
        name="F11-krogh",
        title="3 mm vessel that drains a tissue cylinder of 20 mm (Krogh), no perfusion",
        kind="exact",
        source="Krogh cylinder: q(a2 - r2)/4k + (q b2/2k) ln(r/a) + q(b2 - a2)/(2 a h)",
        catches="an insulated rim that leaks, and a wall that takes other than all of the heat",
        tolerances={VALUE: Tolerance(ONE_PER_CENT), "order": Tolerance(0.2)},
        compute=partial(vessel_in_source, KROGH, 0.0, (1.5, 3.0, 5.0, 10.0)),
        quick=True,
    ),
)
