"""F7 and F8 with quadratic functions on the same meshes of standard sizes.

Linear functions are off by several per cent where a front has hardly arrived; these are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ablasim.physics.problem import BioheatProblem
from ablasim.solve import Solution, StepControl, solve
from ablasim.solve.dolfinx_options import Options
from ablasim.verify import thermal
from ablasim.verify.case import ONE_PER_CENT, VALUE, Case, Row, Tolerance
from ablasim.verify.runner import inner_progress
from ablasim.verify.scenes import solving_with

TITLE = "Quadratic functions (engine dolfinx)"

FLOOR = 0.01
"""Share of the step at the wall below which an error counts as a fraction of it: a front that has
not arrived is as small as one likes, 3e-8 K at one of the stated places."""


def by_quadratic(problem: BioheatProblem, control: StepControl | None) -> Solution:
    """The solution of the engine dolfinx with quadratic functions."""
    return solve(
        problem,
        engine="dolfinx",
        control=control,
        options=Options(degree=2),
        progress=inner_progress(),
    )


def rows(compute: Callable[..., Iterator[Row]]) -> Iterator[Row]:
    """A case's rows, solved with quadratic functions and steps whose error is far below."""
    with solving_with(by_quadratic):
        found = list(compute("standard", control=thermal.CONVERGED, floor=FLOOR))
    yield from found


def _case(name: str, like: str, compute: Callable[..., Iterator[Row]], step: float) -> Case:
    linear = next(case for case in thermal.CASES if case.name == like)
    return Case(
        name=name,
        title=f"{linear.title}, quadratic functions",
        kind="exact",
        source=linear.source,
        catches="a mass, conduction or wall matrix of quadratic functions with a wrong entry",
        tolerances={VALUE: Tolerance(ONE_PER_CENT)},
        compute=partial(rows, compute),
        needs_dolfinx=True,
        remark=thermal.FLOOR_SAYS.format(floor=FLOOR * step),
    )


CASES = (
    _case("F7-quadratic", "F7", thermal.perfused_slab, thermal.WALL),
    _case("F8-quadratic", "F8", thermal.warmed_wall, thermal.LIQUID),
)
