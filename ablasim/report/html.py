"""``report.html``: one self-contained page, the answer first, then the numbers and where they come
from."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from ablasim.assess.margin import HEAT_SINK_DIAMETER, HEAT_SINK_DISTANCE
from ablasim.frames import MM
from ablasim.report import tables
from ablasim.report.curves import history_figure, read_history
from ablasim.report.palette import (
    MARGIN_CLASSES,
    MARGIN_STEP_MM,
    NOTICE,
    margin_text,
    number_text,
)
from ablasim.report.risk_words import evidence
from ablasim.report.saved import SavedRun, load_run
from ablasim.report.words import (
    VesselDistance,
    modality,
    nearest_vessel_text,
    percent_text,
    protocol_line,
    thinnest_place,
    verdict,
    vessel_distances,
)

Row = tuple[str, ...]


@dataclass(frozen=True)
class HeatSink:
    """The flag of the clinical rule with the words that fit the modality; ``level`` is none, amber
    or red."""

    level: str
    headline: str
    detail: str


def write_report(run_dir: Path | str) -> Path:
    """Write ``report.html`` into a run directory, with its ``preview.png`` where there is one.

    Returns:
        The path of the report.

    Raises:
        InputFileError: the directory holds no finished run.
    """
    run = load_run(run_dir)
    target = run.directory / "report.html"
    part = run.directory / ".report.part"
    part.write_text(_page(run), encoding="utf-8")
    part.replace(target)
    return target


def _page(run: SavedRun) -> str:
    folder = Path(__file__).parent / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    distances = vessel_distances(run)
    summary = run.summary
    margin = run.group("margin")
    return environment.get_template("report.html.j2").render(
        name=summary.get("name", run.directory.name),
        description=summary.get("description", ""),
        notice=summary.get("notice", NOTICE),
        status=str(summary.get("status", "")),
        warnings=list(summary.get("warnings") or ()),
        protocol=protocol_line(run),
        verdict=verdict(run),
        has_margin=run.margin is not None and margin.get("minimal_mm") is not None,
        key_numbers=_key_numbers(run),
        minimal=margin_text(margin.get("minimal_mm")),
        place=thinnest_place(run),
        point=_point_text(run),
        nearest=nearest_vessel_text(run),
        heat_sink=heat_sink(run, distances),
        distances=[(v.text, number_text(v.distance, 1, "mm"), v.is_heat_sink) for v in distances],
        preview=_data_uri(run.directory / "preview.png"),
        classes=[(entry, percent_text(margin.get(entry.key))) for entry in MARGIN_CLASSES],
        subcapsular=_subcapsular(margin),
        step=MARGIN_STEP_MM,
        zones=tables.zone_rows(run),
        spread=tables.spread_sentence(run),
        energy=tables.energy_rows(run),
        balance=run.group("energy").get("balance_error"),
        generator=tables.generator_rows(run),
        history=_history_uri(run.directory / "history.csv"),
        tissues=tables.tissue_tables(run),
        probes=tables.probe_rows(run),
        vessels=tables.vessel_rows(run),
        coolants=tables.coolant_rows(run),
        choices=tables.choices(run),
        numerics=tables.numerics_rows(run),
        versions=", ".join(
            f"{key} {value}" for key, value in run.group("versions").items() if value
        ),
        digest=summary.get("inputs_sha256", ""),
        scenario=_text(run.directory / "scenario.yaml"),
        evidence=evidence(),
    )


def heat_sink(run: SavedRun, distances: tuple[VesselDistance, ...]) -> HeatSink | None:
    """The heat-sink flag: red with radiofrequency, amber with microwaves; None without a tumour."""
    if run.margin is None:
        return None
    wide, near = (f"{length / MM:g} mm" for length in (HEAT_SINK_DIAMETER, HEAT_SINK_DISTANCE))
    rule = f"at least {wide} wide within {near} of the tumour"
    sinks = [vessel for vessel in distances if vessel.is_heat_sink]
    if not sinks:
        return HeatSink("none", f"No heat sink by the clinical rule: no vessel {rule}.", "")
    named = "; ".join(
        f"{vessel.text} at {number_text(vessel.distance, 1, 'mm')}" for vessel in sinks
    )
    kind = modality(run)
    return HeatSink(
        "red" if kind == "rf" else "amber",
        f"Heat sink by the clinical rule (a vessel {rule}): {named}.",
        str(evidence()["heat_sink"][kind if kind in ("rf", "mw") else "rf"]),
    )


def _key_numbers(run: SavedRun) -> list[Row]:
    zone = run.zone_group
    margin = run.group("margin")
    rows: list[Row] = [
        (f"{run.criterion.title} zone", number_text(zone.get("volume_ml"), 1, "ml")),
        (
            "long \N{MULTIPLICATION SIGN} short axis",
            f"{number_text(zone.get('long_axis_mm'), 1)} \N{MULTIPLICATION SIGN} "
            f"{number_text(zone.get('short_axis_mm'), 1, 'mm')}",
        ),
    ]
    if margin:
        rows.append(("minimal margin", margin_text(margin.get("minimal_mm"))))
        rows.append(("tumour covered", percent_text(margin.get("tumour_covered_fraction"))))
    return rows


def _point_text(run: SavedRun) -> str:
    point = run.thinnest_point
    if point is None:
        return ""
    return "(" + ", ".join(number_text(float(value), 1) for value in point) + ") mm, LPS"


def _subcapsular(margin: Mapping[str, Any]) -> str:
    share = margin.get("fraction_subcapsular") or 0.0
    if share <= 0.0:
        return ""
    thinnest = margin_text(margin.get("subcapsular_minimal_mm"))
    return (
        f"{percent_text(share)} of the tumour's surface lies within 5 mm of the liver capsule and "
        "is set apart, because no margin is to be had beyond the capsule; the thinnest margin "
        f"there is {thinnest}."
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _data_uri(path: Path, kind: str = "image/png") -> str:
    if not path.is_file():
        return ""
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _history_uri(path: Path) -> str:
    drawn = history_figure(read_history(path)) if path.is_file() else None
    return (
        ""
        if drawn is None
        else f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode('ascii')}"
    )
