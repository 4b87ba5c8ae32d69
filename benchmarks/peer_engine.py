"""The yardstick's case by one of ablasim's own engines, through the public interface.

python benchmarks/peer_engine.py RESOLUTION OUT --engine jax --controls 0.05:15
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import peer_child
from peer_case import load_case

import ablasim
from ablasim.solve import Solution, Status, StepControl


def arguments() -> argparse.Namespace:
    """RESOLUTION OUT --engine NAME --dtype NAME --controls TOLERANCE:LONGEST[:FIXED] ..."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("resolution")
    parser.add_argument("out", type=Path)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--controls", nargs="+", required=True)
    return parser.parse_args()


def row(control: str, solution: Solution, wall: float) -> dict[str, Any]:
    """One run in numbers."""
    assert solution.status is Status.DONE, solution.status
    power, volts = solution.history["power_W"][-1], solution.history["voltage_V"][-1]
    counts = ("steps", "rejected", "stages", "potential_iterations")
    start = solution.statistics["start_seconds"]
    return {
        "control": control,
        "start_s": start,
        "solve_s": wall - start,
        "impedance_ohm": float(volts**2 / power),
        **{name: int(solution.statistics[name]) for name in counts},
        "energy": dict(solution.energy),
    }


def main() -> None:
    """Solve at every accuracy asked for."""
    options = arguments()
    _, problem = load_case(options.resolution)
    # an empty cache, so that the first run shows the compilation of a new machine
    with tempfile.TemporaryDirectory() as empty:
        os.environ["ABLASIM_CACHE_DIR"] = empty
        rows = []
        for number, text in enumerate(options.controls):
            tolerance, longest, *fixed = (float(part) for part in text.split(":"))
            begun = time.perf_counter()
            solution = ablasim.solve_problem(
                problem,
                engine=options.engine,
                device="cpu",
                dtype=options.dtype,
                control=StepControl(tolerance, longest, *fixed),
            )
            rows.append(row(text, solution, time.perf_counter() - begun))
            np.savez(
                options.out / f"{number}.npz",
                temperature=solution.temperature,
                peak=solution.peak,
            )
    least = min(each["start_s"] for each in rows)
    content = {
        "setup_s": least,
        "compile_s": rows[0]["start_s"] - least,
        "memory_GB": peer_child.memory(),
        "runs": rows,
    }
    (options.out / "runs.json").write_text(json.dumps(content))


if __name__ == "__main__":
    main()
