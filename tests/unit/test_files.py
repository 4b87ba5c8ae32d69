"""The files of a run: complete or absent, readable by other programs, numbers finite."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvista as pv
import SimpleITK as sitk
from scipy.spatial.transform import Rotation
from simple_meshes import MM, Z_AXIS, Tube, ball, box_mesh, needle_mesh

from ablasim import catalogue
from ablasim.anatomy import place_probe
from ablasim.assess import lethal_zone, minimal_margins, tumour_margin
from ablasim.errors import ResourceError, UsageError
from ablasim.physics.damage import CRITERIA as CRITERION_NAMES
from ablasim.physics.damage import criterion
from ablasim.physics.problem import Wall
from ablasim.report.files import atomic_directory, check_free, write_run
from ablasim.report.html import write_report
from ablasim.report.raster import Grid, grid_around, rasterise, voxels_in_probes
from ablasim.report.record import RunRecord
from ablasim.report.saved import load_run
from ablasim.report.slices import cut, standard_planes
from ablasim.report.summary import build_summary, tidy
from ablasim.scenario import load_scenario, scenario_from_data
from ablasim.solve.solution import Solution, Status

CRITERIA = [criterion(name, "hepg2") for name in CRITERION_NAMES]


def record(
    radius: float = 12 * MM,
    *,
    tumour: bool = True,
    grid: Grid | None = None,
    judge: str = "peak_60C",
) -> RunRecord:
    """A made-up run: a ball of `radius` around the origin, a vessel beside it, a square probe."""
    regions = {"tumour": ball((1 * MM, 0, 0), 7 * MM)} if tumour else {}
    mesh = box_mesh(
        20,
        40 * MM,
        regions=regions,
        holes={
            "vessel.portal_branch": lambda x: np.hypot(x[:, 0] - 12 * MM, x[:, 1]) < 2.5 * MM,
            "probe.0.active": lambda x: (abs(x[:, :2]) < 2 * MM).all(1) & (x[:, 2] > -6 * MM),
        },
    )
    scenario = scenario_from_data(
        {
            "name": "made_up",
            "anatomy": {"tumour": {"shape": "sphere", "centre_mm": [1, 0, 0], "diameter_mm": 14}}
            if tumour
            else {},
            "probes": [
                {"model": "cooled_needle_17g_30mm", "tip_mm": [0, 0, -6], "entry_mm": [0, 0, 90]}
            ],
            "protocol": {"mode": "power", "power_W": 30, "duration_s": 720},
            "assessment": {"criterion": judge},
        }
    )
    peak = np.clip(60.0 + 2000.0 * (radius - np.linalg.norm(mesh.points, axis=1)), 37.0, 105.0)
    probe = place_probe(
        catalogue.probe("cooled_needle_17g_30mm"), np.array([0, 0, -6e-3]), Z_AXIS.direction
    )
    damage = {
        "log10_cem43_min": (peak - 52.0) / 3.0 + np.log10(240.0),
        "log10_omega_hepg2": (peak - 54.0) / 8.0,
        "three_state_dead": 1.0 / (1.0 + 0.25 * np.exp((66.0 - peak) / 8.0)),
    }
    zones = {
        each.name: lethal_zone(
            mesh, each.field({"peak_C": peak, **damage}), each.level, [probe],
            title=each.title, says=each.says,
        )
        for each in CRITERIA
    }  # fmt: skip
    vessels = [Tube("portal_branch", "portal_vein", 5 * MM, 0.12)]
    margin = tumour_margin(mesh, zones[judge], vessels)
    solution = Solution(
        temperature=0.9 * peak,
        peak=peak,
        sigma=np.full(len(mesh.cells), 0.3),
        potential=np.linspace(0.0, 40.0, len(mesh.points)),
        history={
            "time_s": np.array([0.0, 360.0, 720.0]),
            "step_s": np.array([240.0, 240.0, 240.0]),
            "power_W": np.array([30.0, 30.0, 30.0]),
            "impedance_ohm": np.array([60.0, 50.0, np.nan]),
        },
        energy={
            "delivered_J": 21600.0,
            "vessels_J": 1234.5678,
            "vessel.portal_branch_J": 1234.5678,
            "balance_error": 2e-9,
        },
        status=Status.DONE,
        statistics={"steps": 211.0, "rejected": 3.0, "potential_iterations": 900.0},
        damage=damage,
    )
    return RunRecord(
        scenario=scenario,
        mesh=mesh,
        solution=solution,
        zones=zones,
        margin=margin,
        minimal_margins={} if margin is None else minimal_margins(margin, zones),
        tissues={"liver": catalogue.tissue("liver")},
        probes=[probe],
        vessels=vessels,
        walls=[Wall("vessel.portal_branch", "vessel", mesh.faces[:0], 980.0, 37.0)],
        grid=grid,
        timing={"mesh": 15.25, "total": 61.5},
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    folder = tmp_path_factory.mktemp("run") / "out"
    made = record()
    with atomic_directory(folder) as directory:
        write_run(directory, made)
    return folder, made


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield value


def test_all_files_are_there(run: tuple[Path, RunRecord]) -> None:
    names = {path.name for path in run[0].iterdir()}
    assert names == {
        "summary.json", "history.csv", "fields.vtu", "anatomy.vtp", "lethal_zone.vtp",
        "tumour_margin.vtp", "zone.nii.gz", "peak_C.nii.gz", "labels.json", "scenario.yaml",
    }  # fmt: skip


def test_summary_holds_the_groups_of_the_contract(run: tuple[Path, RunRecord]) -> None:
    folder, made = run
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    expected = {
        "zone": "criterion peak_60C peak_54C peak_50C",
        "margin": "minimal_mm thinnest_point_mm nearest_vessel fraction_below_0 fraction_0_5"
        " fraction_5_10 fraction_above_10 tumour_covered_fraction residual_ml",
        "energy": "delivered_J vessels_J balance_error",
        "thermal": "peak_C",
        "generator": "mean_power_W final_impedance_ohm rolloffs",
        "model": "perfusion_shutdown vaporisation_band_C criterion",
        "mesh": "points cells min_quality h_min_mm",
        "numerics": "steps rejected potential_iterations dtype engine device",
        "timing_s": "mesh total",
        "versions": "ablasim numpy python",
    }
    for group, keys in expected.items():
        assert set(keys.split()) <= summary[group].keys(), group
    assert summary["notice"] == "Research software, not a medical device."
    assert len(summary["inputs_sha256"]) == 64
    assert all(math.isfinite(number) for number in numbers(summary))
    assert summary["generator"]["mean_power_W"] == 30.0
    assert summary["generator"]["final_impedance_ohm"] == 50.0  # the last one that exists
    assert summary["numerics"]["steps"] == 211
    assert summary["energy"]["vessels"] == {"portal_branch": 1234.57}
    assert summary["margin"]["nearest_vessel"] == "portal_branch"
    assert summary["margin"]["vessel_distance_mm"]["portal_branch"] == pytest.approx(2, abs=1.5)
    assert made.margin is not None and made.margin.minimal is not None
    assert summary["margin"]["minimal_mm"] == pytest.approx(1e3 * made.margin.minimal, rel=1e-5)
    zone = summary["zone"]["peak_60C"]
    assert zone["volume_ml"] == pytest.approx(4 / 3 * np.pi * 1.2**3, rel=0.05)
    assert zone["liver_ml"] + zone["tumour_ml"] == pytest.approx(
        zone["tissue_volume_ml"] + zone["cooled_rim_ml"], rel=1e-4
    )
    surface = summary["surfaces"][1]
    assert surface["name"] == "vessel.portal_branch"
    assert (surface["kind"], surface["h_W_m2K"], surface["velocity_cm_s"]) == (
        "portal_vein", 980.0, 12.0,
    )  # fmt: skip


def test_a_generator_behind_a_resistance_sees_more_than_the_tissue() -> None:
    """Catches a table that gives the tissue's power and impedance as the generator's."""
    made = record()
    seen = {
        "generator_power_W": np.array([42.0, 42.0, 36.0]),
        "generator_impedance_ohm": np.array([80.0, 70.0, np.nan]),
    }
    solution = replace(made.solution, history={**made.solution.history, **seen})
    generator = build_summary(replace(made, solution=solution))["generator"]
    assert generator["mean_power_W"] == 30.0 and generator["mean_generator_power_W"] == 40.0
    assert generator["final_impedance_ohm"] == 50.0
    assert generator["final_generator_impedance_ohm"] == 70.0
    assert "mean_generator_power_W" not in build_summary(made)["generator"]


def test_a_bipolar_probe_has_two_active_parts() -> None:
    made = record()
    bipolar = place_probe(catalogue.probe("bipolar_needle_15g_20mm"), np.zeros(3), Z_AXIS.direction)
    summary = build_summary(replace(made, probes=[bipolar]))
    first, second = summary["probes"][0]["active_parts_mm"]
    assert first[1] < second[0]
    assert summary["probes"][0]["active_length_mm"] == pytest.approx(
        first[1] - first[0] + second[1] - second[0]
    )


def test_rounding_is_six_digits_and_never_nan() -> None:
    messy = {"a": np.float64(1.23456789), "b": np.nan, "c": [np.inf, np.int32(3)], "d": True}
    assert tidy(messy) == {"a": 1.23457, "b": None, "c": [None, 3], "d": True}
    assert tidy(np.array([1e-9 / 3])) == [3.33333e-10]


def test_history_has_a_row_per_step_and_gaps_for_missing_values(
    run: tuple[Path, RunRecord],
) -> None:
    with (run[0] / "history.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["time_s"] for row in rows] == ["0", "360", "720"]
    assert rows[2] == {"time_s": "720", "step_s": "240", "power_W": "30", "impedance_ohm": ""}


def test_surfaces_and_fields_are_in_millimetres(run: tuple[Path, RunRecord]) -> None:
    folder, made = run
    fields = pv.read(folder / "fields.vtu")
    np.testing.assert_allclose(fields.points, 1e3 * made.mesh.points)
    np.testing.assert_array_equal(fields.point_data["peak_C"], made.solution.peak)
    assert {"temperature_C", "potential_V"} <= set(fields.point_data.keys())
    assert {"region", "sigma"} <= set(fields.cell_data.keys())
    zone = pv.read(folder / "lethal_zone.vtp")
    assert np.linalg.norm(zone.points, axis=1).max() == pytest.approx(12.0, abs=0.05)
    margin = pv.read(folder / "tumour_margin.vtp")
    assert made.margin is not None
    np.testing.assert_allclose(margin.point_data["margin_mm"], 1e3 * made.margin.margin)
    np.testing.assert_array_equal(margin.point_data["class"], made.margin.point_class)


@pytest.mark.parametrize("judge", ["cem43_240", "arrhenius", "three_state"])
def test_a_criterion_by_dose(judge: str, tmp_path: Path) -> None:
    """Catches files, pictures and report that show the 60 °C zone whatever the criterion is: here
    each dose is lethal at its own temperature, 2000 K/m from the surface of a ball of 12 mm."""
    radius = 12.0 - ({"cem43_240": 52.0, "arrhenius": 54.0, "three_state": 66.0}[judge] - 60.0) / 2
    made = record(judge=judge)
    with atomic_directory(tmp_path / "out") as directory:
        summary = write_run(directory, made)
    # at the hole of the probe and the vessel's notch the ball is cut; its reach is not
    surface = pv.read(tmp_path / "out" / "lethal_zone.vtp")
    assert np.linalg.norm(surface.points, axis=1).max() == pytest.approx(radius, abs=0.15)
    zone = summary["zone"]
    assert zone["criterion"] == judge
    assert set(zone) >= {each.name for each in CRITERIA}
    volumes = [zone[name]["volume_ml"] for name in ("three_state", "peak_60C", "arrhenius")]
    assert volumes == sorted(volumes)
    assert len(set(volumes)) == 3
    margin = summary["margin"]
    assert margin["by_criterion"][judge] == pytest.approx(margin["minimal_mm"], abs=1e-4)
    assert summary["model"]["arrhenius"]["hepg2"]["activation_energy_J_mol"] == 170170.0
    known = margin["by_criterion"].values()
    assert margin["criterion_spread_mm"] == pytest.approx(max(known) - min(known), abs=1e-4)
    assert zone["short_axis_spread_mm"] > 5.0

    saved = load_run(tmp_path / "out")
    assert saved.criterion.name == judge
    assert saved.zone_group == zone[judge]
    fields = pv.read(tmp_path / "out" / "fields.vtu")
    for name, values in made.solution.damage.items():
        np.testing.assert_allclose(fields.point_data[name], values)
    view = cut(saved, standard_planes(np.zeros(3))[0])
    line = np.concatenate(view.zone_outline(saved.criterion.level))
    away = np.linalg.norm(line, axis=1)
    assert np.percentile(away, 90) == pytest.approx(radius, abs=1.2)
    page = write_report(tmp_path / "out").read_text()
    assert saved.criterion.says in page
    assert "Between these criteria the minimal margin differs by" in page


def test_the_reader_of_the_pictures_finds_everything(run: tuple[Path, RunRecord]) -> None:
    saved = load_run(run[0])
    assert [surface.kind for surface in saved.surfaces] == ["outer", "portal_vein", "active"]
    assert saved.criterion.level == 60.0
    assert saved.zone is not None and saved.margin is not None
    assert saved.surface_mesh(1).n_cells == len(run[1].mesh.surface_faces("vessel.portal_branch"))


def test_volumes_lie_where_the_mesh_is(run: tuple[Path, RunRecord]) -> None:
    """A swapped axis or a lost LPS to RAS flip would move the ball or the vessel."""
    folder, made = run
    zone = sitk.ReadImage(str(folder / "zone.nii.gz"))
    peak = sitk.ReadImage(str(folder / "peak_C.nii.gz"))
    assert zone.GetSpacing() == pytest.approx((1.0, 1.0, 1.0))

    def at(image: sitk.Image, *point: float) -> float:
        return float(image.GetPixel(image.TransformPhysicalPointToIndex(point)))

    assert at(zone, 11, 0, 0) == 0  # in the vessel: no tissue
    assert at(zone, -11, 0, 0) == at(zone, 0, 11, 0) == at(zone, 0, -11, 0) == 1
    assert at(zone, -13, 0, 0) == at(zone, 0, 13, 0) == 0
    assert at(zone, 0, 0, 5) == 1  # inside the probe, inside the zone
    assert at(zone, 0, 0, 17) == 0  # inside the probe, outside the zone
    assert at(peak, 12, 0, 0) == pytest.approx(37.0)
    assert at(peak, 0, -8, 0) == pytest.approx(68.0, abs=0.2)
    voxels = sitk.GetArrayFromImage(peak)
    assert np.isfinite(voxels).all() and voxels.min() >= 37.0
    labels = json.loads((folder / "labels.json").read_text("utf-8"))
    assert labels["labels"] == {"0": "background", "1": "lethal zone"}
    voxel_ml = 1e-3 * sitk.GetArrayFromImage(zone).sum()
    assert voxel_ml == pytest.approx(1e6 * made.zone.volume, rel=0.05)


def test_scenario_can_be_run_again(run: tuple[Path, RunRecord]) -> None:
    assert load_scenario(run[0] / "scenario.yaml") == run[1].scenario


@pytest.mark.parametrize("tumour", [True, False])
def test_a_run_without_zone_and_without_tumour(tmp_path: Path, tumour: bool) -> None:
    with atomic_directory(tmp_path / "out") as directory:
        summary = write_run(directory, record(-1.0, tumour=tumour))
    assert summary["zone"]["peak_60C"]["volume_ml"] == 0.0
    assert summary["zone"]["peak_60C"]["sphericity"] is None
    assert "No tissue reached 60 °C" in summary["warnings"][0]
    if tumour:
        assert summary["margin"]["minimal_mm"] is None
        assert summary["margin"]["fraction_below_0"] == 1.0
    else:
        assert summary["margin"] is None
    saved = load_run(tmp_path / "out")
    assert saved.zone is None
    assert (saved.margin is None) != tumour


def test_volumes_on_a_grid_of_ones_own(tmp_path: Path) -> None:
    """A coarse, turned grid that is larger than the mesh, as of a patient's label map."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("z", 30, degrees=True).as_matrix() * [2e-3, 2e-3, 5e-3]
    affine[:3, 3] = [0.01, -0.05, -0.04]
    made = record(tumour=False, grid=Grid((40, 50, 18), affine))
    with atomic_directory(tmp_path / "out") as directory:
        write_run(directory, made)
    zone = sitk.ReadImage(str(tmp_path / "out" / "zone.nii.gz"))
    assert zone.GetSize() == (40, 50, 18)
    index = np.argwhere(sitk.GetArrayFromImage(zone))[:, ::-1]
    places = np.array([zone.TransformIndexToPhysicalPoint(i.tolist()) for i in index])
    assert np.linalg.norm(places, axis=1).max() < 12.05
    assert 1e-3 * len(index) * 20.0 == pytest.approx(1e6 * made.zone.volume, rel=0.1)


def test_linear_fields_are_interpolated_exactly() -> None:
    mesh = needle_mesh()
    slope = np.array([3.0, -2.0, 1.0])
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec([0.3, 0.8, -0.5]).as_matrix() * 1e-3
    affine[:3, 3] = [-0.02, -0.03, 0.01]
    grid = Grid((45, 50, 40), affine)
    values = rasterise(mesh, mesh.points @ slope, grid)
    places = grid.position_of(np.argwhere(np.isfinite(values)))
    np.testing.assert_allclose(values[np.isfinite(values)], places @ slope, atol=1e-12)
    # Covered are exactly the voxels of the hollow cylinder, away from its faceted walls.
    every = grid.position_of(np.argwhere(np.ones(grid.shape, dtype=bool)))
    rho, z = np.hypot(every[:, 0], every[:, 1]), np.abs(every[:, 2])
    covered = np.isfinite(values).ravel()
    assert covered[(rho > 0.76 * MM) & (rho < 19.8 * MM) & (z < 24.99 * MM)].all()
    assert not covered[(rho < 0.74 * MM) | (rho > 20 * MM) | (z > 25.01 * MM)].any()


def test_voxels_inside_a_probe_take_its_wall() -> None:
    mesh = needle_mesh(radius=2 * MM)
    grid = grid_around(mesh, 0.5 * MM)
    uncovered = np.isnan(rasterise(mesh, mesh.points[:, 2], grid))
    voxels, nodes = voxels_in_probes(mesh, grid, uncovered)
    places = grid.position_of(voxels)
    assert np.hypot(places[:, 0], places[:, 1]).max() <= 2 * MM
    assert np.abs(mesh.points[nodes, 2] - places[:, 2]).max() < 0.6 * MM
    every = grid.position_of(np.argwhere(np.ones(grid.shape, dtype=bool)))
    inside = (np.hypot(every[:, 0], every[:, 1]) < 1.98 * MM) & (np.abs(every[:, 2]) < 24 * MM)
    assert len(voxels) >= inside.sum()


def test_directory_appears_when_complete(tmp_path: Path) -> None:
    final = tmp_path / "new" / "out"
    with atomic_directory(final) as directory:
        (directory / "a").write_text("1")
        assert not final.exists()
        assert directory.parent == final.parent
    assert [path.name for path in final.parent.iterdir()] == ["out"]
    assert (final / "a").read_text() == "1"
    assert final.stat().st_mode & 0o777 == (tmp_path / "new").stat().st_mode & 0o777


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_after_a_failure(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure), atomic_directory(tmp_path / "new" / "out") as directory:
        (directory / "half").write_text("1")
        raise failure
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_full_or_closed_disk_is_a_resource_error(tmp_path: Path, code: int) -> None:
    place = atomic_directory(tmp_path / "out")
    with pytest.raises(ResourceError, match="out: cannot be written") as caught, place:
        raise OSError(code, "as the system says")
    assert caught.value.exit_code == 5
    assert ("free some space" in str(caught.value)) == (code == errno.ENOSPC)
    assert list(tmp_path.iterdir()) == []


def test_existing_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("1")
    with pytest.raises(UsageError, match="out: already exists"), atomic_directory(tmp_path / "out"):
        pytest.fail("the block must not run")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine"]


def test_force_is_offered_where_it_helps(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(UsageError, match="choose another directory$"):
        check_free(tmp_path)
    mark = {"inputs_sha256": "", "versions": {}, "notice": ""}
    (tmp_path / "summary.json").write_text(json.dumps(mark))
    with pytest.raises(UsageError, match="or replace it with --force$"):
        check_free(tmp_path)


def test_a_file_on_the_way_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file: is a file; a directory is needed there"):
        check_free(tmp_path / "file" / "new" / "out")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("mode", [0o700, 0o750])
def test_an_empty_directory_is_taken_as_private_as_it_was(tmp_path: Path, mode: int) -> None:
    """`ablasim run ... -o $(mktemp -d)`: what is closed to others stays closed."""
    out = tmp_path / "out"
    out.mkdir(mode=mode)
    with pytest.raises(ZeroDivisionError), atomic_directory(out):
        raise ZeroDivisionError
    assert list(tmp_path.rglob("*")) == [out]
    with atomic_directory(out) as directory:
        (directory / "a").write_text("1")
    assert sorted(tmp_path.rglob("*")) == [out, out / "a"]
    assert stat.S_IMODE(out.stat().st_mode) == mode


def test_an_empty_directory_that_is_filled_meanwhile_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(UsageError, match="out: already exists"), atomic_directory(out):
        (out / "of another").write_text("1")
    assert sorted(tmp_path.rglob("*")) == [out, out / "of another"]


def test_an_empty_directory_that_is_there_for_a_reason_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "link").symlink_to(out)
    with pytest.raises(UsageError, match="link: already exists"):
        check_free(tmp_path / "link")
    with monkeypatch.context() as patch:
        patch.setattr("os.path.ismount", lambda path: Path(path) == out)
        with pytest.raises(UsageError, match="out: already exists"):
            check_free(out)
    with monkeypatch.context() as patch:
        patch.setattr("os.access", lambda path, mode: not mode & os.W_OK)  # a test may be root
        with pytest.raises(UsageError, match="out: already exists"):
            check_free(out)
    monkeypatch.chdir(out)
    with pytest.raises(UsageError, match="out: already exists"):
        check_free(out)
    monkeypatch.chdir(tmp_path)
    check_free(out)


def test_force_replaces_a_run_and_nothing_else(tmp_path: Path) -> None:
    other = tmp_path / "photos"
    other.mkdir()
    (other / "summary.json").write_text("{}")
    place = atomic_directory(other, force=True)
    with pytest.raises(UsageError, match="not the directory of an ablasim run"), place:
        pytest.fail("the block must not run")
    assert (other / "summary.json").exists()
    old = tmp_path / "out"
    old.mkdir()
    marks = {"inputs_sha256": "", "versions": {}, "notice": ""}
    (old / "summary.json").write_text(json.dumps(marks))
    with pytest.raises(ZeroDivisionError), atomic_directory(old, force=True):
        raise ZeroDivisionError
    assert (old / "summary.json").exists()
    with atomic_directory(old, force=True) as directory:
        (directory / "new").write_text("")
    assert [path.name for path in old.iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match="file: is a file"),
        atomic_directory(tmp_path / "file/out"),
    ):
        pytest.fail("the block must not run")


@pytest.mark.parametrize(("writer", "limit"), [("write_run", 200_000), ("_write_volumes", 20_000)])
def test_a_disk_that_fills_up_leaves_nothing_and_no_crash(
    tmp_path: Path, writer: str, limit: int
) -> None:
    """A limit on the size of a file stands in for a full disk.

    VTK's own writer of fields.vtu dies by a signal there; hence a process of its own.
    """
    pytest.importorskip("resource")
    out = tmp_path / "new" / "out"
    code = f"""
import resource
from test_files import record
from ablasim.errors import ResourceError
from ablasim.report import files
made = record()
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    with files.atomic_directory({str(out)!r}) as directory:
        files.{writer}(directory, made)
except ResourceError as error:
    print("refused:", error)
"""
    here = Path(__file__).resolve().parent
    paths = os.pathsep.join([str(here), str(here.parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    assert "refused:" in done.stdout and "cannot be written" in done.stdout
    assert list(tmp_path.iterdir()) == []
