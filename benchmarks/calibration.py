"""Does the 90 % interval of the margin hold the truth in 90 % of the cases?

    python benchmarks/calibration.py [--samples 128] [--truths 128] [--resolution preview]
                                     [--dtype float32] [--remeshed 0]

A tumour of 16 mm, 1 mm from a vein of 6 mm, and a cooled RF needle with 40 W: margins on both sides
of zero. Synthetic truth: hidden inputs, independent of the study's samples, from the study's own
prior and from priors that are shifted by one standard deviation where a wrong prior hurts most. The
table is written whatever it says. With the same prior about 90 % are expected, give or take the
error of quantiles from few samples; with a shifted one less: that is what a wrong prior costs.

`--remeshed N` meshes N truths of the same prior anew with their probes displaced, which also tries
how displaced probes are treated (a minute for each on two cores).
"""

import argparse
import time
from dataclasses import asdict
from typing import Any

import numpy as np
from main_job import SCENARIO
from record import write

import ablasim
from ablasim.frames import MM
from ablasim.scenario import load_scenario
from ablasim.study.calibration import (
    Coverage,
    Floats,
    calibrate,
    coverage,
    hidden_points,
    remeshed_margins,
    true_margins,
)
from ablasim.study.case import prepare
from ablasim.study.priors import uncertain_inputs

CASE: dict[str, Any] = {
    "anatomy.tumour.diameter_mm": 16.0,
    "anatomy.vessels[0].path_mm": [[12, 0, -60], [12, 0, 60]],
    "protocol.power_W": 40.0,
}
SHIFTS: dict[str, dict[str, float]] = {
    "same prior": {},
    "perfusion of the liver one deviation higher": {"perfusion_liver": 1.0},
    "perfusion of the liver one deviation lower": {"perfusion_liver": -1.0},
    "power one deviation lower": {"net_power": -1.0},
    "probe two millimetres to the vessel's side": {"probe_x": 1.0},
}


def main() -> None:
    """Measure and write `results/calibration.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--truths", type=int, default=128)
    parser.add_argument("--remeshed", type=int, default=0)
    parser.add_argument("--resolution", default="preview")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begun = time.perf_counter()
    scenario = load_scenario(SCENARIO, CASE | {"numerics.resolution": options.resolution})
    case = prepare(scenario)
    inputs = uncertain_inputs(scenario, case.problem, case.tissues)
    study = ablasim.risk(
        scenario,
        samples=options.samples,
        seed=options.seed,
        dtype=options.dtype,
        heat_sink=False,
        all_samples=True,
    )
    names, margins = inputs.names, study.samples.minimal

    def margin_of(hidden: Floats) -> Floats:
        return true_margins(case, inputs, hidden, study.correction, dtype=options.dtype)

    found = calibrate(
        margins, margin_of, names, truths=options.truths, seed=options.seed, shifts=SHIFTS
    )
    rows: list[dict[str, Any]] = [row(title, covered) for title, covered in found.items()]
    if options.remeshed:
        hidden = hidden_points(options.remeshed, names, options.seed, {})
        anew = remeshed_margins(case, inputs, hidden)
        moved = margin_of(hidden)
        rows.append(row("same prior, meshed anew", coverage(margins, anew)))
        off = (moved - anew) / MM
        rows[-1]["moved_less_meshed_anew_mm"] = {
            "mean": float(off.mean()),
            "rms": float(np.sqrt((off**2).mean())),
            "largest": float(np.abs(off).max()),
        }
    write(
        "calibration",
        {
            "scenario": scenario.name,
            "changes": CASE,
            "resolution": options.resolution,
            "dtype": options.dtype,
            "points": len(case.mesh.points),
            "samples": options.samples,
            "truths": options.truths,
            "wanted": 0.9,
            "rows": rows,
            "seconds": time.perf_counter() - begun,
        },
    )


def row(title: str, found: Coverage) -> dict[str, Any]:
    """One line of the table, lengths in mm."""
    return {
        "truth": title,
        "inside": asdict(found.inside),
        "below_p5": asdict(found.below),
        "above_p95": asdict(found.above),
        "p5_mm": found.low / MM,
        "p95_mm": found.high / MM,
        "truths": found.truths,
    }


if __name__ == "__main__":
    main()
