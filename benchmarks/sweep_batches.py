"""What cases of a sweep cost together, and how far their margins are from those of each alone.

    python benchmarks/sweep_batches.py [--resolution preview] [--powers 8] [--perfusions 4]

A needle beside a branch of the portal vein under several powers and perfusions, on one mesh; the
sweep is computed once with every case alone and once with `batch: {}`, by one worker for each core.
Meshed and compiled before; everything counts that `ablasim sweep run` does. Criterion, set
beforehand: no margin moves by more than 0.05 mm.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from main_job import SCENARIO
from record import write

import ablasim
from ablasim.study.sweep_freeze import freeze
from ablasim.study.sweep_run import run_sweep
from ablasim.study.sweep_source import read_plan

CLOSE_MM = 0.05


def plan(powers: int, perfusions: int, resolution: str, **more: Any) -> dict[str, Any]:
    """A plan of `powers` times `perfusions` cases."""
    return {
        "scenario": str(SCENARIO),
        "set": {"numerics.resolution": resolution},
        "vary": {
            "protocol.power_W": {"from": 25, "to": 45, "count": powers},
            "tissues.liver.perfusion_W_m3K": {"from": 30000, "to": 70000, "count": perfusions},
        },
        **more,
    }


def timed(content: dict[str, Any], out: Path) -> tuple[float, dict[str, list[Any]]]:
    """Wall time of the whole sweep, and its table."""
    sweep, _ = freeze(read_plan(content), out)
    begun = time.perf_counter()
    tally = run_sweep(sweep.directory)
    wall = time.perf_counter() - begun
    assert tally.done == len(sweep)
    return wall, ablasim.sweep(content, out).table


def main() -> None:
    """Measure and write `results/sweep_batches.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resolution", default="preview")
    parser.add_argument("--powers", type=int, default=8)
    parser.add_argument("--perfusions", type=int, default=4)
    options = parser.parse_args()
    size = options.powers, options.perfusions
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        kinds = {"alone": {}, "float64": {"batch": {"dtype": "float64"}}, "float32": {"batch": {}}}
        timed(plan(2, 2, options.resolution), folder / "warm")
        found = {}
        for name, more in kinds.items():
            content = plan(*size, options.resolution, **more)
            if more:  # kernels for batches of this size
                timed(content, folder / f"{name}-warm")
            found[name] = timed(content, folder / name)
    single, table = found["alone"]
    margins = table["margin.minimal_mm"]
    result = {
        "scenario": SCENARIO.stem,
        "resolution": options.resolution,
        "points": table["mesh.points"][0],
        "cases": len(margins),
        "seconds": {name: wall for name, (wall, _) in found.items()},
        "faster": {name: single / wall for name, (wall, _) in found.items()},
        "margin_mm": [min(margins), max(margins)],
        "largest_change_of_margin_mm": {
            name: max(abs(a - b) for a, b in zip(margins, t["margin.minimal_mm"], strict=True))
            for name, (_, t) in found.items()
        },
    }
    changes = result["largest_change_of_margin_mm"]
    result["passed"] = all(change < CLOSE_MM for change in changes.values())
    print(result)
    write("sweep_batches", result)


if __name__ == "__main__":
    main()
