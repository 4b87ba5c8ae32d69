"""A case of the verification: what is compared with what, and how far apart the two may be.

The tolerances stand in the case's record, beside its source: they are fixed before anything is
computed, and no computation can move them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["exact", "published", "code-to-code"]

VALUE = "value"
"""Name of a case's main tolerance."""

ONE_PER_CENT = 0.01


@dataclass(frozen=True)
class Tolerance:
    """The largest error that passes.

    Attributes:
        value: of it.
        unit: of the error; empty where it is a fraction of the reference.
    """

    value: float
    unit: str = ""


@dataclass(frozen=True)
class Row:
    """One number of a case beside its reference.

    Attributes:
        quantity: what it is, and where and when.
        unit: of reference and computed.
        reference: exact, measured, or from another program.
        computed: by ablasim.
        error: in the unit of its tolerance, never negative.
        tolerance: name of one of the case's tolerances; None for a number that is shown and counts
            neither as passed nor as failed.
    """

    quantity: str
    unit: str
    reference: float
    computed: float
    error: float
    tolerance: str | None = VALUE


@dataclass(frozen=True)
class Case:
    """A comparison that `ablasim verify` makes.

    Attributes:
        name: short and unique, by which it is chosen.
        title: what is simulated.
        kind: of the reference: a closed form, an experiment, another program.
        source: where the reference is from.
        catches: the mistake that would make it fail.
        tolerances: by name; `VALUE` is that of rows that name none.
        compute: runs it, row by row.
        quick: part of the half that the tests run.
        needs_dolfinx: runs the engine dolfinx, and is left out where that is not installed.
        remark: what the reader must know; why it fails, where it does.
    """

    name: str
    title: str
    kind: Kind
    source: str
    catches: str
    tolerances: Mapping[str, Tolerance]
    compute: Callable[[], Iterable[Row]] = field(repr=False)
    quick: bool = False
    needs_dolfinx: bool = False
    remark: str = ""


@dataclass(frozen=True)
class Outcome:
    """A case after its run.

    Attributes:
        case: that was run.
        rows: in the order of the case.
        seconds: that it took.
        failure: why it could not be computed to its end; empty where it was.
    """

    case: Case
    rows: tuple[Row, ...]
    seconds: float
    failure: str = ""

    def verdict(self, row: Row) -> bool | None:
        """Whether a row passes; None where it counts as neither."""
        if row.tolerance is None:
            return None
        # NaN is never small enough
        return bool(row.error <= self.case.tolerances[row.tolerance].value)

    @property
    def passed(self) -> bool:
        """Whether the case was computed and none of its rows fails."""
        return not self.failure and all(self.verdict(row) is not False for row in self.rows)

    @property
    def undecided(self) -> bool:
        """Whether none of its rows could pass or fail: a band over an open quantity."""
        return self.passed and all(self.verdict(row) is None for row in self.rows)


def relative(
    quantity: str,
    unit: str,
    reference: float,
    computed: float,
    *,
    floor: float = 0.0,
    tolerance: str | None = VALUE,
) -> Row:
    """A row whose error is a fraction of the reference, or of `floor` where that is larger."""
    size = max(abs(reference), floor)
    error = abs(computed - reference) / size if size > 0 else math.inf
    return Row(quantity, unit, reference, computed, error, tolerance)


def absolute(
    quantity: str, unit: str, reference: float, computed: float, tolerance: str | None = VALUE
) -> Row:
    """A row whose error is the difference."""
    return Row(quantity, unit, reference, computed, abs(computed - reference), tolerance)


def at_most(
    quantity: str, unit: str, limit: float, computed: float, tolerance: str | None = VALUE
) -> Row:
    """A row that is wrong by as much as it lies above a limit."""
    excess = computed - limit if math.isfinite(computed) else math.inf
    return Row(quantity, unit, limit, computed, max(excess, 0.0), tolerance)


def at_least(
    quantity: str, unit: str, limit: float, computed: float, tolerance: str | None = VALUE
) -> Row:
    """A row that is wrong by as much as it lies below a limit."""
    lack = limit - computed if math.isfinite(computed) else math.inf
    return Row(quantity, unit, limit, computed, max(lack, 0.0), tolerance)


def observed_order(
    errors: Iterable[float], quantity: str = "order", tolerance: str = "order", factor: float = 2.0
) -> list[Row]:
    """Rows of the orders with which errors fall when all sizes are divided by `factor`."""
    listed = list(errors)
    return [
        absolute(
            f"{quantity}, level {level} to {level + 1}",
            "",
            2.0,
            math.log(coarse / fine) / math.log(factor),
            tolerance,
        )
        for level, (coarse, fine) in enumerate(zip(listed[:-1], listed[1:], strict=True), start=1)
    ]
