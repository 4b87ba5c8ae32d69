"""Which process of a team this is, and what a process alone does not do."""

import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ablasim import team as teams
from ablasim.errors import Interrupted, UsageError
from ablasim.team import Team, team


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, Team(0, 1)),
        ({"PMI_RANK": "1", "PMI_SIZE": "4"}, Team(1, 4)),
        ({"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3"}, Team(2, 3)),
        ({"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS": "8"}, Team(5, 8)),
        # the script of a job: it runs once, whatever the job may start later
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, Team(0, 1)),
        # mpirun inside a step of one task
        (
            {
                "PMI_RANK": "1",
                "PMI_SIZE": "2",
                "SLURM_PROCID": "0",
                "SLURM_STEP_NUM_TASKS": "1",
            },
            Team(1, 2),
        ),
        ({"PMI_RANK": "x", "PMI_SIZE": "2"}, Team(0, 1)),
        ({"PMI_RANK": "4", "PMI_SIZE": "2"}, Team(0, 1)),
    ],
)
def test_the_launcher_is_read(environment: dict[str, str], found: Team) -> None:
    assert team(environment) == found


def test_one_process_needs_no_company(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in teams.VARIABLES:
        for name in names:
            monkeypatch.delenv(name, raising=False)
    teams.refuse_company("run")
    teams.end_all(5)  # returns
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setenv("PMI_SIZE", "3")
    with pytest.raises(UsageError, match="run: 3 processes were started"):
        teams.refuse_company("run")


@pytest.mark.parametrize("rank", [0, 1])
def test_only_rank_0_is_heard(
    rank: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PMI_RANK", str(rank))
    monkeypatch.setenv("PMI_SIZE", "2")
    with teams.one_voice():
        print("a table")
        print("progress", file=sys.stderr)
    print("after", file=sys.stderr)
    printed = capsys.readouterr()
    heard = rank == 0
    assert ("a table" in printed.out, "progress" in printed.err) == (heard, heard)
    assert "after" in printed.err


def test_others_leave_the_first_word_to_rank_0(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rank has its own moment, and an interrupted run leaves time for the checkpoint."""
    waits: list[float] = []
    monkeypatch.setattr(teams.time, "sleep", waits.append)
    world = SimpleNamespace(Get_size=lambda: 1000)
    mpi = SimpleNamespace(Is_initialized=lambda: True, Is_finalized=lambda: False, COMM_WORLD=world)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", mpi)
    monkeypatch.setenv("PMI_SIZE", "1000")
    for rank in (*range(196), 999):
        monkeypatch.setenv("PMI_RANK", str(rank))
        assert teams.may_speak(MemoryError())
    assert len(waits) == 196 and min(np.diff(waits[:-1])) > teams.FORWARD_S
    assert waits[-1] == teams.LAST_WORD_S
    monkeypatch.setenv("PMI_RANK", "1")
    assert teams.may_speak(Interrupted("at 3 s"))
    assert waits[-1] >= 30.0
    world.Get_size = lambda: 1  # of another launcher: rank 0 cannot end the others
    assert not teams.may_speak(MemoryError())
    monkeypatch.delitem(sys.modules, "mpi4py.MPI")
    assert not teams.may_speak(MemoryError())  # before MPI all have the same fault


class TwoRanks:
    """A communicator whose other rank has noted Ctrl-C or not."""

    size = 2

    def __init__(self, other: int) -> None:
        self.other = other

    def allreduce(self, value: int) -> int:
        return value + self.other


def test_ctrl_c_is_noted_and_raised_where_all_look() -> None:
    before = signal.getsignal(signal.SIGINT)
    with teams.interrupted_together(TwoRanks(0)) as look:
        look()
        signal.raise_signal(signal.SIGINT)  # does not raise here
        with pytest.raises(KeyboardInterrupt):
            look()
    assert signal.getsignal(signal.SIGINT) is before
    with teams.interrupted_together(TwoRanks(1)) as look, pytest.raises(KeyboardInterrupt):
        look()  # the other rank has noted it


def test_alone_ctrl_c_raises_at_once() -> None:
    with (
        teams.interrupted_together(SimpleNamespace(size=1)) as look,
        pytest.raises(KeyboardInterrupt),
    ):
        look()
        signal.raise_signal(signal.SIGINT)
