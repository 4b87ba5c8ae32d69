"""Does a sweep survive being killed at any moment, and give the same table as one left in peace?

    python benchmarks/sweep_kill.py [--kills 100] [--window 3] [--smoke]

Forty cases on a mesh of 2 197 points, two workers. SIGKILL to the whole process group (runner and
workers) at a random moment, and the same command again; then one run to the end. A moment is
uniform in the window that begins, in turns of four, twice with the command, once when its first
case has begun, once when its first case is finished: starting takes many times as long as a case,
and most moments would hit nothing else. The compilation cache begins empty, and the first tenth of
the kills hits compiling and writing the cache; then a case of another sweep fills it in peace. A
sweep whose cases are all done before the kills are used up is followed by the same plan in a new
directory, so that no kill meets a finished sweep. The same plan is then run in one more directory,
with another empty cache, left in peace.

Criteria, set beforehand: all tables byte-identical, as CSV and as Parquet; no case lost; no
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


def run_words(sweep: Path) -> tuple[str, ...]:
    """The command that begins a sweep and goes on with it."""
    return "sweep", "run", str(sweep), "--workers", str(WORKERS), "-q"


class Kills:
    """Kills sweeps, and counts what was hit."""

    def __init__(self, cache: Path, other: Path, kills: int, window: float):
        self.cache, self.other, self.kills, self.window = cache, other, kills, window
        self.moments = random.Random(SEED)
        self.turn = self.touched = 0
        self.counts = {
            "before_any_case_begins": 0,
            "in_the_middle_of_a_case": 0,
            "sweep_was_complete": 0,
        }
        self.progress: list[list[int]] = []

    def disturb(self, sweep: Path, cases: int) -> None:
        """Kill and go on, until the kills are used up or all cases are done; then end it."""
        seen = finished(sweep)
        self.progress.append([])
        while self.turn < self.kills and len(seen) < cases:
            now = self._kill_once(sweep, seen)
            self.touched += sum(now.get(name) != mark for name, mark in seen.items())
            seen = now
            self.progress[-1].append(len(now))
            print(self.turn, len(self.progress), len(now), file=sys.stderr, flush=True)
        finish(*run_words(sweep), cache=self.cache)
        last = finished(sweep)
        self.touched += sum(last.get(name) != mark for name, mark in seen.items())

    def _kill_once(self, sweep: Path, seen: Seen) -> Seen:
        """What is finished after one kill."""
        warm = self.turn >= self.kills // 10
        if self.turn == self.kills // 10:
            words = ("--shard", "1/4", "--workers", "1", "-q")
            finish("sweep", "run", str(self.other), *words, cache=self.cache)
        since = time.time()
        process = ablasim(*run_words(sweep), cache=self.cache)
        if self.turn % 4 == 2:
            wait_for(lambda: begun_cases(sweep, since), process)
        elif self.turn % 4 == 3 and warm:
            wait_for(lambda: finished(sweep) != seen, process)
        time.sleep(self.moments.uniform(0.0, self.window))
        over = process.poll() is not None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            over = True
        process.wait()
        half = begun_cases(sweep, since)
        self.counts["sweep_was_complete"] += over
        self.counts["in_the_middle_of_a_case"] += bool(half) and not over
        self.counts["before_any_case_begins"] += not half and not over
        self.turn += 1
        return finished(sweep)


def begin(plan: Path, sweep: Path, cache: Path) -> Path:
    """Plan a sweep in a directory."""
    finish("sweep", "init", str(plan), "-o", str(sweep), "-q", cache=cache)
    return sweep


def tables_of(sweep: Path, cache: Path) -> tuple[bytes, bytes]:
    """The table of a sweep, as CSV and as Parquet, after its results were checked."""
    finish("sweep", "status", str(sweep), "--check", "-q", cache=cache)
    out = [sweep.with_suffix(ending) for ending in (".csv", ".parquet")]
    for path in out:
        finish("sweep", "table", str(sweep), "-o", str(path), "-q", cache=cache)
    return out[0].read_bytes(), out[1].read_bytes()


def done_in(csv: bytes) -> int:
    """Cases that a table says are done."""
    rows = csv.decode().splitlines()[1:]
    return sum(row.split(",")[1] == "done" for row in rows)


def main() -> None:
    """Run and write `results/sweep_kill.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--window", type=float, default=3.0, help="for the random moments [s]")
    parser.add_argument("--smoke", action="store_true", help="six cases, four kills, no JSON")
    arguments = parser.parse_args()
    powers, speeds, kills = (3, 2, 4) if arguments.smoke else (10, 4, arguments.kills)
    cases = powers * speeds
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        plan = write_plan(folder, powers, speeds, STEPS)
        (folder / "first").mkdir()
        first, other = write_plan(folder / "first", 2, 2, STEPS), folder / "other"
        caches = {name: folder / f"cache_{name}" for name in ("disturbed", "in_peace")}
        finish("sweep", "init", str(first), "-o", str(other), "-q", cache=caches["disturbed"])
        killed = Kills(caches["disturbed"], other, kills, arguments.window)
        begun, tables = time.perf_counter(), []
        while killed.turn < kills:
            sweep = begin(plan, folder / f"disturbed_{len(tables)}", killed.cache)
            killed.disturb(sweep, cases)
            tables.append(tables_of(sweep, killed.cache))
        disturbed_s, begun = time.perf_counter() - begun, time.perf_counter()
        sweep = begin(plan, folder / "in_peace", caches["in_peace"])
        finish(*run_words(sweep), cache=caches["in_peace"])
        peace_s, peace = time.perf_counter() - begun, tables_of(sweep, caches["in_peace"])
        leftovers = len(list(folder.glob("disturbed_*/**/.*.part")))
    lost = [cases - done_in(csv) for csv, _ in [*tables, peace]]
    result = {
        "cases": cases,
        "workers": WORKERS,
        "kills": kills,
        "window_s": arguments.window,
        **killed.counts,
        "sweeps": len(tables),
        "cases_done_after_each_kill": killed.progress,
        "finished_cases_touched_again": killed.touched,
        "leftovers": leftovers,
        "disturbed_s": round(disturbed_s, 1),
        "in_peace_s": round(peace_s, 1),
        "cases_lost": sum(lost),
        "csv_identical": all(csv == peace[0] for csv, _ in tables),
        "parquet_identical": all(parquet == peace[1] for _, parquet in tables),
    }
    untouched = not any((sum(lost), killed.touched, leftovers))
    result["passed"] = untouched and all(table == peace for table in tables)
    if arguments.smoke:
        print(result)
    else:
        write("sweep_kill", result)
    raise SystemExit(0 if result["passed"] else 1)


if __name__ == "__main__":
    main()
