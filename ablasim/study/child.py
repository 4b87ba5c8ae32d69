"""The asking side of a worker process: start it, ask it, notice its death."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ablasim
from ablasim.errors import ResourceError
from ablasim.study.answer import INTERNAL_ERROR, answer

LOG = "workers.log"

TRIES = 2
"""Work during which its worker is killed so often has failed."""

STARTS = 3
"""Workers that die so often before they are ready will not start at all."""

ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NPROC",  # how many threads XLA starts
    )
}
"""Sums depend on the number of threads that share them: with one, all workers get the same."""

MOST_WORDS = 300
"""Characters that are quoted of what a worker wrote last."""

ENDS_S = 10.0
"""How long a worker gets to end by itself [s]."""


def has_one_thread() -> bool:
    """Whether this process is such a worker itself."""
    return all(os.environ.get(name) == value for name, value in ONE_THREAD.items())


class Child:
    """One worker process."""

    def __init__(
        self, module: str, directory: Path, core: int | None = None, hold: Sequence[int] = ()
    ) -> None:
        """Start it.

        Args:
            module: that the process runs; it calls `worker.serve`.
            directory: where it finds its work; its stderr goes to `LOG` there.
            core: that it may use; None leaves it to the system.
            hold: locks that it holds as long as it lives.
        """
        self.number: int | None = None
        self.ready = False
        with (directory / LOG).open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    *("-P", "-m", module),
                    *(str(directory.absolute()), str(-1 if core is None else core)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,  # a line that waits in a buffer would not make `fileno` readable
                env=_environment(),
                pass_fds=tuple(hold),
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def fileno(self) -> int:
        """Becomes readable when there is an answer, or when the process has ended."""
        return self._answers.fileno()

    def ask(self, number: int) -> None:
        """Have a piece of work done."""
        self.number = number
        try:
            self._requests.write(json.dumps({"case": number}).encode() + b"\n")
            self._requests.flush()
        except BrokenPipeError:
            pass  # it has died; `hear` finds out

    def hear(self) -> dict[str, Any] | None:
        """The next answer; None if the process has ended."""
        line = self._answers.readline()
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError:
            return None
        self.ready = True
        return found

    def death(self) -> str:
        """How the process has ended."""
        code = self._process.wait()
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def kill(self) -> None:
        """End it now."""
        self._process.kill()

    def stop(self) -> None:
        """End it: it does so by itself when nobody can ask any more."""
        for stream in (self._requests, self._answers):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        try:
            self._process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def killed(number: int, death: str, directory: Path) -> dict[str, Any]:
    """The answer for work that its workers did not survive."""
    code = ResourceError.exit_code if death.endswith("signal 9") else INTERNAL_ERROR
    hint = "is there enough memory?" if code != INTERNAL_ERROR else _last_words(directory)
    return answer(number, code, f"the process that computed it {death}, {TRIES} times; {hint}")


def cannot_start(directory: Path, death: str) -> ResourceError:
    """The error of workers that never get ready."""
    return ResourceError(
        f"the worker process {death} before it was ready, {STARTS} times; {_last_words(directory)};"
        " `ablasim doctor` may say what is missing"
    )


def _last_words(directory: Path) -> str:
    """The end of what the workers wrote: the directory may be gone when somebody reads of it."""
    try:
        lines = (directory / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        return f"{directory / LOG} cannot be read ({error.strerror or error})"
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return f"the end of {directory / LOG} is: {last[:MOST_WORDS]}"


def _environment() -> dict[str, str]:
    """This process's, with one thread, no GPU, and the same ablasim."""
    found = os.environ | ONE_THREAD | {"JAX_PLATFORMS": "cpu"}
    home = Path(ablasim.__file__).resolve().parents[1]
    if home.name not in ("site-packages", "dist-packages"):
        found["PYTHONPATH"] = os.pathsep.join(
            part for part in (str(home), found.get("PYTHONPATH", "")) if part
        )
    return found
