"""A comparison in words: the rows that the command line prints and the picture shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ablasim.report.palette import NOTICE

__all__ = ["NOTICE", "PairRow", "change_rows", "distance_rows", "pair_rows"]

MOST_CHANGES = 20
"""Differing fields of the scenarios that are listed; all are in comparison.json."""
LONGEST_VALUE = 40
"""Characters of a scenario's value that are printed."""
NONE = "-"

ENERGY_WORDS = {
    "delivered_J": "Heat delivered [J]",
    "stored_J": "  stored [J]",
    "perfusion_J": "  to perfusion [J]",
    "vessels_J": "  to vessels [J]",
    "probe_cooling_J": "  to probe cooling [J]",
    "boundary_J": "  through the boundary [J]",
    "balance_error": "  balance error",
}
PLAIN = (
    ("generator", "mean_power_W", "Mean power in tissue [W]", 2),
    ("generator", "final_impedance_ohm", "Final tissue impedance [ohm]", 2),
    ("generator", "rolloffs", "Roll-offs", 0),
    ("generator", "duration_s", "Time [s]", 1),
)
USUALLY_EQUAL = ("rolloffs", "duration_s")
COUNTS = (
    ("mesh", "points", "Points of the mesh", 0),
    ("mesh", "cells", "Tetrahedra", 0),
    ("numerics", "steps", "Time steps", 0),
    ("timing_s", "solve", "Solved in [s]", 1),
)


class PairRow(NamedTuple):
    """A quantity of both runs in words; `key` for those that every picture shows."""

    what: str
    a: str
    b: str
    difference: str = ""
    percent: str = ""


def pair_rows(summary: Mapping[str, Any], *, short: bool = False) -> list[PairRow]:
    """Zones, margin, generator, energy and numerics of both runs.

    Args:
        summary: of a comparison.
        short: only what a picture has room for.
    """
    rows = list(_zone_rows(summary["zone"], short))
    margin = summary["margin"]
    if "minimal_mm" in margin:
        rows.append(_row("Minimal ablative margin [mm]", margin["minimal_mm"], 2, percent=False))
    covered = margin.get("tumour_covered_fraction")
    if covered:
        parts = {k: None if v is None else 100.0 * v for k, v in covered.items() if k != "percent"}
        rows.append(_row("Tumour covered [% of volume]", parts, 1, percent=False))
    for group, key, title, digits in PLAIN:
        values = summary[group].get(key)
        # A picture has no room for what nearly every pair of runs shares.
        if values and not (short and key in USUALLY_EQUAL and values["difference"] == 0.0):
            rows.append(_row(title, values, digits))
    energy = summary["energy"]
    known = [key for key in energy if key in ENERGY_WORDS]
    shown = [k for k in ENERGY_WORDS if k in known][: 1 if short else None]
    for key in shown:
        error = key == "balance_error"
        rows.append(_row(ENERGY_WORDS[key], energy[key], None if error else 0, percent=not error))
    for group, key, title, digits in COUNTS:
        if key in summary[group] and not (short and key in ("cells", "solve")):
            rows.append(_row(title, summary[group][key], digits))
    numerics = summary["numerics"]
    for key in ("engine", "device", "dtype", "resolution"):
        one, two = (str(numerics[key][side] or NONE) for side in ("a", "b"))
        if not short or key == "engine":
            rows.append(PairRow(key.capitalize().replace("Dtype", "Number type"), one, two))
    return rows


def _zone_rows(zones: Mapping[str, Any], short: bool) -> Iterator[PairRow]:
    chosen = str(zones["criterion"])
    groups = {name: zone for name, zone in zones.items() if isinstance(zone, Mapping)}
    for name in sorted(groups, key=lambda each: each != chosen):
        zone = groups[name]
        note = " *" if name == chosen and len(groups) > 1 and not short else ""
        yield _row(f"{zone['title']} zone{note} [ml]", zone["volume_ml"], 2)
        if not short or name == chosen:
            yield _row("  long axis [mm]", zone["long_axis_mm"], 2)
            yield _row("  short axis [mm]", zone["short_axis_mm"], 2)


def _row(
    what: str, values: Mapping[str, Any], digits: int | None, *, percent: bool = True
) -> PairRow:
    change = values.get("percent") if percent else None
    return PairRow(
        what,
        _number(values.get("a"), digits),
        _number(values.get("b"), digits),
        NONE if values.get("difference") is None else signed(values["difference"], digits == 0),
        "" if not percent else NONE if change is None else signed(change),
    )


def _number(value: float | None, digits: int | None) -> str:
    if value is None:
        return NONE
    return f"{value:.1e}" if digits is None else f"{value:.{digits}f}"


TINY = 1e-3
"""Differences below it are written with an exponent: they are noise of the numerics."""


def signed(value: float, whole: bool = False) -> str:
    """A difference with its sign and three significant digits (two of tiny ones), or as a whole
    number; a plain 0 for none at all."""
    if value == 0.0:
        return "0"
    if abs(value) < TINY:
        return f"{value:+.1e}"
    return f"{value:+.0f}" if whole or abs(value) >= 1e3 else f"{value:+#.3g}".removesuffix(".")


def significant(value: float) -> str:
    """A size with three significant digits; a plain 0 for none at all."""
    return signed(value).removeprefix("+")


def distance_rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """How far apart the lethal surfaces and the temperatures are."""
    for name, surface in summary["surface"].items():
        title = summary["zone"][name]["title"]
        if surface is None:
            yield f"Lethal surfaces, {title}", "not compared: a run has no such zone"
            continue
        most, mean = significant(surface["max_mm"]), significant(surface["mean_mm"])
        yield f"Lethal surfaces, {title}", f"{most} mm apart at most, {mean} mm on average"
        if surface["max_at_mm"] is not None:
            who = surface["reaches_farther_there"]
            text = f"{who.upper()} reaches farther" if who else ""
            yield (
                "  largest distance",
                ", ".join(filter(None, (_point(surface["max_at_mm"]), text))),
            )
    temperature = summary["temperature"]
    for key, what in (("final", "Final temperature"), ("peak", "Highest temperature")):
        found = temperature[key]
        relative = found["l2_relative"]
        text = NONE if relative is None else f"relative L2 {significant(relative)}"
        place = "" if found["max_at_mm"] is None else f" at {_point(found['max_at_mm'])}"
        yield what, f"{text}, rms {_kelvin(found['rms_K'])}, max {_kelvin(found['max_K'])}{place}"
    share = 100.0 * temperature["compared_volume_fraction"]
    how = "the same mesh, point for point" if summary["same_mesh"] else "B's field in A's mesh"
    yield "  compared over", f"{share:.4g} % of A's tissue: {how}"
    yield "  relative to", f"A's rise above {temperature['rise_above_C']:g} °C"


def _kelvin(value: float | None) -> str:
    return "not finite" if value is None else f"{significant(value)} K"


def _point(place: Sequence[float]) -> str:
    return "(" + ", ".join(f"{round(value, 1) + 0.0:.1f}" for value in place) + ") mm LPS"


def change_rows(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Fields of the scenarios that differ, as (key, A, B)."""
    changes = summary["scenario_changes"]
    rows = [(each["key"], _value(each["a"]), _value(each["b"])) for each in changes[:MOST_CHANGES]]
    left = len(changes) - len(rows)
    return rows + ([(f"... and {left} more (--json)", "", "")] if left else [])


def _value(value: Any) -> str:
    text = NONE if value is None else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
