"""A worker process of a study: computes the chunks of samples it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ablasim.study.worker import Work, serve

WORKER = "ablasim.study.chunk_worker"


def load(directory: Path) -> Work:
    """Read the plan in a directory, which whoever asks has just made.

    Raises:
        InputFileError: whoever asks runs another ablasim.
        ResourceError: a file cannot be read again.
    """
    from ablasim.progress import Progress
    from ablasim.study.answer import answer, judged
    from ablasim.study.plan_files import read_plan
    from ablasim.study.sampling import compute_chunk

    plan, store = read_plan(directory)

    def work(number: int, tell: Callable[[float], None]) -> dict[str, Any]:
        def heard(event: Progress) -> None:
            if event.stage == "solve":
                tell(event.fraction)

        try:
            store.save(number, compute_chunk(plan, number, heard))
        except Exception as error:
            return answer(number, *judged(error))
        return answer(number)

    return work


if __name__ == "__main__":
    serve(load)
