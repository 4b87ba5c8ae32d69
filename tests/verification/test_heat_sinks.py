"""Published facts of vessels as heat sinks, on the product's own meshes at preview resolution."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from heat_sinks import CASES

from ablasim.run import run
from ablasim.scenario import load_scenario

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"

NOISE = 0.02
"""Relative change of a zone's volume that another preview mesh may cause."""


@cache
def volume(name: str) -> float:
    """Tissue of the 60 °C zone [ml]; the account closes on the way."""
    scenario, overrides = CASES[name]
    result = run(load_scenario(SCENARIOS / f"{scenario}.yaml", overrides), device="cpu")
    history = result.solution.history
    parts = ("stored_J", "perfusion_J", "boundary_J", "vessels_J", "probe_cooling_J")
    rest = history["delivered_J"] - sum(history[part] for part in parts)
    assert np.abs(rest / history["delivered_J"]).max() < 1e-8  # on every step
    found: float = result.summary["zone"]["peak_60C"]["tissue_volume_ml"]
    return found


def lost(name: str) -> float:
    """Share of the zone that a vessel takes."""
    return 1.0 - volume(name) / volume(name.split("_")[0])


@pytest.mark.slow
def test_a_vessel_within_eight_millimetres_takes_more_the_wider_it_is() -> None:
    """Catches a wall coefficient that falls with the diameter faster than the wall grows."""
    losses = [lost(f"rf_{diameter}_at_5") for diameter in (5, 10, 15)]
    assert losses[0] > 2.0 * NOISE
    assert (np.diff(losses) > 0.0).all(), losses
    assert losses[2] - losses[0] > NOISE, losses
    assert NOISE < lost("rf_10_at_8") < losses[1]


@pytest.mark.slow
def test_a_vessel_beyond_thirty_millimetres_takes_nothing() -> None:
    """Catches a block whose size or mesh depends on the vessel."""
    assert abs(lost("rf_10_at_30")) < NOISE


@pytest.mark.slow
@pytest.mark.xfail(
    strict=False,
    reason="not reproduced with the parametric absorption: 21 % against 20 % of zones of 6.3 and"
    " 6.0 ml; vessels are electric insulators here, where blood would draw current out of tissue",
)
def test_microwaves_lose_less_than_radiofrequency() -> None:
    """With zones of about the same volume the same vessel takes a smaller share."""
    assert volume("mw") == pytest.approx(volume("rf"), rel=0.1)
    assert lost("mw_10_at_5") < lost("rf_10_at_5") - NOISE
