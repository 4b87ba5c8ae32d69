"""One slice of a run drawn into matplotlib axes. No pyplot, so no global state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.path import Path
from matplotlib.tri import Triangulation
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, cKDTree

from ablasim.report.palette import (
    ACTIVE_LOOK,
    SHAFT_LOOK,
    TEMPERATURE_MAP,
    TEMPERATURE_RANGE_C,
    TUMOUR_COLOUR,
    ZONE_COLOUR,
    margin_class,
    margin_text,
    vessel_look,
)
from ablasim.report.saved import SavedRun, Surface
from ablasim.report.slices import SHOWN_MM, LabelOutlines, Polyline, Slice, label_masks

Array = NDArray[np.float64]

BACKGROUND = "#000000"
DARK = "#1B1F24"
"""Of what is written on a light picture."""
ISOTHERMS = ((50.0, 0.9, (0, (1, 1.6))), (54.0, 0.9, (0, (4, 2))), (60.0, 2.4, "solid"))
"""Level [°C], line width [pt] and dashes; the default lethal criterion is the thick one."""

CRITERION_LINE = (1.8, (0, (6, 1.5)))
"""Line width [pt] and dashes of a criterion that is no peak temperature."""

RASTER = 420
LETTER_WIDTH = 0.038
"""Of a vessel's name, relative to half the picture's width."""

LABEL_COLOURS = ("#FFB3DE", "#FFE08A", "#D0B3FF", "#A8E3FF", "#FFC9A3", "#C9F2C7")


def surface_colour(surface: Surface, background: str = BACKGROUND) -> str:
    """The colour that the inside of a surface is filled with."""
    if surface.is_vessel:
        return vessel_look(surface.kind).colour
    if surface.is_probe:
        return ACTIVE_LOOK.colour if surface.kind == "active" else SHAFT_LOOK.colour
    return background


def draw_slice(
    axes: Axes,
    run: SavedRun,
    view: Slice,
    *,
    half_width: float,
    labels: LabelOutlines | None = None,
) -> None:
    """Draw one slice: peak temperature, isotherms, tumour, vessels, probe, thinnest point, scale
    bar, orientation."""
    prepare_slice(axes, run, view, half_width)
    draw_field(axes, view, view.peak, TEMPERATURE_MAP, TEMPERATURE_RANGE_C)
    if labels is not None:
        for label, mask in label_masks(labels, view.plane, half_width).items():
            line = np.linspace(-half_width, half_width, len(mask))
            colour = LABEL_COLOURS[label % len(LABEL_COLOURS)]
            axes.contour(line, line, mask, levels=[0.5], colors=[colour], linewidths=1.1)
    draw_walls(axes, run, view)
    draw_lines(axes, view.tumour, TUMOUR_COLOUR, 1.8)
    for level, width, dashes in ISOTHERMS:
        draw_lines(axes, view.isotherm(level), ZONE_COLOUR, width, dashes)
    draw_lines(axes, view.zone_outline(run.criterion.level), ZONE_COLOUR, *CRITERION_LINE)
    _name_isotherm(axes, view.isotherm(60.0), half_width)
    draw_probe_axis(axes, run, view)
    name_vessels(axes, run, view, half_width)
    _mark_thinnest(axes, run, view, half_width)
    draw_scale(axes, view, half_width)


def prepare_slice(
    axes: Axes, run: SavedRun, view: Slice, half_width: float, background: str = BACKGROUND
) -> None:
    """Square axes in mm, what is no tissue filled with its colour."""
    axes.set_facecolor(background)
    axes.set_xlim(-half_width, half_width)
    axes.set_ylim(half_width, -half_width)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    _draw_lumens(axes, run, view, half_width, background)


def draw_field(
    axes: Axes, view: Slice, values: Array, colours: str, limits: tuple[float, float]
) -> None:
    """A field (n,) at the points of a slice."""
    if not len(view.triangles):
        return
    axes.tripcolor(
        Triangulation(view.points[:, 0], view.points[:, 1], view.triangles),
        np.clip(values, *limits),
        shading="gouraud",
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        rasterized=True,
    )


def draw_walls(axes: Axes, run: SavedRun, view: Slice) -> None:
    """The lines in which the plane cuts vessels, probes and the outer boundary."""
    for index, lines in view.surfaces.items():
        surface = run.surfaces[index]
        colour = "#FFFFFF" if surface.is_vessel else "#000000" if surface.is_probe else "#6B7280"
        width = 1.0 if surface.is_probe else 0.7
        axes.add_collection(LineCollection(list(lines), colors=colour, linewidths=width, zorder=3))


def draw_lines(
    axes: Axes, lines: Sequence[Polyline], colour: str, width: float, dashes: Any = "solid"
) -> None:
    """Lines in picture coordinates; solid ones with a black halo."""
    if not lines:
        return
    halo = [patheffects.Stroke(linewidth=width + 1.2, foreground="#000000"), patheffects.Normal()]
    axes.add_collection(
        LineCollection(
            list(lines),
            colors=colour,
            linewidths=width,
            linestyles=dashes,
            path_effects=halo if dashes == "solid" else [],
            capstyle="round",
        )
    )


def _draw_lumens(
    axes: Axes, run: SavedRun, view: Slice, half_width: float, background: str
) -> None:
    """Colour what is no tissue by the nearest wall: vessels and probes are holes in the mesh, often
    open in the cut."""
    points, colours = [], []
    for index, lines in view.surfaces.items():
        joined = np.concatenate([_along(line) for line in lines])
        points.append(joined)
        colours.append(
            np.tile(to_rgba(surface_colour(run.surfaces[index], background)), (len(joined), 1))
        )
    if not points:
        return
    axis = np.linspace(-half_width, half_width, RASTER)
    raster = np.column_stack([part.ravel() for part in np.meshgrid(axis, axis)])
    walls = np.concatenate(points)
    picture = np.tile(to_rgba(background), (len(raster), 1))
    if np.linalg.matrix_rank(walls - walls[0], tol=1e-6) == 2:
        # Outside the block there is no lumen, even where a vessel's wall is the nearest thing.
        inside = Path(walls[ConvexHull(walls).vertices]).contains_points(raster)
        _, nearest = cKDTree(walls).query(raster[inside])
        picture[inside] = np.concatenate(colours)[nearest]
    picture = picture.reshape(RASTER, RASTER, 4)
    edges = (-half_width, half_width, half_width, -half_width)
    axes.imshow(picture, extent=edges, interpolation="nearest", zorder=0)
    axes.set_xlim(-half_width, half_width)
    axes.set_ylim(half_width, -half_width)


def _along(line: Polyline, step: float = 0.25) -> Array:
    lengths = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))))
    places = np.linspace(0.0, lengths[-1], max(2, int(lengths[-1] / step) + 1))
    return np.column_stack([np.interp(places, lengths, line[:, axis]) for axis in range(2)])


def _text(
    axes: Axes, place: Iterable[float], text: str, colour: str = "#FFFFFF", **how: Any
) -> None:
    x, y = place
    halo = [] if colour == DARK else [patheffects.withStroke(linewidth=2.2, foreground="#000000")]
    axes.text(x, y, text, color=colour, path_effects=halo, clip_on=True, **how)


def _name_isotherm(axes: Axes, lines: Sequence[Polyline], half_width: float) -> None:
    if not lines:
        return
    line = max(lines, key=len)
    place = line[np.argmin(line @ np.array([-0.7, 0.7]))]  # the upper right, where little else is
    _text(
        axes,
        place + (0.02, -0.02) * np.full(2, half_width),
        "60 °C",
        fontsize=9,
        weight="bold",
        va="bottom",
    )


def draw_probe_axis(axes: Axes, run: SavedRun, view: Slice) -> None:
    """The probe's course projected into the plane, dashed, with its active part marked where it is
    out of the plane."""
    for probe in run.probes:
        ends = np.array([probe["tip_mm"], probe["entry_mm"]], dtype=np.float64)
        if np.ptp(view.plane.project(ends), axis=0).max() < 3.0:
            continue
        if np.max(np.abs(view.plane.distance(ends))) < SHOWN_MM:
            continue  # the cut itself shows it
        line = view.plane.project(ends)
        axes.plot(
            line[:, 0], line[:, 1], color=SHAFT_LOOK.colour, linewidth=1.0, linestyle=(0, (6, 4))
        )
        whole = float(np.linalg.norm(ends[1] - ends[0]))
        length = probe.get("active_length_mm")  # all that older runs say
        for part in probe.get("active_parts_mm") or ([[0.0, length]] if length else []):
            shares = np.array(part)[:, None] / whole
            active = line[0] + shares * (line[1] - line[0])
            axes.plot(active[:, 0], active[:, 1], color=ACTIVE_LOOK.colour, linewidth=1.4)


def name_vessels(axes: Axes, run: SavedRun, view: Slice, half_width: float) -> None:
    """The vessels' names beside their cuts."""
    taken: list[Array] = []
    for index, lines in view.surfaces.items():
        surface = run.surfaces[index]
        if not surface.is_vessel:
            continue
        points = np.concatenate(lines)
        seen = points[np.max(np.abs(points), axis=1) < 0.8 * half_width]
        if len(seen):
            # On the vessel's right, low in the picture, where the tumour and the probe seldom are.
            right, down = seen[np.argmax(seen @ (1.0, 0.8))]
            length = LETTER_WIDTH * len(surface.label) * half_width
            right = min(right + 0.03 * half_width, 0.97 * half_width - length)
            while any(_near(np.array([right, down]), place, half_width) for place in taken):
                down -= 0.05 * half_width
            taken.append(np.array([right, down]))
            _text(axes, (right, down), surface.label, fontsize=8.5, va="top")


def _near(place: Array, other: Array, half_width: float) -> bool:
    """Whether two names would be written over each other."""
    away = np.abs(place - other) / half_width
    return bool(away[0] < 0.6 and away[1] < 0.09)


def _mark_thinnest(axes: Axes, run: SavedRun, view: Slice, half_width: float) -> None:
    """A diamond at the thinnest point, in the planes that it lies in; projected into another it
    would mislead."""
    point = run.thinnest_point
    margin = run.group("margin").get("minimal_mm")
    if point is None or margin is None or abs(float(view.plane.distance(point)[0])) > SHOWN_MM:
        return
    entry = margin_class(float(margin))
    place = view.plane.project(point)[0]
    draw_tag(axes, place, margin_text(float(margin)), (entry.colour, entry.ink), half_width)


def draw_tag(axes: Axes, place: Array, text: str, look: tuple[str, str], half_width: float) -> None:
    """A diamond at a place, with a tag towards the picture's middle, away from the vessel that
    usually lies outside the tumour; `look` is the colour and that of the writing on it."""
    colour, ink = look
    axes.plot(
        *place,
        marker="D",
        markersize=7.5,
        markerfacecolor=colour,
        markeredgecolor="#FFFFFF",
        markeredgewidth=1.4,
        linestyle="none",
        zorder=6,
    )
    side = -1.0 if place[0] > 0.0 else 1.0
    axes.text(
        place[0] + side * 0.04 * half_width,
        place[1] - 0.09 * half_width,
        text,
        color=ink,
        fontsize=9,
        weight="bold",
        ha="right" if side < 0 else "left",
        va="center",
        zorder=7,
        clip_on=True,
        bbox={"boxstyle": "round,pad=0.18", "facecolor": colour, "edgecolor": "#FFFFFF"},
    )


def draw_scale(axes: Axes, view: Slice, half_width: float, *, ink: str = "#FFFFFF") -> None:
    """The scale bar, and the anatomical letters at the edges; `ink` is dark on a light picture."""
    left, low = -0.93 * half_width, 0.92 * half_width
    for width, colour in ((5.0, "#000000"), (3.0, ink)):
        axes.plot(
            [left, left + 10.0],
            [low, low],
            color=colour,
            linewidth=width,
            solid_capstyle="butt",
            zorder=8,
        )
    _text(
        axes,
        (left + 5.0, low - 0.025 * half_width),
        "10 mm",
        ink,
        fontsize=8,
        ha="center",
        va="bottom",
        zorder=8,
    )
    places = (
        (0.012, 0.5, "left", "center"),
        (0.988, 0.5, "right", "center"),
        (0.5, 0.988, "center", "top"),
        (0.5, 0.012, "center", "bottom"),
    )
    for (x, y, across, along), text in zip(places, view.plane.letters(), strict=True):
        _text(
            axes,
            (x, y),
            text,
            "#FFE9A8" if ink != DARK else DARK,
            transform=axes.transAxes,
            ha=across,
            va=along,
            fontsize=11,
            weight="bold",
            zorder=9,
        )
