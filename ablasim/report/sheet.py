"""The page of a preview: its size, where the panels are, their titles."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablasim.report.legend import INK

SIZE_INCH = (16.0, 10.1)
DPI = 125
PANEL = 4.05
GAP = 0.18
MARGIN = 0.25
COLUMNS = tuple(MARGIN + number * (PANEL + GAP) for number in range(3))
ROWS = (4.75, 0.36)
SIDE = COLUMNS[2] + PANEL + 0.25
FAINT = "#5A6370"
PANEL_TITLE: dict[str, Any] = {
    "fontsize": 11,
    "loc": "left",
    "color": INK,
    "pad": 4,
    "weight": "bold",
}


def place_axes(figure: Figure, left: float, low: float, width: float, height: float) -> Axes:
    """Axes placed in inches from the lower left corner."""
    across, up = SIZE_INCH
    axes: Axes = figure.add_axes((left / across, low / up, width / across, height / up))
    return axes
