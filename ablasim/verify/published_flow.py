"""Published experiments with a tube through which liquid flows: G4, G5.

All runs of a distance share one mesh, so that what differs is what the liquid does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from ablasim.anatomy import build_anatomy
from ablasim.frames import CM_PER_S, MM
from ablasim.mesh import cached_mesh
from ablasim.physics.binding import build_problem
from ablasim.verify.case import VALUE, Case, Row, Tolerance, at_least, at_most
from ablasim.verify.runner import inner_progress
from ablasim.verify.runs import scenario, stages_of, unpublished
from ablasim.verify.scenes import Floats

TITLE = "Published experiments: liquid in a tube"

INNER = 3.4 * MM
ML_MIN = 1e-6 / 60.0
LEVEL = 60.0

ALL_OF_IT, SOME_OF_IT = 0.9, 0.1
"""Shares of the full effect that count as all of it, and as any."""


@dataclass(frozen=True)
class Cut:
    """What is cut open after an ablation, across the probe at the middle of its heat.

    Attributes:
        radius: of the zone towards the tube, from the probe's axis [m].
        area: of the zone [m2].
        volume: of the whole zone [m3].
    """

    radius: float
    area: float
    volume: float


def velocity(flow: float) -> float:
    """Mean velocity in the tube [cm/s] at a flow [ml/min]."""
    return flow * ML_MIN / (0.25 * math.pi * INNER**2) / CM_PER_S


@cache
def zone(name: str, axis_mm: float, flow: float, *, warming: bool = True) -> Cut:
    """The zone of a scenario with its tube at a distance [mm] and a flow [ml/min], 0 for none."""

    def changes(flow: float) -> Mapping[str, Any]:
        return {
            "numerics.resolution": "preview",
            "anatomy.vessels[0].path_mm": [[axis_mm, 0, -70], [axis_mm, 0, 70]],
            "anatomy.vessels[0].velocity_cm_s": velocity(flow),
            "physics.blood_warming": warming,
        }

    # the mesh is that of 10 ml/min throughout
    base = scenario(name, changes(10.0))
    mesh = cached_mesh(build_anatomy(base), base.numerics.resolution, progress=inner_progress())
    case = scenario(name, changes(flow or 10.0))
    anatomy = build_anatomy(case)
    problem = build_problem(case, anatomy, mesh)
    if not flow:
        walls = tuple(wall for wall in problem.walls if wall.kind != "vessel")
        problem = replace(problem, walls=walls)
    run = stages_of(case, anatomy, problem)
    return cut_of(mesh.points, run.peak, axis_mm * MM, run.zone(LEVEL).volume)


def cut_of(points: Floats, peak: Floats, axis: float, volume: float) -> Cut:
    """Radius towards the tube and area of the cut through z = 0."""
    from scipy.interpolate import LinearNDInterpolator

    near = (np.abs(points[:, 2]) < 5.0 * MM) & (np.hypot(points[:, 0], points[:, 1]) < 25.0 * MM)
    at = LinearNDInterpolator(points[near], peak[near])
    spacing = 0.2 * MM
    line = np.arange(-20.0 * MM, 20.0 * MM, spacing)
    x, y = np.meshgrid(line, line, indexing="ij")
    found = at(np.stack([x, y, np.zeros_like(x)], axis=-1))
    # what hot tissue surrounds counts as dead too: the probe is hollow, the tube is not liver
    in_tube = np.hypot(x - axis, y) < 0.5 * INNER
    area = float(((found >= LEVEL) & ~in_tube).sum()) * spacing**2
    ray = np.arange(1.5 * MM, axis, 0.02 * MM)
    course = at(np.stack([ray, np.zeros_like(ray), np.zeros_like(ray)], axis=-1))
    dead = ray[course >= LEVEL]
    return Cut(float(dead.max()) if len(dead) else 0.0, area, volume)


def effects(
    name: str, axis_mm: float, flows: tuple[float, ...], *, warming: bool = True
) -> tuple[float, ...]:
    """Area that is missing at flows, against none [m2]."""
    still = zone(name, axis_mm, 0.0, warming=True).area
    return tuple(still - zone(name, axis_mm, flow, warming=warming).area for flow in flows)


# -- G4: radiofrequency ---------------------------------------------------------------------------

FLOWS = (1.0, 2.0, 10.0, 100.0, 1000.0)
AXES_MM = (7.5, 10.0)


def g4() -> Iterator[Row]:
    """G4 at two distances of the tube."""
    for axis in AXES_MM:
        apart = f"axes {axis:g} mm apart"
        found = effects("g4_lehmann", axis, FLOWS)
        share = dict(zip(FLOWS, (effect / found[-1] for effect in found), strict=True))
        still = zone("g4_lehmann", axis, 0.0, warming=True).area
        yield unpublished(f"area of the cut without flow, {apart}", "mm2", still / MM**2)
        yield unpublished(f"area lost at {FLOWS[-1]:g} ml/min, {apart}", "mm2", found[-1] / MM**2)
        for flow in FLOWS[:-1]:
            yield unpublished(f"share of that at {flow:g} ml/min, {apart}", "1", share[flow])
        least = min(b - a for a, b in zip(found[:-1], found[1:], strict=True)) / found[-1]
        yield at_least(f"least rise of the share from flow to flow, {apart}", "1", 0.0, least)
        yield at_least(f"share at 1 ml/min, {apart}", "1", SOME_OF_IT, share[1.0])
        yield at_least(f"share at 10 ml/min, {apart}", "1", ALL_OF_IT, share[10.0])
        one, ten = effects("g4_lehmann", axis, (1.0, 10.0), warming=False)
        yield at_least(
            f"effect at 1 over that at 10 ml/min if the liquid never warmed, {apart}",
            "1", ALL_OF_IT, one / ten,
        )  # fmt: skip
        yield at_most(
            f"effect at 1 over that at 10 ml/min, liquid that warms, {apart}",
            "1", ALL_OF_IT, share[1.0] / share[10.0],
        )  # fmt: skip


CASES = (
    Case(
        name="G4",
        title="Bipolar needle, 30 W, 15 kJ, beside a glass tube with 1 to 1000 ml/min",
        kind="published",
        source="Lehmann 2016, 10.1002/jhbp.370: cooling from 1 ml/min, at its maximum from 10 "
        "ml/min, the same up to 1500 (radius and area of cross-sections)",
        catches="a liquid that stays at its inlet temperature, or a wall coefficient that grows "
        "with the flow as if it were turbulent",
        tolerances={VALUE: Tolerance(0.0)},
        compute=g4,
        remark="Criterion set beforehand: monotone, 90 % of the full effect at 10 ml/min. The "
        "effect is the loss of area of the 60 °C zone in the cut through the gap. Flows up to "
        "those of the laminar law: 1000 ml/min. Distance and glass are not in the abstract: two "
        "distances, wall of 0.5 mm. Preview resolution, one mesh per distance.",
    ),
)
