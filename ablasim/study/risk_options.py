"""How a study of risk is computed, checked before anything is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ablasim.errors import UsageError
from ablasim.solve import DTYPES

MOST_SAMPLES = 65_536


@dataclass(frozen=True)
class RiskOptions:
    """The numbers and choices of a study that are none of its scenario's.

    Attributes:
        samples: most of them.
        seed: of their sequence.
        device, dtype: of the samples' solver.
        max_memory: limit of the processes that compute them [GB].
        workers: most processes.
        heat_sink: whether vessels are accounted for.
        vessels: names of those; None for the clinical rule.
        resume: whether finished chunks of an interrupted study are taken.
        all_samples: whether all are computed where the intervals are narrow enough before.
    """

    samples: int
    seed: int
    device: str
    dtype: str
    max_memory: float | None
    workers: int | None
    heat_sink: bool
    vessels: tuple[str, ...] | None
    resume: bool
    all_samples: bool

    def __post_init__(self) -> None:
        """Refuse what cannot be, with the command's names.

        Raises:
            UsageError: a number or a choice is out of its range.
        """
        if isinstance(self.vessels, str):
            raise UsageError(f"vessels: got {self.vessels!r}; must be a list of names")
        for name in ("samples", "seed", "workers"):
            object.__setattr__(self, name, _whole(name, getattr(self, name)))
        if self.max_memory is not None and not 0.0 < self.max_memory < math.inf:
            raise UsageError(
                f"--max-memory: got {self.max_memory:g}; must be a number of GB above 0"
            )
        if not 8 <= self.samples <= MOST_SAMPLES:
            raise UsageError(f"--samples: got {self.samples}; must be from 8 to {MOST_SAMPLES}")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed: got {self.seed}; must be from 0 to {2**32 - 1}")
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers: got {self.workers}; must be at least 1")
        if self.dtype not in DTYPES:
            raise UsageError(f"--dtype: got {self.dtype!r}; must be {' or '.join(DTYPES)}")
        if self.vessels and not self.heat_sink:
            raise UsageError("--vessel: got it with --no-heat-sink; leave one of them out")


def _whole(name: str, value: Any) -> int | None:
    """The same as a plain number, which JSON can hold; those of numpy are allowed."""
    if value is None and name == "workers":
        return None
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise UsageError(f"--{name}: got {value!r}; must be a whole number")
    return int(value)
