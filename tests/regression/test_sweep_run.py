"""Sweeps that are computed, stopped, killed and divided: always the same table in the end."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
from tiny_sweep import write_plan  # noqa: E402

import ablasim  # noqa: E402
from ablasim import cli  # noqa: E402
from ablasim.errors import InputFileError, Interrupted, ResourceError  # noqa: E402
from ablasim.progress import Progress  # noqa: E402
from ablasim.study.cases import State, case_directory, state_of  # noqa: E402
from ablasim.study.sweep_case import compute  # noqa: E402
from ablasim.study.sweep_freeze import freeze  # noqa: E402
from ablasim.study.sweep_frozen import Sweep, open_sweep  # noqa: E402
from ablasim.study.sweep_run import run_sweep  # noqa: E402
from ablasim.study.sweep_source import read_plan  # noqa: E402
from ablasim.study.sweep_table import table, write_table  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_S = 300.0
POWERS, SPEEDS = 3, 2
CASES = POWERS * SPEEDS
USAGE, INPUT_FILE, RESOURCE = 2, 3, 5

Tables = tuple[bytes, bytes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scenario and its mesh are, which all sweeps here share."""
    found = tmp_path_factory.mktemp("tiny")
    write_plan(found, POWERS, SPEEDS)
    return found


@pytest.fixture(scope="module")
def expected(folder: Path) -> Tables:
    """Both tables of a sweep that one worker computed without any trouble."""
    result = ablasim.sweep(folder / "plan.yaml", folder / "expected", workers=1)
    assert (result.tally.done, result.tally.failed, result.tally.open) == (CASES, 0, 0)
    margins = result.table["margin.minimal_mm"]
    assert len(set(margins)) == CASES, "every case has its own answer"
    assert margins[-1] > margins[0] + 5.0, "more power, more margin"
    return tables_of(folder / "expected")


@pytest.fixture
def sweep(folder: Path, tmp_path: Path) -> Sweep:
    """The same plan, planned anew."""
    return freeze(read_plan(folder / "plan.yaml"), tmp_path / "out")[0]


def tables_of(directory: Path) -> Tables:
    columns = table(open_sweep(directory))
    with tempfile.TemporaryDirectory() as place:
        paths = [Path(place) / name for name in ("t.csv", "t.parquet")]
        for path in paths:
            write_table(columns, path)
        return paths[0].read_bytes(), paths[1].read_bytes()


def started(*words: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    """The real command in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ablasim", *words],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=before,
    )


def parts(sweep: Sweep) -> set[str]:
    """Cases that are under way, or were when their worker was killed."""
    return {path.name for path in (sweep.directory / "cases").glob(".*.part")}


def wait_for(what: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Until something is so; the process must not end before."""
    deadline = time.monotonic() + LONGEST_S
    while not what():
        assert time.monotonic() < deadline, "it took too long"
        assert process is None or process.poll() is None, process and process.communicate()
        time.sleep(0.01)


def over(process: subprocess.Popen[str]) -> bool:
    """Whether a command has ended, all well."""
    return process.poll() == 0


def kill_group(process: subprocess.Popen[str]) -> bool:
    """Kill a command and its children without a word; False if it had ended before."""
    if process.poll() is None:  # until it is waited for, nobody else gets its number
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes of a runner."""
    return [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "ablasim.study.sweep_worker" in child.cmdline()
    ]


def test_any_number_of_workers(sweep: Sweep, expected: Tables) -> None:
    seen: list[Progress] = []
    tally = run_sweep(sweep.directory, workers=2, progress=seen.append)
    assert tally.done == CASES
    assert tables_of(sweep.directory) == expected
    assert [event.fraction for event in seen] == sorted(event.fraction for event in seen)
    assert seen[-1].fraction == 1.0 and seen[-1].message == f"{CASES} of {CASES} done"
    assert run_sweep(sweep.directory).done == CASES, "nothing is left to do"


@pytest.mark.slow
def test_killed_at_any_moment(folder: Path, tmp_path: Path) -> None:
    """Twelve cases, twelve kills of the whole process group; no finished case is touched again."""
    plan = read_plan(write_plan(tmp_path, 6, 2))
    sweep = freeze(plan, tmp_path / "killed")[0]
    moments = random.Random(5)
    seen: dict[str, int] = {}
    killed = 0
    for turn in range(12):
        process = started("sweep", "run", str(sweep.directory), "--workers", "2", "-q")
        before = parts(sweep)
        if turn % 3:
            wait_for(lambda old=before, runner=process: parts(sweep) - old or over(runner))
        time.sleep(moments.uniform(0.0, 2.0 if turn % 3 else 4.0))
        killed += kill_group(process)
        now = {
            path.name: path.stat().st_ino
            for path in (sweep.directory / "cases").iterdir()
            if not path.name.startswith(".")
        }
        assert seen.items() <= now.items()
        seen = now
    assert killed > 0
    assert run_sweep(sweep.directory, workers=2).done == 12
    assert parts(sweep) == set()
    peace = freeze(plan, tmp_path / "peace")[0]
    run_sweep(peace.directory, workers=2)
    assert tables_of(sweep.directory) == tables_of(peace.directory)


def test_a_killed_worker_and_a_second_runner(sweep: Sweep, expected: Tables) -> None:
    """A worker that dies is replaced, its case computed again; nobody else may run meanwhile."""
    process = started("sweep", "run", str(sweep.directory), "--workers", "2", "--json")
    wait_for(lambda: parts(sweep), process)
    workers_of(process)[0].kill()
    psutil.Process(process.pid).suspend()  # so that it is not done before the second looks
    try:
        second = started("sweep", "run", str(sweep.directory))
        said = second.communicate(timeout=LONGEST_S)[1]
    finally:
        psutil.Process(process.pid).resume()
    assert second.returncode == USAGE and "Traceback" not in said
    assert f"is being computed by process {process.pid}" in said
    out, _ = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0
    assert json.loads(out) == {"done": CASES, "failed": 0, "open": 0, "total": CASES}
    assert tables_of(sweep.directory) == expected


def test_a_case_that_kills_its_workers(sweep: Sweep, expected: Tables) -> None:
    """Twice killed it has failed, the others go on; --retry-failed computes it after all."""
    process = started("sweep", "run", str(sweep.directory), "--workers", "1")
    for _ in range(2):
        wait_for(lambda: any(name.startswith(".00001.") for name in parts(sweep)), process)
        (worker,) = workers_of(process)
        worker.kill()
        worker.wait(LONGEST_S)
        for path in (sweep.directory / "cases").glob(".00001.*.part"):
            path.rename(path.with_suffix(".seen"))
    out, said = process.communicate(timeout=LONGEST_S)
    assert process.returncode == RESOURCE and f"{CASES - 1} of {CASES} cases done, 1 failed" in out
    assert "--retry-failed" in said and "Traceback" not in said
    assert state_of(sweep, 1) is State.failed
    for path in (sweep.directory / "cases").glob("*.seen"):
        path.rmdir()
    assert run_sweep(sweep.directory, workers=1).failed == 1, "failed cases are skipped"
    assert run_sweep(sweep.directory, workers=1, retry_failed=True).failed == 0
    assert tables_of(sweep.directory) == expected


def test_failures_are_recorded(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A case whose scenario is invalid fails with its message; the other is computed."""
    plan = write_plan(tmp_path, extra="on_invalid: record\n")
    plan.write_text(plan.read_text().replace("{from: 80, to: 120, count: 3}", "[-5, 90]"))
    out = str(tmp_path / "out")
    assert cli.main(["sweep", "init", str(plan), "-o", out]) == 0
    assert "2 of them are invalid" in capsys.readouterr().out
    assert cli.main(["sweep", "run", out, "-q"]) == USAGE
    assert "2 of 4 cases failed" in capsys.readouterr().err
    assert cli.main(["sweep", "status", out]) == 0
    said = capsys.readouterr().out
    assert "protocol.power_W: got -5; must be greater than 0" in said and "Traceback" not in said
    assert cli.main(["sweep", "table", out, "-o", str(tmp_path / "t.csv")]) == 0
    rows = (tmp_path / "t.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows[1:]] == ["failed", "failed", "done", "done"]


def test_shards(sweep: Sweep, expected: Tables) -> None:
    """Two shards at the same time, as an array job has them, do all cases between them."""
    both = [
        started("sweep", "run", str(sweep.directory), "--shard", f"{k}/2", "--workers", "1", "-q")
        for k in (1, 2)
    ]
    for process in both:
        _, said = process.communicate(timeout=LONGEST_S)
        assert process.returncode == 0, said
    assert tables_of(sweep.directory) == expected


def test_a_full_disk(sweep: Sweep, expected: Tables) -> None:
    """No file grows past 2 kB: one message, exit code 5, nothing half-written; then it goes on."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, resource.RLIM_INFINITY))

    process = started("sweep", "run", str(sweep.directory), "--workers", "2", "-q", before=limit)
    _, said = process.communicate(timeout=LONGEST_S)
    assert process.returncode == RESOURCE and "Traceback" not in said
    assert "cannot be written" in said and "0 of 6 cases are done and stay" in said
    assert list((sweep.directory / "cases").iterdir()) == []
    assert list((sweep.directory / "failed").iterdir()) == [], "the disk is no fault of the case"
    run_sweep(sweep.directory, workers=2)
    assert tables_of(sweep.directory) == expected


def obey_permissions() -> None:
    """Let root, who may write anywhere, be stopped by permissions like anybody else."""
    if os.geteuid() == 0:
        drop_from_bounding_set, dac_override = 24, 1  # linux/prctl.h, linux/capability.h
        ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override, 0, 0, 0)


def test_a_read_only_directory(folder: Path, sweep: Sweep) -> None:
    sweep.directory.chmod(0o555)
    for words in (
        ("sweep", "run", str(sweep.directory)),
        ("sweep", "init", str(folder / "plan.yaml"), "-o", str(sweep.directory / "new")),
    ):
        process = started(*words, before=obey_permissions)
        _, said = process.communicate(timeout=LONGEST_S)
        assert process.returncode == RESOURCE, said
        assert "cannot be written" in said and "Traceback" not in said
    assert sorted(p.name for p in sweep.directory.iterdir()) == [
        "cases", "failed", "scenario.yaml", "sweep.json",
    ]  # fmt: skip


def test_an_edited_scenario_is_refused(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = sweep.directory / "scenario.yaml"
    scenario.write_text(scenario.read_text().replace("duration_s: 240", "duration_s: 120"))
    assert cli.main(["sweep", "run", str(sweep.directory), "-q"]) == INPUT_FILE
    assert "scenario.yaml: was edited since" in capsys.readouterr().err


def test_a_mesh_edited_while_it_is_used_stops_the_sweep(tmp_path: Path, expected: Tables) -> None:
    """Catches one table from two anatomies: the case under way is dropped, the others stay."""
    found = freeze(read_plan(write_plan(tmp_path, POWERS, SPEEDS)), tmp_path / "out")[0]
    mesh = tmp_path / "tiny.msh"
    before = mesh.read_bytes()

    def edit(event: Progress) -> None:
        if event.fraction > 0.2:
            mesh.write_bytes(before + b"\n")

    with pytest.raises(InputFileError, match=r"tiny\.msh: has changed since the sweep was planned"):
        run_sweep(found.directory, workers=1, progress=edit)
    done = [n for n in range(1, CASES + 1) if state_of(found, n) is State.done]
    assert 1 <= len(done) < CASES and not list((found.directory / "failed").iterdir())
    mesh.write_bytes(before)
    run_sweep(found.directory, workers=2)
    assert tables_of(found.directory) == expected


def test_interrupted(sweep: Sweep, expected: Tables) -> None:
    """Ctrl-C leaves whole cases only, no process, and the lock to the next."""

    def stop(event: Progress) -> None:
        if event.fraction > 0.2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="the same command goes on"):
        run_sweep(sweep.directory, workers=2, progress=stop)
    assert parts(sweep) == set()
    assert 1 <= sum(case_directory(sweep, n).is_dir() for n in range(1, CASES + 1)) < CASES
    mine = psutil.Process().children(recursive=True)
    assert not [p for p in mine if "ablasim.study.sweep_worker" in p.cmdline()]
    run_sweep(sweep.directory, workers=2)
    assert tables_of(sweep.directory) == expected


def test_dask(sweep: Sweep, expected: Tables) -> None:
    """Two workers of a cluster on this machine, one of which is killed midway."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
    ) as cluster:
        killed: list[int] = []

        def kill_one(event: Progress) -> None:
            if event.fraction > 0.0 and not killed:
                killed.append(cluster.workers[0].pid)
                os.kill(killed[0], signal.SIGKILL)

        tally = run_sweep(
            sweep.directory,
            executor="dask",
            scheduler=cluster.scheduler_address,
            progress=kill_one,
        )
        assert killed and not psutil.pid_exists(killed[0])
    assert tally.done == CASES
    assert tables_of(sweep.directory) == expected
    assert parts(sweep) == set()


def test_workers_of_a_scheduler_stop_with_the_sweep(sweep: Sweep, expected: Tables) -> None:
    """Catches an outside cluster that goes on computing, without a lock, for a runner that ended;
    afterwards it computes the rest."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0", memory_limit=0
    ) as cluster:
        pid = cluster.workers[0].pid

        def workers() -> list[psutil.Process]:
            found = []
            for child in psutil.Process(pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is one of these
                    found += [child] if "ablasim.study.sweep_worker" in child.cmdline() else []
            return found

        def stop(event: Progress) -> None:
            if event.fraction > 0.2:
                assert workers()
                raise KeyboardInterrupt

        address = cluster.scheduler_address
        with pytest.raises(Interrupted):
            run_sweep(sweep.directory, executor="dask", scheduler=address, progress=stop)
        psutil.wait_procs(workers(), timeout=10.0)
        assert not workers()
        done = sum(case_directory(sweep, n).is_dir() for n in range(1, CASES + 1))
        assert 1 <= done < CASES
        run_sweep(sweep.directory, executor="dask", scheduler=address)
    assert tables_of(sweep.directory) == expected
    assert parts(sweep) == set()


def test_dask_without_an_address(sweep: Sweep, expected: Tables) -> None:
    process = started(
        "sweep", "run", str(sweep.directory), "--executor", "dask", "--workers", "2", "--json"
    )
    out, said = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0 and json.loads(out)["done"] == CASES, said
    assert "Scheduler" not in said, "Dask's own talk"
    assert tables_of(sweep.directory) == expected


def test_no_scheduler_there(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    from ablasim.study import sweep_dask

    monkeypatch.setattr(sweep_dask, "FIND_S", 1)
    with pytest.raises(ResourceError, match="no scheduler with workers answers there"):
        run_sweep(sweep.directory, executor="dask", scheduler="tcp://127.0.0.1:9")


def test_risk_of_every_case(folder: Path, tmp_path: Path) -> None:
    """The margin of the plain run stays what it is; the table gets the risk beside it."""
    write_plan(tmp_path, powers=2, speeds=2, extra="risk: {samples: 8, seed: 3}\n")
    found = freeze(read_plan(tmp_path / "plan.yaml"), tmp_path / "out")[0]
    assert compute(found, 1)["exit_code"] == 0
    case = case_directory(found, 1)
    assert {path.name for path in case.iterdir()} >= {"risk.json", "samples.csv", "summary.json"}
    study = json.loads((case / "risk.json").read_text())
    assert study["samples"]["used"] == 8
    lines = (case / "samples.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["sample", *map(str, range(1, 9))]
    columns = table(found)
    chance = columns["risk.probability.margin_below_0.value"][0]
    assert chance == study["probability"]["margin_below_0"]["value"]
    assert columns["risk.margin_mm.p50.value"][0] == study["margin_mm"]["p50"]["value"]
    plain = write_plan(tmp_path, powers=2, speeds=2)
    without = freeze(read_plan(plain), tmp_path / "without")[0]
    assert compute(without, 1)["exit_code"] == 0
    assert table(without)["margin.minimal_mm"][0] == columns["margin.minimal_mm"][0]
    assert not any(name.startswith("risk.") for name in table(without))
