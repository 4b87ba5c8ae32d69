"""Ctrl-C while, and after, native code that installs signal handlers of its own.

MMG replaces the handler of SIGINT when it begins (Ctrl-C then ends the process with MMG's words and
exit code 1) and leaves the system's default behind when it ends (Ctrl-C then kills the process: a
long solve after it could neither write its checkpoint nor say a word).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

LOOK_EVERY_S = 0.05
"""How often Python's handler is put back; also the longest wait after the work is done."""


def run_interruptibly[Result](work: Callable[[], Result]) -> Result:
    """Run native code that releases Python's lock so that Ctrl-C raises KeyboardInterrupt at once.

    After an interruption the work goes on in a thread that nobody waits for: its result is lost and
    it must not touch anything that is used later.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or handler is None:
        return work()  # only the main thread gets, and may set, handlers
    results: list[Result] = []
    errors: list[BaseException] = []

    def job() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    worker = threading.Thread(target=job, daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            worker.join(LOOK_EVERY_S)
            signal.signal(signal.SIGINT, handler)
    finally:
        signal.signal(signal.SIGINT, handler)
    if errors:
        raise errors[0]
    return results[0]
