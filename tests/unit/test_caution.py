"""Cautions: they appear where a misleading model is chosen, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from ablasim.scenario import Scenario, cautions, scenario_from_data
from ablasim.scenario.caution import killing_temperature


def case(**sections: dict[str, Any]) -> Scenario:
    data: dict[str, Any] = {
        "name": "case",
        "anatomy": {},
        "probes": [
            {"model": "cooled_needle_17g_30mm", "tip_mm": [0, 0, 0], "entry_mm": [0, 0, 90]}
        ],
        "protocol": {"mode": "power", "power_W": 30, "duration_s": 60},
    }
    return scenario_from_data(data | sections)


@pytest.mark.parametrize("criterion", ["peak_60C", "peak_54C", "peak_50C", "arrhenius"])
def test_no_caution_without_a_cause(criterion: str) -> None:
    """Catches a default that warns, and with it a warning nobody reads."""
    assert cautions(case(assessment={"criterion": criterion})) == ()
    rule = {"perfusion_shutdown": "arrhenius"}
    assert cautions(case(assessment={"criterion": criterion}, physics=rule)) == ()
    unused = {"criterion": "peak_60C", "arrhenius_set": "liver_comsol"}
    assert cautions(case(assessment=unused)) == ()


@pytest.mark.parametrize(
    ("sections", "parts"),
    [
        (
            {"assessment": {"criterion": "arrhenius", "arrhenius_set": "liver_comsol"}},
            ("assessment.arrhenius_set", "42.5 °C", "about 6 mm"),
        ),
        (
            {"physics": {"vaporisation_band_C": [98.0, 105.0]}},
            ("dry above 105 °C", "falls above 100 °C all the same"),
        ),
        (
            {"assessment": {"criterion": "arrhenius", "arrhenius_set": "hcc_reddy"}},
            ("hcc_reddy", "43.9 °C"),
        ),
        (
            {
                "physics": {
                    "perfusion_shutdown": "arrhenius",
                    "perfusion_arrhenius_set": "liver_comsol",
                }
            },
            ("physics.perfusion_arrhenius_set", "42.5 °C"),
        ),
        (
            {
                "physics": {"perfusion_shutdown": "arrhenius"},
                "assessment": {"arrhenius_set": "liver_comsol"},
            },
            ("assessment.arrhenius_set", "42.5 °C"),
        ),
        ({"assessment": {"criterion": "cem43_240"}}, ("Reddy 2013", "Mouratidis 2019", "50 °C")),
        (
            {"assessment": {"criterion": "three_state"}},
            ("assessment.criterion three_state", "37 °C", "60 °C rule"),
        ),
        (
            {"physics": {"perfusion_shutdown": "three_state"}},
            ("physics.perfusion_shutdown three_state",),
        ),
    ],
)
def test_a_caution_names_the_key_and_the_reason(
    sections: dict[str, Any], parts: tuple[str, ...]
) -> None:
    (text,) = cautions(case(**sections))
    for part in parts:
        assert part in text


def test_a_fixed_pattern_of_microwaves_warns() -> None:
    """Catches a zone several times too large that nobody is told of."""
    antenna = [{"model": "slot_antenna_2450", "tip_mm": [0, 0, 0], "entry_mm": [0, 0, 90]}]
    (text,) = cautions(case(probes=antenna, physics={"microwave_model": "parametric"}))
    assert "microwave_model parametric" in text and "3.7 ml" in text
    assert cautions(case(probes=antenna)) == ()


def test_every_choice_warns_for_itself() -> None:
    both = case(
        assessment={"criterion": "three_state"},
        physics={"perfusion_shutdown": "arrhenius", "perfusion_arrhenius_set": "liver_comsol"},
    )
    assert len(cautions(both)) == 2


@pytest.mark.parametrize(
    ("name", "printed"),
    [("liver_comsol", 42.5), ("hcc_reddy", 43.9), ("hepg2", 51.3), ("hep3b", 47.8),
     ("colon_mouratidis", 47.0), ("skin_henriques", 50.8)],
)  # fmt: skip
def test_killing_temperatures(name: str, printed: float) -> None:
    """Catches a logarithm to the wrong base, or °C for kelvin."""
    assert killing_temperature(name) == pytest.approx(printed, abs=0.051)
