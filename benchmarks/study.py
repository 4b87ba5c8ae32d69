"""A study of risk: do twice the samples stay inside the interval of half of them?

    python benchmarks/study.py [--samples 256] [-o DIR]
    python benchmarks/study.py SCENARIO --name liver [-o DIR]

Without a scenario the case of `calibration.py`: a tumour of 16 mm, 1 mm from a vein of 6 mm, 40 W.
Preview mesh, single precision, no early end. With `-o` the report is left in DIR. Criterion, set
beforehand: P(margin < 0) of all samples lies inside the interval of half of them, and that inside
the one of a quarter.
"""

import argparse
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from calibration import CASE
from main_job import SCENARIO
from record import write

import ablasim
from ablasim.scenario import load_scenario


def main() -> None:
    """Compute and write `results/study_<name>.json`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenario", nargs="?", type=Path)
    parser.add_argument("--name", default="beside_a_vein")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-heat-sink", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    changes = CASE if given.scenario is None else {}
    scenario = load_scenario(
        given.scenario or SCENARIO, changes | {"numerics.resolution": "preview"}
    )
    begun = time.perf_counter()
    study = ablasim.risk(
        scenario,
        samples=given.samples,
        seed=given.seed,
        dtype="float32",
        heat_sink=not given.no_heat_sink,
        resume=False,
        out=given.output,
        all_samples=True,
        force=True,
    )
    seconds, summary = time.perf_counter() - begun, study.summary
    steps = summary["convergence"]
    inside = [_is_inside(later, earlier) for earlier, later in pairwise(steps[-3:])]
    write(
        f"study_{given.name}",
        {
            "scenario": scenario.name,
            "changes": changes,
            "points": summary["numerics"]["points"],
            "seconds": seconds,
            **{key: summary[key] for key in ("samples", "probability", "margin_mm", "nominal")},
            "convergence": steps,
            "sensitivity": summary["sensitivity"],
            "heat_sinks": [sink["sentence"] for sink in summary["heat_sinks"]],
            "displacement": summary["displacement"],
            "warnings": summary["warnings"],
            "passed": all(inside),
        },
    )


def _is_inside(later: dict[str, Any], earlier: dict[str, Any]) -> bool:
    interval = earlier["margin_below_0"]
    return bool(interval["low"] <= later["margin_below_0"]["value"] <= interval["high"])


if __name__ == "__main__":
    main()
