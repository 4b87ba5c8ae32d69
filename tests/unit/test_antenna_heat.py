"""An antenna's field in a mesh: power is conserved, place and direction do not matter, and a run
that follows the heated dielectric closes its account and continues from a checkpoint."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from simple_meshes import moved, needle_mesh

from ablasim.errors import Interrupted, ScenarioError
from ablasim.frames import MM
from ablasim.mesh import TetMesh
from ablasim.physics.antenna_coupling import Coupling, locate
from ablasim.physics.antenna_heat import PARTS, MicrowaveField, PlacedAntenna
from ablasim.physics.antenna_section import Coaxial
from ablasim.physics.binding import build_problem
from ablasim.physics.dielectric import dielectric
from ablasim.physics.generator import ConstantGenerator
from ablasim.physics.problem import BioheatProblem, Laws, Materials
from ablasim.progress import Progress
from ablasim.run import place_in_mesh
from ablasim.scenario import load_scenario
from ablasim.solve import Solution, Status, StepControl, solve
from ablasim.solve.field_heat import Pattern

Floats = NDArray[np.float64]

needs_dolfinx = pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="no DOLFINx")
ENGINES = ("jax", pytest.param("dolfinx", marks=needs_dolfinx))
SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
F = 2.45e9
SLOT = Coaxial(
    0.135 * MM, 0.470 * MM, 0.595 * MM, 0.895 * MM, 2.03, 2.60, 1.0, 0.5 * MM, 0.1 * MM,
    6.0 * MM, 7.0 * MM, 0.0,
)  # fmt: skip
TIP = (0.0, 0.0, -6.5 * MM)
UP = (0.0, 0.0, 1.0)
OUTER, HALF = 20 * MM, 25 * MM


@cache
def needle() -> TetMesh:
    """A cylinder of tissue around a hole of the catheter's radius, which passes through it."""
    return needle_mesh(radius=0.895 * MM, outer=OUTER, half_length=HALF, rings=14, sectors=20)


@cache
def coupling() -> Coupling:
    """The slot antenna in it."""
    return Coupling(needle(), TIP, UP, SLOT, F)


def field(mesh: TetMesh, *antennas: PlacedAntenna, law: str = "ji_brace_2011") -> MicrowaveField:
    """The field of antennas; one slot antenna by default."""
    placed = antennas or (PlacedAntenna(TIP, UP, SLOT, 1.0),)
    return MicrowaveField(mesh, placed, dielectric(law, F), F, 37.0)


def problem(power: float, duration: float, law: str = "ji_brace_2011") -> BioheatProblem:
    """Perfused liver around the slot antenna."""
    mesh = needle()
    liver = Materials(
        *(np.array([v]) for v in (3.8e6, 0.6e6, 1.8e9, 0.52, 0.0011, 4.5e4, 0.333, 0.015, 0.01))
    )
    return BioheatProblem(
        mesh=mesh,
        materials=liver,
        laws=Laws(),
        generator=ConstantGenerator("power", power, duration),
        microwave=field(mesh, law=law),
    )


def test_locate_finds_the_cell_and_says_how_far_outside() -> None:
    mesh = needle()
    middle = mesh.points[mesh.cells].mean(axis=1)
    cells, weights = locate(mesh, middle[::7])
    assert (cells == np.arange(len(mesh.cells))[::7]).all()
    assert weights == pytest.approx(np.full_like(weights, 0.25))
    _, outside = locate(mesh, np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert (outside.min(axis=1) < -0.01).all()


def test_circles_take_the_mean_temperature() -> None:
    """A field linear in space has its value on the axis as the mean of every circle."""
    tied, mesh = coupling(), needle()
    corners = tied.antenna.corners
    whole = tied.share == 1.0
    assert whole.sum() > 500
    linear = mesh.points @ np.array([300.0, -200.0, 1000.0]) + 40.0
    found = (tied.mean @ linear + tied.outside * 37.0)[whole]
    expected = 40.0 + 1000.0 * (corners[whole, 1] + TIP[2])
    assert found == pytest.approx(expected, abs=2e-3)


def test_heat_of_the_mesh_is_that_of_the_half_plane_over_the_same_tissue() -> None:
    """Power 2D to 3D: catches a lost 2 pi r, a wrong frame and heat put outside the mesh."""
    tied = coupling()
    antenna = tied.antenna
    eps = dielectric("ji_brace_2011", F).complex_permittivity(np.full(len(antenna.tissue), 37.0))
    found = antenna.solve(eps)
    operator = antenna.operator
    density = operator.absorption(found.field, antenna.permittivity(eps))
    place = np.asarray(operator.basis.global_coordinates())
    # the cylinder's sides are flat: its mean radius is a little smaller
    flat = np.sqrt(np.sin(2 * np.pi / 20) / (2 * np.pi / 20))
    inside = (place[0] < flat * OUTER) & (place[0] > flat * 0.895 * MM)
    inside &= np.abs(place[1] + TIP[2]) < HALF
    expected = 2 * np.pi * (operator.cells.weight * density * inside)[antenna.tissue].sum()
    assert 0.5 < expected < found.absorbed
    solved = field(needle()).solve(np.full(len(antenna.corners), 37.0))
    assert solved.heat.sum() == pytest.approx(expected, rel=0.01)
    assert solved.heat.sum() == pytest.approx(solved.powers[PARTS.index("tissue")], rel=1e-12)
    assert solved.scale == pytest.approx(1.0, abs=0.02)
    incident, *parts = solved.powers
    assert sum(parts) == pytest.approx(incident, abs=1e-6)


def test_place_and_direction_do_not_matter() -> None:
    """The same scene, turned and moved, has the same heat at every point."""
    rotation = Rotation.from_euler("xyz", [0.7, -1.1, 2.0]).as_matrix()
    shift = np.array([0.05, -0.02, 0.3])
    there = moved(needle(), rotation, shift)
    tip = tuple((rotation @ np.array(TIP) + shift).tolist())
    axis = tuple((rotation @ np.array(UP)).tolist())
    temperature = 37.0 + 50.0 * np.exp(-np.linalg.norm(needle().points, axis=1) / (5 * MM))
    here = field(needle())
    moved_field = field(there, PlacedAntenna(tip, axis, SLOT, 1.0))
    a = here.solve(here.circles(temperature))
    b = moved_field.solve(moved_field.circles(temperature))
    # circles are sampled at other angles of the mesh: the mean temperature differs a little
    assert b.powers == pytest.approx(a.powers, rel=2e-3, abs=1e-5)
    assert b.heat == pytest.approx(a.heat, rel=1e-2, abs=1e-6)


def test_two_antennas_add_their_powers() -> None:
    """Two antennas of half the power in one place give the heat of one: powers add."""
    whole = field(needle())
    half = PlacedAntenna(TIP, UP, SLOT, 0.5)
    pair = field(needle(), half, half)
    cold = np.full(len(needle().points), 37.0)
    one, two = whole.solve(whole.circles(cold)), pair.solve(pair.circles(cold))
    assert two.heat == pytest.approx(one.heat, rel=1e-12)
    assert two.powers == pytest.approx(one.powers, rel=1e-12)


def test_the_dielectric_change_is_measured_where_the_heat_is() -> None:
    here = field(needle())
    cold = np.full(len(coupling().antenna.corners), 37.0)
    near = cold + 40.0 * (coupling().antenna.corners[:, 0] < 5 * MM)
    far = cold + 40.0 * (coupling().antenna.corners[:, 0] > 15 * MM)
    assert here.change(cold, cold) == 0.0
    assert here.change(near, cold) > 3.0 * here.change(far, cold) > 0.0
    assert field(needle(), law="comsol_constant").change(near, cold) == 0.0


@cache
def heated() -> Solution:
    """30 W for 30 s: the tissue at the slot dries."""
    return solve(problem(30.0, 30.0), control=StepControl(tolerance=0.1))


def test_account_closes_and_power_is_shared_out() -> None:
    """Catches heat of one pattern booked with the shares of another."""
    found = heated()
    assert found.status is Status.DONE
    assert found.energy["balance_error"] < 1e-8
    told = found.statistics
    assert told["microwave_incident_J"] == pytest.approx(900.0)
    assert told["microwave_tissue_J"] == pytest.approx(found.energy["delivered_J"], rel=1e-9)
    parts = [told[f"microwave_{name}_J"] for name in PARTS[1:]]
    assert sum(parts) == pytest.approx(900.0, rel=1e-6)
    assert 5 < told["microwave_solves"] < 80
    assert found.temperature.max() > 95.0


def test_the_lag_of_the_field_is_small() -> None:
    """Half the steps and a field solved four times as often change little (trap vi)."""
    import ablasim.solve.field_heat as rules

    coarse = heated()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FIRST_TRIGGER", "LEAST_TRIGGER", "MOST_TRIGGER"):
            patch.setattr(rules, name, 0.0025)
        fine = solve(problem(30.0, 30.0), control=StepControl(tolerance=0.05, longest=0.5))
    r = np.linalg.norm(needle().points[:, :2], axis=1)
    at_5mm = (np.abs(r - 5 * MM) < 0.7 * MM) & (np.abs(needle().points[:, 2]) < 4 * MM)
    assert at_5mm.sum() > 20
    assert fine.temperature[at_5mm].mean() > 50.0
    assert np.abs(coarse.temperature - fine.temperature)[at_5mm].max() < 0.2


def test_the_same_run_twice_is_the_same() -> None:
    again = solve(problem(30.0, 30.0), control=StepControl(tolerance=0.1))
    assert (again.temperature == heated().temperature).all()


def followed(power: float, duration: float) -> BioheatProblem:
    """The same problem, its field solved in every step."""
    slow = problem(power, duration)
    assert slow.microwave is not None
    return replace(slow, microwave=replace(slow.microwave, every_step=True))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_field_in_every_step_is_of_second_order(engine: str) -> None:
    """Catches the heat of the latest field used for a whole step: order one in time."""
    # tissue of one temperature around a source is not smooth in time: let it settle first
    begun = solve(followed(25.0, 1.0), control=StepControl(fixed=0.05)).temperature
    settled, ends = replace(followed(25.0, 2.0), initial_temperature=begun), []
    for step in (0.25, 0.125, 0.0625):
        found = solve(settled, engine=engine, control=StepControl(fixed=step))
        assert found.statistics["microwave_solves"] == 2.0 / step + 1
        assert found.energy["balance_error"] < 1e-8
        told, delivered = found.statistics["microwave_tissue_J"], found.energy["delivered_J"]
        assert told == pytest.approx(delivered, rel=1e-9 if engine == "jax" else 0.02 * step)
        ends.append(found.temperature)
    assert 50.0 < ends[-1].max() < 95.0  # dried tissue would spoil the order
    coarse, fine = (np.sqrt(np.mean((a - b) ** 2)) for a, b in zip(ends, ends[1:], strict=False))
    # with the latest field instead it is 1.10 in the engine jax and 1.86 in dolfinx
    assert np.log2(coarse / fine) == pytest.approx(2.0, abs=0.1)


def test_small_errors_keep_the_lag_of_the_field_small() -> None:
    """Drying tissue: a third of the tolerance changes little."""
    coarse, fine = (
        solve(followed(30.0, 6.0), control=StepControl(tolerance=tolerance))
        for tolerance in (0.03, 0.01)
    )
    assert fine.statistics["microwave_lag_error"] < coarse.statistics["microwave_lag_error"]
    assert np.sqrt(np.mean((coarse.temperature - fine.temperature) ** 2)) < 0.01


@pytest.mark.parametrize(("asked", "every_step"), [(None, False), (0.011, False), (0.01, True)])
def test_small_errors_ask_for_a_field_in_every_step(asked: float | None, every_step: bool) -> None:
    """Catches a tolerance that is driven down and leaves the lag of the antenna's field."""
    changes = {"numerics.resolution": "preview", "numerics.time_tolerance_K": asked}
    scenario = load_scenario(SCENARIOS / "mw_slot_c2.yaml", changes)
    problem = build_problem(scenario, *place_in_mesh(scenario))
    assert problem.microwave is not None
    assert problem.microwave.every_step is every_step


@pytest.mark.parametrize("engine", ENGINES)
def test_the_error_of_a_step_knows_that_of_the_field(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches steps that grow although the extrapolated heat is far from that of the field."""
    control = StepControl(tolerance=0.01)
    told = solve(followed(30.0, 1.0), engine=engine, control=control).statistics
    monkeypatch.setattr(Pattern, "ahead", lambda self, _: replace(self, heat=1.2 * self.heat))
    wrong = solve(followed(30.0, 1.0), engine=engine, control=control).statistics
    assert wrong["steps"] > 2.0 * told["steps"]


def test_an_interrupted_run_continues_exactly(tmp_path: Path) -> None:
    """The field in use, not only the temperature, is kept: the rest of the run is the same."""
    file = tmp_path / "state.npz"

    def stop(progress: Progress) -> None:
        if progress.stage == "solve" and progress.fraction > 0.5:
            raise KeyboardInterrupt

    control = StepControl(tolerance=0.1)
    with pytest.raises(Interrupted):
        solve(problem(30.0, 30.0), control=control, checkpoint=file, progress=stop)
    resumed = solve(problem(30.0, 30.0), control=control, checkpoint=file)
    assert (resumed.temperature == heated().temperature).all()
    told, whole = resumed.statistics, heated().statistics
    for name in ("microwave_incident_J", "microwave_tissue_J", "microwave_solves"):
        assert told[name] == whole[name]


def test_a_pattern_survives_packing() -> None:
    here = field(needle())
    pattern = Pattern.at_start(here, np.full(len(needle().points), 37.0))
    pattern = replace(pattern.stepped(2.0, 30.0, pattern.powers), residual=0.1 * pattern.heat)
    back = Pattern.unpack(pattern.pack(), len(needle().points))
    assert (back.pack() == pattern.pack()).all()
    assert (back.circles == pattern.circles).all() and (back.energy == pattern.energy).all()


def test_a_frozen_dielectric_is_solved_once() -> None:
    found = solve(
        problem(10.0, 20.0, law="ji_brace_2011_at_37C"), control=StepControl(tolerance=0.2)
    )
    assert found.statistics["microwave_solves"] == 1
    power = found.history["power_W"]
    assert power == pytest.approx(np.full_like(power, power[0]), rel=1e-9)


@pytest.mark.parametrize(
    ("file", "path", "value", "message"),
    [
        (
            "mw_slot_c2",
            "probes[0].frequency_MHz",
            915.0,
            r"got 915 MHz; comsol_constant was measured at 2450 MHz.* no law at this frequency",
        ),
        ("rf_without_vessel", "probes[0].cable_loss_dB", 1.0, "only microwave probes have it"),
        ("mw_slot_c2", "physics.microwave_dielectric", "water", "ji_brace_2011"),
        ("mw_slot_c2", "probes[0].cable_loss_dB", -1.0, "greater than or equal to 0|at least 0|0"),
    ],
)
def test_what_an_antenna_cannot_have_is_refused(
    file: str, path: str, value: object, message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        load_scenario(SCENARIOS / f"{file}.yaml", {path: value})


def test_a_cable_takes_its_share() -> None:
    scenario = load_scenario(SCENARIOS / "mw_slot_c2.yaml", {"probes[0].cable_loss_dB": 3.0})
    assert scenario.probes[0].data.arriving == pytest.approx(0.501, abs=1e-3)


def test_relaxed_heat_neither_cools_nor_exceeds_the_power() -> None:
    """Catches a relaxation that overshoots: a sink where tissue dries, or heat from nothing."""
    from ablasim.solve.field_heat import _within

    assert _within(np.array([0.5, -0.2, 0.1]), 1.0) == pytest.approx([0.5, 0.0, 0.1])
    assert _within(np.array([1.5, -0.2, 0.5]), 1.0).sum() == pytest.approx(1.0)
