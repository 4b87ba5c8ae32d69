"""Does an independent code give the same? RF at 30 W around a cooled needle, no vessel, no tumour.

The case itself, with its reference and its limits, is I1 of `ablasim verify`; this keeps its
numbers beside those of the other benchmarks.

    python benchmarks/code_to_code.py [--resolution standard]
"""

import argparse

import record

from ablasim.verify import records, run_case, select

CASES = {"standard": "I1", "fine": "I1-fine"}


def main() -> None:
    """Run and write `results/code_to_code.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", default="fine", choices=CASES)
    resolution = parser.parse_args().resolution
    (case,) = select([CASES[resolution]])
    outcome = run_case(case)
    limits = {name: f"{limit.value:g} {limit.unit}" for name, limit in case.tolerances.items()}
    content = {
        "resolution": resolution,
        "limits": limits,
        "numbers": records(outcome),
        "within_limits": outcome.passed,
    }
    record.write("code_to_code", content)


if __name__ == "__main__":
    main()
