"""The atlas as a picture: a heat map of the margin for each tumour, the risk written into it."""

from __future__ import annotations

import io
from pathlib import Path
from textwrap import shorten

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ablasim.errors import UsageError
from ablasim.report.palette import NOTICE, margin_round
from ablasim.study.atlas import Atlas
from ablasim.study.cases import write_whole

Floats = NDArray[np.float64]

ENDINGS = (".png", ".svg", ".pdf")
WIDEST_MM = 10.0
"""Margins beyond this have the colour of this."""


def plot_atlas(atlas: Atlas, out: Path) -> None:
    """Draw the nodes of an atlas.

    One panel per tumour; to the right the distance, upwards the vessel's diameter. The colour and
    the upper number are the minimal margin, the lower number the probability that it is below zero.

    Args:
        atlas: what to draw.
        out: .png, .svg or .pdf.

    Raises:
        UsageError: another ending.
        ResourceError: the file cannot be written.
    """
    if out.suffix.lower() not in ENDINGS:
        raise UsageError(f"--output: got {out}; must end in {', '.join(ENDINGS)}")
    tumours, vessels, distances = atlas.axes
    margins = atlas.values("margin_mm")
    chances = np.mean(atlas.values("sample_margin_mm") < 0.0, axis=-1)
    reach = min(float(np.abs(margins).max()), WIDEST_MM)
    width = 1.2 + len(tumours) * (0.62 * len(distances) + 0.35)
    figure = Figure(figsize=(max(width, 7.2), 1.7 + 0.62 * len(vessels)), layout="constrained")
    panels = figure.subplots(1, len(tumours), sharey=True, squeeze=False)[0]
    for place, tumour in enumerate(tumours):
        axes = panels[place]
        drawn = axes.imshow(
            margins[place],
            origin="lower",
            aspect="auto",
            cmap="RdBu",
            norm=TwoSlopeNorm(0.0, -reach, reach),
        )
        axes.set_title(f"tumour {tumour:g} mm", fontsize=10)
        axes.set_xticks(range(len(distances)), [f"{value:g}" for value in distances])
        axes.set_yticks(range(len(vessels)), [f"{value:g}" for value in vessels])
        _write(axes, margins[place], chances[place], reach)
    panels[0].set_ylabel("vessel diameter [mm]")
    panels[len(panels) // 2].set_xlabel("distance from tumour to vessel [mm]")
    figure.colorbar(drawn, ax=panels.tolist(), label="minimal margin [mm]", extend="both")
    title = f"{atlas.device}: minimal margin [mm]; below it P(margin < 0)"
    figure.suptitle(f"{title}\n{shorten(atlas.title, 110)}", fontsize=10, x=0.01, ha="left")
    figure.supxlabel(NOTICE, fontsize=7, color="0.45", x=0.99, ha="right")
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format=out.suffix[1:].lower(), dpi=150)
    write_whole(out, stream.getvalue())


def _write(axes: Axes, margins: Floats, chances: Floats, reach: float) -> None:
    for (row, column), margin in np.ndenumerate(margins):
        colour = "white" if abs(margin) > 0.65 * reach else "black"
        text = f"{margin_round(margin):.1f}".replace("-", "\N{MINUS SIGN}")
        axes.text(
            column,
            row,
            f"{text}\n{100 * chances[row, column]:.0f} %",
            ha="center",
            va="center",
            fontsize=8,
            color=colour,
            linespacing=1.3,
        )
