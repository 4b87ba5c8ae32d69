"""What the samples of a risk cost at once, and how far they are from each of them alone.

    python benchmarks/batch.py [--resolution standard] [--samples 64] [--alone 64]

Two cases with a tumour beside a vessel: radiofrequency, and microwaves with a constant pattern.
The samples are those of `ablasim risk` with its priors. Everything counts that a chunk of samples
needs from the bound problems to their fields; kernels are compiled before. One run in float64, with
all death models as users have it, is the unit. Criteria, set beforehand: 64 samples cost at most 24
(RF) and 16 (MW) such runs; single precision moves no margin by more than 0.05 mm; in float64 a
batch and the runs of its problems alone agree in the margin to 0.01 mm (`--alone` says how many).
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from main_job import SCENARIO
from record import write

from ablasim.frames import MM
from ablasim.physics.problem import BioheatProblem
from ablasim.scenario import load_scenario
from ablasim.solve import solve
from ablasim.study.batches import LARGEST_CHUNK, solve_all
from ablasim.study.case import Case, prepare
from ablasim.study.inputs import sampled_problems, unit_samples
from ablasim.study.priors import uncertain_inputs

CASES: dict[str, tuple[str, dict[str, Any], float]] = {
    "rf": ("rf_beside_portal_vein", {}, 24.0),
    "mw": ("mw_beside_hepatic_vein", {"physics.microwave_model": "parametric"}, 16.0),
}
SEED = 1
SINGLE_PRECISION_MM, ALONE_MM = 0.05, 0.01


def margins(case: Case, fields: list[Any]) -> np.ndarray[Any, Any]:
    """Minimal margins of 60 °C [mm]."""
    found = [case.sampler.measure(field["peak_C"], 60.0).minimal for field in fields]
    return np.array(found) / MM


def timed(case: Case, problems: list[BioheatProblem], dtype: str) -> tuple[float, list[Any], Any]:
    """Wall time of all chunks, their fields, and the largest error of the heat account."""
    fields, worst = [], 0.0
    begun = time.perf_counter()
    for start in range(0, len(problems), LARGEST_CHUNK):
        found = solve_all(
            problems[start : start + LARGEST_CHUNK], case.control, device="cpu", dtype=dtype
        )
        assert found.batched, found.why_not
        fields += found.fields
        worst = max(worst, float(found.balance.max()))
    return time.perf_counter() - begun, fields, worst


def measured(name: str, resolution: str, count: int, alone: int) -> dict[str, Any]:
    """Costs and margins of one case."""
    file, changes, limit = CASES[name]
    scenario = load_scenario(
        SCENARIO.parent / f"{file}.yaml", {"numerics.resolution": resolution} | changes
    )
    case = prepare(scenario)
    inputs = uncertain_inputs(scenario, case.problem, case.tissues)
    columns = inputs.draw(unit_samples(count, len(inputs.varied), SEED))
    problems = sampled_problems(case.problem, columns)

    def run_alone(problem: BioheatProblem) -> tuple[float, Any]:
        begun = time.perf_counter()
        solution = solve(problem, control=case.control, device="cpu")
        return time.perf_counter() - begun, solution

    run_alone(case.problem)
    unit = min(run_alone(case.problem)[0] for _ in range(2))
    timed(case, problems[:LARGEST_CHUNK], "float32")
    wall, single, _ = timed(case, problems, "float32")
    wall64, double, balance = timed(case, problems, "float64")
    in_single, in_double = margins(case, single), margins(case, double)
    runs = [run_alone(problem) for problem in problems[:alone]]
    each = margins(case, [{"peak_C": solution.peak} for _, solution in runs])
    return {
        "points": len(case.mesh.points),
        "samples": count,
        "chunk": LARGEST_CHUNK,
        "run_s": unit,
        "batch_s": {"float32": wall, "float64": wall64},
        "runs": {"float32": wall / unit, "float64": wall64 / unit},
        "limit": limit,
        "alone_mean_s": float(np.mean([seconds for seconds, _ in runs])) if runs else None,
        "margin_mm": {"least": float(in_double.min()), "most": float(in_double.max())},
        "single_precision_mm": float(np.abs(in_single - in_double).max()),
        "alone": len(runs),
        "from_alone_mm": float(np.abs(in_double[:alone] - each).max()) if runs else None,
        "balance_error": balance,
        "passed": wall / unit <= limit
        and bool(np.abs(in_single - in_double).max() < SINGLE_PRECISION_MM)
        and (not runs or bool(np.abs(in_double[:alone] - each).max() < ALONE_MM)),
    }


def main() -> None:
    """Both cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", default="standard")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--alone", type=int, default=64)
    parser.add_argument("--case", choices=tuple(CASES), default=None)
    given = parser.parse_args()
    names = CASES if given.case is None else (given.case,)
    write(
        "batch",
        {
            "resolution": given.resolution,
            **{n: measured(n, given.resolution, given.samples, given.alone) for n in names},
        },
    )


if __name__ == "__main__":
    main()
