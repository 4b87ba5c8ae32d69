"""What a worker process says of the work it was given."""

from __future__ import annotations

import errno
from typing import Any

from ablasim.errors import AblasimError, ResourceError
from ablasim.report.atomic import RESOURCE_ERRORS

INTERNAL_ERROR = 1


def answer(
    number: int, exit_code: int = 0, message: str = "", stop: bool = False
) -> dict[str, Any]:
    """Plain data on one piece of work.

    Args:
        number: of the case of a sweep, or of the chunk of samples.
        exit_code: 0 if it is there now.
        message: what went wrong.
        stop: whether the next one would meet the same trouble (no space left, no permission).
    """
    return {"case": number, "exit_code": exit_code, "message": message, "stop": stop}


def judged(error: Exception) -> tuple[int, str, bool]:
    """Exit code, message, and whether the place of the results is at fault."""
    cause = error.__cause__ if isinstance(error, ResourceError) else error
    stop = isinstance(cause, OSError) and cause.errno in RESOURCE_ERRORS
    if isinstance(error, AblasimError):
        return error.exit_code, str(error), stop
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return ResourceError.exit_code, f"not enough memory ({error or 'MemoryError'})", False
    if isinstance(error, OSError):
        lack = stop or error.errno == errno.ENOMEM
        return ResourceError.exit_code if lack else INTERNAL_ERROR, str(error), stop
    return INTERNAL_ERROR, f"a fault inside ablasim: {type(error).__name__}: {error}", False
