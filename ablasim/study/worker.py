"""The inside of a worker process: does the numbered pieces of work it is told, one by one.

    python -m MODULE DIR CORE

One line of JSON per piece comes in on stdin, one answer goes out on stdout; whatever else a library
prints goes to stderr. When stdin closes, because whoever asked is done or was killed, the process
ends at once: work that is not finished leaves nothing.

Programs that were compiled for one mesh are of no use for the next and pile up, 100 MB or more a
case. A process that has grown by `GROWTH_GB` starts afresh before it answers: the same process by
number, pipes and locks, with the program loaded anew; not where the sources were changed meanwhile,
for numbers of two programs are not mixed.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from ablasim.errors import AblasimError
from ablasim.revision import revision, sources_changed

Work = Callable[[int, Callable[[float], None]], dict[str, Any]]
"""From a number, and a function to tell of progress (0 to 1), to an `answer`."""

TELL_S = 1.0
"""Progress is told at most this often [s]."""

GROWTH_GB = 1.5
"""A process starts afresh when it holds so much more than after its first piece of work."""

ANSWER = "ABLASIM_ANSWER"
"""Variable that holds what a process that starts afresh has still to answer."""


def serve(load: Callable[[Path], Work]) -> None:
    """Answer until stdin closes.

    Args:
        load: makes the work ready from what is in a directory; the slow imports belong into it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asked
    directory, core = Path(sys.argv[1]), int(sys.argv[2])
    if core >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})  # before NumPy and JAX count the cores
    answers = _private_stdout()
    requests: queue.SimpleQueue[int] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    revision()  # before anything is loaded
    try:
        work = load(directory)
    except AblasimError as error:  # of what is in the directory, not of this process
        work = _refusal(error)
    _say(answers, json.loads(os.environ.pop(ANSWER, '{"ready": true}')))
    first = None
    while True:
        said = _answer(answers, work, requests.get())
        held = _held_GB()
        first = held if first is None else first
        if held > 0.0 and held >= first + GROWTH_GB and not sources_changed():
            _start_afresh(answers, said)
        _say(answers, said)


def _refusal(error: AblasimError) -> Work:
    """Work that answers with what was wrong before any could be done."""
    from ablasim.study.answer import answer

    return lambda number, _: answer(number, error.exit_code, str(error), stop=True)


def _held_GB() -> float:
    """Memory that this process holds; 0 where it cannot be asked, as on macOS and Windows."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


def _start_afresh(answers: TextIO, said: dict[str, Any]) -> None:
    """Load the program anew, and answer then: until it is answered nobody asks for more."""
    os.dup2(answers.fileno(), 1)
    os.environ[ANSWER] = json.dumps(said)
    try:
        os.execv(sys.executable, sys.orig_argv)
    except OSError:  # an answer too long for the environment, no memory: it goes on as it is
        del os.environ[ANSWER]
        os.dup2(2, 1)


def _answer(answers: TextIO, work: Work, number: int) -> dict[str, Any]:
    from ablasim.study.answer import INTERNAL_ERROR, answer

    told = time.monotonic()

    def tell(fraction: float) -> None:
        nonlocal told
        if time.monotonic() - told >= TELL_S:
            told = time.monotonic()
            _say(answers, {"case": number, "fraction": fraction})

    try:
        said = work(number, tell)
    except Exception as error:  # a fault of the work itself, which answers for all others
        traceback.print_exc()
        said = answer(number, INTERNAL_ERROR, f"a fault inside ablasim: {error}")
    return said


def _say(stream: TextIO, said: dict[str, Any]) -> None:
    stream.write(json.dumps(said) + "\n")
    stream.flush()


def _listen(requests: queue.SimpleQueue[int]) -> None:
    for line in sys.stdin:
        requests.put(int(json.loads(line)["case"]))
    os._exit(0)


def _private_stdout() -> TextIO:
    """The real stdout; from here on what is printed goes to stderr."""
    sys.stdout.flush()
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w", encoding="utf-8")
