"""Cases of a sweep: whole or not there, told apart by their markers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tiny_sweep import write_plan

import ablasim
import ablasim.study.sweep_lock as sweep_lock_module
from ablasim.cli import main
from ablasim.errors import InputFileError, ResourceError, UsageError
from ablasim.study.cases import (
    Failure,
    State,
    case_directory,
    clear_leftovers,
    damaged_files,
    failures,
    forget_failure,
    new_case,
    read_failure,
    record_failure,
    state_of,
    write_whole,
)
from ablasim.study.sweep_freeze import freeze
from ablasim.study.sweep_frozen import Sweep
from ablasim.study.sweep_lock import sweep_lock
from ablasim.study.sweep_run import Shard, run_sweep
from ablasim.study.sweep_source import read_plan
from ablasim.study.sweep_worker import load


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return freeze(read_plan(write_plan(tmp_path)), tmp_path / "out")[0]


def compute(sweep: Sweep, number: int) -> Path:
    with new_case(sweep, number) as folder:
        (folder / "summary.json").write_text('{"margin": {"minimal_mm": 1.5}}')
    return case_directory(sweep, number)


def test_a_case_appears_whole(sweep: Sweep) -> None:
    assert state_of(sweep, 2) is State.open
    folder = compute(sweep, 2)
    assert state_of(sweep, 2) is State.done
    marker = json.loads((folder / "case.json").read_text())
    assert marker["case"] == 2 and marker["sweep_sha256"] == sweep.sha256
    assert marker["values"]["protocol.power_W"] == 80
    assert set(marker["files"]) == {"summary.json"} and damaged_files(folder) == []
    with pytest.raises(UsageError, match="already exists"):
        compute(sweep, 2)


def test_a_case_that_fails_leaves_nothing(sweep: Sweep) -> None:
    with pytest.raises(RuntimeError), new_case(sweep, 1) as folder:
        (folder / "summary.json").write_text("{}")
        raise RuntimeError
    assert list((sweep.directory / "cases").iterdir()) == []


def test_damage_is_seen(sweep: Sweep) -> None:
    """A file cut short by its size; one of the same size by its checksum only."""
    folder = compute(sweep, 1)
    path = folder / "summary.json"
    text = path.read_text()
    path.write_text(text.replace("1.5", "2.5"))
    assert state_of(sweep, 1) is State.done and damaged_files(folder) == ["summary.json"]
    path.write_text(text[:5])
    assert state_of(sweep, 1) is State.damaged
    path.unlink()
    assert state_of(sweep, 1) is State.damaged
    (folder / "case.json").write_text("{")
    assert state_of(sweep, 1) is State.damaged and damaged_files(folder) == ["case.json"]


def test_a_case_of_another_sweep_is_refused(sweep: Sweep, tmp_path: Path) -> None:
    other = freeze(read_plan(write_plan(tmp_path, powers=4)), tmp_path / "other")[0]
    compute(other, 1).rename(case_directory(sweep, 1))
    with pytest.raises(InputFileError, match="belongs to another sweep"):
        state_of(sweep, 1)
    compute(other, 2).rename(case_directory(other, 1))
    with pytest.raises(InputFileError, match="belongs to another sweep"):
        state_of(other, 1)


def test_failures_are_kept_and_forgotten(sweep: Sweep) -> None:
    record_failure(sweep, Failure(3, 4, "at 12.0 s the step became too small"))
    assert state_of(sweep, 3) is State.failed
    assert read_failure(sweep, 3) == Failure(3, 4, "at 12.0 s the step became too small")
    assert [failure.number for failure in failures(sweep)] == [3]
    forget_failure(sweep, 3)
    assert state_of(sweep, 3) is State.open and failures(sweep) == []


def test_leftovers_of_killed_processes_are_removed(sweep: Sweep) -> None:
    for name in (".00001.ab_1.part", ".00002.c2.part"):
        (sweep.directory / "cases" / name).mkdir()
        (sweep.directory / "cases" / name / "summary.json").touch()
    (sweep.directory / "failed" / ".00001.d3.part").touch()
    clear_leftovers(sweep, [1])
    assert [p.name for p in sweep.directory.rglob(".*.part")] == [".00002.c2.part"]


def test_write_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.csv", b"1")
    write_whole(tmp_path / "a.csv", b"22")
    assert (tmp_path / "a.csv").read_bytes() == b"22" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ResourceError, match=r"cannot be written.*make its folder"):
        write_whole(tmp_path / "none" / "a.csv", b"1")


def test_one_runner_at_a_time(sweep: Sweep) -> None:
    with sweep_lock(sweep.directory, None):
        with pytest.raises(UsageError, match=rf"is being computed by process {os.getpid()}"):
            sweep_lock(sweep.directory, None).__enter__()
        with pytest.raises(UsageError, match="is being computed"):
            sweep_lock(sweep.directory, (1, 2)).__enter__()
    with sweep_lock(sweep.directory, None):
        pass


def test_shards_share_a_sweep(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_lock_module, "WAIT_S", 0.3)
    with sweep_lock(sweep.directory, (1, 2)), sweep_lock(sweep.directory, (2, 2)):
        with pytest.raises(UsageError, match="shard 2/2 is being computed"):
            sweep_lock(sweep.directory, (2, 2)).__enter__()
        with pytest.raises(UsageError, match="same number"):
            sweep_lock(sweep.directory, (1, 3)).__enter__()
        with pytest.raises(UsageError, match="is being computed"):
            sweep_lock(sweep.directory, None).__enter__()
    with sweep_lock(sweep.directory, (1, 3)):
        pass


def test_shards_divide_all_cases() -> None:
    cases = range(1, 24)
    parts = [Shard(k, 5).of(cases) for k in range(1, 6)]
    assert sorted(number for part in parts for number in part) == list(cases)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert Shard.parse("3/16") == Shard(3, 16)
    for text in ("0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"):
        with pytest.raises(UsageError, match="--shard"):
            Shard.parse(text)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"executor": "slurm"}, "use 'local' or 'dask'"),
        ({"workers": 0}, "at least 1"),
        ({"scheduler": "tcp://x:1"}, "add --executor dask"),
        ({"scheduler": "tcp://x:1", "executor": "dask", "workers": 2}, "--workers"),
    ],
)
def test_faulty_options(sweep: Sweep, options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run_sweep(sweep.directory, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"executor": "slurm"}, {"shard": "0/2"}])
def test_faulty_options_leave_no_directory(tmp_path: Path, options: dict[str, str]) -> None:
    plan = write_plan(tmp_path)
    with pytest.raises(UsageError):
        ablasim.sweep(plan, tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_shard_ends_with_the_exit_code_of_its_own_cases(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1, len(sweep) + 1):
        record_failure(sweep, Failure(number, 5 - number % 2, "as it ended"))
    for shard, code in ((["--shard", "1/2"], 4), (["--shard", "2/2"], 5), ([], 5)):
        assert main(["sweep", "run", str(sweep.directory), "-q", *shard]) == code
    assert f"of {len(sweep)} cases failed" in capsys.readouterr().err


def test_a_worker_of_another_program_is_refused(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it runs: only whoever starts a sweep would have compared the two before."""
    load(sweep.directory)
    monkeypatch.setattr("ablasim.revision.revision", lambda: "9.9.9")
    with pytest.raises(InputFileError, match=r"ablasim 9\.9\.9 and was asked by"):
        load(sweep.directory)
