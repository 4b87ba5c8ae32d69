"""Blood that warms on its way past a wall: outlet temperatures against closed forms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ablasim.frames import MM
from ablasim.mesh import TetMesh
from ablasim.physics.blood import BloodTree
from ablasim.physics.problem import BioheatProblem, Stream, Wall
from ablasim.verify.case import VALUE, Case, Row, Tolerance, relative
from ablasim.verify.exact_vessel import tissue_cylinder
from ablasim.verify.patches import box, cylinder_patch, spaced
from ablasim.verify.scenes import BODY, LINEAR, STEADY, K, end_of, held, off, tissue

TITLE = "Blood that warms"

LENGTH, ANGLE = 40.0 * MM, 0.6
COEFFICIENT = 1200.0
CAPACITY = 1050.0 * 3617.0
STATIONS = 40


def sector(radius: float, outer: float) -> TetMesh:
    """A sector of tissue around a vessel along z."""
    r = spaced((radius, outer), lambda r: 0.2 * MM + 0.15 * (r - radius))
    phi = np.linspace(0.0, ANGLE, 9)  # chords of 0.075 rad lose 0.02 % of the wall
    z = np.linspace(0.0, LENGTH, STATIONS + 1)
    return box((r, phi, z), cylinder_patch, ("wall", "outer", "low", "high", "bottom", "top"))


def stream(mesh: TetMesh, rate: float) -> Stream:
    """Blood of a capacity rate [W/K] along z past the mesh's wall, in stations of one length."""
    z = mesh.points[np.unique(mesh.surface_faces("wall")), 2]
    place = z / LENGTH * STATIONS - 0.5
    first = np.clip(np.floor(place), 0, STATIONS - 2).astype(np.int32)
    share = np.clip(place - first, 0.0, 1.0)
    return Stream(
        BloodTree((0,) * STATIONS, (rate,), ((),)),
        np.stack([first, first + 1], axis=1),
        np.stack([1.0 - share, share], axis=1),
        (False,),
    )


def beside_blood(mesh: TetMesh, rate: float, duration: float) -> BioheatProblem:
    """Tissue that nothing but the blood cools."""
    wall = Wall("wall", "vessel", mesh.surface_faces("wall"), COEFFICIENT, BODY, stream(mesh, rate))
    return BioheatProblem(mesh, tissue(), LINEAR, off(duration), walls=(wall,))


def capacity_rate(velocity: float, radius: float) -> float:
    """Mass flow times heat capacity of the blood that belongs to the sector [W/K]."""
    return CAPACITY * velocity * 0.5 * ANGLE * radius**2


# -- a wall of one temperature --------------------------------------------------------------------

VESSELS = ((3.0, 0.06), (5.0, 0.10), (10.0, 0.20))
"""Diameter [mm] and mean velocity [m/s]."""

HOT, SECONDS = 20.0, 50.0


def held_wall() -> Iterator[Row]:
    """Outlet fractions behind a wall of one temperature."""
    for diameter, velocity in VESSELS:
        radius = 0.5 * diameter * MM
        mesh = sector(radius, radius + 4.0 * MM)
        rate = capacity_rate(velocity, radius)
        problem = replace(
            beside_blood(mesh, rate, SECONDS),
            initial_temperature=BODY + HOT,
            fixed_temperature=held(mesh, {"wall": BODY + HOT}),
        )
        solution = end_of(problem, STEADY)
        outlet = float(solution.history["wall_blood_C"][-1]) - BODY
        share = -math.expm1(-COEFFICIENT * ANGLE * radius * LENGTH / rate)
        vessel = f"vessel of {diameter:g} mm at {100 * velocity:g} cm/s"
        yield relative(
            f"rise of the blood over that of the wall, {vessel}", "1", share, outlet / HOT
        )
        yield relative(
            f"heat that the blood carries out, {vessel}", "J",
            rate * outlet * SECONDS, solution.energy["wall_J"], tolerance="account",
        )  # fmt: skip


# -- a wall that the tissue heats -----------------------------------------------------------------

RADIUS, OUTER, HEAT, SLOW = 1.5 * MM, 10.0 * MM, 2e5, 0.02


def heated_tissue() -> Iterator[Row]:
    """Krogh's cylinder along warming blood: theta rises with the blood."""
    mesh, rate = sector(RADIUS, OUTER), capacity_rate(SLOW, RADIUS)
    volume = float(mesh.cell_volumes().sum())
    total = HEAT * volume / rate
    r, z = np.hypot(mesh.points[:, 0], mesh.points[:, 1]), mesh.points[:, 2]
    local = tissue_cylinder(r, RADIUS, OUTER, COEFFICIENT, HEAT, K)
    problem = beside_blood(mesh, rate, 4000.0)
    # near the end from the start, since such a cylinder warms slowly
    problem = replace(
        problem,
        source=problem.lump(np.full(len(mesh.cells), HEAT)),
        initial_temperature=BODY + local + total * z / LENGTH,
    )
    solution = end_of(problem, STEADY)
    outlet = float(solution.history["wall_blood_C"][-1]) - BODY
    yield relative("rise of the blood: q V / C", "K", total, outlet, tolerance="outlet")
    theta = solution.temperature - BODY
    for place in (0.4, 0.5, 0.6):  # away from the insulated ends
        for radius, where in ((RADIUS, "at the wall"), (OUTER, "at the rim")):
            here = (np.abs(z - place * LENGTH) < 1e-6) & (np.abs(r - radius) < 1e-9)
            wanted = place * total + float(local[here].mean())
            yield relative(
                f"theta {where}, {place:g} of the way", "K", wanted, float(theta[here].mean())
            )


CASES = (
    Case(
        name="blood-wall",
        title="Blood behind a wall of one temperature, 40 mm long",
        kind="exact",
        source="outlet fraction 1 - exp(-h pi D L/(m c)), h = 1200 W/m2/K",
        catches="blood that sees only part of the wall or one station twice, and heat that leaves "
        "the tissue without entering the blood",
        tolerances={VALUE: Tolerance(1e-3), "account": Tolerance(1e-8)},
        compute=held_wall,
        quick=True,
    ),
    Case(
        name="blood-krogh",
        title="Blood at 2 cm/s that drains a heated tissue cylinder of 20 mm",
        kind="exact",
        source="Krogh cylinder on blood that has risen by q V/(m c) times its way",
        catches="blood that moves against its flow, and a wall that feels the inlet's temperature",
        tolerances={VALUE: Tolerance(0.01), "outlet": Tolerance(1e-4)},
        compute=heated_tissue,
        quick=True,
    ),
)
