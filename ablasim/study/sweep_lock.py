"""Who computes a sweep: one runner, or several shards, never both.

Locks are those of the kernel: it drops them when the last process that holds one ends, however it
ends. Worker processes inherit the lock of their runner, so that nobody begins while one of them
still lives.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ablasim.errors import ResourceError, UsageError
from ablasim.report.atomic import RESOURCE_ERRORS

WAIT_S = 10.0
"""How long the workers of a runner that was killed get to end [s]."""


@contextmanager
def sweep_lock(directory: Path, shard: tuple[int, int] | None) -> Iterator[tuple[int, ...]]:
    """Hold a sweep, or a shard (k, n) of it, while the block runs.

    Yields:
        File descriptors that workers inherit, so that they hold it too.

    Raises:
        UsageError: somebody else computes it.
        ResourceError: the directory cannot be written.
    """
    with contextlib.ExitStack() as stack:
        whole = stack.enter_context(_opened(directory / "lock"))
        if shard is None:
            _take(whole, shared=False, what=f"{directory}: this sweep")
            try:
                yield (whole.fileno(),)
            finally:
                whole.truncate(0)  # those who share it next leave no note of their own
            return
        _take(whole, shared=True, what=f"{directory}: this sweep (not a shard of it)")
        folder = directory / "shards"
        with _told(folder):
            folder.mkdir(exist_ok=True)
        name = f"{shard[0]}-of-{shard[1]}"
        mine = stack.enter_context(_opened(folder / f"{name}.lock"))
        _take(mine, shared=False, what=f"{directory}: shard {shard[0]}/{shard[1]}")
        # With its own lock held: of two divisions that begin together, one at least sees the other.
        _refuse_other_division(folder, shard[1])
        yield whole.fileno(), mine.fileno()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in RESOURCE_ERRORS:
            raise
        raise ResourceError(
            f"{path}: cannot be written: {error.strerror}; a sweep needs to write into its"
            " directory: free some space, or copy the directory to where you may write"
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    with _told(path):
        stream = path.open("a+", encoding="utf-8")
    with stream:
        yield stream


def _take(stream: IO[str], *, shared: bool, what: str) -> None:
    """Take a lock; wait a little for what a killed runner has left."""
    flock = _flock()
    deadline = time.monotonic() + WAIT_S
    while not flock(stream.fileno(), shared=shared):
        note = _note(stream)
        alive = _alive(note)
        if alive or time.monotonic() > deadline:
            # a note may be left from a runner that was killed, before others took the lock
            who = f"process {note['pid']} on {note['host']}" if alive else "another process"
            raise UsageError(
                f"{what} is being computed by {who}; wait for it, or stop it. Several may share"
                " the work with --shard k/n"
            )
        time.sleep(0.1)
    if not shared:
        with _told(Path(stream.name)):
            stream.seek(0)
            stream.truncate()
            stream.write(json.dumps({"pid": os.getpid(), "host": platform.node()}) + "\n")
            stream.flush()


def _flock() -> Any:
    """A function that takes a lock at once or says no."""
    try:
        import fcntl
    except ImportError:
        raise ResourceError(
            "sweep: this system has no POSIX file locks; use Linux, macOS or WSL"
        ) from None

    def lock(handle: int, *, shared: bool) -> bool:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise ResourceError(
                f"sweep: the file system gives no locks ({error.strerror}); put the sweep's"
                " directory on one that does"
            ) from error
        return True

    return lock


def _refuse_other_division(folder: Path, count: int) -> None:
    """Refuse shards k/n beside live shards of another n, which would do the same cases."""
    flock = _flock()
    for path in folder.glob("*-of-*.lock"):
        if path.stem.endswith(f"-of-{count}"):
            continue
        with path.open("a+", encoding="utf-8") as stream:
            if not flock(stream.fileno(), shared=False):
                raise UsageError(
                    f"--shard: {path.stem.replace('-of-', '/')} is being computed, and shards of"
                    f" {count} would do the same cases; let all shards have the same number"
                )


def _note(stream: IO[str]) -> dict[str, Any]:
    """Who holds the lock, by its own account."""
    try:
        stream.seek(0)
        note = json.loads(stream.read())
        return {"pid": int(note["pid"]), "host": str(note["host"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _alive(note: dict[str, Any]) -> bool:
    """Whether the holder still lives; so assumed on another host."""
    if not note:
        return False
    if note["host"] != platform.node():
        return True
    try:
        os.kill(note["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
