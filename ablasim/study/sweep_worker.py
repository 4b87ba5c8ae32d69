"""A worker process: computes the cases it is told, one after the other.

    python -m ablasim.study.sweep_worker DIR CORE

One line of JSON per case comes in on stdin, one answer goes out on stdout; whatever else a library
prints goes to stderr. When stdin closes, because whoever asked is done or was killed, the process
ends at once: a case that is not finished leaves no case.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO


def main() -> None:
    """Answer until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asked
    directory, core = Path(sys.argv[1]), int(sys.argv[2])
    if core >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})  # before NumPy and JAX count the cores
    answers = _private_stdout()
    requests: queue.SimpleQueue[int] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    _say(answers, _ready(directory, requests))


def _ready(directory: Path, requests: queue.SimpleQueue[int]) -> Any:
    """Load everything, then an answer for every request, for ever."""
    import ablasim.run  # noqa: F401  # the slow part, before the first answer
    from ablasim.study.sweep_case import INTERNAL_ERROR, answer, compute
    from ablasim.study.sweep_frozen import open_sweep

    sweep = open_sweep(directory)
    yield {"ready": True}
    while True:
        number = requests.get()
        try:
            yield compute(sweep, number)
        except Exception as error:  # a fault of `compute` itself
            traceback.print_exc()
            yield answer(number, INTERNAL_ERROR, f"a fault inside ablasim: {error}")


def _say(stream: TextIO, answers: Any) -> None:
    for each in answers:
        stream.write(json.dumps(each) + "\n")
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


if __name__ == "__main__":
    main()
