"""Solve a BioheatProblem: choose an engine, march through the protocol, return a Solution."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ablasim.errors import UsageError
from ablasim.physics.finite import refuse_not_finite
from ablasim.physics.problem import BioheatProblem
from ablasim.progress import Progress, ProgressCallback
from ablasim.solve.checkpoint import Checkpoint
from ablasim.solve.engine import Engine
from ablasim.solve.layout import build_graph
from ablasim.solve.solution import Solution, Status
from ablasim.solve.step_control import StepControl
from ablasim.solve.stepping import march

if TYPE_CHECKING:
    from ablasim.solve.dolfinx_options import Options

__all__ = ["Solution", "Status", "StepControl", "assist", "solve"]

ENGINES = ("jax", "dolfinx")
DEVICES = ("auto", "cpu", "gpu")
DTYPES = ("float64", "float32")


def solve(
    problem: BioheatProblem,
    *,
    engine: str = "jax",
    device: str = "auto",
    dtype: str = "float64",
    control: StepControl | None = None,
    checkpoint: Path | None = None,
    resume: bool = True,
    progress: ProgressCallback | None = None,
    options: Options | None = None,
    fields: Path | None = None,
) -> Solution:
    """Integrate a problem to the end of its protocol.

    Under mpirun, rank 0 calls this with engine "dolfinx" and every other rank `assist`.

    Args:
        problem: laws bound to a mesh.
        engine: "jax", or "dolfinx" for FEniCSx.
        device: "cpu", "gpu", or "auto" for a GPU where there is one.
        dtype: "float64" or "float32".
        control: tolerance and limits of the time step.
        checkpoint: file that keeps the state; after the end it holds the final one, until the
            caller has stored the results and removes it.
        resume: continue from that file if it belongs to this problem.
        progress: told after every step.
        options: of the engine "dolfinx".
        fields: file for the final fields, which all ranks of "dolfinx" write together (.bp).

    Raises:
        UsageError: an unknown engine, device or dtype, or one that the engine cannot use; numbers
            of the problem that are not finite.
        ResourceError: no such device.
        Interrupted: on Ctrl-C, after the checkpoint was written.
    """
    for name, got, allowed in (
        ("engine", engine, ENGINES),
        ("device", device, DEVICES),
        ("dtype", dtype, DTYPES),
    ):
        if got not in allowed:
            raise UsageError(f"{name}: got {got!r}; use {' or '.join(map(repr, allowed))}.")
    refuse_not_finite(problem)
    control = control or StepControl()
    kept = None
    if checkpoint is not None:
        text = f"{problem.fingerprint()} {engine} {dtype} {control} {options}"
        kept = (checkpoint, hashlib.sha256(text.encode()).hexdigest())
    begun = time.perf_counter()
    if progress is not None:
        progress(Progress("compile", 0.0, "setting up the solver"))
    # Engines are imported where they are made, so that the choice costs only what is chosen.
    if engine == "dolfinx":
        from ablasim.solve import dolfinx_team

        if device == "gpu" or dtype != "float64":
            raise UsageError("engine dolfinx: computes on the CPU in float64; leave out the rest")
        plan = dolfinx_team.Plan(options, control, kept, resume, fields)
        return dolfinx_team.lead(problem, plan, progress, begun)
    return march(
        _jax(problem, device, dtype, control),
        control,
        checkpoint=None if kept is None else Checkpoint(*kept),
        progress=progress,
        resume=resume,
        begun=begun,
    )


def assist() -> None:
    """Take part in the solve of the engine "dolfinx" that rank 0 leads; on every other rank."""
    from ablasim.solve import dolfinx_team

    dolfinx_team.assist()


def _jax(problem: BioheatProblem, device: str, dtype: str, control: StepControl) -> Engine:
    """The JAX engine."""
    with ThreadPoolExecutor(1) as beside:
        # NumPy's work beside Python's: a second run starts 0.2 s earlier
        graph = beside.submit(build_graph, problem.mesh.points, problem.mesh.cells)
        from ablasim.solve.jax_engine import JaxEngine
    return JaxEngine(
        problem,
        device=device,
        dtype=dtype,
        graph=graph.result(),
        fine_steps=control.fine_steps,
    )
