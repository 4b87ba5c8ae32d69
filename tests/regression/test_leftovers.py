"""What a run leaves beside its results, and what others have left there before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest

from ablasim.errors import ConvergenceError
from ablasim.run import run
from ablasim.scenario import Scenario, load_scenario
from ablasim.solve.jax_engine import JaxEngine
from ablasim.team import Team

QUICK = {"numerics.resolution": "preview", "protocol.duration_s": 0.5}


@pytest.fixture(scope="module")
def scenario(repository: Path) -> Scenario:
    """Half a second of treatment on a coarse mesh."""
    return load_scenario(repository / "scenarios" / "rf_without_vessel.yaml", QUICK)


def test_only_the_own_checkpoint_is_removed(scenario: Scenario, tmp_path: Path) -> None:
    """Catches a name that is taken for a pattern, and one that begins another."""
    own = ["a[1].checkpoint.npz", "a[1].checkpoint.0of2.npz", "a[1].checkpoint.11of16.npz"]
    others = ["a1.checkpoint.npz", "a[1].checkpoint.checkpoint.npz", "a[1].checkpoint.kept.npz"]
    for name in own + others:
        (tmp_path / name).touch()
    for name in ("a[1].checkpoint_notes", "a[1].checkpoint"):
        (tmp_path / name).mkdir()
    run(scenario, out=tmp_path / "a[1]", device="cpu")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, "a[1]", "a[1].checkpoint_notes", "a[1].checkpoint"}


@pytest.mark.parametrize("ranks", [1, 2])
def test_fields_of_an_aborted_run_are_not_taken(
    ranks: int, scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches fields of another run among the results, also where JAX is started under mpirun."""
    monkeypatch.setattr("ablasim.run.team", lambda: Team(0, ranks))
    stale = tmp_path / ".out.fields.bp"
    stale.mkdir()
    (stale / "data.0").write_bytes(b"of an aborted run")
    run(scenario, out=tmp_path / "out", device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "summary.json").is_file()
    assert not (tmp_path / "out" / "fields.bp").exists()


def test_a_run_that_fails_at_once_leaves_its_files(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a summary or a message that takes the last row of an empty history."""
    advance = JaxEngine.advance

    def wrong(self: JaxEngine, *given: Any) -> Any:
        state, report = advance(self, *given)
        return state, replace(report, error=jnp.asarray(1e9))

    monkeypatch.setattr(JaxEngine, "advance", wrong)
    with pytest.raises(ConvergenceError, match=r"at 0\.0 s the time step fell below its limit"):
        run(scenario, out=tmp_path / "out", device="cpu")
    assert (tmp_path / "out" / "summary.json").is_file()
