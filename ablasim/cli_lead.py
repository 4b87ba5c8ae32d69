"""How every command ends: one message, one exit code, alone or as one rank of a team."""

from __future__ import annotations

from collections.abc import Callable

from ablasim.cli_output import exit_code_of, report_error
from ablasim.errors import Interrupted
from ablasim.team import end_all, may_speak, one_voice


def lead(work: Callable[[], object], *, debug: bool = False) -> int:
    """Do the work of a command, alone or as one rank of a team; the exit code is the return value.

    One rank speaks; where several were started, a fault ends them all.
    """
    code = 0
    error: BaseException | None = None
    try:
        with one_voice():
            work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code == Interrupted.exit_code:
            error = KeyboardInterrupt()
    except (Exception, KeyboardInterrupt) as caught:
        error = caught
    if error is not None:
        code = report_error(error, debug=debug) if may_speak(error) else exit_code_of(error)
    end_all(code)
    return code
