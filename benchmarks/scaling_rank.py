"""One rank of a measured run of `scaling.py`: a few steps on a mesh, timed and counted.

    mpirun -n N python benchmarks/scaling_rank.py MESH SCENARIO OUT [--steps K] [--partition-only]

Rank 0 reads the mesh and binds the scenario's laws to it; the engine deals it out. Calls are
counted by wrapping the engine's own functions, messages and reductions inside PETSc by its log.
"""

import argparse
import contextlib
import json
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

WARM_UP_S = (0.5, 1.0, 2.0)
"""Steps before the timed ones; BDF2 may at most double a step [s]."""

STEP_S = 4.0
"""The timed steps [s], about the mean of a run of twelve minutes."""

TAG = 1200
"""Of the messages that ask who holds copies."""

REDUCTIONS = ("VecTDot", "VecDot", "VecNorm")
"""PETSc's operations that sum over all ranks; conjugate gradients need nothing else."""


class Tally:
    """Calls and seconds of functions, by a name; those inside another one count for both."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = defaultdict(int)
        self.seconds: dict[str, float] = defaultdict(float)

    def wrap(self, owner: Any, function: str, name: str) -> None:
        """Count the calls of a class's or a module's function."""
        inside: Callable[..., Any] = getattr(owner, function)

        def outside(*arguments: Any, **options: Any) -> Any:
            begun = time.perf_counter()
            try:
                return inside(*arguments, **options)
            finally:
                self.calls[name] += 1
                self.seconds[name] += time.perf_counter() - begun

        setattr(owner, function, outside)

    def clear(self) -> None:
        """Forget all."""
        self.calls.clear()
        self.seconds.clear()


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else 1024 * most)


def ghosts_of(share: Any) -> dict[str, int]:
    """Own points of this rank, copies of others' that it holds, and ranks that it talks to; called
    by all ranks together."""
    index_map = share.space.dofmap.index_map
    asked = index_map.index_to_dest_ranks(TAG)
    mine = asked.array[: asked.offsets[index_map.size_local]]
    return {
        "points": int(index_map.size_local),
        "cells": len(share.cells),
        "ghosts": int(index_map.num_ghosts),
        "sent": len(mine),
        "neighbours": len({*index_map.owners.tolist(), *mine.tolist()}),
    }


def petsc_counts() -> dict[str, float]:
    """What PETSc's log has counted on this rank so far.

    Its count of messages holds those sent and those received; its count of bytes is not used: for
    a plain product it is seven times what the ghosts make.
    """
    from petsc4py import PETSc

    def of(name: str) -> dict[str, float]:
        found: dict[str, float] = PETSc.Log.Event(name).getPerfInfo()
        return found

    return {
        "exchanges": of("VecScatterBegin")["count"],
        "messages_sent": of("VecScatterBegin")["numMessages"] / 2,
        "reductions": sum(of(name)["count"] for name in REDUCTIONS),
        "hierarchies": of("PCSetUp_GAMG+")["count"],
        "hierarchies_s": of("PCSetUp_GAMG+")["time"],
        "products": of("MatMult")["count"],
    }


@contextlib.contextmanager
def linear_iterations(engine: Any, tally: Tally) -> Iterator[None]:
    """Count the conjugate gradient iterations of the heat problem while it lasts."""
    inside = engine.heat.solve

    def outside(right: Any) -> Any:
        found = inside(right)
        tally.calls["heat_linear_iterations"] += int(engine.heat.ksp.getIterationNumber())
        return found

    engine.heat.solve = outside
    yield
    del engine.heat.solve


def wrap_engine(tally: Tally) -> None:
    """Count what a step consists of."""
    from ablasim.solve import dolfinx_engine
    from ablasim.solve.dolfinx_heat import HeatProblem
    from ablasim.solve.dolfinx_matrices import Renewable
    from ablasim.solve.dolfinx_potential import PotentialProblem
    from ablasim.solve.dolfinx_share import Share

    tally.wrap(dolfinx_engine, "share_out", "partition")
    tally.wrap(Share, "total", "sums")
    tally.wrap(Share, "largest", "maxima")
    tally.wrap(Share, "with_ghosts", "ghost_updates")
    tally.wrap(HeatProblem, "implicit", "heat")
    tally.wrap(HeatProblem, "solve", "heat_solves")
    tally.wrap(Renewable, "renew", "assembly")
    tally.wrap(PotentialProblem, "unit_field", "potential")
    tally.wrap(PotentialProblem, "_renew_matrix", "potential_matrix")
    tally.wrap(PotentialProblem, "_solve", "potential_solves")
    tally.wrap(dolfinx_engine.DolfinxEngine, "_report", "report")


def measure(mesh_file: Path, scenario_file: Path, steps: int, answer: Path) -> dict[str, Any]:
    """Set up, warm up, take the timed steps; the numbers of all ranks on rank 0."""
    from ablasim.physics.generator import Reading
    from ablasim.solve.dolfinx_engine import FAILED, DolfinxEngine
    from ablasim.solve.dolfinx_start import start

    stack = start()
    comm = stack.comm
    from petsc4py import PETSc

    PETSc.Log.begin()
    tally = Tally()
    wrap_engine(tally)
    begun, before = time.perf_counter(), peak_bytes()
    problem = bound(mesh_file, scenario_file) if comm.rank == 0 else None
    comm.barrier()
    bound_at = time.perf_counter()
    engine = DolfinxEngine(problem)
    comm.barrier()
    set_up_at = time.perf_counter()
    partition_s = tally.seconds["partition"]
    state = engine.start()
    comm.barrier()
    started_at = time.perf_counter()
    generator = engine.problem.generator
    drive = generator.drive(generator.start(Reading(0.0, 1.0 / engine.conductance(state))), 0.0)
    seconds, busy, reports, counted = [], [], [], petsc_counts()
    with linear_iterations(engine, tally):
        for number, step in enumerate([*WARM_UP_S, *[STEP_S] * steps]):
            if number == len(WARM_UP_S):
                tally.clear()
                counted, newton = petsc_counts(), engine.stages
            comm.barrier()
            step_begun, used = time.perf_counter(), time.process_time()
            state, report = engine.advance(state, step, drive)
            assert report.error < FAILED, f"step {number} was not solved"
            state = engine.accept(state, report, drive)
            seconds.append(time.perf_counter() - step_begun)
            busy.append(time.process_time() - used)
            reports.append(report)
    timed = slice(len(WARM_UP_S), None)
    after = petsc_counts()
    mine = {
        "mesh": ghosts_of(engine.share),
        "peak_bytes": peak_bytes(),
        "before_bytes": before,
        "core_share": sum(busy[timed]) / sum(seconds[timed]),
        "petsc": {name: (after[name] - counted[name]) / steps for name in after},
        "calls": {name: count / steps for name, count in tally.calls.items()},
        "seconds": {name: value / steps for name, value in tally.seconds.items()},
    }
    everyone = comm.gather(mine, root=0)
    temperature = engine.temperature(state)
    if comm.rank != 0:
        return {}
    np.save(answer, temperature)
    return {
        "ranks": comm.size,
        "read_and_bind_s": bound_at - begun,
        "set_up_s": set_up_at - bound_at,
        "partition_s": partition_s,
        "first_potential_s": started_at - set_up_at,
        "step_s": seconds[timed],
        "newton_iterations": (engine.stages - newton) / steps,
        "potential_iterations": float(np.mean([r.iterations for r in reports[timed]])),
        "conductance_S": reports[-1].conductance,
        "per_rank": everyone,
        "libraries": stack.versions,
    }


def partition(mesh_file: Path, scenario_file: Path) -> dict[str, Any]:
    """Only deal out the mesh: ghosts and neighbours for more ranks than there are cores."""
    from ablasim.solve.dolfinx_share import share_out
    from ablasim.solve.dolfinx_start import start

    comm = start().comm
    problem = bound(mesh_file, scenario_file) if comm.rank == 0 else None
    everyone = comm.gather(ghosts_of(share_out(problem, comm)), root=0)
    return {"ranks": comm.size, "per_rank": everyone} if comm.rank == 0 else {}


def bound(mesh_file: Path, scenario_file: Path) -> Any:
    """The problem of a scenario on a stored mesh."""
    from ablasim.anatomy import build_anatomy
    from ablasim.mesh_cache import load
    from ablasim.physics.binding import build_problem
    from ablasim.scenario import load_scenario

    scenario = load_scenario(scenario_file)
    mesh = load(mesh_file)
    assert mesh is not None, mesh_file
    return build_problem(scenario, build_anatomy(scenario), mesh)


def main() -> int:
    """Measure and write what rank 0 knows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mesh", type=Path)
    parser.add_argument("scenario", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--partition-only", action="store_true")
    options = parser.parse_args()
    if options.partition_only:
        found = partition(options.mesh, options.scenario)
    else:
        answer = options.out.with_suffix(".npy")
        found = measure(options.mesh, options.scenario, options.steps, answer)
    if found:
        options.out.write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    # a fault on one rank must end them all
    from ablasim.cli import lead

    raise SystemExit(lead(main, debug=True))
