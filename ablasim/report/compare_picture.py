"""``comparison.png``: both lethal zones over A's peak temperature, the difference B - A in the same
slices, and the numbers, on one page for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ablasim.report.compare import PEAK, WHOLE, Comparison
from ablasim.report.compare_rows import change_rows, pair_rows, significant
from ablasim.report.compare_slices import (
    B_COLOUR,
    B_DASHES,
    DIFFERENCE_MAP,
    MISSING,
    ComparedSlices,
    compared_slices,
    draw_difference,
    draw_zones,
)
from ablasim.report.figures import BACKGROUND
from ablasim.report.legend import INK
from ablasim.report.palette import (
    ACTIVE_LOOK,
    NOTICE,
    SHAFT_LOOK,
    TUMOUR_COLOUR,
    ZONE_COLOUR,
    vessel_look,
)
from ablasim.report.preview import temperature_bar
from ablasim.report.saved import SavedRun
from ablasim.report.sheet import PANEL_TITLE

SIZE_INCH = (17.7, 9.6)
DPI = 125
PANEL, GAP, MARGIN = 3.85, 0.14, 0.25
ROWS = (4.58, 0.38)
"""Lower edges of the two rows of slices [inch]."""
BAR = MARGIN + 3 * (PANEL + GAP) + 0.02
SIDE = BAR + 0.95
FAINT = "#5A6370"
TITLE: dict[str, Any] = PANEL_TITLE | {"fontsize": 10.2}
MOST_LINES = 6
"""Differing fields of the scenarios that the picture lists."""
COLUMNS = (0.0, 2.36, 2.88, 3.58, 4.28)
"""Left end of the first column of the table, right ends of the others [inch]."""
TABLE_SIZE = 8.6
LINE_LENGTH = 62
LONGEST_PATH = 90


def write_picture(target: Path, comparison: Comparison, one: SavedRun, two: SavedRun) -> None:
    """Draw the page.

    Args:
        target: a PNG file.
        comparison: of the two runs.
        one, two: A and B, read from their directories.
    """
    figure = Figure(figsize=SIZE_INCH)
    FigureCanvasAgg(figure)
    slices = compared_slices(comparison, one, two)
    for column, pair in enumerate(slices.pairs):
        for row, low in enumerate(ROWS):
            axes = _axes(figure, MARGIN + column * (PANEL + GAP), low, PANEL, PANEL)
            if row == 0:
                draw_zones(axes, slices, pair)
                axes.set_title(pair.one.plane.title, **TITLE)
            else:
                draw_difference(axes, slices, pair)
                text = "Difference in peak temperature, B \N{MINUS SIGN} A"
                axes.set_title(text if column == 0 else "", **TITLE)
    _draw_bars(figure, slices.limit)
    _draw_header(figure, comparison)
    _draw_side(figure, comparison, slices)
    figure.text(MARGIN / SIZE_INCH[0], 0.011, NOTICE, fontsize=9, color=INK, weight="bold")
    figure.savefig(target, format="png", dpi=DPI, facecolor="#FFFFFF")


def _axes(figure: Figure, left: float, low: float, width: float, height: float) -> Axes:
    """Axes placed in inches from the lower left corner."""
    across, up = SIZE_INCH
    axes: Axes = figure.add_axes((left / across, low / up, width / across, height / up))
    return axes


def _draw_bars(figure: Figure, limit: float) -> None:
    across, up = SIZE_INCH
    box = (BAR / across, (ROWS[0] + 0.25) / up, 0.2 / across, (PANEL - 0.85) / up)
    temperature_bar(figure, box)
    label: dict[str, Any] = {"fontsize": 9, "color": INK, "weight": "bold", "va": "bottom"}
    figure.text(BAR / across, (ROWS[0] + PANEL - 0.5) / up, "A: peak\n[°C]", **label)
    axes = figure.add_axes((BAR / across, (ROWS[1] + 0.3) / up, 0.2 / across, (PANEL - 1.15) / up))
    if limit > 0.0:
        scale = ScalarMappable(Normalize(-limit, limit), colormaps[DIFFERENCE_MAP])
        ticks = np.linspace(-limit, limit, 5)
        bar = figure.colorbar(scale, cax=axes, ticks=ticks, extend="both")
        bar.ax.set_yticklabels(
            [f"{t:+g}".replace("-", "\N{MINUS SIGN}") if t else "0" for t in ticks]
        )
        bar.ax.tick_params(labelsize=9, color=INK)
        text = "B \N{MINUS SIGN} A:\npeak [K]"
    else:
        axes.set_axis_off()
        text = "B \N{MINUS SIGN} A:\nno\ndifference"
    figure.text(BAR / across, (ROWS[1] + PANEL - 0.62) / up, text, **label)


def _draw_header(figure: Figure, comparison: Comparison) -> None:
    across, up = SIZE_INCH
    summary = comparison.summary
    title = f"{summary['zone'][comparison.a.criterion]['title']} zone"
    figure.text(MARGIN / across, 9.24 / up, f"Two runs compared: {title}", fontsize=16,
                weight="bold", color=INK)  # fmt: skip
    lines: tuple[tuple[str, str, str, Any], ...] = (
        ("A", "a", ZONE_COLOUR, "solid"),
        ("B", "b", B_COLOUR, B_DASHES),
    )
    for row, (letter, key, colour, dashes) in enumerate(lines):
        y = (9.02 - 0.2 * row) / up
        start, end = MARGIN / across, (MARGIN + 0.5) / across
        figure.add_artist(Line2D([start, end], [y, y], color=BACKGROUND, linewidth=4.6))
        figure.add_artist(Line2D([start, end], [y, y], color=colour, linewidth=2.2,
                                 linestyle=dashes))  # fmt: skip
        side = summary[key]
        place = str(side["directory"])
        place = place if len(place) <= LONGEST_PATH else f"...{place[-LONGEST_PATH:]}"
        text = f"{letter}  {place}  ({side['name']})"
        figure.text((MARGIN + 0.62) / across, y, text, fontsize=10, va="center", color=INK)


def _draw_side(figure: Figure, comparison: Comparison, slices: ComparedSlices) -> None:
    """The column on the right: distances, the table, what was changed, the legend."""
    across, up = SIZE_INCH
    summary, left = comparison.summary, SIDE / across
    y = 9.33
    for line in _headlines(comparison):
        figure.text(left, y / up, line, fontsize=9.6, weight="bold", color=INK, va="center")
        y -= 0.22
    y -= 0.1
    columns = [SIDE + place for place in COLUMNS]
    table = [("", "A", "B", "B \N{MINUS SIGN} A", "%"), *pair_rows(summary, short=True)]
    for number, row in enumerate(table):
        for column, (x, cell) in enumerate(zip(columns, row, strict=True)):
            text = cell.replace("-", "\N{MINUS SIGN}") if column else cell
            weight = "bold" if number == 0 else "normal"
            figure.text(x / across, y / up, text, fontsize=TABLE_SIZE, color=INK, weight=weight,
                        ha="right" if column else "left", va="center")  # fmt: skip
        if number == 0:
            rule = [(y - 0.1) / up] * 2
            figure.add_artist(
                Line2D([left, columns[-1] / across], rule, color=FAINT, linewidth=0.8)
            )
        y -= 0.2
    y -= 0.12
    changes = change_rows(summary)
    heading = "Changed in the scenario (A \N{RIGHTWARDS ARROW} B)" if changes else "Same scenario"
    figure.text(left, y / up, heading, fontsize=9.5, weight="bold", color=INK, va="center")
    for key, old, new in changes[:MOST_LINES]:
        y -= 0.185
        line = f"{key}: {old} \N{RIGHTWARDS ARROW} {new}" if old or new else key
        line = line if len(line) < LINE_LENGTH else f"{line[: LINE_LENGTH - 3]}..."
        figure.text(left, y / up, line, fontsize=8.6, color=INK, va="center")
    if len(changes) > MOST_LINES:
        y -= 0.185
        text = f"... and {len(summary['scenario_changes']) - MOST_LINES} more"
        figure.text(left, y / up, text, fontsize=8.6, color=INK, va="center")
    legend = figure.legend(
        handles=_handles(comparison, slices.one, slices.moved),
        loc="lower left",
        bbox_to_anchor=((SIDE - 0.06) / across, 0.12 / up),
        ncols=2,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handlelength=2.0,
        columnspacing=1.0,
        borderpad=0.0,
        labelspacing=0.4,
    )
    legend.set_in_layout(False)


def _headlines(comparison: Comparison) -> list[str]:
    """The few numbers that the page is about."""
    summary = comparison.summary
    surface = summary["surface"][comparison.a.criterion]
    if surface is None:
        lines = ["No distance of surfaces: a run has no such zone"]
    else:
        most, mean = significant(surface["max_mm"]), significant(surface["mean_mm"])
        lines = [f"Surfaces apart: largest {most} mm, mean {mean} mm"]
    peak = summary["temperature"]["peak"]
    relative, rms = peak["l2_relative"], peak["rms_K"]
    if relative is not None and rms is not None:
        text = f"relative L2 {significant(relative)}, rms {significant(rms)} K"
        lines.append(f"Peak temperature: {text}")
    share = summary["temperature"]["compared_volume_fraction"]
    if share < 1.0 - WHOLE:
        lines.append(f"Compared over {100.0 * share:.3g} % of A's tissue")
    return lines


def _handles(comparison: Comparison, run: SavedRun, moved: bool) -> list[Line2D | Patch]:
    title = comparison.summary["zone"][comparison.a.criterion]["title"] + " zone"
    halo = [patheffects.Stroke(linewidth=4.4, foreground=BACKGROUND), patheffects.Normal()]
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=ZONE_COLOUR, linewidth=2.4, path_effects=halo, label=f"A: {title}"),
        Line2D([], [], color=B_COLOUR, linewidth=2.0, linestyle=B_DASHES, path_effects=halo,
               label=f"B: {title}"),
    ]  # fmt: skip
    apart = comparison.surfaces[comparison.a.criterion]
    if apart is not None and apart.max > 0.0:
        handles.append(Line2D([], [], linestyle="none", marker="o", markersize=9,
                              markerfacecolor="none", markeredgecolor=INK,
                              label="largest distance"))  # fmt: skip
    if run.margin is not None:
        handles.append(Line2D([], [], color=TUMOUR_COLOUR, linewidth=1.8, path_effects=halo,
                              label="tumour (A)"))  # fmt: skip
    for kind in dict.fromkeys(each.kind for each in run.surfaces if each.is_vessel):
        look = vessel_look(kind)
        handles.append(Patch(facecolor=look.colour, edgecolor="#555555", label=look.label))
    handles += [
        Patch(facecolor=look.colour, edgecolor="#555555", label=look.label)
        for look in (ACTIVE_LOOK, SHAFT_LOOK)
    ]
    if comparison.fields[PEAK].compared_fraction < 1.0 - WHOLE:
        handles.append(Patch(facecolor=MISSING, label="not in B"))
    if moved:
        handles.append(Line2D([], [], color=B_COLOUR, linewidth=0.9, linestyle=B_DASHES,
                              path_effects=halo, label="vessels, probes of B"))  # fmt: skip
    return handles
