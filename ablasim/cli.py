"""`ablasim check|mesh|run|view|info|verify|doctor`.

Heavy imports stand inside the commands: `--help` and `check` load neither JAX, VTK nor the mesher.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import ablasim
from ablasim.cli_output import (
    NOTICE,
    exit_code_of,
    print_json,
    print_result,
    print_rows,
    report_error,
    say,
    set_up_logging,
)
from ablasim.cli_progress import show_progress
from ablasim.errors import Interrupted, ResourceError, ScenarioError, UsageError
from ablasim.team import end_all, may_speak, one_voice, refuse_company, team

app = typer.Typer(
    name="ablasim",
    help="Open simulator of liver tumour ablation: a scenario in, a lethal zone out.\n\n"
    "Exit codes: 0 done, 1 a case of verify failed (or a fault of ablasim's own), 2 wrong scenario"
    " or command, 3 unreadable input file, 4 the solver did not converge, 5 lack of memory, disk or"
    f" device, 130 interrupted.\n\n{NOTICE}",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Device(StrEnum):
    """Where to compute; auto takes a GPU if JAX sees one."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


class Engine(StrEnum):
    """What solves: ablasim's own kernels in JAX, or FEniCSx over MPI."""

    jax = "jax"
    dolfinx = "dolfinx"


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code is the return value."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a degree sign is no reason to fail.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    code = lead(lambda: app(words, prog_name="ablasim"), debug="--debug" in words)
    end_all(code)
    return code


def lead(work: Callable[[], object], *, debug: bool = False) -> int:
    """Do the work of a command as one of a team: one voice, one message; the exit code."""
    try:
        with one_voice():
            work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code != Interrupted.exit_code:
            return code
        error: BaseException = KeyboardInterrupt()
    except (Exception, KeyboardInterrupt) as caught:
        error = caught
    else:
        return 0
    return report_error(error, debug=debug) if may_speak(error) else exit_code_of(error)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ablasim {ablasim.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print and exit."),
    ] = False,
) -> None:
    if context.invoked_subcommand != "run":
        refuse_company(str(context.invoked_subcommand))


@app.command()
def check(
    scenario: ScenarioFile,
    overrides: Overrides = None,
    resolution: ResolutionOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check a scenario and say what a run would do."""
    from ablasim.cli_scenario import scenario_rows
    from ablasim.scenario import cautions, load_scenario, vessel_cautions

    try:
        loaded = load_scenario(scenario, _overrides(overrides, resolution))
    except ScenarioError as error:
        if as_json:
            problems = [vars(problem) for problem in error.problems]
            print_json({"ok": False, "file": str(scenario), "problems": problems})
        raise
    warnings = [*cautions(loaded), *vessel_cautions(loaded)]
    if as_json:
        content = loaded.model_dump(mode="json", exclude_none=True)
        found = {"ok": True, "file": str(scenario), "warnings": warnings, "scenario": content}
        print_json(found)
    elif not quiet:
        print_rows(scenario_rows(loaded))
        for caution in warnings:
            print(f"Note: {caution}")
        print(f"\n{scenario} is a valid scenario. {NOTICE}")


@app.command()
def mesh(
    scenario: ScenarioFile,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Mesh to write: .vtu, .vtk, .msh, ...", metavar="FILE"),
    ],
    overrides: Overrides = None,
    resolution: ResolutionOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Mesh the anatomy of a scenario (or read its own mesh) and print the quality."""
    from ablasim.anatomy import build_anatomy
    from ablasim.cli_scenario import mesh_numbers, mesh_rows
    from ablasim.mesh import cached_mesh, write_mesh
    from ablasim.own_mesh import read_own_mesh
    from ablasim.scenario import load_scenario

    set_up_logging(verbose=verbose)
    loaded = load_scenario(scenario, _overrides(overrides, resolution))
    with show_progress(quiet=quiet, verbose=verbose) as progress:
        if loaded.mesh is None:
            made = cached_mesh(build_anatomy(loaded), loaded.numerics.resolution, progress=progress)
        else:
            made = read_own_mesh(loaded)
    write_mesh(made, output)
    numbers = mesh_numbers(made)
    if as_json:
        print_json({"file": str(output), **numbers})
    elif not quiet:
        print_rows(mesh_rows(numbers))
        print(f"\nWritten to {output}")


@app.command()
def run(
    scenario: ScenarioFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory for the results.", metavar="DIR")
    ],
    overrides: Overrides = None,
    resolution: ResolutionOption = None,
    engine: Annotated[
        Engine,
        typer.Option("--engine", help="What solves; dolfinx also under mpirun -n N."),
    ] = Engine.jax,
    petsc: Annotated[
        str,
        typer.Option(
            "--petsc",
            metavar="OPTIONS",
            help="Options of PETSc for --engine dolfinx, e.g. '-heat_ksp_type cg'.",
            show_default=False,
        ),
    ] = "",
    device: Annotated[Device, typer.Option("--device", help="Where to compute.")] = Device.auto,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the results of an earlier run in DIR.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume/--no-resume", help="Continue from the checkpoint of a stopped run."),
    ] = True,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Simulate a scenario: lethal zone, ablative margin, pictures, report."""
    from ablasim.scenario import load_scenario

    set_up_logging(verbose=verbose)
    if engine is Engine.dolfinx:
        # Before the scenario: from here on a fault on one rank can end them all.
        from ablasim.solve.dolfinx_options import give_options
        from ablasim.solve.dolfinx_start import start

        start()
        give_options(petsc)
        if not team().leads:
            from ablasim.solve import assist

            assist()
            return
    else:
        refuse_company("run")
        if petsc:
            raise UsageError("--petsc: only the engine dolfinx reads it; add --engine dolfinx")
    loaded = load_scenario(scenario, _overrides(overrides, resolution))
    # After the scenario, so that a fault in it shows at once.
    from ablasim.run import run as run_scenario

    if not quiet:
        say(f"{loaded.name}: {NOTICE}")
    with show_progress(quiet=quiet, verbose=verbose) as progress:
        result = run_scenario(
            loaded,
            out=output,
            engine=engine.value,
            device=device.value,
            progress=progress,
            resume=resume,
            force=force,
        )
    if as_json:
        print_json(result.summary)
    elif not quiet:
        print_result(result.summary, result.directory)


@app.command()
def view(
    directory: Annotated[
        Path, typer.Argument(metavar="RUN", help="Directory of a run.", show_default=False)
    ],
    png: Annotated[
        Path | None,
        typer.Option("--png", metavar="FILE", help="Draw into a file; needs no display."),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show a run in 3D: turn it with the mouse, q closes the window."""
    from ablasim.view.scene import show

    show(directory, png=png)
    if png is not None and not quiet:
        print(f"Drawn into {png}. {NOTICE}")


@app.command()
def info(
    kind: Annotated[Kind | None, typer.Argument(help="What to list.", show_default=False)] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="The JSON Schema of a scenario file.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List the catalogue with the source of every number, or the scenario's schema."""
    if schema == (kind is not None):
        raise UsageError("info: give one of tissues, probes, vessels, arrhenius, or --schema")
    if kind is None:
        from ablasim.scenario import json_schema

        print_json(json_schema())
        return
    from ablasim import catalogue

    rows = catalogue.info_rows(kind.value)
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    # A name and a source stand once, in the first of the rows they hold for.
    printed, before = [], ("", "")
    for row in rows:
        name = "" if row.name == before[0] else row.name
        source = '"' if (row.name, row.source) == before else row.source
        printed.append((name, row.quantity, f"{row.value:g}", row.unit, source))
        before = (row.name, row.source)
    print_rows(printed, header=("name", "quantity", "value", "unit", "source"))


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="CASE", help="Names or globs such as 'F8*'; by default every case."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only the half that the tests run.")
    ] = False,
    list_only: Annotated[bool, typer.Option("--list", help="List the cases; run nothing.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the page (Markdown) to a file."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the page to docs/verification.md.")
    ] = False,
    kept: Annotated[
        Path | None,
        typer.Option(
            "--kept",
            metavar="FILE",
            help="Keep outcomes in a file (JSON); what it holds already is shown and not run.",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Compare with exact solutions, other programs and published experiments.

    Prints each number beside its reference and its tolerance. The exit code is 0 if every case
    passes, 1 if one fails, 2 for a name that no case has.
    """
    from ablasim.cli_verify import page_path, print_list, verify_cases
    from ablasim.verify import select

    cases = select(names or (), quick=quick)
    if list_only:
        print_list(cases, as_json=as_json)
        return
    set_up_logging(verbose=verbose)
    page = page_path(output, write=write)
    code = verify_cases(cases, page=page, as_json=as_json, quiet=quiet, verbose=verbose, kept=kept)
    if code:
        raise typer.Exit(code)


@app.command()
def doctor(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Only this check; repeatable."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Try what works on this machine and say what to do about the rest."""
    from dataclasses import asdict

    from ablasim.doctor import CHECKS, examine

    unknown = sorted(set(only or ()) - set(CHECKS))
    if unknown:
        raise UsageError(f"doctor --only: got {unknown[0]!r}; use one of {', '.join(CHECKS)}")
    checks = examine(only or ())
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        for found in checks:
            state = "ok" if found.ok else "MISSING" if found.required else "missing"
            print(f"{found.name:<10} {state:<8} {found.detail}")
            if not found.ok:
                print(f"{'':<10} {'':<8} what to do: {found.remedy}")
    if any(found.required and not found.ok for found in checks):
        raise typer.Exit(ResourceError.exit_code)


def _overrides(words: list[str] | None, resolution: Resolution | None) -> dict[str, Any]:
    """`--set KEY=VALUE` and `--resolution` as the mapping that `load_scenario` takes."""
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


if __name__ == "__main__":
    sys.exit(main())
