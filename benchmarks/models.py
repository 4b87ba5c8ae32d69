"""What do the death models and an impedance-controlled generator cost?

    python benchmarks/models.py [--resolution standard]

Criteria, set beforehand: all death models together cost at most a tenth more than none; twelve
minutes of impedance-controlled pulses at most twice the same time of constant power. Pulses dry the
tissue again and again, which a power that never dries it does not: the pulses are therefore
compared with the constant power of the same mean, and the gentle power is shown beside it.

The death models are run in turns, after one turn that compiles, each turn in the other order, since
the machine's speed drifts; the median of the turns' ratios counts. Generators run once each,
without the first step, which compiles.
"""

import argparse
import statistics
import time
from dataclasses import replace
from typing import Any

from main_job import SCENARIO
from record import write

from ablasim.physics.binding import build_problem
from ablasim.physics.problem import BioheatProblem
from ablasim.run import place_in_mesh, step_control
from ablasim.scenario import Scenario, load_scenario
from ablasim.solve import Solution, Status, solve

DEATH_LIMIT, PULSED_LIMIT = 1.1, 2.0
TURNS = 9


def bound(scenario: Scenario) -> BioheatProblem:
    """A scenario's problem on its mesh, from the cache where it is there."""
    return build_problem(scenario, *place_in_mesh(scenario))


def timed(problem: BioheatProblem, scenario: Scenario) -> tuple[float, Solution]:
    """Wall time of the steps after the first one [s], and the solution."""
    begun = time.perf_counter()
    solution = solve(problem, device="cpu", control=step_control(scenario))
    assert solution.status is Status.DONE and solution.energy["balance_error"] < 1e-8
    return time.perf_counter() - begun - solution.statistics["start_seconds"], solution


def in_turns(variants: dict[str, tuple[BioheatProblem, Scenario]], turns: int) -> dict[str, Any]:
    """Median wall time and counts of every variant; of several turns the first only compiles."""
    walls: dict[str, list[float]] = {name: [] for name in variants}
    last: dict[str, Solution] = {}
    for turn in range(turns):
        order = list(variants.items())
        for name, (problem, scenario) in order if turn % 2 else reversed(order):
            wall, last[name] = timed(problem, scenario)
            if turn or turns == 1:
                walls[name].append(wall)
    return {
        name: {
            "solve_s": statistics.median(walls[name]),
            "all_s": walls[name],
            "steps": int(last[name].statistics["steps"]),
            "stages": int(last[name].statistics["stages"]),
            "potential_iterations": int(last[name].statistics["potential_iterations"]),
            "rolloffs": len(last[name].rolloffs),
            "mean_power_W": float(
                last[name].history["power_W"]
                @ last[name].history["step_s"]
                / last[name].history["time_s"][-1]
            ),
        }
        for name, _ in variants.items()
    }


def main() -> None:
    """Run and write `results/models.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", default="standard")
    resolution = parser.parse_args().resolution
    sizes = {"numerics.resolution": resolution}

    job = load_scenario(SCENARIO, sizes)
    problem = bound(job)
    none = replace(problem, laws=replace(problem.laws, death=None))
    death = in_turns({"all_models": (problem, job), "none": (none, job)}, TURNS)

    pulsed = load_scenario(SCENARIO.parent / "rf_impedance_pulsed.yaml", sizes)
    pulses = bound(pulsed)
    generator = in_turns({"pulsed": (pulses, pulsed)}, 1)
    mean = generator["pulsed"]["mean_power_W"]

    def constant(power: float) -> tuple[BioheatProblem, Scenario]:
        protocol = {"mode": "power", "power_W": power, "duration_s": pulsed.protocol.duration_s}
        scenario = load_scenario(
            SCENARIO.parent / "rf_impedance_pulsed.yaml", sizes | {"protocol": protocol}
        )
        return bound(scenario), scenario

    powers = {"constant_same_mean": constant(round(mean, 1)), "constant_30W": constant(30.0)}
    generator |= in_turns(powers, 1)
    pairs = zip(death["all_models"]["all_s"], death["none"]["all_s"], strict=True)
    death_ratio = statistics.median(one / other for one, other in pairs)
    pulsed_ratio = generator["pulsed"]["solve_s"] / generator["constant_same_mean"]["solve_s"]
    write(
        "models",
        {
            "resolution": resolution,
            "death_models": death,
            "death_ratio": death_ratio,
            "death_limit": DEATH_LIMIT,
            "generator": generator,
            "pulsed_ratio": pulsed_ratio,
            "pulsed_ratio_to_30W": generator["pulsed"]["solve_s"]
            / generator["constant_30W"]["solve_s"],
            "pulsed_limit": PULSED_LIMIT,
            "passed": death_ratio <= DEATH_LIMIT and pulsed_ratio <= PULSED_LIMIT,
        },
    )


if __name__ == "__main__":
    main()
