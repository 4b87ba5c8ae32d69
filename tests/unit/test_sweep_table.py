"""Tables and pictures of a sweep, from directories of cases that are written here."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from tiny_sweep import write_plan

from ablasim.errors import InputFileError, UsageError
from ablasim.study.cases import Failure, case_directory, new_case, record_failure
from ablasim.study.sweep_freeze import freeze
from ablasim.study.sweep_frozen import Sweep
from ablasim.study.sweep_labels import label_of, unit_of
from ablasim.study.sweep_plot import plot
from ablasim.study.sweep_source import read_plan
from ablasim.study.sweep_table import table, write_table

POWER, SPEED = "protocol.power_W", "mesh.vessels.branch.velocity_cm_s"


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Six cases: four done, one failed, one open."""
    found = freeze(read_plan(write_plan(tmp_path)), tmp_path / "out")[0]
    for number in (1, 2, 3, 4):
        compute(found, number)
    record_failure(found, Failure(5, 4, "at 1.0 s, it did not converge"))
    return found


def compute(sweep: Sweep, number: int, **more: Any) -> None:
    values = sweep.values(number)
    summary = {
        "name": "tiny",
        "warnings": ["none"],
        "margin": {
            "minimal_mm": 0.125 * values[POWER] - 11.5,
            "nearest_vessel": "branch",
            "thinnest_point_mm": [1.0, 2.0, -3.5],
            "heat_sinks": [],
        },
        "zone": {"peak_60C": {"title": "60 °C", "volume_ml": 1.0, "reaches_outer": False}},
        "vessels": {"branch": {"heat_J": None, "branches": [{"h_W_m2K": 1.0}]}},
        "numerics": {"steps": 20 + number},
        "timing_s": {"total": 0.1 * number},
    } | more
    with new_case(sweep, number) as folder:
        (folder / "summary.json").write_text(json.dumps(summary))


def test_columns(sweep: Sweep) -> None:
    found = table(sweep)
    assert list(found) == [
        "case", "status", POWER, SPEED,
        "margin.minimal_mm", "margin.nearest_vessel",
        "margin.thinnest_point_mm.x", "margin.thinnest_point_mm.y", "margin.thinnest_point_mm.z",
        "zone.peak_60C.volume_ml", "zone.peak_60C.reaches_outer",
        "vessels.branch.heat_J", "numerics.steps", "exit_code", "message",
    ]  # fmt: skip
    assert found["status"] == ["done"] * 4 + ["failed", "open"]
    assert found["margin.minimal_mm"] == [-1.5, -1.5, 1.0, 1.0, None, None]
    assert found["margin.thinnest_point_mm.z"][0] == -3.5
    assert found["exit_code"] == [None] * 4 + [4, None]


def test_a_result_never_takes_the_place_of_what_varies(tmp_path: Path) -> None:
    """The summary repeats some fields of the scenario, and a failed case has none."""
    more = "  numerics.resolution: [preview, standard]\n"
    plan = write_plan(tmp_path, powers=2, speeds=2, extra=more)
    sweep = freeze(read_plan(plan), tmp_path / "out")[0]
    compute(sweep, 1, numerics={"resolution": "preview", "steps": 3})
    record_failure(sweep, Failure(2, 4, "it did not converge"))
    found = table(sweep)
    assert found["numerics.resolution"] == ["preview", "standard"] * 4
    assert found["numerics.steps"][:2] == [3, None]


def test_csv_and_parquet_say_the_same(sweep: Sweep, tmp_path: Path) -> None:
    columns = table(sweep)
    for name in ("t.csv", "t.parquet"):
        write_table(columns, tmp_path / name)
    with (tmp_path / "t.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["numerics.steps"] for row in rows] == ["21", "22", "23", "24", "", ""]
    assert rows[0]["zone.peak_60C.reaches_outer"] == "false"
    assert rows[4]["message"] == "at 1.0 s, it did not converge"
    read = parquet.read_table(tmp_path / "t.parquet")
    assert read.to_pydict() == columns
    kinds = {field.name: str(field.type) for field in read.schema}
    assert kinds[POWER] == "double" and kinds["numerics.steps"] == "int64"
    assert kinds["zone.peak_60C.reaches_outer"] == "bool" and kinds["status"] == "string"


def test_the_same_cases_give_the_same_bytes(sweep: Sweep, tmp_path: Path) -> None:
    """In whatever order they were computed, and however long they took."""
    other = freeze(read_plan(tmp_path / "plan.yaml"), tmp_path / "other")[0]
    for number in (4, 2, 1, 3):
        compute(other, number, timing_s={"total": 77.0}, versions={"numpy": "9"})
    record_failure(other, Failure(5, 4, "at 1.0 s, it did not converge"))
    for name in ("csv", "parquet"):
        write_table(table(sweep), tmp_path / f"one.{name}")
        write_table(table(other), tmp_path / f"two.{name}")
        one, two = ((tmp_path / f"{each}.{name}").read_bytes() for each in ("one", "two"))
        assert one == two


def test_a_changed_number_is_refused(sweep: Sweep, tmp_path: Path) -> None:
    path = case_directory(sweep, 2) / "summary.json"
    path.write_text(path.read_text().replace("-1.5", "+1.5"))
    with pytest.raises(InputFileError, match="00002.*is not what was written"):
        table(sweep)
    path.write_text("{")
    with pytest.raises(InputFileError, match="computes the case again"):
        table(sweep)
    with pytest.raises(UsageError, match=r"must end in \.csv or \.parquet"):
        write_table({}, tmp_path / "t.xlsx")


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("protocol.power_W", "power [W]"),
        ("anatomy.tumour.diameter_mm", "tumour diameter [mm]"),
        ("anatomy.vessels[0].velocity_cm_s", "vessels 0 velocity [cm/s]"),
        ("probes[0].tip_mm[2]", "probes 0 tip z [mm]"),
        ("tissues.liver.perfusion_W_m3K", "liver perfusion [W/(m³ K)]"),
        ("margin.minimal_mm", "minimal margin [mm]"),
        ("margin.thinnest_point_mm.x", "margin thinnest point x [mm]"),
        ("generator.final_impedance_ohm", "generator final impedance [Ω]"),
        ("risk.margin_mm.p50.value", "minimal margin, P50 [mm]"),
        ("risk.zone_volume_ml.p5.low", "volume of the zone, P5, lower end [ml]"),
        ("risk.probability.margin_below_0.value", "P(margin < 0)"),
        ("risk.probability.margin_below_target.high", "P(margin < target), upper end"),
        ("numerics.steps", "steps"),
        ("device", "device"),
    ],
)
def test_labels(column: str, label: str) -> None:
    assert label_of(column) == label


def test_units() -> None:
    assert unit_of("zone.peak_60C.volume_ml") == "ml"
    assert unit_of("margin.fraction_0_5") == ""


def test_pictures(sweep: Sweep, tmp_path: Path) -> None:
    plot(sweep, POWER, None, value="margin.minimal_mm", out=tmp_path / "lines.png")
    plot(sweep, POWER, SPEED, value="margin.minimal_mm", out=tmp_path / "map.svg")
    plot(sweep, POWER, None, value="numerics.steps", out=tmp_path / "at.pdf", at={SPEED: 4})
    for name in ("lines.png", "map.svg", "at.pdf"):
        assert (tmp_path / name).stat().st_size > 4000
    assert b"minimal margin [mm]" in (tmp_path / "map.svg").read_bytes()
    drawn = (tmp_path / "map.svg").read_text()
    assert (
        "1 of the sweep's failed" in drawn.replace("&#x27;", "'")
        and "1 of the sweep's open" in drawn
    )


@pytest.mark.parametrize(
    ("x", "y", "value", "at", "words"),
    [
        ("protocol.powr_W", None, "margin.minimal_mm", {}, "did you mean 'protocol.power_W'"),
        (POWER, POWER, "margin.minimal_mm", {}, "twice"),
        (POWER, None, "margin.minimal", {}, "did you mean 'margin.minimal_mm'"),
        ("zzz", None, "margin.minimal_mm", {}, "varies in this sweep. There are: protocol"),
        (POWER, None, "margin.nearest_vessel", {}, "a number in none"),
        (POWER, None, "margin.minimal_mm", {SPEED: 5}, "there are 4, 16|there are 4.0, 16.0"),
    ],
)
def test_faulty_pictures(
    sweep: Sweep, tmp_path: Path, x: str, y: str | None, value: str, at: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        plot(sweep, x, y, value=value, out=tmp_path / "p.png", at=at)
    with pytest.raises(UsageError, match="must end in"):
        plot(sweep, POWER, None, value=value, out=tmp_path / "p.bmp")


def test_a_third_field_must_be_fixed(tmp_path: Path) -> None:
    more = "  protocol.duration_s: [60, 90]\n"
    sweep = freeze(read_plan(write_plan(tmp_path, extra=more)), tmp_path / "out")[0]
    for number in range(1, len(sweep) + 1):
        compute(sweep, number)
    with pytest.raises(UsageError, match=r"--at protocol\.duration_s=VALUE \(60, 90\)"):
        plot(sweep, POWER, SPEED, value="numerics.steps", out=tmp_path / "p.png")
    fixed = {"protocol.duration_s": 90}
    plot(sweep, POWER, SPEED, value="numerics.steps", out=tmp_path / "p.png", at=fixed)
