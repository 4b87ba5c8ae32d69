"""What a run leaves beside its results, and what others have left there before."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablasim.run import run
from ablasim.scenario import Scenario, load_scenario
from ablasim.team import Team

QUICK = {"numerics.resolution": "preview", "protocol.duration_s": 0.5}


@pytest.fixture(scope="module")
def scenario(repository: Path) -> Scenario:
    """Half a second of treatment on a coarse mesh."""
    return load_scenario(repository / "scenarios" / "rf_without_vessel.yaml", QUICK)


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
