"""Legend entries of the pictures: only for what a run holds."""

from __future__ import annotations

from typing import Any

from matplotlib import patheffects
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ablasim.report.figures import BACKGROUND, CRITERION_LINE, ISOTHERMS, LABEL_COLOURS
from ablasim.report.palette import (
    ACTIVE_LOOK,
    MARGIN_CLASSES,
    SHAFT_LOOK,
    TUMOUR_COLOUR,
    ZONE_COLOUR,
    ZONE_SURFACE_COLOUR,
    vessel_look,
)
from ablasim.report.saved import SavedRun
from ablasim.report.slices import LabelOutlines

Handle = Line2D | Patch

INK = "#1B1F24"


def slice_handles(run: SavedRun, labels: LabelOutlines | None) -> list[Handle]:
    """What the lines and areas of the slices mean, with the 3D view's lethal surface."""
    handles: list[Handle] = []
    for level, width, dashes in reversed(ISOTHERMS):
        role = " (lethal zone)" if run.criterion.name == f"peak_{level:.0f}C" else ""
        handles.append(_line(f"{level:.0f} °C line{role}", ZONE_COLOUR, width, dashes))
    if run.criterion.key != "peak_C":
        title = f"{run.criterion.title} line (lethal zone)"
        handles.append(_line(title, ZONE_COLOUR, *CRITERION_LINE))
    if run.margin is not None:
        handles.append(_line("tumour outline", TUMOUR_COLOUR, 1.8))
        handles.append(_thinnest())
    handles += _bodies(run)
    if labels is not None:
        for label, name in labels.names.items():
            colour = LABEL_COLOURS[label % len(LABEL_COLOURS)]
            handles.append(_line(f"label: {name.replace('_', ' ')}", colour, 1.1))
    return handles


def solid_handles(run: SavedRun) -> list[Handle]:
    """What the colours of the 3D view mean."""
    handles: list[Handle] = []
    if run.margin is not None:
        handles += [_patch(f"margin {entry.label}", entry.colour) for entry in MARGIN_CLASSES]
    return handles + _bodies(run)


def _bodies(run: SavedRun) -> list[Handle]:
    kinds = dict.fromkeys(surface.kind for surface in run.surfaces if surface.is_vessel)
    handles: list[Handle] = [
        _patch(vessel_look(kind).label, vessel_look(kind).colour) for kind in kinds
    ]
    handles += [_patch(look.label, look.colour) for look in (ACTIVE_LOOK, SHAFT_LOOK)]
    if run.zone is not None:
        handles.append(_patch(f"{run.criterion.title} surface (3D)", ZONE_SURFACE_COLOUR, 0.5))
    return handles


def _thinnest() -> Line2D:
    return Line2D(
        [],
        [],
        marker="D",
        linestyle="none",
        markersize=7,
        markerfacecolor="#FFFFFF",
        markeredgecolor=INK,
        label="thinnest margin",
    )


def _line(label: str, colour: str, width: float, dashes: Any = "solid") -> Line2D:
    # On white paper a white line needs its black halo to be seen in the legend too.
    halo = [patheffects.Stroke(linewidth=width + 2.4, foreground=BACKGROUND), patheffects.Normal()]
    return Line2D(
        [], [], color=colour, linewidth=width, linestyle=dashes, path_effects=halo, label=label
    )


def _patch(label: str, colour: str, opacity: float = 1.0) -> Patch:
    return Patch(facecolor=colour, edgecolor="#555555", linewidth=0.6, alpha=opacity, label=label)
