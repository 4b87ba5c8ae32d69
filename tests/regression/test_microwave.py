"""What a run with an antenna's field tells: its power balance in summary, command line, report."""

from pathlib import Path

import pytest

from ablasim.cli_output import result_rows
from ablasim.run import run
from ablasim.scenario import load_scenario
from ablasim.scenario.caution import PARAMETRIC

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
SHORT = {"numerics.resolution": "preview", "protocol.duration_s": 20}


def test_a_run_prints_where_the_power_went(tmp_path: Path) -> None:
    """C2: of 10 W incident 9.35 W are absorbed, -17.9 dB come back; the parts sum to the whole."""
    scenario = load_scenario(SCENARIOS / "mw_slot_c2.yaml", SHORT)
    summary = run(scenario, out=tmp_path / "c2", device="cpu").summary
    told = summary["microwave"]
    assert told["model"] == "field" and told["frequency_MHz"] == 2450
    assert told["incident_W"] == pytest.approx(10.0)
    # the chords of a coarse round block leave out some of its outermost tissue
    assert told["absorbed_tissue_W"] + told["elsewhere_W"] == pytest.approx(9.347, abs=0.02)
    assert told["S11_dB"] == pytest.approx(-17.88, abs=0.05)
    assert told["S11_start_dB"] == told["S11_end_dB"]
    parts = ("reflected_W", "absorbed_tissue_W", "antenna_W", "outside_W")
    assert sum(told[name] for name in parts) == pytest.approx(10.0, abs=1e-4)
    assert told["balance_error"] < 1e-6 and summary["energy"]["balance_error"] < 1e-8
    assert told["solves"] == 1 and not any("cable" in w for w in summary["warnings"])
    rows = dict(result_rows(summary))
    assert rows["Microwave power"].startswith("10.00 W incident = 0.16 reflected + 9.3")
    report = (tmp_path / "c2" / "report.html").read_text()
    assert "field of the antenna in liver" in report and "solved once" in report
    assert "Incident at the antenna" in report


def test_a_cable_loses_power_before_the_antenna() -> None:
    """3 dB of cable: half the power arrives, and half the heat."""
    scenario = load_scenario(
        SCENARIOS / "mw_slot_c2.yaml", SHORT | {"probes[0].cable_loss_dB": 3.0102999566}
    )
    told = run(scenario, device="cpu").summary["microwave"]
    assert told["incident_W"] == pytest.approx(5.0, rel=1e-6)
    assert told["absorbed_tissue_W"] + told["elsewhere_W"] == pytest.approx(4.673, abs=0.01)


def test_a_dried_antenna_is_warned_of_and_the_fixed_pattern_says_so() -> None:
    path = SCENARIOS / "mw_beside_hepatic_vein.yaml"
    hot = run(load_scenario(path, SHORT | {"protocol.duration_s": 240}), device="cpu").summary
    assert hot["microwave"]["solves"] > 5 and hot["energy"]["balance_error"] < 1e-8
    assert hot["microwave"]["S11_end_dB"] > hot["microwave"]["S11_start_dB"]
    assert any("power back into the cable" in text for text in hot["warnings"])
    fixed = load_scenario(path, SHORT | {"physics.microwave_model": "parametric"})
    told = run(fixed, device="cpu").summary
    assert told["microwave"]["model"] == "parametric"
    assert told["microwave"]["absorbed_tissue_W"] == pytest.approx(45 * 0.965, rel=1e-3)


def test_the_caution_against_the_fixed_pattern_is_of_this_code() -> None:
    """Catches the volumes that users are told where the models no longer give them."""
    changes = {
        "numerics.resolution": "preview",
        "anatomy.tumour.diameter_mm": 18,
        "anatomy.vessels[0].beside_tumour.distance_mm": 4,
    }
    path = SCENARIOS / "atlas" / "mw_slot_antenna.yaml"
    for model, told in (("parametric", 17.8), ("field", 3.7)):
        scenario = load_scenario(path, changes | {"physics.microwave_model": model})
        found = run(scenario, device="cpu").summary["zone"]["peak_60C"]["volume_ml"]
        assert found == pytest.approx(told, rel=0.03)
        assert f"{told} ml" in PARAMETRIC


def test_two_antennas_share_the_generator() -> None:
    """Side by side, half the power each: no power is lost between them."""
    antenna = {"model": "slot_antenna_2450", "entry_mm": [10, 0, 90]}
    probes = [
        antenna | {"tip_mm": [10, 0, -6.5]},
        antenna | {"tip_mm": [-10, 0, -6.5], "entry_mm": [-10, 0, 90]},
    ]
    changes = SHORT | {"probes": probes, "anatomy": {"block": {"shape": "sphere"}}, "tissues": {}}
    changes["anatomy"]["liver"] = {"tissue": "cirrhotic_liver"}
    path = SCENARIOS / "mw_beside_hepatic_vein.yaml"
    told = run(load_scenario(path, changes), device="cpu").summary["microwave"]
    assert told["incident_W"] == pytest.approx(45.0)
    assert told["balance_error"] < 1e-6
    # a little falls on the other antenna's metal
    assert 0.0 < told["elsewhere_W"] < 0.05 * told["incident_W"]
