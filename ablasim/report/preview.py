"""``preview.png``: slices through the tumour, the 3D view, and the numbers that matter, on one page
for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib import colormaps, image
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ablasim.errors import InputFileError
from ablasim.labelmap import read_labels
from ablasim.report.figures import draw_slice
from ablasim.report.legend import INK, slice_handles
from ablasim.report.offscreen import View, render
from ablasim.report.palette import (
    MARGIN_CLASSES,
    NOTICE,
    TEMPERATURE_MAP,
    TEMPERATURE_RANGE_C,
    ZONE_COLOUR,
    margin_text,
    number_text,
)
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
from ablasim.report.slices import LabelOutlines, cut, needle_plane, standard_planes
from ablasim.report.solid import reach, scene_half_height
from ablasim.report.words import (
    capsule_line,
    nearest_vessel_text,
    percent_text,
    protocol_line,
    target_mm,
    thinnest_place,
    verdict,
)

__all__ = ["LabelOutlines", "write_preview"]


def write_preview(
    run_dir: Path | str, *, labels: LabelOutlines | None = None, solid: bool = True
) -> tuple[str, ...]:
    """Draw ``preview.png`` into a run directory.

    Args:
        run_dir: a finished run.
        labels: a label volume whose outlines are drawn under the isotherms; by default the label
            map that the scenario names, where it still is.
        solid: draw the 3D view too.

    Returns:
        Warnings for the user, for example that the 3D view had to be left out.

    Raises:
        InputFileError: the directory holds no finished run.
    """
    run = load_run(run_dir)
    figure = Figure(figsize=SIZE_INCH)
    FigureCanvasAgg(figure)
    labels = _labels_of(run) if labels is None else labels
    centre = run.centre()
    half_width = float(np.clip(reach(run, centre), 20.0, 60.0))
    planes = list(standard_planes(centre))
    extra = needle_plane(run, centre)
    if extra is not None:
        planes.append(extra)
    places = [(left, ROWS[0]) for left in COLUMNS] + [(COLUMNS[0], ROWS[1])]
    for plane, (left, low) in zip(planes, places, strict=False):
        axes = place_axes(figure, left, low, PANEL, PANEL)
        draw_slice(axes, run, cut(run, plane), half_width=half_width, labels=labels)
        axes.set_title(plane.title, **PANEL_TITLE)
    rooms = [(place_axes(figure, COLUMNS[1], ROWS[1], 2 * PANEL + GAP, PANEL), View(clip=False))]
    if extra is None:
        beside = place_axes(figure, COLUMNS[0], ROWS[1], PANEL, PANEL)
        rooms.append((beside, View(clip=False, other_side=True)))
    warnings = _draw_solid(rooms, run, solid)
    _draw_header(figure, run)
    _draw_side(figure, run, labels)
    figure.text(MARGIN / SIZE_INCH[0], 0.011, NOTICE, fontsize=9, color=INK, weight="bold")
    target = run.directory / "preview.png"
    part = run.directory / ".preview.part"
    figure.savefig(part, format="png", dpi=DPI, facecolor="#FFFFFF")
    part.replace(target)
    return warnings


def _labels_of(run: SavedRun) -> LabelOutlines | None:
    """The scenario's label map; None without one, and where it has gone or changed since."""
    section = run.group("scenario").get("labelmap")
    if not section or not Path(section["file"]).is_file():
        return None
    try:
        image = read_labels(section["file"])
    except InputFileError:
        return None
    named = {str(name): int(value) for name, value in section["labels"].items()}
    return LabelOutlines.of_image(image, named)


def _draw_solid(rooms: Sequence[tuple[Axes, View]], run: SavedRun, wanted: bool) -> tuple[str, ...]:
    """The 3D views, each with a true scale bar; a sentence in their place where they cannot be
    drawn."""
    views = []
    for axes, view in rooms:
        title = "3D from the other side" if view.other_side else "3D, tumour coloured by margin"
        axes.set_title(title, **PANEL_TITLE)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color("#C9CED6")
        box = axes.get_position()
        width, height = (
            round(box.width * SIZE_INCH[0] * DPI),
            round(box.height * SIZE_INCH[1] * DPI),
        )
        views.append(replace(view, size=(width, height)))
    drawn, problem = render(run.directory, views) if wanted else ((), "not asked for")
    if not drawn:
        for axes, _ in rooms:
            axes.text(
                0.5,
                0.5,
                "The 3D view was left out.\n" + fill(problem, 56),
                ha="center",
                va="center",
                fontsize=9,
                color=FAINT,
                transform=axes.transAxes,
            )
        return (f"preview.png: the 3D view was left out: {problem}",) if wanted else ()
    for (axes, _), view, png in zip(rooms, views, drawn, strict=True):
        show_solid(axes, png, run, view)
    return ()


def show_solid(axes: Axes, png: bytes, run: SavedRun, view: View) -> None:
    """Put a 3D picture into axes in millimetres, with a scale bar: its projection is parallel."""
    tall = 2.0 * scene_half_height(run)
    wide = tall * view.size[0] / view.size[1]
    axes.imshow(image.imread(BytesIO(png)), extent=(0.0, wide, 0.0, tall), interpolation="lanczos")
    axes.set_aspect("auto")
    left, low = wide - 0.05 * tall - 10.0, 0.05 * tall
    axes.plot([left, left + 10.0], [low, low], color=INK, linewidth=3, solid_capstyle="butt")
    axes.text(
        left + 5.0, low + 0.015 * tall, "10 mm", ha="center", va="bottom", fontsize=8, color=INK
    )


def _draw_header(figure: Figure, run: SavedRun) -> None:
    across, up = SIZE_INCH
    figure.text(
        MARGIN / across,
        9.72 / up,
        str(run.summary.get("name", "run")),
        fontsize=18,
        weight="bold",
        color=INK,
    )
    figure.text(MARGIN / across, 9.40 / up, protocol_line(run), fontsize=11.5, color=FAINT)
    zone = run.zone_group
    long, short = zone.get("long_axis_mm"), zone.get("short_axis_mm")
    axes_text = f"{number_text(long, 1)} \N{MULTIPLICATION SIGN} {number_text(short, 1, 'mm')}"
    minimal = run.group("margin").get("minimal_mm")
    chips = [
        (
            f"{run.criterion.title} zone",
            number_text(zone.get("volume_ml"), 1, "ml"),
            "#ECEFF3",
            INK,
        ),
        ("long \N{MULTIPLICATION SIGN} short axis", axes_text, "#ECEFF3", INK),
    ]
    if minimal is not None:
        label = f"minimal margin (target {target_mm(run):g} mm)"
        answer = verdict(run)
        chips.append((label, margin_text(float(minimal)), answer.colour, answer.ink))
    widths = (1.55, 2.15, 2.65)
    left = across - MARGIN - sum(widths[: len(chips)]) - 0.12 * (len(chips) - 1)
    for (label, value, colour, ink), width in zip(chips, widths, strict=False):
        axes = place_axes(figure, left, 9.27, width, 0.68)
        axes.set_axis_off()
        axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, color=colour))
        axes.text(0.06, 0.92, label, fontsize=9, va="top", color=ink, transform=axes.transAxes)
        axes.text(
            0.06, 0.12, value, fontsize=15, weight="bold", color=ink, transform=axes.transAxes
        )
        left += width + 0.12


def temperature_bar(
    figure: Figure, place: tuple[float, float, float, float], title: str = ""
) -> None:
    """The colour bar of the temperature with the 60 °C line; place is left, low, width, height."""
    scale = ScalarMappable(Normalize(*TEMPERATURE_RANGE_C), colormaps[TEMPERATURE_MAP])
    axes = figure.add_axes(place)
    drawn = figure.colorbar(scale, cax=axes, ticks=[37, 50, 60, 70, 80, 90, 100])
    drawn.ax.tick_params(labelsize=9, color=INK)
    drawn.ax.axhline(60.0, color=ZONE_COLOUR, linewidth=2.4)
    axes.set_title(title, fontsize=9, color=INK)


def _draw_side(figure: Figure, run: SavedRun, labels: LabelOutlines | None) -> None:
    """The column on the right: temperature bar, margin classes with their shares, legend, nearest
    vessel."""
    across, up = SIZE_INCH
    temperature_bar(figure, (SIDE / across, 6.35 / up, 0.24 / across, 2.3 / up))
    figure.text(
        SIDE / SIZE_INCH[0],
        8.78 / SIZE_INCH[1],
        "peak temperature [°C]",
        fontsize=10,
        weight="bold",
        color=INK,
    )
    legend = figure.legend(
        handles=slice_handles(run, labels),
        loc="upper left",
        bbox_to_anchor=((SIDE - 0.08) / SIZE_INCH[0], 6.15 / SIZE_INCH[1]),
        frameon=False,
        fontsize=9.5,
        labelcolor=INK,
        handlelength=1.9,
        borderpad=0.0,
        labelspacing=0.42,
    )
    legend.set_in_layout(False)
    if run.margin is None:
        return
    margin = run.group("margin")
    figure.text(
        SIDE / across,
        3.02 / up,
        "margin over the tumour's surface",
        fontsize=10,
        weight="bold",
        color=INK,
    )
    shares = place_axes(figure, SIDE, 1.7, 2.75, 1.22)
    shares.set_axis_off()
    shares.set_xlim(0.0, 1.0)
    shares.set_ylim(len(MARGIN_CLASSES), 0)
    for row, entry in enumerate(MARGIN_CLASSES):
        share = float(margin.get(entry.key) or 0.0)
        shares.add_patch(Rectangle((0.0, row + 0.16), 0.07, 0.68, color=entry.colour))
        shares.text(0.1, row + 0.5, entry.label, va="center", fontsize=9.5, color=INK)
        shares.add_patch(Rectangle((0.44, row + 0.16), 0.36, 0.68, color="#ECEFF3"))
        bar = Rectangle((0.44, row + 0.16), 0.36 * share, 0.68, facecolor=entry.colour)
        shares.add_patch(bar)
        shares.text(
            1.0, row + 0.5, percent_text(share), va="center", ha="right", fontsize=9.5, color=INK
        )
    vessel = nearest_vessel_text(run)
    place = thinnest_place(run)
    lines = [
        f"Thinnest {place}." if place else "",
        f"Nearest vessel: {vessel}." if vessel else "",
        capsule_line(margin),
    ]
    text = "\n".join(fill(line, 38) for line in lines if line)
    figure.text(SIDE / across, 1.55 / up, text, fontsize=10, color=INK, va="top", linespacing=1.3)
