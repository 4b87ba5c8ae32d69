"""What a risk report quotes: the published band for a tumour and a modality, the heat-sink flag."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import ablasim.catalogue
from ablasim.report.palette import margin_text
from ablasim.safe_yaml import read_document

TUMOURS = {
    "colorectal_metastasis": "colorectal liver metastasis",
    "hepatocellular_carcinoma": "hepatocellular carcinoma",
}
"""Tumours that the published cohorts are about."""

CLASS_TITLES = {
    "below_0": "below 0 mm",
    "0_5": "0 to 5 mm",
    "5_10": "5 to 10 mm",
    "above_10": "10 mm or more",
}


WORDS = ("this modality", "both modalities", "modality not told apart", "another modality")


@cache
def evidence() -> Mapping[str, Any]:
    """The published evidence that reports quote, each number with its source."""
    path = Path(ablasim.catalogue.__file__).with_name("margin_evidence.yaml")
    content: Mapping[str, Any] = read_document(path).data
    return content


def published(tumour: str, modality: str, classes: tuple[str, str]) -> dict[str, Any]:
    """What was published for the classes of a margin, this tumour and this modality.

    Args:
        tumour: tissue of the catalogue.
        modality: "rf" or "mw".
        classes: keys of the median margin's class and of its P5's.

    Returns:
        tumour, modality, classes, and entries, each with class, cohort, text, source and modality
        in words; those of this modality come first. No entries where nothing was published for the
        tumour.
    """
    entries = []
    for entry in evidence()["margins"]:
        if entry.get("tumour") != tumour:
            continue
        for key in dict.fromkeys(classes):
            text = entry.get("bands", {}).get(key)
            if text is not None:
                entries.append(
                    {
                        "class": CLASS_TITLES[key],
                        "cohort": entry["cohort"],
                        "text": text,
                        "source": entry["source"],
                        "modality": _modality_words(modality, entry["modality"]),
                    }
                )
    entries.sort(key=lambda entry: WORDS.index(entry["modality"]))
    return {
        "tumour": TUMOURS.get(tumour, tumour.replace("_", " ")),
        "modality": modality,
        "class_of_median": CLASS_TITLES[classes[0]],
        "class_of_p5": CLASS_TITLES[classes[1]],
        "entries": entries,
        "caution": "Results of whole cohorts; not a probability for a patient.",
    }


def _modality_words(modality: str, cohort: list[str]) -> str:
    """How a cohort's modalities stand to one."""
    if not cohort:
        return WORDS[2]
    if modality not in cohort:
        return WORDS[3]
    return WORDS[0] if len(cohort) == 1 else WORDS[1]


def heat_sink_flag(is_heat_sink: bool, modality: str) -> tuple[str, str]:
    """The clinical rule's flag: "red" with radiofrequency, "amber" with microwaves, "none"; and
    what was published for the modality."""
    if not is_heat_sink:
        return "none", ""
    kind = modality if modality in ("rf", "mw") else "rf"
    return ("red" if kind == "rf" else "amber"), str(evidence()["heat_sink"][kind])


def margin_words(margin_mm: float | None) -> str:
    """A margin, or that there is none since no tissue died: the worst that can be."""
    return "no lethal zone" if margin_mm is None else margin_text(margin_mm)


def highest_chance(probability: Mapping[str, Any]) -> float:
    """What colours the answer: the upper end of the interval of P(margin < 0), or of that next to
    the capsule where it is higher."""
    capsule = probability["margin_below_0_at_the_capsule"]
    return max(
        float(probability["margin_below_0"]["high"]), float((capsule or {}).get("high", 0.0))
    )
