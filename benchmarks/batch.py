"""What the samples of a risk cost at once, and how far they are from each of them alone.

    python benchmarks/batch.py [--resolution standard] [--samples 64] [--alone 64]
                               [--case rf] [--time-tolerance 0.01]

Two cases with a tumour beside a vessel: radiofrequency, and microwaves with a constant pattern.
The samples are those of `ablasim risk` with its priors. Everything counts from the bound problem to
the margins, the start of the worker processes included; kernels are compiled before. One run in
float64, with all death models as users have it, is the unit. Criteria, set beforehand: 64 samples
cost at most 24 (RF) and 16 (MW) such runs; single precision moves no margin by more than 0.05 mm;
in float64 a batch and the runs of its problems alone agree in the margin to 0.01 mm (`--alone`
says how many). A batch takes the steps of its most demanding problem, so that they agree as far as
both are right in time: `--time-tolerance` [K] says how far that is.
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
from ablasim.study.batches import LARGEST_CHUNK
from ablasim.study.case import prepare
from ablasim.study.chunks import run_chunks, workers_for
from ablasim.study.displacement import no_correction
from ablasim.study.inputs import sampled_problems, unit_samples
from ablasim.study.priors import AXES, uncertain_inputs
from ablasim.study.sampling import Plan

CASES: dict[str, tuple[str, dict[str, Any], float]] = {
    "rf": ("rf_beside_portal_vein", {}, 24.0),
    "mw": ("mw_beside_hepatic_vein", {"physics.microwave_model": "parametric"}, 16.0),
}
SEED = 1
SINGLE_PRECISION_MM, ALONE_MM = 0.05, 0.01


def timed(plan: Plan) -> tuple[float, np.ndarray[Any, Any], float]:
    """Wall time of all chunks, minimal margins [mm], and the largest error of a heat account."""
    begun = time.perf_counter()
    found = run_chunks(plan)
    wall = time.perf_counter() - begun
    assert found.batched.all() and not found.failed.any()
    return wall, found.minimal / MM, float(found.balance.max())


def measured(name: str, numerics: dict[str, Any], count: int, alone: int) -> dict[str, Any]:
    """Costs and margins of one case."""
    file, changes, limit = CASES[name]
    scenario = load_scenario(SCENARIO.parent / f"{file}.yaml", numerics | changes)
    case = prepare(scenario)
    inputs = uncertain_inputs(scenario, case.problem, case.tissues)
    columns = inputs.draw(unit_samples(count, len(inputs.varied), SEED))
    columns |= {axis: np.zeros(count) for axis in AXES}
    columns["death_criterion"] = np.full(count, "peak_60C")
    problems = sampled_problems(case.problem, columns)

    def plan(dtype: str, samples: int = count) -> Plan:
        part = {name: values[:samples] for name, values in columns.items()}
        nodes = np.empty(0, dtype=np.int64)
        return Plan(case, part, no_correction(""), None, nodes, LARGEST_CHUNK, "cpu", dtype)

    def run_alone(problem: BioheatProblem) -> tuple[float, Any]:
        begun = time.perf_counter()
        solution = solve(problem, control=case.control, device="cpu")
        return time.perf_counter() - begun, solution

    run_alone(case.problem)
    unit = min(run_alone(case.problem)[0] for _ in range(2))
    timed(plan("float32", 2 * LARGEST_CHUNK))
    wall, in_single, _ = timed(plan("float32"))
    wall64, in_double, balance = timed(plan("float64"))
    runs = [run_alone(problem) for problem in problems[:alone]]
    peaks = [solution.peak for _, solution in runs]
    each = np.array([case.sampler.measure(peak, 60.0).minimal for peak in peaks]) / MM
    return {
        "points": len(case.mesh.points),
        "time_tolerance_K": case.control.tolerance,
        "samples": count,
        "chunk": LARGEST_CHUNK,
        "workers": workers_for(plan("float32"), None, None),
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
    parser.add_argument("--time-tolerance", type=float, default=None)
    given = parser.parse_args()
    names = CASES if given.case is None else (given.case,)
    parts = ["batch", given.resolution, *([given.case] if given.case else [])]
    numerics: dict[str, Any] = {"numerics.resolution": given.resolution}
    if given.time_tolerance is not None:
        numerics["numerics.time_tolerance_K"] = given.time_tolerance
        parts.append(f"{given.time_tolerance:g}K")
    write(
        "_".join(parts),
        {
            "resolution": given.resolution,
            **{n: measured(n, numerics, given.samples, given.alone) for n in names},
        },
    )


if __name__ == "__main__":
    main()
