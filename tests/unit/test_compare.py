"""How far two results are apart: distances known exactly, and what must not go unnoticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from simple_meshes import MM, box_mesh, moved, renumbered
from test_files import record

import ablasim
from ablasim.assess import lethal_zone
from ablasim.assess.compare import (
    field_differences,
    nodal_volumes,
    same_mesh,
    surfaces_apart,
    zone_holds,
)
from ablasim.assess.sample import locate
from ablasim.assess.zone import LethalZone
from ablasim.errors import UsageError
from ablasim.mesh_tet import TetMesh
from ablasim.report.compare_picture import COLUMNS, SIZE_INCH, TABLE_SIZE
from ablasim.report.compare_rows import COUNTS, PLAIN
from ablasim.report.files import write_run
from ablasim.report.scenario_changes import scenario_changes
from ablasim.run import RunResult

Array = NDArray[np.float64]
SIZE = 40 * MM
ORIGIN = np.zeros(3)


def ball_zone(mesh: TetMesh, radius: float, centre: Array = ORIGIN) -> LethalZone:
    """The zone within a radius [m] of a centre, by a field linear in the distance."""
    away = np.linalg.norm(mesh.points - centre, axis=1)
    return lethal_zone(mesh, 60.0 + 1500.0 * (radius - away), 60.0)


def linear(points: Array) -> Array:
    return 50.0 + points @ np.array([300.0, -200.0, 100.0])


class TestSampling:
    def test_a_linear_field_is_met_exactly(self) -> None:
        """Catches barycentric coordinates given to the wrong corners."""
        mesh = box_mesh(7, SIZE)
        points = np.random.default_rng(1).uniform(-SIZE / 2, SIZE / 2, (2000, 3))
        places = locate(mesh, points)
        assert places.inside.all()
        assert np.abs(places.interpolate(linear(mesh.points)) - linear(points)).max() < 1e-10

    def test_what_is_outside_has_no_value(self) -> None:
        """Inside a hole, or beyond the block; on the boundary counts as inside."""
        hole = {"vessel.v": lambda x: np.hypot(x[:, 0], x[:, 1]) < 6 * MM}
        mesh = box_mesh(20, SIZE, holes=hole)
        points = MM * np.array([[0, 0, 0], [20.1, 0, 0], [10, 0, 0], [20, 20, 20], [10, 0, -20]])
        assert locate(mesh, points).inside.tolist() == [False, False, True, True, True]
        assert np.isnan(locate(mesh, points).interpolate(linear(mesh.points)))[:2].all()

    def test_slack_reaches_over_a_wall(self) -> None:
        mesh = box_mesh(4, SIZE)  # cells of 10 mm
        points = MM * np.array([[20.9, 1, 2], [28, 1, 2]])
        places = locate(mesh, points, 0.15)
        assert places.inside.tolist() == [True, False]
        assert places.interpolate(linear(mesh.points))[0] == pytest.approx(linear(points)[0])

    def test_every_node_of_the_other_mesh_is_found(self) -> None:
        one, two = box_mesh(9, SIZE), box_mesh(14, SIZE)
        assert locate(one, two.points).inside.all() and locate(two, one.points).inside.all()


class TestFields:
    def test_a_constant_gap(self) -> None:
        """1 K everywhere: rms and maximum 1 K, and 1/10 of a rise by 10 K."""
        mesh = box_mesh(6, SIZE)
        warm = np.full(len(mesh.points), 47.0)
        found = field_differences(mesh, {"T": warm}, mesh, {"T": warm + 1.0}, baseline=37.0)["T"]
        assert found.rms == pytest.approx(1.0) and found.max == pytest.approx(1.0)
        assert found.l2_relative == pytest.approx(0.1)
        assert found.compared_fraction == 1.0

    def test_nodes_weigh_by_their_volume(self) -> None:
        """Catches a plain mean over nodes, which a mesh refined at the needle would dominate."""
        mesh = box_mesh(6, SIZE)
        points = mesh.points.copy()
        points[:, 2] = np.sign(points[:, 2]) * points[:, 2] ** 2 / (SIZE / 2)
        stretched = replace(mesh, points=points)
        volume = nodal_volumes(stretched)
        assert volume.sum() == pytest.approx(SIZE**3)
        upper = (stretched.points[:, 2] > 0.0).astype(float)
        zero = {"T": np.zeros(len(upper))}
        found = field_differences(stretched, zero, stretched, {"T": upper})["T"]
        assert found.rms == pytest.approx(np.sqrt((volume @ upper) / SIZE**3))
        assert found.l2_relative is None  # A did not rise at all

    def test_the_place_of_the_largest(self) -> None:
        mesh = box_mesh(6, SIZE)
        spike = np.zeros(len(mesh.points))
        spike[100] = -7.0
        found = field_differences(mesh, {"T": 0 * spike}, mesh, {"T": spike})["T"]
        assert found.max == 7.0 and np.array_equal(found.place, mesh.points[100])

    def test_different_meshes_with_the_same_linear_field(self) -> None:
        one, two = box_mesh(6, SIZE), box_mesh(11, SIZE)
        assert not same_mesh(one, two)
        fields = {"T": linear(one.points)}
        found = field_differences(one, fields, two, {"T": linear(two.points)})["T"]
        assert found.rms < 1e-10 and found.max < 1e-10
        assert found.compared_fraction == pytest.approx(1.0)
        found = field_differences(one, fields, two, {"T": linear(two.points) + 2.0})["T"]
        assert found.rms == pytest.approx(2.0) and np.abs(found.values - 2.0).max() < 1e-10

    def test_renumbered_points_are_another_mesh_with_the_same_answer(self) -> None:
        mesh = box_mesh(6, SIZE)
        other, order = renumbered(mesh, np.random.default_rng(2))
        values = np.sin(300.0 * mesh.points[:, 0])
        found = field_differences(mesh, {"T": values}, other, {"T": values[order]})["T"]
        assert not same_mesh(mesh, other)
        assert found.max < 1e-12 and np.nanmax(np.abs(found.values)) < 1e-12

    def test_only_what_both_have_is_compared(self) -> None:
        """Half of A lies in B; the other half has no difference to be averaged in."""
        one = box_mesh(8, SIZE)
        two = moved(one, np.eye(3), np.array([SIZE / 2, 0.0, 0.0]))
        zero = np.zeros(len(one.points))
        found = field_differences(one, {"T": zero}, two, {"T": zero + 3.0})["T"]
        assert found.compared_fraction == pytest.approx(0.5)
        assert found.rms == pytest.approx(3.0)
        assert np.isnan(found.values[one.points[:, 0] < -1 * MM]).all()

    def test_nothing_in_common(self) -> None:
        one = box_mesh(4, SIZE)
        two = moved(one, np.eye(3), np.array([2 * SIZE, 0.0, 0.0]))
        zero = {"T": np.zeros(len(one.points))}
        assert field_differences(one, zero, two, zero) == {}

    def test_a_value_that_is_none_is_not_equal(self) -> None:
        """A NaN must not be left out as if it were outside."""
        mesh = box_mesh(4, SIZE)
        broken = np.zeros(len(mesh.points))
        broken[7] = np.nan
        found = field_differences(mesh, {"T": 0 * linear(mesh.points)}, mesh, {"T": broken})["T"]
        assert np.isnan(found.rms) and np.isnan(found.max)


class TestSurfaces:
    def test_a_shifted_plane(self) -> None:
        """A P1 field cuts planes exactly: 3 mm of shift are 3 mm, on any mesh."""
        one, two = box_mesh(7, SIZE), box_mesh(10, SIZE)
        zones = [
            lethal_zone(mesh, 60.0 + 1000.0 * (shift - mesh.points[:, 0]), 60.0)
            for mesh, shift in ((one, 1.3 * MM), (two, 4.3 * MM))
        ]
        found = surfaces_apart(*zones)
        assert found is not None
        assert found.max == pytest.approx(3 * MM, rel=1e-9)
        assert found.there_max == pytest.approx(3 * MM, rel=1e-9)
        assert found.on_second is bool(found.back_max > found.there_max)

    def test_concentric_balls(self) -> None:
        """Everywhere 2 mm apart; polyhedra of 1 mm cells lie within 0.05 mm of their spheres."""
        mesh = box_mesh(40, SIZE)
        found = surfaces_apart(ball_zone(mesh, 13 * MM), ball_zone(mesh, 15 * MM))
        assert found is not None
        assert found.max == pytest.approx(2 * MM, abs=0.05 * MM)
        assert found.mean == pytest.approx(2 * MM, abs=0.02 * MM)

    def test_a_shifted_ball(self) -> None:
        """Hausdorff distance s; the mean is 1/2 integral |sqrt(R^2 + s^2 - 2 R s c) - R| dc."""
        mesh, radius, shift = box_mesh(40, SIZE), 12 * MM, 4 * MM
        found = surfaces_apart(
            ball_zone(mesh, radius), ball_zone(mesh, radius, np.array([0.0, 0.0, shift]))
        )
        cosine = np.linspace(-1.0, 1.0, 20001)
        away = np.abs(np.sqrt(radius**2 + shift**2 - 2 * radius * shift * cosine) - radius)
        assert found is not None
        # A shift by four whole cells maps the mesh on itself: both polyhedra are the same.
        assert found.max == pytest.approx(shift, abs=0.02 * MM)
        assert found.there_mean == pytest.approx(float(np.mean(away)), abs=0.02 * MM)
        assert found.mean == pytest.approx(found.back_mean, rel=1e-3)

    def test_the_mean_is_over_the_area(self) -> None:
        """Catches a mean over vertices: cells four times as fine on one side would count more."""
        mesh = box_mesh(16, SIZE)
        points = mesh.points.copy()
        points[:, 2] = np.where(points[:, 2] > 0, 0.25, 1.0) * points[:, 2]
        fine = replace(mesh, points=points)
        found = surfaces_apart(ball_zone(fine, 4 * MM), ball_zone(mesh, 14 * MM))
        assert found is not None
        assert abs(found.mean - 10 * MM) < 0.6 * MM  # the ball of 4 mm lies on 1 and 2.5 mm cells

    def test_a_zone_that_is_not_there(self) -> None:
        mesh = box_mesh(8, SIZE)
        nothing = lethal_zone(mesh, np.full(len(mesh.points), 40.0), 60.0)
        assert surfaces_apart(ball_zone(mesh, 10 * MM), nothing) is None
        assert surfaces_apart(nothing, nothing) is None

    def test_a_zone_against_itself(self) -> None:
        zone = ball_zone(box_mesh(12, SIZE), 11 * MM)
        found = surfaces_apart(zone, zone)
        assert found is not None and found.max == 0.0 and found.mean == 0.0

    def test_who_holds_a_point(self) -> None:
        mesh = box_mesh(12, SIZE)
        zone = ball_zone(mesh, 11 * MM)
        assert zone_holds(mesh, zone, np.array([5 * MM, 0.0, 0.0])) is True
        assert zone_holds(mesh, zone, np.array([15 * MM, 0.0, 0.0])) is False
        assert zone_holds(mesh, zone, np.array([25 * MM, 0.0, 0.0])) is None


class TestRuns:
    """Whole runs, in memory and from files."""

    def test_a_run_and_its_files_are_the_same(self, tmp_path: Path) -> None:
        """Also: zones cut again from the files are those of the run, by every criterion."""
        run = record()
        write_run(tmp_path, run)
        result = RunResult({}, None, run)
        for pair in ((run, result), (run, tmp_path), (str(tmp_path), run)):
            found = ablasim.compare(*pair)
            assert found.summary["same_mesh"] is True
            for name in ("final", "peak"):
                assert found.summary["temperature"][name]["max_K"] == 0.0
            assert found.summary["surface"]["peak_60C"]["max_mm"] < 1e-9
            for name in run.zones:
                zone = found.summary["zone"][name]["volume_ml"]
                assert zone["a"] == pytest.approx(run.zones[name].volume * 1e6, rel=1e-5)
                assert abs(zone["percent"]) < 1e-6
            assert found.summary["margin"]["minimal_mm"]["difference"] == 0.0
            assert found.summary["scenario_changes"] == [] and found.summary["warnings"] == []
            limits = {"max_surface_mm": 1e-9, "max_temperature_l2": 0.0, "max_volume_percent": 1e-6}
            assert found.exceeded(**limits) == ()

    def test_the_comparison_can_fail(self) -> None:
        """A millikelvin at one node is seen, and a limit below it is exceeded."""
        run = record()
        warmer = run.solution.temperature.copy()
        warmer[1234] += 1e-3
        other = replace(run, solution=replace(run.solution, temperature=warmer))
        found = ablasim.compare(run, other)
        assert found.summary["temperature"]["final"]["max_K"] == pytest.approx(1e-3)
        assert found.summary["temperature"]["peak"]["max_K"] == 0.0
        relative = found.fields["temperature_C"].l2_relative
        assert relative is not None and relative > 0.0
        (sentence,) = found.exceeded(max_temperature_l2=0.5 * relative)
        assert "final temperature" in sentence
        assert found.exceeded(max_temperature_l2=2.0 * relative) == ()

    def test_larger_balls(self) -> None:
        """10 and 11.5 mm on 2 mm cells; the volume grows about as the cube of the radius."""
        found = ablasim.compare(record(10 * MM), record(11.5 * MM))
        surface = found.summary["surface"]["peak_60C"]
        assert surface["max_mm"] == pytest.approx(1.5, abs=0.15)
        assert surface["reaches_farther_there"] == "b"
        cubed = 100.0 * (1.15**3 - 1.0)
        assert found.summary["zone"]["peak_60C"]["volume_ml"]["percent"] == pytest.approx(
            cubed, 0.2
        )
        back = ablasim.compare(record(11.5 * MM), record(10 * MM)).summary["surface"]["peak_60C"]
        assert back["max_mm"] == surface["max_mm"] and back["reaches_farther_there"] == "a"
        sentences = found.exceeded(max_surface_mm=0.1, max_volume_percent=0.1)
        assert len(sentences) == 2 and "limit 0.1 mm" in sentences[0]
        assert f"{surface['max_mm']:.3g} mm" in sentences[0] and "volume" in sentences[1]

    def test_criteria_of_their_own(self) -> None:
        """The surface of A's criterion and of 60 °C; B's other criterion is said."""
        found = ablasim.compare(record(judge="cem43_240"), record())
        assert list(found.surfaces) == ["cem43_240", "peak_60C"]
        assert any("cem43_240, B by peak_60C" in each for each in found.summary["warnings"])

    def test_nan_exceeds_every_limit(self) -> None:
        run = record()
        broken = np.full_like(run.solution.temperature, np.nan)
        found = ablasim.compare(
            run, replace(run, solution=replace(run.solution, temperature=broken))
        )
        assert len(found.exceeded(max_temperature_l2=1e9)) == 1
        assert found.summary["temperature"]["final"]["rms_K"] is None

    def test_half_a_run_is_no_reference(self) -> None:
        """What lies outside B is not compared: said, and a limit on it is exceeded."""
        run = record()
        mesh = run.mesh
        left = mesh.cells[mesh.points[mesh.cells].mean(axis=1)[:, 0] < 0.0]
        used, cells = np.unique(left, return_inverse=True)
        kept = mesh.points[mesh.cells].mean(axis=1)[:, 0] < 0.0
        none = np.zeros(0, dtype=np.int32)
        half = replace(
            mesh,
            points=mesh.points[used],
            cells=cells.reshape(left.shape).astype(np.int32),
            cell_region=mesh.cell_region[kept],
            faces=np.zeros((0, 3), dtype=np.int32),
            face_surface=none.astype(mesh.face_surface.dtype),
        )
        solution = replace(
            run.solution,
            temperature=run.solution.temperature[used],
            peak=run.solution.peak[used],
        )
        found = ablasim.compare(run, replace(run, mesh=half, solution=solution))
        assert found.fields["peak_C"].l2_relative == pytest.approx(0.0, abs=1e-9)
        assert 0.4 < found.fields["peak_C"].compared_fraction < 0.6
        assert any("outside B" in each for each in found.summary["warnings"])
        sentences = found.exceeded(max_temperature_l2=1e-5)
        assert len(sentences) == 2 and all("cannot be measured" in each for each in sentences)

    def test_something_else_is_refused(self) -> None:
        with pytest.raises(UsageError, match="b: got int"):
            ablasim.compare(record(), 3)  # type: ignore[arg-type]


def test_scenario_changes() -> None:
    one = {"name": "n", "probes": [{"tip_mm": [0, 0, 1], "model": "m"}], "protocol": {"power_W": 3}}
    two = {"name": "n", "probes": [{"tip_mm": [0, 0, 2], "model": "m"}], "protocol": {"V": 1}}
    assert scenario_changes(one, one) == []
    assert scenario_changes(one, two) == [
        ("probes[0].tip_mm", [0, 0, 1], [0, 0, 2]),
        ("protocol.power_W", 3, None),
        ("protocol.V", None, 1),
    ]
    fewer = {**one, "probes": []}
    assert scenario_changes(one, fewer) == [("probes", one["probes"], [])]


def test_labels_in_the_picture_leave_room_for_the_numbers() -> None:
    """Catches a label that is printed over the first number of its row."""
    figure = Figure(figsize=SIZE_INCH)
    FigureCanvasAgg(figure)
    labels = [label for _, _, label, _ in (*PLAIN, *COUNTS)]
    number = figure.text(0.0, 0.0, "123456", fontsize=TABLE_SIZE).get_window_extent().width
    for text in (*labels, "Minimal ablative margin [mm]", "Tumour covered [% of volume]"):
        label = figure.text(0.0, 0.0, text, fontsize=TABLE_SIZE).get_window_extent().width
        assert label + number < COLUMNS[1] * figure.dpi, text
