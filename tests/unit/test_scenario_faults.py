"""Scenarios that are wrong: every fault at once, with file, line, path, and what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ablasim import catalogue
from ablasim.errors import AblasimError, InputFileError, Problem, ScenarioError
from ablasim.safe_yaml import parse_document
from ablasim.scenario import load_scenario, scenario_from_data

SCENARIOS = Path(__file__).parents[2] / "scenarios"
BESIDE_VEIN = SCENARIOS / "rf_beside_portal_vein.yaml"

GOOD = """\
name: case
anatomy:
  tumour: {shape: sphere, centre_mm: [0, 0, 0], diameter_mm: 24}
  vessels:
    - name: vein
      kind: portal_vein
      path_mm: [[16, 0, -60], [16, 0, 60]]
probes:
  - model: cooled_needle_17g_30mm
    tip_mm: [0, 0, -15]
    entry_mm: [0, 0, 90]
protocol:
  mode: power
  power_W: 30
  duration_s: 720
"""


def faults_of(folder: Path, text: str) -> tuple[Problem, ...]:
    file = folder / "case.yaml"
    file.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(file)
    assert all(line.startswith(str(file)) for line in str(caught.value).splitlines())
    return caught.value.problems


def test_the_good_case_is_good(tmp_path: Path) -> None:
    (tmp_path / "case.yaml").write_text(GOOD)
    assert load_scenario(tmp_path / "case.yaml").name == "case"


# (text to replace, replacement, path, line, pattern of the message)
SINGLE_FAULTS = [
    ("power_W: 30", "power_W: -30", "protocol.power_W", 14, r"got -30; must be greater than 0"),
    ("power_W: 30", "power_W: .nan", "protocol.power_W", 14, r"got nan; must be a finite number"),
    ("power_W: 30", "power_W: 1e999", "protocol.power_W", 14, r"got inf; must be a finite"),
    ("power_W: 30", "power_W: '30'", "protocol.power_W", 14, r"must be a number, without quotes"),
    ("power_W: 30", "power_W: true", "protocol.power_W", 14, r"got true; must be a number"),
    ("power_W: 30", "power_W: 3e4", "protocol.power_W", 14, r"must be at most 1000"),
    ("power_W: 30", "power_w: 30", "protocol.power_w", 14, r"unknown key; did you mean 'power_W'"),
    ("  power_W: 30\n", "", "protocol.power_W", 12, r"missing; must be given: .*\[W\]"),
    ("mode: power", "mode: pulse", "protocol.mode", 13, r"one of power, voltage, current"),
    ("  mode: power\n", "", "protocol.mode", 12, r"missing; must be one of power, voltage"),
    ("tip_mm: [0, 0, -15]", "tip_mm: [0, 0]", "probes[0].tip_mm", 10, r"a list of 3 numbers"),
    ("tip_mm: [0, 0, -15]", "tip_mm: 3", "probes[0].tip_mm", 10, r"got 3; must be a list"),
    ("[0, 0, -15]", "[0, .inf, -15]", "probes[0].tip_mm[1]", 10, r"must be a finite number"),
    ("[0, 0, -15]", "[0, 0, -500]", "probes[0].tip_mm", 10, r"whole tumour .* reaches 447\.0 mm"),
    ("[0, 0, 90]", "[0, 0, -15]", "probes[0]", 9, r"at least 1 mm apart"),
    ("[0, 0, 90]", "[80, 0, 90]", "probes[0]", 9, r"goes through the vessel 'vein' .* 3\.7 mm"),
    ("30mm", "30m", "probes[0].model", 9, r"must be one of .*did you mean 'cooled_needle_17g_30"),
    ("portal_vein", "portal", "anatomy.vessels[0].kind", 6, r"did you mean 'portal_vein'"),
    ("diameter_mm: 24", "radius_mm: 12", "anatomy.tumour.radius_mm", 3, r"unknown key; .*allowed"),
    ("name: case", "name: my case", "name", 1, r"must be a name that matches"),
    ("name: case", "name: 3", "name", 1, r"got 3; must be text: put it in quotes"),
    ("name: case", "nam: case", "nam", 1, r"unknown key; did you mean 'name'"),
    ("[16, 0, 60]]", "[16, 0, -60]]", "anatomy.vessels[0].path_mm", 7, r"twice in a row"),
    ("[[16, 0, -60], ", "[", "anatomy.vessels[0].path_mm", 7, r"at least 2 entries"),
    ("name: case", "numerics: {resolution: ultra}\nname: case", "numerics.resolution", 1, "fine"),
    ("name: case", "mesh:\nname: case\nlabelmap: {}", "labelmap.file", 3, r"missing; must be"),
    ("protocol:", "tissues: {tumor: {}}\nprotocol:", "tissues.tumor", 12, r"must be one of liver"),
    ("protocol:", "tissues: {outside_liver: {}}\nprotocol:", "tissues.outside_liver", 12, "only"),
    ("kind: portal_vein", "kind: portal_vein\n      velocity_cm_s: 0",
     "anatomy.vessels[0].velocity_cm_s", 7, r"greater than 0 and at most 300.*Leave"),
    ("      path_mm: [[16, 0, -60], [16, 0, 60]]\n", "",
     "anatomy.vessels[0]", 5, r"path_mm: missing; must be given, or beside_tumour"),
    ("path_mm: [[16, 0, -60], [16, 0, 60]]", "beside_tumour: {distance_mm: 0}",
     "anatomy.vessels[0].beside_tumour.distance_mm", 7, r"must be greater than 0"),
    ("path_mm: [[16, 0, -60], [16, 0, 60]]", "beside_tumour: {distance_mm: 2, side: [0, 0, 1]}",
     "anatomy.vessels[0].beside_tumour", 7, r"meet at 0 degrees; must be 90"),
    ("path_mm: [[16, 0, -60], [16, 0, 60]]", "beside_tumour: {distance_mm: 2, flow: [0, 0, 0]}",
     "anatomy.vessels[0].beside_tumour", 7, r"flow \[0, 0, 0\]; must point somewhere"),
    ("kind: portal_vein", "kind: portal_vein\n      beside_tumour: {distance_mm: 2}",
     "anatomy.vessels[0]", 5, r"got path_mm and beside_tumour"),
    ("kind: portal_vein", "kind: portal_vein\n      wall_thickness_mm: 1",
     "anatomy.vessels[0]", 5, r"wall_thickness_mm 1 and .* a wall needs both"),
    ("kind: portal_vein", "kind: portal_vein\n      correlation: nusselt",
     "anatomy.vessels[0].correlation", 7, r"hausen"),
    ("kind: portal_vein", "kind: portal_vein\n      h_W_m2K: 0",
     "anatomy.vessels[0].h_W_m2K", 7, r"must be greater than 0"),
    ("kind: portal_vein", "kind: portal_vein\n      velocity_cm_s: 140",
     "anatomy.vessels[0].velocity_cm_s", 7, r"140 cm/s in 6 mm.* 2400; .*up to 134\.1 cm/s"),
    ("kind: portal_vein", "kind: portal_vein\n      h_W_m2K: 900\n      correlation: graetz",
     "anatomy.vessels[0]", 5, r"got correlation graetz beside h_W_m2K 900"),
    ("kind: portal_vein", "kind: portal_vein\n      h_W_m2K: 900\n      heated_length_mm: 20",
     "anatomy.vessels[0]", 5, r"got heated_length_mm 20\.0 beside h_W_m2K 900"),
    ("protocol:", "physics: {microwave_model: parametric}\nprotocol:", "physics.microwave_model",
     12, r"got 'parametric'; no probe .* is a microwave probe: remove"),
    ("protocol:", "physics: {microwave_dielectric: lopresto}\nprotocol:",
     "physics.microwave_dielectric", 12, r"got 'lopresto'; no probe .* microwave probe"),
    ("cooled_needle_17g_30mm", "slot_antenna_2450\n    frequency_MHz: 915",
     "probes[0].frequency_MHz", 10, r"ji_brace_2011 was measured at 2450 MHz.* there is no law at"
     r" this frequency, or take an antenna of 2450 MHz"),
    ("cooled_needle_17g_30mm", "four_tine_electrode\n    coolant_C: 5", "probes[0].coolant_C", 10,
     r"got 5; four_tine_electrode has no cooling: remove"),
    ("cooled_needle_17g_30mm", "slot_antenna_2450\n    coolant_C: 5", "probes[0].coolant_C", 10,
     r"only when coolant_h_W_m2K is greater than 0"),
    ("protocol:", "assessment: {arrhenius_set: hepg}\nprotocol:", "assessment.arrhenius_set", 12,
     r"got 'hepg'; must be one of hepg2, .*skin_henriques; did you mean 'hepg2'"),
    ("protocol:", "assessment: {criterion: cem43}\nprotocol:", "assessment.criterion", 12,
     r"must be 'peak_60C', .*'arrhenius' or 'three_state'; did you mean 'cem43_240'"),
    ("protocol:", "physics: {perfusion_shutdown: arrhenius, perfusion_arrhenius_set: liver}\n"
     "protocol:", "physics.perfusion_arrhenius_set", 12, r"must be one of .*liver_comsol"),
    ("protocol:", "physics: {perfusion_shutdown: omega}\nprotocol:", "physics.perfusion_shutdown",
     12, r"must be 'peak_60C', 'none', 'arrhenius' or 'three_state'"),
    ("protocol:", "physics: {perfusion_arrhenius_set: hepg2}\nprotocol:", "physics", 12,
     r"which uses none; remove the key or set perfusion_shutdown to 'arrhenius'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "path", "line", "pattern"), SINGLE_FAULTS, ids=[f[1] for f in SINGLE_FAULTS]
)
def test_a_fault_names_line_path_and_remedy(
    tmp_path: Path, old: str, new: str, path: str, line: int, pattern: str
) -> None:
    assert old in GOOD
    problems = faults_of(tmp_path, GOOD.replace(old, new, 1))
    found = [problem for problem in problems if problem.path == path]
    assert found, problems
    assert found[0].line == line
    assert re.search(pattern, found[0].message), found[0].message


def test_a_single_fault_is_reported_once(tmp_path: Path) -> None:
    assert len(faults_of(tmp_path, GOOD.replace("power_W: 30", "power_W: -30"))) == 1


def test_every_fault_is_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Faults inside sections, of rules between sections, and of a section of an unknown kind."""
    text = (
        GOOD.replace("shape: sphere", "shape: spere")
        .replace("diameter_mm: 24", "diameter_mm: -24")
        .replace("kind: portal_vein", "kind: portal_vein\n      velocity_cm_s: 0")
        .replace("mode: power", "mode: current")
        .replace("entry_mm: [0, 0, 90]", "entry_mm: [0, 0, 90]\n    roll: 3")
        .replace("  - model",
                 "  - {model: slot_antenna_2450, tip_mm: [0, 9, 0], entry_mm: [0, 9, 9]}"
                 "\n  - {model: four_tine_electrode, tip_mm: [0, -9, 0], entry_mm: [0, -9, 9]}"
                 "\n  - model")
    )  # fmt: skip
    found = [(problem.path, problem.line) for problem in faults_of(tmp_path, text)]
    expected = [
        ("anatomy.tumour.shape", 3),
        ("anatomy.tumour.diameter_mm", 3),
        ("anatomy.vessels[0].velocity_cm_s", 7),
        ("probes", 9),
        ("probes[2].roll", 15),
        ("protocol.mode", 17),
        ("protocol.current_A", 16),
        ("protocol.power_W", 18),
    ]
    assert sorted(found) == sorted(expected)
    assert [line for _, line in found] == sorted(line for _, line in expected)


def test_exactly_one_source_of_anatomy(tmp_path: Path) -> None:
    without = GOOD[: GOOD.index("anatomy:")] + GOOD[GOOD.index("probes:") :]
    (problem,) = faults_of(tmp_path, without)
    assert "exactly one of anatomy, labelmap and mesh" in problem.message
    both = GOOD + "labelmap: {file: x.nii, labels: {liver: 1, tumour: 2}}\n"
    (problem,) = faults_of(tmp_path, both)
    assert (problem.path, problem.line) == ("labelmap", 16)


def test_vessels_of_the_same_name(tmp_path: Path) -> None:
    twin = "    - {name: vein, kind: portal_vein, path_mm: [[30, 0, 0], [30, 9, 0]]}\n"
    (problem,) = faults_of(tmp_path, GOOD.replace("probes:", twin + "probes:"))
    assert problem.path == "anatomy.vessels" and "2 vessels of the name 'vein'" in problem.message


@pytest.mark.parametrize(
    "block",
    [
        "{shape: sphere, centre_mm: [0, 0, 30], diameter_mm: 100}",
        "{shape: box, centre_mm: [0, 0, 40], size_mm: [90, 90, 100]}",
        "{shape: cylinder, centre_mm: [0, 0, 50], diameter_mm: 90, height_mm: 110}",
    ],
)
def test_tip_outside_the_region(tmp_path: Path, block: str) -> None:
    """The tip at z = -25 lies outside of all three, and 10 mm further up inside of all three."""
    text = GOOD.replace("probes:", f"  block: {block}\nprobes:")
    problems = faults_of(tmp_path, text.replace("[0, 0, -15]", "[0, 0, -25]"))
    assert "probes[0].tip_mm" in {problem.path for problem in problems}
    lifted = text.replace("[0, 0, -15]", "[0, 0, 0]").replace(
        "centre_mm: [0, 0, 0]", "centre_mm: [0, 0, 15]"
    )
    (tmp_path / "case.yaml").write_text(lifted)
    assert load_scenario(tmp_path / "case.yaml")


def test_shaft_may_pass_a_vessel_at_the_sum_of_the_radii() -> None:
    """Wall to wall: 3 mm of vessel and 0.735 mm of needle."""
    near = {"anatomy.vessels[0].path_mm": [[3.73, 0, -60], [3.73, 0, 60]]}
    with pytest.raises(ScenarioError, match="goes through the vessel"):
        load_scenario(BESIDE_VEIN, near)
    beside = {"anatomy.vessels[0].path_mm": [[3.74, 0, -60], [3.74, 0, 60]]}
    assert load_scenario(BESIDE_VEIN, beside)


def test_tines_keep_clear_of_vessels_of_the_region_and_of_each_other() -> None:
    """Catches rules that know the shaft alone: a tine then ends in blood, or outside."""
    tines = SCENARIOS / "four_tine.yaml"

    def moved(**changes: object) -> ScenarioError:
        with pytest.raises(ScenarioError) as caught:
            load_scenario(tines, {key.replace("__", "."): new for key, new in changes.items()})
        return caught.value

    in_blood = moved(anatomy__vessels=[vein(20.0)])
    assert "tine 1 of the probe goes through the vessel 'vein'" in str(in_blood)
    assert "roll_deg" in str(in_blood)
    turned = {"anatomy.vessels": [vein(20.0)], "probes[0].roll_deg": 45.0}
    assert load_scenario(tines, turned)
    narrow = {"shape": "cylinder", "diameter_mm": 30.0, "height_mm": 80.0, "centre_mm": [0, 0, 0]}
    assert "reach 1.8 mm too far" in str(moved(anatomy__block=narrow))
    one = {"model": "four_tine_electrode", "tip_mm": [0, 0, 0], "entry_mm": [0, 0, 90]}
    two = {"model": "four_tine_electrode", "tip_mm": [22, 0, 0], "entry_mm": [22, 0, 90]}
    met = moved(probes=[one, two])
    assert re.search(r"tine \d of the probe passes .* from the axis of tine \d of probes", str(met))
    needle = {"model": "cooled_needle_17g_30mm", "tip_mm": [15, 0, -15], "entry_mm": [15, 0, 90]}
    assert "from the axis of tine 1 of probes[0]" in str(moved(probes=[one, needle]))


def vein(x: float) -> dict[str, object]:
    """A straight one, 10 mm wide."""
    path = [[x, 0, -60], [x, 0, 60]]
    return {"name": "vein", "kind": "hepatic_vein", "path_mm": path, "diameter_mm": 10}


def test_shaft_runs_on_beyond_the_entry() -> None:
    """With the entry inside the region, the shaft still leaves it, here through a vessel."""
    changed = {
        "probes[0].entry_mm": [0, 0, 20],
        "anatomy.vessels[0].path_mm": [[-60, 0, 40], [60, 0, 40]],
    }
    with pytest.raises(ScenarioError, match=r"passes 0\.0 mm"):
        load_scenario(BESIDE_VEIN, changed)


def test_probes_that_run_into_each_other() -> None:
    twin = {"model": "cooled_needle_17g_30mm", "tip_mm": [1, 0, -15], "entry_mm": [1, 0, 90]}
    probe = {"model": "cooled_needle_17g_30mm", "tip_mm": [0, 0, -15], "entry_mm": [0, 0, 90]}
    with pytest.raises(
        ScenarioError, match=r"probes\[1\]: .* 1\.0 mm from the axis of probes\[0\]"
    ):
        load_scenario(BESIDE_VEIN, {"probes": [probe, twin]})


def test_microwave_probe_needs_power() -> None:
    protocol = {"mode": "voltage", "voltage_V": 20, "duration_s": 60}
    with pytest.raises(
        ScenarioError, match="must be one of 'power', 'ramp', 'steps' for the microwave"
    ):
        load_scenario(SCENARIOS / "mw_beside_hepatic_vein.yaml", {"protocol": protocol})


def test_labels_must_differ(tmp_path: Path) -> None:
    labels = "labelmap: {file: x.nii, labels: {liver: 1, tumour: 2, portal_vein: 2}}\n"
    text = GOOD[: GOOD.index("anatomy:")] + labels + GOOD[GOOD.index("probes:") :]
    (problem,) = faults_of(tmp_path, text)
    assert problem.path == "labelmap.labels"
    assert "label 2 for both tumour and portal_vein" in problem.message


@pytest.mark.parametrize(
    "changes",
    [
        {"physics.microwave_model": "field", "physics.microwave_dielectric": "ji_brace_2011"},
        {"anatomy.vessels[0].h_W_m2K": 900, "anatomy.vessels[0].correlation": "hausen"},
        {"anatomy.vessels[0].h_W_m2K": 900, "anatomy.vessels[0].velocity_cm_s": 300},
        {"anatomy.vessels[0].diameter_mm": 2.9, "anatomy.vessels[0].velocity_cm_s": 300},
    ],
)
def test_what_is_no_fault(changes: dict[str, Any]) -> None:
    """Defaults that are written out, as `to_yaml` does; and flow for which no law is needed."""
    scenario = load_scenario(BESIDE_VEIN, changes)
    assert scenario_from_data(parse_document(scenario.to_yaml()).data) == scenario


def test_the_pattern_of_an_antenna_holds_at_its_frequency() -> None:
    """The message is about the pattern, which knows no dielectric."""
    changes = {"physics.microwave_model": "parametric", "probes[0].frequency_MHz": 915}
    with pytest.raises(ScenarioError) as caught:
        load_scenario(SCENARIOS / "mw_beside_hepatic_vein.yaml", changes)
    (problem,) = caught.value.problems
    assert problem.path == "probes[0].frequency_MHz"
    assert "got 915 MHz; the pattern of slot_antenna_2450 was fitted at 2450 MHz" in problem.message
    assert "ji_brace" not in problem.message
    near = changes | {"probes[0].frequency_MHz": 2455}
    assert load_scenario(SCENARIOS / "mw_beside_hepatic_vein.yaml", near)


def test_a_field_needs_a_cross_section(monkeypatch: pytest.MonkeyPatch) -> None:
    known = catalogue.probe
    monkeypatch.setattr(catalogue, "probe", lambda name: replace(known(name), coaxial=None))
    path = SCENARIOS / "mw_beside_hepatic_vein.yaml"
    with pytest.raises(ScenarioError, match=r"probes\[0\]\.model: .* no cross-section") as caught:
        load_scenario(path)
    assert len(caught.value.problems) == 1
    assert load_scenario(path, {"physics.microwave_model": "parametric"})


MESH = """\
mesh:
  file: own.msh
  regions: {liver: [1, liver], tumour: [2]}
  surfaces: {outer: [3], vessel.vein: [4], probe.0.active: [5], probe.0.shaft: [6]}
  vessels: {vein: {kind: portal_vein}}
"""


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("vessel.vein", "vessel.vain", "mesh.surfaces.vessel.vain"),
        ("vessel.vein: [4], ", "", "mesh.vessels.vein"),
        ("probe.0.shaft", "probe.1.shaft", "mesh.surfaces.probe.1.shaft"),
        ("outer:", "outside:", "mesh.surfaces.outside"),
        ("[2]", "[2.5]", "mesh.regions.tumour[0]"),
        ("[2]", "[]", "mesh.regions.tumour"),
        ("liver: [1, liver], ", "", "mesh.regions.liver"),
        ("portal_vein}", "portal_vein, velocity_cm_s: 140}", "mesh.vessels.vein.velocity_cm_s"),
    ],
)
def test_own_mesh(tmp_path: Path, old: str, new: str, path: str) -> None:
    (tmp_path / "own.msh").write_text("")
    text = GOOD[: GOOD.index("anatomy:")] + MESH + GOOD[GOOD.index("probes:") :]
    (tmp_path / "case.yaml").write_text(text)
    good = load_scenario(tmp_path / "case.yaml")
    assert good.mesh is not None and good.mesh.regions.liver == (1, "liver")
    assert path in {problem.path for problem in faults_of(tmp_path, text.replace(old, new))}


def test_a_misspelled_probe_hides_no_surface(tmp_path: Path) -> None:
    (tmp_path / "own.msh").write_text("")
    text = GOOD[: GOOD.index("anatomy:")] + MESH + GOOD[GOOD.index("probes:") :]
    second = "  - {model: needle, tip_mm: [9, 0, 0], entry_mm: [9, 0, 9]}\n"
    text = text.replace("protocol:", second + "protocol:").replace("probe.0.shaft", "probe.1.shaft")
    assert [problem.path for problem in faults_of(tmp_path, text)] == ["probes[1].model"]


def test_a_flow_in_a_label_map_that_is_given_whole(tmp_path: Path) -> None:
    labels = (
        "labelmap:\n  file: x.nii\n  labels: {liver: 1, tumour: 2, vena_cava: 3}\n"
        "  vessels: {vena_cava: {diameter_mm: 28, velocity_cm_s: 40}}\n"
    )
    text = GOOD[: GOOD.index("anatomy:")] + labels + GOOD[GOOD.index("probes:") :]
    (problem,) = faults_of(tmp_path, text)
    assert problem.path == "labelmap.vessels.vena_cava.velocity_cm_s"
    assert "Reynolds number of 3200" in problem.message and "28.7 cm/s" in problem.message


# The text itself ---------------------------------------------------------------------------------


def test_alias_bomb_is_refused_at_once(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    (problem,) = faults_of(tmp_path, bomb)
    assert problem.line == 1 and "aliases are not allowed" in problem.message


def test_merge_key_needs_an_alias_and_is_refused(tmp_path: Path) -> None:
    (problem,) = faults_of(tmp_path, "base: {a: 1}\nother:\n  <<: *base\n")
    assert problem.line == 3


def test_duplicate_key_names_both_lines(tmp_path: Path) -> None:
    (problem,) = faults_of(tmp_path, GOOD + "  power_W: 60\n")
    assert (problem.path, problem.line) == ("protocol.power_W", 16)
    assert "first on line 14" in problem.message


def test_duplicate_key_does_not_hide_other_faults(tmp_path: Path) -> None:
    problems = faults_of(tmp_path, GOOD.replace("[0, 0, -15]", "[0, 0]") + "name: again\n")
    assert [problem.line for problem in problems] == [10, 16]


@pytest.mark.parametrize(
    ("text", "line", "pattern"),
    [
        ("a: [1\nb: 2\n", 2, "not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, "tags are not allowed"),
        ("a: 1\n---\nb: 2\n", 2, "not valid YAML"),
        ("a: " + "[" * 1000, 1, "nested deeper than 20"),
        ("- 1\n- 2\n", 1, "must be a group of keys"),
        ("", None, "got nothing"),
        ("just text", 1, "must be a group of keys"),
        ("{[1, 2]: 3}", 1, "must be a name"),
        ("a: \x07", None, "not valid YAML"),
    ],
)
def test_text_that_cannot_be_read(
    tmp_path: Path, text: str, line: int | None, pattern: str
) -> None:
    problem = faults_of(tmp_path, text)[0]
    assert re.search(pattern, problem.message), problem
    assert problem.line == line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-.5", -0.5),
        ("010", 10),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("no", "no"),
        ("2026-01-01", "2026-01-01"),
        ("~", None),
        ("'1'", "1"),
        ("true", True),
    ],
)
def test_bare_words(text: str, value: object) -> None:
    read = parse_document(f"a: {text}").data["a"]
    assert read == value and type(read) is type(value)


def test_missing_file() -> None:
    with pytest.raises(InputFileError, match="no such file") as caught:
        load_scenario("no/such/case.yaml")
    assert caught.value.exit_code == 3


def test_folder_binary_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="cannot be read"):
        load_scenario(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(InputFileError, match="byte 6 is not UTF-8"):
        load_scenario(tmp_path / "binary.yaml")
    (tmp_path / "huge.yaml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(InputFileError, match="larger than 1024 KiB"):
        load_scenario(tmp_path / "huge.yaml")


# Anything else -----------------------------------------------------------------------------------

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def _places(data: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = data.items() if isinstance(data, dict) else enumerate(data)
    found = []
    for key, value in entries:
        found.append((*prefix, key))
        if isinstance(value, dict | list):
            found += _places(value, (*prefix, key))
    return found


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_junk_anywhere_gives_a_message_and_nothing_else(data: st.DataObject) -> None:
    """Whatever stands in the place of a value, the answer is a scenario or a ScenarioError."""
    content = parse_document(GOOD).data
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(_places(content)))
        parent = content
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = data.draw(JUNK)
    try:
        scenario_from_data(content)
    except AblasimError as error:
        assert str(error) and "Traceback" not in str(error)
        assert not isinstance(error, ScenarioError) or all(p.message for p in error.problems)


@given(st.text(max_size=80))
@settings(max_examples=150, deadline=None)
def test_any_text_is_data_or_a_message(text: str) -> None:
    try:
        parse_document(text)
    except ScenarioError as error:
        assert error.problems
