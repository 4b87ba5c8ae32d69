"""Run by mpirun: a problem solved by as many ranks as were started; rank 0 writes the fields."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from ablasim.physics.generator import ConstantGenerator
from ablasim.solve import StepControl, assist, solve
from ablasim.solve.dolfinx_engine import Options
from ablasim.team import team
from ablasim.verify.manufactured import smooth_transient

EXACT = Options(heat_tolerance=1e-13, potential_tolerance=1e-12)
"""Residuals that leave nothing but rounding."""


def main(out: Path) -> None:
    """Solve on all ranks."""
    if not team().leads:
        assist()
        return
    problem = smooth_transient("power")
    problem = replace(problem, generator=ConstantGenerator("power", 1.2, 24.0))
    control = StepControl(tolerance=0.002, longest=2.0)
    found = solve(problem, engine="dolfinx", control=control, options=EXACT)
    parts = {name: value for name, value in found.energy.items() if np.isfinite(value)}
    assert found.potential is not None and found.sigma is not None
    np.savez(
        out,
        ranks=found.statistics["ranks"],
        temperature=found.temperature,
        peak=found.peak,
        potential=found.potential,
        sigma=found.sigma,
        times=found.times,
        energy=np.array([parts["delivered_J"], parts["stored_J"], parts["perfusion_J"]]),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
