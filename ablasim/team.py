"""The processes that an MPI launcher started together: which of them this is, and how all end.

Read from the environment: a process that no launcher started never loads MPI. Rank 0 speaks for
all; a fault on any rank ends every rank with one message and one exit code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ablasim.errors import Interrupted, UsageError

VARIABLES = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI, MS-MPI, srun --mpi=pmi2
    # srun; of the step, not of the job: the script of a job with many tasks runs once
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)

FIRST_WORD_S = 3.0
"""How long rank 1 leaves the first word to rank 0, which may have the same error [s]."""

NEXT_WORD_S = 0.6
"""How much longer each further rank waits [s]: more than FORWARD_S, so that one speaks where many
have the same fault at once."""

LAST_WORD_S = 120.0
"""No rank waits longer for those before it [s]; it may be the only one with a fault. Of more than
195 ranks with the same fault, which rank 0 has not, some say it together."""

FORWARD_S = 0.5
"""How long the launcher gets to pass on the message before the ranks are ended [s]; MPICH's drops
what it has not read by then."""

CHECKPOINT_S = 30.0
"""How long the others wait for rank 0 to write what an interrupted run leaves [s]."""


@dataclass(frozen=True)
class Team:
    """This process among those that were started together.

    Attributes:
        rank: which one, from 0.
        size: how many; 1 without a launcher.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0


def team(environment: Mapping[str, str] = os.environ) -> Team:
    """What the launcher's variables say; alone where there are none."""
    for rank, size in VARIABLES:
        try:
            found = Team(int(environment[rank]), int(environment[size]))
        except (KeyError, ValueError):
            continue
        if 0 <= found.rank < found.size:
            return found
    return Team()


def refuse_company(what: str) -> None:
    """Refuse to do the same work several times.

    Raises:
        UsageError: a launcher started more than one process.
    """
    size = team().size
    if size > 1:
        raise UsageError(
            f"{what}: {size} processes were started and would all do the same work; "
            "start one, or share a run between them with `ablasim run ... --engine dolfinx`."
        )


@contextlib.contextmanager
def one_voice() -> Iterator[None]:
    """While it lasts, what ranks other than 0 print through Python goes nowhere."""
    if team().leads:
        yield
        return
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def may_speak(error: BaseException) -> bool:
    """Whether this rank reports an error; a rank other than 0 waits first.

    Rank 0 ends all ranks when it has spoken, so a rank that is still there after the wait has an
    error of its own. Before MPI runs every rank does the same: the others leave it to rank 0.
    """
    mine = team()
    if mine.leads:
        return True
    if _mpi() is None:
        return False
    wait = min(FIRST_WORD_S + NEXT_WORD_S * (mine.rank - 1), LAST_WORD_S)
    if isinstance(error, Interrupted):
        wait += CHECKPOINT_S  # all ranks have stopped together, and rank 0 may still write
    time.sleep(wait)
    return True


def end_all(code: int) -> None:
    """End every rank with an exit code; returns at once for 0, for one process, without MPI.

    A rank that simply exits leaves the others waiting in their next collective call for ever.
    """
    mpi = _mpi()
    if code == 0 or team().size == 1 or mpi is None:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(FORWARD_S)
    # MPI announces the end in words of its own; ours have been said.
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    mpi.COMM_WORLD.Abort(code)


@contextlib.contextmanager
def interrupted_together(comm: Any) -> Iterator[Callable[[], None]]:
    """Ctrl-C as an event that all ranks see at the same place.

    A launcher sends Ctrl-C to every rank, but not at the same moment: one rank would leave while
    another waits for it in a collective call. Here Ctrl-C is only noted; what is yielded, called by
    all ranks together (once a step), raises KeyboardInterrupt on all of them if any has noted one.
    With one rank Ctrl-C raises at once, as ever.

    Args:
        comm: the communicator of the run (mpi4py).
    """
    if comm.size == 1 or threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    noted = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: noted.set())

    def look() -> None:
        if comm.allreduce(int(noted.is_set())):
            raise KeyboardInterrupt

    try:
        yield look
    finally:
        signal.signal(signal.SIGINT, before)


def _mpi() -> Any:
    """The module mpi4py.MPI if MPI runs and joins the whole team; never imported here."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None or not mpi.Is_initialized() or mpi.Is_finalized():
        return None
    return mpi if mpi.COMM_WORLD.Get_size() == team().size else None
