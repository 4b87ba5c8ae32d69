"""Checks a plan with every one of its cases, and freezes it in a directory."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ablasim.errors import InputFileError, Problem, ScenarioError, UsageError
from ablasim.progress import Progress, ProgressCallback
from ablasim.report.atomic import Kind, atomic_directory, is_free, sync
from ablasim.report.palette import NOTICE
from ablasim.revision import revision
from ablasim.safe_yaml import dotted, dump, read_document
from ablasim.scenario import Scenario, load_scenario, scenario_from_data
from ablasim.scenario.model import FILE_SECTIONS
from ablasim.study.sweep_batches import batches_of
from ablasim.study.sweep_frozen import (
    FORMAT,
    FROZEN,
    SCENARIO,
    Sweep,
    files_of,
    hashes,
    named_files,
    open_sweep,
    sweep_of,
)
from ablasim.study.sweep_plan import SweepPlan, check_count, keys_of
from ablasim.study.sweep_source import PlanSource

KIND = Kind("an ablasim sweep", FROZEN, frozenset({"format", "plan", "rows", "sha256"}))
SHOWN_PROBLEMS = 8
ENOUGH_INVALID = 100
"""After so many invalid cases no more are looked at: a million would take an hour."""


def freeze(
    source: PlanSource,
    directory: Path,
    *,
    yes: bool = False,
    progress: ProgressCallback | None = None,
) -> tuple[Sweep, int]:
    """Check a plan with every one of its cases, and freeze it in a new directory.

    The same plan once more changes nothing.

    Args:
        source: the plan.
        directory: to make.
        yes: many cases are meant.
        progress: told of the checks.

    Returns:
        The sweep, and the number of its cases that are invalid (with `on_invalid: record`).

    Raises:
        ScenarioError: the scenario or a case is invalid.
        InputFileError: a file is missing.
        UsageError: too many cases, or the directory holds something else.
        ResourceError: it cannot be written.
    """
    check_count(source.plan, yes=yes)
    base = _base(source)
    content = {
        "format": FORMAT,
        "plan": source.plan.model_dump(mode="json", by_alias=True),
        "scenario": base,
        "scenario_sha256": hashlib.sha256(dump(base).encode()).hexdigest(),
        "files": hashes(named_files(base)),
        "columns": list(source.plan.vary),
        "rows": [list(row) for row in source.plan.rows()],
        "batches": [],
    }
    if _files_change(source.plan):
        content["folder"] = str(_folder(source))
    content = json.loads(json.dumps(content, allow_nan=False))  # as it will be read
    sweep = sweep_of(directory, content)
    invalid, files = _check_cases(sweep, source, progress)
    content["files"] |= hashes(sorted(files - set(content["files"])))
    sweep = sweep_of(directory, content)
    if source.plan.batch is not None:
        content["batches"] = batches_of(_valid(sweep), source.plan.batch.size)
        sweep = sweep_of(directory, content)
    if not is_free(directory):
        _require_same(directory, sweep)
        return open_sweep(directory), invalid
    with atomic_directory(directory, kind=KIND) as folder:
        record = content | {"sha256": sweep.sha256, "ablasim": revision(), "notice": NOTICE}
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        (folder / FROZEN).write_text(text + "\n", encoding="utf-8")
        (folder / SCENARIO).write_text(dump(base), encoding="utf-8", newline="\n")
        (folder / "cases").mkdir()
        (folder / "failed").mkdir()
        # Without the plan the cases are worth nothing: it must survive a loss of power, too.
        for path in (folder / FROZEN, folder / SCENARIO, folder):
            sync(path)
    return sweep, invalid


def _base(source: PlanSource) -> dict[str, Any]:
    """The scenario with the plan's `set`, as plain data with absolute paths."""
    if source.scenario is not None:
        data = source.scenario.model_dump(mode="json", exclude_none=True)
        scenario = scenario_from_data(data, source.plan.set)
    else:
        path = source.folder / source.plan.scenario
        _refuse_plan_as_scenario(path)
        scenario = load_scenario(path, source.plan.set)
    found: dict[str, Any] = scenario.model_dump(mode="json", exclude_none=True)
    return found


def _refuse_plan_as_scenario(path: Path) -> None:
    document = read_document(path)
    if isinstance(document.data, dict) and "vary" in document.data:
        raise UsageError(f"scenario: {path} is the plan of a sweep itself; name a scenario file")


def _folder(source: PlanSource) -> Path:
    """From which the files that a scenario names count."""
    if source.scenario is not None:
        return source.folder
    return (source.folder / source.plan.scenario).resolve().parent


def _files_change(plan: SweepPlan) -> bool:
    """Whether a case may name other files than the scenario does."""
    keys = (keys_of(path) for path in plan.paths())
    return any(k[0] in FILE_SECTIONS and k[1:] in ((), ("file",)) for k in keys)


def _check_cases(
    sweep: Sweep, source: PlanSource, progress: ProgressCallback | None
) -> tuple[int, set[str]]:
    """Load the scenario of every case; the number of invalid ones where they may stay, and every
    file that a case names."""
    found: dict[Problem, list[int]] = {}
    files: set[str] = set()
    invalid = 0
    for number in range(1, len(sweep) + 1):
        if progress is not None and number % 100 == 0:
            progress(Progress("check", number / len(sweep), f"{number} of {len(sweep)} cases"))
        problems = _problems(sweep, number, source, files)
        invalid += bool(problems)
        for problem in problems:
            found.setdefault(problem, []).append(number)
        hopeless = source.plan.on_invalid == "refuse" or invalid == number
        if hopeless and invalid >= ENOUGH_INVALID:
            raise ScenarioError(_told(found, sweep, number), source.file)
    if progress is not None:
        progress(Progress("check", 1.0, f"{len(sweep)} cases"))
    if not found or (source.plan.on_invalid == "record" and invalid < len(sweep)):
        return invalid, files
    raise ScenarioError(_told(found, sweep, len(sweep)), source.file)


def _valid(sweep: Sweep) -> Iterator[tuple[int, Scenario]]:
    """The valid cases with their scenarios."""
    for number in range(1, len(sweep) + 1):
        with contextlib.suppress(ScenarioError, UsageError, InputFileError):
            yield number, sweep.scenario(number)


def _problems(sweep: Sweep, number: int, source: PlanSource, files: set[str]) -> list[Problem]:
    """What is wrong with a case; the files that it names are added."""
    try:
        files.update(files_of(sweep.scenario(number)))
    except ScenarioError as error:
        return [_placed(problem, source) for problem in error.problems]
    except InputFileError as error:
        path, _, message = str(error).partition(": ")
        return [_placed(Problem(path, None, message), source)]
    except UsageError as error:  # a path that leads nowhere
        text = str(error).removeprefix("override ")
        path, _, message = text.partition(": ")
        name = path.strip("'")
        return [source.problem(_plan_path(name, source), f"{name}: {message}")]
    return []


def _placed(problem: Problem, source: PlanSource) -> Problem:
    """A problem of a case with the line of the plan that caused it."""
    message = problem.message.replace("(set by an override)", "(varied by the sweep)")
    path = _plan_path(problem.path, source)
    line = source.document.line_of(path) if len(path) > 1 else None
    return Problem(problem.path, line, message)


def _plan_path(path: str, source: PlanSource) -> tuple[str, ...]:
    """Where the plan changes a field of the scenario: ("vary", "protocol.power_W")."""
    keys = keys_of(path)
    for name, axis in source.plan.vary.items():
        levels = getattr(axis, "levels", None)
        for changed in next(iter(levels.values())) if levels else (name,):
            own = keys_of(changed)
            if keys[: len(own)] == own:
                return ("vary", name)
    return ("vary",)


def _told(found: Mapping[Problem, list[int]], sweep: Sweep, looked_at: int) -> list[Problem]:
    """The problems, each with how many of the cases that were looked at have it."""
    told = []
    for problem, numbers in list(found.items())[:SHOWN_PROBLEMS]:
        values = ", ".join(f"{k}={v}" for k, v in sweep.values(numbers[0]).items())
        where = "" if looked_at == 1 else f" [{len(numbers)} of {looked_at} cases; first {values}]"
        told.append(Problem(problem.path, problem.line, problem.message + where))
    if len(found) > SHOWN_PROBLEMS:
        told.append(Problem("", None, f"and {len(found) - SHOWN_PROBLEMS} more problems"))
    if any(len(numbers) < looked_at for numbers in found.values()):
        hint = "`on_invalid: record` plans such cases all the same and lets them fail"
        told.append(Problem(dotted(("on_invalid",)), None, hint))
    return told


def _require_same(directory: Path, sweep: Sweep) -> None:
    """Refuse a directory that holds anything but this sweep."""
    if not (directory / FROZEN).is_file():
        raise UsageError(f"{directory}: exists and is no sweep; choose another directory")
    if open_sweep(directory).sha256 != sweep.sha256:
        raise UsageError(
            f"{directory}: holds another sweep (its plan, scenario or files differ); results of"
            " two are never mixed. Choose another directory"
        )
