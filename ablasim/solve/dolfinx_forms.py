"""Compiled forms: a private cache, swept of what a killed compilation left, one compiler at a time.

FFCx creates `<form>.c` before it compiles and `<form>.c.cached` when it is done. If it is killed in
between, every later process waits for the second file and fails. Whoever may compile holds a lock
(of the kernel: it dies with its holder) and so may remove what is not complete.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ablasim.cache import cache_directory
from ablasim.errors import AblasimError, ResourceError
from ablasim.remedies import get_compiler, get_python_headers

if TYPE_CHECKING:
    from mpi4py import MPI

PREFIX = "libffcx_"
WAIT_S = 300.0
"""How long to wait for another process that compiles [s]; a form takes seconds."""

APPEAR_S = 120
"""How long other ranks wait for what rank 0 has compiled to appear in a slow file system [s]."""

log = logging.getLogger(__name__)


def forms_directory() -> Path:
    """Where compiled forms are kept between runs."""
    return cache_directory() / "forms"


@contextlib.contextmanager
def compiling(comm: MPI.Comm) -> Iterator[dict[str, Any]]:
    """Around every `dolfinx.fem.form` and `Expression`; collective, yields their `jit_options`.

    Rank 0 compiles, the others load what it compiled, so all ranks must see the same cache.

    Args:
        comm: the communicator of the mesh.

    Raises:
        ResourceError: the cache cannot be written, or the compiler is missing or fails. On ranks
            other than 0 without the compiler's words.
    """
    folder = forms_directory()
    options = {"cache_dir": str(folder), "timeout": APPEAR_S}
    if comm.rank != 0:
        problem = comm.bcast(None, root=0)
        if problem is not None:
            raise ResourceError(problem)
        with _faults_of_compiler(None):
            yield options
        return
    with contextlib.ExitStack() as held:
        problem = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(_lock(folder / ".lock"))
            sweep(folder)
            words = held.enter_context(tempfile.TemporaryFile())
        except ResourceError as error:
            problem = str(error)
        except OSError as error:
            problem = (
                f"{folder}: compiled forms cannot be kept there ({error.strerror or error}); "
                "set ABLASIM_CACHE_DIR to a directory that can be written"
            )
        if comm.size > 1:
            comm.bcast(problem, root=0)
        if problem is not None:
            raise ResourceError(problem)
        try:
            with _faults_of_compiler(words), _native_stderr_into(words):
                yield options
        except BaseException:
            sweep(folder)
            raise


def sweep(folder: Path) -> list[str]:
    """Remove the files of every form that is not complete; only for the holder of the lock.

    Returns:
        The names of the forms that were removed.
    """
    forms = defaultdict(list)
    for path in folder.glob(f"{PREFIX}*"):
        forms[path.name.split(".")[0]].append(path)
    removed = []
    for name, paths in forms.items():
        library = any(
            path.name.endswith(tuple(EXTENSION_SUFFIXES)) and path.stat().st_size for path in paths
        )
        if library and folder / f"{name}.c.cached" in paths:
            continue
        removed.append(name)
        for path in paths:
            path.unlink(missing_ok=True)
    if removed:
        log.info("%s: removed %d unfinished forms", folder, len(removed))
    return removed


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a file's lock; waits for another process that holds it."""
    given_up = time.monotonic() + WAIT_S
    with path.open("a+b") as file:
        while not _try_to_lock(file):
            if time.monotonic() > given_up:
                raise ResourceError(
                    f"{path}: another process has been compiling for {WAIT_S:.0f} s; "
                    "end it, or set ABLASIM_CACHE_DIR to another directory"
                )
            time.sleep(0.05)
        yield


if sys.platform == "win32":
    import msvcrt

    def _try_to_lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
else:
    import fcntl

    def _try_to_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def _faults_of_compiler(words: IO[bytes] | None) -> Iterator[None]:
    """Turn a failed compilation into one message; `words` is what the compiler printed."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    try:
        yield
    except AblasimError:
        raise
    except Exception as error:
        root.handlers = handlers  # FFCx takes them away and forgets them if it fails
        if re.search(rf"{PREFIX}\S+({'|'.join(map(re.escape, EXTENSION_SUFFIXES))})", str(error)):
            raise ResourceError(
                f"a compiled form does not load ({error}): delete {forms_directory()}, "
                "that costs only time"
            ) from error
        reason = _reason(error)
        if reason is None:
            # over MPI only the words of an error are left, e.g. of a full disk
            number = re.search(r"JIT compilation of form: \[Errno (\d+)\] (.*)", str(error))
            if number is not None:
                raise OSError(int(number[1]), number[2]) from error
            raise
        line = _last_line(words)
        remedy = get_python_headers() if "Python.h: No such" in line else get_compiler()
        raise ResourceError(
            f"a form could not be compiled: {reason}{f' ({line})' if line else ''}; "
            f"the engine dolfinx needs a C compiler: {remedy}"
        ) from error


def _reason(error: Exception) -> str | None:
    """What the compiler's failure says; None if this is another fault."""
    text = str(error)
    if "JIT compilation failed on rank 0" in text:
        return "rank 0 says why"
    found = re.search(r"(?:CompileError|LinkError|PlatformError): (.*)", text)
    if found is None:
        return None
    missing = re.search(r"No such file or directory: '(.*)'", found[1])
    if missing is not None:
        return f"there is no {missing[1]} on the PATH"
    # distutils quotes the whole command line; its first word and the compiler's words say it all
    command = re.match(r"Command '\['(.*?)'|command '(.*?)'", found[1])
    return f"{command[1] or command[2]} failed" if command else found[1]


@contextlib.contextmanager
def _native_stderr_into(file: IO[bytes]) -> Iterator[None]:
    """What child processes print on stderr goes into a file; Python's own words go on as before."""
    sys.stderr.flush()
    kept = os.dup(2)
    stream = sys.stderr
    try:
        is_native = stream.fileno() == 2
    except (OSError, ValueError, AttributeError):
        is_native = False
    os.dup2(file.fileno(), 2)
    try:
        if is_native:
            # a bar that shows progress meanwhile writes to sys.stderr
            sys.stderr = os.fdopen(
                kept, "w", encoding=stream.encoding, errors="replace", buffering=1, closefd=False
            )
        yield
    finally:
        if is_native:
            sys.stderr.flush()
            sys.stderr = stream
        os.dup2(kept, 2)
        os.close(kept)


def _last_line(words: IO[bytes] | None) -> str:
    if words is None:
        return ""
    words.seek(0)
    lines = words.read().decode(errors="replace").split("\n")
    lines = [line.strip() for line in lines if line.strip()]
    told = [line for line in lines if "error" in line.lower()]
    return (told or lines or [""])[-1]
