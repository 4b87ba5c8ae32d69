"""What every peer's script shares: its arguments, and the files it leaves for `peers.py`."""

from __future__ import annotations

import argparse
import json
import resource
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from peer_scheme import Control, integrate
from peer_space import Floats, Space


class Gathering(Space, Protocol):
    """A space that can bring values together on the first rank."""

    def gather(self, values: Floats) -> Floats | None:
        """Values in the mesh's own order on the first rank."""


def arguments(doc: str | None) -> argparse.Namespace:
    """CASE OUT --controls TOLERANCE:LAG[:STEP[:ORDER]] ... and the choices of form."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--controls", nargs="+", required=True)
    parser.add_argument("--joule", choices=("points", "cells"), default="points")
    parser.add_argument("--assembly", choices=("cells", "forms"), default="cells")
    return parser.parse_args()


def parse(text: str) -> Control:
    """TOLERANCE:LAG[:STEP[:ORDER]] as a Control."""
    parts = text.split(":")
    step = float(parts[2]) if len(parts) > 2 else 0.0
    order = int(parts[3]) if len(parts) > 3 else 2
    return Control(float(parts[0]), float(parts[1]), step, order)


def memory() -> float:
    """Largest memory of this process so far [GB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def run(
    space: Gathering,
    options: argparse.Namespace,
    *,
    setup: float,
    compilation: float,
    comm: Any = None,
) -> None:
    """Integrate at every accuracy; fields to OUT/<number>.npz, the rest to OUT/runs.json."""
    rows = []
    for number, text in enumerate(options.controls):
        outcome = integrate(space, parse(text))
        fields = [space.gather(values) for values in (outcome.temperature, outcome.peak)]
        if fields[0] is not None:
            np.savez(options.out / f"{number}.npz", temperature=fields[0], peak=fields[1])
        rows.append(
            {
                "control": text,
                "start_s": outcome.start_seconds,
                "solve_s": outcome.seconds,
                "impedance_ohm": 1.0 / outcome.conductance,
                **outcome.counts,
                "energy": outcome.energy,
            }
        )
    gigabytes = memory() if comm is None else comm.allreduce(memory())
    if comm is None or comm.rank == 0:
        content = {"setup_s": setup, "compile_s": compilation, "memory_GB": gigabytes, "runs": rows}
        (options.out / "runs.json").write_text(json.dumps(content))
