"""How long does the main job take, how much memory, and how fast does a second case start?

RF beside the portal vein, twelve minutes of treatment, standard resolution, as a user would run
it: one process per run, first with an empty cache, then with another power. The answer is checked
before any time is written.

    python benchmarks/main_job.py [--scenario FILE] [--smoke]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import record

SCENARIO = Path(__file__).resolve().parents[1] / "scenarios" / "rf_beside_portal_vein.yaml"


def timed_run(scenario: Path, cache: Path, out: Path, *options: str) -> dict[str, Any]:
    """One run of the command in a process of its own; its timings, size and peak memory."""
    command = [
        sys.executable,
        "-m",
        "ablasim",
        "run",
        str(scenario),
        "-o",
        str(out),
        "--json",
        "-v",
    ]
    command += ["--device", "cpu", *options]
    begun = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=os.environ | {"ABLASIM_CACHE_DIR": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None and process.stdout is not None
    loop = first_step = None
    for line in process.stderr:
        if line.startswith("compile") and loop is None and "first step" in line:
            loop = time.perf_counter() - begun
        if line.startswith("solve") and first_step is None:
            first_step = time.perf_counter() - begun
    summary = json.loads(process.stdout.read())
    assert process.wait() == 0
    wall = time.perf_counter() - begun
    assert summary["energy"]["balance_error"] < 1e-6
    assert summary["zone"]["peak_60C"]["volume_ml"] > 1.0
    return {
        "power_W": summary["scenario"]["protocol"]["power_W"],
        "points": summary["mesh"]["points"],
        "cells": summary["mesh"]["cells"],
        "mesh_s": summary["timing_s"]["mesh"],
        "compile_s": summary["timing_s"]["compile"],
        "solve_s": summary["timing_s"]["solve"],
        "assess_s": summary["timing_s"]["assess"],
        "output_s": summary["timing_s"]["output"],
        "total_s": wall,
        "time_loop_begins_after_s": loop,
        "first_step_done_after_s": first_step,
        "steps": summary["numerics"]["steps"],
        "stages": summary["numerics"]["stages"],
        "potential_iterations": summary["numerics"]["potential_iterations"],
        "volume_ml": summary["zone"]["peak_60C"]["volume_ml"],
        "balance_error": summary["energy"]["balance_error"],
    }


def start_up() -> float:
    """Median wall time of `ablasim --help` [s]."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "ablasim", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - begun)
    return sorted(times)[2]


def main() -> None:
    """Run and write `results/main_job.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", type=Path, default=SCENARIO)
    parser.add_argument("--smoke", action="store_true", help="preview resolution, nothing written")
    options = parser.parse_args()
    more = ("--resolution", "preview") if options.smoke else ()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        cold = timed_run(options.scenario, place / "cache", place / "cold", *more)
        # children of this process: the largest so far is the first run's
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        other = ("--set", "protocol.power_W=25", *more)
        warm = timed_run(options.scenario, place / "cache", place / "warm", *other)
    content = {
        "scenario": options.scenario.stem,
        "first_run": cold,
        "second_run_with_another_power": warm,
        "peak_memory_GB": memory,
        "help_s": start_up(),
    }
    if options.smoke:
        print(json.dumps(content, indent=2))
    else:
        record.write("main_job", content)


if __name__ == "__main__":
    main()
