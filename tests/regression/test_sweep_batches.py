"""Cases of a sweep that are computed together: the same table in the end, whatever happens."""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
from test_sweep_run import (  # noqa: E402
    LONGEST_S,
    RESOURCE,
    Tables,
    kill_group,
    over,
    parts,
    started,
    tables_of,
    wait_for,
)
from tiny_sweep import write_plan, write_scenario  # noqa: E402

import ablasim  # noqa: E402
from ablasim import cli  # noqa: E402
from ablasim.study.cases import State, case_directory, state_of  # noqa: E402
from ablasim.study.child import Child  # noqa: E402
from ablasim.study.sweep_freeze import freeze  # noqa: E402
from ablasim.study.sweep_frozen import Sweep  # noqa: E402
from ablasim.study.sweep_run import run_sweep  # noqa: E402
from ablasim.study.sweep_source import read_plan  # noqa: E402

POWERS, SPEEDS = 3, 2
CASES = POWERS * SPEEDS
TOGETHER = ((1, 3, 5), (2, 4, 6))
"""A speed changes the walls, a power does not."""

CLOSE_MM = 0.002
"""Of a batch to runs of their own, where both take steps of the same length."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scenario and its mesh are."""
    found = tmp_path_factory.mktemp("tiny")
    write_plan(found, POWERS, SPEEDS, extra="batch: {}\n")
    return found


@pytest.fixture(scope="module")
def expected(folder: Path) -> Tables:
    """Both tables of a sweep that one worker computed without any trouble."""
    run = ablasim.sweep(folder / "plan.yaml", folder / "expected", workers=1)
    assert run.tally.done == CASES and run.sweep.batches == TOGETHER
    assert run.table["numerics.batch"] == [POWERS] * CASES
    assert run.table["numerics.dtype"] == ["float32"] * CASES
    return tables_of(folder / "expected")


@pytest.fixture
def sweep(folder: Path, tmp_path: Path) -> Sweep:
    """The same plan, planned anew."""
    return freeze(read_plan(folder / "plan.yaml"), tmp_path / "out")[0]


def test_a_batch_says_what_its_cases_alone_say(tmp_path: Path) -> None:
    """Catches a case that gets the answer of another, and numbers of the batch as one.

    The longest step sets all of them: else those of a batch follow from its most demanding case,
    and the answers differ by the error of the steps.
    """
    scenario = write_scenario(tmp_path)
    numerics = "{resolution: preview, max_step_s: 2}"
    text = scenario.read_text(encoding="utf-8").replace("{resolution: preview}", numerics)
    scenario.write_text(text, encoding="utf-8")
    together = write_plan(tmp_path, POWERS, SPEEDS, extra="batch: {}\n")
    batch = ablasim.sweep(together, tmp_path / "batch").table
    alone = ablasim.sweep(write_plan(tmp_path, POWERS, SPEEDS), tmp_path / "alone").table
    assert numerics in text
    assert batch.keys() - alone.keys() == {"numerics.batch"} and alone.keys() <= batch.keys()
    for name, close in (
        ("margin.minimal_mm", {"abs": CLOSE_MM}),
        ("zone.peak_60C.volume_ml", {"rel": 1e-4}),
        ("energy.vessels_J", {"rel": 1e-4}),
        ("thermal.peak_C", {"abs": 0.01}),
        ("generator.mean_power_W", {"rel": 1e-5}),
        ("generator.final_impedance_ohm", {"rel": 1e-4}),
    ):
        assert len(set(alone[name])) >= POWERS, name
        assert batch[name] == pytest.approx(alone[name], **close), name  # type: ignore[arg-type]


def test_init_says_what_is_computed_together(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", "init", str(folder / "plan.yaml"), "-o", str(tmp_path / "out")]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert f"{CASES} of them are computed together, in {len(TOGETHER)} batches." in said
    assert cli.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["batches"] == len(TOGETHER)


def test_any_number_of_workers_and_shards(sweep: Sweep, expected: Tables) -> None:
    first, second = (
        started("sweep", "run", str(sweep.directory), "--shard", f"{k}/2", "--workers", "1", "-q")
        for k in (1, 2)
    )
    for process in (first, second):
        _, said = process.communicate(timeout=LONGEST_S)
        assert process.returncode == 0, said
    assert tables_of(sweep.directory) == expected


def test_a_case_that_is_lost_is_computed_with_its_batch(sweep: Sweep, expected: Tables) -> None:
    """The others of its batch, which decide on the steps too, stay as they are."""
    run_sweep(sweep.directory, workers=2)
    kept = {n: case_directory(sweep, n).stat().st_ino for n in (1, 5)}
    shutil.rmtree(case_directory(sweep, 3))
    tally = run_sweep(sweep.directory, workers=2)
    assert (tally.done, tally.open) == (CASES, 0)
    assert kept == {n: case_directory(sweep, n).stat().st_ino for n in (1, 5)}
    assert tables_of(sweep.directory) == expected


@pytest.mark.slow
def test_killed_at_any_moment(sweep: Sweep, expected: Tables) -> None:
    moments = random.Random(7)
    killed = 0
    for turn in range(6):
        process = started("sweep", "run", str(sweep.directory), "--workers", "1", "-q")
        if turn % 2:
            wait_for(lambda runner=process: parts(sweep) or over(runner))
        time.sleep(moments.uniform(0.0, 0.05 if turn % 2 else 8.0))
        killed += kill_group(process)
    assert killed > 0
    run_sweep(sweep.directory, workers=2)
    assert parts(sweep) == set()
    assert tables_of(sweep.directory) == expected


def test_a_batch_that_kills_its_workers(
    sweep: Sweep,
    expected: Tables,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All its cases have failed, the other batch is computed; --retry-failed does the rest."""
    ask, asked = Child.ask, []

    def ask_and_kill(child: Child, number: int) -> None:
        ask(child, number)
        asked.append(number)
        if number == TOGETHER[0][0]:
            child.kill()

    with monkeypatch.context() as patch:
        patch.setattr(Child, "ask", ask_and_kill)
        assert cli.main(["sweep", "run", str(sweep.directory), "--workers", "1"]) == RESOURCE
    assert asked == [1, 1, 2]
    assert "Traceback" not in capsys.readouterr().err
    assert cli.main(["sweep", "status", str(sweep.directory)]) == 0
    said = capsys.readouterr().out
    assert "killed by signal 9, 2 times" in said and "(3 cases were computed together;" in said
    states = [state_of(sweep, number) for number in range(1, CASES + 1)]
    assert states == [State.failed, State.done] * POWERS
    assert run_sweep(sweep.directory, workers=2, retry_failed=True).done == CASES
    assert tables_of(sweep.directory) == expected


def test_what_cannot_be_computed_together_is_computed_alone(tmp_path: Path) -> None:
    """Perfused tissue and tissue that is not: the same numbers as without batches."""
    plan = write_plan(tmp_path)
    text = (
        "scenario: tiny.yaml\n"
        "set: {protocol.duration_s: 30, tissues.colorectal_metastasis.perfusion_W_m3K: 0}\n"
        "vary: {tissues.liver.perfusion_W_m3K: [0, 8000]}\n"
    )
    found = []
    for name, more in (("alone", ""), ("batch", "batch: {}\n")):
        plan.write_text(text + more)
        run = ablasim.sweep(plan, tmp_path / name, workers=1)
        assert run.tally.done == 2 and bool(run.sweep.batches) == bool(more)
        found.append(tables_of(tmp_path / name))
    assert found[0] == found[1]
