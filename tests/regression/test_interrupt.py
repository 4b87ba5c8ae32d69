"""Ctrl-C leaves a checkpoint that the same command continues from."""

from pathlib import Path

import numpy as np
import pytest

from ablasim.errors import Interrupted
from ablasim.progress import Progress
from ablasim.run import checkpoint_path, run
from ablasim.scenario import Scenario, load_scenario

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "rf_beside_portal_vein.yaml"
SHORT = {"numerics.resolution": "preview", "protocol.duration_s": 60.0}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """One minute of treatment on a coarse mesh."""
    return load_scenario(SCENARIO, SHORT)


def test_interrupted_run_continues_to_the_same_end(scenario: Scenario, tmp_path: Path) -> None:
    """Catches a checkpoint that misses part of the state: the fields would differ."""
    whole = run(scenario, device="cpu")
    out = tmp_path / "run"

    def stop(event: Progress) -> None:
        if event.stage == "solve" and (event.time_s or 0.0) > 20.0:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"run\.checkpoint\.npz"):
        run(scenario, out=out, device="cpu", progress=stop)
    assert checkpoint_path(out).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.checkpoint.npz"]

    resumed: list[Progress] = []
    result = run(scenario, out=out, device="cpu", progress=resumed.append)
    first = next(event.time_s for event in resumed if event.stage == "solve" and event.time_s)
    assert first > 20.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert np.allclose(result.solution.times, whole.solution.times)
    apart = np.abs(result.solution.temperature - whole.solution.temperature)
    # The multigrid is set up anew, so the potential differs within its tolerance; a few points at
    # the electrode's corners, a singularity, amplify that.
    assert np.quantile(apart, 0.999) < 1e-4
    assert result.summary["energy"]["balance_error"] < 1e-9


def test_checkpoint_of_another_scenario_is_not_used(scenario: Scenario, tmp_path: Path) -> None:
    """Catches a checkpoint picked up by its name alone."""
    out = tmp_path / "run"

    def stop(event: Progress) -> None:
        if event.stage == "solve" and (event.time_s or 0.0) > 10.0:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        run(scenario, out=out, device="cpu", progress=stop)
    other = load_scenario(SCENARIO, SHORT | {"protocol.power_W": 20.0})
    result = run(other, out=out, device="cpu")
    assert result.solution.history["power_W"] == pytest.approx(20.0)
    assert result.solution.times[0] < 1.0


def test_damaged_checkpoint_is_ignored(scenario: Scenario, tmp_path: Path) -> None:
    """Catches a half-written or foreign file that stops a run."""
    out = tmp_path / "run"
    checkpoint_path(out).write_bytes(b"PK\x03\x04 not a checkpoint")
    assert run(scenario, out=out, device="cpu").solution.times[0] < 1.0
