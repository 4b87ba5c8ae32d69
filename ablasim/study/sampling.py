"""Margins of many samples on one case, chunk by chunk; finished chunks survive an interruption.

The chunks are fixed by the number of samples and their size, whoever computes them: the same
samples are always solved together, so that a resumed study repeats the same arithmetic.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.frames import MM
from ablasim.physics.damage import criterion
from ablasim.progress import Progress, ProgressCallback
from ablasim.study.batches import solve_all
from ablasim.study.case import Case
from ablasim.study.displacement import Correction, MovedField, Pose
from ablasim.study.inputs import sampled_problems
from ablasim.study.priors import AXES

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Samples:
    """Results of k samples.

    Attributes:
        minimal: smallest margin (k,) [m]; minus infinity where there is no zone.
        moved_only: the same without the correction of the displacement (k,) [m].
        thinnest: point of the tumour's surface where it is (k,).
        volume: of the zone (k,) [m3].
        margin: at every point of the tumour's surface (k, p) [m].
        excess: by how much what kills exceeds the lethal level at some nodes (k, m), with the probe
            displaced; empty where not asked for.
        reaches_outer: zones that touch the outer boundary (k,).
        failed: samples whose solver gave up (k,); their other values mean nothing.
        balance: error of the heat balance (k,).
        batched: computed together (k,).
    """

    minimal: Floats
    moved_only: Floats
    thinnest: NDArray[np.int64]
    volume: Floats
    margin: Floats
    excess: NDArray[np.float32]
    reaches_outer: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    balance: Floats
    batched: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: list[Samples]) -> Samples:
        """Several chunks, one after the other."""
        return cls(*(np.concatenate([getattr(p, n) for p in parts]) for n in cls.names()))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(cls.__dataclass_fields__)

    def good(self) -> Samples:
        """Without the samples that failed."""
        keep = ~self.failed
        return Samples(*(getattr(self, name)[keep] for name in self.names()))

    def __len__(self) -> int:
        return len(self.minimal)


@dataclass(frozen=True, eq=False)
class Plan:
    """How samples are computed.

    Attributes:
        case: geometry.
        columns: values of the inputs (N,).
        correction: of displaced probes.
        moved: reads fields at the nodes whose excess is kept; None where none is.
        nodes: those nodes (m,).
        chunk: samples that are computed together.
        device, dtype: of the solver.
    """

    case: Case
    columns: Columns
    correction: Correction
    moved: MovedField | None
    nodes: NDArray[np.int64]
    chunk: int
    device: str
    dtype: str

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(next(iter(self.columns.values())))


def run_chunks(
    plan: Plan,
    *,
    store: ChunkStore | None = None,
    enough: Callable[[Samples], bool] | None = None,
    progress: ProgressCallback | None = None,
    stage: str = "samples",
) -> Samples:
    """Compute the samples until there are enough of them.

    Args:
        plan: what to compute.
        store: keeps finished chunks.
        enough: asked after every chunk.
        progress: told of the stage.
        stage: its name.
    """
    parts: list[Samples] = []
    starts = range(0, plan.count, plan.chunk)
    for number, start in enumerate(starts):
        stop = min(start + plan.chunk, plan.count)
        found = None if store is None else store.load(number)
        if found is None:
            told = _within(progress, stage, start, stop, plan.count)
            found = _chunk(plan, start, stop, told)
            if store is not None:
                store.save(number, found)
        parts.append(found)
        if progress is not None:
            progress(Progress(stage, stop / plan.count, _so_far(parts)))
        if enough is not None and enough(Samples.joined(parts)):
            break
    return Samples.joined(parts)


def _chunk(plan: Plan, start: int, stop: int, progress: ProgressCallback | None) -> Samples:
    columns = {name: values[start:stop] for name, values in plan.columns.items()}
    count = stop - start
    solved = solve_all(
        sampled_problems(plan.case.problem, columns),
        plan.case.control,
        device=plan.device,
        dtype=plan.dtype,
        progress=progress,
    )
    sampler = plan.case.sampler
    rows: list[tuple[Any, ...]] = []
    for i in range(count):
        if solved.failed[i]:
            nothing = np.full(len(sampler.points), np.nan)
            rows.append((np.nan, np.nan, 0, np.nan, nothing, _no_excess(plan), False))
            continue
        judge = criterion(
            str(columns["death_criterion"][i]), plan.case.scenario.assessment.arrhenius_set
        )
        field = judge.field(solved.fields[i])
        shift = np.array([columns[axis][i] for axis in AXES], dtype=np.float64) * MM
        correction = plan.correction.at(shift)
        one = sampler.measure(field, judge.level, shift=shift, correction=correction)
        moved_only = one.margin if correction is None else one.margin - correction
        rows.append(
            (
                one.minimal,
                float(moved_only[sampler.counts].min()),
                one.thinnest,
                one.volume,
                one.margin,
                _excess(plan, _dead(field, one.filled, judge.level), shift),
                one.reaches_outer,
            )
        )
    minimal, uncorrected, thinnest, volume, margins, excesses, outer = zip(*rows, strict=True)
    return Samples(
        np.array(minimal),
        np.array(uncorrected),
        np.array(thinnest, dtype=np.int64),
        np.array(volume),
        np.stack(margins),
        np.stack(excesses),
        np.array(outer),
        solved.failed,
        solved.balance,
        np.full(count, solved.batched),
    )


RIM_EXCESS = 0.01
"""Of the cooled rim, which dies with the zone around it: a little above the level, so that rounding
does not scatter specks of living tissue over it."""


def _dead(field: Floats, filled: Floats, level: float) -> Floats:
    """By how much what kills exceeds the level, the cooled rim included (n,)."""
    return np.where(filled > field, RIM_EXCESS, field - level)


def _excess(plan: Plan, excess: Floats, shift: Floats) -> NDArray[np.float32]:
    if plan.moved is not None and shift.any():
        excess = plan.moved.at(excess, shift)
    else:
        excess = excess[plan.nodes]
    return excess.astype(np.float32)


def _no_excess(plan: Plan) -> NDArray[np.float32]:
    return np.full(len(plan.nodes), np.nan, dtype=np.float32)


def _so_far(parts: list[Samples]) -> str:
    found = Samples.joined(parts).good()
    return f"{len(found)} samples, P(margin < 0) = {100 * np.mean(found.minimal < 0):.1f} %"


def _within(
    progress: ProgressCallback | None, stage: str, start: int, stop: int, count: int
) -> ProgressCallback | None:
    """Progress of one chunk as part of the whole stage."""
    if progress is None:
        return None

    def tell(event: Progress) -> None:
        if event.stage == "solve":
            done = (start + event.fraction * (stop - start)) / count
            progress(Progress(stage, done, f"samples {start + 1} to {stop} of {count}"))

    return tell


class ChunkStore:
    """Finished chunks in a directory beside the results, until those are complete."""

    def __init__(self, directory: Path, key: str) -> None:
        """Name the place.

        Args:
            directory: made with the first chunk.
            key: hash of everything that decides the samples; chunks of another one are not read.
        """
        self.directory, self.key = directory, key

    def load(self, number: int) -> Samples | None:
        """A finished chunk; None where there is none, or a damaged one."""
        found = self._read(self._path(number))
        return None if found is None else Samples(*(found[name] for name in Samples.names()))

    def save(self, number: int, samples: Samples) -> None:
        """Keep a chunk, whole or not at all."""
        arrays = {name: getattr(samples, name) for name in Samples.names()}
        self._write(self._path(number), **arrays)

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file) if str(file["key"]) == self.key else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            with contextlib.suppress(OSError):
                path.unlink()
            return None

    def _write(self, path: Path, **arrays: NDArray[Any]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as stream:
                np.savez(stream, key=np.array(self.key), **arrays)  # type: ignore[arg-type]
            os.replace(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise

    def save_correction(self, correction: Correction) -> None:
        """Keep the correction of displaced probes, whole or not at all."""
        poses = json.dumps([asdict(pose) for pose in correction.poses])
        self._write(
            self._correction,
            step=correction.step,
            values=correction.values,
            poses=np.array(poses),
            method=np.array(correction.method),
        )

    def load_correction(self) -> Correction | None:
        """The kept correction; None where there is none, or a damaged one."""
        found = self._read(self._correction)
        if found is None:
            return None
        poses = tuple(
            Pose(**{**pose, "shift": tuple(pose["shift"])})
            for pose in json.loads(str(found["poses"]))
        )
        return Correction(found["step"], found["values"], poses, str(found["method"]))

    def chunks(self) -> Iterator[Path]:
        """The files there."""
        return self.directory.glob("chunk-*.npz")

    def clear(self) -> None:
        """Remove what was kept."""
        for path in (*self.chunks(), self._correction):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.directory.rmdir()

    @property
    def _correction(self) -> Path:
        return self.directory / "correction.npz"

    def _path(self, number: int) -> Path:
        return self.directory / f"chunk-{number:04d}.npz"
