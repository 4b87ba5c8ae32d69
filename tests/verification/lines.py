"""Lines of grid points."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def graded(start: float, stop: float, first: float, largest: float, growth: float = 1.15) -> Floats:
    """A line from start to stop whose intervals grow from `first` up to `largest`."""
    steps, size = [], first
    while sum(steps) < stop - start:
        steps.append(size)
        size = min(size * growth, largest)
    line = start + np.append(0.0, np.cumsum(steps)) * (stop - start) / sum(steps)
    line[-1] = stop
    return line
