"""Colours, margin classes and the wording of numbers, shared by every picture and table.

The classes are those of quantitative ablation margin assessment (below 0, 0 to 5, at least 5 mm; 10
mm is the optimum of
Chlorogiannis 2023, Cancers 15:5806). The four class colours differ in lightness as well as in hue,
so that they stay apart in
the common colour-vision deficiencies and in a grey print (a test measures it). This file needs
neither matplotlib nor VTK.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

NOTICE: Final = "Research software, not a medical device."

TEMPERATURE_RANGE_C: Final = (37.0, 100.0)
TEMPERATURE_MAP: Final = "inferno"
MARGIN_STEP_MM: Final = 0.5
"""Two margin programs differ by a median of 2 mm on the same cases (Laimer 2025): finer digits
would pretend."""

ZONE_COLOUR: Final = "#FFFFFF"
TUMOUR_COLOUR: Final = "#19E3FF"
ZONE_SURFACE_COLOUR: Final = "#F08C3C"
TISSUE_COLOUR: Final = "#D9B8A5"


@dataclass(frozen=True)
class MarginClass:
    """A class of the ablation margin: ``low <= margin < high`` [mm], its key in ``summary.json``
    and its look."""

    low: float
    high: float
    key: str
    label: str
    colour: str
    ink: str


MARGIN_CLASSES: Final = (
    MarginClass(-math.inf, 0.0, "fraction_below_0", "< 0 mm", "#B2182B", "#FFFFFF"),
    MarginClass(0.0, 5.0, "fraction_0_5", "0 to 5 mm", "#FFD24A", "#1B1B1B"),
    MarginClass(5.0, 10.0, "fraction_5_10", "5 to 10 mm", "#35A68F", "#FFFFFF"),
    MarginClass(
        10.0,
        math.inf,
        "fraction_above_10",
        "\N{GREATER-THAN OR EQUAL TO} 10 mm",
        "#1F4E9C",
        "#FFFFFF",
    ),
)


@dataclass(frozen=True)
class SurfaceLook:
    """How a surface of the mesh is called and drawn."""

    label: str
    colour: str


VESSEL_LOOKS: Final = {
    "portal_vein": SurfaceLook("portal vein", "#C77DFF"),
    "hepatic_vein": SurfaceLook("hepatic vein", "#4CB5F5"),
    "vena_cava": SurfaceLook("vena cava", "#2F6FD0"),
    "hepatic_artery": SurfaceLook("hepatic artery", "#FF5A4F"),
}
OTHER_VESSEL: Final = SurfaceLook("vessel", "#9FD8D8")
ACTIVE_LOOK: Final = SurfaceLook("probe, active part", "#7DFF45")
SHAFT_LOOK: Final = SurfaceLook("probe, shaft", "#AEB6BF")


def vessel_look(kind: str) -> SurfaceLook:
    """The look of a vessel by its catalogue kind; an unknown kind gets a neutral one."""
    return VESSEL_LOOKS.get(kind, OTHER_VESSEL)


def margin_class(margin_mm: float) -> MarginClass:
    """The class a margin [mm] belongs to."""
    return next(entry for entry in MARGIN_CLASSES if entry.low <= margin_mm < entry.high)


def margin_round(margin_mm: float) -> float:
    """A margin [mm] rounded down to half a millimetre.

    Down and not to the nearest, so that a printed number never claims more than was computed and
    never falls into another
    class than the margin itself: 4.9 mm is printed as 4.5 mm, -0.1 mm as -0.5 mm.
    """
    # The tiny shift keeps 2.9999999 mm, an exact 3 mm up to round-off, from losing half a
    # millimetre.
    return math.floor(margin_mm / MARGIN_STEP_MM + 1e-6) * MARGIN_STEP_MM + 0.0


def margin_text(margin_mm: float | None) -> str:
    """A margin as it is printed everywhere, with its unit; a dash where there is none."""
    if margin_mm is None or not math.isfinite(margin_mm):
        return "\N{EN DASH}"
    return f"{margin_round(margin_mm):.1f} mm".replace("-", "\N{MINUS SIGN}")


def number_text(value: float | None, digits: int, unit: str = "") -> str:
    """A number with a fixed count of decimals and its unit; a dash where it is missing or not
    finite."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    text = f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
    return f"{text} {unit}".rstrip()
