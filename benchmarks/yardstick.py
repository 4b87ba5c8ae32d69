"""How far are the linear (P1) answers of both engines from one quadratic (P2) reference?

RF beside the portal vein, twelve minutes. The reference is the DOLFINx engine with quadratic
functions; its zone is cut through the mesh refined once, whose points are its nodes. Against it
stand the P1 answers of both engines on the same mesh and, for the JAX engine, on the finer ones.
Kept are numbers, no fields.

    python benchmarks/yardstick.py [--mesh preview] [--tolerance 0.05]      hours for finer meshes
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
from refinement import refined
from scipy.spatial import cKDTree

from ablasim.anatomy import Anatomy
from ablasim.assess import LethalZone, lethal_zone
from ablasim.assess.compare import surfaces_apart
from ablasim.physics.binding import build_problem
from ablasim.run import place_in_mesh, step_control
from ablasim.scenario import Scenario, load_scenario
from ablasim.solve import Solution, Status, StepControl, solve
from ablasim.solve.dolfinx_options import Options
from ablasim.solve.stepping import march

SCENARIO = Path(__file__).resolve().parents[1] / "scenarios" / "rf_beside_portal_vein.yaml"

LEVEL = 60.0


def numbers(zone: LethalZone, solution: Solution) -> dict[str, Any]:
    """What is kept of an answer."""
    return {
        "volume_ml": zone.volume * 1e6,
        "short_axis_mm": zone.short_axis * 1e3,
        "long_axis_mm": zone.long_axis * 1e3,
        "impedance_ohm": float(solution.history["impedance_ohm"][-1]),
        "balance_error": solution.energy["balance_error"],
        "steps": solution.statistics["steps"],
    }


def apart(zone: LethalZone, reference: LethalZone) -> dict[str, float]:
    """How far a zone's surface is from the reference's."""
    surfaces = surfaces_apart(zone, reference)
    assert surfaces is not None
    return {"surface_max_mm": surfaces.max * 1e3, "surface_mean_mm": surfaces.mean * 1e3}


def quadratic(
    scenario: Scenario, anatomy: Anatomy, problem: Any, control: StepControl
) -> tuple[LethalZone, Solution]:
    """The P2 answer: its zone on the mesh refined once."""
    from ablasim.solve.dolfinx_engine import DolfinxEngine

    engine = DolfinxEngine(problem, Options(degree=2))
    assert engine.comm.size == 1
    solution = march(engine, control)
    assert solution.status is Status.DONE and engine.latest is not None
    nodes = engine.share.space.tabulate_dof_coordinates()[: engine.share.owned]
    finer = refined(problem.mesh)
    distance, number = cKDTree(nodes).query(finer.points)
    assert distance.max() < 1e-9
    peak = np.asarray(engine.latest.peak)[number]
    return lethal_zone(finer, peak, LEVEL, anatomy.probes), solution


def main() -> None:
    """Run and write `results/yardstick.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mesh", default="preview", choices=("preview", "standard"))
    parser.add_argument("--tolerance", type=float, default=0.05)
    parser.add_argument("--seconds", type=float, help="shorter treatment; nothing is written")
    options = parser.parse_args()
    changes: dict[str, Any] = {
        "numerics.resolution": options.mesh,
        "numerics.time_tolerance_K": options.tolerance,
    }
    if options.seconds:
        changes["protocol.duration_s"] = options.seconds
    scenario = load_scenario(SCENARIO, changes)
    anatomy, mesh = place_in_mesh(scenario)
    problem, control = build_problem(scenario, anatomy, mesh), step_control(scenario)
    begun = time.perf_counter()
    reference, solution = quadratic(scenario, anatomy, problem, control)
    content: dict[str, Any] = {
        "scenario": SCENARIO.stem,
        "time_tolerance_K": options.tolerance,
        "reference": {
            "functions": "P2",
            "mesh": options.mesh,
            "points": len(mesh.points),
            "minutes": (time.perf_counter() - begun) / 60.0,
            **numbers(reference, solution),
        },
        "answers": [],
    }
    runs = [(options.mesh, engine) for engine in ("dolfinx", "jax")]
    runs += [(finer, "jax") for finer in ("standard", "fine") if finer != options.mesh]
    for resolution, engine in runs[: 2 if options.seconds else None]:
        case = load_scenario(SCENARIO, changes | {"numerics.resolution": resolution})
        shapes, cells = place_in_mesh(case)
        answer = solve(build_problem(case, shapes, cells), engine=engine, control=control)
        assert answer.status is Status.DONE
        zone = lethal_zone(cells, answer.peak, LEVEL, shapes.probes)
        content["answers"].append(
            {
                "engine": engine,
                "functions": "P1",
                "mesh": resolution,
                "points": len(cells.points),
                **numbers(zone, answer),
                "volume_error_percent": 100.0 * (zone.volume / reference.volume - 1.0),
                **apart(zone, reference),
            }
        )
    if options.seconds:
        print(json.dumps(content, indent=2))
    else:
        record.write("yardstick", content)


if __name__ == "__main__":
    main()
