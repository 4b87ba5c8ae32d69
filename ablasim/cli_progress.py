"""How a long job shows its progress, on stderr: bars on a terminal, else a line now and then."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ablasim.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def show_progress(*, quiet: bool, verbose: bool = False) -> Iterator[ProgressCallback | None]:
    """A callback for a long job: bars on a terminal, else a plain line now and then, or nothing.

    Args:
        quiet: show nothing.
        verbose: a line for every event instead of bars.
    """
    if quiet:
        yield None
    elif verbose or not sys.stderr.isatty():
        yield PlainProgress(0.0 if verbose else SECONDS_BETWEEN_LINES)
    else:
        with _rich_display() as display:
            yield BarProgress(display)


class PlainProgress:
    """Prints a line when a stage begins, and at most one every `interval` seconds after that."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._stage = ""
        self._started = self._printed = -math.inf
        self._ended = False

    def __call__(self, event: Progress) -> None:
        now = time.monotonic()
        begins, ends = event.stage != self._stage, event.fraction >= 1.0
        if begins:
            self._stage, self._started, self._ended = event.stage, now, False
        elif self._ended or (not ends and now - self._printed < self.interval):
            return
        self._printed, self._ended = now, ends
        parts = [f"{event.stage:<8}{100.0 * event.fraction:4.0f} %", describe(event)]
        left = seconds_left(event.fraction, now - self._started)
        if left is not None:
            parts.append(f"about {format_seconds(left)} left")
        print("  ".join(part for part in parts if part), file=sys.stderr, flush=True)


class BarProgress:
    """One bar per stage on a terminal."""

    def __init__(self, display: RichProgress) -> None:
        self.display = display
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Progress) -> None:
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self.display.add_task(event.stage, total=1.0, detail="")
        self.display.update(
            self._tasks[event.stage],
            completed=min(max(event.fraction, 0.0), 1.0),
            detail=describe(event),
        )


def _rich_display() -> RichProgress:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, ProgressColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.progress import Task as RichTask
    from rich.text import Text

    class Stage(ProgressColumn):
        def render(self, task: RichTask) -> Text:
            return Text(escape(task.description).ljust(8))

    class Detail(ProgressColumn):
        def render(self, task: RichTask) -> Text:
            return Text(str(task.fields["detail"]))

    return RichProgress(
        Stage(), BarColumn(24), TimeRemainingColumn(), Detail(), console=Console(stderr=True)
    )


def describe(event: Progress) -> str:
    """The numbers of an event as a person reads them, then its message."""
    parts = []
    if event.time_s is not None and event.duration_s is not None:
        parts.append(f"{event.time_s:.0f} of {event.duration_s:.0f} s")
    if event.peak_C is not None:
        parts.append(f"peak {event.peak_C:.1f} °C")
    if event.lethal_ml is not None:
        parts.append(f"lethal {event.lethal_ml:.1f} ml")
    if event.message:
        parts.append(event.message)
    return "  ".join(parts)


def seconds_left(fraction: float, elapsed: float) -> float | None:
    """Time left [s] if the rest goes as fast as what is done; None while that says nothing."""
    if not 0.02 <= fraction < 1.0 or elapsed < 1.0:
        return None
    return elapsed * (1.0 - fraction) / fraction


def format_seconds(seconds: float) -> str:
    """A duration for people: 45 s, 3 min 20 s."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"
