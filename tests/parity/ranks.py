"""Run by mpirun: a problem solved by as many ranks as were started; rank 0 writes what it found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ablasim.cli_lead import lead
from ablasim.physics.binding import build_problem
from ablasim.physics.generator import ConstantGenerator
from ablasim.physics.problem import BioheatProblem
from ablasim.run import place_in_mesh, step_control
from ablasim.solve import StepControl, assist, solve
from ablasim.solve.dolfinx_engine import Options
from ablasim.solve.dolfinx_start import start
from ablasim.team import team
from ablasim.verify.manufactured import smooth_transient
from ablasim.verify.runs import scenario

EXACT = Options(heat_tolerance=1e-13, potential_tolerance=1e-12)
"""Residuals that leave nothing but rounding."""

PARTS = ("delivered", "stored", "perfusion")

Given = tuple[BioheatProblem, StepControl, Options]


def smooth() -> Given:
    """Every term of the equation in a cube, fine steps."""
    problem = smooth_transient("power")
    problem = replace(problem, generator=ConstantGenerator("power", 1.2, 24.0))
    return problem, StepControl(tolerance=0.002, longest=2.0), EXACT


def quadratic() -> Given:
    """The same with quadratic functions, coarse steps."""
    problem, _, options = smooth()
    return problem, StepControl(tolerance=0.05, longest=6.0), replace(options, degree=2)


def shipped(name: str, seconds: float) -> Given:
    """The beginning of a scenario with the steps as shipped."""
    case = scenario(name, {"numerics.resolution": "preview", "protocol.duration_s": seconds})
    anatomy, mesh = place_in_mesh(case)
    return build_problem(case, anatomy, mesh), step_control(case), EXACT


PROBLEMS: dict[str, Callable[[], Given]] = {
    "smooth": smooth,
    "quadratic": quadratic,
    "trees": lambda: shipped("patient_like", 60.0),
    "antenna": lambda: shipped("mw_beside_hepatic_vein", 15.0),
    "tines": lambda: shipped("four_tine", 60.0),
}


def work() -> None:
    """Solve on all ranks."""
    start()
    if not team().leads:
        assist()
        return
    problem, control, options = PROBLEMS[sys.argv[2]]()
    found = solve(problem, engine="dolfinx", control=control, options=options)
    fields = {name: getattr(found, name) for name in ("potential", "sigma")}
    np.savez(
        Path(sys.argv[1]),
        ranks=found.statistics["ranks"],
        temperature=found.temperature,
        peak=found.peak,
        times=found.times,
        energy=np.array(
            [found.energy[f"{part}_J"] for part in ("delivered", "stored", "perfusion")]
        ),
        **{name: values for name, values in fields.items() if values is not None},
        **{f"damage_{name}": values for name, values in found.damage.items()},
    )


if __name__ == "__main__":
    sys.exit(lead(work))
