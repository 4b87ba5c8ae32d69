"""Outcomes of cases in a file, so that hours of them can be computed in parts and shown together.

JSON; what it says of a case is used as it stands, whatever has changed since: after a change of the
code, what it touches must be computed again.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ablasim.errors import InputFileError
from ablasim.verify.case import Case, Outcome, Row

NUMBERS = ("reference", "computed", "error")


class Kept:
    """Outcomes by the name of their case, and the file that holds them."""

    def __init__(self, path: Path, again: Iterable[Case] = ()):
        """Read the file, if it is there.

        Args:
            path: of the file.
            again: cases to compute again, whatever the file holds of them.

        Raises:
            InputFileError: it cannot be read, or something else wrote it.
        """
        self.path = path
        self.found = _read(path)
        self.again = {case.name for case in again}

    def outcome(self, case: Case) -> Outcome | None:
        """What is kept of a case; None where it is not, or has rows that the case cannot judge."""
        entry = self.found.get(case.name)
        if entry is None or case.name in self.again:
            return None
        try:
            rows = tuple(_row(one) for one in entry["rows"])
            outcome = Outcome(case, rows, float(entry["seconds"]), str(entry["failure"]))
        except (KeyError, TypeError, ValueError):
            return None
        known = all(row.tolerance is None or row.tolerance in case.tolerances for row in rows)
        return outcome if known else None

    def keep(self, outcome: Outcome) -> None:
        """Add an outcome and write the file.

        Raises:
            InputFileError: it cannot be written.
        """
        rows = [
            asdict(row) | {name: _text(getattr(row, name)) for name in NUMBERS}
            for row in outcome.rows
        ]
        self.found |= _read(self.path)  # another part may have been running beside this one
        self.found[outcome.case.name] = {
            "seconds": outcome.seconds,
            "failure": outcome.failure,
            "rows": rows,
        }
        new = self.path.with_name(f"{self.path.name}.new")
        try:
            text = json.dumps({"outcomes": self.found}, indent=1, allow_nan=False)
            new.write_text(text + "\n", encoding="utf-8")
            os.replace(new, self.path)
        except OSError as error:
            raise InputFileError(
                f"{self.path}: cannot be written ({error.strerror}); give --kept a file in a "
                "directory that exists"
            ) from None


def with_kept(
    cases: Sequence[Case], outcomes: Iterator[Outcome], kept: Kept | None
) -> Iterator[Outcome]:
    """Outcomes of all cases in order: those kept, and the others as they are computed.

    Args:
        cases: all that are wanted.
        outcomes: of those that are not kept, in the same order.
        kept: what is there already, and where new ones go.
    """
    for case in cases:
        known = None if kept is None else kept.outcome(case)
        if known is None:
            known = next(outcomes)
            if kept is not None:
                kept.keep(known)
        yield known


def _read(path: Path) -> dict[str, Any]:
    """What a file holds; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["outcomes"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputFileError(
            f"{path}: not a file of `ablasim verify --kept`; delete it or name another"
        ) from None


def _text(value: float) -> float | str:
    return float(value) if math.isfinite(value) else repr(float(value))


def _row(entry: dict[str, Any]) -> Row:
    given = {one.name: entry[one.name] for one in fields(Row)}
    return Row(**given | {name: float(given[name]) for name in NUMBERS})
