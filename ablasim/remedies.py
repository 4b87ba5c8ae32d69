"""How to get what is optional, said in one place for `doctor` and for the errors of a run."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

WHEEL = "dolfinx-solver-real==0.11.0.post0"
"""DOLFINx 0.11 with a real PETSc; there is one for Linux x86-64 only."""


def get_dolfinx() -> str:
    """The command that installs DOLFINx 0.11 beside the Python that runs.

    Never both sources in one environment: two copies of PETSc and MPI in one process crash.
    """
    if (Path(sys.prefix) / "conda-meta").is_dir():
        return "conda install -c conda-forge fenics-dolfinx=0.11"
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return f"{sys.executable} -m pip install {WHEEL}"
    return "conda env create -f environment.yml"


def get_compiler() -> str:
    """The command that installs a C compiler with its headers."""
    if (Path(sys.prefix) / "conda-meta").is_dir():
        return "conda install -c conda-forge c-compiler"
    if sys.platform == "darwin":
        return "xcode-select --install"
    if sys.platform == "win32":
        return "install the Build Tools for Visual Studio"
    return "apt-get install -y gcc libc6-dev"


def get_python_headers() -> str:
    """The command that installs Python.h for the interpreter of the system."""
    return f"apt-get install -y python{sys.version_info.major}.{sys.version_info.minor}-dev"
