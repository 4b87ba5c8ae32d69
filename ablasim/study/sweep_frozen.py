"""A sweep as it was planned, frozen in its directory: nothing that decides a number can change.

    DIR/sweep.json      plan, scenario, hashes of the files it names, values of every case, and
                        which cases are computed together
    DIR/scenario.yaml   the scenario as it was resolved, for people
    DIR/cases/00001/    a finished case; DIR/failed/00001.json one that failed

The hash of the plan's content stands in every case: results of another plan are never taken for
its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ablasim.errors import InputFileError, Problem, ScenarioError, UsageError
from ablasim.progress import Progress, ProgressCallback
from ablasim.report.atomic import Kind, atomic_directory, sync
from ablasim.report.palette import NOTICE
from ablasim.revision import revision
from ablasim.safe_yaml import dotted, dump, read_document
from ablasim.scenario import Scenario, load_scenario, scenario_from_data
from ablasim.scenario.model import FILE_SECTIONS
from ablasim.study.sweep_batches import batches_of
from ablasim.study.sweep_plan import PlanSource, SweepPlan, check_count, keys_of

FORMAT = 2
FROZEN = "sweep.json"
SCENARIO = "scenario.yaml"
KIND = Kind("an ablasim sweep", FROZEN, frozenset({"format", "plan", "rows", "sha256"}))
SHOWN_PROBLEMS = 8
ENOUGH_INVALID = 100
"""After so many invalid cases no more are looked at: a million would take an hour."""

CONTENT = ("format", "plan", "scenario", "scenario_sha256", "files", "columns", "rows", "batches")
"""What decides the numbers of a sweep."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """A frozen plan. Cases are numbered from 1.

    Attributes:
        directory: where its cases are.
        plan: what varies, and what is kept.
        base: the scenario before anything is varied, as plain data.
        scenario_sha256: of scenario.yaml as it was written.
        files: SHA-256 of each file that the scenario names.
        columns: names of what varies.
        rows: their values, one row for each case.
        batches: cases that are always computed together, so that a resumed sweep repeats the same
            arithmetic; a case in none of them is computed alone.
        sha256: hash of all that.
        version: of ablasim that planned it.
    """

    directory: Path
    plan: SweepPlan
    base: Mapping[str, Any]
    scenario_sha256: str
    files: Mapping[str, str]
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    batches: tuple[tuple[int, ...], ...]
    sha256: str
    version: str = field(default_factory=revision)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def name(self) -> str:
        """The plan's name, or else the scenario's."""
        return self.plan.name or str(self.base["name"])

    def values(self, number: int) -> dict[str, Any]:
        """What varies in a case, by column."""
        return dict(zip(self.columns, self.rows[number - 1], strict=True))

    def batch_of(self, number: int) -> tuple[int, ...]:
        """The cases that are computed together with one, itself among them."""
        return self._batch_of.get(number, (number,))

    def pieces(self, numbers: Iterable[int]) -> list[int]:
        """The first case of every batch that some cases belong to; of a case alone itself."""
        return sorted({self.batch_of(number)[0] for number in numbers})

    @cached_property
    def _batch_of(self) -> dict[int, tuple[int, ...]]:
        return {number: batch for batch in self.batches for number in batch}

    def scenario(self, number: int) -> Scenario:
        """The scenario of a case.

        Raises:
            ScenarioError: this combination of values is invalid.
        """
        return scenario_from_data(self.base, self.plan.changes(self.rows[number - 1]))


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
        "files": _hashes(base),
        "columns": list(source.plan.vary),
        "rows": [list(row) for row in source.plan.rows()],
        "batches": [],
    }
    content = json.loads(json.dumps(content, allow_nan=False))  # as it will be read
    sweep = _sweep(directory, content)
    invalid = _check_cases(sweep, source, progress)
    if source.plan.batch is not None:
        content["batches"] = batches_of(_valid(sweep), source.plan.batch.size)
        sweep = _sweep(directory, content)
    if directory.exists():
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


def open_sweep(directory: Path) -> Sweep:
    """The sweep that is frozen in a directory.

    Raises:
        InputFileError: there is none, or it was changed by hand.
    """
    path = directory / FROZEN
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        sha256, version = content.pop("sha256"), str(content["ablasim"])
        content = {key: content[key] for key in CONTENT if key in content}
        sweep = replace(_sweep(directory, content), version=version)
    except FileNotFoundError:
        raise InputFileError(
            f"{directory}: no sweep there; make one with `ablasim sweep init PLAN -o {directory}`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputFileError(
            f"{path}: cannot be read ({error}); plan the sweep again in another directory"
        ) from None
    if sweep.sha256 != sha256:
        raise InputFileError(
            f"{path}: was changed since the sweep was planned; its finished cases belong to what"
            " it was. Put it back, or plan the changed sweep in another directory"
        )
    return sweep


class ChangedFileError(InputFileError):
    """A file of the scenario is not the one that the sweep was planned with."""


def check_inputs(sweep: Sweep) -> None:
    """Refuse to go on with files, or an ablasim, that are not those of the plan.

    Raises:
        InputFileError: scenario.yaml, the label map or the mesh has changed, or the version.
    """
    if sweep.version != revision():
        raise InputFileError(
            f"{sweep.directory}: was planned with ablasim {sweep.version}, and this is"
            f" {revision()}; numbers of two versions are not mixed. Plan the sweep in another"
            f" directory, or go on with ablasim {sweep.version}"
        )
    path = sweep.directory / SCENARIO
    if path.is_file() and file_sha256(path) != sweep.scenario_sha256:
        raise InputFileError(
            f"{path}: was edited since the sweep was planned; finished cases belong to what it was"
            " and are not mixed with others. Plan the edited scenario in another directory, or"
            f" remove this file ({FROZEN} holds the scenario)"
        )
    check_files(sweep)


def check_files(sweep: Sweep) -> None:
    """Refuse a label map or a mesh that is not the one of the plan.

    Raises:
        ChangedFileError: it has changed.
    """
    for file, expected in sweep.files.items():
        try:
            found = file_sha256(Path(file))
        except InputFileError as error:
            raise ChangedFileError(str(error)) from None
        if found != expected:
            raise ChangedFileError(
                f"{file}: has changed since the sweep was planned; finished cases belong to the old"
                " file and are not mixed with others. Put it back, or plan the sweep in another"
                " directory"
            )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        InputFileError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputFileError(f"{path}: cannot be read ({error.strerror}); check the file") from None


def _sweep(directory: Path, content: Mapping[str, Any]) -> Sweep:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']}, not {FORMAT}")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return Sweep(
        directory=directory,
        plan=_plan(content["plan"]),
        base=content["scenario"],
        scenario_sha256=content["scenario_sha256"],
        files=content["files"],
        columns=tuple(content["columns"]),
        rows=tuple(tuple(row) for row in content["rows"]),
        batches=tuple(tuple(batch) for batch in content["batches"]),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def _plan(data: Mapping[str, Any]) -> SweepPlan:
    return SweepPlan.model_validate(data)


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


def _hashes(base: Mapping[str, Any]) -> dict[str, str]:
    named = [base[key]["file"] for key in FILE_SECTIONS if base.get(key) is not None]
    return {file: file_sha256(Path(file)) for file in named}


def _check_cases(sweep: Sweep, source: PlanSource, progress: ProgressCallback | None) -> int:
    """Load the scenario of every case; the number of invalid ones where they may stay."""
    found: dict[Problem, list[int]] = {}
    invalid = 0
    for number in range(1, len(sweep) + 1):
        if progress is not None and number % 100 == 0:
            progress(Progress("check", number / len(sweep), f"{number} of {len(sweep)} cases"))
        problems = _problems(sweep, number, source)
        invalid += bool(problems)
        for problem in problems:
            found.setdefault(problem, []).append(number)
        hopeless = source.plan.on_invalid == "refuse" or invalid == number
        if hopeless and invalid >= ENOUGH_INVALID:
            raise ScenarioError(_told(found, sweep, number), source.file)
    if progress is not None:
        progress(Progress("check", 1.0, f"{len(sweep)} cases"))
    if not found or (source.plan.on_invalid == "record" and invalid < len(sweep)):
        return invalid
    raise ScenarioError(_told(found, sweep, len(sweep)), source.file)


def _valid(sweep: Sweep) -> Iterator[tuple[int, Scenario]]:
    """The valid cases with their scenarios."""
    for number in range(1, len(sweep) + 1):
        with contextlib.suppress(ScenarioError, UsageError):
            yield number, sweep.scenario(number)


def _problems(sweep: Sweep, number: int, source: PlanSource) -> list[Problem]:
    try:
        sweep.scenario(number)
    except ScenarioError as error:
        return [_placed(problem, source) for problem in error.problems]
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
