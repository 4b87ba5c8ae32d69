"""Starting DOLFINx: what is missing, which options of PETSc are refused, what the sweep removes."""

import importlib.util
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ablasim import remedies
from ablasim.errors import ResourceError, UsageError
from ablasim.solve import dolfinx_forms, dolfinx_options
from ablasim.solve.dolfinx_options import parse_options
from ablasim.solve.dolfinx_start import start

SUFFIX = EXTENSION_SUFFIXES[0]


@pytest.fixture
def petsc(dolfinx: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """PETSc with an empty table of options."""
    start()
    from petsc4py import PETSc

    monkeypatch.delenv("PETSC_OPTIONS", raising=False)
    monkeypatch.setattr(dolfinx_options, "_given", {})
    yield PETSc
    table = PETSc.Options()
    for name in table.getAll():
        table.delValue(name)


def solver(petsc: Any, prefix: str) -> Any:
    """CG with GAMG for a line of 50 points, set up as the engine does."""
    matrix = petsc.Mat().createAIJ((50, 50), nnz=3, comm=petsc.COMM_SELF)
    for row in range(50):
        for column in range(max(row - 1, 0), min(row + 2, 50)):
            matrix[row, column] = 2.1 if row == column else -1.0
    matrix.assemble()
    ksp = petsc.KSP().create(petsc.COMM_SELF)
    ksp.setOptionsPrefix(prefix)
    ksp.setOperators(matrix)
    ksp.setType("cg")
    ksp.getPC().setType("gamg")
    with dolfinx_options.faults_of_options():
        ksp.setFromOptions()
        ksp.setUp()
    return ksp


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    code = (
        "import sys, ablasim.team, ablasim.solve.dolfinx_start, ablasim.solve.dolfinx_forms\n"
        "import ablasim.solve.dolfinx_options\n"
        "print([name for name in ('dolfinx', 'mpi4py', 'petsc4py') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_an_absent_dolfinx_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ResourceError, match=r"dolfinx is not installed: .*(install|env create)"):
        start.__wrapped__()


def test_another_dolfinx_is_refused(dolfinx: None, monkeypatch: pytest.MonkeyPatch) -> None:
    start()
    monkeypatch.setattr("dolfinx.__version__", "0.10.0")
    with pytest.raises(ResourceError, match=r"dolfinx: got 0\.10\.0; must be 0\.11"):
        start.__wrapped__()


@pytest.mark.parametrize("numbers", ["complex128", "float32"])
def test_a_petsc_of_other_numbers_is_refused(
    numbers: str, petsc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(petsc, "ScalarType", numbers)
    with pytest.raises(ResourceError, match=f"PETSc: got one of {numbers}; must be of float64"):
        start.__wrapped__()


def test_the_launcher_of_another_mpi_is_refused(
    dolfinx: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process would believe that it is alone, and write the same files."""
    start()
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "3")
    with pytest.raises(ResourceError, match="started 3 processes, but MPI sees 1"):
        start.__wrapped__()


@pytest.mark.parametrize(
    ("system", "machine", "conda", "command"),
    [
        ("linux", "x86_64", False, "-m pip install dolfinx-solver-real==0.11.0.post0"),
        ("linux", "x86_64", True, "conda install -c conda-forge fenics-dolfinx=0.11"),
        ("linux", "aarch64", False, "conda env create -f environment.yml"),
        ("darwin", "arm64", True, "conda install -c conda-forge fenics-dolfinx=0.11"),
        ("win32", "AMD64", False, "conda env create -f environment.yml"),
    ],
)
def test_every_platform_has_its_command(
    system: str,
    machine: str,
    conda: bool,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Never the wheel into a conda environment: two copies of PETSc and MPI crash."""
    if conda:
        (tmp_path / "conda-meta").mkdir()
    fake = SimpleNamespace(platform=system, prefix=str(tmp_path), executable="/env/bin/python")
    monkeypatch.setattr(remedies, "sys", fake)
    monkeypatch.setattr(remedies.platform, "machine", lambda: machine)
    assert remedies.get_dolfinx().endswith(command)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", {}),
        ("-heat_ksp_monitor", {"heat_ksp_monitor": None}),
        (
            "-heat_ksp_type gmres  -potential_ksp_rtol 1e-9",
            {"heat_ksp_type": "gmres", "potential_ksp_rtol": "1e-9"},
        ),
        ("-heat_shift -3 --heat_view 'a b'", {"heat_shift": "-3", "heat_view": "a b"}),
    ],
)
def test_options_are_read_as_petsc_reads_them(text: str, options: dict[str, str | None]) -> None:
    assert parse_options(text) == options


@pytest.mark.parametrize("text", ["gmres", "-heat_ksp_type cg gmres", "-heat_ksp_type 'cg"])
def test_what_is_no_option_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="^--petsc: got"):
        parse_options(text)


def test_an_option_without_a_solver_is_refused_at_once(petsc: Any) -> None:
    with pytest.raises(UsageError, match=r"got -ksp_type; .*begin with -heat_ or -potential_"):
        dolfinx_options.give_options("-ksp_type cg")


def test_options_reach_their_solver(petsc: Any) -> None:
    dolfinx_options.give_options(
        "-heat_ksp_type gmres -heat_mg_levels_ksp_type richardson -heat_ksp_rtol 1e-3"
    )
    ksp = solver(petsc, "heat_")
    assert ksp.getType() == "gmres"
    assert ksp.getTolerances()[0] == 1e-3
    dolfinx_options.refuse_unread_options(("heat_",))


def test_a_misspelt_option_is_refused_with_what_is_close(petsc: Any) -> None:
    dolfinx_options.give_options("-heat_ksp_tpye gmres -heat_ksp_rtol 1e-3 -potential_pc_type sor")
    solver(petsc, "heat_")
    with pytest.raises(UsageError) as caught:
        dolfinx_options.refuse_unread_options(("heat_",))
    first, second = str(caught.value).splitlines()
    assert "--petsc: got -heat_ksp_tpye" in first
    assert "close to it: -heat_ksp_type" in first
    assert "--petsc: got -potential_pc_type; no solver of this run reads it" in second
    dolfinx_options.refuse_unread_options(("heat_",))  # they are forgotten


def test_an_unread_option_of_the_environment_is_refused(
    petsc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PETSC_OPTIONS", "-kps_type cg -options_left 0")
    petsc.Options().insertString("-kps_type cg -options_left 0")
    solver(petsc, "heat_")
    with pytest.raises(UsageError, match=r"^PETSC_OPTIONS: got -kps_type") as caught:
        dolfinx_options.refuse_unread_options()
    assert "options_left" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("-heat_ksp_type gmers", "Unable to find requested KSP type gmers"),
        ("-heat_pc_type nonsense", "Unable to find requested PC type nonsense"),
        ("-heat_ksp_rtol abc", "Input string abc has no numeric value"),
        ("-heat_ksp_rtol -3", "tolerance"),
        ("-heat_ksp_max_it 1.5", "has no integer value"),
    ],
)
def test_a_value_that_petsc_refuses_is_one_message(
    option: str, said: str, petsc: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    dolfinx_options.give_options(option)
    with pytest.raises(UsageError, match=f"PETSc refuses an option: .*{said}.*got {option}"):
        solver(petsc, "heat_")
    assert capfd.readouterr().err == ""
    solver(petsc, "heat_")  # the option is forgotten


def test_options_that_do_not_go_together_are_one_message(petsc: Any) -> None:
    """PETSc says so in the first solve only, as it does of a multigrid's levels."""
    dolfinx_options.give_options("-heat_ksp_type preonly")
    ksp = solver(petsc, "heat_")
    ksp.setInitialGuessNonzero(True)
    found, right = ksp.getOperators()[0].createVecs()
    found.set(1.0)
    with (
        pytest.raises(UsageError, match="preonly.*got -heat_ksp_type preonly"),
        dolfinx_options.faults_of_options(),
    ):
        ksp.solve(right, found)


def test_a_fault_that_no_option_caused_stays_a_fault(petsc: Any) -> None:
    with pytest.raises(petsc.Error), dolfinx_options.faults_of_options():
        petsc.KSP().create(petsc.COMM_SELF).setType("nonsense")


def test_lack_of_memory_in_petsc_is_lack_of_memory(petsc: Any) -> None:
    with pytest.raises(ResourceError, match="no memory"), dolfinx_options.lack_of_memory():
        raise petsc.Error(55)
    with pytest.raises(petsc.Error), dolfinx_options.lack_of_memory():
        raise petsc.Error(60)


def test_options_of_petsc_as_a_whole_are_not_blamed(
    petsc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PETSC_OPTIONS", "-log_view")
    with pytest.raises(petsc.Error), dolfinx_options.faults_of_options():
        raise petsc.Error(62)


@pytest.mark.parametrize(("given", "used"), [(None, "self,sm,tcp"), ("all", "all")])
def test_the_transports_of_ucx_have_a_default(dolfinx: None, given: str | None, used: str) -> None:
    """UCX crashes on some hosts when it looks for network devices; who sets it has the word."""
    environment = {k: v for k, v in os.environ.items() if k != "UCX_TLS"}
    environment |= {} if given is None else {"UCX_TLS": given}
    code = "import os\nfrom ablasim.solve.dolfinx_start import start\nstart()\n"
    code += "print(os.environ['UCX_TLS'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == used


def test_the_sweep_leaves_complete_forms_alone(tmp_path: Path) -> None:
    kept = [f"libffcx_forms_a{end}" for end in (".c", ".c.cached", ".o", SUFFIX)]
    kept += [".lock", "notes.c"]
    gone = [
        "libffcx_forms_b.c",  # killed while it compiled
        *("libffcx_forms_c.c", "libffcx_forms_c.o", "libffcx_forms_c.c.~123"),
        "libffcx_forms_d.c.failed",
        *("libffcx_forms_e.c", "libffcx_forms_e.c.cached"),  # its library was removed
        *("libffcx_forms_f.c", "libffcx_forms_f.c.cached", f"libffcx_forms_f{SUFFIX}"),  # empty
    ]
    for name in (*kept, *gone):
        empty = name.endswith("_b.c") or name.endswith(f"_f{SUFFIX}")
        (tmp_path / name).write_bytes(b"" if empty else b"x")
    removed = dolfinx_forms.sweep(tmp_path)
    assert sorted(removed) == [f"libffcx_forms_{letter}" for letter in "bcdef"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_a_cache_that_cannot_be_written_is_said(
    dolfinx: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ABLASIM_CACHE_DIR", str(tmp_path / "file"))
    with (
        pytest.raises(ResourceError, match="set ABLASIM_CACHE_DIR"),
        dolfinx_forms.compiling(start().comm),
    ):
        pass


def test_a_lock_that_is_never_given_back_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dolfinx_forms, "WAIT_S", 0.2)
    path = tmp_path / ".lock"
    with (
        dolfinx_forms._lock(path),
        pytest.raises(ResourceError, match="another process"),
        dolfinx_forms._lock(path),
    ):
        pass
    with dolfinx_forms._lock(path):
        pass


def test_other_faults_inside_are_not_the_compilers(
    dolfinx: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABLASIM_CACHE_DIR", str(tmp_path))
    with pytest.raises(ZeroDivisionError), dolfinx_forms.compiling(start().comm):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        # as dolfinx.jit raises them on rank 0 and on the others of several
        ("Failed JIT compilation of form: CompileError: No such file or directory: 'gcc'",
         ResourceError, "there is no gcc on the PATH"),
        ("Failed JIT compilation of form: LinkError: command '/usr/bin/gcc' failed with 1",
         ResourceError, "/usr/bin/gcc failed;"),
        ("JIT compilation failed on rank 0.", ResourceError, "rank 0 says why"),
        (f"Failed JIT compilation of form: /c/libffcx_forms_1{SUFFIX}: file too short",
         ResourceError, "does not load .* delete .*forms"),
        ("Failed JIT compilation of form: [Errno 28] No space left on device: 'x.c'",
         OSError, "No space left"),
        ("Failed JIT compilation of form: no such element", RuntimeError, "no such element"),
    ],
)  # fmt: skip
def test_a_failed_compilation_of_several_ranks_is_explained(
    raised: str, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said), dolfinx_forms._faults_of_compiler(None):
        raise RuntimeError(raised)


def test_the_log_survives_a_failed_compilation() -> None:
    """FFCx takes the handlers of the root logger away and forgets them if it fails."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    with pytest.raises(ResourceError), dolfinx_forms._faults_of_compiler(None):
        root.handlers = []
        raise RuntimeError("CompileError: x")
    assert root.handlers == handlers and handlers


def test_words_of_python_are_seen_while_a_compiler_is_heard(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import os, sys, tempfile\n"
        "from ablasim.solve.dolfinx_forms import _native_stderr_into\n"
        "file = tempfile.TemporaryFile()\n"
        "with _native_stderr_into(file):\n"
        "    print('a bar', file=sys.stderr)\n"
        "    os.system('echo a compiler >&2')\n"
        "file.seek(0)\n"
        "assert file.read() == b'a compiler\\n'\n"
        "os.system('echo afterwards >&2')\n"
        "print('at the end', file=sys.stderr)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert capfd.readouterr().err == "a bar\nafterwards\nat the end\n"
