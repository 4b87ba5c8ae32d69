"""A sweep as it was planned, frozen in its directory: nothing that decides a number can change.

    DIR/sweep.json      plan, scenario, hashes of the files it names, values of every case, and
                        which cases are computed together
    DIR/scenario.yaml   the scenario as it was resolved, for people
    DIR/cases/00001/    a finished case; DIR/failed/00001.json one that failed

The hash of the plan's content stands in every case: results of another plan are never taken for
its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ablasim.errors import InputFileError
from ablasim.revision import revision
from ablasim.scenario import Scenario, scenario_from_data
from ablasim.scenario.model import FILE_SECTIONS
from ablasim.study.sweep_plan import SweepPlan

FORMAT = 2
FROZEN = "sweep.json"
SCENARIO = "scenario.yaml"

CONTENT = (
    *("format", "plan", "scenario", "scenario_sha256", "folder", "files"),
    *("columns", "rows", "batches"),
)
"""What decides the numbers of a sweep."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """A frozen plan. Cases are numbered from 1.

    Attributes:
        directory: where its cases are.
        plan: what varies, and what is kept.
        base: the scenario before anything is varied, as plain data.
        scenario_sha256: of scenario.yaml as it was written.
        files: SHA-256 of each file that the scenario of a case names.
        columns: names of what varies.
        rows: their values, one row for each case.
        batches: cases that are always computed together, so that a resumed sweep repeats the same
            arithmetic; a case in none of them is computed alone.
        sha256: hash of all that.
        version: of ablasim that planned it.
        folder: of the scenario's file, from which files that vary count; None where none does.
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
    folder: str | None = None

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
            InputFileError: a file that it names is missing.
        """
        changes = self.plan.changes(self.rows[number - 1])
        return scenario_from_data(self.base, changes, folder=self.folder)


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
        sweep = replace(sweep_of(directory, content), version=version)
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


def check_files(sweep: Sweep, named: Iterable[str] | None = None) -> None:
    """Refuse a label map or a mesh that is not the one of the plan.

    Args:
        sweep: whose files are checked.
        named: only these; by default all of them.

    Raises:
        ChangedFileError: it has changed.
    """
    for file in sweep.files if named is None else named:
        expected = sweep.files.get(file, "")  # none where the plan found no such file
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


def sweep_of(directory: Path, content: Mapping[str, Any]) -> Sweep:
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
        folder=content.get("folder"),
    )


def _plan(data: Mapping[str, Any]) -> SweepPlan:
    return SweepPlan.model_validate(data)


def files_of(scenario: Scenario) -> list[str]:
    """The files that a scenario names."""
    sections = (getattr(scenario, key) for key in FILE_SECTIONS)
    return [section.file for section in sections if section is not None]


def named_files(data: Mapping[str, Any]) -> list[str]:
    """The files that a scenario as plain data names."""
    return [data[key]["file"] for key in FILE_SECTIONS if data.get(key) is not None]


def hashes(named: Iterable[str]) -> dict[str, str]:
    """Of each file its SHA-256."""
    return {file: file_sha256(Path(file)) for file in named}
