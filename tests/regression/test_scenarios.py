"""Every shipped scenario runs, its heat account closes, and a few of its numbers stay as they were.

After a deliberate change: `python tests/regression/test_scenarios.py` prints old and new values and
writes the new ones.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablasim.run import run
from ablasim.scenario import load_scenario

HERE = Path(__file__).resolve().parent
SCENARIOS = sorted((HERE.parents[1] / "scenarios").glob("*.yaml"))
REFERENCES = HERE / "references.json"

BALANCE = 1e-8
"""Relative error that the heat account may have, at every step; rounding alone gives 1e-12."""

GROUPS = ("stored_J", "perfusion_J", "boundary_J", "vessels_J", "probe_cooling_J")
"""Where the delivered heat goes."""

CLOSE = 0.01
"""Relative change that meshing on another machine may cause: MMG is not bitwise portable."""


FLICKERS = ("g4_lehmann", "rf_bipolar")
"""Scenarios whose tissue dries early: the impedance jumps with every point that dries. A mean over
the second half of the treatment says more than its end."""


def numbers(path: Path) -> dict[str, Any]:
    """The numbers of one scenario on the mesh of a preview that are kept."""
    result = run(load_scenario(path, {"numerics.resolution": "preview"}), device="cpu")
    summary = result.summary
    zone = summary["zone"]["peak_60C"]
    kept = {
        "volume_ml": zone["volume_ml"],
        "short_axis_mm": zone["short_axis_mm"],
        "long_axis_mm": zone["long_axis_mm"],
        "perfusion_J": summary["energy"]["perfusion_J"],
        "balance_error": worst_step(result.solution.history),
    }
    if summary["margin"] is not None:
        kept["minimal_mm"] = summary["margin"]["minimal_mm"]
    generator = summary["generator"]
    if generator["rolloffs"]:
        # the impedance at the end is that of a moment in a steep rise or after it, known to 0.1 s
        kept["mean_power_W"] = generator["mean_power_W"]
    elif path.stem in FLICKERS:
        kept["late_impedance_ohm"] = late_mean(result.solution.history, "impedance_ohm")
    elif generator["final_impedance_ohm"] is not None:
        kept["final_impedance_ohm"] = generator["final_impedance_ohm"]
    return kept


def late_mean(history: dict[str, Any], name: str) -> float:
    """Mean over the second half of the time."""
    late = history["time_s"] > 0.5 * history["time_s"][-1]
    return float(np.average(history[name][late], weights=history["step_s"][late]))


def worst_step(history: dict[str, Any]) -> float:
    """Largest error of the heat account over a step, relative to the largest part of that step."""
    parts = np.array([np.diff(history[name], prepend=0.0) for name in ("delivered_J", *GROUPS)])
    missing = np.abs(parts[0] - parts[1:].sum(axis=0))
    return float((missing / np.abs(parts).max(axis=0)).max())


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_runs_and_balances(path: Path) -> None:
    """Catches heat that appears or vanishes, and any change of result that nobody meant."""
    found = numbers(path)
    expected = json.loads(REFERENCES.read_text())[path.stem]
    assert found.pop("balance_error") < BALANCE
    expected.pop("balance_error")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        # a margin is a small difference of large lengths: 0.1 mm there
        absolute = 0.1 if name == "minimal_mm" else 0.0
        assert math.isclose(found[name], value, rel_tol=CLOSE, abs_tol=absolute), name


def test_vessel_takes_margin() -> None:
    """Without the vessel the same treatment leaves more margin where the vessel had been."""
    sizes = {"numerics.resolution": "preview"}
    folder = HERE.parents[1] / "scenarios"
    beside = run(load_scenario(folder / "rf_beside_portal_vein.yaml", sizes), device="cpu")
    alone = run(load_scenario(folder / "rf_without_vessel.yaml", sizes), device="cpu")
    assert beside.margin is not None and alone.margin is not None
    assert beside.margin.nearest_vessel is not None
    assert beside.margin.nearest_vessel.name == "portal_branch"
    assert beside.margin.minimal is not None and alone.margin.minimal is not None
    assert beside.margin.minimal < alone.margin.minimal - 1e-4
    assert beside.summary["energy"]["vessels"]["portal_branch"] > 0.0


if __name__ == "__main__":
    old = json.loads(REFERENCES.read_text()) if REFERENCES.exists() else {}
    new = {path.stem: numbers(path) for path in SCENARIOS}
    for case, values in new.items():
        for quantity, value in values.items():
            print(f"{case:28} {quantity:20} {old.get(case, {}).get(quantity)!s:>14} -> {value}")
    REFERENCES.write_text(json.dumps(new, indent=2) + "\n")
