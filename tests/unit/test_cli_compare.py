"""`ablasim compare`: tables, JSON alone on stdout, files, limits, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvista as pv
from matplotlib import image
from synthetic_run import VESSEL_RADIUS, VESSEL_X, ball_field, needle_field, write_run

from ablasim import cli
from ablasim.report.compare import compare
from ablasim.report.compare_slices import ZONE, compared_slices

SMALL, LARGE = 15.0, 17.0


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Balls of 15 and 17 mm, and their relatives, in one folder."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "small", ball_field(SMALL))
    large = write_run(folder / "large", ball_field(LARGE))
    _edit(large, lambda summary: summary["scenario"]["protocol"].update(power_W=35.0))
    write_run(folder / "cold", lambda points: np.full(len(points), 41.0))
    write_run(folder / "no_tumour", ball_field(LARGE), tumour=False, vessel=False)
    write_run(folder / "needle", needle_field)
    return folder


def _edit(folder: Path, change: Any) -> None:
    path = folder / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    change(summary)
    path.write_text(json.dumps(summary), encoding="utf-8")


def compared(capsys: pytest.CaptureFixture[str], *words: Any) -> dict[str, Any]:
    """The JSON of a comparison that ends well."""
    assert cli.main(["compare", *map(str, words), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_two_balls(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """2 mm apart everywhere, by 1.5 K/mm 3 K warmer; the grid of 2.4 mm rounds by its chords."""
    found = compared(capsys, runs / "small", runs / "large")
    assert found["same_mesh"] is True and found["exceeded"] == []
    surface = found["surface"]["peak_60C"]
    # The vessel's wall at 13 mm bounds both balls, so that only the rest is apart.
    assert surface["max_mm"] == pytest.approx(LARGE - SMALL, abs=0.15)
    assert surface["mean_mm"] < surface["max_mm"]
    assert surface["reaches_farther_there"] == "b"
    assert found["temperature"]["peak"]["rms_K"] == pytest.approx(3.0, rel=1e-6)
    assert found["temperature"]["final"]["max_K"] == pytest.approx(0.95 * 3.0, rel=1e-6)
    volume = found["zone"]["peak_60C"]["volume_ml"]
    assert volume["difference"] == pytest.approx(volume["b"] - volume["a"], abs=2e-4)
    assert volume["percent"] == pytest.approx(100 * ((LARGE / SMALL) ** 3 - 1), rel=0.1)
    assert found["scenario_changes"] == [{"key": "protocol.power_W", "a": 30.0, "b": 35.0}]
    assert found["notice"]


def test_a_ball_without_a_vessel(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another mesh, the same field: as far apart as two polyhedra of one ball."""
    found = compared(capsys, runs / "large", runs / "no_tumour")
    assert found["same_mesh"] is False
    assert found["temperature"]["compared_volume_fraction"] > 0.99
    assert found["temperature"]["peak"]["rms_K"] < 0.1
    assert any("B has no tumour" in each for each in found["warnings"])
    assert found["margin"]["minimal_mm"]["b"] is None
    assert found["margin"]["minimal_mm"]["difference"] is None


def test_the_same_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(
        capsys, runs / "needle", runs / "needle", "--max-surface-mm", 0,
        "--max-temperature-l2", 0, "--max-volume-percent", 0,
    )  # fmt: skip
    assert found["surface"]["peak_60C"]["max_mm"] == 0.0
    assert found["temperature"]["peak"]["max_K"] == 0.0
    assert found["zone"]["peak_60C"]["volume_ml"]["difference"] == 0.0
    assert found["surface"]["peak_60C"]["max_at_mm"] is None


def test_the_table(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", str(runs / "small"), str(runs / "large")]) == 0
    printed = capsys.readouterr().out
    for words in (
        "60 °C zone", "Minimal ablative margin [mm]", "B reaches farther", "relative L2",
        "protocol.power_W", "the same mesh, point for point", "not a medical device",
    ):  # fmt: skip
        assert words in printed, words
    assert cli.main(["compare", str(runs / "small"), str(runs / "large"), "-q"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--max-surface-mm", "0.1", "largest surface distance"),
        ("--max-temperature-l2", "1e-5", "peak temperature"),
        ("--max-volume-percent", "0.1", "difference in volume"),
    ],
)
def test_limits(
    runs: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, words: str
) -> None:
    pair = [str(runs / "small"), str(runs / "large")]
    assert cli.main(["compare", *pair, option, value, "--json"]) == 1
    printed = capsys.readouterr()
    assert words in printed.err and f"limit {float(value):g}" in printed.err
    assert any(words in each for each in json.loads(printed.out)["exceeded"])
    assert cli.main(["compare", *pair, option, "1000", "-q"]) == 0
    assert cli.main(["compare", *pair, option, "-1"]) == 2


def test_files(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "comparison"
    words = ["compare", str(runs / "small"), str(runs / "large"), "-o", str(target)]
    assert cli.main(words) == 0
    assert "surface_distance.vtp" in capsys.readouterr().out
    assert image.imread(target / "comparison.png").std() > 0.1
    content = json.loads((target / "comparison.json").read_text(encoding="utf-8"))
    assert content["surface"]["peak_60C"]["max_mm"] > 1.5
    fields = pv.read(target / "comparison.vtu")
    assert np.allclose(fields.point_data["peak_difference_K"], 3.0)
    surface = pv.read(target / "surface_distance.vtp")
    assert surface.point_data["distance_mm"].max() == pytest.approx(
        content["surface"]["peak_60C"]["a_to_b_max_mm"], rel=1e-5
    )
    assert cli.main(words) == 2
    assert "already exists" in capsys.readouterr().err
    assert cli.main([*words, "--force", "-q"]) == 0
    # A result of another kind is never replaced.
    run = shutil.copytree(runs / "small", tmp_path / "run")
    assert cli.main([*words[:-1], str(run), "--force"]) == 2
    assert (run / "fields.vtu").is_file()
    assert cli.main([*words[:-1], str(tmp_path / "picture.png")]) == 2
    assert "must be a directory" in capsys.readouterr().err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["new", "run"]


@pytest.mark.parametrize(
    ("one", "two"),
    [("cold", "large"), ("no_tumour", "large")],
)
def test_pictures_of_what_is_missing(runs: Path, tmp_path: Path, one: str, two: str) -> None:
    words = ["compare", str(runs / one), str(runs / two), "-q", "-o", str(tmp_path / "out")]
    assert cli.main(words) == 0
    assert (tmp_path / "out" / "comparison.png").is_file()


def test_without_a_zone(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Null and said; a limit on what cannot be measured is exceeded."""
    found = compared(capsys, runs / "large", runs / "cold")
    assert found["surface"]["peak_60C"] is None
    assert any("B has no 60 °C zone" in each for each in found["warnings"])
    assert found["zone"]["peak_60C"]["volume_ml"]["percent"] == -100.0
    assert cli.main(["compare", str(runs / "cold"), str(runs / "cold")]) == 0
    assert "not compared" in capsys.readouterr().out
    words = ["compare", str(runs / "cold"), str(runs / "cold"), "--max-surface-mm", "1", "-q"]
    assert cli.main(words) == 1
    assert "cannot be measured" in capsys.readouterr().err


def test_what_is_no_run(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One message that names the place, exit code 3, no traceback."""
    (tmp_path / "empty").mkdir()
    cut_short = shutil.copytree(runs / "small", tmp_path / "cut_short")
    whole = (cut_short / "fields.vtu").read_bytes()
    (cut_short / "fields.vtu").write_bytes(whole[: len(whole) // 2])
    no_json = shutil.copytree(runs / "small", tmp_path / "no_json")
    (no_json / "summary.json").write_text("{", encoding="utf-8")
    for bad, words in (
        (tmp_path / "absent", "no such directory"),
        (tmp_path / "empty", "not the directory of a finished run"),
        (runs / "small" / "fields.vtu", "no such directory"),
        (cut_short, "fields.vtu: damaged"),
        (no_json, "summary.json"),
    ):
        for pair in ((bad, runs / "small"), (runs / "small", bad)):
            assert cli.main(["compare", *map(str, pair), "-o", str(tmp_path / "out")]) == 3
            printed = capsys.readouterr()
            assert words in printed.err and str(bad) in printed.err
            assert "Traceback" not in printed.err and printed.out == ""
    assert not (tmp_path / "out").exists()


def test_runs_that_do_not_overlap(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far = shutil.copytree(runs / "small", tmp_path / "far")
    for name in ("fields.vtu", "anatomy.vtp"):
        mesh = pv.read(far / name)
        mesh.points = np.asarray(mesh.points) + np.array([500.0, 0.0, 0.0])
        mesh.save(far / name)
    assert cli.main(["compare", str(runs / "small"), str(far)]) == 3
    assert "no tissue in common" in capsys.readouterr().err


def test_the_picture_shows_the_difference(runs: Path) -> None:
    """3 K everywhere on a scale of 5 K; where B has a vessel and A tissue there is none."""
    found = compare(runs / "small", runs / "large")
    assert found.a.saved is not None and found.b.saved is not None
    slices = compared_slices(found, found.a.saved, found.b.saved)
    assert slices.limit == 5.0 and len(slices.pairs) == 3
    for pair in slices.pairs:
        tissue = np.isfinite(pair.difference)
        assert tissue.mean() > 0.8 and np.allclose(pair.difference[tissue], 3.0, atol=1e-5)
        assert not pair.only_in_a.any()
        assert pair.one.lines(ZONE, slices.level) and pair.two.lines(ZONE, slices.level)
    found = compare(runs / "no_tumour", runs / "large")
    assert found.a.saved is not None and found.b.saved is not None
    slices = compared_slices(found, found.a.saved, found.b.saved)
    (axial,) = [pair for pair in slices.pairs if pair.one.plane.title == "Axial"]
    line = np.linspace(-slices.half_width, slices.half_width, axial.only_in_a.shape[0])
    right, down = np.meshgrid(line, line)
    vessel = np.hypot(right - VESSEL_X, down) < VESSEL_RADIUS - 0.2
    assert axial.only_in_a[vessel].all()
    assert not axial.only_in_a[np.hypot(right - VESSEL_X, down) > VESSEL_RADIUS + 0.2].any()
