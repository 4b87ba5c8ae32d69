"""`ablasim run --engine dolfinx` as a user starts it, alone and under mpirun."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ablasim.team import VARIABLES

TIME_LIMIT_S = 240

QUICK = ("--resolution", "preview", "--set", "numerics.time_tolerance_K=0.5")


def environment() -> dict[str, str]:
    own = dict(os.environ)
    for names in VARIABLES:
        for name in names:
            own.pop(name, None)
    return own


def command(repository: Path, out: Path, seconds: float, *launcher: str) -> list[str]:
    scenario = repository / "scenarios" / "rf_beside_portal_vein.yaml"
    words = ["run", str(scenario), "-o", str(out), "--engine", "dolfinx", *QUICK]
    words += ["--set", f"protocol.duration_s={seconds}"]
    return [*launcher, sys.executable, "-m", "ablasim", *words]


def finish(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def solved(line: str) -> float:
    """The time [s] that a line of `-v` says is solved; 0 where it says something else."""
    found = re.match(r"solve.*?([\d.]+) of 60 s", line)
    return float(found[1]) if found else 0.0


def summary(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return content


@pytest.mark.slow
def test_two_ranks_leave_what_one_leaves(repository: Path, tmp_path: Path, mpirun: str) -> None:
    """Catches values of points that reach the wrong rank or the wrong place of a file."""
    one, two = tmp_path / "one", tmp_path / "two"
    alone = finish(command(repository, one, 10.0))
    assert alone.returncode == 0, alone.stderr
    stale = tmp_path / ".two.fields.bp"
    stale.mkdir()
    (stale / "of_an_aborted_run").touch()
    shared = finish(command(repository, two, 10.0, mpirun, "-n", "2"))
    assert shared.returncode == 0, shared.stderr
    a, b = summary(one), summary(two)
    assert b["numerics"]["engine"] == "dolfinx"
    assert b["numerics"]["device"] == "2 ranks"
    volumes = [each["zone"]["peak_50C"]["volume_ml"] for each in (a, b)]
    assert volumes[1] == pytest.approx(volumes[0], rel=1e-6)
    assert b["energy"]["balance_error"] < 1e-9
    names = {path.name for path in one.iterdir()}
    assert {path.name for path in two.iterdir()} == names | {"fields.bp"}
    assert any((two / "fields.bp").iterdir())
    assert not (two / "fields.bp" / "of_an_aborted_run").exists()
    assert shared.stdout.count("Research software") == 1
    assert not list(tmp_path.glob("*checkpoint*")) + list(tmp_path.glob(".*fields*"))


@pytest.mark.slow
def test_ctrl_c_of_two_ranks_is_continued(repository: Path, tmp_path: Path, mpirun: str) -> None:
    """Catches parts of a checkpoint of different moments, and ranks that hang."""
    out = tmp_path / "out"
    words = command(repository, out, 60.0, mpirun, "-n", "2")
    with subprocess.Popen(
        [*words, "-v"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    ) as process:
        assert process.stderr is not None
        reached = next(at for at in map(solved, process.stderr) if at > 1.0)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIME_LIMIT_S)
    assert process.returncode == 130
    kept = sorted(path.name for path in tmp_path.glob("*.npz"))
    assert kept == ["out.checkpoint.0of2.npz", "out.checkpoint.1of2.npz"]
    again = finish([*words, "-v"])
    assert again.returncode == 0, again.stderr
    assert min(at for at in map(solved, again.stderr.splitlines()) if at > 0.0) > reached
    assert summary(out)["generator"]["duration_s"] == pytest.approx(60.0)
    assert not list(tmp_path.glob("*.npz"))
