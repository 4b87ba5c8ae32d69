"""Many problems on one mesh: by the batched solver where it can, and otherwise one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablasim.errors import ConvergenceError, UsageError
from ablasim.mesh import TetMesh
from ablasim.physics.problem import BioheatProblem
from ablasim.progress import Progress, ProgressCallback
from ablasim.solve import Status, StepControl, solve

Floats = NDArray[np.float64]

LARGEST_CHUNK = 16
"""Samples that are computed together; also as often is an interrupted study kept."""

VALUES_PER_POINT, VALUES_PER_CELL = 62, 12
"""Numbers of the type of the batch that one sample takes while it is computed. Measured with 16
samples of 50 334 points: 1.00 GB in single and 1.42 GB in double precision."""

PROCESS_GB = 0.75
"""What a process that computes samples takes without them: 0.5 to 0.61 GB of resident memory were
measured with kept kernels, 0.66 to 0.72 GB where it compiles them (`benchmarks/risk_memory.py`),
which counts shared libraries in each process."""


@dataclass(frozen=True, eq=False)
class Solved:
    """Fields of some samples.

    Attributes:
        fields: of each sample, by the names that a criterion looks for: "peak_C" (n,) [°C], and the
            doses where they were integrated.
        failed: samples whose solver gave up (k,).
        balance: relative error of the heat balance (k,).
        batched: they were computed together.
        why_not: they were not, and why; empty where they were.
    """

    fields: list[Mapping[str, Floats]]
    failed: NDArray[np.bool_]
    balance: Floats
    batched: bool
    why_not: str = ""


def chunk_size(mesh: TetMesh, dtype: str, max_memory: float | None, cores: int = 1) -> int:
    """Samples that are computed together; a power of two, at most `LARGEST_CHUNK`.

    As many as fit into a memory [GB] when every core has a process that computes so many. It does
    not follow how many workers there are, so that a study's arithmetic does not either.

    Raises:
        UsageError: not even one fits.
    """
    if max_memory is None:
        return LARGEST_CHUNK
    each = sample_memory(mesh, dtype)
    least = PROCESS_GB + each
    if least > max_memory:
        raise UsageError(
            f"--max-memory: got {max_memory:g} GB; a process with one sample on this mesh takes"
            f" about {least:.2f} GB: allow more, or use a coarser mesh"
        )
    fits = max(int((max_memory / cores - PROCESS_GB) / each), 1)
    return min(LARGEST_CHUNK, 1 << (fits.bit_length() - 1))


def sample_memory(mesh: TetMesh, dtype: str) -> float:
    """Memory [GB] that one sample takes while it is computed."""
    values = VALUES_PER_POINT * len(mesh.points) + VALUES_PER_CELL * len(mesh.cells)
    return values * np.dtype(dtype).itemsize / 1e9


def solve_all(
    problems: Sequence[BioheatProblem],
    control: StepControl,
    *,
    device: str = "auto",
    dtype: str = "float64",
    progress: ProgressCallback | None = None,
) -> Solved:
    """Solve problems that share a mesh.

    Args:
        problems: one per sample.
        control: of the time steps.
        device: "auto", "cpu" or "gpu".
        dtype: "float64" or "float32".
        progress: told of the stage "solve".
    """
    from ablasim.solve.batch import solve_batch
    from ablasim.solve.batch_alike import NotBatchable

    try:
        found = solve_batch(
            problems, control=control, device=device, dtype=dtype, progress=progress
        )
    except NotBatchable as reason:
        return _one_by_one(problems, control, device, dtype, progress, str(reason))
    except ConvergenceError as reason:
        # One problem of the batch is enough for that: alone it fails alone.
        return _one_by_one(problems, control, device, dtype, progress, str(reason))
    peak = np.asarray(found.peak, dtype=np.float64)
    fields: list[Mapping[str, Floats]] = [
        {"peak_C": peak[:, i], **{k: np.asarray(v)[:, i] for k, v in found.damage.items()}}
        for i in range(len(problems))
    ]
    return Solved(
        fields, ~np.isfinite(peak).all(axis=0), np.asarray(found.energy["balance_error"]), True
    )


def _one_by_one(
    problems: Sequence[BioheatProblem],
    control: StepControl,
    device: str,
    dtype: str,
    progress: ProgressCallback | None,
    why: str,
) -> Solved:
    fields: list[Mapping[str, Floats]] = []
    failed, balance = [], []
    for number, problem in enumerate(problems):
        if progress is not None:
            progress(Progress("solve", number / len(problems)))
        found = solve(problem, control=control, device=device, dtype=dtype)
        fields.append({"peak_C": found.peak, **found.damage})
        failed.append(found.status is not Status.DONE)
        balance.append(found.energy["balance_error"])
    return Solved(fields, np.array(failed), np.array(balance), False, why)
