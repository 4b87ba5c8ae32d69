"""Run cases one by one; give what was found as plain records."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from ablasim.errors import AblasimError, ConvergenceError, Interrupted, ResourceError
from ablasim.progress import Progress, ProgressCallback
from ablasim.verify.case import Case, Outcome, Row

FAILED_EXIT_CODE = 1
"""Exit code of `ablasim verify` where a case fails."""


_listener: ContextVar[ProgressCallback | None] = ContextVar("listener", default=None)


def inner_progress() -> ProgressCallback | None:
    """What a case passes to the mesher and the solver, so that a long case shows signs of life."""
    return _listener.get()


def run_cases(
    cases: Sequence[Case], *, progress: ProgressCallback | None = None
) -> Iterator[Outcome]:
    """Run cases in order and yield each as soon as it is done.

    A case that cannot be computed counts as failed, with the reason; the others go on.

    Args:
        cases: to run.
        progress: told before every case and at the end, as stage "verify".

    Raises:
        ResourceError, Interrupted: these end everything.
    """
    for number, case in enumerate(cases):
        if progress is None:
            yield run_case(case)
            continue
        name, done = f"{case.name} ({number + 1} of {len(cases)})", number / len(cases)
        progress(Progress("verify", done, f"{name}: {case.title}"))
        token = _listener.set(_forward(progress, name, done))
        try:
            outcome = run_case(case)
        finally:
            _listener.reset(token)
        yield outcome
    if progress is not None:
        progress(Progress("verify", 1.0, f"{len(cases)} cases done"))


def _forward(progress: ProgressCallback, name: str, done: float) -> ProgressCallback:
    """Tell what goes on inside a case, as part of the stage "verify"."""

    def tell(event: Progress) -> None:
        what = event.message or event.stage
        if event.time_s is not None and event.duration_s is not None:
            what = f"{event.time_s:.0f} of {event.duration_s:.0f} s"
        progress(Progress("verify", done, f"{name}: {what}"))

    return tell


def run_case(case: Case) -> Outcome:
    """Run one case."""
    begun, rows, failure = time.perf_counter(), list[Row](), ""
    try:
        rows.extend(case.compute())
    except (ResourceError, Interrupted):
        raise
    except AblasimError as error:
        failure = str(error)
    if not rows and not failure:
        failure = "it compared nothing"
    return Outcome(case, tuple(rows), time.perf_counter() - begun, failure)


def require(condition: bool, message: str) -> None:
    """Stop a case whose run is no basis for a comparison.

    Raises:
        ConvergenceError: the condition does not hold.
    """
    if not condition:
        raise ConvergenceError(message)


def records(outcome: Outcome) -> list[dict[str, Any]]:
    """One record per compared number, as `ablasim verify --json` prints it.

    `passed` is null where a number counts as neither; numbers that are not finite are null.
    """
    case = outcome.case
    shared = {"kind": case.kind, "source": case.source, "case": case.name, "remark": case.remark}
    found = []
    for row in outcome.rows:
        limit = None if row.tolerance is None else case.tolerances[row.tolerance]
        found.append(
            {
                "name": f"{case.name}: {row.quantity}",
                "reference": _number(row.reference),
                "computed": _number(row.computed),
                "error": _number(row.error),
                "tolerance": None if limit is None else limit.value,
                "passed": outcome.verdict(row),
                "unit": row.unit,
                "error_unit": None if limit is None else limit.unit,
                **shared,
            }
        )
    if outcome.failure:
        nothing = dict.fromkeys(("reference", "computed", "error", "tolerance"))
        found.append(
            {
                "name": f"{case.name}: could not be computed",
                **nothing,
                "passed": False,
                "unit": "",
                "error_unit": None,
                **shared,
                "remark": outcome.failure,
            }
        )
    return found


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
