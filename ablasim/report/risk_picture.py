"""``preview.png`` of a risk study: how surely tissue dies, and where the tumour is at risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import colormaps, image
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from ablasim.report.figures import (
    draw_field,
    draw_lines,
    draw_probe_axis,
    draw_scale,
    draw_tag,
    draw_walls,
    name_vessels,
    prepare_slice,
)
from ablasim.report.legend import INK
from ablasim.report.offscreen import View
from ablasim.report.palette import (
    ACTIVE_LOOK,
    NOTICE,
    TUMOUR_COLOUR,
    ZONE_COLOUR,
    margin_text,
    vessel_look,
)
from ablasim.report.risk_look import DYING_MAP, RISK_CLASSES, ZONE_LINES, percent, risk_class
from ablasim.report.risk_solid import NOMINAL, render_risk
from ablasim.report.risk_words import highest_chance, margin_words
from ablasim.report.saved import SavedRun, load_run
from ablasim.report.sheet import (
    COLUMNS,
    DPI,
    FAINT,
    GAP,
    MARGIN,
    PANEL,
    PANEL_TITLE,
    ROWS,
    SIDE,
    SIZE_INCH,
    place_axes,
)
from ablasim.report.slices import Plane, cut, standard_planes
from ablasim.report.solid import reach, scene_half_height
from ablasim.report.words import protocol_line

Floats = NDArray[np.float64]

WIDE = 1.5 * PANEL + 0.5 * GAP


def write_risk_preview(
    directory: Path,
    summary: Mapping[str, Any],
    zones: Mapping[float, Floats],
    dying: Floats,
    *,
    solid: bool = True,
) -> tuple[str, ...]:
    """Draw ``preview.png`` into the directory of a study.

    Args:
        directory: with the surfaces and the plain run.
        summary: risk.json.
        zones: field (n,) of each quantile's zone, lethal at 0.
        dying: probability that tissue dies at each mesh point (n,).
        solid: draw the 3D views too.

    Returns:
        A sentence for each part that had to be left out.
    """
    run = load_run(directory / NOMINAL)
    figure = Figure(figsize=SIZE_INCH)
    FigureCanvasAgg(figure)
    centre = _centre(run, summary)
    half_width = float(np.clip(reach(run, run.centre()), 20.0, 60.0))
    arrays = {f"zone_{level:g}": field for level, field in zones.items()} | {"dying": dying}
    for plane, left in zip(standard_planes(centre), COLUMNS, strict=True):
        axes = place_axes(figure, left, ROWS[0], PANEL, PANEL)
        _draw_slice(axes, run, plane, arrays, half_width, summary)
        axes.set_title(plane.title, **PANEL_TITLE)
    warnings = _draw_solid(figure, directory, run, solid)
    _draw_header(figure, run, summary)
    _draw_side(figure, run)
    figure.text(MARGIN / SIZE_INCH[0], 0.011, NOTICE, fontsize=9, color=INK, weight="bold")
    figure.savefig(directory / "preview.png", format="png", dpi=DPI, facecolor="#FFFFFF")
    return warnings


def _centre(run: SavedRun, summary: Mapping[str, Any]) -> Floats:
    """Where the three planes meet: the tumour's middle, with the axial plane through the point at
    risk."""
    centre = run.centre().copy()
    centre[2] = float(summary["surface"]["worst_point_mm"][2])
    return centre


def _draw_slice(
    axes: Axes,
    run: SavedRun,
    plane: Plane,
    arrays: Mapping[str, Floats],
    half_width: float,
    summary: Mapping[str, Any],
) -> None:
    view = cut(run, plane, arrays)
    prepare_slice(axes, run, view, half_width)
    if len(view.triangles):
        draw_field(axes, view, view.values("dying"), DYING_MAP, (0.0, 1.0))
    draw_walls(axes, run, view)
    draw_lines(axes, view.tumour, TUMOUR_COLOUR, 1.8)
    for level, (_, width, dashes) in reversed(ZONE_LINES.items()):
        draw_lines(axes, view.lines(f"zone_{level:g}", 0.0), ZONE_COLOUR, width, dashes)
    draw_probe_axis(axes, run, view)
    name_vessels(axes, run, view, half_width)
    worst = np.array(summary["surface"]["worst_point_mm"])
    if abs(float(plane.distance(worst)[0])) < 1.5:
        chance = float(summary["surface"]["worst_probability"]["value"])
        look = risk_class(chance)
        place = plane.project(worst)[0]
        draw_tag(axes, place, percent(chance), (look.colour, look.ink), half_width)
    draw_scale(axes, view, half_width)


def _draw_solid(figure: Figure, directory: Path, run: SavedRun, wanted: bool) -> tuple[str, ...]:
    """Two views from opposite sides, or a sentence in their place."""
    places = ((COLUMNS[0], "Risk on the tumour's surface"), (COLUMNS[0] + WIDE + GAP, "Other side"))
    rooms = []
    for left, title in places:
        axes = place_axes(figure, left, ROWS[1], WIDE, PANEL)
        axes.set_title(title, **PANEL_TITLE)
        axes.set_xticks([])
        axes.set_yticks([])
        rooms.append(axes)
    size = (round(WIDE * DPI), round(PANEL * DPI))
    views: Sequence[View] = [View(size, clip=False, other_side=other) for other in (False, True)]
    drawn, problem = render_risk(directory, views) if wanted else ((), "not asked for")
    if not drawn:
        for axes in rooms:
            axes.text(
                0.5, 0.5, "The 3D view was left out.\n" + fill(problem, 56), ha="center",
                va="center", fontsize=9, color=FAINT, transform=axes.transAxes,
            )  # fmt: skip
        return (f"preview.png: the 3D view was left out: {problem}",) if wanted else ()
    tall = 2.0 * scene_half_height(run)
    for axes, png in zip(rooms, drawn, strict=True):
        wide = tall * WIDE / PANEL
        picture = image.imread(BytesIO(png))
        axes.imshow(picture, extent=(0.0, wide, 0.0, tall), interpolation="lanczos")
        axes.set_aspect("auto")
        left, low = wide - 0.05 * tall - 10.0, 0.05 * tall
        axes.plot([left, left + 10.0], [low, low], color=INK, linewidth=3, solid_capstyle="butt")
        axes.text(
            left + 5.0, low + 0.015 * tall, "10 mm", ha="center", va="bottom", fontsize=8, color=INK
        )
    return ()


def _draw_header(figure: Figure, run: SavedRun, summary: Mapping[str, Any]) -> None:
    across, up = SIZE_INCH
    figure.text(
        MARGIN / across, 9.72 / up, f"{summary['name']}: risk of an incomplete margin",
        fontsize=18, weight="bold", color=INK,
    )  # fmt: skip
    count = summary["samples"]["used"]
    capsule = summary["probability"]["margin_below_0_at_the_capsule"]
    apart = "" if capsule is None else _at_capsule(capsule)
    figure.text(
        MARGIN / across,
        9.60 / up,
        fill(protocol_line(run), 74) + apart,
        fontsize=11,
        color=FAINT,
        va="top",
    )
    chance = summary["probability"]["margin_below_0"]
    low, middle, high = (summary["margin_mm"][key]["value"] for key in ("p5", "p50", "p95"))
    look = risk_class(highest_chance(summary["probability"]))
    chips = (
        (
            "minimal margin, median (5 to 95 %)",
            f"{margin_words(middle)} ({_end(low)} to {_end(high)})",
            "#ECEFF3",
            INK,
            4.2,
        ),
        (
            f"P(margin < 0), 95 % interval ({count} samples)",
            f"{percent(chance['value'])} ({percent(chance['low'])} to {percent(chance['high'])})",
            look.colour,
            look.ink,
            3.0,
        ),
    )
    left = across - MARGIN - sum(chip[-1] for chip in chips) - 0.12
    for label, value, colour, ink, width in chips:
        axes = place_axes(figure, left, 9.27, width, 0.68)
        axes.set_axis_off()
        axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, color=colour))
        axes.text(0.03, 0.92, label, fontsize=9, va="top", color=ink, transform=axes.transAxes)
        axes.text(
            0.03, 0.14, value, fontsize=14, weight="bold", color=ink, transform=axes.transAxes
        )
        left += width + 0.12


def _at_capsule(chance: Mapping[str, Any]) -> str:
    low, middle, high = (percent(chance[key]) for key in ("low", "value", "high"))
    return f"\nAt the capsule, set apart: uncovered in {middle} ({low} to {high})"


def _end(margin_mm: float | None) -> str:
    """An end of a range of margins; without a lethal zone there is none."""
    return "none" if margin_mm is None else margin_text(margin_mm)


def _draw_side(figure: Figure, run: SavedRun) -> None:
    """Colour bar of the probability of death, lines, bodies, classes of risk."""
    across, up = SIZE_INCH
    figure.text(
        SIDE / across, 8.78 / up, "tissue dies in [% of samples]", fontsize=10, weight="bold",
        color=INK,
    )  # fmt: skip
    scale = ScalarMappable(Normalize(0, 100), colormaps[DYING_MAP])
    place = figure.add_axes((SIDE / across, 6.75 / up, 0.24 / across, 1.9 / up))
    bar = figure.colorbar(scale, cax=place, ticks=[5, 25, 50, 75, 95])
    bar.ax.tick_params(labelsize=9, color=INK)
    lines = [
        Line2D([], [], color="#000000", linewidth=width, linestyle=dashes, label=fill(text, 34))
        for text, width, dashes in ZONE_LINES.values()
    ]
    lines.append(Line2D([], [], color=TUMOUR_COLOUR, linewidth=1.8, label="tumour outline"))
    kinds = dict.fromkeys(surface.kind for surface in run.surfaces if surface.is_vessel)
    bodies = [
        Patch(facecolor=vessel_look(kind).colour, label=vessel_look(kind).label) for kind in kinds
    ]
    bodies.append(Patch(facecolor=ACTIVE_LOOK.colour, label=ACTIVE_LOOK.label))
    _legend(figure, [*lines, *bodies], 6.5, "(lines are white in the pictures)")
    classes = [Patch(facecolor=entry.colour, label=entry.label) for entry in reversed(RISK_CLASSES)]
    _legend(figure, classes, 2.9, "P(margin < 0) on the tumour, 3D")
    text = "3D: the orange veil is the conservative zone (P5); the white ball and the diamond mark"
    text += " the place most at risk."
    figure.text(SIDE / across, 0.98 / up, fill(text, 40), fontsize=9, color=FAINT, va="top")


def _legend(figure: Figure, handles: Sequence[Line2D | Patch], top: float, title: str) -> None:
    across, up = SIZE_INCH
    legend = figure.legend(
        handles=list(handles),
        title=title,
        loc="upper left",
        bbox_to_anchor=((SIDE - 0.08) / across, top / up),
        frameon=False,
        fontsize=9.5,
        title_fontsize=9.5,
        alignment="left",
        labelcolor=INK,
        handlelength=1.9,
        borderpad=0.0,
        labelspacing=0.42,
    )
    legend.set_in_layout(False)
    figure.add_artist(legend)
