"""Colours and classes of the probability of an incomplete margin. Needs neither matplotlib nor VTK.

The colours differ in lightness as well as in hue; blue is safe, red is not, as with the margins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class RiskClass:
    """A class of probability: ``low <= p < high``, with its label and its look."""

    low: float
    high: float
    label: str
    colour: str
    ink: str


RISK_CLASSES: Final = (
    RiskClass(0.0, 0.05, "below 5 %", "#1F4E9C", "#FFFFFF"),
    RiskClass(0.05, 0.2, "5 to 20 %", "#35A68F", "#FFFFFF"),
    RiskClass(0.2, 0.5, "20 to 50 %", "#FFE27A", "#1B1B1B"),
    RiskClass(0.5, 0.8, "50 to 80 %", "#E9822B", "#1B1B1B"),
    RiskClass(0.8, 1.0 + 1e-9, "80 % and more", "#A3122B", "#FFFFFF"),
)

ZONE_LINES: Final[dict[float, tuple[str, float, Any]]] = {
    0.05: ("conservative zone (P5): dies in 95 % of the samples", 2.4, "solid"),
    0.5: ("median zone (P50)", 1.6, (0, (5, 2))),
    0.95: ("widest zone (P95): dies in 5 % of the samples", 1.1, (0, (1, 1.6))),
}
"""Meaning, line width [pt] and dashes of each quantile's zone."""

DYING_MAP: Final = "cividis"


def risk_class(probability: float) -> RiskClass:
    """The class that a probability belongs to."""
    return next(entry for entry in RISK_CLASSES if entry.low <= probability < entry.high)


def percent(probability: float) -> str:
    """A probability as it is printed: whole percent, never a rounded 0 or 100."""
    if 0.0 < probability < 0.005:
        return "< 0.5 %"
    if 0.995 < probability < 1.0:
        return "> 99.5 %"
    return f"{100.0 * probability:.0f} %"
