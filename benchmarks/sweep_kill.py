"""Does a sweep survive being killed at any moment, and give the same table as one left in peace?

    python benchmarks/sweep_kill.py [--kills 100] [--window 3] [--smoke]

Forty cases on a mesh of 2 197 points, two workers. SIGKILL to the whole process group (runner and
workers) at a random moment, and the same command again; then one run to the end. A moment is
uniform in the window that begins, in turns of four, twice with the command, once when its first
case has begun, once when its first case is finished: starting takes many times as long as a case,
and most moments would hit nothing else. The compilation cache begins empty, and the first tenth of
the kills hits compiling and writing the cache; then a case of another sweep fills it in peace. The
same plan is then run in another directory, with another empty cache, left in peace.

Criteria, set beforehand: both tables byte-identical, as CSV and as Parquet; no case lost; no
finished case touched again (its directory keeps its inode and time of change after every kill).
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from record import write

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "unit"))
from tiny_sweep import write_plan  # noqa: E402

WORKERS = 2
SEED = 20

STEPS = "set: {numerics.max_step_s: 2}\n"
"""Short steps, so that a case lasts about a second and not a third of it."""

MOST_S = 120.0
"""How long to wait for a case to begin or to be finished [s]."""

Seen = dict[str, tuple[int, int]]


def ablasim(*words: str, cache: Path) -> subprocess.Popen[bytes]:
    """A command in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ablasim", *words],
        env=os.environ | {"ABLASIM_CACHE_DIR": str(cache), "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def finish(*words: str, cache: Path) -> None:
    """A command that must succeed."""
    code = ablasim(*words, cache=cache).wait()
    if code:
        raise SystemExit(f"ablasim {' '.join(words)} ended with {code}")


def finished(sweep: Path) -> Seen:
    """Inode and time of change of every finished case."""
    found = [p for p in (sweep / "cases").iterdir() if not p.name.startswith(".")]
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in found}


def begun_cases(sweep: Path, since: float) -> int:
    """Cases under way that began after a moment."""
    count = 0
    for path in (sweep / "cases").glob(".*.part"):
        with contextlib.suppress(FileNotFoundError):
            count += path.stat().st_mtime > since
    return count


def wait_for(what: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Until something is so, or the process has ended, or for MOST_S."""
    since = time.monotonic()
    while not what() and process.poll() is None and time.monotonic() < since + MOST_S:
        time.sleep(0.02)


def disturbed(sweep: Path, cache: Path, other: Path, kills: int, window: float) -> dict[str, Any]:
    """Kill and go on; what was hit."""
    moments = random.Random(SEED)
    counts = {"before_any_case_begins": 0, "in_the_middle_of_a_case": 0, "sweep_was_complete": 0}
    touched, seen, progress = 0, finished(sweep), []
    for turn in range(kills):
        if turn == kills // 10:
            finish(
                "sweep", "run", str(other), "--shard", "1/4", "--workers", "1", "-q", cache=cache
            )
        since = time.time()
        process = ablasim("sweep", "run", str(sweep), "--workers", str(WORKERS), "-q", cache=cache)
        warm = turn >= kills // 10
        if turn % 4 == 2:
            wait_for(lambda after=since: begun_cases(sweep, after), process)
        elif turn % 4 == 3 and warm:
            wait_for(lambda before=seen: finished(sweep) != before, process)
        time.sleep(moments.uniform(0.0, window))
        over = process.poll() is not None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            over = True
        process.wait()
        half = begun_cases(sweep, since)
        now = finished(sweep)
        touched += sum(now.get(name) != mark for name, mark in seen.items())
        counts["sweep_was_complete"] += over
        counts["in_the_middle_of_a_case"] += bool(half) and not over
        counts["before_any_case_begins"] += not half and not over
        seen = now
        progress.append(len(now))
        print(turn + 1, len(now), file=sys.stderr, flush=True)
    finish("sweep", "run", str(sweep), "--workers", str(WORKERS), "-q", cache=cache)
    last = finished(sweep)
    touched += sum(last.get(name) != mark for name, mark in seen.items())
    leftovers = len(list(sweep.rglob(".*.part")))
    return {
        "kills": kills,
        "window_s": window,
        **counts,
        "cases_done_after_each_kill": progress,
        "finished_cases_touched_again": touched,
        "leftovers": leftovers,
    }


def main() -> None:
    """Run and write `results/sweep_kill.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--window", type=float, default=3.0, help="for the random moments [s]")
    parser.add_argument("--smoke", action="store_true", help="six cases, four kills, no JSON")
    arguments = parser.parse_args()
    powers, speeds, kills = (3, 2, 4) if arguments.smoke else (10, 4, arguments.kills)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        plan = write_plan(folder, powers, speeds, STEPS)
        tables: dict[str, list[bytes]] = {}
        numbers: dict[str, Any] = {}
        for name in ("disturbed", "in_peace"):
            sweep, cache = folder / name, folder / f"cache_{name}"
            other = folder / "other"
            finish("sweep", "init", str(plan), "-o", str(sweep), "-q", cache=cache)
            if name == "disturbed":
                (folder / "first").mkdir()
                first = write_plan(folder / "first", 2, 2, STEPS)
                finish("sweep", "init", str(first), "-o", str(other), "-q", cache=cache)
            begun = time.perf_counter()
            if name == "disturbed":
                numbers |= disturbed(sweep, cache, other, kills, arguments.window)
            else:
                finish("sweep", "run", str(sweep), "--workers", "2", "-q", cache=cache)
            numbers[f"{name}_s"] = round(time.perf_counter() - begun, 1)
            finish("sweep", "status", str(sweep), "--check", "-q", cache=cache)
            tables[name] = []
            for ending in ("csv", "parquet"):
                out = folder / f"{name}.{ending}"
                finish("sweep", "table", str(sweep), "-o", str(out), "-q", cache=cache)
                tables[name].append(out.read_bytes())
        rows = tables["disturbed"][0].decode().splitlines()[1:]
        done = sum(row.split(",")[1] == "done" for row in rows)
        passed = (
            tables["disturbed"] == tables["in_peace"]
            and done == powers * speeds
            and numbers["finished_cases_touched_again"] == 0
            and numbers["leftovers"] == 0
        )
        result = {
            "cases": powers * speeds,
            "workers": WORKERS,
            **numbers,
            "cases_lost": powers * speeds - done,
            "csv_identical": tables["disturbed"][0] == tables["in_peace"][0],
            "parquet_identical": tables["disturbed"][1] == tables["in_peace"][1],
            "passed": passed,
        }
    if arguments.smoke:
        print(result)
    else:
        write("sweep_kill", result)
    raise SystemExit(0 if passed else 1)


if __name__ == "__main__":
    main()
