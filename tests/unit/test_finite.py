"""Numbers that are not finite are refused by name before anything is solved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simple_meshes import box_mesh

from ablasim.errors import UsageError
from ablasim.physics.finite import not_finite, refuse_not_finite
from ablasim.physics.generator import ConstantGenerator
from ablasim.physics.problem import BioheatProblem, Laws, Materials, Wall
from ablasim.solve import solve


@pytest.fixture
def problem() -> BioheatProblem:
    one = np.ones(1)
    return BioheatProblem(
        mesh=box_mesh(2, 0.01),
        materials=Materials(*[one] * 9),
        laws=Laws(),
        generator=ConstantGenerator("power", 1.0, 1.0),
        walls=(Wall("vessel.v", "vessel", np.zeros((0, 3), dtype=np.int32), 1.0, 37.0),),
    )


def test_a_sound_problem_passes(problem: BioheatProblem) -> None:
    """Catches NaN that is refused where it says that a point is free."""
    assert not_finite(problem) == ()
    held = np.array([np.nan, 37.0])
    assert not_finite(replace(problem, fixed_temperature=held)) == ()
    for value in (np.inf, -np.inf):
        held = np.array([np.nan, value])
        assert not_finite(replace(problem, fixed_temperature=held)) == ("fixed_temperature",)


@pytest.mark.parametrize("engine", ["jax", "dolfinx"])
def test_a_material_is_named_with_its_region(problem: BioheatProblem, engine: str) -> None:
    wrong = replace(problem.materials, conductivity=np.array([np.nan]))
    with pytest.raises(UsageError, match=r"not finite: materials\.conductivity \(liver\)"):
        solve(replace(problem, materials=wrong), engine=engine)


def test_every_fault_is_named(problem: BioheatProblem) -> None:
    wall = replace(problem.walls[0], coefficient=np.array([1.0, np.inf]))
    wrong = replace(
        problem,
        walls=(wall,),
        blood_temperature=np.nan,
        source=np.array([np.nan]),
        fixed_temperature=np.array([np.inf]),
    )
    with pytest.raises(UsageError) as caught:
        refuse_not_finite(wrong)
    for name in ("vessel.v: coefficient", "blood_temperature", "source", "fixed_temperature"):
        assert name in str(caught.value)


def test_nan_is_no_rule(problem: BioheatProblem) -> None:
    """Catches a rule that is never met: infinity says so, NaN is a fault."""
    assert not_finite(replace(problem, laws=Laws(perfusion_shutdown=np.inf))) == ()
    wrong = replace(
        problem,
        laws=Laws(perfusion_shutdown=np.nan),
        generator=ConstantGenerator("power", np.nan, 1.0),
    )
    assert not_finite(wrong) == ("laws.perfusion_shutdown", "generator.setpoint")
