"""Two finished runs side by side: how far apart their temperatures, zones and margins are, and what
was changed in the scenario. Lengths in mm, volumes in ml; `b` minus `a` everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ablasim.assess.compare import (
    FieldDifference,
    SurfaceDistance,
    field_differences,
    same_mesh,
    surfaces_apart,
    zone_holds,
)
from ablasim.assess.zone import LethalZone, lethal_zone
from ablasim.errors import InputFileError, UsageError
from ablasim.frames import ML, MM
from ablasim.mesh_tet import TetMesh
from ablasim.physics.damage import CRITERIA, criterion
from ablasim.report.palette import NOTICE
from ablasim.report.record import RunRecord
from ablasim.report.scenario_changes import scenario_changes
from ablasim.report.summary import build_summary, tidy
from ablasim.solve.solution import Status

if TYPE_CHECKING:
    from ablasim.report.saved import SavedRun

Group = dict[str, Any]
Floats = NDArray[np.float64]

FINAL, PEAK = "temperature_C", "peak_C"
SIXTY = "peak_60C"
"""The surface that every comparison measures, whatever the runs were assessed by."""
AXES = ("long_axis", "short_axis")
MARGIN = ("minimal_mm", "tumour_covered_fraction")
GENERATOR = ("duration_s", "mean_power_W", "final_impedance_ohm", "rolloffs")
NUMERICS = ("steps", "rejected", "potential_iterations")
SAME_TIME = 1e-6
"""Final times nearer than this are the same [s]."""
WHOLE = 1e-4
"""Share of A's tissue that may lie outside B without a word: round walls in two meshes."""
LEAST_SHARE = 0.9
"""Share of A's tissue that must lie in B for a limit on the temperature to say anything."""
NAMES = ("engine", "device", "dtype", "resolution")


class Result(Protocol):
    """What `ablasim.run_scenario` returns, as far as it is compared."""

    @property
    def record(self) -> RunRecord:
        """The run's parts."""


Run = str | Path | RunRecord | Result


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two runs.

    Attributes:
        label: its directory, or its scenario's name.
        mesh: the tissue.
        fields: `temperature_C` and `peak_C` at its points (n,) [°C].
        zones: by criterion.
        summary: as in summary.json.
        saved: what was read from files; None for a run in memory.
    """

    label: str
    mesh: TetMesh
    fields: Mapping[str, Floats]
    zones: Mapping[str, LethalZone]
    summary: Mapping[str, Any]
    saved: SavedRun | None = None

    @property
    def criterion(self) -> str:
        """By which the run was assessed."""
        name = str(self.group("zone").get("criterion", SIXTY))
        return name if name in self.zones else SIXTY

    def group(self, name: str) -> Mapping[str, Any]:
        """A group of the summary; empty where the run has none."""
        value = self.summary.get(name)
        return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, eq=False)
class Comparison:
    """How far run B is from run A.

    Attributes:
        summary: every number, as `ablasim compare --json` prints it.
        a, b: the runs.
        fields: B - A of `temperature_C` and `peak_C` at A's points [K].
        surfaces: distance of the lethal surfaces by criterion: that of A's assessment and 60 °C;
            None where a run has no such zone.
    """

    summary: Group
    a: Side
    b: Side
    fields: Mapping[str, FieldDifference]
    surfaces: Mapping[str, SurfaceDistance | None]

    def exceeded(
        self,
        *,
        max_surface_mm: float | None = None,
        max_temperature_l2: float | None = None,
        max_volume_percent: float | None = None,
    ) -> tuple[str, ...]:
        """Which limits the runs are apart by more than; a sentence each.

        What cannot be measured exceeds: the distance from a zone that is not there, a temperature
        of which less than LEAST_SHARE could be compared.

        Args:
            max_surface_mm: largest distance of the lethal surfaces.
            max_temperature_l2: relative L2 difference of the final and of the peak temperature.
            max_volume_percent: difference of the zones' volumes.
        """
        zones = {name: self.summary["zone"][name] for name in self.surfaces}
        found: list[tuple[str, float | None, float | None, str]] = []
        for name, surface in self.surfaces.items():
            title = f"{zones[name]['title']} zone"
            apart = None if surface is None else surface.max / MM
            found.append((f"{title}: largest surface distance", apart, max_surface_mm, " mm"))
            percent = zones[name]["volume_ml"]["percent"]
            apart = None if percent is None else abs(percent)
            found.append((f"{title}: difference in volume", apart, max_volume_percent, " %"))
        for name, what in ((FINAL, "final"), (PEAK, "peak")):
            field = self.fields[name]
            apart = field.l2_relative if field.compared_fraction >= LEAST_SHARE else None
            text = f"{what} temperature: relative L2 difference"
            found.append((text, apart, max_temperature_l2, ""))
        return tuple(
            f"{what} {'cannot be measured' if apart is None else f'{apart:.3g}{unit}'}, "
            f"limit {limit:g}{unit}"
            for what, apart, limit, unit in found
            # written so that NaN exceeds too
            if limit is not None and not (apart is not None and apart <= limit)
        )


def compare(a: Run, b: Run) -> Comparison:
    """Compare two finished runs, on the same mesh or on different ones.

    On the same mesh temperatures are compared point for point; on different meshes B's are sampled
    in A's cells, and what lies in only one of them is left out.

    Args:
        a: the reference: a directory that `ablasim run -o` wrote, or what `run_scenario` returned.
        b: what is compared with it.

    Returns:
        The comparison; its `summary` holds every number.

    Raises:
        InputFileError: a directory is no result, a file in it is damaged, or the two runs have no
            tissue in common.
        UsageError: `a` or `b` is neither a directory nor a result.
    """
    one, two = _side(a, "a"), _side(b, "b")
    same = same_mesh(one.mesh, two.mesh)
    start = float((one.group("scenario").get("physics") or {}).get("initial_temperature_C", 37.0))
    fields = field_differences(one.mesh, one.fields, two.mesh, two.fields, baseline=start)
    if not fields:
        raise InputFileError(
            f"{one.label} and {two.label} have no tissue in common: {_extent(one.mesh)} against "
            f"{_extent(two.mesh)} mm LPS. Compare runs of the same anatomy."
        )
    names = tuple(dict.fromkeys((one.criterion, SIXTY)))
    surfaces = {
        name: surfaces_apart(one.zones[name], two.zones[name]) if name in two.zones else None
        for name in names
    }
    summary: Group = {
        "notice": NOTICE,
        "a": _identity(one),
        "b": _identity(two),
        "same_mesh": same,
        "warnings": _warnings(one, two, names, fields[PEAK].compared_fraction),
        "temperature": {
            "compared_volume_fraction": fields[PEAK].compared_fraction,
            "rise_above_C": start,
            "final": _field(fields[FINAL]),
            "peak": _field(fields[PEAK]),
        },
        "surface": {
            name: None if apart is None else _surface(one, two, name, apart)
            for name, apart in surfaces.items()
        },
        "zone": {"criterion": one.criterion} | _zones(one, two),
        "margin": _pairs(one, two, "margin", MARGIN),
        "generator": _pairs(one, two, "generator", GENERATOR),
        "energy": _pairs(one, two, "energy", _numbers(one, two, "energy")),
        "mesh": _pairs(one, two, "mesh", ("points", "cells")),
        "numerics": _pairs(one, two, "numerics", NUMERICS)
        | {
            name: {"a": one.group("numerics").get(name), "b": two.group("numerics").get(name)}
            for name in NAMES
        },
        "timing_s": _pairs(one, two, "timing_s", ("mesh", "compile", "solve", "total")),
        "scenario_changes": [
            {"key": key, "a": old, "b": new}
            for key, old, new in scenario_changes(one.group("scenario"), two.group("scenario"))
        ],
    }
    return Comparison(tidy(summary), one, two, fields, surfaces)


def _side(run: Run, name: str) -> Side:
    if isinstance(run, str | Path):
        return _read(Path(run))
    record = run if isinstance(run, RunRecord) else getattr(run, "record", None)
    if not isinstance(record, RunRecord):
        raise UsageError(
            f"compare: {name}: got {type(run).__name__}; give the directory of a run, or what "
            "run_scenario returned"
        )
    fields = {FINAL: record.solution.temperature, PEAK: record.solution.peak}
    label = record.scenario.name
    return Side(label, record.mesh, fields, record.zones, build_summary(record))


def _read(directory: Path) -> Side:
    """A run from its directory; its zones are cut again, with all digits of the fields."""
    from ablasim.report.saved import load_run

    run = load_run(directory)
    values = {
        key: np.asarray(each, dtype=np.float64) for key, each in run.fields.point_data.items()
    }
    kinetics = str((run.group("scenario").get("assessment") or {}).get("arrhenius_set", ""))
    judges = [criterion(name, kinetics) for name in CRITERIA]
    zones = {
        judge.name: lethal_zone(
            run.mesh,
            judge.field(values),
            judge.level,
            run.probe_axes,
            title=judge.title,
            says=judge.says,
        )
        for judge in judges
        if judge.key in values
    }
    fields = {name: values[name] for name in (FINAL, PEAK)}
    return Side(str(directory), run.mesh, fields, zones, run.summary, run)


def _identity(side: Side) -> Group:
    return {
        "directory": None if side.saved is None else str(side.saved.directory),
        "name": side.summary.get("name"),
        "status": side.summary.get("status"),
        "inputs_sha256": side.summary.get("inputs_sha256"),
        "ablasim": side.group("versions").get("ablasim"),
    }


def _warnings(one: Side, two: Side, names: Sequence[str], share: float) -> list[str]:
    found = []
    if share < 1.0 - WHOLE:
        found.append(
            f"Temperatures are compared in {100.0 * share:.4g} % of A's tissue: the rest lies "
            "outside B."
        )
    for side, letter in ((one, "A"), (two, "B")):
        status = side.summary.get("status")
        if status != Status.DONE.value:
            found.append(f"{letter} did not come to its end: {status}.")
        for name in names:
            zone = side.zones.get(name)
            if zone is None:
                found.append(f"{letter} holds no field of the criterion {name}.")
            elif zone.is_empty:
                text = f"{letter} has no {zone.title} zone, so that no surface can be compared."
                found.append(text)
        if not side.group("margin"):
            found.append(f"{letter} has no tumour, so that no margin can be compared.")
    if one.criterion != two.criterion:
        found.append(f"A is assessed by {one.criterion}, B by {two.criterion}.")
    ends = [side.group("generator").get("duration_s") for side in (one, two)]
    first, last = (math.nan if end is None else float(end) for end in ends)
    if abs(first - last) > SAME_TIME:
        found.append(f"Final temperatures are of different times: {first:g} s and {last:g} s.")
    return found


def pair(a: float | None, b: float | None) -> Group:
    """Two numbers, B - A, and that in percent of A; null where one of them is missing."""
    if a is None or b is None:
        return {"a": a, "b": b, "difference": None, "percent": None}
    gap = b - a
    percent = 0.0 if gap == 0.0 else 100.0 * gap / abs(a) if a != 0.0 else None
    return {"a": a, "b": b, "difference": gap, "percent": percent}


def _pairs(one: Side, two: Side, group: str, keys: Sequence[str]) -> Group:
    """Numbers of a group of both summaries; keys that neither run has are left out."""
    first, second = one.group(group), two.group(group)
    known = [k for k in keys if first.get(k) is not None or second.get(k) is not None]
    return {key: pair(first.get(key), second.get(key)) for key in known}


def _numbers(one: Side, two: Side, group: str) -> list[str]:
    items = [*one.group(group).items(), *two.group(group).items()]
    return list(dict.fromkeys(key for key, value in items if isinstance(value, int | float)))


def _zones(one: Side, two: Side) -> Group:
    """Volume and axes by criterion, of those that one of the runs has."""
    found: Group = {}
    for name in dict.fromkeys((*one.zones, *two.zones)):
        first, second = one.zones.get(name), two.zones.get(name)
        known = first or second
        group: Group = {"title": (known.title if known else "") or name}
        group["volume_ml"] = pair(_of(first, "volume", ML), _of(second, "volume", ML))
        for axis in AXES:
            group[f"{axis}_mm"] = pair(_of(first, axis, MM), _of(second, axis, MM))
        found[name] = group
    return found


def _of(zone: LethalZone | None, attribute: str, unit: float) -> float | None:
    return None if zone is None else float(getattr(zone, attribute)) / unit


def _field(apart: FieldDifference) -> Group:
    return {
        "l2_relative": apart.l2_relative,
        "rms_K": apart.rms,
        "max_K": apart.max,
        "max_at_mm": apart.place / MM if apart.max > 0.0 else None,
    }


def _surface(one: Side, two: Side, name: str, apart: SurfaceDistance) -> Group:
    other = one if apart.on_second else two
    # A vertex of B inside A's zone: there A reaches farther.
    within = zone_holds(other.mesh, other.zones[name], apart.place) if apart.max > 0.0 else None
    farther = None if within is None else "b" if apart.on_second is not within else "a"
    return {
        "max_mm": apart.max / MM,
        "mean_mm": apart.mean / MM,
        "a_to_b_max_mm": apart.there_max / MM,
        "a_to_b_mean_mm": apart.there_mean / MM,
        "b_to_a_max_mm": apart.back_max / MM,
        "b_to_a_mean_mm": apart.back_mean / MM,
        "max_at_mm": apart.place / MM if apart.max > 0.0 else None,
        "reaches_farther_there": farther,
    }


def _extent(mesh: TetMesh) -> str:
    low, high = mesh.points.min(axis=0) / MM, mesh.points.max(axis=0) / MM
    return " x ".join(f"[{a:.0f}, {b:.0f}]" for a, b in zip(low, high, strict=True))
