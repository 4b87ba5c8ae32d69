"""What can be chosen of the DOLFINx engine, and PETSc's options: `--petsc` and PETSC_OPTIONS.

PETSc itself ignores an option that nobody reads; a misspelt one would silently change nothing.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ablasim.errors import ResourceError, UsageError
from ablasim.solve.bdf import Scheme

PREFIXES = ("heat_", "potential_")
"""Of the solvers' options, e.g. -heat_ksp_type."""

COMMON = (
    *("ksp_type", "ksp_rtol", "ksp_atol", "ksp_max_it", "ksp_norm_type", "ksp_monitor"),
    *("ksp_view", "ksp_converged_reason", "ksp_gmres_restart", "ksp_initial_guess_nonzero"),
    *("pc_type", "pc_factor_mat_solver_type", "pc_gamg_type", "pc_gamg_threshold"),
    *("pc_gamg_agg_nsmooths", "pc_gamg_coarse_eq_limit", "pc_gamg_reuse_interpolation"),
    *("pc_gamg_aggressive_coarsening", "pc_mg_type", "pc_mg_cycle_type", "pc_sor_its"),
    *("mg_levels_ksp_type", "mg_levels_ksp_max_it", "mg_levels_pc_type"),
    *("mg_coarse_ksp_type", "mg_coarse_pc_type"),
)
"""What is suggested for a misspelt option."""

READ_AT_THE_END = ("options_", "log_", "malloc_", "objects_", "memory_", "history", "mpidump")
"""Beginnings of options of PETSc as a whole, which it may read only when it ends."""

REFUSED_VALUE = (56, 58, 60, 62, 63, 73, 75, 83, 86)
"""PETSC_ERR_SUP, ORDER, ARG_SIZ, ARG_WRONG, ARG_OUTOFRANGE, ARG_WRONGSTATE, ARG_INCOMP, USER,
UNKNOWN_TYPE: with options of the user in play, their values are wrong or do not go together."""

OUT_OF_MEMORY = 55
"""PETSC_ERR_MEM."""

VARIABLE = "PETSC_OPTIONS"
"""PETSc reads it when it starts."""

_given: dict[str, str | None] = {}
"""Options of `--petsc`; PETSc's own table, which they went into, is global as well."""


@dataclass(frozen=True)
class Options:
    """What can be chosen of the engine.

    Attributes:
        scheme: "bdf2", or "euler" for backward Euler.
        degree: of the functions, 1 as in the JAX engine or 2 for reference solutions.
        heat_tolerance: residual of a step, relative to the heat flows: the account closes to it.
        potential_tolerance: relative residual of the potential.
    """

    scheme: Scheme = "bdf2"
    degree: int = 1
    heat_tolerance: float = 1e-12
    potential_tolerance: float = 1e-10


def parse_options(text: str, source: str = "--petsc") -> dict[str, str | None]:
    """`-heat_ksp_type gmres -heat_ksp_monitor` as names (without the dash) and values.

    Args:
        text: the options.
        source: where they stand, for the message.

    Raises:
        UsageError: a word stands where an option must, or a quote is not closed.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{source}: got {text!r}; {str(error).lower()}") from None
    found: dict[str, str | None] = {}
    name = None
    for word in words:
        if re.match(r"--?[A-Za-z]", word):
            name = word.lstrip("-")
            found[name] = None
        elif name is not None and found[name] is None:
            found[name] = word
        else:
            raise UsageError(
                f"{source}: got {word!r} where an option must stand, e.g. -heat_ksp_rtol 1e-9"
            )
    return found


def give_options(text: str) -> None:
    """Hand the options of `--petsc` to PETSc; after `start`, before the solvers are made.

    Raises:
        UsageError: not options, or options of no solver of ablasim.
    """
    options = parse_options(text)
    for name in options:
        if not name.startswith(PREFIXES):
            raise UsageError(f"--petsc: got -{name}; {_advice(name, PREFIXES)}")
    from petsc4py import PETSc

    table = PETSc.Options()
    for name, value in options.items():
        table.setValue(name, value)
    _given.update(options)


def refuse_unread_options(prefixes: Sequence[str] = PREFIXES) -> None:
    """Refuse every given option that no solver has read; after the first solve of each solver.

    Args:
        prefixes: of the solvers that this run has.

    Raises:
        UsageError: names the options; PETSc has forgotten them then.
    """
    from petsc4py import PETSc

    table = PETSc.Options()
    sources = dict.fromkeys(_of_environment(), VARIABLE)
    sources |= dict.fromkeys(_given, "--petsc")
    there = table.getAll()  # asking for one of them would count as reading it
    faults = []
    for name, source in sources.items():
        if name not in there or table.used(name) or name.startswith(READ_AT_THE_END):
            continue
        faults.append(f"{source}: got -{name}; {_advice(name, prefixes)}")
        table.delValue(name)
        _given.pop(name, None)
    if faults:
        raise UsageError("\n".join(faults))


@contextlib.contextmanager
def lack_of_memory() -> Iterator[None]:
    """Around all that PETSc does.

    Raises:
        ResourceError: PETSc has no memory.
    """
    from petsc4py import PETSc

    try:
        yield
    except PETSc.Error as error:
        if int(getattr(error, "ierr", 0)) != OUT_OF_MEMORY:
            raise
        raise ResourceError(
            "PETSc has no memory left: take more nodes, or a coarser numerics.resolution"
        ) from error


@contextlib.contextmanager
def faults_of_options() -> Iterator[None]:
    """Around `setFromOptions`, `setUp` and every solve: PETSc's refusals in one message.

    PETSc reads the options of a multigrid's levels in the first solve only.

    Raises:
        UsageError: PETSc refuses the value of an option that was given.
    """
    from petsc4py import PETSc

    try:
        yield
    except PETSc.Error as error:
        given = {
            name: value
            for name, value in (_of_environment() | _given).items()
            if not name.startswith(READ_AT_THE_END)
        }
        if int(getattr(error, "ierr", 0)) not in REFUSED_VALUE or not given:
            raise
        said = re.sub(r"^\[\d+\] ", "", str(error).strip().splitlines()[-1])
        table = PETSc.Options()
        for name in _given:
            table.delValue(name)
        _given.clear()
        options = " ".join(
            f"-{name}" + (f" {value}" if value else "") for name, value in given.items()
        )
        raise UsageError(f"PETSc refuses an option: {said}; got {options}") from error


def _of_environment() -> dict[str, str | None]:
    return parse_options(os.environ.get(VARIABLE, ""), VARIABLE)


def _advice(name: str, prefixes: Sequence[str]) -> str:
    known = [prefix + option for prefix in prefixes for option in COMMON]
    close = difflib.get_close_matches(name, known, n=3)
    begin = " or ".join(f"-{prefix}" for prefix in prefixes)
    advice = f"no solver of this run reads it; options of solvers begin with {begin}"
    return advice + (
        f"; close to it: {', '.join(f'-{option}' for option in close)}" if close else ""
    )
