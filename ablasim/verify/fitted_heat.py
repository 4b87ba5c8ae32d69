"""A microwave antenna of unknown inside: its pattern of heat fitted to a table of diameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from ablasim.assess import lethal_zone
from ablasim.frames import MM
from ablasim.physics.binding import absorption_pattern, build_problem
from ablasim.physics.generator import Drive
from ablasim.run import place_in_mesh
from ablasim.scenario import Scenario
from ablasim.verify.scenes import Floats

STEP = 6.0
"""Time step [s]."""

LEVEL = 60.0
"""Edge of the zone [°C]."""


@dataclass(frozen=True)
class Pattern:
    """What is fitted.

    Attributes:
        attenuation: of the pattern [1/m].
        length: of the pattern along the shaft [m].
        share: of the generator's power that heats [1].
    """

    attenuation: float
    length: float
    share: float


class Bench:
    """One scenario in one mesh, run with any pattern and power."""

    def __init__(self, scenario: Scenario) -> None:
        from ablasim.solve.jax_engine import JaxEngine  # a list of cases needs no JAX

        self.anatomy, self.mesh = place_in_mesh(scenario)
        self.engine = JaxEngine(build_problem(scenario, self.anatomy, self.mesh), device="cpu")

    def diameters(self, pattern: Pattern, power: float, minutes: Sequence[int]) -> Floats:
        """Short and long diameter of the zone at minutes (m,) [m], (m, 2).

        Args:
            pattern: of the heat.
            power: of the generator [W].
            minutes: rising.
        """
        engine, (probe,) = self.engine, self.anatomy.probes
        assert probe.data.sar is not None
        sar = replace(
            probe.data.sar,
            attenuation=pattern.attenuation,
            axial_length=pattern.length,
            radial_offset=0.0,
        )
        fitted = replace(probe, data=replace(probe.data, sar=sar))
        engine.absorption = engine._point_values(absorption_pattern(self.mesh, fitted))
        wanted = {round(60.0 * minute / STEP) for minute in minutes}
        drive = Drive(power * pattern.share)
        state, found = engine.start(), []
        for step in range(1, max(wanted) + 1):
            state, report = engine.advance(state, STEP, drive)
            state = engine.accept(state, report, drive)
            if step in wanted:
                zone = lethal_zone(self.mesh, engine.peak(state), LEVEL, self.anatomy.probes)
                found.append((zone.short_axis, zone.long_axis))
        return np.array(found)


def fit(bench: Bench, power: float, minutes: Sequence[int], measured: Floats) -> Pattern:
    """The pattern whose diameters come nearest to measured ones (m, 2) [m]."""

    def misfit(x: Floats) -> Floats:
        found = bench.diameters(Pattern(x[0], x[1] * MM, x[2]), power, minutes)
        difference: Floats = ((found - measured) / MM).ravel()
        return difference

    best = least_squares(
        misfit,
        x0=(50.0, 14.0, 0.7),
        x_scale=(50.0, 10.0, 0.5),
        bounds=((5.0, 3.0, 0.2), (300.0, 40.0, 1.0)),
        diff_step=0.03,
        max_nfev=8,
    )
    return Pattern(float(best.x[0]), float(best.x[1]) * MM, float(best.x[2]))
