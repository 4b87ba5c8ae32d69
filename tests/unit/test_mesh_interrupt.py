"""Ctrl-C with native code that takes the signal handlers over, as MMG does."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from ablasim.mesh_interrupt import run_interruptibly

# What MMG does: it installs handlers in C, behind Python's back, and releases Python's lock.
NATIVE = """
import ctypes, os, signal, threading, time
from ablasim.mesh_interrupt import run_interruptibly
libc = ctypes.CDLL(None)
def work():
    libc.signal(signal.SIGINT, None)
    libc.sleep(SECONDS)
    libc.signal(signal.SIGINT, None)
def press(): os.kill(os.getpid(), signal.SIGINT)
"""


def python(code: str, seconds: int) -> tuple[int, str, float]:
    start = time.perf_counter()
    command = [sys.executable, "-c", NATIVE.replace("SECONDS", str(seconds)) + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, time.perf_counter() - start


def test_ctrl_c_during_the_work_raises_at_once() -> None:
    code = """
threading.Timer(0.3, press).start()
try:
    run_interruptibly(work)
except KeyboardInterrupt:
    print("interrupted")
"""
    returned, printed, wall = python(code, seconds=30)
    assert (returned, printed) == (0, "interrupted\n")
    assert wall < 10.0


def test_ctrl_c_after_the_work_still_raises() -> None:
    code = """
run_interruptibly(work)
try:
    press()
    time.sleep(5)
except KeyboardInterrupt:
    print("interrupted")
"""
    assert python(code, seconds=0)[:2] == (0, "interrupted\n")


def test_without_the_guard_ctrl_c_kills() -> None:
    """Shows that the two tests above can fail."""
    returned, printed, _ = python("work()\npress()\ntime.sleep(5)", seconds=0)
    assert (returned, printed) == (-signal.SIGINT, "")


def test_results_and_errors_come_back() -> None:
    assert run_interruptibly(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        run_interruptibly(lambda: 1 // 0)


def test_another_thread_may_use_it_too() -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(run_interruptibly(lambda: 42)))
    thread.start()
    thread.join()
    assert found == [42]
