"""How does the FEniCSx engine scale: time per step, iterations, memory, messages, rank by rank?

RF beside the portal vein at 56 000, 408 000 and 1.7 million points: the standard mesh, the same
with every edge halved, and the fine mesh with every edge halved. Each on 1 and on 2 ranks, a core
for each; the temperatures must agree before a number is written. What does not depend on the time
it takes is also counted on more ranks than there are cores: iterations, ghosts, neighbours.

    python benchmarks/scaling.py                     what is not in results/scaling.json yet
    python benchmarks/scaling.py --fresh             everything anew (about 12 minutes)
    python benchmarks/scaling.py --only 400k         one size; or: counts
    python benchmarks/scaling.py --smoke             preview mesh, two steps, nothing written
    python benchmarks/scaling.py --page              write the tables of docs/scaling.md again
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import record
import scaling_page
from refinement import refined
from scaling_rank import STEP_S, WARM_UP_S

from ablasim.anatomy import build_anatomy
from ablasim.mesh import TetMesh, cached_mesh
from ablasim.mesh_cache import store
from ablasim.scenario import load_scenario

SCENARIO = Path(__file__).resolve().parents[1] / "scenarios" / "rf_beside_portal_vein.yaml"
RESULT = record.RESULTS / "scaling.json"

AGREEMENT = 1e-9
"""Largest difference of the temperatures of two rank counts, relative to the largest one."""

MANY = {"50k": (4, 8, 16), "400k": (16,)}
"""Ranks on which a mesh is only dealt out, by size; they may be more than there are cores."""

MANY_COUNTED = (4, 8)
"""Ranks on which the steps of the smallest size are only counted."""


@dataclass(frozen=True)
class Size:
    """A mesh.

    Attributes:
        resolution: of the mesh that is refined.
        refinements: how many times its edges are halved.
        steps: timed ones.
    """

    resolution: str
    refinements: int
    steps: int


SIZES = {
    "50k": Size("standard", 0, 6),
    "400k": Size("standard", 1, 6),
    "1500k": Size("fine", 1, 4),
}
SMOKE = Size("preview", 0, 2)


def mesh_of(size: Size) -> TetMesh:
    """The mesh of a size; its coarse one comes from the cache where it was made before."""
    anatomy = build_anatomy(load_scenario(SCENARIO))
    mesh = cached_mesh(anatomy, size.resolution)
    for _ in range(size.refinements):
        mesh = refined(mesh)
    return mesh


def on_ranks(ranks: int, mesh: Path, *options: str) -> dict[str, Any]:
    """What a run on some ranks measures; its final temperature is left beside the mesh."""
    out = mesh.with_name(f"{mesh.stem}-{ranks}.json")
    launcher = Path(sys.executable).with_name("mpirun")
    child = Path(__file__).with_name("scaling_rank.py")
    command = [str(launcher), "-n", str(ranks), sys.executable, str(child)]
    command += [str(mesh), str(SCENARIO), str(out), *options]
    # a rank is one core
    subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def summed_up(run: dict[str, Any]) -> dict[str, Any]:
    """The numbers that are kept of a run."""
    everyone, steps = run["per_rank"], np.array(run["step_s"])
    peak = [rank["peak_bytes"] for rank in everyone]
    points = sum(rank["mesh"]["points"] for rank in everyone)
    own = sum(rank["peak_bytes"] - rank["before_bytes"] for rank in everyone)
    first = everyone[0]
    return {
        "step_median_s": float(np.median(steps)),
        "step_mean_s": float(steps.mean()),
        "step_shortest_s": float(steps.min()),
        "step_longest_s": float(steps.max()),
        "steps": len(steps),
        "read_and_bind_s": run["read_and_bind_s"],
        "partition_s": run["partition_s"],
        "set_up_s": run["set_up_s"],
        "first_potential_s": run["first_potential_s"],
        "newton_iterations": run["newton_iterations"],
        "heat_linear_iterations": first["calls"]["heat_linear_iterations"],
        "potential_iterations": run["potential_iterations"],
        "conductance_S": run["conductance_S"],
        "core_share": min(rank["core_share"] for rank in everyone),
        "peak_memory_GB": [value / 1e9 for value in peak],
        "bytes_per_point": own / points,
        "parts": parts(everyone),
        "per_step": {
            **first["petsc"],
            "sums": first["calls"]["sums"],
            "maxima": first["calls"]["maxima"],
            "ghost_updates": first["calls"]["ghost_updates"],
        },
        "seconds_per_step": {
            name: max(rank["seconds"][name] for rank in everyone) for name in first["seconds"]
        },
    }


def parts(everyone: Iterable[dict[str, Any]]) -> dict[str, float]:
    """How evenly a mesh is dealt out, and what crosses between the parts."""
    meshes = [rank.get("mesh", rank) for rank in everyone]

    def column(name: str) -> Any:
        return np.array([mesh[name] for mesh in meshes])

    return {
        "points": int(column("points").sum()),
        "ranks": len(meshes),
        "most_points_over_mean": float(column("points").max() / column("points").mean()),
        "most_cells_over_mean": float(column("cells").max() / column("cells").mean()),
        "most_ghosts": int(column("ghosts").max()),
        "mean_ghosts": float(column("ghosts").mean()),
        "most_neighbours": int(column("neighbours").max()),
    }


def measured(size: Size, ranks: Sequence[int], folder: Path) -> dict[str, Any]:
    """A size on some numbers of ranks, which must agree."""
    mesh = mesh_of(size)
    place = folder / f"{size.resolution}{size.refinements}.npz"
    store(place, mesh)
    content: dict[str, Any] = {
        "mesh": f"{size.resolution}, edges halved {size.refinements} times",
        "points": len(mesh.points),
        "cells": len(mesh.cells),
        "smallest_height_mm": 1e3 * mesh.h_min(),
        "worst_quality": float(mesh.quality().min()),
        "ranks": {},
    }
    del mesh
    answers = []
    for count in ranks:
        run = on_ranks(count, place, "--steps", str(size.steps))
        answers.append(np.load(place.with_name(f"{place.stem}-{count}.npy")))
        content["libraries"] = run["libraries"]
        content["ranks"][str(count)] = summed_up(run)
    apart = max(float(np.abs(answer - answers[0]).max()) for answer in answers)
    hottest = float(answers[0].max())
    assert hottest > 60.0, hottest
    assert apart <= AGREEMENT * hottest, f"{ranks} ranks differ by {apart} K"
    return content | {"hottest_C": hottest, "ranks_differ_K": apart}


def counts(folder: Path) -> dict[str, Any]:
    """What does not depend on the number of cores, on more ranks than there are."""
    found: dict[str, Any] = {"parts": [], "iterations": []}
    for name, many in MANY.items():
        size = SIZES[name]
        place = folder / f"{size.resolution}{size.refinements}.npz"
        if not place.exists():
            store(place, mesh_of(size))
        for count in many:
            dealt = on_ranks(count, place, "--partition-only")
            found["parts"].append(parts(dealt["per_rank"]))
    place = folder / f"{SIZES['50k'].resolution}{SIZES['50k'].refinements}.npz"
    for count in MANY_COUNTED:
        # the steps of the timed runs, so that the iterations compare
        run = summed_up(on_ranks(count, place, "--steps", str(SIZES["50k"].steps)))
        names = ("newton_iterations", "heat_linear_iterations", "potential_iterations", "per_step")
        found["iterations"].append({"ranks": count, **{name: run[name] for name in names}})
    return found


def main() -> None:
    """Measure what is missing; keep every finished size in `results/scaling.json`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=[*SIZES, "counts"])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--smoke", action="store_true", help="preview mesh, nothing written")
    parser.add_argument("--page", action="store_true", help="only write docs/scaling.md again")
    options = parser.parse_args()
    if options.page:
        scaling_page.write(json.loads(RESULT.read_text()))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # compiles the forms, so that no measured run does
        tried = measured(SMOKE, options.ranks, folder)
        if options.smoke:
            print(json.dumps(tried, indent=2))
            return
        content: dict[str, Any] = {"scenario": SCENARIO.stem, "warm_up_s": WARM_UP_S}
        content |= {"step_s": STEP_S, "sizes": {}}
        if RESULT.exists() and (not options.fresh or options.only):
            before = json.loads(RESULT.read_text())
            content |= {name: before[name] for name in ("sizes", "counts") if name in before}
        for name, size in SIZES.items():
            if options.only in (None, name) and (
                options.only or options.fresh or name not in content["sizes"]
            ):
                content["sizes"][name] = measured(size, options.ranks, folder)
                content["sizes"] = {
                    key: content["sizes"][key] for key in SIZES if key in content["sizes"]
                }
                record.write("scaling", content)
        if options.only == "counts" or (
            options.only is None and (options.fresh or "counts" not in content)
        ):
            content["counts"] = counts(folder)
            record.write("scaling", content)
    scaling_page.write(json.loads(RESULT.read_text()))


if __name__ == "__main__":
    main()
