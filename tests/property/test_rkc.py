"""Steps of one problem and of many take the same stages, two at a time or one by one."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest
from test_solver_properties import ablation, block

from ablasim.solve.batch_setup import widened
from ablasim.solve.jax_engine import JaxEngine
from ablasim.solve.kernels import put
from ablasim.solve.rkc import MOST_STAGES, coefficients, rkc_step


@pytest.fixture(scope="module")
def engine() -> JaxEngine:
    return JaxEngine(ablation(block()), device="cpu")


@pytest.mark.parametrize("stages", [2, 3, 4, 7])
def test_many_problems_take_the_stages_of_one(engine: JaxEngine, stages: int) -> None:
    heat = replace(engine.heat, blood=None)
    count = len(heat.volume)
    temperature = np.linspace(37.0, 110.0, count)
    enthalpy = np.asarray(heat.enthalpy(put(temperature)))
    source = np.linspace(0.0, 1e-3, count)
    numbers = (put(0.01), put(stages, "int32"), put(coefficients(stages)))
    one = rkc_step(heat, put(enthalpy), put(source), *numbers)
    two = np.stack([enthalpy, enthalpy], axis=-1)
    together = widened(heat)
    with jax.numpy_rank_promotion("allow"):  # as in a batch: numbers meet fields
        many = rkc_step(together, put(two), put(np.stack([source, source], axis=-1)), *numbers)
    assert float(np.abs(np.asarray(one[0]) - enthalpy).max()) > 1e3, "something must happen"
    # The error is a difference of enthalpies, whose rounding it has.
    rounding = (0.0, 1e-15 * np.abs(enthalpy).max(), 0.0, 0.0, 0.0)
    alone = (one[0], one[1], *one[2])
    each = (many[0], many[1], *many[2])
    for a, b, noise in zip(alone, each, rounding, strict=True):
        size = float(np.abs(np.asarray(a)).max(initial=0.0))
        for column in np.moveaxis(np.asarray(b), -1, 0):
            np.testing.assert_allclose(column, a, rtol=1e-10, atol=1e-12 * size + noise)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_no_stage_takes_from_what_stays(dtype: str) -> None:
    """Where nothing flows, enthalpy stays to the bit. Catches weights that are rounded one by one:
    their sum misses 1 by 1e-7 in single precision, in every stage of every step."""
    for stages in range(2, MOST_STAGES + 1):
        table = coefficients(stages, dtype).astype(dtype)
        assert {math.fsum(map(float, row[:3])) for row in table[2:-1]} == {1.0}
