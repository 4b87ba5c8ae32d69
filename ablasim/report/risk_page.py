"""``report.html`` of a risk study: one self-contained page, the answer and its interval first."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from ablasim.report.palette import MARGIN_STEP_MM, margin_class, margin_text, number_text
from ablasim.report.risk_charts import convergence_chart, margin_chart, sensitivity_chart
from ablasim.report.risk_look import RISK_CLASSES, percent, risk_class
from ablasim.report.risk_words import evidence, highest_chance, margin_words
from ablasim.report.words import MODALITY_NAMES
from ablasim.scenario.protocol_words import drive_words, duration_s

Group = Mapping[str, Any]

OPEN = "open"
"""End of an interval for which the samples are too few, or in which no tissue died."""


def write_risk_page(directory: Path, summary: Group, margins: NDArray[np.float64]) -> Path:
    """Write ``report.html`` into the directory of a study, with its ``preview.png``.

    Args:
        directory: of the study.
        summary: risk.json.
        margins: minimal margin of each sample (k,) [mm]; minus infinity without a zone.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "margin": margin_words,
        "number": number_text,
        "margin_end": lambda end: OPEN if end is None else margin_text(end),
        "number_end": lambda end: OPEN if end is None else number_text(end, 1),
    }
    sensitivity = sensitivity_chart(summary)
    page = environment.get_template("risk.html.j2").render(
        summary,
        verdict=verdict(summary),
        protocol=_protocol(summary),
        preview=_uri((directory / "preview.png").read_bytes(), "image/png"),
        margin_chart=_uri(margin_chart(margins, summary)),
        convergence_chart=_uri(convergence_chart(summary)),
        sensitivity_chart="" if sensitivity is None else _uri(sensitivity),
        classes=RISK_CLASSES,
        step=MARGIN_STEP_MM,
        priors=[_prior(entry) for entry in summary["inputs"]],
        uncertainty=evidence()["uncertainty"],
        definition=evidence()["heat_sink"]["definition"],
        scenario_text=(directory / "scenario.yaml").read_text(encoding="utf-8"),
    )
    target = directory / "report.html"
    target.write_text(page, encoding="utf-8")
    return target


def verdict(summary: Group) -> dict[str, str]:
    """The answer in front: headline, explanation, colour."""
    chance, wanted = (
        summary["probability"][key] for key in ("margin_below_0", "margin_below_target")
    )
    target = summary["probability"]["target_margin_mm"]
    low, middle, high = (summary["margin_mm"][key]["value"] for key in ("p5", "p50", "p95"))
    shown = f"{percent(chance['value'])} ({percent(chance['low'])} to {percent(chance['high'])})"
    likely = highest_chance(summary["probability"])
    colour = (
        risk_class(likely).colour
        if likely >= RISK_CLASSES[0].high or middle is None
        else margin_class(middle).colour
    )
    worst = "no tissue dies at all"
    if low is not None:
        worst = f"the minimal margin is {margin_text(low)} or less"
    capsule = summary["probability"]["margin_below_0_at_the_capsule"]
    apart = "" if capsule is None else ", its part next to the capsule set apart,"
    return {
        "headline": f"The zone leaves part of the tumour{apart} uncovered in {shown} of the"
        " samples.",
        "detail": (
            f"Conservative first: in 5 % of the samples {worst}; median {margin_words(middle)},"
            f" 95 %: {margin_words(high)}. Below the target of {target:g} mm:"
            f" {percent(wanted['value'])} ({percent(wanted['low'])} to {percent(wanted['high'])})."
        )
        + (
            ""
            if capsule is None
            else f" Next to the capsule, where no margin can be had, tumour stays uncovered in"
            f" {percent(capsule['value'])} ({percent(capsule['low'])} to"
            f" {percent(capsule['high'])})."
        ),
        "colour": colour,
    }


def _protocol(summary: Group) -> str:
    protocol = summary["scenario"]["protocol"]
    parts = [MODALITY_NAMES.get(summary["modality"], "").capitalize(), drive_words(protocol)]
    duration = duration_s(protocol)
    if duration is not None:
        parts.append(f"{duration / 60.0:g} min")
    models = dict.fromkeys(probe["model"] for probe in summary["scenario"]["probes"])
    return ", ".join([*parts, *(model.replace("_", " ") for model in models)])


def _prior(entry: Group) -> tuple[str, str, str, str, bool]:
    """Title, distribution in words, plain value, source, whether it is assumed."""
    unit = f" {entry['unit']}" if entry["unit"] not in ("", "1") else ""
    nominal = entry["nominal"]
    plain = nominal if isinstance(nominal, str) else f"{_plain(nominal)}{unit}"
    return (
        entry["title"],
        distribution_words(entry["distribution"]) + unit,
        plain.replace("_", " "),
        entry["source"],
        entry["assumed"],
    )


def distribution_words(distribution: Group) -> str:
    """A distribution on one line."""
    match distribution["distribution"]:
        case "normal":
            text = f"normal, mean {_plain(distribution['mean'])}, SD {_plain(distribution['sd'])}"
        case "lognormal":
            text = (
                f"lognormal, median {_plain(distribution['median'])}, GSD {distribution['gsd']:.3g}"
            )
        case "uniform":
            return f"uniform, {_plain(distribution['low'])} to {_plain(distribution['high'])}"
        case _:
            total = sum(distribution["weights"].values())
            return ", ".join(
                f"{name.replace('_', ' ')} {100 * weight / total:.0f} %"
                for name, weight in distribution["weights"].items()
                if weight > 0
            )
    for key, word in (("lower", "from"), ("upper", "up to")):
        if key in distribution:
            text += f", {word} {_plain(distribution[key])}"
    return text


def _plain(value: float) -> str:
    """A number without powers of ten."""
    return (
        f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}") if abs(value) >= 1e3 else f"{value:.3g}"
    )


def _uri(content: bytes, kind: str = "image/svg+xml") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
