"""Does `ablasim risk --max-memory` hold?

    python benchmarks/risk_memory.py [--limits 0.8 1.53 2.0] [--resolution preview] [--samples 32]

The main job's case with every limit [GB], without poses meshed anew and without the heat-sink
account, single precision, and an empty cache: compiling the kernels takes memory, too. The defaults
are hardly more than one and two processes need. Twenty times a second the resident memory of all
processes that compute samples is added up, shared libraries counted in each of them. Criterion, set
beforehand: the largest sum stays below the limit. What the command itself holds, for the meshes,
the plain run and the pictures, is outside of it and stands beside it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from main_job import SCENARIO
from record import write

from ablasim.study.chunk_worker import WORKER

GB = 1e9
PERIOD_S = 0.05


def main() -> None:
    """Measure and write `results/risk_memory_RESOLUTION.json`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--limits", type=float, nargs="+", default=[0.8, 1.53, 2.0])
    parser.add_argument("--resolution", default="preview")
    parser.add_argument("--samples", type=int, default=32)
    given = parser.parse_args()
    rows = []
    for limit in given.limits:
        rows.append(measured(limit, given.resolution, given.samples))
        print(rows[-1], file=sys.stderr, flush=True)
    write(
        f"risk_memory_{given.resolution}",
        {
            "scenario": str(SCENARIO.name),
            "resolution": given.resolution,
            "samples": given.samples,
            "rows": rows,
            "passed": all(row["largest_GB"] <= row["limit_GB"] for row in rows),
        },
    )


def measured(limit: float, resolution: str, samples: int) -> dict[str, Any]:
    """One study with a limit [GB]."""
    begun, largest, most, own = time.perf_counter(), 0.0, 0, 0.0
    with tempfile.TemporaryDirectory() as place:
        command = [
            *(sys.executable, "-m", "ablasim", "risk", str(SCENARIO), "-q", "--no-heat-sink"),
            *("-n", str(samples), "--resolution", resolution, "--max-memory", str(limit)),
            *("--set", "risk.remeshed_poses=false", "-o", str(Path(place) / "out")),
        ]
        environment = os.environ | {"ABLASIM_CACHE_DIR": str(Path(place) / "cache")}
        with subprocess.Popen(command, env=environment) as process:
            watched = psutil.Process(process.pid)
            while process.poll() is None:
                held = [_resident(child) for child in _workers(watched)]
                largest, most = max(largest, sum(held)), max(most, len(held))
                own = max(own, _resident(watched))
                time.sleep(PERIOD_S)
        if process.returncode:
            raise SystemExit(f"ablasim risk ended with {process.returncode}")
    return {
        "limit_GB": limit,
        "largest_GB": largest,
        "processes": most,
        "command_itself_GB": own,
        "seconds": time.perf_counter() - begun,
    }


def _workers(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [p for p in process.children() if WORKER in p.cmdline()]
    except psutil.Error:  # one that has just ended
        return []


def _resident(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / GB
    except psutil.Error:
        return 0.0


if __name__ == "__main__":
    main()
