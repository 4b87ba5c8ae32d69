"""`ablasim sweep init|run|status|table|plot`: many cases of a scenario, one directory each."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablasim.cli_options import Debug, Json, Quiet, Verbose, parse_value
from ablasim.cli_output import print_json, print_rows, say, set_up_logging
from ablasim.cli_progress import show_progress
from ablasim.errors import UsageError

if TYPE_CHECKING:
    from ablasim.study.sweep_run import Tally

SHOWN_FAILURES = 20

app = typer.Typer(
    name="sweep",
    help="Many cases of a scenario: plan them, compute them, tabulate and draw what comes out.\n\n"
    "Stopped at any moment, `run` goes on where it was. docs/sweeps.md describes plans.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="Directory of the sweep.", show_default=False)
]


class Executor(StrEnum):
    """Who computes: processes of this machine, or Dask."""

    local = "local"
    dask = "dask"


@app.command()
def init(
    plan: Annotated[
        Path, typer.Argument(metavar="PLAN", help="The plan, a YAML file.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory for the sweep.")
    ],
    yes: Annotated[
        bool, typer.Option("--yes", help="More than a thousand cases are meant.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check a plan with all its cases and freeze it in DIR; nothing is computed."""
    from ablasim.study.sweep_freeze import freeze
    from ablasim.study.sweep_source import read_plan

    source = read_plan(plan)
    with show_progress(quiet=quiet or source.plan.count() < 1000) as progress:
        sweep, invalid = freeze(source, output, yes=yes, progress=progress)
    if as_json:
        found = {"directory": str(output), "cases": len(sweep), "invalid": invalid}
        found["batches"] = len(sweep.batches)
        print_json(found | {"columns": list(sweep.columns), "sha256": sweep.sha256})
    elif not quiet:
        print(f"{len(sweep)} cases planned in {output}, over {', '.join(sweep.columns)}.")
        if sweep.plan.batch is not None:
            together = sum(len(batch) for batch in sweep.batches)
            count = len(sweep.batches)
            kind = "batch" if count == 1 else "batches"
            print(f"{together} of them are computed together, in {count} {kind}.")
        if invalid:
            print(f"Note: {invalid} of them are invalid and will fail (on_invalid: record).")
        print(f"Compute them with: ablasim sweep run {output}")


@app.command()
def run(
    directory: Directory,
    executor: Annotated[
        Executor, typer.Option("--executor", help="Processes of this machine, or Dask.")
    ] = Executor.local,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes, one core each; by default all cores."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of a Dask scheduler, e.g. tcp://10.0.0.1:8786."),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Every N-th case or batch, for array jobs, e.g. 3/16."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Compute failed cases again, too.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Compute every case that is not there yet; failures are recorded and skipped.

    Exit code 0 if all cases are done; if some failed, the largest of their exit codes;
    with --shard of its own cases.
    """
    from ablasim.study.cases import failures
    from ablasim.study.sweep_frozen import open_sweep
    from ablasim.study.sweep_run import Shard, numbers_of, run_sweep

    set_up_logging(verbose=verbose)
    part = None if shard is None else Shard.parse(shard)
    with show_progress(quiet=quiet, verbose=verbose) as progress:
        tally = run_sweep(
            directory,
            executor=executor.value,
            workers=workers,
            scheduler=scheduler,
            shard=part,
            retry_failed=retry_failed,
            progress=progress,
        )
    if as_json:
        print_json(_numbers(tally))
    elif not quiet:
        print(_words(tally))
    if tally.failed:
        say(
            f"ablasim sweep: {tally.failed} of {tally.total} cases failed; `ablasim sweep status"
            f" {directory}` says why, --retry-failed computes them again"
        )
        sweep = open_sweep(directory)
        mine = set(numbers_of(sweep, part))
        raise typer.Exit(max(f.exit_code for f in failures(sweep) if f.number in mine))


@app.command()
def status(
    directory: Directory,
    check: Annotated[
        bool, typer.Option("--check", help="Compare every file of every case with its checksum.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say how many cases are done, which failed, and why."""
    from ablasim.errors import InputFileError
    from ablasim.study.cases import case_directory, damaged_files, failures
    from ablasim.study.sweep_frozen import open_sweep
    from ablasim.study.sweep_run import tally_of

    sweep = open_sweep(directory)
    tally = tally_of(sweep)
    numbers = range(1, len(sweep) + 1)
    failed = failures(sweep)
    damaged = {
        number: found
        for number in (numbers if check else ())
        if case_directory(sweep, number).is_dir()
        and (found := damaged_files(case_directory(sweep, number)))
    }
    if as_json:
        print_json(
            {
                "directory": str(directory),
                **_numbers(tally),
                "failures": [vars(failure) for failure in failed],
                "damaged": {str(number): files for number, files in damaged.items()},
            }
        )
    elif not quiet:
        print(f"{sweep.name}: {_words(tally)}")
        rows = [
            (str(f.number), str(f.exit_code), f.message.partition("\n")[0])
            for f in failed[:SHOWN_FAILURES]
        ]
        if rows:
            print()
            print_rows(rows, header=("Failed", "Code", "Why"))
        if len(failed) > SHOWN_FAILURES:
            print(f"and {len(failed) - SHOWN_FAILURES} more in {directory / 'failed'}")
    if damaged:
        first = next(iter(damaged))
        raise InputFileError(
            f"{len(damaged)} cases are not what was computed, first {first}"
            f" ({', '.join(damaged[first])}); remove their directories in {directory / 'cases'}"
            f" and compute them again with `ablasim sweep run {directory}`"
        )


@app.command()
def table(
    directory: Directory,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Table: .csv or .parquet.")
    ],
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write the numbers of all cases as one table, one row each."""
    from ablasim.study.sweep_frozen import open_sweep
    from ablasim.study.sweep_table import check_ending, write_table
    from ablasim.study.sweep_table import table as table_of

    check_ending(output)
    columns = table_of(open_sweep(directory))
    write_table(columns, output)
    if not quiet:
        rows, missing = len(columns["case"]), sum(s != "done" for s in columns["status"])
        note = f", {missing} of them without results" if missing else ""
        print(f"{rows} cases{note}, {len(columns)} columns, written to {output}")


@app.command()
def plot(
    directory: Directory,
    x: Annotated[str, typer.Argument(metavar="X", help="Varied field.", show_default=False)],
    y: Annotated[
        str | None,
        typer.Argument(metavar="[Y]", help="Second one, for a heat map.", show_default=False),
    ] = None,
    value: Annotated[
        str, typer.Option("--value", metavar="COLUMN", help="What to draw; a column of the table.")
    ] = "margin.minimal_mm",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Picture: .png, .svg or .pdf.")
    ] = Path("sweep.png"),
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="KEY=VALUE", help="Fix another varied field; repeatable."),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw a value over one varied field (lines) or two (a heat map)."""
    from ablasim.study.sweep_frozen import open_sweep
    from ablasim.study.sweep_plot import plot as draw

    draw(open_sweep(directory), x, y, value=value, out=output, at=_fixed(at))
    if not quiet:
        print(f"Drawn into {output}")


def _fixed(words: list[str] | None) -> dict[str, object]:
    found: dict[str, object] = {}
    for word in words or ():
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise UsageError(f"--at: got {word!r}; must be KEY=VALUE, e.g. protocol.power_W=40")
        found[key.strip()] = parse_value(value.strip())
    return found


def _numbers(tally: Tally) -> dict[str, int]:
    return vars(tally) | {"total": tally.total}


def _words(tally: Tally) -> str:
    parts = [f"{tally.done} of {tally.total} cases done"]
    parts += [f"{tally.failed} failed"] if tally.failed else []
    parts += [f"{tally.open} open"] if tally.open else []
    return ", ".join(parts)
