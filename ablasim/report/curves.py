"""The history of a run: read back from ``history.csv`` and drawn as curves over time."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ablasim.errors import InputFileError
from ablasim.report.saved import RERUN

Array = NDArray[np.float64]


def read_history(path: Path) -> dict[str, NDArray[np.float64]]:
    """The columns of ``history.csv``, each (k,); an empty cell is NaN.

    Raises:
        InputFileError: a cell is no number, or a row has another length than the header.
    """
    with path.open(newline="", encoding="utf-8") as stream:
        header, *rows = list(csv.reader(stream)) or [[]]
    try:
        values = np.array(
            [[float(cell) if cell else np.nan for cell in row] for row in rows], dtype=np.float64
        )
        values = values.reshape(len(rows), len(header))
    except ValueError as error:
        raise InputFileError(f"{path}: not a table of numbers: {error}. {RERUN}") from error
    return {name: values[:, column] for column, name in enumerate(header)}


CURVES = (
    ("power_W", "power [W]", "#1F4E9C"),
    ("impedance_ohm", "impedance [\N{GREEK CAPITAL LETTER OMEGA}]", "#B2182B"),
    ("voltage_V", "voltage [V]", "#35806F"),
    ("current_A", "current [A]", "#7A4FB0"),
    ("peak_C", "hottest tissue [°C]", "#C25B00"),
    ("lethal_ml", "lethal volume [ml]", "#1B1B1B"),
)


def history_figure(history: Mapping[str, Array]) -> bytes | None:
    """The generator's curves, hottest tissue and lethal volume over time, as SVG; None without a
    history."""
    time = history.get("time_s")
    curves = [
        (history[key], label, colour)
        for key, label, colour in CURVES
        if key in history and np.isfinite(history[key]).any()
    ]
    if time is None or len(time) < 2 or not curves:
        return None
    columns = 3 if len(curves) > 4 else 2
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(9.6, 2.15 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (values, label, colour) in enumerate(curves, start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.plot(time / 60.0, values, color=colour, linewidth=1.6)
        axes.set_title(label, fontsize=9, loc="left", color="#1B1B1B")
        axes.set_xlim(0.0, float(time[-1]) / 60.0)
        if np.nanmin(values) >= 0.0 and label != CURVES[4][1]:
            axes.set_ylim(0.0, max(1e-9, 1.08 * float(np.nanmax(values))))
        axes.grid(color="#DDDDDD", linewidth=0.6)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        if place > len(curves) - columns:
            axes.set_xlabel("time [min]", fontsize=8)
    target = BytesIO()
    figure.savefig(target, format="svg", metadata={"Date": None})
    return target.getvalue()
