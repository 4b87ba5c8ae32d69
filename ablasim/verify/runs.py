"""Runs of shipped scenarios that a case looks at more closely than `run` does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ablasim.anatomy import Anatomy, build_anatomy
from ablasim.assess import LethalZone, lethal_zone
from ablasim.errors import ConvergenceError, InputFileError
from ablasim.frames import MM
from ablasim.mesh import TetMesh, cached_mesh
from ablasim.physics.binding import build_problem
from ablasim.physics.generator import ConstantGenerator
from ablasim.physics.problem import BioheatProblem
from ablasim.run import step_control
from ablasim.scenario import Scenario, load_scenario
from ablasim.solve import Solution
from ablasim.verify.case import Row
from ablasim.verify.runner import inner_progress, require
from ablasim.verify.scenes import Floats, end_of

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


def scenario(name: str, changes: Mapping[str, Any] | None = None) -> Scenario:
    """A scenario of the source tree, with changes.

    Raises:
        InputFileError: the source tree is not there, as in an installed package.
    """
    path = SCENARIOS / f"{name}.yaml"
    if not path.is_file():
        path = Path("scenarios") / f"{name}.yaml"
    if not path.is_file():
        raise InputFileError(
            f"scenarios/{name}.yaml: not found; run `ablasim verify` in the source tree, where the "
            "scenarios are"
        )
    return load_scenario(path, dict(changes or {}))


@dataclass(frozen=True, eq=False)
class Stages:
    """A run that stopped at several times.

    Attributes:
        anatomy: its shapes.
        problem: of the whole run.
        solutions: one per time [s]; each covers the time since the one before.
        peak: highest temperature over all (n,) [°C].
    """

    anatomy: Anatomy
    problem: BioheatProblem
    solutions: dict[float, Solution]
    peak: Floats

    @property
    def mesh(self) -> TetMesh:
        """Of the tissue."""
        return self.problem.mesh

    @property
    def last(self) -> Solution:
        """Up to the last time."""
        return list(self.solutions.values())[-1]

    def zone(self, level: float) -> LethalZone:
        """Where the peak reached a level [°C]."""
        return lethal_zone(self.mesh, self.peak, level, self.anatomy.probes)

    def heat(self, name: str) -> float:
        """A part of the heat account over the whole run [J]."""
        return float(sum(solution.energy[name] for solution in self.solutions.values()))

    def ring(self, time: float, radii: tuple[float, ...], height: float = 0.0) -> Floats:
        """Temperature around the z axis at radii (k,) [m] and a height [m], mean over angles."""
        from scipy.interpolate import LinearNDInterpolator

        points, field = self.mesh.points, self.solutions[time].temperature
        near = np.abs(points[:, 2] - height) < 4.0 * MM
        near &= np.hypot(points[:, 0], points[:, 1]) < max(radii) + 5.0 * MM
        at = LinearNDInterpolator(points[near], field[near])
        angle = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(24)], axis=1)
        rings = [at(radius * ring + [0.0, 0.0, height]).mean() for radius in radii]
        return np.array(rings, dtype=float)


def stages(case: Scenario, times: tuple[float, ...] = (), anatomy: Anatomy | None = None) -> Stages:
    """Run a scenario and keep its state at times [s], by default at its end.

    Args:
        case: what to run.
        times: rising; several only where perfusion never stops, since a stage starts without the
            memory of earlier peaks.
        anatomy: instead of the scenario's own.
    """
    shapes = anatomy or build_anatomy(case)
    mesh = cached_mesh(shapes, case.numerics.resolution, progress=inner_progress())
    return stages_of(case, shapes, build_problem(case, shapes, mesh), times)


def stages_of(
    case: Scenario, anatomy: Anatomy, problem: BioheatProblem, times: tuple[float, ...] = ()
) -> Stages:
    """The same for a problem that the caller has changed."""
    times = times or (case.protocol.duration_s,)
    laws = problem.laws
    by_dose = laws.death is not None and laws.death.stasis != "none"
    forgets = len(times) > 1 and (laws.perfusion_has_border or by_dose)
    require(not forgets, "perfusion that stops cannot be stepped through in stages")
    constant = problem.generator
    if not isinstance(constant, ConstantGenerator):
        raise ConvergenceError("only a constant drive can be stepped through in stages")
    solutions: dict[float, Solution] = {}
    now, peak, part = 0.0, np.full(len(problem.mesh.points), -np.inf), problem
    for time in times:
        generator = replace(constant, duration=time - now)
        solution = end_of(replace(part, generator=generator), step_control(case))
        solutions[time], peak = solution, np.maximum(peak, solution.peak)
        part, now = replace(problem, initial_temperature=solution.temperature), time
    return Stages(anatomy, problem, solutions, peak)


def unpublished(quantity: str, unit: str, computed: float) -> Row:
    """A number whose counterpart was published as a curve only."""
    return Row(quantity, unit, math.nan, computed, math.nan, None)
