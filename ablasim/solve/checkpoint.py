"""What a run accumulates, and the file from which an interrupted one continues."""

from __future__ import annotations

import json
import math
import os
import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ablasim.errors import ResourceError
from ablasim.physics.generator import Drive, GeneratorState
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.solution import Floats

Progressed = tuple[Any, "Record", float, float]
"""State, record, time [s] and next step [s]: all that a run continues from."""

RECORD = "__record__"
"""Name of the text beside the state's arrays."""

INTERVAL = 20.0
"""Seconds of wall time between checkpoints."""


@dataclass
class Record:
    """History rows, heat account and generator of the accepted steps, and the number of others."""

    rows: list[dict[str, float]] = field(default_factory=list)
    account: dict[str, float] = field(default_factory=dict)
    generator: GeneratorState = field(default_factory=GeneratorState)
    rejected: int = 0

    def add(
        self, now: float, step: float, problem: BioheatProblem, drive: Drive, report: Any
    ) -> None:
        """Book one accepted step."""
        conductance = float(report.conductance)
        scale = drive.scale(conductance)
        row = {"time_s": now, "step_s": step}
        if problem.electrodes is not None:
            voltage = scale**0.5
            row |= {
                "power_W": scale * conductance,
                "voltage_V": voltage,
                "current_A": voltage * conductance,
                # without a current there is nothing to measure
                "impedance_ohm": math.nan if drive.off else 1.0 / conductance,
            }
            if drive.resistance > 0.0:
                row |= {
                    "generator_power_W": drive.power_at(conductance),
                    "generator_impedance_ohm": row["impedance_ohm"] + drive.resistance,
                }
            if len(problem.electrodes.circuits) > 1:
                row["turn"] = float(drive.turn)
        else:
            absorbed = float(report.delivered) / step
            row |= {"power_W": scale, "absorbed_W": absorbed}
        row |= {
            "generator_on": 0.0 if drive.off else 1.0,
            "peak_C": float(report.hot),
            "lethal_ml": float(report.lethal) * 1e6,
            "dried_ml": float(report.dried) * 1e6,
            "potential_iterations": float(report.iterations),
            "potential_residual": float(report.residual),
        }
        parts = {
            "delivered_J": float(report.delivered),
            "stored_J": float(report.stored),
            "perfusion_J": float(report.perfusion),
            "boundary_J": float(report.boundary),
        }
        for wall, heat in zip(problem.walls, np.asarray(report.walls, dtype=float), strict=True):
            parts[f"{wall.name}_J"] = float(heat)
        for name, heat in parts.items():
            self.account[name] = self.account.get(name, 0.0) + heat
        self.rows.append(row | self._groups(problem) | _blood(problem, report))

    def _groups(self, problem: BioheatProblem) -> dict[str, float]:
        """The account so far, walls summed by kind [J]."""
        groups = {
            name: self.account.get(name, 0.0)
            for name in ("delivered_J", "stored_J", "perfusion_J", "boundary_J")
        }
        for kind, name in (("vessel", "vessels_J"), ("probe", "probe_cooling_J")):
            groups[name] = sum(
                self.account.get(f"{wall.name}_J", 0.0)
                for wall in problem.walls
                if wall.kind == kind
            )
        return groups

    def last(self) -> dict[str, float]:
        """The latest row."""
        return self.rows[-1]

    def history(self) -> dict[str, Floats]:
        """Columns (k,) of all rows."""
        none = ("time_s", "potential_iterations", "potential_residual", "voltage_V")
        names = self.rows[0] if self.rows else none
        return {name: np.array([row[name] for row in self.rows]) for name in names}

    def energy(self, problem: BioheatProblem) -> dict[str, float]:
        """The heat account [J]: groups, each wall by name, and `balance_error` relative."""
        groups = self._groups(problem)
        walls = {f"{w.name}_J": self.account.get(f"{w.name}_J", 0.0) for w in problem.walls}
        rest = groups["delivered_J"] - sum(v for k, v in groups.items() if k != "delivered_J")
        size = max(abs(value) for value in groups.values())
        return groups | walls | {"balance_error": abs(rest) / size if size > 0 else 0.0}


def _blood(problem: BioheatProblem, report: Any) -> dict[str, float]:
    """For each wall with a stream, how warm its blood gets at the end of a branch [°C], and how
    many of its branches have lost their flow."""
    columns: dict[str, float] = {}
    ends, flowing = (np.asarray(each, dtype=float) for each in (report.blood, report.flowing))
    start = 0
    for wall in problem.walls:
        if wall.stream is not None:
            mine = slice(start, start + len(wall.stream.tree.capacity))
            columns[f"{wall.name}_blood_C"] = wall.temperature + float(ends[mine].max())
            if any(wall.stream.coagulates):
                columns[f"{wall.name}_stopped"] = float((flowing[mine] == 0.0).sum())
            start = mine.stop
    return columns


def part_of_rank(path: Path, rank: int, size: int) -> Path:
    """The file of one of several ranks, for a checkpoint that alone would be `path`."""
    return path.with_name(f"{path.stem}.{rank}of{size}{path.suffix}")


def all_parts(path: Path) -> list[Path]:
    """The files of a checkpoint that are there: its own, those of ranks, however many, and what is
    left of one whose writing was killed."""
    name = re.escape(path.stem) + r"(\.\d+of\d+)?" + re.escape(path.suffix)
    known = re.compile(rf"{name}|\.{name}\.\d+")
    return [file for file in path.parent.iterdir() if known.fullmatch(file.name)]


@dataclass
class Checkpoint:
    """A file that holds the last valid state of a run.

    Attributes:
        path: the file (.npz).
        key: what must agree for the file to be used: hash of problem, engine and settings.
        interval: wall time between two writes [s].
    """

    path: Path
    key: str
    interval: float = INTERVAL
    _written: float = field(default_factory=time.monotonic)

    @property
    def is_due(self) -> bool:
        """Whether the last write is long enough ago."""
        return time.monotonic() - self._written >= self.interval

    def save_if_due(self, content: Progressed) -> None:
        """Write if the last write is long enough ago."""
        if self.is_due:
            self.save(content)

    def save(self, content: Progressed) -> None:
        """Write atomically: a reader sees the old file or the new one.

        Raises:
            ResourceError: the disk is full or the place cannot be written.
        """
        state, record, now, step = content
        arrays = dict(_arrays_of(state))
        text = json.dumps(
            {
                "key": self.key,
                "now": now,
                "step": step,
                "rows": record.rows,
                "account": record.account,
                "generator": record.generator.stored(),
                "rejected": record.rejected,
            }
        )
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                np.savez(stream, **arrays, **{RECORD: np.array(text)})  # type: ignore[arg-type]
            self._meet()
            partial.replace(self.path)
            self._meet()
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise ResourceError(
                f"{self.path}: the checkpoint cannot be written ({error.strerror}); free disk "
                "space or choose another output directory"
            ) from error
        self._written = time.monotonic()

    def _meet(self) -> None:
        """Wait for those whose files are of use only together with this one."""

    def load(self, like: Any) -> Progressed | None:
        """The content, if the file is there, whole, and of this very problem.

        Args:
            like: a state of the engine, for the types and places of its arrays.
        """
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                text = json.loads(str(stored[RECORD]))
                if text["key"] != self.key:
                    return None
                state = _with_arrays(like, stored)
                generator = GeneratorState.restored(text["generator"])
                record = Record(
                    text["rows"], text["account"], generator, int(text.get("rejected", 0))
                )
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
            return None
        return state, record, float(text["now"]), float(text["step"])

    def remove(self) -> None:
        """Delete the file: the run is complete."""
        self.path.unlink(missing_ok=True)


def _arrays_of(state: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The arrays of a dataclass and of those inside it, by dotted name; None has none."""
    for item in fields(state):
        value, name = getattr(state, item.name), prefix + item.name
        if is_dataclass(value):
            yield from _arrays_of(value, f"{name}.")
        elif value is not None:
            yield name, np.asarray(value)


def _with_arrays(like: Any, stored: Any, prefix: str = "") -> Any:
    """A dataclass with its arrays replaced by the stored ones."""
    values = {}
    for item in fields(like):
        value, name = getattr(like, item.name), prefix + item.name
        if is_dataclass(value):
            values[item.name] = _with_arrays(value, stored, f"{name}.")
        elif value is not None:
            values[item.name] = stored[name]
    return replace(like, **values)
