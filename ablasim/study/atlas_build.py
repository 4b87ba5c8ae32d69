"""From a finished sweep over tumour-vessel geometries to an atlas."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.errors import UsageError
from ablasim.report.palette import NOTICE
from ablasim.scenario import cautions
from ablasim.study.atlas import AXES, FEWEST_NODES, FORMAT, Atlas
from ablasim.study.cases import State, case_directory, write_whole
from ablasim.study.sweep_frozen import Sweep
from ablasim.study.sweep_table import checked_file, table

Floats = NDArray[np.float64]

FIELDS = {
    "anatomy.tumour.diameter_mm": "tumour_mm",
    "anatomy.vessels[0].diameter_mm": "vessel_mm",
    "anatomy.vessels[0].beside_tumour.distance_mm": "distance_mm",
}
"""Which field of a scenario stands along which axis."""

RESULTS = {
    "margin_mm": "margin.minimal_mm",
    "volume_ml": "zone.{}.volume_ml",
    "short_axis_mm": "zone.{}.short_axis_mm",
}
"""Columns of a sweep's table; {} is the criterion of death."""

DIGITS = 3

MAY_DIFFER = ("name", "description", "numerics", "risk")
"""Sections in which the scenario of a check may differ from that of the atlas."""

FINENESS = ("preview", "standard", "fine")
"""Resolutions of meshes, from the coarsest."""

LEAST_SHARE = 0.75
"""Share of the samples that all cases must have: failed ones are left out everywhere."""

MARGIN = "minimal_margin_mm"
"""Column of samples.csv behind those of the inputs."""


def build_atlas(sweep: Sweep, check: Sweep | None = None) -> Atlas:
    """The atlas of a sweep that is done.

    Args:
        sweep: over the three fields of `FIELDS` and nothing else, with `risk`.
        check: cases of the same scenario anywhere between the nodes, on meshes as fine or finer.

    Raises:
        UsageError: the sweep varies something else, has too few nodes or samples, its samples have
            different inputs, or it is not done; the check is of another case.
        InputFileError: a case is damaged.
    """
    _require_axes(sweep)
    if sweep.plan.risk is None:
        raise UsageError(f"{sweep.directory}: has no risk; plan it with risk: {{samples: 32}}")
    columns = table(sweep)
    _require_done(sweep, columns)
    places = [np.array(columns[field], dtype=float) for field in FIELDS]
    axes = [np.unique(place) for place in places]
    for name, nodes in zip(AXES, axes, strict=True):
        if len(nodes) < FEWEST_NODES:
            raise UsageError(
                f"{sweep.directory}: {len(nodes)} values of {name}; an atlas needs"
                f" {FEWEST_NODES} or more, so that the error between them can be estimated"
            )
    if len(sweep) != np.prod([len(nodes) for nodes in axes]):
        raise UsageError(f"{sweep.directory}: is no full grid; vary the three fields by lists")
    index = tuple(np.searchsorted(nodes, at) for nodes, at in zip(axes, places, strict=True))
    shape = tuple(map(len, axes))
    criterion = str(sweep.base["assessment"]["criterion"])
    values: dict[str, Floats] = {}
    for name, column in RESULTS.items():
        values[name] = np.empty(shape)
        values[name][index] = _numbers(columns[column.format(criterion)])
    margins = [_sample_margins(sweep, number) for number in range(1, len(sweep) + 1)]
    common = sorted(set(margins[0]).intersection(*margins))
    if len(common) < LEAST_SHARE * sweep.plan.risk.samples:
        raise UsageError(
            f"{sweep.directory}: only {len(common)} of {sweep.plan.risk.samples} samples were"
            " computed in all of its cases; an atlas compares the same samples everywhere"
        )
    _require_same_inputs(sweep, common)
    values["sample_margin_mm"] = np.empty((*shape, len(common)))
    values["sample_margin_mm"][index] = [[found[n] for n in common] for found in margins]
    # Without a zone there is no margin; one as far below zero as the tumour is wide says as much.
    least = -axes[0][:, None, None]
    values["margin_mm"] = np.fmax(values["margin_mm"], least)
    values["sample_margin_mm"] = np.fmax(values["sample_margin_mm"], least[..., None])
    first = sweep.scenario(1)
    content = {
        "format": FORMAT,
        "device": sweep.base["name"],
        "title": sweep.base["description"],
        "notice": NOTICE,
        "axes": {name: nodes.tolist() for name, nodes in zip(AXES, axes, strict=True)},
        "values": {name: np.round(found, DIGITS).tolist() for name, found in values.items()},
        "risk": sweep.plan.risk.model_dump(mode="json"),
        "resolution": first.numerics.resolution,
        "cautions": list(cautions(first)),
        "check": None,
        "scenario": sweep.base,
        "sweep_sha256": sweep.sha256,
        "ablasim": sweep.version,
    }
    atlas = Atlas(content)
    return atlas if check is None else Atlas(content | {"check": _checked(atlas, check)})


def write_atlas(atlas: Atlas, path: Path) -> None:
    """Write an atlas, whole or not at all.

    Raises:
        UsageError: the ending is not .json.
        ResourceError: it cannot be written.
    """
    if path.suffix.lower() != ".json":
        raise UsageError(f"--output: got {path}; must end in .json")
    text = json.dumps(atlas.content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    write_whole(path, (text + "\n").encode())


def _require_axes(sweep: Sweep) -> None:
    if set(sweep.columns) != set(FIELDS):
        raise UsageError(
            f"{sweep.directory}: varies {', '.join(sweep.columns)}; the sweep of an atlas varies"
            f" {', '.join(FIELDS)}"
        )


def _require_done(sweep: Sweep, columns: Mapping[str, list[Any]]) -> None:
    left = sum(status != State.done.value for status in columns["status"])
    if left:
        raise UsageError(
            f"{sweep.directory}: {left} of {len(sweep)} cases are not done; see `ablasim sweep"
            f" status {sweep.directory}`"
        )


def _numbers(column: list[Any]) -> Floats:
    """A column of the table; NaN where a case has no such number."""
    return np.array([np.nan if value is None else value for value in column], dtype=float)


def _sample_margins(sweep: Sweep, number: int) -> dict[int, float]:
    """Minimal margin [mm] by the sample's number; NaN where nothing died."""
    return {int(row["sample"]): float(row[MARGIN] or "nan") for row in _samples(sweep, number)}


def _samples(sweep: Sweep, number: int) -> list[dict[str, str]]:
    path = checked_file(sweep, number, "samples.csv")
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _require_same_inputs(sweep: Sweep, common: list[int]) -> None:
    """The same sample must mean the same inputs in every case, or margins cannot be interpolated
    sample by sample: an input that one case does not vary, as that of the walls where a thin vessel
    is not meshed, changes all others."""
    first: list[dict[str, str]] = []
    for number in range(1, len(sweep) + 1):
        inputs = [
            dict(itertools.takewhile(lambda item: item[0] != MARGIN, row.items()))
            for row in _samples(sweep, number)
            if int(row["sample"]) in set(common)
        ]
        first = first or inputs
        if inputs != first:
            raise UsageError(
                f"{case_directory(sweep, number)}: its samples have other inputs than those of"
                " case 1; vary geometries that are uncertain alike, for example with vessels"
                " that are all wide enough to be meshed"
            )


def _fixed(base: Mapping[str, Any]) -> dict[str, Any]:
    """What the cases of a sweep have in common, apart from names, mesh and time steps."""
    content = json.loads(json.dumps({k: v for k, v in base.items() if k not in MAY_DIFFER}))
    for field in FIELDS:
        *path, last = re.findall(r"\w+", field)
        place = content
        for step in path:
            place = place[int(step) if step.isdigit() else step]
        place.pop(last, None)
    return dict(content)


def _checked(atlas: Atlas, check: Sweep) -> dict[str, Any]:
    """How far the atlas is off in the cases of another sweep."""
    _require_axes(check)
    own, other = _fixed(atlas.content["scenario"]), _fixed(check.base)
    for key in own | other:
        if own.get(key) != other.get(key):
            raise UsageError(f"{check.directory}: has another {key} than the sweep of the atlas")
    resolution, known = check.scenario(1).numerics.resolution, atlas.content["resolution"]
    if FINENESS.index(resolution) < FINENESS.index(known):
        raise UsageError(
            f"{check.directory}: {resolution} meshes say nothing about an atlas of {known} ones;"
            f" check it with numerics.resolution {known} or finer"
        )
    columns = table(check)
    _require_done(check, columns)
    off = []
    for case in range(len(check)):
        place = {FIELDS[field]: float(columns[field][case]) for field in FIELDS}
        computed = columns[RESULTS["margin_mm"]][case]
        computed = -place["tumour_mm"] if computed is None else float(computed)
        off.append(computed - atlas.at(**place).margin.value)
    differences = np.array(off)
    return {
        "resolution": resolution,
        "count": len(differences),
        "mean": round(float(differences.mean()), DIGITS),
        "root_mean_square": round(float(np.sqrt(np.mean(differences**2))), DIGITS),
        "largest": round(float(np.abs(differences).max()), DIGITS),
    }
