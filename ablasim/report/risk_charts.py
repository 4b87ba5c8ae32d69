"""Charts of a risk report as SVG: margins, convergence, what decides. No pyplot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ablasim.report.palette import margin_class

Floats = NDArray[np.float64]

INK = "#1B1B1B"
BLUE, RED = "#1F4E9C", "#A3122B"
SMALLEST_INDEX = 0.005


def margin_chart(margins: Floats, summary: Mapping[str, Any]) -> bytes:
    """Histogram of the minimal margins [mm] in the colours of their classes, with P5, P50, P95."""
    figure, axes = _chart(9.6, 2.9)
    finite = margins[np.isfinite(margins)]
    if len(finite):
        # Edges on whole millimetres, so that no bin lies in two classes.
        low, high = np.floor(finite.min()), np.ceil(finite.max())
        edges = np.arange(low, max(high, low + 1.0) + 0.5, max(1.0, np.ceil((high - low) / 40)))
        edges = np.unique(np.concatenate([edges, [0.0, 5.0, 10.0, max(high, low + 1.0)]]))
        edges = edges[(edges >= low) & (edges <= max(high, low + 1.0))]
        counts, _ = np.histogram(finite, edges)
        share = 100.0 * counts / len(margins) / np.diff(edges)
        for left, width, tall in zip(edges[:-1], np.diff(edges), share, strict=True):
            colour = margin_class(float(left + 0.5 * width)).colour
            axes.bar(left, tall, width, align="edge", color=colour, edgecolor="#FFFFFF")
    nothing = len(margins) - len(finite)
    if nothing:
        text = f"no lethal zone in {nothing} of {len(margins)} samples"
        axes.text(
            0.01, 0.86, text, transform=axes.transAxes, fontsize=9, va="top", color=RED
        )  # fmt: skip
    for key, dashes in (("p5", ":"), ("p50", "-"), ("p95", ":")):
        value = summary["margin_mm"][key]["value"]
        if value is not None:
            axes.axvline(value, color=INK, linestyle=dashes, linewidth=1.6)
            axes.text(
                value, 1.0, f" {key.upper()}", transform=axes.get_xaxis_transform(), fontsize=9,
                va="top", color=INK,
            )  # fmt: skip
    nominal = summary["nominal"]["margin_mm"]
    if nominal is not None:
        axes.plot(
            nominal, 0.0, marker="^", markersize=11, color=INK, clip_on=False,
            transform=axes.get_xaxis_transform(), zorder=5,
        )  # fmt: skip
    axes.set_xlabel("minimal margin of a sample [mm]; triangle: the plain run", fontsize=9)
    axes.set_ylabel("samples [% per mm]", fontsize=9)
    return _svg(figure)


def convergence_chart(summary: Mapping[str, Any]) -> bytes:
    """Both probabilities with their intervals against the number of samples."""
    figure, axes = _chart(9.6, 2.7)
    rows = summary["convergence"]
    count = [row["samples"] for row in rows]
    target = summary["probability"]["target_margin_mm"]
    for key, colour, label in (
        ("margin_below_target", BLUE, f"P(margin < {target:g} mm)"),
        ("margin_below_0", RED, "P(margin < 0)"),
    ):
        low, middle, high = (
            [100.0 * row[key][name] for row in rows] for name in ("low", "value", "high")
        )
        axes.fill_between(count, low, high, color=colour, alpha=0.16, linewidth=0)
        axes.plot(count, middle, color=colour, marker="o", markersize=4, label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(count, [str(n) for n in count])
    axes.minorticks_off()
    axes.set_ylim(0.0, 100.0)
    axes.set_xlabel("samples", fontsize=9)
    axes.set_ylabel("probability [%]", fontsize=9)
    axes.legend(frameon=False, fontsize=9)
    return _svg(figure)


def sensitivity_chart(summary: Mapping[str, Any]) -> bytes | None:
    """First-order and total Sobol indices, the largest on top; None where there are none."""
    group = summary["sensitivity"]
    if not group.get("total"):
        return None
    titles = {entry["name"]: entry["title"] for entry in summary["inputs"]}
    total: Mapping[str, float] = {k: v or 0.0 for k, v in group["total"].items()}
    names = sorted(
        (name for name in total if total[name] > SMALLEST_INDEX), key=lambda name: total[name]
    )
    if not names:
        return None
    figure, axes = _chart(9.6, 0.9 + 0.36 * len(names))
    rows = np.arange(len(names))
    axes.barh(
        rows, [100 * total[n] for n in names], color="#C9D3E4", label="total (with interactions)",
        xerr=[100 * (group["total_error"][n] or 0.0) for n in names], ecolor="#7A8699", height=0.72,
    )  # fmt: skip
    first: Sequence[float] = [100 * max(0.0, group["first"][n] or 0.0) for n in names]
    axes.barh(rows, first, color=BLUE, height=0.36, label="alone (first order)")
    axes.set_yticks(rows, [titles[name] for name in names], fontsize=9)
    axes.set_xlim(0.0, None)
    axes.set_xlabel("share of the explained variance of the minimal margin [%]", fontsize=9)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return _svg(figure)


def _chart(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> bytes:
    target = BytesIO()
    figure.savefig(target, format="svg", metadata={"Date": None})
    return target.getvalue()
