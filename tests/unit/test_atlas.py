"""The atlas: interpolation with its error, refusals, and the way from a sweep to a table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ablasim.cli import main
from ablasim.errors import InputFileError, UsageError
from ablasim.study.atlas import Atlas, devices, interpolated, load_atlas
from ablasim.study.atlas_build import FIELDS, build_atlas, write_atlas
from ablasim.study.atlas_plot import plot_atlas
from ablasim.study.cases import case_directory, new_case
from ablasim.study.sweep_freeze import freeze
from ablasim.study.sweep_frozen import Sweep
from ablasim.study.sweep_source import read_plan

SCENARIO = Path(__file__).parents[2] / "scenarios" / "atlas" / "rf_cooled_needle.yaml"
NODES = (np.array([10.0, 16.0, 22.0, 30.0]), np.array([3.0, 6.0, 10.0]), np.array([1.0, 3.0, 8.0]))
OFFSETS = np.linspace(-2.0, 2.0, 9)
"""How far the margin of each sample is from that of the plain run [mm]."""

inside = st.tuples(*(st.floats(float(nodes[0]), float(nodes[-1])) for nodes in NODES))


def grid() -> list[np.ndarray]:
    return list(np.meshgrid(*NODES, indexing="ij"))


@given(inside)
def test_products_of_straight_lines_are_exact(point: tuple[float, float, float]) -> None:
    def law(t: Any, v: Any, d: Any) -> Any:
        return 1.0 + 0.5 * t - 0.2 * v * d + 0.01 * t * v * d

    value, error = interpolated(NODES, law(*grid()), np.array(point))
    assert value == pytest.approx(law(*point), abs=1e-9)
    assert error == pytest.approx(0.0, abs=1e-9)


@given(inside, st.integers(0, 2), st.floats(-2.0, 2.0))
def test_the_error_of_a_parabola_is_told_exactly(
    point: tuple[float, float, float], axis: int, bend: float
) -> None:
    """Newton's remainder has no further terms then."""
    value, error = interpolated(NODES, bend * grid()[axis] ** 2, np.array(point))
    assert error == pytest.approx(abs(value - bend * point[axis] ** 2), abs=1e-8)


def test_at_a_node_nothing_is_interpolated() -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 3, 5))
    for index in np.ndindex(4, 3, 3):
        point = np.array([nodes[i] for nodes, i in zip(NODES, index, strict=True)])
        value, error = interpolated(NODES, values, point)
        assert value == pytest.approx(values[index], abs=1e-12)
        assert error == pytest.approx(0.0, abs=1e-12)


def margin(tumour: float, vessel: float, distance: float) -> float:
    return 8.0 - 0.5 * tumour - 0.1 * vessel + 0.2 * distance


def planned(folder: Path, vary: dict[str, list[float]], **more: Any) -> Sweep:
    plan = {"scenario": str(SCENARIO), "vary": vary, "risk": {"samples": 9}} | more
    return freeze(read_plan(plan), folder)[0]


def compute(
    sweep: Sweep,
    *,
    shift: float = 0.0,
    none: tuple[int, ...] = (),
    failed: tuple[int, int] | None = None,
) -> Sweep:
    """Cases as they would be left, with a margin by a law; `failed` is a case and its sample."""
    for number in range(1, len(sweep) + 1):
        values = sweep.values(number)
        least = margin(*(values[field] for field in FIELDS)) + shift
        found = None if number in none else least
        with new_case(sweep, number) as folder:
            summary = {
                "margin": {"minimal_mm": found},
                "zone": {"peak_60C": {"volume_ml": 6.0, "short_axis_mm": 18.0}},
            }
            (folder / "summary.json").write_text(json.dumps(summary))
            (folder / "risk.json").write_text("{}")
            lines = ["sample,net_power,minimal_margin_mm"]
            for sample, offset in enumerate(OFFSETS, start=1):
                if (number, sample) == failed:
                    continue
                lines.append(f"{sample},1,{'' if found is None else least + offset}")
            (folder / "samples.csv").write_text("\n".join(lines) + "\n")
    return sweep


VARY = {field: list(map(float, nodes)) for field, nodes in zip(FIELDS, NODES, strict=True)}


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    folder = tmp_path_factory.mktemp("atlas")
    between = {field: [float(nodes[0]) + 0.7] for field, nodes in zip(FIELDS, NODES, strict=True)}
    check = compute(planned(folder / "check", between), shift=0.25)
    return build_atlas(compute(planned(folder / "sweep", VARY)), check)


def test_a_lookup_gives_margin_and_risk(atlas: Atlas) -> None:
    found = atlas.at(tumour_mm=17.0, vessel_mm=5.0, distance_mm=4.0)
    expected = margin(17.0, 5.0, 4.0)
    assert found.margin.value == pytest.approx(expected, abs=1e-3)
    assert found.margin.error == pytest.approx(0.0, abs=2e-3)  # values have three digits
    assert found.margin_error == pytest.approx(0.25, abs=4e-3)
    assert found.below_0.value == np.mean(expected + OFFSETS < 0.0)
    assert found.below_5.value == 1.0
    # the interval also covers margins that are off by a quarter of a millimetre
    assert found.below_0.low < np.mean(expected + 0.25 + OFFSETS < 0.0) <= found.below_0.value
    assert found.volume.value == pytest.approx(6.0) and found.volume.error == pytest.approx(0.0)


def test_the_check_is_told(atlas: Atlas) -> None:
    check = atlas.check
    assert check is not None and (check.resolution, check.count) == ("standard", 1)
    assert check.mean == pytest.approx(0.25, abs=2e-3)
    assert check.largest == pytest.approx(0.25, abs=2e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
def test_it_does_not_extrapolate(atlas: Atlas, axis: int, end: int) -> None:
    place = {"tumour_mm": 16.0, "vessel_mm": 6.0, "distance_mm": 3.0}
    name = list(place)[axis]
    edge = float(NODES[axis][end])
    atlas.at(**place | {name: edge})
    with pytest.raises(UsageError, match=f"--{name.removesuffix('_mm')}: got .* mm; the atlas"):
        atlas.at(**place | {name: edge + (0.01 if end else -0.01)})


def test_no_zone_counts_as_far_below_zero(tmp_path: Path) -> None:
    sweep = compute(planned(tmp_path / "sweep", VARY), none=(36,))
    found = build_atlas(sweep).at(tumour_mm=30.0, vessel_mm=10.0, distance_mm=8.0)
    assert found.margin.value == -30.0
    assert found.below_0.value == 1.0


def test_samples_that_failed_are_left_out_everywhere(tmp_path: Path) -> None:
    whole = build_atlas(compute(planned(tmp_path / "whole", VARY)))
    found = build_atlas(compute(planned(tmp_path / "other", VARY), failed=(3, 4)))
    assert (whole.samples, found.samples) == (9, 8)
    expected = np.delete(whole.values("sample_margin_mm"), 3, axis=-1)
    assert found.values("sample_margin_mm") == pytest.approx(expected)


def test_a_case_with_far_fewer_samples_is_refused(tmp_path: Path) -> None:
    """Catches an atlas that silently loses the samples of all cases by one that ended early."""
    plan = planned(tmp_path / "sweep", VARY, risk={"samples": 13})
    with pytest.raises(UsageError, match="only 9 of 13 samples"):
        build_atlas(compute(plan))


def test_a_case_with_other_inputs_is_refused(tmp_path: Path) -> None:
    sweep = compute(planned(tmp_path / "sweep", VARY))
    shutil.rmtree(case_directory(sweep, 7))
    with new_case(sweep, 7) as folder:
        for name in ("summary.json", "risk.json"):
            shutil.copy(case_directory(sweep, 6) / name, folder)
        text = (case_directory(sweep, 6) / "samples.csv").read_text(encoding="utf-8")
        (folder / "samples.csv").write_text(text.replace(",1,", ",2,", 1))
    with pytest.raises(UsageError, match="other inputs than those of case 1"):
        build_atlas(sweep)


def test_edited_samples_are_refused(tmp_path: Path) -> None:
    sweep = compute(planned(tmp_path / "sweep", VARY))
    path = case_directory(sweep, 3) / "samples.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("1", "2", 1))
    with pytest.raises(InputFileError, match="is not what was written"):
        build_atlas(sweep)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"anatomy": {"vessels": [{"velocity_cm_s": 60.0}]}}, "another anatomy"),
        ({"tissues": {"liver": {"perfusion_W_m3K": 9e4}}}, "another tissues"),
        ({"numerics": {"resolution": "preview"}}, "preview meshes say nothing"),
    ],
)
def test_a_check_of_another_case_is_refused(
    atlas: Atlas, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    text = yaml.safe_load(SCENARIO.read_text(encoding="utf-8"))
    for key, new in change.items():
        if key == "anatomy":
            text[key]["vessels"][0] |= new["vessels"][0]
        else:
            text[key] = text.get(key, {}) | new
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
    between = {field: [float(nodes[0]) + 0.7] for field, nodes in zip(FIELDS, NODES, strict=True)}
    plan = planned(tmp_path / "check", between, scenario=str(tmp_path / "other.yaml"))
    with pytest.raises(UsageError, match=message):
        build_atlas(compute(planned(tmp_path / "sweep", VARY)), compute(plan))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": None}, "title is no text"),
        ({"cautions": [None]}, "a caution is no text"),
        ({"axes": {"tumour_mm": [10.0, 20.0]}}, "tumour_mm needs 3 or more ascending nodes"),
        ({"axes": {"vessel_mm": [10.0, 6.0, 3.0]}}, "vessel_mm needs 3 or more ascending nodes"),
        ({"values": {"margin_mm": None}}, "margin_mm is not finite"),
        ({"values": {"sample_margin_mm": []}}, "sample_margin_mm has not one value per node"),
        ({"check": {"mean": float("nan")}}, "check is not finite"),
    ],
)
def test_a_file_that_would_mislead_is_no_atlas(
    atlas: Atlas, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    content = json.loads(json.dumps(atlas.content))
    for key, value in change.items():
        if isinstance(value, dict):
            for name, given in value.items():
                content[key][name] = (
                    np.full_like(atlas.values(name), np.nan).tolist() if given is None else given
                )
        else:
            content[key] = value
    (tmp_path / "own.json").write_text(json.dumps(content))
    with pytest.raises(InputFileError, match=message):
        load_atlas(tmp_path / "own.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol.power_W": [30, 40]}, "varies .*protocol.power_W"),
        ({list(VARY)[1]: [3.0, 6.0]}, "2 values of vessel_mm; an atlas needs 3"),
    ],
)
def test_other_sweeps_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    sweep = planned(tmp_path / "sweep", VARY | change)
    if len(sweep.columns) == 3:
        compute(sweep)
    with pytest.raises(UsageError, match=message):
        build_atlas(sweep)


def test_a_sweep_without_risk_or_with_open_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no risk"):
        build_atlas(planned(tmp_path / "plain", VARY, risk=None))
    with pytest.raises(UsageError, match="36 of 36 cases are not done"):
        build_atlas(planned(tmp_path / "open", VARY))


def test_written_and_read_again(atlas: Atlas, tmp_path: Path) -> None:
    write_atlas(atlas, tmp_path / "own.json")
    assert load_atlas(tmp_path / "own.json").content == json.loads(json.dumps(atlas.content))
    with pytest.raises(UsageError, match="must end in .json"):
        write_atlas(atlas, tmp_path / "own.csv")
    (tmp_path / "bad.json").write_text('{"format": 1}')
    with pytest.raises(InputFileError, match="is no atlas"):
        load_atlas(tmp_path / "bad.json")
    with pytest.raises(InputFileError, match="No such file"):
        load_atlas(tmp_path / "none.json")


def test_its_picture(atlas: Atlas, tmp_path: Path) -> None:
    plot_atlas(atlas, tmp_path / "atlas.png")
    assert (tmp_path / "atlas.png").stat().st_size > 10_000
    with pytest.raises(UsageError, match="must end in"):
        plot_atlas(atlas, tmp_path / "atlas.txt")


@pytest.mark.parametrize("name", devices())
def test_shipped_tables_are_plausible(name: str) -> None:
    found = load_atlas(name)
    margins = found.values("margin_mm")
    # A larger tumour has a thinner margin; a vessel further away never takes much of it.
    assert (np.diff(margins, axis=0) < 0.0).all()
    assert (np.diff(margins, axis=2) > -0.5).all()
    # so in every sample: those of all nodes are of the same inputs
    assert (np.diff(found.values("sample_margin_mm"), axis=2) > -0.5).all()
    assert found.samples >= 16 and found.check is not None
    assert found.check.largest < 2.0
    assert found.content["scenario"]["name"] == name


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["atlas"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in devices())
    words = ["--tumour", "18", "--vessel", "6", "--distance", "4"]
    assert main(["atlas", *words, "--device", "rf_cooled_needle"]) == 0
    said = capsys.readouterr().out
    assert "Minimal margin" in said and "P(margin < 0)" in said and "not a medical device" in said
    assert main(["atlas", *words, "--device", "rf_cooled_needle", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["margin_mm"]["error"] > 0.0
    chance = content["probability"]["margin_below_0"]
    assert 0.0 <= chance["low"] <= chance["value"] <= chance["high"] <= 1.0


def test_a_table_tells_what_its_model_misses(capsys: pytest.CaptureFixture[str]) -> None:
    """Catches microwave zones looked up without the word that a fixed pattern made them large."""
    words = ["atlas", "--tumour", "18", "--vessel", "6", "--distance", "4", "--device"]
    assert main([*words, "mw_slot_antenna"]) == 0
    assert "Note: physics.microwave_model parametric" in capsys.readouterr().out
    assert main([*words, "mw_slot_antenna", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["warnings"]
    assert "parametric" in told
    assert main([*words, "rf_cooled_needle"]) == 0
    assert "Note" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tumour", "18"], "missing --vessel, --distance, --device"),
        (["--tumour", "90", "--vessel", "6", "--distance", "4"], "does not extrapolate"),
        (["--tumour", "nan", "--vessel", "6", "--distance", "4"], "got nan mm"),
    ],
)
def test_bad_lookups(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    device = [] if "--device" in message else ["--device", "rf_cooled_needle"]
    assert main(["atlas", *words, *device]) == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said


def test_options_of_a_command_come_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["atlas", "--device", "rf_cooled_needle", "plot", "-o", "a.png"]) == 2
    assert "--device: got it before plot" in capsys.readouterr().err
    assert main(["atlas", "--tumour", "18", "build", "sweep", "-o", "a.json"]) == 2
    assert "--tumour: got it before build" in capsys.readouterr().err


def test_an_unknown_device(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--tumour", "18", "--vessel", "6", "--distance", "4"]
    assert main(["atlas", *words, "--device", "rf_cooled_needl"]) == 2
    assert "did you mean 'rf_cooled_needle'" in capsys.readouterr().err
