"""Which samples are computed together: those in which the same rule ends perfusion.

All samples of a chunk take the steps of the most demanding one. Microwaves beside a hepatic vein
(50 334 points) take 130 to 172 steps where heat ends perfusion at 60 °C and 64 to 81 where nothing
does; and where nothing does there is less to compute in a step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUP = 2
"""Chunks among which the samples of a study are divided, one group of samples after the other. Two
chunks of Sobol points have as many samples of each of two equally likely rules; a study is then as
far after every group as it would be with its samples in their own order."""


def companions(rules: NDArray[Any], chunk: int) -> list[NDArray[np.int64]]:
    """The samples of every chunk, each in the order of the study.

    Of a group those come first that take longest: the processes then end at about the same time.

    Args:
        rules: what ends perfusion in each sample (N,).
        chunk: samples that are computed together.
    """
    names, found = rules.astype(str), []
    for start in range(0, len(names), GROUP * chunk):
        part = names[start : start + GROUP * chunk]
        order = start + np.lexsort((part, part == "none"))
        found += [np.sort(order[first : first + chunk]) for first in range(0, len(order), chunk)]
    return found
