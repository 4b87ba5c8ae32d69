"""Calibrate the parametric microwave heat on one column of a published table, predict the others.

The case itself, with its source, its assumptions and its criterion, is G8 of `ablasim verify`; this
keeps its numbers beside those of the other benchmarks.

    python benchmarks/he_2010.py
"""

from __future__ import annotations

import record

from ablasim.verify import records, run_case, select


def main() -> None:
    """Run and write `results/he_2010.json`."""
    (case,) = select(["G8"])
    outcome = run_case(case)
    content = {
        "criterion_mm": case.tolerances["value"].value,
        "numbers": records(outcome),
        "within_limits": outcome.passed,
        "seconds": outcome.seconds,
    }
    record.write("he_2010", content)


if __name__ == "__main__":
    main()
