"""What a risk report says: bands by tumour and modality, the flag, classes, distributions."""

from types import SimpleNamespace
from typing import Any

import pytest

from ablasim.catalogue import tissue_names
from ablasim.physics.generator import ConstantGenerator
from ablasim.report.risk_look import RISK_CLASSES, percent, risk_class
from ablasim.report.risk_page import distribution_words, verdict
from ablasim.report.risk_words import CLASS_TITLES, evidence, heat_sink_flag, published
from ablasim.study.risk_summary import _why_alone


def test_every_band_has_a_cohort_a_tumour_and_a_source() -> None:
    for entry in evidence()["margins"]:
        assert entry["source"] and entry["cohort"]
        assert entry["tumour"] in tissue_names()
        assert set(entry["modality"]) <= {"rf", "mw"}
        assert set(entry["bands"]) <= set(CLASS_TITLES)


def test_bands_by_tumour_and_modality() -> None:
    rf = published("colorectal_metastasis", "rf", ("0_5", "below_0"))
    assert [entry["modality"] for entry in rf["entries"]] == sorted(
        (entry["modality"] for entry in rf["entries"]),
        key=["this modality", "both modalities", "modality not told apart"].index,
    )
    assert rf["entries"][0]["source"].startswith("Wang et al. 2013")
    assert {entry["class"] for entry in rf["entries"]} == {"below 0 mm", "0 to 5 mm"}
    mw = published("colorectal_metastasis", "mw", ("0_5", "0_5"))
    by_source = {entry["source"]: entry["modality"] for entry in mw["entries"]}
    assert by_source["Wang et al. 2013, PMC4122121"] == "another modality"
    assert by_source["PMC5803367"] == "both modalities"
    hcc = published("hepatocellular_carcinoma", "rf", ("5_10", "0_5"))
    assert all("hepatocellular" in entry["cohort"] for entry in hcc["entries"])
    assert len(hcc["entries"]) == 4
    assert published("liver", "rf", ("0_5", "0_5"))["entries"] == []


def test_the_flag_is_worded_by_modality() -> None:
    assert heat_sink_flag(True, "rf")[0] == "red"
    assert heat_sink_flag(True, "mw")[0] == "amber"
    assert "P = 0.43" in heat_sink_flag(True, "mw")[1]
    assert heat_sink_flag(False, "rf") == ("none", "")


def test_classes_cover_every_probability() -> None:
    assert [risk_class(p).label for p in (0.0, 0.05, 0.2, 0.5, 0.8, 1.0)] == [
        RISK_CLASSES[i].label for i in (0, 1, 2, 3, 4, 4)
    ]
    assert [percent(p) for p in (0.0, 0.001, 0.25, 0.999, 1.0)] == [
        "0 %", "< 0.5 %", "25 %", "> 99.5 %", "100 %",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("distribution", "words"),
    [
        ({"distribution": "normal", "mean": 0.52, "sd": 0.03}, "normal, mean 0.52, SD 0.03"),
        (
            {"distribution": "lognormal", "median": 45000.0, "gsd": 1.6, "upper": 1e5},
            "lognormal, median 45\N{NO-BREAK SPACE}000, GSD 1.6, up to 100\N{NO-BREAK SPACE}000",
        ),
        ({"distribution": "uniform", "low": 0.01, "high": 0.02}, "uniform, 0.01 to 0.02"),
        (
            {"distribution": "choice", "weights": {"peak_60C": 1.0, "none": 3.0}},
            "peak 60C 25 %, none 75 %",
        ),
    ],
)
def test_distributions_in_words(distribution: dict, words: str) -> None:  # type: ignore[type-arg]
    assert distribution_words(distribution) == words


def test_the_verdict_never_speaks_of_recurrence() -> None:
    chance = {"value": 0.31, "low": 0.26, "high": 0.37}
    summary = {
        "probability": {
            "margin_below_0": chance, "margin_below_target": chance, "target_margin_mm": 5.0,
            "margin_below_0_at_the_capsule": None,
        },
        "margin_mm": {key: {"value": v} for key, v in (("p5", None), ("p50", 1.7), ("p95", 4.0))},
    }  # fmt: skip
    found = verdict(summary)
    assert "31 % (26 % to 37 %)" in found["headline"]
    assert "recur" not in found["headline"] + found["detail"]
    assert "in 5 % of the samples no tissue dies at all; median" in found["detail"]
    assert "capsule" not in found["headline"] + found["detail"]
    summary["probability"]["margin_below_0_at_the_capsule"] = chance | {"value": 0.6}
    found = verdict(summary)
    assert "its part next to the capsule set apart, uncovered in 31 %" in found["headline"]
    assert "tumour stays uncovered in 60 % (26 % to 37 %)" in found["detail"]


def test_samples_that_cannot_be_computed_together_say_why() -> None:
    constant = ConstantGenerator("power", 30.0, 60.0)
    field: Any = SimpleNamespace(problem=SimpleNamespace(generator=constant, microwave=object()))
    assert _why_alone(field) == "the antennas' field follows the tissue"
    plain: Any = SimpleNamespace(problem=SimpleNamespace(generator=constant, microwave=None))
    assert "the solver gave up" in _why_alone(plain)
