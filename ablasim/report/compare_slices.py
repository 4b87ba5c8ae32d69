"""Slices of two runs for ``comparison.png``: both zones' outlines over A's peak temperature, and
the difference B - A in the same planes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvista as pv
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from numpy.typing import NDArray

from ablasim.frames import MM
from ablasim.report.compare import PEAK, Comparison, Side
from ablasim.report.compare_rows import significant
from ablasim.report.figures import (
    BACKGROUND,
    DARK,
    draw_field,
    draw_lines,
    draw_probe_axis,
    draw_scale,
    draw_walls,
    name_vessels,
    prepare_slice,
)
from ablasim.report.palette import (
    TEMPERATURE_MAP,
    TEMPERATURE_RANGE_C,
    TUMOUR_COLOUR,
    ZONE_COLOUR,
)
from ablasim.report.saved import SavedRun
from ablasim.report.slices import (
    SHOWN_MM,
    Plane,
    Slice,
    cut,
    needle_plane,
    probe_plane,
    standard_planes,
)
from ablasim.report.solid import reach

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

B_COLOUR = "#FFE033"
"""B's outline: yellow dashes, apart from A's white line by pattern where hues look alike."""
B_DASHES: tuple[float, Sequence[float]] = (0, (3.0, 2.2))
DIFFERENCE_MAP = "RdBu_r"
"""Blue to red, which the common colour-vision deficiencies keep apart; white is no difference."""
MISSING = "#8A8A8A"
OUTSIDE = "#D3DCE6"
"""What lies beyond the block, under the difference."""
CLOSER = 0.9
"""Of the width of a run's own pictures: outlines that nearly coincide want a close look."""
SHOWN_SHARE = 0.99
"""Of the tissue in the pictures that the colours of the difference cover; beyond, they saturate:
the electrode's corner would take all colours."""
LEAST_SCALE_K = 1e-12
RASTER = 480
ZONE = "compared_zone"


@dataclass(frozen=True)
class SlicePair:
    """The same plane through A and through B, with B - A of the peak temperature on a raster of it
    (m, m) [K] and what of it lies in A alone (m, m)."""

    one: Slice
    two: Slice
    difference: Array
    only_in_a: Mask


@dataclass(frozen=True, eq=False)
class ComparedSlices:
    """What the panels of a comparison show.

    Attributes:
        comparison: of the two runs.
        one, two: A and B as read from files.
        pairs: the planes.
        half_width: of a panel [mm].
        limit: of the difference's colours [K]; 0 where there is none.
        moved: B has other vessels or probes, which are then drawn too.
    """

    comparison: Comparison
    one: SavedRun
    two: SavedRun
    pairs: tuple[SlicePair, ...]
    half_width: float
    limit: float
    moved: bool

    @property
    def level(self) -> float:
        """At which the zones' fields are cut."""
        return self.comparison.a.zones[self.comparison.a.criterion].level


def compared_slices(comparison: Comparison, one: SavedRun, two: SavedRun) -> ComparedSlices:
    """Choose the planes, cut both runs, and scale the colours."""
    name, centre = comparison.a.criterion, one.centre()
    widest = max(reach(one, centre), reach(two, centre))
    half_width = float(np.clip(CLOSER * widest, 18.0, 60.0))
    here, there = ({ZONE: _outlined(side, name)} for side in (comparison.a, comparison.b))
    pairs = tuple(
        SlicePair(
            cut(one, plane, here),
            cut(two, plane, there),
            *_difference(one, two, plane, half_width),
        )
        for plane in _planes(comparison, one, centre)
    )
    limit = _scale([pair.difference for pair in pairs])
    return ComparedSlices(
        comparison, one, two, pairs, half_width, limit, _anatomy_differs(comparison)
    )


def draw_zones(axes: Axes, slices: ComparedSlices, pair: SlicePair) -> None:
    """A's peak temperature with the outlines of both zones."""
    prepare_slice(axes, slices.one, pair.one, slices.half_width)
    draw_field(axes, pair.one, pair.one.peak, TEMPERATURE_MAP, TEMPERATURE_RANGE_C)
    _draw_anatomy(axes, slices, pair)
    name_vessels(axes, slices.one, pair.one, slices.half_width)
    _mark_largest(axes, slices, pair.one, named=True)
    draw_scale(axes, pair.one, slices.half_width)


def draw_difference(axes: Axes, slices: ComparedSlices, pair: SlicePair) -> None:
    """B - A of the peak temperature, with the same outlines; grey where B has no tissue."""
    prepare_slice(axes, slices.one, pair.one, slices.half_width, OUTSIDE)
    limit, edge = slices.limit or 1.0, slices.half_width
    how: dict[str, Any] = {"extent": (-edge, edge, edge, -edge), "interpolation": "nearest"}
    shown = np.ma.masked_invalid(pair.difference)
    axes.imshow(shown, cmap=DIFFERENCE_MAP, vmin=-limit, vmax=limit, zorder=1, **how)
    missing = np.ma.masked_where(~pair.only_in_a, pair.only_in_a)
    axes.imshow(missing, cmap=ListedColormap([MISSING]), zorder=1, **how)
    _draw_anatomy(axes, slices, pair)
    _mark_largest(axes, slices, pair.one, named=False)
    draw_scale(axes, pair.one, slices.half_width, ink=DARK)


def _draw_anatomy(axes: Axes, slices: ComparedSlices, pair: SlicePair) -> None:
    draw_walls(axes, slices.one, pair.one)
    draw_lines(axes, pair.one.tumour, TUMOUR_COLOUR, 1.6)
    if slices.moved:
        _draw_other_walls(axes, slices.two, pair.two)
    lines = pair.one.lines(ZONE, slices.level), pair.two.lines(ZONE, slices.level)
    _draw_outlines(axes, *lines)
    draw_probe_axis(axes, slices.one, pair.one)


def _anatomy_differs(comparison: Comparison) -> bool:
    """Whether B has other vessels or probes, which are then drawn too."""
    heads = ("anatomy", "probes", "labelmap", "mesh")
    changes = comparison.summary["scenario_changes"]
    return any(str(each["key"]).startswith(heads) for each in changes)


def _planes(comparison: Comparison, run: SavedRun, centre: Array) -> Sequence[Plane]:
    """Across the probe or axial, along the probe, and along it where the surfaces are farthest."""
    axial, coronal, sagittal = standard_planes(centre)
    along = needle_plane(run, centre)
    apart = comparison.surfaces[comparison.a.criterion]
    worst = None
    if apart is not None and apart.max > 0.0 and run.probes:
        title = "Along the probe, at the largest distance"
        worst = probe_plane(run, centre, apart.place / MM, title)
    if worst is not None:
        # Of the others the one is shown that is turned most against it.
        others = [plane for plane in (along, coronal, sagittal) if plane is not None]
        second = min(others, key=lambda plane: abs(float(plane.normal @ worst.normal)))
        return axial, second, worst
    return axial, along or coronal, sagittal


def _outlined(side: Side, name: str) -> Array:
    """The field that a zone is cut from; below any level where the run has no such zone."""
    zone = side.zones.get(name)
    return np.full(len(side.mesh.points), -np.inf) if zone is None else zone.field


def _difference(
    one: SavedRun, two: SavedRun, plane: Plane, half_width: float
) -> tuple[Array, Mask]:
    """B - A of the peak temperature on a raster of a plane (m, m) [K], NaN where one of them has no
    tissue, and where only A has some (m, m)."""
    line = np.linspace(-half_width, half_width, RASTER)
    right, down = np.meshgrid(line, line)
    places = plane.origin + right[..., None] * plane.right + down[..., None] * plane.down
    raster = pv.PolyData(places.reshape(-1, 3))
    peaks, inside = [], []
    for run in (one, two):
        found = raster.sample(run.fields, locator="static_cell")
        peaks.append(np.asarray(found.point_data[PEAK], dtype=np.float64).reshape(right.shape))
        valid = np.asarray(found.point_data["vtkValidPointMask"], dtype=bool)
        inside.append(valid.reshape(right.shape))
    both = inside[0] & inside[1]
    return np.where(both, peaks[1] - peaks[0], np.nan), inside[0] & ~inside[1]


def _scale(differences: Sequence[Array]) -> float:
    """Limit of the colours [K]: 1, 2 or 5 times a power of ten that covers what is shown; 0 for no
    difference."""
    sizes = np.abs(np.concatenate([each[np.isfinite(each)] for each in differences]))
    if not sizes.size or sizes.max() < LEAST_SCALE_K:
        return 0.0
    wanted = max(float(np.quantile(sizes, SHOWN_SHARE)), LEAST_SCALE_K)
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= wanted)


def _draw_outlines(axes: Axes, one: Sequence[Array], two: Sequence[Array]) -> None:
    """A's line and B's dashes over it; where they coincide both are seen."""
    draw_lines(axes, two, BACKGROUND, 2.2)
    draw_lines(axes, one, ZONE_COLOUR, 2.4)
    draw_lines(axes, two, B_COLOUR, 2.0, B_DASHES)


def _draw_other_walls(axes: Axes, run: SavedRun, view: Slice) -> None:
    """Vessels and probes of B, thin in B's colour, and the courses of its probes."""
    for index, lines in view.surfaces.items():
        if run.surfaces[index].is_vessel or run.surfaces[index].is_probe:
            axes.add_collection(
                LineCollection(list(lines), colors=B_COLOUR, linewidths=0.9, linestyles=B_DASHES)
            )
    for probe in run.probes:
        ends = view.plane.project(np.array([probe["tip_mm"], probe["entry_mm"]], dtype=np.float64))
        axes.plot(*ends.T, color=B_COLOUR, linewidth=0.9, linestyle=(0, (6, 4)))


def _mark_largest(axes: Axes, slices: ComparedSlices, view: Slice, *, named: bool) -> None:
    """A ring where the surfaces are farthest apart, in the planes that it lies in."""
    apart = slices.comparison.surfaces[slices.comparison.a.criterion]
    if apart is None or apart.max == 0.0:
        return
    if abs(float(view.plane.distance(apart.place / MM)[0])) > SHOWN_MM:
        return
    x, y = view.plane.project(apart.place / MM)[0]
    for colour, width in ((BACKGROUND, 3.2), (ZONE_COLOUR, 1.5)):
        axes.plot(
            x,
            y,
            marker="o",
            markersize=12,
            markerfacecolor="none",
            markeredgecolor=colour,
            markeredgewidth=width,
            linestyle="none",
            zorder=7,
        )
    if named:
        side = 1.0 if 0.0 <= x < 0.6 * slices.half_width or x < -0.6 * slices.half_width else -1.0
        axes.text(
            x + side * 0.06 * slices.half_width,
            y + 0.13 * slices.half_width,
            f"{significant(apart.max / MM)} mm",
            color=DARK,
            fontsize=9,
            weight="bold",
            ha="left" if side > 0.0 else "right",
            va="center",
            zorder=8,
            clip_on=True,
            bbox={"boxstyle": "round,pad=0.18", "facecolor": ZONE_COLOUR, "edgecolor": DARK},
        )
