"""How far two solutions of one problem on one mesh are apart, as rows of a case.

    relative L2 = sqrt(sum V (T_a - T_b)^2 / sum V T_b^2),   T in °C, V the lumped volumes;

temperatures weigh with their scale, so the same over the rise above body temperature, which is
stricter, stands beside it. Surfaces: the largest distance of a vertex of one from the other, both
ways.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ablasim.assess import LethalZone, lethal_zone
from ablasim.assess.compare import surfaces_apart
from ablasim.assess.zone import ProbeAxis
from ablasim.frames import MM
from ablasim.physics.problem import BioheatProblem
from ablasim.solve import Solution
from ablasim.solve.step_control import LETHAL_C
from ablasim.verify.case import Row, Tolerance, absolute, relative
from ablasim.verify.scenes import Floats

MILLILITRE = 1e-6

LIMITS = {
    "temperature": Tolerance(1e-5),
    "volume": Tolerance(1e-3),
    "surface": Tolerance(0.05, "mm"),
    "surface at default tolerances": Tolerance(0.1, "mm"),
}
"""How far two engines may be apart: time errors driven down, and the surfaces as shipped."""


def relative_l2(volume: Floats, values: Floats, reference: Floats, zero: float = 0.0) -> float:
    """Relative L2 distance of two fields (n,) with lumped volumes (n,) [-]."""
    size = float((volume * (reference - zero) ** 2).sum())
    gap = float((volume * (values - reference) ** 2).sum())
    return math.sqrt(gap / size) if size > 0.0 else (0.0 if gap == 0.0 else math.inf)


def largest_distance(one: LethalZone, two: LethalZone) -> float:
    """Largest distance between two lethal surfaces [m]; infinite where only one is there."""
    found = surfaces_apart(one, two)
    if found is None:
        return 0.0 if one.is_empty and two.is_empty else math.inf
    return found.max


def field_rows(
    problem: BioheatProblem, jax: Solution, dolfinx: Solution, note: str
) -> Iterator[Row]:
    """Rows of the temperature at the end; `note` ends the name of the quantity."""
    volume = problem.lump(np.ones(len(problem.mesh.cells)))
    found, wanted = jax.temperature, dolfinx.temperature
    gap = relative_l2(volume, found, wanted)
    yield absolute(f"temperature, relative L2{note}", "1", 0.0, gap, "temperature")
    rise = relative_l2(volume, found, wanted, problem.blood_temperature)
    yield absolute(f"rise of temperature, relative L2{note}", "1", 0.0, rise, None)


def zone_rows(
    problem: BioheatProblem,
    probes: Sequence[ProbeAxis],
    jax: Solution,
    dolfinx: Solution,
    note: str,
    *,
    default: bool = False,
) -> Iterator[Row]:
    """Rows of the lethal zone; at default tolerances its surface alone is judged."""
    one, two = (lethal_zone(problem.mesh, s.peak, LETHAL_C, probes) for s in (jax, dolfinx))
    volumes = two.volume / MILLILITRE, one.volume / MILLILITRE
    judged = None if default else "volume"
    yield relative(f"zone volume{note}", "ml", *volumes, floor=1e-9, tolerance=judged)
    surface = "surface at default tolerances" if default else "surface"
    gap = largest_distance(one, two) / MM
    yield absolute(f"distance of the lethal surfaces{note}", "mm", 0.0, gap, surface)
