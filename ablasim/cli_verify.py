"""`ablasim verify`: run cases, print them as a table or JSON, write the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablasim.cli_options import Debug, Json, Quiet, Verbose
from ablasim.cli_output import print_json, print_rows, say, set_up_logging
from ablasim.cli_progress import format_seconds, show_progress
from ablasim.errors import InputFileError, UsageError

if TYPE_CHECKING:
    from ablasim.verify import Case, Outcome

PAGE = Path("docs") / "verification.md"

HEADER = ("case", "quantity", "unit", "reference", "computed", "error", "tolerance", "result")


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
    again: Annotated[
        bool, typer.Option("--again", help="With --kept: run the cases again, and keep that.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Compare with exact solutions, other programs and published experiments.

    Prints each number beside its reference and its tolerance. The exit code is 0 if every case
    passes, 1 if one fails, 2 for a name that no case has.
    """
    from ablasim.verify import select

    cases = select(names or (), quick=quick)
    if list_only:
        print_list(cases, as_json=as_json)
        return
    if again and kept is None:
        raise UsageError("verify --again: needs the file of outcomes too, --kept FILE.")
    set_up_logging(verbose=verbose)
    code = verify_cases(
        cases,
        page=page_path(output, write=write),
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
        kept=kept,
        again=again,
    )
    if code:
        raise typer.Exit(code)


def print_list(cases: Sequence[Case], *, as_json: bool) -> None:
    """Name, kind, quick or not, and title of cases."""
    if as_json:
        rows = [
            {"name": c.name, "kind": c.kind, "quick": c.quick, "title": c.title, "source": c.source}
            for c in cases
        ]
        print_json({"cases": rows})
        return
    from ablasim.verify import families

    rows_ = []
    for family in families():
        rows_ += [
            (case.name, case.kind, "quick" if case.quick else "", case.title)
            for case in family.cases
            if case in cases
        ]
    print_rows(rows_, header=("name", "reference", "half", "what"))


def page_path(output: Path | None, *, write: bool) -> Path | None:
    """Where the page goes: `--output`, `--write` in the source tree, or nowhere.

    Raises:
        UsageError: `--write` outside the source tree, or into a directory that is not there.
    """
    if output is None and not write:
        return None
    if output is None and not PAGE.parent.is_dir() and not Path("pyproject.toml").is_file():
        raise UsageError(
            f"verify --write: {PAGE.parent}/ is not here; run it in the source tree, or give "
            "--output FILE."
        )
    place = output or PAGE
    if place.is_dir() or (output is not None and not place.parent.is_dir()):
        raise UsageError(
            f"verify --output: got {place}; must be a file in a directory that exists."
        )
    return place


def verify_cases(
    cases: Sequence[Case],
    *,
    page: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    kept: Path | None = None,
    again: bool = False,
) -> int:
    """Run cases, print what was found, write the page.

    Args:
        cases: that are wanted.
        page: where the page goes; None for nowhere.
        as_json, quiet, verbose: how it is shown.
        kept: file of outcomes: what it holds is not run again, what is run is added.
        again: all cases are run, whatever it holds of them.

    Returns:
        The exit code: 0 where none fails, else FAILED_EXIT_CODE.

    Raises:
        InputFileError: the page or the file of outcomes cannot be read or written.
    """
    from ablasim.verify import FAILED_EXIT_CODE, records, run_cases
    from ablasim.verify.kept import Kept, with_kept
    from ablasim.verify.page import markdown

    outcomes, held = [], None if kept is None else Kept(kept, cases if again else ())
    new = [case for case in cases if held is None or held.outcome(case) is None]
    with show_progress(quiet=quiet, verbose=verbose) as progress:
        for outcome in with_kept(cases, run_cases(new, progress=progress), held):
            outcomes.append(outcome)
            if verbose:
                word = "pass" if outcome.passed else "FAIL"
                say(f"{outcome.case.name}: {word} after {format_seconds(outcome.seconds)}")
    if page is not None:
        _write(page, markdown(outcomes))
        if not quiet:
            say(f"Written to {page}")
    if as_json:
        print_json({"cases": [record for outcome in outcomes for record in records(outcome)]})
    elif not quiet:
        print_table(outcomes)
    failed = [outcome.case.name for outcome in outcomes if not outcome.passed]
    if failed:
        say(f"ablasim verify: {len(failed)} of {len(outcomes)} cases fail: {', '.join(failed)}")
    return FAILED_EXIT_CODE if failed else 0


def print_table(outcomes: Sequence[Outcome]) -> None:
    """All numbers, then a line per failure and the count."""
    from ablasim.verify.page import result_of, row_cells

    rows: list[tuple[Any, ...]] = [cells for outcome in outcomes for cells in row_cells(outcome)]
    rows = [(*cells[:-1], cells[-1].strip("*")) for cells in rows]
    print_rows(rows, header=HEADER)
    print()
    for outcome in outcomes:
        if not outcome.passed:
            why = outcome.failure or outcome.case.remark
            print(f"{outcome.case.name} fails" + (f": {why}" if why else "."))
    words = [result_of(outcome).strip("*") for outcome in outcomes]
    seconds = sum(outcome.seconds for outcome in outcomes)
    neither = f", {words.count('band')} count as neither" if "band" in words else ""
    print(
        f"{len(words)} cases: {words.count('pass')} pass, {words.count('FAIL')} fail{neither}; "
        f"{format_seconds(seconds)}"
    )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputFileError(f"{path}: cannot be written ({error.strerror})") from None
