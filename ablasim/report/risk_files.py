"""Writes the files of a risk study, apart from its pictures. Lengths in mm, LPS."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.assess.risk import SurfaceRisk
from ablasim.assess.zone import LethalZone
from ablasim.frames import MM
from ablasim.report.files import polydata, save_mesh, zone_surface_data

Floats = NDArray[np.float64]

ZONE_FILES = {0.05: "zone_p5.vtp", 0.5: "zone_p50.vtp", 0.95: "zone_p95.vtp"}

DIGITS = 10


def write_json(path: Path, summary: Mapping[str, Any]) -> None:
    """A summary as JSON; refuses NaN, which is no JSON."""
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_samples(
    path: Path, columns: Mapping[str, NDArray[Any]], numbers: NDArray[np.int64]
) -> None:
    """One row per sample with its number in the sequence; an empty cell where there is no value."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["sample", *columns])
        for number, row in zip(numbers, zip(*columns.values(), strict=True), strict=True):
            writer.writerow([number, *(_cell(value) for value in row)])


def _cell(value: Any) -> str:
    if isinstance(value, str | np.str_):
        return str(value)
    number = float(value)
    return f"{number:.{DIGITS}g}" if math.isfinite(number) else ""


def write_tumour(
    path: Path,
    points: Floats,
    triangles: NDArray[np.int32],
    risk: SurfaceRisk,
    subcapsular: NDArray[np.bool_],
) -> None:
    """The tumour's surface with the probability of an incomplete margin at every point."""
    surface = polydata(points, triangles)
    data = surface.point_data
    data["probability"] = risk.probability
    data["probability_low"], data["probability_high"] = risk.low, risk.high
    data["probability_below_target"] = risk.below_target
    for name, margin in zip(("p5", "p50", "p95"), risk.margin, strict=True):
        # VTK's files know no infinity
        data[f"margin_{name}_mm"] = np.nan_to_num(margin / MM, neginf=-999.0)
    data["subcapsular"] = subcapsular.astype(np.uint8)
    save_mesh(surface, path)


def write_zones(folder: Path, zones: Mapping[float, LethalZone]) -> None:
    """The conservative (P5), median and P95 zone."""
    for level, zone in zones.items():
        save_mesh(zone_surface_data(zone), folder / ZONE_FILES[level])
