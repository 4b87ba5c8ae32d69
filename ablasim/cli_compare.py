"""`ablasim compare`: the comparison of two runs as tables or JSON, its files, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ablasim.cli_options import Debug, Json, Quiet
from ablasim.cli_output import NOTICE, print_json, print_rows, say
from ablasim.errors import UsageError

EXCEEDED_EXIT_CODE = 1

FILES = (
    ("comparison.png", "both zones and the difference in temperature, with the numbers"),
    ("comparison.vtu", "the difference in temperature on A's mesh, for ParaView or PyVista"),
    ("surface_distance.vtp", "A's lethal surface with the distance from B's"),
    ("comparison.json", "every number of the comparison"),
)


@dataclass(frozen=True)
class Limits:
    """Beyond which two runs count as different; None is no limit."""

    max_surface_mm: float | None = None
    max_temperature_l2: float | None = None
    max_volume_percent: float | None = None


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Directory of a run.", show_default=False)],
    b: Annotated[
        Path, typer.Argument(metavar="B", help="The run to compare with it.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Directory for comparison.png, .json, .vtu and surface_distance.vtp.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier comparison in DIR.")
    ] = False,
    max_surface_mm: Annotated[
        float | None,
        typer.Option(
            min=0.0, metavar="MM", help="Exit with 1 if the lethal surfaces are farther apart."
        ),
    ] = None,
    max_temperature_l2: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="X",
            help="Exit with 1 if the final or peak temperature differs by more (relative L2).",
        ),
    ] = None,
    max_volume_percent: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="%", help="Exit with 1 if a zone's volume differs by more."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare two runs: temperatures, lethal surfaces in mm, zones, margin, what was changed.

    Differences are B minus A. On different meshes B's temperature is sampled in A's cells. Relative
    L2 is relative to A's rise above its initial temperature. Limits apply to the zone that A is
    assessed by and to the 60 °C zone; the exit code is 1 if one is exceeded.
    """
    limits = Limits(max_surface_mm, max_temperature_l2, max_volume_percent)
    code = compare_runs(
        a, b, output=output, force=force, limits=limits, as_json=as_json, quiet=quiet
    )
    if code:
        raise typer.Exit(code)


def compare_runs(
    a: Path,
    b: Path,
    *,
    output: Path | None,
    force: bool,
    limits: Limits,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare two result directories, print what was found, write the files.

    Returns:
        The exit code: 0, or EXCEEDED_EXIT_CODE where a limit is exceeded.

    Raises:
        UsageError: `output` names a file, exists, or may not be replaced.
        InputFileError: a directory holds no run, or the runs have no tissue in common.
    """
    from ablasim.report.compare import compare as compared
    from ablasim.report.compare_files import check_target, write_comparison

    if output is not None:
        if output.suffix.lower() in (".png", ".json", ".vtu", ".html", ".pdf"):
            raise UsageError(
                f"compare --output: got {output}; must be a directory, which gets comparison.png, "
                f"comparison.json and others: try {output.with_suffix('')}"
            )
        check_target(output, force=force)
    found = compared(a, b)
    exceeded = found.exceeded(
        max_surface_mm=limits.max_surface_mm,
        max_temperature_l2=limits.max_temperature_l2,
        max_volume_percent=limits.max_volume_percent,
    )
    summary = found.summary | {"exceeded": list(exceeded)}
    if output is not None:
        write_comparison(output, found, summary, force=force)
    if as_json:
        print_json(summary)
    elif not quiet:
        print_comparison(summary)
        if output is not None:
            print(f"\nFiles in {output}:")
            print_rows([(f"  {name}", what) for name, what in FILES])
        print(f"\n{NOTICE}")
    for sentence in exceeded:
        say(f"ablasim compare: {sentence}")
    return EXCEEDED_EXIT_CODE if exceeded else 0


def print_comparison(summary: Mapping[str, Any]) -> None:
    """The tables: what is compared, numbers of both, distances, what was changed."""
    from ablasim.report.compare_rows import change_rows, distance_rows, pair_rows

    print_rows([(key.upper(), *_identity(summary[key])) for key in ("a", "b")])
    print()
    rows = [(what, *cells) for what, *cells in pair_rows(summary)]
    header = ("", "A", "B", "B - A", "%")
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    print_rows(
        [_right(row, widths) for row in rows],
        header=_right(header, widths),
    )
    if sum(name != "criterion" for name in summary["zone"]) > 1:
        print("* the zone that the run is assessed by")
    print()
    print_rows(list(distance_rows(summary)))
    changes = change_rows(summary)
    print()
    if changes:
        print_rows(changes, header=("Changed in the scenario", "A", "B"))
    else:
        print("The scenarios are the same.")
    for warning in summary["warnings"]:
        print(f"Note: {warning}")


def _identity(side: Mapping[str, Any]) -> tuple[str, str]:
    return str(side["directory"] or ""), str(side["name"] or "")


def _right(row: tuple[str, ...], widths: list[int]) -> tuple[str, ...]:
    """Numbers flush right, so that their digits stand under each other."""
    numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return (row[0], *numbers)
