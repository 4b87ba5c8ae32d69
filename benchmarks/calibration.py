"""Does the 90 % interval of the margin hold the truth in 90 % of the cases?

    python benchmarks/calibration.py [--samples 128] [--truths 64] [--resolution preview]
                                     [--scenario FILE] [--remeshed 0]

Synthetic truth: hidden inputs, independent of the study's samples, from the study's own prior and
from priors that are shifted by one standard deviation where a wrong prior hurts most. The table is
written whatever it says. With the same prior about 90 % are expected, less the error of quantiles
from few samples; with a shifted one less, and what is missing is what a wrong prior costs.

`--remeshed N` meshes N truths anew with their probes displaced, which also tries how displaced
probes are treated (two minutes for each on two cores).
"""

import argparse
import time
from dataclasses import asdict
from typing import Any

import numpy as np
from main_job import SCENARIO
from record import write

from ablasim.frames import MM
from ablasim.scenario import load_scenario
from ablasim.study.calibration import Coverage, coverage, hidden_points, true_margins
from ablasim.study.case import prepare
from ablasim.study.inputs import unit_samples
from ablasim.study.priors import uncertain_inputs

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
    parser.add_argument("--truths", type=int, default=64)
    parser.add_argument("--remeshed", type=int, default=0)
    parser.add_argument("--resolution", default="preview")
    parser.add_argument("--scenario", default=str(SCENARIO))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begun = time.perf_counter()
    scenario = load_scenario(options.scenario, {"numerics.resolution": options.resolution})
    case = prepare(scenario)
    inputs = uncertain_inputs(scenario, case.problem, case.tissues)
    names = inputs.names
    margins = true_margins(case, inputs, unit_samples(options.samples, len(names), options.seed))
    rows: list[dict[str, Any]] = []
    for number, (title, shift) in enumerate(SHIFTS.items()):
        known = {name: value for name, value in shift.items() if name in names}
        hidden = hidden_points(options.truths, names, options.seed + number, known)
        rows.append(row(title, coverage(margins, true_margins(case, inputs, hidden))))
    if options.remeshed:
        hidden = hidden_points(options.remeshed, names, options.seed, {})
        truths = true_margins(case, inputs, hidden, remeshed=True)
        moved = true_margins(case, inputs, hidden)
        rows.append(row("same prior, meshed anew", coverage(margins, truths)))
        rows[-1]["largest_error_of_a_moved_zone_mm"] = float(np.max(np.abs(truths - moved))) / MM
    write(
        "calibration",
        {
            "scenario": scenario.name,
            "resolution": options.resolution,
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
