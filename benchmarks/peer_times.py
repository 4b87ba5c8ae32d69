"""The time to reach an error, read off the curves of `peers.py`, and its table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

Runs = Sequence[Mapping[str, Any]]


def times_to(
    families: Mapping[str, Runs], error: str, targets: Sequence[float]
) -> dict[str, dict[str, Any] | None]:
    """Shortest time of all families to reach each error.

    Args:
        families: runs from coarse to fine, with `solve_s` and errors.
        error: the key of the error [%]; its sign does not count.
        targets: errors [%].

    Returns:
        By target: seconds, the family, and whether it is a bound only ("at_most": already the
        coarsest run is better); None where nobody came so close.
    """
    found = {}
    for target in targets:
        reached = [
            (*time, name)
            for name, runs in families.items()
            if (time := _time_to(runs, error, target)) is not None
        ]
        best = min(reached, default=None)
        found[f"{target:g}%"] = best and {
            "seconds": best[0],
            "at_most": best[1],
            "family": best[2],
        }
    return found


def _time_to(runs: Runs, error: str, target: float) -> tuple[float, bool] | None:
    """Seconds at which one family reaches an error, on straight lines between logarithms.

    An error may pass through zero on its way: a run counts with the largest error of all runs that
    are as fine or finer, so that no lucky one is taken for an accurate one.
    """
    worst: list[tuple[float, float]] = []
    largest = 0.0
    for run in reversed(runs):
        largest = max(largest, abs(run[error]))
        worst.append((run["solve_s"], largest))
    worst.reverse()
    if worst[-1][1] > target:
        return None
    if worst[0][1] <= target:
        return worst[0][0], True
    for (time, high), (later, low) in pairwise(worst):
        if low <= target < high:
            share = math.log(high / target) / math.log(high / max(low, 1e-12))
            return float(time * (later / time) ** share), False
    return None


def table(content: Mapping[str, Any]) -> str:
    """Markdown table of the contenders, with the times for both kinds of error."""
    contenders = content["contenders"].values()
    if not contenders:
        return "Nothing was run."
    targets = list(next(iter(contenders))["seconds_to_volume_error"])
    head = ["", *(f"volume to {t}" for t in targets), *(f"misplaced {t}" for t in targets)]
    head += ["best error", "set-up", "compilation", "memory"]
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for each in contenders:
        runs = [run for family in each["families"].values() for run in family]
        best = min(abs(run["volume_error_percent"]) for run in runs)
        times = [_time(each[kind][t]) for kind in KINDS for t in targets]
        rest = [f"{best:.2g} %", f"{each['setup_s']:.1f} s", f"{each['compile_s']:.1f} s"]
        lines.append(_line([each["title"], *times, *rest, f"{each['memory_GB']:.2f} GB"]))
    return "\n".join(lines)


KINDS = ("seconds_to_volume_error", "seconds_to_misplaced")


def _time(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return "-"
    return f"{'< ' if entry['at_most'] else ''}{entry['seconds']:.1f} s"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
