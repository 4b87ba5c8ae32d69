"""The errors that ablasim raises on purpose, each with the exit code of the command line.

Every message says which path is meant, what was got, what is allowed, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Problem:
    """One faulty field of a scenario.

    Attributes:
        path: where the field is, for example ``probes[0].tip_mm``; empty for the whole file.
        line: line of the file, counted from 1; None where the field is in no file.
        message: what was got, what is allowed and what to do.
    """

    path: str
    line: int | None
    message: str

    def describe(self, file: str | None = None) -> str:
        """The problem on one line: ``file:line: path: message``."""
        place = [] if file is None else [file]
        if self.line is not None:
            place.append(str(self.line) if place else f"line {self.line}")
        parts = [":".join(place), self.path, self.message]
        return ": ".join(part for part in parts if part)


class AblasimError(Exception):
    """Parent of all errors that a user can cause or must know of."""

    exit_code: ClassVar[int] = 1


class UsageError(AblasimError):
    """The command line, or an argument of the Python interface, is wrong."""

    exit_code: ClassVar[int] = 2


class ScenarioError(AblasimError):
    """The content of a scenario is wrong; carries every faulty field at once."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: Sequence[Problem], file: str | None = None) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.file = file
        super().__init__("\n".join(problem.describe(file) for problem in self.problems))


class InputFileError(AblasimError):
    """An input file is missing, unreadable, or contradicts itself."""

    exit_code: ClassVar[int] = 3


class ConvergenceError(AblasimError):
    """The solver did not converge; the last valid state is kept and named."""

    exit_code: ClassVar[int] = 4


class ResourceError(AblasimError):
    """Not enough memory or disk, or the device that was asked for is not there."""

    exit_code: ClassVar[int] = 5


class Interrupted(AblasimError):
    """The user stopped the run; a checkpoint is left to continue from."""

    exit_code: ClassVar[int] = 130
