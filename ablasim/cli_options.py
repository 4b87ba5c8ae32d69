"""Options that the commands share, and the values that they can have."""

from __future__ import annotations

import json
import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ablasim.errors import UsageError


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


class Precision(StrEnum):
    """Floating-point numbers of the solver."""

    float64 = "float64"
    float32 = "float32"


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
Force = Annotated[bool, typer.Option("--force", help="Replace earlier results in DIR.")]
Resume = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Continue what was interrupted.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def changes_of(words: list[str] | None, resolution: Resolution | None) -> dict[str, Any]:
    """`--set KEY=VALUE` and `--resolution` as the mapping that `load_scenario` takes.

    Raises:
        UsageError: a word is not KEY=VALUE.
    """
    values: dict[str, Any] = {}
    for word in words or ():
        key, equals, value = word.partition("=")
        if not (key.strip() and equals):
            raise UsageError(f"--set: got {word!r}; must be KEY=VALUE, e.g. protocol.power_W=40")
        values[key.strip()] = parse_value(value.strip())
    if resolution is not None:
        values["numerics.resolution"] = resolution.value
    return values


def parse_value(text: str) -> Any:
    """A value from the command line: JSON (numbers, lists, true, null), or else a plain text."""
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        pass
    try:
        number = float(text)  # .5 and 1. are numbers here, though not in JSON
    except ValueError:
        return text
    return number if math.isfinite(number) else text
