"""Pictures of a sweep: lines over one varied field, a heat map over two, points where sampled."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ablasim.errors import UsageError
from ablasim.report.palette import NOTICE, margin_round
from ablasim.safe_yaml import closest
from ablasim.study.cases import State, write_whole
from ablasim.study.sweep_frozen import Sweep
from ablasim.study.sweep_labels import label_of
from ablasim.study.sweep_plan import Sobol
from ablasim.study.sweep_table import table

ENDINGS = (".png", ".svg", ".pdf")
MARGIN_LEVELS_MM = (0.0, 5.0)
"""Margins that pictures of a margin mark: none left, and what is aimed at."""

MOST_LINES = 10
MOST_WRITTEN = 120
"""Fields of a heat map that still have room for their number."""

Columns = Mapping[str, list[Any]]


def plot(
    sweep: Sweep,
    x: str,
    y: str | None,
    *,
    value: str,
    out: Path,
    at: Mapping[str, Any] | None = None,
) -> None:
    """Draw a value of the cases over one or two of the fields that vary.

    One field gives lines (one for each value of a second field that is left), two give a heat map;
    a sampled field gives points. Cases without the value are left out.

    Args:
        sweep: whose cases to draw; finished ones only.
        x: varied field on the horizontal axis.
        y: varied field on the vertical axis; None for lines.
        value: column of the table.
        out: .png, .svg or .pdf.
        at: values of other varied fields to which the picture is restricted.

    Raises:
        UsageError: no such field or value, nothing to draw, or fields that must be fixed by `at`.
        InputFileError: a case is damaged.
        ResourceError: the file cannot be written.
    """
    if out.suffix.lower() not in ENDINGS:
        raise UsageError(f"--output: got {out}; must end in {', '.join(ENDINGS)}")
    columns = table(sweep)
    axes_names = [x] if y is None else [x, y]
    for name in axes_names:
        _require(name, sweep.columns, "varies in this sweep")
    if x == y:
        raise UsageError(f"plot: got {x} twice; name two fields, or only one")
    done = [i for i, status in enumerate(columns["status"]) if status == State.done.value]
    results = [name for name in columns if name not in ("case", "status", *sweep.columns)]
    if not done:
        raise UsageError("plot: no case is done yet; compute some with `ablasim sweep run`")
    _require(value, results, "is a column of the table")
    rows = _restricted(sweep, columns, done, at or {})
    if not any(_is_number(columns[value][i]) for i in rows):
        raise UsageError(f"plot: {value} is a number in none of the cases; see the table")
    left = [
        name
        for name in sweep.columns
        if name not in axes_names
        and not isinstance(sweep.plan.vary[name], Sobol)
        and len({str(columns[name][i]) for i in rows}) > 1
    ]
    sampled = any(isinstance(axis, Sobol) for axis in sweep.plan.vary.values())
    room = 0 if y is not None else 1
    if len(left) > room and not sampled:
        raise UsageError(_fix(left, room, columns, rows))
    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axes = figure.add_subplot()
    if sampled:
        _points(figure, axes, columns, rows, x, y, value)
    elif y is None:
        _lines(axes, columns, rows, x, left[0] if left else None, value)
    else:
        _heat_map(figure, axes, columns, rows, x, y, value)
    title = _title(sweep, at or {})
    missing = len(rows) - len(_drawable(columns, value, rows))
    notes = [f"{missing} of {len(rows)} cases have no value"] if missing else []
    for state in (State.failed, State.open):
        count = columns["status"].count(state.value)
        if count:
            notes.append(f"{count} of the sweep's {state.value}")
    if notes:
        title += f" ({'; '.join(notes)})"
    axes.set_title(title, fontsize=10, loc="left")
    figure.supxlabel(NOTICE, fontsize=7, color="0.45", x=0.99, ha="right")
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format=out.suffix[1:].lower(), dpi=150)
    write_whole(out, stream.getvalue())


def _require(name: str, allowed: Sequence[str], what: str) -> None:
    if name not in allowed:
        near = closest(name, allowed)
        hint = f"; did you mean {near!r}?" if near else "."
        shown = ", ".join(allowed[:12]) + (", ..." if len(allowed) > 12 else "")
        raise UsageError(f"plot: nothing called {name!r} {what}{hint} There are: {shown}")


def _restricted(
    sweep: Sweep, columns: Columns, rows: list[int], at: Mapping[str, Any]
) -> list[int]:
    for name, wanted in at.items():
        _require(name, sweep.columns, "varies in this sweep")
        kept = [i for i in rows if columns[name][i] == wanted or str(columns[name][i]) == wanted]
        if not kept:
            raise UsageError(f"--at {name}: got {wanted}; there are {_values(columns, name, rows)}")
        rows = kept
    return rows


def _values(columns: Columns, name: str, rows: Sequence[int]) -> str:
    found = dict.fromkeys(str(columns[name][i]) for i in rows)
    return ", ".join(list(found)[:10]) + (", ..." if len(found) > 10 else "")


def _fix(left: Sequence[str], room: int, columns: Columns, rows: Sequence[int]) -> str:
    fixed = left[room:] if room else left
    asked = "; ".join(f"--at {name}=VALUE ({_values(columns, name, rows)})" for name in fixed)
    return f"plot: other fields vary too and must be fixed: {asked}"


def _title(sweep: Sweep, at: Mapping[str, Any]) -> str:
    return ", ".join([sweep.name, *(f"{label_of(name)} {value}" for name, value in at.items())])


def _lines(
    axes: Axes, columns: Columns, rows: list[int], x: str, by: str | None, value: str
) -> None:
    """One line for each value of another field, in the order of the plan."""
    groups: dict[str, list[int]] = {}
    for i in rows:
        groups.setdefault("" if by is None else str(columns[by][i]), []).append(i)
    if len(groups) > MOST_LINES:
        raise UsageError(
            f"plot: {by} has {len(groups)} values, too many lines; add {by} as the second field"
            f" for a heat map, or fix it with --at {by}=VALUE"
        )
    positions, ticks = _positions(columns, x, rows)
    for name, members in groups.items():
        order = sorted(_drawable(columns, value, members), key=lambda i: positions[i])
        axes.plot(
            [positions[i] for i in order],
            [columns[value][i] for i in order],
            marker="o",
            markersize=4.5,
            label=name if by is None else _short(columns[by][members[0]]),
        )
    if by is not None:
        axes.legend(title=label_of(by), fontsize=8, title_fontsize=8)
    _mark_margins(axes, columns, rows, value)
    _label(axes, x, ticks, value)
    axes.grid(alpha=0.25)


def _heat_map(
    figure: Figure, axes: Axes, columns: Columns, rows: list[int], x: str, y: str, value: str
) -> None:
    """One field for each pair of values; empty where no case is done, hatched where one is and has
    no value: without a lethal zone there is no margin."""
    across, up = (_levels(columns, name, rows) for name in (x, y))
    grid = np.full((len(up), len(across)), np.nan)
    for i in _drawable(columns, value, rows):
        grid[up.index(columns[y][i]), across.index(columns[x][i])] = columns[value][i]
    drawn = axes.imshow(
        np.ma.masked_invalid(grid), origin="lower", aspect="auto", **_colours(value, grid)
    )
    axes.set_facecolor("0.9")
    for i in set(rows) - set(_drawable(columns, value, rows)):
        corner = (across.index(columns[x][i]) - 0.5, up.index(columns[y][i]) - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="///", edgecolor="0.4", lw=0))
    figure.colorbar(drawn, ax=axes, label=label_of(value))
    for name, levels, set_ticks in ((x, across, axes.set_xticks), (y, up, axes.set_yticks)):
        step = math.ceil(len(levels) / 14)
        set_ticks(range(0, len(levels), step), [_short(v) for v in levels[::step]])
        (axes.set_xlabel if name == x else axes.set_ylabel)(label_of(name))
    if grid.size <= MOST_WRITTEN:
        for row, column in zip(*np.nonzero(np.isfinite(grid)), strict=True):
            colour = drawn.cmap(drawn.norm(grid[row, column]))
            light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 0.5
            axes.text(
                column,
                row,
                _written(value, grid[row, column]),
                ha="center",
                va="center",
                fontsize=8,
                color="black" if light else "white",
            )


def _points(
    figure: Figure,
    axes: Axes,
    columns: Columns,
    rows: list[int],
    x: str,
    y: str | None,
    value: str,
) -> None:
    """One point for each case."""
    positions, ticks = _positions(columns, x, rows)
    rows = _drawable(columns, value, rows)
    places = [positions[i] for i in rows]
    values = np.array([columns[value][i] for i in rows], dtype=float)
    if y is None:
        axes.scatter(places, values, s=18, alpha=0.8)
        _mark_margins(axes, columns, rows, value)
        _label(axes, x, ticks, value)
    else:
        heights, up = _positions(columns, y, rows)
        drawn = axes.scatter(
            places,
            [heights[i] for i in rows],
            c=values,
            s=36,
            edgecolors="0.35",
            linewidths=0.4,
            **_colours(value, values),
        )
        figure.colorbar(drawn, ax=axes, label=label_of(value))
        _label(axes, x, ticks, y)
        if up:
            axes.set_yticks(range(len(up)), up)
    axes.grid(alpha=0.25)


def _positions(
    columns: Columns, name: str, rows: Sequence[int]
) -> tuple[dict[int, float], list[str]]:
    """Where each case stands along an axis; names for the ticks where values are no numbers."""
    if all(_is_number(columns[name][i]) for i in rows):
        return {i: float(columns[name][i]) for i in rows}, []
    levels = _levels(columns, name, rows)
    return {i: float(levels.index(columns[name][i])) for i in rows}, [_short(v) for v in levels]


def _levels(columns: Columns, name: str, rows: Sequence[int]) -> list[Any]:
    """The different values; numbers ascend, others keep the order of the plan."""
    found = list(dict.fromkeys(columns[name][i] for i in rows))
    return sorted(found) if all(map(_is_number, found)) else found


def _label(axes: Axes, x: str, ticks: Sequence[str], up: str) -> None:
    axes.set_xlabel(label_of(x))
    axes.set_ylabel(label_of(up))
    if ticks:
        axes.set_xticks(range(len(ticks)), ticks)


def _is_margin(value: str) -> bool:
    if value.startswith("risk.margin_mm."):
        return True
    return value.startswith("margin.") and value.endswith("_mm") and "minimal" in value


def _mark_margins(axes: Axes, columns: Columns, rows: Sequence[int], value: str) -> None:
    """Lines at 0 and 5 mm where a margin is drawn and reaches that far."""
    if not _is_margin(value):
        return
    found = [columns[value][i] for i in _drawable(columns, value, rows)]
    reach = 0.3 * max(max(found) - min(found), 1.0)
    for level in MARGIN_LEVELS_MM:
        if min(found) - reach <= level <= max(found) + reach:
            axes.axhline(level, color="#B2182B" if level == 0.0 else "0.4", lw=1.0, ls=(0, (4, 3)))


def _colours(value: str, values: NDArray[np.float64]) -> dict[str, Any]:
    """A margin is red where it is negative; anything else goes from dark to light."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if _is_margin(value) and low < 0.0:
        reach = max(-low, high, 1e-9)
        return {"cmap": "RdBu", "norm": TwoSlopeNorm(0.0, -reach, reach)}
    return {"cmap": "viridis"}


def _drawable(columns: Columns, value: str, rows: Sequence[int]) -> list[int]:
    """Cases that have a number: without a zone, for example, there is no margin."""
    return [i for i in rows if _is_number(columns[value][i])]


def _written(value: str, number: float) -> str:
    """A number in a field of the heat map; margins are rounded down to half a millimetre."""
    text = f"{margin_round(number):.1f}" if _is_margin(value) else f"{number:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(value: Any) -> str:
    text = f"{value:.4g}" if _is_number(value) else str(value)
    return text if len(text) <= 18 else text[:17] + "…"
