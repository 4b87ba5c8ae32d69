"""Scenarios that are right: reading, defaults, overrides, round trip, hash, schema."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ablasim import catalogue
from ablasim.errors import InputFileError, ScenarioError, UsageError
from ablasim.run import step_control
from ablasim.safe_yaml import parse_document
from ablasim.scenario import (
    Scenario,
    inputs_sha256,
    json_schema,
    load_scenario,
    scenario_from_data,
)

SCENARIOS = Path(__file__).parents[2] / "scenarios"
BESIDE_VEIN = SCENARIOS / "rf_beside_portal_vein.yaml"
SHIPPED = sorted(SCENARIOS.glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios_are_valid_and_explained(path: Path) -> None:
    scenario = load_scenario(path)
    assert scenario.name == path.stem
    assert path.read_text().startswith("# ") and "What it teaches" in path.read_text()


def test_all_six_scenarios_are_shipped() -> None:
    assert {path.stem for path in SHIPPED} >= {
        "four_tine",
        "i1_code_to_code",
        "mw_beside_hepatic_vein",
        "patient_like",
        "rf_beside_portal_vein",
        "rf_without_vessel",
    }


def test_without_vessel_differs_in_the_vessel_only() -> None:
    beside = load_scenario(BESIDE_VEIN).model_dump(exclude={"name", "description"})
    without = load_scenario(SCENARIOS / "rf_without_vessel.yaml").model_dump(
        exclude={"name", "description"}
    )
    assert len(beside["anatomy"].pop("vessels")) == 1
    assert len(without["anatomy"].pop("vessels")) == 0
    assert beside == without


def test_code_to_code_case_is_the_published_one() -> None:
    scenario = load_scenario(SCENARIOS / "i1_code_to_code.yaml")
    liver, probe = scenario.tissue("liver"), scenario.probes[0].data
    assert liver.perfusion == 4.5e4 and liver.vapour_rho_c == 0.6e6
    assert scenario.physics.perfusion_shutdown == "none"
    assert scenario.boundary.potential == "ground"
    assert probe.cooling is not None and probe.radius == pytest.approx(0.735e-3)
    assert (probe.cooling.h, probe.cooling.coolant_temperature) == (3366, 10)
    assert scenario.probes[0].active_centre_mm == pytest.approx((0, 0, 0))


def test_defaults() -> None:
    scenario = load_scenario(SCENARIOS / "rf_without_vessel.yaml")
    assert scenario.anatomy is not None and scenario.anatomy.block.shape == "sphere"
    assert scenario.anatomy.block.diameter_mm == 100.0
    assert scenario.physics.vaporisation_band_C == (99.0, 100.0)
    assert scenario.physics.perfusion_shutdown == "peak_60C"
    assert scenario.boundary.potential == "far_field"


def test_vessel_takes_calibre_and_velocity_from_its_kind() -> None:
    path = [[20, 0, -60], [20, 0, 60]]
    vessel = {"name": "v", "kind": "hepatic_vein", "path_mm": path, "velocity_cm_s": 7}
    scenario = load_scenario(BESIDE_VEIN, {"anatomy.vessels": [vessel]})
    assert scenario.anatomy is not None
    assert scenario.anatomy.vessels[0].diameter_mm == pytest.approx(5.0)
    assert scenario.anatomy.vessels[0].velocity_cm_s == 7.0


def test_overrides_are_put_in_before_validation() -> None:
    changed = {"protocol.power_W": 40, "probes[0].tip_mm": [0, 0, -14], "numerics.max_step_s": 2}
    scenario = load_scenario(BESIDE_VEIN, changed)
    assert scenario.protocol.mode == "power" and scenario.protocol.power_W == 40.0
    assert scenario.probes[0].tip_mm == (0.0, 0.0, -14.0)
    assert scenario.numerics.max_step_s == 2.0


def test_finer_resolutions_take_shorter_and_closer_steps() -> None:
    """Catches one longest step for all, which leaves 0.013 mm where perfusion creeps to its end."""
    path = SCENARIOS / "rf_beside_portal_vein.yaml"
    names = ("preview", "standard", "fine")
    steps = [step_control(load_scenario(path, {"numerics.resolution": name})) for name in names]
    for coarse, fine in pairwise(steps):
        assert fine.longest < coarse.longest and fine.tolerance < coarse.tolerance
    assert step_control(load_scenario(path, {"numerics.max_step_s": 2})).longest == 2.0


def test_override_of_a_list_entry_by_number() -> None:
    scenario = load_scenario(BESIDE_VEIN, {"anatomy.vessels.0.diameter_mm": 4})
    assert scenario.anatomy is not None and scenario.anatomy.vessels[0].diameter_mm == 4.0


@pytest.mark.parametrize("path", ["probes[3].tip_mm", "name.first", "", "probes.tip_mm"])
def test_override_of_a_place_that_is_not_there(path: str) -> None:
    with pytest.raises(UsageError, match="override"):
        load_scenario(BESIDE_VEIN, {path: 1})


def test_tissue_override_reaches_the_tissue() -> None:
    override = {"conductivity_W_mK": 0.6, "perfusion_ml_min_100g": 50.0}
    scenario = load_scenario(BESIDE_VEIN, {"tissues": {"liver": override}})
    liver = scenario.tissue("liver")
    assert liver.conductivity == 0.6
    flow = catalogue.perfusion_conductance(50.0, 1079.0, catalogue.blood().rho_c)
    assert liver.perfusion == pytest.approx(flow)
    assert scenario.tissue("colorectal_metastasis") == catalogue.tissue("colorectal_metastasis")


def test_coolant_override_reaches_the_probe() -> None:
    scenario = load_scenario(BESIDE_VEIN, {"probes[0].coolant_C": 20})
    cooling = scenario.probes[0].data.cooling
    assert cooling is not None and (cooling.coolant_temperature, cooling.h) == (20.0, 3366.0)


def test_scenario_is_frozen() -> None:
    scenario = load_scenario(BESIDE_VEIN)
    with pytest.raises(ValueError, match="frozen"):
        scenario.name = "other"  # type: ignore[misc]


def test_files_are_relative_to_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "map.nii.gz").write_bytes(b"labels")
    data = {"labelmap": {"file": "map.nii.gz", "labels": {"liver": 1, "tumour": 2}}}
    text = BESIDE_VEIN.read_text()
    (tmp_path / "case.yaml").write_text(text)
    scenario = load_scenario(tmp_path / "case.yaml", {**data, "anatomy": None})
    assert scenario.labelmap is not None
    assert scenario.labelmap.file == str(tmp_path / "map.nii.gz")


# Round trip --------------------------------------------------------------------------------------

COORDINATE = st.floats(-15.0, 15.0)
POINT = st.tuples(COORDINATE, COORDINATE, COORDINATE).map(list)


@st.composite
def vessels(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Vessels at a safe distance from the needle along z."""
    return [
        {
            "name": f"vessel_{number}",
            "kind": draw(st.sampled_from(catalogue.vessel_kind_names())),
            "path_mm": [[draw(st.floats(40.0, 60.0)), y, 10.0 * number] for y in (-60, 0, 60)],
            "diameter_mm": draw(st.floats(0.5, 20.0)),
        }
        for number in range(draw(st.integers(0, 3)))
    ]


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, Any]:
    tissue = st.sampled_from(catalogue.tissue_names())
    tumour = draw(
        st.none()
        | st.fixed_dictionaries(
            {
                "shape": st.just("sphere"),
                "centre_mm": POINT,
                "diameter_mm": st.floats(1.0, 30.0),
                "tissue": tissue,
            }
        )
    )
    protocol = draw(
        st.sampled_from(
            [("power", "power_W"), ("voltage", "voltage_V"), ("current", "current_A")]
        ).flatmap(
            lambda pair: st.fixed_dictionaries(
                {
                    "mode": st.just(pair[0]),
                    pair[1]: st.floats(1e-6, 20.0),
                    "duration_s": st.floats(1e-3, 7200.0),
                }
            )
        )
    )
    liver = draw(tissue)
    return {
        "name": draw(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,20}\Z")),
        "description": draw(st.text(max_size=200)),
        "anatomy": {"tumour": tumour, "vessels": draw(vessels()), "liver": {"tissue": liver}},
        "tissues": {liver: {"perfusion_W_m3K": draw(st.floats(0, 1e5))}},
        "probes": [
            {
                "model": draw(st.sampled_from(catalogue.probe_names()[:3])),
                "tip_mm": [0, 0, draw(st.floats(-20.0, 0.0))],
                "entry_mm": [draw(st.floats(-5.0, 5.0)), 0, 80],
                "roll_deg": draw(st.floats(-360, 360)),
            }
        ],
        "protocol": protocol,
        "numerics": {"time_tolerance_K": draw(st.none() | st.floats(1e-9, 10.0))},
    }


@given(scenarios())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_scenario_survives_the_round_trip(data: dict[str, Any]) -> None:
    """Numbers such as 1e-05 and texts such as 'no' or '1e5' are what YAML usually breaks."""
    scenario = scenario_from_data(data)
    again = scenario_from_data(parse_document(scenario.to_yaml()).data)
    assert again == scenario
    assert again.to_yaml() == scenario.to_yaml()
    assert inputs_sha256(again) == inputs_sha256(scenario)


@pytest.mark.parametrize(
    "text",
    ["1e5", "no", "null", "0x10", "", " ", "a: b", "# x", "tab\there", "two\nlines", "\x85é"],
)
def test_texts_that_look_like_something_else(text: str) -> None:
    scenario = load_scenario(BESIDE_VEIN, {"description": text})
    assert scenario_from_data(parse_document(scenario.to_yaml()).data).description == text


def test_defaults_are_written_out() -> None:
    data = parse_document(load_scenario(BESIDE_VEIN).to_yaml()).data
    assert data["physics"]["perfusion_shutdown"] == "peak_60C"
    assert data["anatomy"]["block"] == {"shape": "sphere", "diameter_mm": 100.0}


# Hash and schema ---------------------------------------------------------------------------------


def test_hash_follows_the_content_and_not_the_spelling() -> None:
    first = inputs_sha256(load_scenario(BESIDE_VEIN))
    assert first == inputs_sha256(load_scenario(BESIDE_VEIN, {"protocol.power_W": 30.0}))
    assert first != inputs_sha256(load_scenario(BESIDE_VEIN, {"protocol.power_W": 30.000001}))


def test_hash_follows_the_bytes_of_a_file_and_not_its_place(tmp_path: Path) -> None:
    data = {
        "name": "case",
        "labelmap": {"file": "map.nii", "labels": {"liver": 1, "tumour": 2}},
        "probes": [{"model": "cooled_needle_17g_30mm", "tip_mm": [0, 0, 0], "entry_mm": [0, 0, 9]}],
        "protocol": {"mode": "power", "power_W": 30, "duration_s": 60},
    }
    hashes = []
    for folder, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "map.nii").write_bytes(content)
        hashes.append(inputs_sha256(scenario_from_data(data, folder=tmp_path / folder)))
    assert hashes[0] == hashes[1] != hashes[2]


def test_schema_names_every_section_and_refuses_unknown_keys() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert set(schema["properties"]) == set(Scenario.model_fields)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["protocol"]["discriminator"]["propertyName"] == "mode"
    power = schema["$defs"]["PowerProtocol"]["properties"]["power_W"]
    assert power["exclusiveMinimum"] == 0 and "[W]" in power["description"]


def test_import_stays_light() -> None:
    """`ablasim check` must not load an engine or a viewer."""
    heavy = ["jax", "dolfinx", "vtk", "pyvista", "SimpleITK", "mmgpy", "matplotlib", "scipy"]
    code = (
        "import sys, ablasim.scenario as s; s.load_scenario(sys.argv[1]);"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(BESIDE_VEIN)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_direct_construction_is_checked_too() -> None:
    data = load_scenario(BESIDE_VEIN).model_dump()
    data["probes"][0]["tip_mm"] = (0.0, 0.0, -500.0)
    with pytest.raises(ValueError, match="must lie inside the region"):
        Scenario(**data)


def test_missing_label_map_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "case.yaml").write_text(
        "name: case\n"
        "labelmap: {file: none.nii, labels: {liver: 1, tumour: 2}}\n"
        "probes: [{model: cooled_needle_17g_30mm, tip_mm: [0, 0, 0], entry_mm: [0, 0, 9]}]\n"
        "protocol: {mode: power, power_W: 30, duration_s: 60}\n"
    )
    with pytest.raises(InputFileError, match=r"case\.yaml:2: labelmap\.file: .*no such file"):
        load_scenario(tmp_path / "case.yaml")


def test_direction_points_from_tip_to_entry() -> None:
    probe = load_scenario(BESIDE_VEIN, {"probes[0].entry_mm": [0, 60, 65]}).probes[0]
    assert probe.direction == pytest.approx((0, 0.6, 0.8))
    assert math.dist(probe.active_centre_mm, probe.tip_mm) == pytest.approx(15.0)


def test_problems_carry_their_data() -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(BESIDE_VEIN, {"protocol.power_W": -40})
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == ("protocol.power_W", None)
    assert "got -40; must be greater than 0" in problem.message
    assert caught.value.exit_code == 2


def test_a_vessel_beside_the_tumour_follows_it() -> None:
    """Its wall keeps its distance from the tumour's surface, whatever changes."""
    beside = {"distance_mm": 4, "side": [0, 2, 0], "flow": [1, 0, 0], "length_mm": 100}
    scenario = load_scenario(
        SCENARIOS / "atlas" / "rf_cooled_needle.yaml",
        {
            "anatomy.tumour.centre_mm": [1, 2, 3],
            "anatomy.vessels[0].beside_tumour": beside,
            "probes[0].tip_mm": [1, 2, -12],
            "probes[0].entry_mm": [1, 2, 90],
        },
    )
    assert scenario.anatomy is not None
    assert scenario.anatomy.vessels[0].path_mm == ((-49, 2 + 15, 3), (51, 2 + 15, 3))
    assert "path_mm" not in scenario.to_yaml()  # it would stay behind when the tumour grows
    again = scenario_from_data(
        scenario.model_dump(mode="json", exclude_none=True), {"anatomy.tumour.diameter_mm": 20}
    )
    assert again.anatomy is not None
    assert again.anatomy.vessels[0].path_mm == ((-49, 2 + 17, 3), (51, 2 + 17, 3))


@pytest.mark.parametrize("device", ["rf_cooled_needle", "mw_slot_antenna"])
def test_plans_of_the_atlas_are_valid(device: str, tmp_path: Path) -> None:
    from ablasim.study.sweep_freeze import freeze
    from ablasim.study.sweep_source import read_plan

    counts = {"small": 27, "check": 8, "full": 480}
    for kind, count in counts.items():
        source = read_plan(SCENARIOS / "atlas" / f"{device}.{kind}.yaml")
        sweep, invalid = freeze(source, tmp_path / kind)
        assert (len(sweep), invalid) == (count, 0)
