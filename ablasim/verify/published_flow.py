"""Published experiments with a tube through which liquid flows: G4, G5.

All runs of a distance share one mesh, so that what differs is what the liquid does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from ablasim.anatomy import build_anatomy
from ablasim.frames import CM_PER_S, MM
from ablasim.mesh import cached_mesh
from ablasim.physics.binding import build_problem
from ablasim.scenario.anatomy import Vessel
from ablasim.verify.case import VALUE, Case, Row, Tolerance, at_least, at_most
from ablasim.verify.runner import inner_progress
from ablasim.verify.runs import scenario, stages_of, unpublished
from ablasim.verify.scenes import Floats

TITLE = "Published experiments: liquid in a tube"

ML_MIN = 1e-6 / 60.0
LEVEL = 60.0

CORRELATION = "hausen"
"""That of a scenario which names none."""

ALL_OF_IT, SOME_OF_IT = 0.9, 0.1
"""Shares of the full effect that count as all of it, and as any."""


def velocity(flow: float, inner_mm: float) -> float:
    """Mean velocity [cm/s] of a flow [ml/min] in a tube of an inner diameter [mm]."""
    return flow * ML_MIN / (0.25 * math.pi * (inner_mm * MM) ** 2) / CM_PER_S


def tube_of(name: str) -> Vessel:
    """The tube of a scenario."""
    anatomy = scenario(name).anatomy
    assert anatomy is not None
    (tube,) = anatomy.vessels
    return tube


@cache
def zone_area(name: str, axis_mm: float, flow: float, warming: bool, correlation: str) -> float:
    """Area of the zone in the cut [m2], tube at a distance [mm], flow in ml/min, 0 for none."""
    tube = tube_of(name)

    def changes(flow: float) -> Mapping[str, Any]:
        return {
            "numerics.resolution": "preview",
            "anatomy.vessels[0].path_mm": [[axis_mm, 0, -70], [axis_mm, 0, 70]],
            "anatomy.vessels[0].velocity_cm_s": velocity(flow, tube.diameter_mm),
            "anatomy.vessels[0].correlation": correlation,
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
    return cut_area(mesh.points, run.peak, axis_mm * MM, 0.5 * tube.outer_diameter_mm * MM)


def cut_area(points: Floats, peak: Floats, axis: float, tube: float) -> float:
    """Area [m2] of the zone in the cut z = 0, beside a tube of a radius at x = `axis` [m]."""
    from scipy.interpolate import LinearNDInterpolator

    near = (np.abs(points[:, 2]) < 5.0 * MM) & (np.hypot(points[:, 0], points[:, 1]) < 25.0 * MM)
    at = LinearNDInterpolator(points[near], peak[near])
    spacing = 0.2 * MM
    line = np.arange(-20.0 * MM, 20.0 * MM, spacing)
    x, y = np.meshgrid(line, line, indexing="ij")
    found = at(np.stack([x, y, np.zeros_like(x)], axis=-1))
    # what hot tissue surrounds counts as dead too: the probe is hollow, the tube is not liver
    in_tube = np.hypot(x - axis, y) < tube
    return float(((found >= LEVEL) & ~in_tube).sum()) * spacing**2


def without_flow(name: str, axis_mm: float) -> float:
    """Area of the zone in the cut [m2] beside a tube that takes no heat."""
    return zone_area(name, axis_mm, 0.0, True, CORRELATION)


def effects(
    name: str,
    axis_mm: float,
    flows: tuple[float, ...],
    *,
    warming: bool = True,
    correlation: str = CORRELATION,
) -> tuple[float, ...]:
    """Area that is missing at flows, against none [m2]."""
    still = without_flow(name, axis_mm)
    return tuple(still - zone_area(name, axis_mm, flow, warming, correlation) for flow in flows)


# -- G4: radiofrequency ---------------------------------------------------------------------------

G4, G5 = "g4_lehmann", "g5_tube_beside_antenna"
FLOWS = (1.0, 2.0, 10.0, 100.0, 1000.0)
AXES_MM = (7.5, 10.0)


def g4() -> Iterator[Row]:
    """G4 at two distances of the tube."""
    for axis in AXES_MM:
        apart = f"axes {axis:g} mm apart"
        found = effects(G4, axis, FLOWS)
        share = dict(zip(FLOWS, (effect / found[-1] for effect in found), strict=True))
        still = without_flow(G4, axis)
        yield unpublished(f"area of the cut without flow, {apart}", "mm2", still / MM**2)
        yield unpublished(f"area lost at {FLOWS[-1]:g} ml/min, {apart}", "mm2", found[-1] / MM**2)
        for flow in FLOWS[:-1]:
            yield unpublished(f"share of that at {flow:g} ml/min, {apart}", "1", share[flow])
        least = min(b - a for a, b in zip(found[:-1], found[1:], strict=True)) / found[-1]
        yield at_least(f"least rise of the share from flow to flow, {apart}", "1", 0.0, least)
        yield at_least(f"share at 1 ml/min, {apart}", "1", SOME_OF_IT, share[1.0])
        yield at_least(f"share at 10 ml/min, {apart}", "1", ALL_OF_IT, share[10.0])
        one, ten = effects(G4, axis, (1.0, 10.0), warming=False)
        yield at_least(
            f"effect at 1 over that at 10 ml/min if the liquid never warmed, {apart}",
            "1", ALL_OF_IT, one / ten,
        )  # fmt: skip
        yield unpublished(
            f"effect at 1 over that at 10 ml/min, liquid that warms, {apart}",
            "1",
            share[1.0] / share[10.0],
        )
    ten, full = effects(G4, axis, (10.0, FLOWS[-1]), correlation="developed")
    yield unpublished(
        f"share at 10 ml/min, coefficient of developed flow, {apart}", "1", ten / full
    )


# -- G5: microwaves -------------------------------------------------------------------------------

GAPS_MM = (5.0, 10.0, 20.0)
"""From the antenna's axis to the inner wall of the tube."""

MW_FLOWS = (2.0, 10.0, 500.0)
NOTHING = 0.01


def g5() -> Iterator[Row]:
    """G5: what distance and flow do to the cut."""
    tube = tube_of(G5)
    found = {}
    for gap in GAPS_MM:
        axis = gap + 0.5 * tube.diameter_mm
        still = without_flow(G5, axis)
        lost = [effect / still for effect in effects(G5, axis, MW_FLOWS)]
        found[gap] = lost
        for flow, share in zip(MW_FLOWS, lost, strict=True):
            yield unpublished(f"area lost at {flow:g} ml/min, tube {gap:g} mm away", "1", share)
        if gap < GAPS_MM[-1]:
            least = min(b - a for a, b in zip(lost[:-1], lost[1:], strict=True))
            yield at_least(f"least rise of it with flow, tube {gap:g} mm away", "1", 0.0, least)
    near, middle, far = (found[gap] for gap in GAPS_MM)
    yield at_least("area lost at 2 ml/min, tube 5 mm away", "1", NOTHING, near[0])
    yield at_least("area lost at 2 ml/min, tube 10 mm away", "1", NOTHING, middle[0])
    yield at_least("area lost at 500 ml/min, 5 mm against 10 mm", "1", middle[-1], near[-1])
    yield at_most("area lost at 500 ml/min, tube 20 mm away", "1", NOTHING, abs(far[-1]))


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
        "distances, wall of 0.5 mm. Tried: the coefficient of developed flow, which does not grow "
        "with the flow: last row; Graetz's law gives what Hausen's does. Likely "
        "cause: the law for developing flow goes on rising with the cube root of the flow, or "
        "cross-sections cannot tell the last fifth of the effect from all of it. "
        "Preview resolution, one mesh per distance.",
    ),
    Case(
        name="G5",
        title="Microwave antenna, 9 kJ, beside a glass tube of 5 mm at three distances",
        kind="published",
        source="Poch 2020 (effects with tubes 5 and 10 mm away, none at 20 mm), Neizert 2022, "
        "10.1038/s41598-022-21437-4 (cooling from 2 ml/min on)",
        catches="a tube that cools from any distance, or not at all",
        tolerances={VALUE: Tolerance(0.0)},
        compute=g5,
        remark="Only what does not depend on the antenna is judged, for that of the source "
        "(915 MHz) has no published inside: the pattern of the slot antenna stands for it, so "
        "sizes are shown and not judged. Criterion set beforehand: 1 % of the area counts as an "
        "effect, less as none. Preview resolution, one mesh per distance.",
    ),
)
