"""Load DOLFINx 0.11, PETSc and MPI in the right order, or say what is missing."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ablasim.errors import ResourceError
from ablasim.remedies import get_dolfinx
from ablasim.team import team

if TYPE_CHECKING:
    from mpi4py import MPI

VERSION = "0.11"
TRANSPORTS = "self,sm,tcp"
"""What UCX may use by default; it crashes on some hosts when it looks for network devices. On a
cluster with a fast network set UCX_TLS=all."""


@dataclass(frozen=True)
class Stack:
    """What was loaded.

    Attributes:
        comm: all ranks.
        versions: of dolfinx and PETSc, for the summary.
    """

    comm: MPI.Intracomm
    versions: dict[str, str]


@functools.cache
def start() -> Stack:
    """Prepare the process and import the libraries; call it before anything else imports MPI.

    Raises:
        ResourceError: no DOLFINx 0.11, a PETSc of complex or single numbers, or a launcher that
            belongs to another MPI.
    """
    os.environ.setdefault("UCX_TLS", TRANSPORTS)
    wheel = _has("dolfinx_solver")
    if not is_installed():
        raise ResourceError(f"the engine dolfinx is not installed: {get_dolfinx()}")
    try:
        with warnings.catch_warnings():
            # mpi4py warns of a launcher that we refuse below
            warnings.filterwarnings("ignore", "suspicious MPI", RuntimeWarning)
            # The wheel's own guard first: it loads its MPI before anything compiled.
            for name in (*["dolfinx_solver"] * wheel, "mpi4py.MPI", "petsc4py.PETSc", "dolfinx"):
                importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise ResourceError(
            f"the engine dolfinx is installed but does not load ({error}); "
            f"make a new environment and there: {get_dolfinx()}"
        ) from error
    except RuntimeError as error:  # PETSc's, with its own words before it
        raise ResourceError(
            f"PETSc or MPI does not start ({error}): look at PETSC_OPTIONS and the files .petscrc"
            " here and in your home directory."
        ) from error
    import dolfinx
    from mpi4py import MPI
    from petsc4py import PETSc

    version = str(dolfinx.__version__)
    if not f"{version}.".startswith(f"{VERSION}."):
        raise ResourceError(f"dolfinx: got {version}; must be {VERSION}: {get_dolfinx()}")
    numbers = np.dtype(PETSc.ScalarType).name
    if numbers != "float64":
        raise ResourceError(f"PETSc: got one of {numbers}; must be of float64: {get_dolfinx()}")
    comm = MPI.COMM_WORLD
    _refuse_foreign_launcher(comm.size)
    for name in ("FFCx", "ffcx", "UFL", "UFL_LEGACY"):
        logging.getLogger(name).setLevel(logging.ERROR)
    dolfinx.log.set_log_level(dolfinx.log.LogLevel.ERROR)
    table = PETSc.Options()
    if "options_left" not in table.getAll():
        # ablasim refuses what no solver has read; PETSc would warn of our own defaults as well
        table.setValue("options_left", "0")
    petsc = ".".join(map(str, PETSc.Sys.getVersion()))
    return Stack(comm, {"dolfinx": version, "petsc": petsc})


def is_installed() -> bool:
    """Whether there is a DOLFINx at all; loads nothing."""
    return _has("dolfinx_solver") or _has("dolfinx")


def _has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _refuse_foreign_launcher(size: int) -> None:
    """With the mpirun of another MPI every process believes that it is alone."""
    started = team().size
    if started != size:
        raise ResourceError(
            f"the launcher started {started} processes, but MPI sees {size}: this mpirun belongs to"
            " another MPI; use the one beside the Python that runs ablasim."
        )
