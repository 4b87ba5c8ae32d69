"""Plans of sweeps: what they spell out, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_sweep import write_plan, write_scenario

from ablasim.errors import InputFileError, ScenarioError, UsageError
from ablasim.scenario import load_scenario
from ablasim.study.sweep_freeze import freeze
from ablasim.study.sweep_frozen import check_files, check_inputs, files_of, open_sweep
from ablasim.study.sweep_plan import CASES_WITHOUT_ASKING, check_count
from ablasim.study.sweep_source import read_plan

SPEED = "mesh.vessels.branch.velocity_cm_s"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_scenario(tmp_path)
    return tmp_path


def plan_of(folder: Path, vary: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"scenario": str(folder / "tiny.yaml"), "vary": vary, **more}


def test_grids_are_combined_in_order(folder: Path) -> None:
    vary = {
        "protocol.power_W": [90, 100],
        SPEED: {"from": 4, "to": 16, "count": 3},
    }
    plan = read_plan(plan_of(folder, vary)).plan
    assert plan.count() == 6
    assert plan.rows() == ((90, 4), (90, 10), (90, 16), (100, 4), (100, 10), (100, 16))
    assert plan.changes(plan.rows()[4]) == {"protocol.power_W": 100, SPEED: 10}


def test_spacing() -> None:
    axis = {"from": 1, "to": 100, "count": 3, "spacing": "geometric"}
    plan = read_plan({"scenario": "x.yaml", "vary": {"protocol.power_W": axis}}).plan
    assert [row[0] for row in plan.rows()] == [1, 10, 100]
    axis = {"from": 0.1, "to": 0.3, "count": 3}
    plan = read_plan({"scenario": "x.yaml", "vary": {"protocol.power_W": axis}}).plan
    assert [row[0] for row in plan.rows()] == [0.1, 0.2, 0.3], "digits of binary numbers"


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), samples=st.integers(1, 40), more=st.integers(0, 40))
def test_sobol_samples(seed: int, samples: int, more: int) -> None:
    """In their ranges, the same for the same seed, and the beginning of a longer sequence."""

    def rows(count: int, seed: int = seed) -> tuple[tuple[Any, ...], ...]:
        vary = {"a": {"sobol": [2.0, 5.0]}, "k": [1, 2], "b": {"sobol": [-1.0, 1.0]}}
        data = {"scenario": "x.yaml", "vary": vary, "samples": count, "seed": seed}
        return read_plan(data).plan.rows()

    found = rows(samples)
    assert found == rows(samples) and len(found) == 2 * samples
    assert all(2 <= a <= 5 and -1 <= b <= 1 for a, _, b in found)
    assert [row[1] for row in found] == [1] * samples + [2] * samples
    first, second = found[:samples], found[samples:]
    assert [(a, b) for a, _, b in first] == [(a, b) for a, _, b in second]
    assert rows(samples + more)[:samples] == first


def test_sobol_samples_fill_the_square() -> None:
    """Every quarter of each range gets a quarter of the points: no pseudo-random numbers do."""
    vary = {"a": {"sobol": [0.0, 1.0]}, "b": {"sobol": [0.0, 1.0]}}
    rows = read_plan({"scenario": "x.yaml", "vary": vary, "samples": 64}).plan.rows()
    for column in np.array(rows).T:
        assert np.histogram(column, bins=4, range=(0, 1))[0].tolist() == [16] * 4
    assert len(set(rows)) == 64


def test_levels_set_several_fields(folder: Path) -> None:
    vary = {
        "distance_mm": {
            "levels": {
                "14": {"mesh.vessels.branch.path_mm": [[14, 0, -24], [14, 0, 24]], SPEED: 4},
                "16": {"mesh.vessels.branch.path_mm": [[16, 0, -24], [16, 0, 24]], SPEED: 8},
            }
        },
        "protocol.power_W": [90],
    }
    sweep, _ = freeze(read_plan(plan_of(folder, vary)), folder / "out")
    assert sweep.columns == ("distance_mm", "protocol.power_W")
    assert [row[0] for row in sweep.rows] == [14, 16], "a level that reads like a number is one"
    second = sweep.scenario(2)
    assert second.mesh is not None and second.mesh.vessels["branch"].path_mm is not None
    assert second.mesh.vessels["branch"].path_mm[0] == (16, 0, -24)
    assert second.mesh.vessels["branch"].velocity_cm_s == 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vary: {protocol.power_W: [1]}", ("scenario", "missing")),
        ("scenario: tiny.yaml", ("vary", "missing")),
        ("scenario: tiny.yaml\nvary: {}", ("vary", "a group of at least 1 key:")),
        (
            "scenario: tiny.yaml\nvary: {a: [1]}\nbatch:\nrisk:",
            ("plan.yaml:3: batch: empty; write batch: {}", "plan.yaml:4: risk: empty"),
        ),
        ("scenario: tiny.yaml\nvary: {a: 3}", ("plan.yaml:2: vary.a", "got 3", "list of values")),
        ("scenario: tiny.yaml\nvary: {a: []}", ("vary.a.grid", "at least 1 entry")),
        ("scenario: tiny.yaml\nvary: {a: [1, 1]}", ("vary.a", "twice")),
        ("scenario: tiny.yaml\nvary: {a: {from: 1, to: 1, count: 3}}", ("vary.a", "must differ")),
        ("scenario: tiny.yaml\nvary: {a: {from: 1, to: 2, count: 1}}", ("count", "at least 2")),
        ("scenario: tiny.yaml\nvary: {a: {from: 1, to: 2}}", ("vary.a.count", "missing")),
        (
            "scenario: tiny.yaml\nvary: {a: {from: 1, to: 2, cnt: 3}}",
            ("cnt", "did you mean 'count'"),
        ),
        (
            "scenario: tiny.yaml\nvary: {a: {from: 0, to: 2, count: 3, spacing: geometric}}",
            ("vary.a", "neither of them 0"),
        ),
        ("scenario: tiny.yaml\nvary: {a: {sobol: [2, 1]}}\nsamples: 4", ("vary.a", "less than")),
        ("scenario: tiny.yaml\nvary: {a: {sobol: [1, 2]}}", ("samples", "missing")),
        ("scenario: tiny.yaml\nvary: {a: [1]}\nsamples: 4", ("samples", "nothing is sampled")),
        (
            "scenario: tiny.yaml\nvary: {a: [1]}\nsed: 4",
            ("plan.yaml:3: sed", "did you mean 'seed'"),
        ),
        ("scenario: tiny.yaml\nvary: {a: [1], a: [2]}", ("duplicate",)),
        ("scenario: tiny.yaml\nvary: {a: [1], a.b: [2]}", ("change the same field",)),
        ("scenario: tiny.yaml\nset: {a: 3}\nvary: {a: [1]}", ("set.a", "vary.a", "same field")),
        ("scenario: tiny.yaml\nvary: {a: {levels: {x: {b: 1}, y: {c: 1}}}}", ("same fields",)),
        ("scenario: tiny.yaml\nvary: {a: [1]}\nkeep: all", ("keep", "'summary'")),
        ("scenario: tiny.yaml\nvary: {a: [1]}\nbatch: {size: 1}", ("batch.size", "at least 2")),
        ("scenario: tiny.yaml\nvary: {a: [1]}\nbatch: {}\nkeep: files", ("keep: files",)),
        ("scenario: tiny.yaml\nvary: {a: [1]}\nbatch: {}\nrisk: {samples: 8}", ("with risk",)),
        (
            "scenario: tiny.yaml\nvary: {status: {levels: {x: {b: 1}, y: {b: 2}}}}",
            ("vary.status", "a column of the table"),
        ),
        (
            "scenario: tiny.yaml\nvary: {margin.minimal_mm: {levels: {x: {b: 1}, y: {b: 2}}}}",
            ("vary.margin.minimal_mm", "without a dot"),
        ),
        ("[1, 2]", ("group of keys",)),
    ],
)
def test_faulty_plans(folder: Path, text: str, words: tuple[str, ...]) -> None:
    (folder / "plan.yaml").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read_plan(folder / "plan.yaml")
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ({"protocol.powr_W": [1]}, ("protocol.powr_W", "did you mean 'power_W'", "the sweep")),
        ({"nonsense.deep": [1]}, ("nonsense",)),
        ({"probes[3].tip_mm": [[0, 0, 0]]}, ("probes[3]", "there is no")),
        ({"protocol.power_W": [30, -4]}, ("-4", "greater than 0", "1 of 2 cases", "power_W=-4")),
        ({"protocol.power_W": ["much"]}, ("'much'", "a number")),
    ],
)
def test_faulty_fields(folder: Path, vary: dict[str, Any], words: tuple[str, ...]) -> None:
    """The loader of scenarios judges every case, before anything is made."""
    with pytest.raises(ScenarioError) as caught:
        freeze(read_plan(plan_of(folder, vary)), folder / "out")
    for word in words:
        assert word in str(caught.value)
    assert not (folder / "out").exists()


def test_the_line_of_the_plan_is_named(folder: Path) -> None:
    text = "scenario: tiny.yaml\nvary:\n  protocol.duration_s: [60]\n  protocol.power_W: [-1]\n"
    (folder / "plan.yaml").write_text(text)
    with pytest.raises(ScenarioError, match=r"plan\.yaml:4: protocol\.power_W"):
        freeze(read_plan(folder / "plan.yaml"), folder / "out")


def test_invalid_cases_may_be_recorded(folder: Path) -> None:
    data = plan_of(folder, {"protocol.power_W": [30, -4]}, on_invalid="record")
    sweep, invalid = freeze(read_plan(data), folder / "out")
    assert (len(sweep), invalid) == (2, 1)


def test_a_plan_with_no_valid_case_is_refused_all_the_same(folder: Path) -> None:
    data = plan_of(folder, {"protocol.powr_W": [30, 40]}, on_invalid="record")
    with pytest.raises(ScenarioError, match="unknown key"):
        freeze(read_plan(data), folder / "out")


def test_a_million_cases_by_mistake(folder: Path) -> None:
    """Refused before they are spelled out, unless they are meant; and never without bound."""
    hundred = {"from": 1.0, "to": 2.0, "count": 100}
    plan = read_plan(plan_of(folder, {"a": hundred, "b": hundred, "c": hundred})).plan
    assert plan.count() == 1_000_000 > CASES_WITHOUT_ASKING
    with pytest.raises(UsageError, match=r"1000000 cases \(100 x 100 x 100\).*--yes"):
        check_count(plan, yes=False)
    check_count(plan, yes=True)
    plan = read_plan(plan_of(folder, {"a": hundred, "b": hundred, "c": hundred, "d": [1, 2]})).plan
    with pytest.raises(UsageError, match="at most 1000000"):
        check_count(plan, yes=True)


def test_a_large_plan_is_refused_soon(folder: Path) -> None:
    """A hundred thousand cases with a mistyped field are not loaded one by one."""
    many = {"from": 1.0, "to": 2.0, "count": 100_000}
    for choice in ("refuse", "record"):
        data = plan_of(folder, {"protocol.powr_W": many}, on_invalid=choice)
        with pytest.raises(ScenarioError, match="powr_W: unknown key.*of 100 cases"):
            freeze(read_plan(data), folder / "out", yes=True)


def test_a_frozen_sweep_is_read_back(folder: Path) -> None:
    sweep, _ = freeze(read_plan(write_plan(folder)), folder / "out")
    again = open_sweep(folder / "out")
    assert (again.sha256, again.rows, again.columns) == (sweep.sha256, sweep.rows, sweep.columns)
    assert again.scenario(2) == sweep.scenario(2)
    protocol = again.scenario(1).protocol
    assert protocol.power_W == 80  # type: ignore[union-attr]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["out", "plan.yaml", "tiny.msh", "tiny.yaml"]
    )


def test_cases_that_differ_in_tissues_and_power_form_batches(folder: Path) -> None:
    """Fixed with the plan; what else differs keeps cases apart, and an invalid one is alone."""
    vary = {
        "protocol.power_W": [80, 90, -5],
        "tissues.liver.perfusion_W_m3K": [5000, 9000],
        SPEED: [4, 8],
    }
    data = plan_of(folder, vary, on_invalid="record", batch={"size": 3})
    sweep, invalid = freeze(read_plan(data), folder / "out")
    assert invalid == 4
    assert sweep.batches == ((1, 3, 5), (2, 4, 6))
    assert open_sweep(folder / "out").batches == sweep.batches
    assert sweep.batch_of(5) == (1, 3, 5) and sweep.batch_of(7) == (7,)
    assert sweep.pieces([3, 4, 12, 5]) == [1, 2, 12]
    assert sweep.pieces(range(1, 13)) == [1, 2, 7, 8, 9, 10, 11, 12]
    without, _ = freeze(read_plan(plan_of(folder, vary, on_invalid="record")), folder / "without")
    assert without.batches == () and without.sha256 != sweep.sha256
    pulsed = {"protocol": {"mode": "impedance_pulsed", "current_A": 1.0, "duration_s": 60}}
    data = plan_of(folder, {"protocol.current_A": [1, 2]}, set=pulsed, batch={})
    del data["vary"]["protocol.current_A"]
    data["vary"]["tissues.liver.perfusion_W_m3K"] = [5000, 9000]
    assert freeze(read_plan(data), folder / "pulsed")[0].batches == ()


def test_a_batch_has_cases_of_about_the_same_strength(folder: Path) -> None:
    """All take the steps of the most demanding one, so the strong ones are kept together."""
    vary = {
        "tissues.liver.perfusion_W_m3K": [5000, 9000],
        "protocol.power_W": [90, 40, 80, 50],
    }
    sweep, _ = freeze(read_plan(plan_of(folder, vary, batch={"size": 4})), folder / "out")
    assert sweep.batches == ((1, 3, 5, 7), (2, 4, 6, 8))


def test_numbers_of_a_plan_are_finite_and_numpys_are_taken(folder: Path) -> None:
    endless = {"from": 1.0, "to": float("inf"), "count": 5000}
    for axis in (
        [np.inf, 30.0],
        endless,
        {"grid": [float("nan")]},
        {"levels": {"a": {"x": [1.0, np.nan]}}},
    ):
        with pytest.raises(ScenarioError, match="must be a finite number"):
            read_plan(plan_of(folder, {"protocol.power_W": axis}))
    plan = read_plan(plan_of(folder, {"protocol.power_W": np.arange(20, 50, 10)})).plan
    assert plan.count() == 3
    sweep, _ = freeze(
        read_plan(plan_of(folder, {"protocol.power_W": list(np.arange(20, 50, 10))})),
        folder / "out",
    )
    assert sweep.rows == ((20,), (30,), (40,))


def test_another_version_does_not_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches one table from two versions of ablasim."""
    freeze(read_plan(write_plan(folder)), folder / "out")
    check_inputs(open_sweep(folder / "out"))
    monkeypatch.setattr("ablasim.study.sweep_frozen.revision", lambda: "9.9.9")
    with pytest.raises(InputFileError, match=r"planned with ablasim .* this is 9\.9\.9"):
        check_inputs(open_sweep(folder / "out"))


def test_the_same_plan_again_changes_nothing(folder: Path) -> None:
    sweep, _ = freeze(read_plan(write_plan(folder)), folder / "out")
    again, _ = freeze(read_plan(write_plan(folder)), folder / "out")
    assert again.sha256 == sweep.sha256
    with pytest.raises(UsageError, match="holds another sweep"):
        freeze(read_plan(write_plan(folder, powers=4)), folder / "out")
    (folder / "tiny.yaml").write_text(
        (folder / "tiny.yaml").read_text().replace("duration_s: 240", "duration_s: 250")
    )
    with pytest.raises(UsageError, match="holds another sweep"):
        freeze(read_plan(write_plan(folder)), folder / "out")
    (folder / "other").mkdir()
    (folder / "other" / "mine").write_text("1")
    with pytest.raises(UsageError, match="is no sweep"):
        freeze(read_plan(write_plan(folder)), folder / "other")
    (folder / "empty").mkdir()
    assert freeze(read_plan(write_plan(folder)), folder / "empty")[0].directory == folder / "empty"


def test_what_is_frozen_cannot_be_edited(folder: Path) -> None:
    """Neither the plan, nor the scenario beside it, nor the mesh that it names."""
    freeze(read_plan(write_plan(folder)), folder / "out")
    sweep = open_sweep(folder / "out")
    check_inputs(sweep)
    frozen = folder / "out" / "sweep.json"
    text = frozen.read_text()
    content = json.loads(text)
    content["rows"][0][0] = 81
    frozen.write_text(json.dumps(content))
    with pytest.raises(InputFileError, match="was changed since"):
        open_sweep(folder / "out")
    frozen.write_text(text[:200])
    with pytest.raises(InputFileError, match="cannot be read"):
        open_sweep(folder / "out")
    frozen.write_text(text)
    scenario = folder / "out" / "scenario.yaml"
    kept = scenario.read_text()
    scenario.write_text(kept.replace("100", "101"))
    with pytest.raises(InputFileError, match="edited since"):
        check_inputs(sweep)
    scenario.write_text(kept)
    mesh = folder / "tiny.msh"
    mesh.write_bytes(mesh.read_bytes() + b"\n")
    with pytest.raises(InputFileError, match=r"tiny\.msh: has changed"):
        check_inputs(sweep)


@pytest.mark.parametrize("by_levels", [False, True])
def test_files_that_vary_belong_to_the_plan(
    folder: Path, monkeypatch: pytest.MonkeyPatch, by_levels: bool
) -> None:
    """They count from the scenario's folder, wherever the command is given, and cannot be edited
    under finished cases either."""
    other = folder / "other.msh"
    other.write_bytes((folder / "tiny.msh").read_bytes())
    names = ["tiny.msh", "other.msh"]
    axis: Any = {"mesh.file": names}
    if by_levels:
        axis = {"who": {"levels": {name[:-4]: {"mesh.file": name} for name in names}}}
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    freeze(read_plan(plan_of(folder, axis)), folder / "out")
    sweep = open_sweep(folder / "out")
    meshes = [sweep.scenario(number).mesh for number in (1, 2)]
    assert [mesh.file for mesh in meshes if mesh] == [str(folder / name) for name in names]
    check_inputs(sweep)
    other.write_bytes(other.read_bytes() + b"\n")
    with pytest.raises(InputFileError, match=r"other\.msh: has changed"):
        check_inputs(sweep)


def test_a_varied_file_that_is_missing(folder: Path) -> None:
    """It is a fault of its case; and it must not turn up under the others."""
    vary = {"protocol.power_W": [90], "mesh.file": ["tiny.msh", "other.msh"]}
    with pytest.raises(ScenarioError, match=r"vary|mesh\.file.*other\.msh.*1 of 2 cases"):
        freeze(read_plan(plan_of(folder, vary)), folder / "out")
    recorded = plan_of(folder, vary, on_invalid="record", batch={})
    sweep, invalid = freeze(read_plan(recorded), folder / "out")
    assert invalid == 1
    check_inputs(sweep)
    (folder / "other.msh").write_bytes((folder / "tiny.msh").read_bytes())
    check_files(sweep, files_of(sweep.scenario(1)))
    with pytest.raises(InputFileError, match=r"other\.msh: has changed"):
        check_files(sweep, files_of(sweep.scenario(2)))


def test_a_scenario_object_instead_of_a_file(folder: Path) -> None:
    scenario = load_scenario(folder / "tiny.yaml")
    data = {"scenario": scenario, "vary": {"protocol.power_W": [90]}}
    sweep, _ = freeze(read_plan(data), folder / "out")
    assert sweep.name == "tiny" and sweep.scenario(1).mesh == scenario.mesh


def test_a_path_object_instead_of_a_name(folder: Path) -> None:
    data = plan_of(folder, {"protocol.power_W": [90]}) | {"scenario": folder / "tiny.yaml"}
    assert freeze(read_plan(data), folder / "out")[0].name == "tiny"


def test_no_sweep_there(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no sweep there"):
        open_sweep(tmp_path)


def test_a_plan_is_no_scenario(folder: Path) -> None:
    plan = write_plan(folder)
    with pytest.raises(UsageError, match="plan of a sweep itself"):
        freeze(read_plan(plan_of(folder, {"a": [1]}) | {"scenario": str(plan)}), folder / "out")
