"""`ablasim doctor`: what it says of DOLFINx, of MPI and of the compiler."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ablasim import doctor
from ablasim.doctor import Check, examine


def test_dolfinx_and_mpi_are_tried(mpirun: str) -> None:
    solver, launcher = examine(["dolfinx", "mpirun"])
    assert solver.ok and "dolfinx 0.11" in solver.detail and "petsc" in solver.detail
    assert launcher.ok and launcher.detail.startswith(f"{mpirun}: ")


def test_an_absent_dolfinx_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import importlib.util\nimportlib.util.find_spec = lambda name: None\n"
    monkeypatch.setattr(doctor, "DOLFINX", code + doctor.DOLFINX)
    (check,) = examine(["dolfinx"])
    assert not check.ok and not check.required
    assert check.detail == "the engine dolfinx is not installed"
    assert "install" in check.remedy or "env create" in check.remedy


def fake_launcher(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "mpirun"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    here = {"executable": str(folder / "python"), "platform": sys.platform, "prefix": sys.prefix}
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(**here))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        # the launcher of another MPI starts processes that do not know of each other
        (f'shift 3; {sys.executable} "$@"', "each process is alone"),
        ("echo no slots >&2; exit 1", "no slots"),
    ],
)
def test_a_launcher_that_does_not_work_is_said(
    script: str, said: str, mpirun: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_launcher(tmp_path, script, monkeypatch)
    check = doctor.check_mpirun()
    assert not check.ok and not check.required
    assert said in check.detail
    assert "make a new environment" in check.remedy


def test_no_launcher_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_launcher(tmp_path, "", monkeypatch)
    (tmp_path / "mpirun").unlink()
    assert "no mpirun beside" in doctor.check_mpirun().detail


def compiler(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> Check:
    path = tmp_path / "cc"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("CC", str(path))
    return doctor.check_compiler()


def test_a_compiler_compiles_or_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = compiler(tmp_path, "exit 0", monkeypatch)
    assert good.ok and good.detail == str(tmp_path / "cc")
    bad = compiler(tmp_path, "echo 'math.h: fatal error: no such file' >&2; exit 1", monkeypatch)
    assert not bad.ok and not bad.required
    assert bad.detail.endswith("does not compile: math.h: fatal error: no such file")
    headers = compiler(
        tmp_path,
        "echo 'trial.c: fatal error: Python.h: No such file or directory' >&2; exit 1",
        monkeypatch,
    )
    assert "-dev" in headers.remedy
    monkeypatch.setenv("CC", "/nonexistent/cc")
    assert doctor.check_compiler().detail == "no /nonexistent/cc on the PATH"
