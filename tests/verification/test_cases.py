"""The quick half of `ablasim verify`, case by case; the mistake each would catch is its `catches`.

`ablasim verify` runs the other half as well, and writes docs/verification.md.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ablasim.errors import ConvergenceError, ResourceError, UsageError
from ablasim.verify import (
    Case,
    Tolerance,
    all_cases,
    records,
    registry,
    run_case,
    run_cases,
    select,
)
from ablasim.verify.case import VALUE, Row, absolute, at_least, at_most, observed_order, relative
from ablasim.verify.kept import Kept
from ablasim.verify.page import markdown, result_of
from ablasim.verify.runner import require


@pytest.mark.parametrize("case", select(quick=True), ids=lambda case: case.name)
def test_quick_case(case: Case) -> None:
    """The product agrees with the reference within the tolerance that the case was given."""
    outcome = run_case(case)
    assert outcome.failure == ""
    for row in outcome.rows:
        limit = case.tolerances[row.tolerance].value if row.tolerance else None
        print(f"{row.quantity}: {row.computed:.6g} for {row.reference:.6g}, {row.error:.2e}")
        assert outcome.verdict(row) is not False, (row, limit)
    assert outcome.passed
    # a case whose numbers all count as neither belongs in no test
    assert any(outcome.verdict(row) for row in outcome.rows)


def test_every_case_says_what_a_reader_needs() -> None:
    names = [case.name for case in all_cases()]
    assert len(names) > 15
    assert len(set(map(str.lower, names))) == len(names)
    for case in all_cases():
        assert case.title and case.source and case.catches and case.tolerances, case.name
        assert not case.catches.endswith("."), case.name
        assert all(limit.value >= 0.0 for limit in case.tolerances.values())


# -- the frame itself -----------------------------------------------------------------------------


def made_up(*rows: Row, tolerance: float = 0.01, name: str = "made-up") -> Case:
    """A case that computes nothing."""
    return Case(
        name=name,
        title="a made-up case",
        kind="exact",
        source="none",
        catches="nothing",
        tolerances={VALUE: Tolerance(tolerance), "K": Tolerance(0.3, "K")},
        compute=lambda: rows,
    )


def test_a_number_outside_its_tolerance_fails_its_case() -> None:
    """Catches a verdict that nobody computed."""
    good = relative("good", "K", 100.0, 100.9)
    bad = relative("bad", "K", 100.0, 101.1)
    outcome = run_case(made_up(good, bad))
    assert [outcome.verdict(row) for row in outcome.rows] == [True, False]
    assert not outcome.passed and result_of(outcome) == "**FAIL**"
    assert [record["passed"] for record in records(outcome)] == [True, False]
    assert run_case(made_up(good)).passed


def test_what_is_not_a_number_never_passes() -> None:
    """Catches a comparison that NaN slips through, and JSON that is none."""
    for row in (
        relative("nan", "K", 1.0, math.nan),
        at_most("nan", "K", 1.0, math.nan),
        at_least("inf", "K", 1.0, math.inf),
        absolute("nan", "K", math.nan, 1.0, "K"),
    ):
        outcome = run_case(made_up(row))
        assert not outcome.passed, row
        (record,) = records(outcome)
        assert record["passed"] is False
        assert None in (record["reference"], record["computed"])


def test_numbers_of_numpy_become_json() -> None:
    """Catches a verdict or a number that `json` refuses, after minutes of computing."""
    row = absolute("numpy", "K", np.float64(50.0), np.float64(50.2), "K")  # type: ignore[arg-type]
    (record,) = records(run_case(made_up(row)))
    assert json.loads(json.dumps(record))["passed"] is True


def test_a_band_counts_as_neither() -> None:
    """Catches an open range that is counted as a success."""
    outcome = run_case(made_up(relative("band", "K", 1.0, 5.0, tolerance=None)))
    assert outcome.passed and outcome.undecided and result_of(outcome) == "band"
    assert records(outcome)[0]["passed"] is None
    mixed = run_case(made_up(relative("band", "K", 1.0, 5.0, tolerance=None), bad_row()))
    assert not mixed.passed and not mixed.undecided


def bad_row() -> Row:
    return absolute("bad", "K", 50.0, 50.5, "K")


def test_a_case_that_cannot_be_computed_fails_and_the_rest_goes_on() -> None:
    """Catches a run whose failure is shown as a pass, or that takes the other cases with it."""

    def broken() -> list[Row]:
        require(False, "no basis")
        return []

    def out_of_memory() -> list[Row]:
        raise ResourceError("no memory")

    fine = made_up(absolute("good", "K", 50.0, 50.2, "K"))
    stopped = Case("b", "t", "exact", "s", "c", {VALUE: Tolerance(1.0)}, broken)
    empty = made_up(name="empty")
    events = []
    outcomes = list(run_cases([stopped, empty, fine], progress=events.append))
    assert [outcome.passed for outcome in outcomes] == [False, False, True]
    assert outcomes[0].failure == "no basis"
    assert records(outcomes[0])[0]["passed"] is False
    assert "compared nothing" in outcomes[1].failure
    assert [event.fraction for event in events] == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0])
    with pytest.raises(ResourceError):
        run_case(Case("m", "t", "exact", "s", "c", {VALUE: Tolerance(1.0)}, out_of_memory))
    with pytest.raises(ConvergenceError):
        require(False, "no basis")


def test_errors_count_as_they_say() -> None:
    assert relative("", "", 2.0, 2.5).error == pytest.approx(0.25)
    assert relative("", "", 0.001, 0.501, floor=2.0).error == pytest.approx(0.25)
    assert absolute("", "", -2.0, 2.5).error == pytest.approx(4.5)
    assert at_most("", "", 2.0, 2.5).error == pytest.approx(0.5)
    assert at_most("", "", 2.0, 1.0).error == 0.0
    assert at_least("", "", 2.0, 1.5).error == pytest.approx(0.5)
    (row,) = observed_order([0.4, 0.1])
    assert row.computed == pytest.approx(2.0) and row.tolerance == "order"


def test_names_and_globs_choose_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "is_installed", lambda: True)
    assert [case.name for case in select(["f7"])] == ["F7"]
    assert {case.name for case in select(["F8*", "F1"])} == {
        "F1",
        "F8",
        "F8-fine",
        "F8-quadratic",
    }
    assert len(select(["F10"])) == 4  # F10-7.5mm and its like
    assert all(case.quick for case in select(quick=True))
    assert len(select(quick=True)) < len(select()) == len(all_cases())
    with pytest.raises(UsageError, match="no case has that name.*F5"):
        select(["F5c"])
    with pytest.raises(UsageError, match="quick half"):
        select(["F6-fine"], quick=True)


def test_cases_of_an_engine_that_is_not_there_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a verification that stops where DOLFINx is not installed."""
    monkeypatch.setattr(registry, "is_installed", lambda: False)
    left = select()
    assert left and not any(case.needs_dolfinx for case in left)
    assert {case.name for case in all_cases()} - {case.name for case in left} == {
        case.name for case in all_cases() if case.needs_dolfinx
    }
    assert [case.name for case in select(["parity-mw_slot_c2"])] == ["parity-mw_slot_c2"]


def test_the_page_shows_a_failure_like_any_other() -> None:
    """Catches a page that drops what fails."""
    case = next(case for case in all_cases() if case.name == "F7")
    fake = Case(
        name="F7",
        title=case.title,
        kind="exact",
        source="a | b",
        catches="nothing",
        tolerances={VALUE: Tolerance(0.01), "K": Tolerance(0.3, "K")},
        compute=lambda: [relative("theta", "K", 1.0, 1.2), bad_row()],
        remark="The likely cause.",
    )
    text = markdown([run_case(fake)])
    assert "| F7 | theta | K | 1 | 1.2 | 20 % | 1 % | **FAIL** |" in text
    assert "| F7 | bad | K | 50 | 50.5 | 0.5 K | 0.3 K | **FAIL** |" in text
    assert "1 cases: 0 pass, 1 fail, 0 count as neither" in text
    assert "The likely cause." in text
    assert "ablasim verify --write" in text and "not a medical device" in text


def test_a_long_case_shows_signs_of_life() -> None:
    """Catches a case of minutes during which nothing is told."""
    events = []
    (case,) = select(["F7"])
    list(run_cases([case], progress=events.append))
    assert {event.stage for event in events} == {"verify"}
    assert any(" of 4000 s" in event.message for event in events)
    assert events[-1].fraction == 1.0


def test_the_page_is_what_the_record_says() -> None:
    """Catches a page that was edited, and cases whose words or numbers have changed since."""
    root = Path(__file__).resolve().parents[2]
    kept = Kept(root / "benchmarks" / "results" / "verification.json")
    outcomes = [kept.outcome(case) for case in all_cases()]
    lost = [c.name for c, one in zip(all_cases(), outcomes, strict=True) if one is None]
    assert not lost, f"ablasim verify {' '.join(lost)} --kept {kept.path}"
    page = (root / "docs" / "verification.md").read_text(encoding="utf-8").splitlines()
    new = markdown([one for one in outcomes if one is not None]).splitlines()
    assert [line for line in page if not line.startswith("Written on")] == [
        line for line in new if not line.startswith("Written on")
    ], "ablasim verify --kept benchmarks/results/verification.json --write"
