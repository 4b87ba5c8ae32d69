"""The sentences of preview and report: protocol, verdict, place of the thinnest margin, heat-sink
flag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ablasim.report.palette import (
    MARGIN_CLASSES,
    MarginClass,
    margin_class,
    margin_round,
    margin_text,
    number_text,
    vessel_look,
)
from ablasim.report.saved import SavedRun, Surface
from ablasim.scenario.protocol_words import drive_words, duration_s

MODALITY_NAMES = {"rf": "radiofrequency", "mw": "microwave"}


def modality(run: SavedRun) -> str:
    """``rf`` or ``mw``, of the first probe."""
    return str(run.probes[0].get("modality", "rf")) if run.probes else "rf"


def protocol_line(run: SavedRun) -> str:
    """The treatment on one line: modality, drive, duration, probe."""
    protocol: Mapping[str, Any] = (run.summary.get("scenario") or {}).get("protocol") or {}
    parts = [MODALITY_NAMES.get(modality(run), modality(run)).capitalize()]
    if protocol.get("mode") is not None:
        parts.append(drive_words(protocol))
    duration = duration_s(protocol)
    if duration is not None:
        parts.append(f"{duration / 60.0:g} min")
    models = dict.fromkeys(str(probe.get("model", "probe")) for probe in run.probes)
    return ", ".join([*parts, *(model.replace("_", " ") for model in models)])


@dataclass(frozen=True)
class VesselDistance:
    """A vessel near the tumour.

    Attributes:
        label: its name for people.
        kind: catalogue kind.
        diameter: of its widest branch within 5 mm, else of the nearest [mm]; None where nobody
            knows it.
        distance: of its wall from the tumour [mm].
        is_heat_sink: by the usual clinical definition, as the run found.
    """

    label: str
    kind: str
    diameter: float | None
    distance: float
    is_heat_sink: bool = False

    @property
    def text(self) -> str:
        """Name, kind and diameter."""
        kind = vessel_look(self.kind).label
        size = (
            ""
            if self.diameter is None
            else f", \N{LATIN CAPITAL LETTER O WITH STROKE} {self.diameter:.1f} mm"
        )
        return f"{kind}{size}" if self.label == kind else f"{self.label} ({kind}{size})"


def vessel_distances(run: SavedRun) -> tuple[VesselDistance, ...]:
    """Every vessel with the distance of its wall from the tumour's surface, nearest first; empty
    without a tumour."""
    margin = run.group("margin")
    diameters, sinks = margin.get("vessel_diameter_mm") or {}, margin.get("heat_sinks") or ()
    found = []
    for name, distance in (margin.get("vessel_distance_mm") or {}).items():
        surface = _wall(run, name)
        label, kind = (surface.label, surface.kind) if surface else (name.replace("_", " "), "")
        found.append(VesselDistance(label, kind, diameters.get(name), distance, name in sinks))
    return tuple(sorted(found, key=lambda vessel: vessel.distance))


def _wall(run: SavedRun, vessel: str) -> Surface | None:
    return next((surface for surface in run.surfaces if surface.name == f"vessel.{vessel}"), None)


def thinnest_place(run: SavedRun) -> str:
    """Where the thinnest point lies on the tumour, in the words of a radiologist; empty without
    one."""
    point = run.thinnest_point
    if point is None:
        return ""
    offset = point - run.centre()
    length = float(np.linalg.norm(offset))
    if length < 0.5:
        return "at the tumour's centre"
    words = (("left", "right"), ("posterior", "anterior"), ("superior", "inferior"))
    order = np.argsort(-np.abs(offset))
    parts = [
        words[axis][0 if offset[axis] > 0 else 1]
        for axis in order
        if abs(offset[axis]) > 0.35 * length
    ]
    return f"on the {'-'.join(parts)} side of the tumour"


def nearest_vessel_text(run: SavedRun) -> str:
    """The vessel nearest to the thinnest point, with its diameter and the distance to its wall."""
    margin = run.group("margin")
    name = margin.get("nearest_vessel")
    if not name:
        return ""
    surface = _wall(run, str(name))
    kind = str(margin.get("nearest_vessel_kind") or (surface.kind if surface else ""))
    diameter = margin.get("nearest_vessel_diameter_mm")
    text = VesselDistance(str(name).replace("_", " "), kind, diameter, 0.0).text
    distance = margin.get("nearest_vessel_distance_mm")
    if distance is None:
        return text
    return f"{text}, its wall {number_text(float(distance), 1, 'mm')} from there"


THIN_MM = 2.5
"""A margin in the class of thin ones, whose colour stands for any that misses its target."""


@dataclass(frozen=True)
class Verdict:
    """The answer in front: one sentence, one explanation, and the margin class whose colours belong
    to it; None where there is no tumour."""

    headline: str
    detail: str
    look: MarginClass | None

    @property
    def colour(self) -> str:
        """Of the answer."""
        return "#5A6370" if self.look is None else self.look.colour

    @property
    def ink(self) -> str:
        """Of what is written on that colour."""
        return "#FFFFFF" if self.look is None else self.look.ink


def verdict(run: SavedRun) -> Verdict:
    """Is the whole tumour inside the lethal zone, and by how much?"""
    margin = run.group("margin")
    level, says = run.criterion.title, run.criterion.says
    if run.margin is None:
        return Verdict(
            f"This scenario has no tumour; only the {level} zone is described.", "", None
        )
    minimal = margin.get("minimal_mm")
    if run.zone is None or minimal is None:
        return Verdict(f"No: no tissue {says}, there is no lethal zone.", "", MARGIN_CLASSES[0])
    look = margin_class(float(minimal))
    outside = percent_text(1.0 - float(margin.get("tumour_covered_fraction") or 0.0))
    at_capsule = margin.get("subcapsular_minimal_mm")
    if minimal >= 0.0 and at_capsule is not None and at_capsule < 0.0:
        return Verdict(
            f"No: part of the tumour next to the liver capsule lies outside the {level} zone.",
            f"In this simulation {outside} of its volume lies outside, and its surface sticks out "
            f"there by up to {margin_text(-margin_round(float(at_capsule)))}; elsewhere the "
            f"minimal margin is {margin_text(float(minimal))}.",
            MARGIN_CLASSES[0],
        )
    if minimal < 0.0:
        return Verdict(
            f"No: part of the tumour lies outside the {level} zone.",
            f"In this simulation {outside} of its volume lies outside, and its surface sticks out "
            f"by up to {margin_text(-margin_round(float(minimal)))}.",
            look,
        )
    target = target_mm(run)
    shown = margin_text(float(minimal))
    if minimal < target:
        thin = margin_class(min(float(minimal), THIN_MM))
        return Verdict(
            f"Inside, but with too thin a margin: the {level} zone covers the whole tumour.",
            f"The minimal margin, {shown}, is below the target of {target:g} mm.",
            thin,
        )
    return Verdict(
        f"Yes: the whole tumour lies inside the {level} zone.",
        f"The minimal margin, {shown}, reaches the target of {target:g} mm.",
        look,
    )


def target_mm(run: SavedRun) -> float:
    """The margin that the scenario asks for [mm]."""
    assessment = (run.summary.get("scenario") or {}).get("assessment") or {}
    return float(assessment.get("target_margin_mm", 5.0))


def capsule_line(margin: Mapping[str, Any]) -> str:
    """What is set apart at the liver capsule, in one line; empty where nothing is."""
    share = margin.get("fraction_subcapsular") or 0.0
    if share <= 0.0:
        return ""
    thinnest = margin_text(margin.get("subcapsular_minimal_mm"))
    return f"{percent_text(share)} of the surface, at the capsule, is set apart: {thinnest} there."


def percent_text(fraction: float | None) -> str:
    """A share in percent: one decimal below 10 %, and never a rounded 0 or 100 that is not
    exact."""
    if fraction is None or not np.isfinite(fraction):
        return "\N{EN DASH}"
    value = round(100.0 * float(fraction), 6)  # 1e-16 is round-off, not a share
    if 0.0 < value < 0.1:
        return "< 0.1 %"
    if 99.9 < value < 100.0:
        return "> 99.9 %"
    return f"{value:.1f} %" if value < 10.0 or value > 99.0 else f"{value:.0f} %"
