"""`ablasim info`: the catalogue with its sources as a table or JSON, and the scenario's schema."""

from __future__ import annotations

from typing import Annotated

import typer

from ablasim.cli_options import Debug, Json, Kind
from ablasim.cli_output import print_json, print_rows
from ablasim.errors import UsageError


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
