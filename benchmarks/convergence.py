"""How far does the 60 °C surface move when mesh size and time tolerance are halved?

RF beside the portal vein at standard and at fine resolution (edges halved, tolerance more than
halved), and at standard with half the tolerance: distance of each point of one surface from the
other, in mm.

    python benchmarks/convergence.py
"""

from pathlib import Path
from typing import Any

import record

from ablasim.assess import LethalZone
from ablasim.assess.compare import surfaces_apart
from ablasim.frames import MM
from ablasim.run import RunResult, run
from ablasim.scenario import load_scenario

SCENARIO = Path(__file__).resolve().parents[1] / "scenarios" / "rf_beside_portal_vein.yaml"


def solve(resolution: str, **overrides: float) -> RunResult:
    """One run without files."""
    changed = {"numerics.resolution": resolution, **overrides}
    return run(load_scenario(SCENARIO, changed), device="cpu")


def apart(one: LethalZone, two: LethalZone) -> dict[str, float]:
    """Distance between two surfaces, over the area of both [mm]."""
    found = surfaces_apart(one, two)
    assert found is not None, "a run without a lethal zone"
    return {"max_mm": found.max / MM, "mean_mm": found.mean / MM}


def numbers(result: RunResult) -> dict[str, Any]:
    """What a reader compares."""
    summary = result.summary
    assert summary["energy"]["balance_error"] < 1e-6
    return {
        "points": summary["mesh"]["points"],
        "steps": summary["numerics"]["steps"],
        "volume_ml": summary["zone"]["peak_60C"]["volume_ml"],
        "short_axis_mm": summary["zone"]["peak_60C"]["short_axis_mm"],
        "long_axis_mm": summary["zone"]["peak_60C"]["long_axis_mm"],
        "minimal_margin_mm": summary["margin"]["minimal_mm"],
        "impedance_ohm": summary["generator"]["final_impedance_ohm"],
        "mesh_s": summary["timing_s"]["mesh"],
        "solve_s": summary["timing_s"]["solve"],
    }


def main() -> None:
    """Run and write `results/convergence.json`."""
    preview, standard, fine = (solve(name) for name in ("preview", "standard", "fine"))
    strict = solve("standard", **{"numerics.time_tolerance_K": 0.025})
    record.write(
        "convergence",
        {
            "scenario": SCENARIO.stem,
            "preview": numbers(preview),
            "standard": numbers(standard),
            "standard_half_time_tolerance": numbers(strict),
            "fine": numbers(fine),
            "surface_preview_to_fine": apart(preview.record.zone, fine.record.zone),
            "surface_standard_to_fine": apart(standard.record.zone, fine.record.zone),
            "surface_standard_to_half_tolerance": apart(standard.record.zone, strict.record.zone),
        },
    )


if __name__ == "__main__":
    main()
