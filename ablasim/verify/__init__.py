"""Verification: every exact solution and every published experiment, as cases with numbers.

A case names its reference, its source and its tolerances; running it gives rows of numbers. The
families of cases are modules of this package, named in `registry.FAMILIES`, each with a TITLE and
CASES; they load nothing heavy before a case is run. Closed forms stand in `exact*`, structured
meshes in `patches`, what the cases share in `scenes` and `runs`.
"""

from ablasim.verify.case import Case, Outcome, Row, Tolerance
from ablasim.verify.registry import all_cases, families, select
from ablasim.verify.runner import FAILED_EXIT_CODE, records, run_case, run_cases

__all__ = [
    "FAILED_EXIT_CODE",
    "Case",
    "Outcome",
    "Row",
    "Tolerance",
    "all_cases",
    "families",
    "records",
    "run_case",
    "run_cases",
    "select",
]
