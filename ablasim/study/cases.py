"""One directory per case: it appears complete, with checksums, or not at all.

The marker `case.json` names every file of the case with its SHA-256, and the plan it belongs to.
Resuming looks at markers and file sizes only.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ablasim.errors import InputFileError, ResourceError
from ablasim.report.atomic import RESOURCE_ERRORS, atomic_directory, remedy, sync
from ablasim.revision import revision
from ablasim.study.sweep_frozen import Sweep, file_sha256

MARKER = "case.json"


class State(StrEnum):
    """Of a case, as its files say."""

    open = "open"
    done = "done"
    failed = "failed"
    damaged = "damaged"


@dataclass(frozen=True)
class Failure:
    """A case that could not be computed.

    Attributes:
        number: which case.
        exit_code: as `ablasim run` would have ended.
        message: in one or a few lines.
    """

    number: int
    exit_code: int
    message: str


def case_name(number: int) -> str:
    """00017 for 17."""
    return f"{number:05d}"


def case_directory(sweep: Sweep, number: int) -> Path:
    """Where a finished case is."""
    return sweep.directory / "cases" / case_name(number)


@contextmanager
def new_case(sweep: Sweep, number: int) -> Iterator[Path]:
    """A temporary directory that becomes the case when the block ends without an error.

    Raises:
        ResourceError: no permission, or no space left.
        UsageError: the case is there already.
    """
    with atomic_directory(case_directory(sweep, number)) as folder:
        yield folder
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {
            path.relative_to(folder).as_posix(): {
                "bytes": path.stat().st_size,
                "sha256": file_sha256(path),
            }
            for path in paths
        }
        marker = {
            "case": number,
            "values": sweep.values(number),
            "sweep_sha256": sweep.sha256,
            "ablasim": revision(),
            "files": files,
        }
        text = json.dumps(marker, indent=1, ensure_ascii=False)
        (folder / MARKER).write_text(text + "\n", encoding="utf-8")
        # What has its name must also survive a loss of power.
        for path in (*paths, folder / MARKER, folder):
            sync(path)


def state_of(sweep: Sweep, number: int) -> State:
    """What the files of a case say, the sizes of its files compared with the marker.

    Raises:
        InputFileError: the directory holds a case of another sweep.
    """
    folder = case_directory(sweep, number)
    if folder.is_dir():
        marker = read_marker(folder)
        if marker is None:
            return State.damaged
        if marker["sweep_sha256"] != sweep.sha256 or marker["case"] != number:
            raise InputFileError(
                f"{folder}: belongs to another sweep and is not mixed with this one; remove it"
            )
        for name, file in marker["files"].items():
            try:
                if (folder / name).stat().st_size != file["bytes"]:
                    return State.damaged
            except OSError:
                return State.damaged
        return State.done
    return State.open if read_failure(sweep, number) is None else State.failed


def read_marker(folder: Path) -> dict[str, Any] | None:
    """The marker of a case; None where it is missing or no marker."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        if {"case", "sweep_sha256", "files"} <= marker.keys():
            return dict(marker)
    except (OSError, ValueError, AttributeError):
        pass
    return None


def damaged_files(folder: Path) -> list[str]:
    """Files of a case whose content is not what the marker says."""
    marker = read_marker(folder)
    if marker is None:
        return [MARKER]
    found = []
    for name, file in marker["files"].items():
        try:
            if file_sha256(folder / name) != file["sha256"]:
                found.append(name)
        except InputFileError:
            found.append(name)
    return found


def record_failure(sweep: Sweep, failure: Failure) -> None:
    """Keep why a case failed."""
    content = {
        "case": failure.number,
        "values": sweep.values(failure.number),
        "sweep_sha256": sweep.sha256,
        "exit_code": failure.exit_code,
        "message": failure.message,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_whole(_failure_path(sweep, failure.number), text.encode())


def read_failure(sweep: Sweep, number: int) -> Failure | None:
    """Why a case failed; None if it did not, or under another plan."""
    try:
        content = json.loads(_failure_path(sweep, number).read_text(encoding="utf-8"))
        if content["sweep_sha256"] == sweep.sha256:
            return Failure(number, int(content["exit_code"]), str(content["message"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def failures(sweep: Sweep) -> list[Failure]:
    """Every case that failed, in the order of the plan."""
    return [
        failure
        for number in range(1, len(sweep) + 1)
        if (failure := read_failure(sweep, number)) is not None
        and state_of(sweep, number) is State.failed
    ]


def forget_failure(sweep: Sweep, number: int) -> None:
    """Let a case be computed again."""
    _failure_path(sweep, number).unlink(missing_ok=True)


def clear_leftovers(sweep: Sweep, numbers: Sequence[int]) -> None:
    """Remove what killed processes have left of these cases; call it under the lock only."""
    wanted = {case_name(number) for number in numbers}
    for folder in ("cases", "failed"):
        # `.00017.x1y2.part`: the name that atomic_directory and write_whole give
        for path in (sweep.directory / folder).glob(".*.part"):
            if path.name.split(".")[1] in wanted:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


def remove_damaged(sweep: Sweep, number: int) -> None:
    """Remove a case that is not whole, so that it is computed again."""
    shutil.rmtree(case_directory(sweep, number))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears complete or not at all.

    Raises:
        ResourceError: no permission, or no space left.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".part")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if error.errno in RESOURCE_ERRORS | {errno.ENOENT, errno.ENOTDIR}:
            raise ResourceError(
                f"{path}: cannot be written: {error.strerror or error}; {remedy(error)}"
            ) from error
        raise


def _failure_path(sweep: Sweep, number: int) -> Path:
    return sweep.directory / "failed" / f"{case_name(number)}.json"
