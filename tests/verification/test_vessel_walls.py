"""Vessels with a Robin wall and blood that warms, against closed forms.

Patches have the product's fine edge lengths at the wall and its standard ones at the source.
"""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from lines import graded

from ablasim.frames import MM
from ablasim.mesh import TetMesh
from ablasim.physics.blood import BloodTree
from ablasim.physics.problem import BioheatProblem, Stream, Wall
from ablasim.solve import Solution, Status, StepControl, solve
from ablasim.solve.jax_engine import JaxEngine
from ablasim.solve.jax_step import flowing_branches, stasis_clock
from ablasim.verify.exact_vessel import LineBesideVessel, tissue_cylinder, vessel_in_source
from ablasim.verify.patches import box, cylinder_patch
from ablasim.verify.scenes import BODY, LINEAR, PERFUSION, Floats, K, held, off, tissue

ONE_PER_CENT = 0.01
STEADY = StepControl(longest=200.0)
SIDES = ("wall", "outer", "low", "high", "bottom", "top")
BLOOD_RHO_C = 1050.0 * 3617.0


def run(problem: BioheatProblem, control: StepControl = STEADY) -> Solution:
    """The solution, its account closed on the way."""
    solution = solve(problem, control=control, device="cpu")
    assert solution.status is Status.DONE
    assert solution.energy["balance_error"] < 1e-9
    return solution


def value_at(mesh: TetMesh, values: Floats, r: float, phi: float, z: float) -> float:
    """Mean of the values at the points nearest to a place in cylinder coordinates."""
    place = np.array([r * np.cos(phi), r * np.sin(phi), z])
    distance = np.linalg.norm(mesh.points - place, axis=1)
    assert distance.min() < 1e-6, (r, phi, distance.min())
    return float(values[np.argmin(distance)])


# -- F10: a line source beside a vessel ------------------------------------------------------------

A = 2.5 * MM
PER_LENGTH = 1000.0  # everything is linear in it
FAR = 30.0 * MM
THICK = 0.6 * MM


def halved(line: Floats) -> Floats:
    """The line with every interval cut in two."""
    middle = 0.5 * (line[1:] + line[:-1])
    return np.insert(line, np.arange(1, len(line)), middle)


def half_plane(distance: float, refine: int = 0) -> tuple[TetMesh, Floats]:
    """Half the plane around vessel and source, two cells thick, and the load of the source (n,).

    Lines run through all four places of the table; `refine` halves them so many times.
    """
    size = 0.28 * MM
    middle = 0.5 * (A + distance)
    towards = middle + distance - graded(middle, distance, size, 0.6 * MM)[::-1]
    away = graded(distance, FAR, size, 2.0 * MM)
    quarter = 0.5 * np.pi
    r = np.concatenate([graded(A, middle, size, 0.6 * MM), towards[1:], away[1:]])
    phi = np.concatenate(
        [graded(0.0, quarter, size / distance, 0.08), np.linspace(quarter, np.pi, 21)[1:]]
    )
    for _ in range(refine):
        r, phi = halved(r), halved(phi)
    z = np.linspace(0.0, THICK, 3)
    mesh = box((r, phi, z), cylinder_patch, SIDES)
    x, y, height = mesh.points.T
    source = np.zeros(len(mesh.points))
    for level, share in zip(z, (0.25, 0.5, 0.25), strict=True):
        on = (np.abs(x - distance) < 1e-9) & (np.abs(y) < 1e-9) & (np.abs(height - level) < 1e-9)
        assert on.sum() == 1
        source[on] = 0.5 * PER_LENGTH * THICK * share
    return mesh, source


def beside_line(
    distance: float, coefficient: float, perfusion: float, refine: int = 0
) -> tuple[TetMesh, Floats, Floats, Solution]:
    """Mesh, computed and exact theta, and the solution."""
    mesh, source = half_plane(distance, refine)
    x, y, _ = mesh.points.T
    at_source = np.hypot(x - distance, y) < 1e-9
    line = LineBesideVessel(PER_LENGTH, A, distance, coefficient, K, perfusion)
    theta = line.theta(np.where(at_source, 1.001 * distance, x), y)
    if np.isinf(coefficient):
        fixed, walls = held(mesh, {"outer": BODY + theta, "wall": BODY}), ()
    else:
        fixed = held(mesh, {"outer": BODY + theta})
        faces = mesh.surface_faces("wall")
        walls = (Wall("wall", "vessel", faces, coefficient, BODY),)
    problem = BioheatProblem(
        mesh,
        tissue(perfusion=perfusion),
        LINEAR,
        # the exact field at the start: only the discrete difference has to settle
        off(1500.0),
        walls=walls,
        initial_temperature=BODY + theta,
        fixed_temperature=fixed,
        source=source,
    )
    solution = run(problem)
    return mesh, solution.temperature - BODY, theta, solution


@pytest.mark.parametrize("perfusion", [0.0, PERFUSION])
@pytest.mark.parametrize("coefficient", [300.0, 1000.0, 3000.0, np.inf])
@pytest.mark.parametrize("distance", [7.5 * MM, 12.5 * MM])
def test_vessel_beside_a_line_source(distance: float, coefficient: float, perfusion: float) -> None:
    """F10 at the wall towards and away from the source, half-way and beside it, and its heat.

    Catches a wall area that is counted once too often, an h A that is lumped with the wrong share,
    and a perfusion that leaks into the wall's account.
    """
    mesh, theta, wanted, solution = beside_line(distance, coefficient, perfusion)
    places = [(0.5 * (A + distance), 0.0), (distance, 0.5 * np.pi)]
    if np.isfinite(coefficient):
        places += [(A, 0.0), (A, np.pi)]
    for r, phi in places:
        found, true = (value_at(mesh, v, r, phi, 0.5 * THICK) for v in (theta, wanted))
        assert found == pytest.approx(true, rel=ONE_PER_CENT), (r, phi)
    if np.isfinite(coefficient):
        around = np.linspace(0.0, np.pi, 401)
        line = LineBesideVessel(PER_LENGTH, A, distance, coefficient, K, perfusion)
        wall = line.theta(A * np.cos(around), A * np.sin(around))
        per_length = coefficient * A * np.trapezoid(wall, around)  # of the half
        power = np.diff(solution.history["vessels_J"])[-1] / solution.history["step_s"][-1]
        assert power / THICK == pytest.approx(per_length, rel=ONE_PER_CENT)


def test_vessel_beside_a_line_source_converges() -> None:
    """Second order away from the source; a wall integral of first order would show."""
    errors = []
    for refine in (0, 1):
        mesh, theta, wanted, _ = beside_line(12.5 * MM, 1000.0, PERFUSION, refine)
        errors.append(
            [
                abs(value_at(mesh, theta - wanted, r, phi, 0.5 * THICK))
                for r, phi in ((A, 0.0), (7.5 * MM, 0.0), (12.5 * MM, 0.5 * np.pi))
            ]
        )
    ratio = np.array(errors[0]) / np.array(errors[1])
    assert (ratio > 3.0).all(), (errors, ratio)


# -- F11: a vessel in heated tissue ----------------------------------------------------------------


def around_vessel(
    radius: float, outer: float, length: float, layers: int, angle: float = 0.6
) -> TetMesh:
    """A sector of tissue around a vessel along z."""
    r = graded(radius, outer, 0.2 * MM, 1.5 * MM)
    phi = np.linspace(0.0, angle, 9)  # chords of 0.075 rad lose 0.02 % of the wall
    return box((r, phi, np.linspace(0.0, length, layers + 1)), cylinder_patch, SIDES)


def uniform(mesh: TetMesh, heat: float) -> Floats:
    """A heat per volume as heat per point (n,)."""
    return heat * np.bincount(
        mesh.cells.ravel(), np.repeat(mesh.cell_volumes() / 4.0, 4), minlength=len(mesh.points)
    )


def test_vessel_in_heated_perfused_tissue() -> None:
    """F11 with perfusion at 1.5, 3, 5, 10 and 20 mm; catches a radius for a diameter in Bi."""
    mesh = around_vessel(1.5 * MM, 40.0 * MM, 0.8 * MM, 2)
    r = np.hypot(*mesh.points[:, :2].T)
    wanted = vessel_in_source(r, 1.5 * MM, 1200.0, 1e6, K, PERFUSION)
    solution = run(
        BioheatProblem(
            mesh,
            tissue(perfusion=PERFUSION),
            LINEAR,
            off(4000.0),
            walls=(Wall("wall", "vessel", mesh.surface_faces("wall"), 1200.0, BODY),),
            fixed_temperature=held(mesh, {"outer": BODY + wanted}),
            source=uniform(mesh, 1e6),
        )
    )
    theta = solution.temperature - BODY
    for place in (1.5, 3.0, 5.0, 10.0, 20.0):
        found = float(np.interp(place * MM, *_sorted(r, theta)))
        at = np.array([place * MM])
        true = float(vessel_in_source(at, 1.5 * MM, 1200.0, 1e6, K, PERFUSION)[0])
        assert found == pytest.approx(true, rel=ONE_PER_CENT)


def _sorted(r: Floats, values: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(r)
    return r[order], values[order]


# -- blood that warms ------------------------------------------------------------------------------

RADIUS, OUTER, LENGTH = 1.5 * MM, 10.0 * MM, 40.0 * MM
COEFFICIENT = 1200.0


def stream(mesh: TetMesh, capacity: float, stations: int = 40) -> Stream:
    """Blood along z past the mesh's wall, its stations of equal length."""
    z = mesh.points[np.unique(mesh.surface_faces("wall")), 2]
    place = z / LENGTH * stations - 0.5
    first = np.clip(np.floor(place), 0, stations - 2).astype(np.int32)
    share = np.clip(place - first, 0.0, 1.0)
    return Stream(
        BloodTree((0,) * stations, (capacity,), ((),)),
        np.stack([first, first + 1], axis=1),
        np.stack([1.0 - share, share], axis=1),
        (False,),
    )


def sector(coefficient: float = COEFFICIENT, **changes: object) -> BioheatProblem:
    """A heated sector around a vessel, insulated but for the vessel."""
    mesh = around_vessel(RADIUS, OUTER, LENGTH, 40)
    wall = Wall("wall", "vessel", mesh.surface_faces("wall"), coefficient, BODY)
    problem = BioheatProblem(mesh, tissue(), LINEAR, off(4000.0), walls=(wall,))
    return replace(problem, **changes)  # type: ignore[arg-type]


def flowing(problem: BioheatProblem, capacity: float) -> BioheatProblem:
    """The problem with blood that warms."""
    (wall,) = problem.walls
    return replace(problem, walls=(replace(wall, stream=stream(problem.mesh, capacity)),))


def capacity_of(velocity: float, radius: float = RADIUS, angle: float = 0.6) -> float:
    """m c of the part of the blood that belongs to a sector [W/K]."""
    return BLOOD_RHO_C * velocity * 0.5 * angle * radius**2


@pytest.mark.parametrize(
    ("diameter", "velocity", "fraction"),
    [(3.0, 0.06, 0.244866), (5.0, 0.10, 0.0961662), (10.0, 0.20, 0.0249607)],
)
def test_blood_past_a_wall_of_one_temperature(
    diameter: float, velocity: float, fraction: float
) -> None:
    """Outlet fraction 1 - exp(-h pi D L / C) behind a wall held at 20 K; no tissue between.

    Catches blood that sees only part of the wall, or one station twice. (The fraction of the 10 mm
    vessel follows from its formula; a printed 0.0249597 does not.)
    """
    radius = 0.5 * diameter * MM
    mesh = around_vessel(radius, radius + 4.0 * MM, LENGTH, 40)
    wall = Wall("wall", "vessel", mesh.surface_faces("wall"), COEFFICIENT, BODY)
    problem = BioheatProblem(
        mesh,
        tissue(),
        LINEAR,
        off(50.0),
        walls=(wall,),
        initial_temperature=BODY + 20.0,
        fixed_temperature=held(mesh, {"wall": BODY + 20.0}),
    )
    rate = capacity_of(velocity, radius)
    solution = run(flowing(problem, rate))
    outlet = solution.history["wall_blood_C"][-1] - BODY
    assert outlet / 20.0 == pytest.approx(fraction, rel=1e-3)
    # what the blood carries out is what the wall gave
    assert solution.energy["wall_J"] == pytest.approx(rate * outlet * 50.0, rel=1e-8)


def test_blood_warms_by_the_heat_of_the_tissue() -> None:
    """F11 (Krogh) with blood: the outlet rises by q V / C, and the middle lies on the closed form.

    Catches blood that moves against its flow and a wall that feels the inlet's temperature.
    """
    heat, rate = 2e5, capacity_of(0.02)
    problem = sector()
    volume = problem.mesh.cell_volumes().sum()
    mesh = problem.mesh
    r, z = np.hypot(*mesh.points[:, :2].T), mesh.points[:, 2]
    # near the end from the start, since such a cylinder warms slowly
    start = heat * volume / rate * z / LENGTH
    start += tissue_cylinder(r, RADIUS, OUTER, COEFFICIENT, heat, K)
    problem = replace(problem, source=uniform(mesh, heat), initial_temperature=BODY + start)
    solution = run(flowing(problem, rate))
    rise = solution.history["wall_blood_C"][-1] - BODY
    assert rise == pytest.approx(heat * volume / rate, rel=1e-4)
    theta = solution.temperature - BODY
    for place in (0.4, 0.5, 0.6):  # away from the insulated ends
        plane = np.abs(z - place * LENGTH) < 1e-6
        wanted = place * rise + tissue_cylinder(r, RADIUS, OUTER, COEFFICIENT, heat, K)
        assert np.abs(theta - wanted)[plane].max() < ONE_PER_CENT * wanted[plane].max()
    constant = run(problem).temperature - BODY  # blood that stays at 37 °C misses the rise
    assert theta[z > 0.9 * LENGTH].mean() > constant[z > 0.9 * LENGTH].mean() + 0.8 * rise


@pytest.mark.parametrize("velocity", [1e-9, 1e-5, 1e-3])
def test_slow_blood_never_overshoots(velocity: float) -> None:
    """Flow next to nothing and a strong wall: blood and tissue stay between cold and hot.

    Catches an explicit march along the vessel, which overshoots where C is small.
    """
    problem = sector(3e4)
    z = problem.mesh.points[:, 2]
    start = BODY + 40.0 * np.exp(-(((z - 0.4 * LENGTH) / (5 * MM)) ** 2))
    problem = flowing(
        replace(problem, initial_temperature=start, generator=off(30.0)), capacity_of(velocity)
    )
    solution = solve(problem, control=StepControl(fixed=2.5), device="cpu")
    assert solution.temperature.min() > BODY - 1e-6
    assert solution.temperature.max() < BODY + 40.0
    assert solution.history["wall_blood_C"].min() >= BODY
    assert solution.history["wall_blood_C"].max() < BODY + 40.0
    held_heat = problem.materials.wet_capacity[0] * problem.lump(
        (start - BODY)[problem.mesh.cells].mean(axis=1)
    )
    energy = solution.energy
    assert energy["vessels_J"] + energy["stored_J"] == pytest.approx(
        0.0, abs=1e-9 * held_heat.sum()
    )
    if velocity <= 1e-9:  # hardly any blood: hardly any heat leaves
        assert 0.0 <= energy["vessels_J"] < 1e-6 * held_heat.sum()


def test_fast_blood_is_a_wall_of_one_temperature() -> None:
    """With an endless flow the stream must give what a liquid of constant temperature gives."""
    problem = sector(initial_temperature=BODY + 30.0, generator=off(60.0))
    fast, constant = run(flowing(problem, 1e9)), run(problem)
    assert np.abs(fast.temperature - constant.temperature).max() < 1e-6
    assert fast.energy["wall_J"] == pytest.approx(constant.energy["wall_J"], rel=1e-8)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_account_closes_with_blood_on_every_step(dtype: str) -> None:
    """Stored heat, walls and source add up after each step, not only at the end."""
    problem = flowing(sector(generator=off(120.0)), capacity_of(0.005))
    problem = replace(problem, source=uniform(problem.mesh, 5e5))
    solution = solve(problem, control=StepControl(), device="cpu", dtype=dtype)
    h = solution.history
    rest = h["delivered_J"] - h["stored_J"] - h["perfusion_J"] - h["boundary_J"] - h["vessels_J"]
    limit = 1e-9 if dtype == "float64" else 2e-3
    assert np.abs(rest / h["delivered_J"]).max() < limit


# -- blood that coagulates ------------------------------------------------------------------------


def test_a_hot_small_vessel_loses_its_flow() -> None:
    """A wall above 65 °C for a minute stops a branch that may coagulate, for good, and no other.

    Catches a clock that is not reset when the wall cools, and a stopped vessel that still cools.
    """
    problem = flowing(sector(200.0, generator=off(300.0)), capacity_of(0.06))
    problem = replace(problem, source=uniform(problem.mesh, 3e6))
    (wall,) = problem.walls
    assert wall.stream is not None
    small = replace(wall, stream=replace(wall.stream, coagulates=(True,)))
    open_, stopped = (
        solve(replace(problem, walls=(each,)), control=StepControl(fixed=2.0), device="cpu")
        for each in (wall, small)
    )
    assert "wall_stopped" not in open_.history
    flag, time = stopped.history["wall_stopped"], stopped.times
    assert set(flag) == {0.0, 1.0} and (np.diff(flag) >= 0.0).all()
    when = time[np.argmax(flag)]
    before = np.abs(stopped.history["vessels_J"] - open_.history["vessels_J"])[time <= when]
    assert (before == 0.0).all()  # nothing differs until then
    assert 62.0 <= when < 300.0
    after = stopped.history["vessels_J"][time >= when]
    assert np.ptp(after) < 1e-12 * after[-1]  # and no heat leaves from then on
    assert open_.history["vessels_J"][-1] > 1.2 * after[-1]
    assert stopped.energy["balance_error"] < 1e-12


def test_stasis_clock_starts_again() -> None:
    """Forty seconds hot, cool, forty hot: no stasis. A minute is, and cooling does not mend it."""
    problem = flowing(sector(), capacity_of(0.06))
    (wall,) = problem.walls
    assert wall.stream is not None
    wall = replace(wall, stream=replace(wall.stream, coagulates=(True,)))
    heat = JaxEngine(replace(problem, walls=(wall,)), device="cpu").heat
    hot, cold = (jnp.full(len(problem.mesh.points), t) for t in (70.0, 50.0))
    clock, step = jnp.zeros(1), jnp.asarray(2.0)
    for temperature, steps, wanted in (
        (hot, 20, 40.0),
        (cold, 1, 0.0),
        (hot, 20, 40.0),
        (hot, 10, 60.0),
        (cold, 5, 60.0),
    ):
        for _ in range(steps):
            clock = stasis_clock(heat, clock, temperature, step)
        assert float(clock[0]) == wanted
    assert float(flowing_branches(heat, clock)[0]) == 0.0
    assert float(flowing_branches(heat, clock - 1.0)[0]) == 1.0
