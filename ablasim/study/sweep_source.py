"""Reads the plan of a sweep from a file or plain data; says what is wrong with it, and where."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ablasim.errors import Problem, ScenarioError
from ablasim.safe_yaml import Document, KeyPath, dotted, read_document
from ablasim.scenario import Scenario
from ablasim.scenario.fields import Section
from ablasim.scenario.messages import explain
from ablasim.study.sweep_plan import (
    CASES_WITHOUT_ASKING,
    KINDS,
    Axis,
    Grid,
    Levels,
    Range,
    Sobol,
    SweepPlan,
)


@dataclass(frozen=True)
class PlanSource:
    """A plan as it was given.

    Attributes:
        plan: what it says.
        document: where, for messages.
        file: its name for messages; None for plain data.
        folder: from which its paths count.
        scenario: given as an object instead of a file.
    """

    plan: SweepPlan
    document: Document
    file: str | None
    folder: Path
    scenario: Scenario | None = None

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem of the plan with its line."""
        return Problem(dotted(path), self.document.line_of(path), message)


def read_plan(source: Path | str | Mapping[str, Any]) -> PlanSource:
    """Read a plan from a YAML file or plain data.

    Args:
        source: the file, or a mapping of the same shape; its `scenario` may be a `Scenario`.

    Raises:
        ScenarioError: one or more fields are faulty; all of them are in `problems`.
        InputFileError: the file is missing or unreadable.
    """
    given: Scenario | None = None
    if isinstance(source, Mapping):
        data = {key: _plain(value) for key, value in source.items()}
        if isinstance(data.get("scenario"), Scenario):
            given = data["scenario"]
            data["scenario"] = f"{given.name}.yaml"
        document, file, folder = Document(data), None, Path.cwd()
    else:
        path = Path(source)
        document, file, folder = read_document(path), str(path), path.resolve().parent
    problems = list(document.problems)
    if file is not None:
        problems += _empty_sections(document)
    plan = _parsed(document, problems)
    if problems or plan is None:
        raise ScenarioError(sorted(dict.fromkeys(problems), key=lambda p: p.line or 0), file)
    return PlanSource(plan, document, file, folder, given)


def _empty_sections(document: Document) -> list[Problem]:
    """A bare `batch:` reads as none at all, and is not meant so."""
    data = document.data if isinstance(document.data, dict) else {}
    return [
        Problem(name, document.line_of((name,)), f"empty; write {name}: {{}}, or remove the line")
        for name in ("batch", "risk")
        if name in data and data[name] is None
    ]


def _parsed(document: Document, problems: list[Problem]) -> SweepPlan | None:
    data = document.data
    if not isinstance(data, dict):
        message = "a plan must be a group of keys: scenario, vary"
        problems.append(Problem("", document.line_of(()), message))
        return None
    axes: Any = data.get("vary")
    if isinstance(axes, dict):
        axes = {name: _axis(name, entry, document, problems) for name, entry in axes.items()}
        if problems:  # what is faulty has been said; a stand-in lets the rest be checked
            axes = {name: axis or Grid(grid=(0,)) for name, axis in axes.items()}
        data = data | {"vary": axes}
    return _checked(SweepPlan, data, (), document, problems)


def _axis(name: str, entry: Any, document: Document, problems: list[Problem]) -> Axis | None:
    path = ("vary", name)
    if isinstance(entry, list | tuple):
        entry = {"grid": list(entry)}
    found = [kind for kind in KINDS if isinstance(entry, dict) and kind in entry]
    if len(found) != 1:
        message = (
            f"got {entry!r}; must be a list of values, {{grid: [...]}},"
            " {from: A, to: B, count: N}, {levels: {...}} or {sobol: [LOW, HIGH]}"
        )
        problems.append(Problem(dotted(path), document.line_of(path), message))
        return None
    axis = _checked(KINDS[found[0]], entry, path, document, problems)
    if axis is None or isinstance(axis, Sobol):
        return axis
    evenly = isinstance(axis, Range) and axis.count > CASES_WITHOUT_ASKING  # no two alike
    for value in (axis.from_, axis.to) if isinstance(axis, Range) else _numbers_of(axis):
        if not math.isfinite(value):
            message = f"got {value!r}; must be a finite number"
            problems.append(Problem(dotted(path), document.line_of(path), message))
            return None
    seen: list[Any] = []
    for value in () if evenly else axis.values():
        if value in seen:
            message = f"got {value!r} twice; name every value once"
            problems.append(Problem(dotted(path), document.line_of(path), message))
            return None
        seen.append(value)
    return axis


def _plain(value: Any) -> Any:
    """A value of a plan from Python without NumPy's types and paths, as a file has it."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _numbers_of(axis: Grid | Range | Levels) -> Iterator[float]:
    """Every number that an axis gives a case, inside points and levels as well."""
    todo: list[Any] = list(axis.values())
    if isinstance(axis, Levels):
        todo += axis.levels.values()
    while todo:
        value = todo.pop()
        if isinstance(value, Mapping):
            todo += value.values()
        elif isinstance(value, list | tuple):
            todo += value
        elif isinstance(value, int | float):
            yield value


def _checked[Part: Section](
    model: type[Part], data: Any, at: KeyPath, document: Document, problems: list[Problem]
) -> Part | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            explained = explain(detail, model)
            if explained is not None:
                path = (*at, *explained[0])
                problems.append(Problem(dotted(path), document.line_of(path), explained[1]))
        return None
