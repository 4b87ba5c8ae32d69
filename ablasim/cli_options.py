"""Options that the commands share, and the values that they can have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where to compute; auto takes a GPU if JAX sees one."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


class Engine(StrEnum):
    """What solves: ablasim's own kernels in JAX, or FEniCSx over MPI."""

    jax = "jax"
    dolfinx = "dolfinx"


class Scheme(StrEnum):
    """Backward differentiation of second order, or backward Euler."""

    bdf2 = "bdf2"
    euler = "euler"


class Resolution(StrEnum):
    """Sizes of the mesh and of the time steps."""

    preview = "preview"
    standard = "standard"
    fine = "fine"


class Kind(StrEnum):
    """Parts of the catalogue."""

    tissues = "tissues"
    probes = "probes"
    vessels = "vessels"
    arrhenius = "arrhenius"


ScenarioFile = Annotated[
    Path, typer.Argument(metavar="SCENARIO", help="The scenario, a YAML file.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Replace a value of the scenario, e.g. protocol.power_W=40. May be repeated.",
    ),
]
ResolutionOption = Annotated[
    Resolution | None,
    typer.Option("--resolution", help="Instead of the scenario's numerics.resolution."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Every step of the way.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
