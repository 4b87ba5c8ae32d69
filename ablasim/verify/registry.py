"""All cases, by family, and their choice by name. A family is a module with TITLE and CASES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module

from ablasim.errors import UsageError
from ablasim.safe_yaml import closest
from ablasim.solve.dolfinx_start import is_installed
from ablasim.verify.case import Case

FAMILIES = (
    "thermal",
    "heating",
    "electric",
    "phase_change",
    "vessel",
    "blood",
    "antenna",
    "manufactured",
    "death",
    "sinks",
    "published",
    "published_rf",
    "published_mw",
    "published_flow",
    "quadratic",
    "parity",
    "parity_exact",
)
"""Modules of this package that hold cases, in the order of the page."""


@dataclass(frozen=True)
class Family:
    """Cases that belong together.

    Attributes:
        name: of the module.
        title: of the table.
        cases: in order.
    """

    name: str
    title: str
    cases: tuple[Case, ...]


@cache
def families() -> tuple[Family, ...]:
    """All families."""
    found = []
    for name in FAMILIES:
        module = import_module(f"ablasim.verify.{name}")
        found.append(Family(name, module.TITLE, tuple(module.CASES)))
    return tuple(found)


def all_cases() -> tuple[Case, ...]:
    """Every case, in the order of the page."""
    return tuple(case for family in families() for case in family.cases)


def select(patterns: Sequence[str] = (), *, quick: bool = False) -> tuple[Case, ...]:
    """The cases that match any of the patterns (all without patterns), in the page's order.

    Args:
        patterns: names, globs such as F8*, or what several names begin with before a dash (F10
            for F10-7.5mm); upper and lower case are the same.
        quick: only those of the quick half.

    Without patterns, cases of the engine dolfinx are left out where it is not installed.

    Raises:
        UsageError: a pattern matches nothing.
    """
    known = all_cases()
    for pattern in patterns:
        if not any(_matches(case, pattern) for case in known):
            names = tuple(case.name for case in known)
            near = closest(pattern, names)
            hint = f"; did you mean {near!r}?" if near else ""
            raise UsageError(
                f"verify: got {pattern!r}; no case has that name{hint} `ablasim verify --list` "
                "lists them all, and globs such as 'F8*' choose several."
            )
    chosen = tuple(
        case
        for case in known
        if (any(_matches(case, pattern) for pattern in patterns) if patterns else _can_run(case))
        and (case.quick or not quick)
    )
    if not chosen:
        raise UsageError(
            f"verify: got {', '.join(patterns)} with --quick; none of them is in the quick half: "
            "leave --quick away."
        )
    return chosen


def _can_run(case: Case) -> bool:
    return is_installed() or not case.needs_dolfinx


def _matches(case: Case, pattern: str) -> bool:
    name, wanted = case.name.lower(), pattern.lower()
    if fnmatchcase(name, wanted):
        return True
    alone = any(other.name.lower() == wanted for other in all_cases())
    return not alone and name.startswith(f"{wanted}-")
