"""A worker process of a sweep: computes the cases it is told, and those that go with them."""

from __future__ import annotations

from pathlib import Path

from ablasim.revision import require_revision
from ablasim.study.worker import Work, serve

WORKER = "ablasim.study.sweep_worker"


def load(directory: Path) -> Work:
    """Open the sweep in a directory.

    Raises:
        InputFileError: it is no sweep, or one that another ablasim planned.
    """
    import ablasim.run  # noqa: F401  # the slow part, before the first answer
    from ablasim.study.sweep_case import compute_piece
    from ablasim.study.sweep_frozen import open_sweep

    sweep = open_sweep(directory)
    require_revision(sweep.version)
    return lambda number, _: compute_piece(sweep, number)


if __name__ == "__main__":
    serve(load)
