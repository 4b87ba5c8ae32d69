"""Directories that appear complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ablasim.errors import ResourceError, UsageError


@dataclass(frozen=True)
class Kind:
    """What marks a directory as a result of ablasim, which alone may be replaced.

    Attributes:
        of: what it is the directory of.
        file: a JSON object in it.
        keys: that the object has.
    """

    of: str
    file: str
    keys: frozenset[str]


RUN = Kind("an ablasim run", "summary.json", frozenset({"inputs_sha256", "versions", "notice"}))

RISK = Kind("an ablasim risk study", "risk.json", frozenset({"inputs_sha256", "samples", "notice"}))

RESOURCE_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS}
)


def remedy(error: OSError) -> str:
    """What to do where something cannot be written, to end a message with."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return "free some space or choose another place"
        case errno.ENOENT:
            return "make its folder, or choose another place"
    return "choose another place"


@contextmanager
def atomic_directory(final: Path | str, *, force: bool = False, kind: Kind = RUN) -> Iterator[Path]:
    """A temporary sibling of `final` that takes its name when the block ends without an error.

    On any failure, an interruption included, the temporary directory is removed and an old `final`
    stays as it was. Permissions of an old `final` are kept: it may have been closed to others.

    Args:
        final: the directory to make.
        force: replace `final` if it is an earlier result; nothing else is replaced.
        kind: of result.

    Raises:
        UsageError: `final` exists and may not be replaced.
        ResourceError: no permission, or no space left.
    """
    final = Path(final)
    check_free(final, force=force, kind=kind)
    made: list[Path] = []
    temporary: Path | None = None
    try:
        made = _make_parents(final.parent)
        temporary = Path(
            tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}.", suffix=".part")
        )
        temporary.chmod(_mode(final))
        yield temporary
        _take_place(temporary, final, force=force, kind=kind)
    except BaseException as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        for parent in made:
            _remove_if_empty(parent)
        if isinstance(error, OSError) and error.errno in RESOURCE_ERRORS:
            raise ResourceError(
                f"{final}: cannot be written: {error.strerror or error}; {remedy(error)}"
            ) from error
        raise


def check_free(final: Path, *, force: bool = False, kind: Kind = RUN) -> None:
    """Refuse a target that exists, before any work is spent on its content.

    Raises:
        UsageError: see `atomic_directory`; or a folder on the way to it is a file.
    """
    _missing(final.parent)
    if is_free(final):
        return
    ours = _is_of(kind, final)
    if not force:
        hint = ", or replace it with --force" if ours else ""
        raise UsageError(f"{final}: already exists; choose another directory{hint}")
    if not ours:
        raise UsageError(
            f"{final}: exists and is not the directory of {kind.of}, so it is not replaced;"
            " choose another directory"
        )


def is_free(final: Path) -> bool:
    """Whether a new directory can take this name and nothing is lost.

    Nothing is there, or an empty directory as `mktemp -d` leaves it; but not the working directory,
    a mounted disk or a directory that is closed to writing, which are there for a reason.
    """
    if not os.path.lexists(final):
        return True
    if final.is_symlink() or not final.is_dir() or os.path.ismount(final):
        return False
    if final.samefile(os.curdir) or not os.access(final, os.R_OK | os.W_OK | os.X_OK):
        return False
    return not any(final.iterdir())


def sync(path: Path) -> None:
    """Have the system write a file or a directory out; some file systems cannot."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def is_run_directory(path: Path) -> bool:
    """Whether a directory holds the summary of an ablasim run; a symbolic link does not count."""
    return _is_of(RUN, path)


def _is_of(kind: Kind, path: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        return False
    try:
        content = json.loads((path / kind.file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and kind.keys <= content.keys()


def _take_place(temporary: Path, final: Path, *, force: bool, kind: Kind) -> None:
    check_free(final, force=force, kind=kind)
    old = None
    if not is_free(final):
        old = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}.", suffix=".old"))
        # An empty directory gives way to a renamed one, so the old run keeps a name at any time.
        os.replace(final, old)
    try:
        os.replace(temporary, final)
    except BaseException:
        if old is not None:
            os.replace(old, final)
        raise
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _missing(folder: Path) -> list[Path]:
    """This folder and its parents as far as they are not there, innermost first."""
    missing = []
    # Path.exists raises where a parent may not be searched; `.` is its own parent.
    while not os.path.exists(folder) and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    if not folder.is_dir():
        raise UsageError(f"{folder}: is a file; a directory is needed there: choose another place")
    return missing


def _make_parents(folder: Path) -> list[Path]:
    """Make a folder and its parents; returns those that were missing, innermost first."""
    missing = _missing(folder)
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
    return missing


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return


def _mode(final: Path) -> int:
    """The permissions of a directory: as they are, or as the process's umask makes them, which can
    only be read by setting it."""
    if final.is_dir():
        return stat.S_IMODE(final.stat().st_mode) | stat.S_IRWXU
    mask = os.umask(0o022)
    os.umask(mask)
    return 0o777 & ~mask
