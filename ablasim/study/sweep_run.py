"""Computes the open cases of a sweep; stopped at any moment, it goes on where it was.

Failures are recorded and skipped; a full disk or a directory without permission stops the sweep,
since the next case would fail as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablasim.errors import InputFileError, Interrupted, ResourceError, UsageError
from ablasim.progress import Progress, ProgressCallback
from ablasim.study.answer import answer
from ablasim.study.cases import (
    Failure,
    State,
    clear_leftovers,
    forget_failure,
    record_failure,
    remove_damaged,
    state_of,
)
from ablasim.study.pool import compute_locally, cores
from ablasim.study.sweep_frozen import Sweep, check_inputs, open_sweep
from ablasim.study.sweep_lock import sweep_lock
from ablasim.study.sweep_worker import WORKER

EXECUTORS = ("local", "dask")

FEWER = "({} cases were computed together; a smaller batch.size in the plan takes less)"
"""Added to what a batch ended with that lacked memory."""


@dataclass(frozen=True)
class Tally:
    """How many cases are done, failed, open.

    Attributes:
        done: finished cases.
        failed: cases that failed.
        open: cases that nobody has computed yet.
    """

    done: int
    failed: int
    open: int

    @property
    def total(self) -> int:
        """Number of cases."""
        return self.done + self.failed + self.open


@dataclass(frozen=True)
class Shard:
    """Every n-th case: shard `index` (from 1) of `count`."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`k/n` as it stands on a command line.

        Raises:
            UsageError: it is anything else.
        """
        first, _, second = text.partition("/")
        if first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second):
            return cls(int(first), int(second))
        raise UsageError(f"--shard: got {text!r}; must be k/n with 1 <= k <= n, for example 3/16")

    def of[T](self, pieces: Sequence[T]) -> list[T]:
        """Its part of what there is to compute."""
        return list(pieces[self.index - 1 :: self.count])


def run_sweep(
    directory: Path | str,
    *,
    executor: str = "local",
    workers: int | None = None,
    scheduler: str | None = None,
    shard: Shard | None = None,
    retry_failed: bool = False,
    progress: ProgressCallback | None = None,
) -> Tally:
    """Compute every case that is not there yet.

    Args:
        directory: of a frozen sweep.
        executor: "local" (processes of this machine) or "dask".
        workers: number of processes, by default one for each core; not with a scheduler.
        scheduler: address of a Dask scheduler whose workers see the same directory; without one
            "dask" starts a cluster of its own on this machine.
        shard: compute only a part, for array jobs.
        retry_failed: compute failed cases again, too.
        progress: told of every finished case.

    Returns:
        The tally of all cases (of the shard's).

    Raises:
        UsageError: an argument is wrong, or somebody else computes this sweep.
        InputFileError: the directory or the scenario's files are not those of the plan.
        ResourceError: the directory cannot be written; workers do not start.
        Interrupted: on Ctrl-C; finished cases stay.
    """
    workers = processes_for(executor, workers, scheduler)
    sweep = open_sweep(Path(directory))
    check_inputs(sweep)
    numbers = numbers_of(sweep, shard)
    division = None if shard is None else (shard.index, shard.count)
    with sweep_lock(sweep.directory, division) as hold:
        clear_leftovers(sweep, numbers)
        todo = _open_cases(sweep, numbers, retry_failed)
        tally = Tally(*_counts(sweep, numbers))
        if executor == "dask":
            from ablasim.study.sweep_dask import compute_with_dask

            answers = compute_with_dask(
                sweep, sweep.pieces(todo), workers=workers, scheduler=scheduler
            )
        else:
            first_core = 0 if shard is None else (shard.index - 1) * workers
            answers = compute_locally(
                WORKER,
                sweep.directory,
                sweep.pieces(todo),
                workers=workers,
                first_core=first_core,
                hold=hold,
            )
        try:
            with closing(answers):  # ends the workers, whatever happens
                return _follow(sweep, _of_cases(sweep, answers, todo), tally, progress)
        except KeyboardInterrupt:
            raise Interrupted(
                f"{sweep.directory}: interrupted; finished cases stay, and the same command"
                " goes on with the others"
            ) from None
        finally:
            clear_leftovers(sweep, numbers)


def tally_of(sweep: Sweep) -> Tally:
    """The tally of all cases as their files say."""
    return Tally(*_counts(sweep, range(1, len(sweep) + 1)))


def numbers_of(sweep: Sweep, shard: Shard | None) -> list[int]:
    """The cases of a shard, those of a batch together; all without one."""
    pieces = sweep.pieces(range(1, len(sweep) + 1))
    pieces = pieces if shard is None else shard.of(pieces)
    return sorted(number for piece in pieces for number in sweep.batch_of(piece))


def processes_for(executor: str, workers: int | None, scheduler: str | None) -> int:
    """How many processes compute a sweep.

    Raises:
        UsageError: an unknown executor, or what does not go with it.
    """
    if executor not in EXECUTORS:
        raise UsageError(f"executor: got {executor!r}; use 'local' or 'dask'")
    if scheduler is not None and executor != "dask":
        raise UsageError("--scheduler: only the executor dask has one; add --executor dask")
    if scheduler is not None and workers is not None:
        raise UsageError("--workers: the scheduler's own workers are used; leave one of them out")
    if workers is not None and workers < 1:
        raise UsageError(f"--workers: got {workers}; must be at least 1")
    return workers or len(cores())


def _open_cases(sweep: Sweep, numbers: Sequence[int], retry_failed: bool) -> list[int]:
    """Cases to compute; damaged ones are removed first, failed ones only if wanted."""
    todo = []
    for number in numbers:
        state = state_of(sweep, number)
        if state is State.damaged:
            remove_damaged(sweep, number)
        elif state is State.failed and retry_failed:
            forget_failure(sweep, number)
        elif state is not State.open:
            continue
        todo.append(number)
    return todo


def _counts(sweep: Sweep, numbers: Sequence[int]) -> tuple[int, int, int]:
    counts = Counter(state_of(sweep, number) for number in numbers)
    return (
        counts[State.done],
        counts[State.failed],
        counts[State.open] + counts[State.damaged],
    )


def _of_cases(
    sweep: Sweep, answers: Iterable[dict[str, Any]], todo: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """An answer for every case from those for the batches."""
    open_cases = set(todo)
    for said in answers:
        numbers = sweep.batch_of(said["case"])
        # where nobody was left to tell of each, all that are not there share what happened
        each = said.get("each")
        if each is None:
            scarce = said["exit_code"] == ResourceError.exit_code and not said["stop"]
            if scarce and len(numbers) > 1:
                said = said | {"message": f"{said['message']} {FEWER.format(len(numbers))}"}
            each = [
                said | {"case": number}
                if said["stop"] or state_of(sweep, number) is not State.done
                else answer(number)
                for number in numbers
            ]
        yield from (one for one in each if one["case"] in open_cases)


def _follow(
    sweep: Sweep,
    answers: Iterable[dict[str, Any]],
    tally: Tally,
    progress: ProgressCallback | None,
) -> Tally:
    """Book every answer and tell of it."""
    todo, ended = tally.open, 0
    _tell(progress, tally, ended, todo)
    for said in answers:
        if said["stop"]:
            kind = (
                InputFileError if said["exit_code"] == InputFileError.exit_code else ResourceError
            )
            raise kind(
                f"{said['message']}\nThe sweep stopped: {tally.done} of {tally.total} cases are"
                " done and stay. The same command goes on with the others"
            )
        failed = said["exit_code"] != 0
        if failed:
            record_failure(sweep, Failure(said["case"], said["exit_code"], said["message"]))
        else:
            forget_failure(sweep, said["case"])
        tally = Tally(tally.done + (not failed), tally.failed + failed, tally.open - 1)
        ended += 1
        _tell(progress, tally, ended, todo)
    return tally


def _tell(progress: ProgressCallback | None, tally: Tally, ended: int, todo: int) -> None:
    if progress is not None:
        text = f"{tally.done} of {tally.total} done" + (
            f", {tally.failed} failed" if tally.failed else ""
        )
        progress(Progress("sweep", ended / todo if todo else 1.0, text))
