"""The page of the verification in Markdown: a table per family, commands, date and versions."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from ablasim.verify.case import Kind, Outcome, Row, Tolerance
from ablasim.verify.registry import families

PACKAGES = ("ablasim", "numpy", "scipy", "jax", "pyamg", "mmgpy", "scikit-fem")

VERDICT = {True: "pass", False: "**FAIL**", None: "band"}

KINDS: dict[Kind, str] = {
    "exact": "closed form",
    "published": "published experiment",
    "code-to-code": "other program",
}

INTRODUCTION = """\
# Verification

Does ablasim solve its equations right, and do they describe what was measured? Every closed form,
comparison with another program and published experiment that it is held against stands here with
its numbers. The tolerances are part of each case and were set before it was computed; a case that
fails is shown like any other, with what was tried and the likely cause. *Band* marks a number whose
source leaves a decisive quantity open: its range is shown and counts neither as passed nor as
failed.

This page is written by a command and never edited by hand:

```
ablasim verify --write             every case, and this page
ablasim verify --quick             the half that `make test` runs
ablasim verify F7 'F8*'            some of them
ablasim verify --list              their names
ablasim verify --kept FILE         in parts: what the file holds is not run again
ablasim verify --json              the same numbers for a program
```

All of it takes hours, so the outcomes are kept in `benchmarks/results/verification.json`; some are
older than the page. After a change, in the source tree:

```
ablasim verify 'F8*' --kept benchmarks/results/verification.json --again    what it touches
ablasim verify --kept benchmarks/results/verification.json --write          the page
```

theta is the temperature above body temperature. Errors in per cent are fractions of the reference
unless a case says otherwise. Research software, not a medical device.
"""


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The page for what was run, in the order of the families."""
    done = {outcome.case.name: outcome for outcome in outcomes}
    parts = [INTRODUCTION, _when_and_where(), _overview(outcomes)]
    for family in families():
        present = [done[case.name] for case in family.cases if case.name in done]
        if present:
            parts.append(f"## {family.title}\n\n" + "\n".join(_case(one) for one in present))
            parts.append(_table(present))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _when_and_where() -> str:
    versions = ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name)))
    return (
        f"Written on {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} processor cores under "
        f"{platform.system()}, Python {platform.python_version()}; {versions}."
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _overview(outcomes: Sequence[Outcome]) -> str:
    lines = ["| case | what | reference | numbers | result |", "|---|---|---|---:|---|"]
    lines += [
        f"| {one.case.name} | {_cell(one.case.title)} | {KINDS[one.case.kind]} | {len(one.rows)} "
        f"| {result_of(one)} |"
        for one in outcomes
    ]
    count = {
        word: sum(result_of(one) == word for one in outcomes) for word in set(VERDICT.values())
    }
    total = (
        f"{len(outcomes)} cases: {count['pass']} pass, {count['**FAIL**']} fail, "
        f"{count['band']} count as neither."
    )
    return "## All cases\n\n" + total + "\n\n" + "\n".join(lines)


def result_of(outcome: Outcome) -> str:
    """Word for a case as a whole."""
    return VERDICT[None if outcome.undecided else outcome.passed]


def _case(outcome: Outcome) -> str:
    case = outcome.case
    text = f"- **{case.name}** {case.title}. Reference: {case.source}. Would catch: {case.catches}."
    if case.remark:
        text += f" {case.remark}"
    if outcome.failure:
        text += f" **Could not be computed:** {_cell(outcome.failure)}"
    return text


def _table(outcomes: Sequence[Outcome]) -> str:
    lines = [
        "| case | quantity | unit | reference | computed | error | tolerance | result |",
        "|---|---|---|---:|---:|---:|---:|---|",
    ]
    for outcome in outcomes:
        lines += ["| " + " | ".join(_cell(c) for c in cells) + " |" for cells in row_cells(outcome)]
    return "\n".join(lines)


def row_cells(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    """Case, quantity, unit, reference, computed, error, tolerance, result; one row per number."""
    for row in outcome.rows:
        limit = None if row.tolerance is None else outcome.case.tolerances[row.tolerance]
        yield (
            outcome.case.name,
            row.quantity,
            row.unit,
            _number(row.reference),
            _number(row.computed),
            error_text(row, limit),
            "" if limit is None else size_text(limit.value, limit.unit),
            VERDICT[outcome.verdict(row)],
        )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.6g}"


def error_text(row: Row, limit: Tolerance | None) -> str:
    """A row's error in the unit of its tolerance."""
    if math.isnan(row.error):
        return "-"
    return f"{row.error:.3g}" if limit is None else size_text(row.error, limit.unit)


def size_text(value: float, unit: str) -> str:
    """An error or a tolerance: in per cent where it is a fraction."""
    return f"{value:.3g} {unit}" if unit else f"{100.0 * value:.3g} %"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
