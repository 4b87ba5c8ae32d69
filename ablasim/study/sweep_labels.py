"""What a column of a sweep's table is called on a picture: words, and the unit of its suffix."""

from __future__ import annotations

import re

UNITS = {
    "mm": "mm",
    "mm2": "mm²",
    "ml": "ml",
    "W": "W",
    "V": "V",
    "A": "A",
    "J": "J",
    "s": "s",
    "C": "°C",
    "K": "K",
    "ohm": "Ω",
    "dB": "dB",
    "MHz": "MHz",
    "cm_s": "cm/s",
    "ml_min": "ml/min",
    "kg_m3": "kg/m³",
    "J_kgK": "J/(kg K)",
    "J_m3K": "J/(m³ K)",
    "W_mK": "W/(m K)",
    "W_mK2": "W/(m K²)",
    "W_m2K": "W/(m² K)",
    "W_m3K": "W/(m³ K)",
    "S_m": "S/m",
    "per_K": "1/K",
    "per_s": "1/s",
    "ml_min_100g": "ml/min per 100 g",
    "J_mol": "J/mol",
}
NAMES = {
    "margin.minimal_mm": "minimal margin [mm]",
    "zone.peak_60C.volume_ml": "volume of the 60 °C zone [ml]",
    "zone.peak_60C.short_axis_mm": "short axis of the 60 °C zone [mm]",
    "zone.peak_60C.long_axis_mm": "long axis of the 60 °C zone [mm]",
    "thermal.peak_C": "highest temperature [°C]",
}
STUDIED = {
    "risk.margin_mm": ("minimal margin", "mm"),
    "risk.zone_volume_ml": ("volume of the zone", "ml"),
    "risk.probability.margin_below_0": ("P(margin < 0)", ""),
    "risk.probability.margin_below_target": ("P(margin < target)", ""),
    "risk.probability.margin_below_0_at_the_capsule": ("P(margin < 0) at the capsule", ""),
}
"""Results of a risk study, whose unit stands before the quantile, and those without one."""

ENDS = {"value": "", "low": "lower end", "high": "upper end"}
"""Of the interval of a result of a risk study."""

SECTIONS = ("anatomy", "mesh", "protocol", "physics", "numerics", "tissues")
"""Sections of a scenario that need no mention."""

AXES = ("x", "y", "z")


def unit_of(column: str) -> str:
    """The unit that a key's suffix names; empty without one."""
    studied = _studied(column)
    return _split(_last(column))[1] if studied is None else studied[1]


def label_of(column: str) -> str:
    """`anatomy.tumour.diameter_mm` as "tumour diameter [mm]"."""
    if column in NAMES:
        return NAMES[column]
    studied = _studied(column)
    if studied is not None:
        return f"{studied[0]} [{studied[1]}]" if studied[1] else studied[0]
    parts = column.split(".")
    if parts[0] in SECTIONS and len(parts) > 1 and parts[1:] != ["points"]:
        parts = parts[1:]
    axis = parts.pop() if parts[-1] in AXES else ""
    words = []
    for place, part in enumerate(parts):
        key, *numbers = re.split(r"[\[\]]+", part.rstrip("]"))
        last = place == len(parts) - 1
        words.append((_split(key)[0] if last else key).replace("_", " "))
        if last and key.endswith("_mm") and len(numbers) == 1 and int(numbers[0]) < len(AXES):
            numbers = [AXES[int(numbers[0])]]
        words += numbers
    words.append(axis)
    unit = unit_of(column)
    text = " ".join(word for word in words if word)
    return f"{text} [{unit}]" if unit else text


def _studied(column: str) -> tuple[str, str] | None:
    """Words and unit of a result of a risk study; None for any other column."""
    *rest, end = column.split(".")
    quantile = rest[-1] if rest and re.fullmatch(r"p\d+", rest[-1]) else ""
    name = ".".join(rest[:-1] if quantile else rest)
    if name not in STUDIED or end not in ENDS:
        return None
    words, unit = STUDIED[name]
    return ", ".join(filter(None, (words, quantile.upper(), ENDS[end]))), unit


def _last(column: str) -> str:
    """The part of a column's name that carries the unit."""
    parts = column.split(".")
    if parts[-1] in AXES and len(parts) > 1:
        parts.pop()
    return re.sub(r"\[\d+\]", "", parts[-1])


def _split(key: str) -> tuple[str, str]:
    """`diameter_mm` as ("diameter", "mm")."""
    for suffix in sorted(UNITS, key=len, reverse=True):
        if key.endswith(f"_{suffix}"):
            return key.removesuffix(f"_{suffix}"), UNITS[suffix]
    return key, ""
