"""Faults around the engine dolfinx in real processes: one message, the right exit code, no hang."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ablasim.team import VARIABLES

pytestmark = pytest.mark.usefixtures("dolfinx")

TIME_LIMIT_S = 60.0
"""Far more than any of this takes, far less than a hang."""

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "rf_beside_portal_vein.yaml"

# Compiles a form with a factor of its own (argv[1]) on all ranks.
FORM = """
import sys
from ablasim.cli_lead import lead
from ablasim.solve.dolfinx_forms import compiling
from ablasim.solve.dolfinx_start import start

def work():
    comm = start().comm
    import ufl
    from dolfinx import fem, mesh
    cube = mesh.create_unit_cube(comm, 2, 2, 2)
    v = ufl.TestFunction(fem.functionspace(cube, ("Lagrange", 1)))
    with compiling(comm) as jit_options:
        fem.form(float(sys.argv[1]) * v * ufl.dx, jit_options=jit_options)
    print("compiled")

sys.exit(lead(work))
"""

# The ranks named in argv[2:] fail; the others wait for them.
FAULT = """
import sys, time
from ablasim import errors
from ablasim.cli_lead import lead
from ablasim.solve.dolfinx_start import start

def work():
    comm = start().comm
    print("so far so good", file=sys.stderr)
    comm.Barrier()
    if sys.argv[1] == "late":
        if str(comm.rank) not in sys.argv[2:]:
            return
        time.sleep(0.5)
    if str(comm.rank) in sys.argv[2:]:
        raise {
            "memory": MemoryError("of one rank"),
            "late": OSError(28, "No space"),
            "solver": errors.ConvergenceError("no way"),
            "fault": ZeroDivisionError("by zero"),
            "exit": SystemExit(4),
        }[sys.argv[1]]
    comm.Barrier()

sys.exit(lead(work))
"""

# A run that notices Ctrl-C at the end of a step, and whose rank 0 then writes a checkpoint.
# argv[1]: the rank that presses Ctrl-C itself, if any.
STEPS = """
import signal, sys, time
from ablasim.cli_lead import lead
from ablasim.errors import Interrupted
from ablasim.solve.dolfinx_start import start
from ablasim.team import interrupted_together

def work():
    comm = start().comm
    with interrupted_together(comm) as look:
        try:
            for step in range(10**6):
                time.sleep(0.01)
                comm.Barrier()
                look()
                if step == 3:
                    print("running", flush=True)
                if step == 5 and str(comm.rank) in sys.argv[1:]:
                    signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            steps = comm.gather(step)  # the checkpoint is collective, and takes its time
            if comm.rank == 0:
                time.sleep(1.0)
                print("checkpoint of", *steps, flush=True)
            raise Interrupted("interrupted; continue") from None

sys.exit(lead(work))
"""

# A real run of 24 s on a small cube. argv[1]: what goes wrong, "nothing" for nothing; argv[2]: the
# checkpoint; argv[3]: the rank whose disk is slow.
RUN = """
import resource, signal, sys, time
from dataclasses import replace
from pathlib import Path
import numpy as np
from ablasim.cli_lead import lead
from ablasim.physics.generator import ConstantGenerator
from ablasim.solve import StepControl, assist, checkpoint, dolfinx_engine, dolfinx_team, solve
from ablasim.solve.dolfinx_options import give_options
from ablasim.solve.dolfinx_start import start
from ablasim.team import team
from ablasim.verify import manufactured

what, kept, slow = sys.argv[1:]
save = np.savez

def savez(*words, **arrays):
    save(*words, **arrays)
    time.sleep(1.5)

def starve():
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 2**22
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

def progress(event):
    if event.stage != "solve" or not event.time_s:
        return
    print("at", event.time_s, flush=True)
    if what == "interrupted" and event.time_s > 6.0:
        signal.raise_signal(signal.SIGINT)

def work():
    comm = start().comm
    if what == "misspelt":
        give_options("-heat_ksp_tpye cg")
    if str(comm.rank) == slow:
        checkpoint.np.savez = savez
    if what == "memory" and comm.rank == comm.size - 1:
        # once the libraries have what they crash without: the limit is for the run's own arrays
        assemble = dolfinx_engine.Matrices
        dolfinx_engine.Matrices = lambda *words: (starve(), assemble(*words))[1]
    if not team().leads:
        assist()
        return
    if what == "memory":
        cube = manufactured.cube
        manufactured.cube = lambda _: cube(32)
    if what == "full":  # for the fields: more than any disk has
        dolfinx_team.BYTES_PER_POINT = 2**50
    problem = manufactured.smooth_transient("power")
    problem = replace(problem, generator=ConstantGenerator("power", 1.2, 24.0))
    if what == "nan":
        nothing = np.full_like(problem.materials.conductivity, np.nan)
        problem = replace(problem, materials=replace(problem.materials, conductivity=nothing))
    control = StepControl(tolerance=0.02, longest=2.0)
    fields = Path(kept).with_name("fields.bp") if what == "full" else None
    solve(
        problem,
        engine="dolfinx",
        control=control,
        checkpoint=Path(kept),
        progress=progress,
        fields=fields,
    )
    print("done", flush=True)

sys.exit(lead(work))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A cache of its own, and a compiler that the test may replace."""
    own = {k: v for k, v in os.environ.items() if k not in ("CC", "CFLAGS", "PETSC_OPTIONS")}
    for names in VARIABLES:
        for name in names:
            own.pop(name, None)
    return own | {"ABLASIM_CACHE_DIR": str(tmp_path / "cache")}


def python(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", code, *words]


def finish(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def messages(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What ablasim said at the end; the launcher's own lines are left out."""
    assert "Traceback" not in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("ablasim:")]


def forms(environment: dict[str, str], ending: str) -> list[Path]:
    return list(Path(environment["ABLASIM_CACHE_DIR"], "forms").glob(f"libffcx_*{ending}"))


def compiler(path: Path, script: str) -> str:
    """An executable that stands for the C compiler."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def wait_for(path: Path) -> None:
    given_up = time.monotonic() + TIME_LIMIT_S
    while not path.exists():
        assert time.monotonic() < given_up, f"{path.name} never came"
        time.sleep(0.02)


def test_a_killed_compilation_does_not_harm_the_next(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Catches the leftover that makes FFCx wait for ever, and a lock that outlives its holder."""
    begun = tmp_path / "begun"
    slow = compiler(tmp_path / "slow", f"touch {begun}; exec sleep 60")
    process = subprocess.Popen(
        python(FORM, "2.5"),
        env=environment | {"CC": slow},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(begun)
        process.kill()
        process.wait()
        assert len(forms(environment, ".c")) == 1, "nothing was left to sweep"
        assert not forms(environment, ".c.cached")
        before = time.monotonic()
        done = finish(python(FORM, "2.5"), environment)
        assert (done.returncode, done.stdout, done.stderr) == (0, "compiled\n", "")
        assert time.monotonic() - before < 10.0
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    assert len(forms(environment, ".c.cached")) == 1


def test_two_processes_compile_the_same_form_once(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Catches a sweep that removes what another process is compiling right now."""
    log = tmp_path / "log"
    slow = compiler(tmp_path / "slow", f'echo "$@" >> {log}; sleep 1; exec cc "$@"')
    started = [
        subprocess.Popen(
            python(FORM, "3.5"), env=environment | {"CC": slow}, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in started:
        out, _ = process.communicate(timeout=TIME_LIMIT_S)
        assert (process.returncode, out) == (0, "compiled\n")
    assert len(log.read_text().splitlines()) == 2  # it compiled once and linked once


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_missing_compiler_is_said_once(
    ranks: int, environment: dict[str, str], mpirun: str
) -> None:
    launcher = [] if ranks == 1 else [mpirun, "-n", str(ranks)]
    command = [*launcher, *python(FORM, "4.5")]
    done = finish(command, environment | {"CC": "/nonexistent"})
    (said,) = messages(done)
    assert done.returncode == 5
    assert "there is no /nonexistent on the PATH" in said
    assert "needs a C compiler: " in said
    assert not forms(environment, "")  # the cache is clean
    assert finish(command, environment).stdout == "compiled\n"
    # what is compiled needs no compiler
    assert finish(command, environment | {"CC": "/nonexistent"}).stdout == "compiled\n"


def test_a_failing_compiler_is_quoted(environment: dict[str, str], tmp_path: Path) -> None:
    broken = compiler(tmp_path / "cc", "echo 'ld: error: no space left' >&2; exit 1")
    done = finish(python(FORM, "5.5"), environment | {"CC": broken})
    assert done.returncode == 5
    assert f"{broken} failed (ld: error: no space left)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not forms(environment, "")


@pytest.mark.parametrize(
    "words", [["check", str(SCENARIO)], ["run", str(SCENARIO), "-o", "out"], ["doctor"]]
)
def test_the_same_work_twice_is_refused(
    words: list[str], environment: dict[str, str], mpirun: str, tmp_path: Path
) -> None:
    done = finish([mpirun, "-n", "2", sys.executable, "-m", "ablasim", *words], environment)
    (said,) = messages(done)
    assert done.returncode == 2
    assert f"{words[0]}: 2 processes were started" in said
    assert "--engine dolfinx" in said
    assert done.stdout == ""


def test_an_option_of_no_solver_is_said_once(environment: dict[str, str], mpirun: str) -> None:
    words = ["run", str(SCENARIO), "-o", "out", "--engine", "dolfinx", "--petsc", "-ksp_tpye cg"]
    done = finish([mpirun, "-n", "2", sys.executable, "-m", "ablasim", *words], environment)
    (said,) = messages(done)
    assert done.returncode == 2
    assert "--petsc: got -ksp_tpye" in said


@pytest.mark.parametrize(
    ("kind", "ranks", "code", "said"),
    [
        ("memory", "1", 5, "not enough memory or disk space (of one rank)"),
        ("memory", "0", 5, "not enough memory or disk space (of one rank)"),
        ("solver", "0 1", 4, "no way"),
        ("solver", "1 2", 4, "no way"),
        ("late", "0", 5, "not enough memory or disk space ([Errno 28] No space)"),
        ("fault", "2", 1, "a fault inside ablasim: ZeroDivisionError: by zero"),
    ],
)
def test_a_fault_on_some_ranks_ends_all(
    kind: str, ranks: str, code: int, said: str, environment: dict[str, str], mpirun: str
) -> None:
    """Catches ranks that wait for ever in a collective call for one that has gone."""
    number = "3" if "2" in ranks else "2"
    done = finish([mpirun, "-n", number, *python(FAULT, kind, *ranks.split())], environment)
    (heard,) = messages(done)
    assert done.returncode == code
    assert heard == f"ablasim: {said}" or heard.startswith(f"ablasim: {said}. ")
    assert done.stderr.count("so far so good") == 1  # progress of rank 0 only
    assert "Abort" not in done.stderr


def test_an_exit_of_one_rank_ends_all(environment: dict[str, str], mpirun: str) -> None:
    done = finish([mpirun, "-n", "2", *python(FAULT, "exit", "1")], environment)
    assert done.returncode == 4


@pytest.mark.parametrize("pressed", ["launcher", "0", "1"])
def test_ctrl_c_leaves_a_checkpoint_of_all_ranks(
    pressed: str, environment: dict[str, str], mpirun: str
) -> None:
    """Catches ranks that stop in different steps, or end all before rank 0 has written."""
    with subprocess.Popen(
        [mpirun, "-n", "2", *python(STEPS, pressed)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        if pressed == "launcher":
            process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=TIME_LIMIT_S)
        finally:
            process.terminate()  # the launcher takes its ranks with it
    (kept,) = [line for line in out.splitlines() if line.startswith("checkpoint of ")]
    assert len(set(kept.split()[2:])) == 1  # both ranks stopped in the same step
    assert [x for x in err.splitlines() if x.startswith("ablasim")] == [
        "ablasim: interrupted; continue"
    ]
    assert "Traceback" not in err
    assert process.returncode == 130


@pytest.mark.parametrize("slow", ["0", "1"])
def test_a_rank_with_a_slow_disk_keeps_the_same_moment(
    slow: str, environment: dict[str, str], mpirun: str, tmp_path: Path
) -> None:
    """Catches a rank that ends all before another has written: the next run would begin anew."""
    kept = tmp_path / "run.npz"
    command = [mpirun, "-n", "2", *python(RUN, "interrupted", str(kept), slow)]
    done = finish(command, environment)
    assert done.returncode == 130 and len(messages(done)) == 1
    parts = sorted(path.name for path in tmp_path.glob("*.npz"))
    assert parts == ["run.0of2.npz", "run.1of2.npz"]
    again = finish([mpirun, "-n", "2", *python(RUN, "nothing", str(kept), "none")], environment)
    assert again.returncode == 0 and "done" in again.stdout
    times = [[float(x.split()[1]) for x in out.stdout.splitlines() if x.startswith("at ")]
             for out in (done, again)]  # fmt: skip
    assert times[1][0] > times[0][-1] > 6.0


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("misspelt", 2, "-heat_ksp_tpye"),
        ("nan", 2, "materials.conductivity (liver)"),
        ("memory", 5, "memory"),
        ("full", 5, "fields.bp: the fields cannot be written"),
    ],
)
def test_what_goes_wrong_in_a_run_is_said_once(
    what: str, code: int, said: str, environment: dict[str, str], mpirun: str, tmp_path: Path
) -> None:
    """An option that no solver reads, numbers that are none, a rank whose memory is spent, a disk
    that is full when the fields are to be written."""
    words = python(RUN, what, str(tmp_path / "run.npz"), "none")
    done = finish([mpirun, "-n", "2", *words], environment)
    (heard,) = messages(done)
    assert (done.returncode, said in heard) == (code, True), heard
