"""How long the time steps may be, and when a run is given up; numbers of the time loop."""

from __future__ import annotations

from dataclasses import dataclass

from ablasim.physics.generator import EVENT_TOLERANCE

FIRST_STEP = 0.05
"""First step of a run [s]; the controller lengthens it quickly."""

EVENT_PER_KELVIN = 2.0
"""The time of an event [s] is known to so much per kelvin of the error of a step: tissue that dries
under a generator's limit changes by kelvins in a second."""

STEP_AFTER_SWITCH = 0.5
"""First step [s] after the drive went on or off or to other electrodes."""

DRIED_STEP = 2.0
"""Longest step [s] while tissue dries under a generator that cannot roll off, from DRIED_VOLUME on
(where it can, see `Engine.watched_step`). In rf_bipolar, with the time tolerance of a
preview, steps up to 15 s made a zone 5.2 % too large, and two runs that differed by rounding ended
1 % apart; with steps up to 2 s it is 0.2 %, and they end 0.06 % apart, for twice the time. A
standard run takes such steps of its own accord."""

DRIED_VOLUME = 5.0e-8
"""Dried volume [m3] that limits the steps to DRIED_STEP (50 mm3). Where less has dried, longer ones
change little: 0.004 mm of margin at most in samples beside a portal vein with 12 to 28 mm3. In
rf_bipolar, with up to 380 mm3, waiting for it makes the zone 0.07 % larger."""

FINE_K = 0.002
"""Tolerance [K] from which the steps are short enough for the heat of dried points to follow the
potential with the delay of the law alone (`physics.electric.DRYING_SECONDS`), however far that
carries it in one step, and from which what dries is resolved point by point. The first roll-off of
rf_impedance_pulsed is then at 160.371 s with 0.002 and 0.001 K in the engine jax, and at 160.373 s
in the engine dolfinx. Carried at most DRIED_GAIN in one step, it was at 160.293 and 160.323 s; not
so limited, with 0.05 K, the heat swings, and the roll-off comes 5 s late."""

FINE_EVENT_PER_KELVIN = 0.2
"""EVENT_PER_KELVIN for steps that fine: the roll-offs of a pulse must not come by chance."""

LEVEL_CHANGE = 2.0
"""Factor of the power from which a change of the drive's level counts as such a switch."""

SHORTEST_STEP = 1e-8
"""Step [s] at which the run is given up. A layer that dries all around a needle under a held power
doubles the impedance within 0.2 ms, by steps of 8 microseconds."""

MOST_CHANGE = 0.1
"""Relative change of the load over a step: drying tissue must not outrun the step."""

MOST_SHIFT = 1.0
"""Most that a point's local error counts with [K]. A few points at the electrode's corners leave
the vaporisation band abruptly, with errors of tens of kelvin that depend on the mesh: they must
not drive the step, while a whole dried region still does by its volume."""

LEAST_HEATED = 1.0e-7
"""Floor of the heated volume [m3] over which the error of a step is averaged (0.1 ml)."""

HOT_VOLUME = 1.0e-8
"""The `peak_C` of progress and history is exceeded in this volume [m3] (10 mm3): the corner at the
end of an electrode is a singularity, and the plain maximum would measure the mesh."""

LETHAL_C = 60.0
"""Level of the lethal volume that progress and history show where no criterion is given [°C]."""

POTENTIAL_LIMIT = 1e-4
"""Relative residual at which the potential counts as failed; the engine has tried to mend it, and
asks for a tenth of that at most. The statistics hold the largest."""

HOPELESS = 1e5
"""Error [K] of a step whose equations the engine could not solve: it is not accepted even where the
length of the steps is fixed."""

SAFETY, SHRINK, GROW = 0.9, 0.2, 2.0
"""Of the step controller: aim below the tolerance, and change the step by these factors at most."""


@dataclass(frozen=True)
class StepControl:
    """Numbers of the step control.

    Attributes:
        tolerance: local error per step, root mean square over the heated tissue [K].
        longest: longest step [s].
        fixed: constant step [s] without error control, for convergence tests.
    """

    tolerance: float = 0.02
    longest: float = 15.0
    fixed: float | None = None

    @property
    def event(self) -> float:
        """Time [s] within which the crossing of a generator's limit is located."""
        located = FINE_EVENT_PER_KELVIN if self.fine_steps else EVENT_PER_KELVIN
        return min(EVENT_TOLERANCE, located * self.tolerance)

    @property
    def fine_steps(self) -> bool:
        """Whether the steps are so short that the heat of dried points follows the potential with
        the delay of the law alone, events are located closer, and the engine jax solves the
        potential closer."""
        return self.fixed is None and self.tolerance <= FINE_K
