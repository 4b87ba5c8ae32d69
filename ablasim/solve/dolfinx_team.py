"""One run on many ranks: rank 0 leads and holds the problem, the others assist.

What the ranks decide together is decided once: when a checkpoint is due, whether all of them found
one of the same moment, whether somebody pressed Ctrl-C.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablasim.errors import ResourceError
from ablasim.frames import to_mm
from ablasim.physics.problem import BioheatProblem
from ablasim.progress import ProgressCallback
from ablasim.solve.checkpoint import Checkpoint, Progressed, part_of_rank
from ablasim.solve.dolfinx_engine import DolfinxEngine
from ablasim.solve.dolfinx_options import Options, lack_of_memory
from ablasim.solve.dolfinx_start import start
from ablasim.solve.dolfinx_state import State
from ablasim.solve.solution import Solution
from ablasim.solve.step_control import StepControl
from ablasim.solve.stepping import march
from ablasim.team import interrupted_together


@dataclass(frozen=True)
class Plan:
    """What every rank must know of a run.

    Attributes:
        options: of the engine; None for the usual ones.
        control: of the time step.
        checkpoint: file and key of rank 0's checkpoint; None for none.
        resume: continue from it.
        fields: file for the fields, written by all ranks together; None for none.
    """

    options: Options | None
    control: StepControl
    checkpoint: tuple[Path, str] | None = None
    resume: bool = True
    fields: Path | None = None


def lead(
    problem: BioheatProblem, plan: Plan, progress: ProgressCallback | None, begun: float | None
) -> Solution:
    """Solve on all ranks, called on rank 0 while the others are in `assist`."""
    start().comm.bcast(plan, root=0)
    return _march(problem, plan, progress, begun)


def assist() -> None:
    """Take part in the solve that rank 0 leads; called on every other rank.

    Raises:
        Interrupted: on Ctrl-C, after the checkpoint was written.
    """
    _march(None, start().comm.bcast(None, root=0), None, None)


def _march(
    problem: BioheatProblem | None,
    plan: Plan,
    progress: ProgressCallback | None,
    begun: float | None,
) -> Solution:
    with interrupted_together(start().comm) as look, lack_of_memory():
        engine = DolfinxEngine(
            problem,
            plan.options,
            look=look,
            fine_steps=plan.control.fine_steps,
        )

        def at_end(state: State, now: float) -> None:
            if plan.fields is not None:
                write_fields(engine, state, now, plan.fields)

        return march(
            engine,
            plan.control,
            checkpoint=None if plan.checkpoint is None else _checkpoint(engine, *plan.checkpoint),
            progress=progress,
            resume=plan.resume,
            begun=begun,
            at_end=at_end,
        )


def write_fields(engine: DolfinxEngine, state: State, now: float, path: Path) -> None:
    """Temperature and peak on all ranks' parts of the mesh, for ParaView (ADIOS2, VTX).

    Each rank writes its own part; nothing is gathered. Lengths are millimetres, as in all files.

    Args:
        engine: holds the mesh.
        state: of the engine.
        now: its time [s].
        path: the file (.bp).

    Raises:
        ResourceError: the disk is full or the place cannot be written.
    """
    from dolfinx import fem, io

    _require_space(engine, path)
    written = []
    for name, values in (("temperature_C", state.temperature[0]), ("peak_C", state.peak)):
        function = fem.Function(engine.share.space, name=name)
        function.x.array[: engine.share.owned] = values
        function.x.scatter_forward()
        written.append(function)
    points = engine.share.mesh.geometry.x
    metres = points.copy()
    points[:] = to_mm(metres)
    try:
        with io.VTXWriter(engine.comm, path, written) as writer:
            writer.write(now)
    except RuntimeError as error:  # ADIOS2 has no kinds of errors
        raise ResourceError(
            f"{path}: the fields cannot be written ({_said(error)}); free disk space or choose "
            "another output directory"
        ) from error
    finally:
        points[:] = metres


BYTES_PER_POINT, BYTES_PER_NODE = 49, 8
"""Of the file: three coordinates, two values, number and ghost mark; a node in a cell's list, whose
length counts as one more. Exact for one rank."""

RESERVE = 1.1
"""What ranks write twice, and the indices."""


def _require_space(engine: DolfinxEngine, path: Path) -> None:
    """Refuse before anything is written: where ADIOS2 finds the disk full, many ranks wait for each
    other for ever, and one is ended by its destructor.

    Raises:
        ResourceError: there is no space for the file, or its place cannot be written.
    """
    size = size_of_fields(engine)
    lack = ""
    if engine.comm.rank == 0:
        lack = _lack_of_space(path.with_name(f".{path.name}.space"), size)
    lack = engine.comm.bcast(lack, root=0)
    if lack:
        raise ResourceError(
            f"{path}: the fields cannot be written, {size / 1e6:.1f} MB ({lack}); free disk space "
            "or choose another output directory"
        )


def size_of_fields(engine: DolfinxEngine) -> int:
    """Bytes to reserve for the file of all ranks."""
    layout = engine.share.space.dofmap
    cells = engine.share.mesh.topology.index_map(3).size_global
    nodes = (layout.dof_layout.num_dofs + 1) * cells
    points = layout.index_map.size_global
    return int(RESERVE * (BYTES_PER_POINT * points + BYTES_PER_NODE * nodes))


def _lack_of_space(trial: Path, size: int) -> str:
    """Why a file of that size cannot be written; empty if it can."""
    try:
        with trial.open("wb") as stream:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, size)
            elif shutil.disk_usage(trial.parent).free < size:
                return os.strerror(errno.ENOSPC)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        trial.unlink(missing_ok=True)
    return ""


def _said(error: RuntimeError) -> str:
    """The cause in a message of ADIOS2, without colours and its place in the source."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    number = re.search(r"errno = (\d+)", plain)
    return os.strerror(int(number[1])) if number else plain.strip().splitlines()[-1]


def _checkpoint(engine: DolfinxEngine, path: Path, key: str) -> Checkpoint:
    """The state is kept in DOLFINx's order, which another version of it may choose otherwise."""
    comm = engine.comm
    numbers = engine.share.numbers.tobytes()
    if engine.options.degree == 2:  # the middles of the edges have no numbers of their own
        numbers += engine.share.space.tabulate_dof_coordinates().tobytes()
    order = hashlib.sha256(numbers).hexdigest()
    mine = f"{key} {comm.rank} of {comm.size} {order}"
    if comm.size == 1:
        return Checkpoint(path, mine)
    return _TeamCheckpoint(part_of_rank(path, comm.rank, comm.size), mine, comm=comm)


@dataclass
class _TeamCheckpoint(Checkpoint):
    """A rank's part of a checkpoint; all are of one moment, or none is used.

    All take the place of those before only when all are written: no rank, however slow its disk, is
    ended by one that has finished, and a kill leaves parts of two moments only if it comes while
    they are renamed.
    """

    comm: Any = None

    def save_if_due(self, content: Progressed) -> None:
        """Write if rank 0's last write is long enough ago."""
        if self.comm.bcast(self.is_due, root=0):
            self.save(content)

    def _meet(self) -> None:
        self.comm.Barrier()

    def load(self, like: Any) -> Progressed | None:
        """The content, if every rank has its part of the same moment."""
        found = super().load(like)
        moments = self.comm.allgather(None if found is None else found[2])
        return found if len(set(moments)) == 1 else None
