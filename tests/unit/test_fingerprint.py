"""A checkpoint must not be taken for that of another problem."""

from dataclasses import replace

import numpy as np
import pytest

from ablasim.physics.blood import BloodTree
from ablasim.physics.generator import ConstantGenerator, Drive, Generator
from ablasim.physics.generator_steps import StepsGenerator
from ablasim.physics.problem import BioheatProblem, Laws, Materials, Stream, Wall
from ablasim.verify.patches import box

ONE = np.ones(1)
DRIVES = (Drive(power=1.0), Drive(power=2.0))


def problem(generator: Generator) -> BioheatProblem:
    """A small problem with a generator."""
    line = np.linspace(0.0, 1e-2, 3)
    return BioheatProblem(box((line, line, line)), Materials(*[ONE] * 9), Laws(), generator)


@pytest.mark.parametrize(
    "other",
    [
        StepsGenerator(DRIVES, (1.02, 3.0)),
        StepsGenerator(DRIVES[:1], (1.0,)),
        ConstantGenerator("power", 1.0, 23.0),
    ],
)
def test_other_generators_have_other_fingerprints(other: Generator) -> None:
    """Catches numbers that are put together without anything between them."""
    first = problem(StepsGenerator(DRIVES, (1.0, 23.0)))
    assert first.fingerprint() == replace(first).fingerprint()
    assert problem(other).fingerprint() != first.fingerprint()


def test_other_trees_of_blood_have_other_fingerprints() -> None:
    """Catches nested numbers that are put together without their groups."""

    def with_feeders(*feeders: tuple[int, ...]) -> BioheatProblem:
        tree = BloodTree((0, 1, 2), (1.0, 1.0, 1.0), feeders)
        nowhere = np.zeros((1, 2), dtype=np.int32)
        stream = Stream(tree, nowhere, np.full((1, 2), 0.5), (False,) * 3)
        plain = problem(ConstantGenerator("power", 1.0, 1.0))
        faces = plain.mesh.surface_faces("low0")
        return replace(plain, walls=(Wall("wall", "vessel", faces, 1.0, 37.0, stream),))

    chain, confluence = with_feeders((), (0,), (1,)), with_feeders((), (0, 1), ())
    assert chain.fingerprint() != confluence.fingerprint()
