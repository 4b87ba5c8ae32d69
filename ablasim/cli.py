"""`ablasim check|mesh|run|risk|sweep|atlas|compare|view|info|verify|doctor`.

Heavy imports stand inside the commands: `--help` and `check` load neither JAX, VTK nor the mesher.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import ablasim
from ablasim.cli_atlas import app as atlas_app
from ablasim.cli_compare import compare
from ablasim.cli_doctor import doctor
from ablasim.cli_info import info
from ablasim.cli_lead import lead
from ablasim.cli_options import (
    Debug,
    Device,
    Engine,
    Force,
    Json,
    Overrides,
    Quiet,
    ResolutionOption,
    Resume,
    ScenarioFile,
    Scheme,
    Verbose,
    changes_of,
)
from ablasim.cli_output import (
    NOTICE,
    print_json,
    print_result,
    print_rows,
    say,
    set_up_logging,
)
from ablasim.cli_progress import show_progress
from ablasim.cli_risk import risk
from ablasim.cli_sweep import app as sweep_app
from ablasim.cli_verify import verify
from ablasim.errors import ScenarioError, UsageError
from ablasim.team import refuse_company, team

app = typer.Typer(
    name="ablasim",
    help="Open simulator of liver tumour ablation: a scenario in, a lethal zone out.\n\n"
    "Exit codes: 0 done, 1 a case of verify failed or a limit of compare is exceeded (or a fault of"
    " ablasim's own), 2 wrong scenario or command, 3 unreadable input file, 4 the solver did not"
    f" converge, 5 lack of memory, disk or device, 130 interrupted.\n\n{NOTICE}",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code is the return value."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a degree sign is no reason to fail.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    return lead(lambda: app(words, prog_name="ablasim"), debug="--debug" in words)


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
        loaded = load_scenario(scenario, changes_of(overrides, resolution))
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
    loaded = load_scenario(scenario, changes_of(overrides, resolution))
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
    scheme: Annotated[
        Scheme,
        typer.Option("--scheme", help="Time steps of --engine dolfinx; euler is first order."),
    ] = Scheme.bdf2,
    degree: Annotated[
        int,
        typer.Option(
            "--degree", min=1, max=2, help="Of the functions of --engine dolfinx; 2 for references."
        ),
    ] = 1,
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
    force: Force = False,
    resume: Resume = True,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Simulate a scenario: lethal zone, ablative margin, pictures, report."""
    from ablasim.scenario import load_scenario

    set_up_logging(verbose=verbose)
    options = None
    if engine is Engine.dolfinx:
        # Before the scenario: from here on a fault on one rank can end them all.
        from ablasim.solve import assist
        from ablasim.solve.dolfinx_options import Options, give_options
        from ablasim.solve.dolfinx_start import start

        if device is Device.gpu:
            raise UsageError("--device: the engine dolfinx computes on the CPU; leave it out")
        start()
        give_options(petsc)
        if not team().leads:
            assist()
            return
        options = Options(scheme=scheme.value, degree=degree)
    else:
        refuse_company("run")
        _refuse_dolfinx_options(scheme, degree, petsc)
    loaded = load_scenario(scenario, changes_of(overrides, resolution))
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
            options=options,
        )
    if as_json:
        print_json(result.summary)
    elif not quiet:
        print_result(result.summary, result.directory)


def _refuse_dolfinx_options(scheme: Scheme, degree: int, petsc: str) -> None:
    """Options that the JAX engine would ignore."""
    given = (("--scheme", scheme is not Scheme.bdf2), ("--degree", degree != 1), ("--petsc", petsc))
    for name, changed in given:
        if changed:
            raise UsageError(f"{name}: only the engine dolfinx reads it; add --engine dolfinx")


app.command()(risk)
app.command()(compare)  # here, since the help lists the commands in this order


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


app.command()(info)
app.command()(verify)
app.command()(doctor)
app.add_typer(sweep_app, name="sweep")
app.add_typer(atlas_app, name="atlas")


if __name__ == "__main__":
    sys.exit(main())
