"""What a long job tells whoever waits for it: one small event, passed to one callback."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """State of a job at one moment.

    Attributes:
        stage: Short name of the step under way: "mesh", "compile", "solve", "assess", "output".
        fraction: How much of this stage is done, 0 to 1.
        message: One line for a person; may be empty.
        time_s: Simulated time [s], while solving.
        duration_s: Simulated time at the end of the protocol [s], while solving.
        peak_C: Highest temperature reached so far [°C], while solving.
        lethal_ml: Volume of the lethal zone so far [ml], while solving.
    """

    stage: str
    fraction: float
    message: str = ""
    time_s: float | None = None
    duration_s: float | None = None
    peak_C: float | None = None
    lethal_ml: float | None = None


ProgressCallback = Callable[[Progress], None]
