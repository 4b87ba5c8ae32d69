"""`ablasim doctor`: what works on this machine, as a table or JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ablasim.cli_options import Debug, Json
from ablasim.cli_output import print_json
from ablasim.errors import ResourceError, UsageError


def doctor(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Only this check; repeatable."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Try what works on this machine and say what to do about the rest."""
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
