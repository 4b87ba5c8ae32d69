"""Which problems can be solved at once.

They may differ in their materials, in the coefficients of their walls, in the temperature that ends
perfusion, in the strength of the drive and in the absorption. What follows what it measures
(pulses, control of temperature), and antennas whose field follows the tissue, go through their
events at moments of their own: they are solved one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablasim.physics.generator import Generator, GeneratorState
from ablasim.physics.generator_steps import SwitchedGenerator
from ablasim.physics.problem import BioheatProblem

FOLLOWING = ("excess", "after_step", "ended")
"""Methods of a generator that only one with feedback has of its own."""


class NotBatchable(Exception):
    """These problems must be solved one by one; says why."""


def refuse_different(problems: Sequence[BioheatProblem]) -> None:
    """Raise NotBatchable where problems cannot be solved at once."""
    first = problems[0]
    generator = first.generator
    while isinstance(generator, SwitchedGenerator):
        generator = generator.inside
    kind = type(generator)
    if any(getattr(kind, name) is not getattr(Generator, name) for name in FOLLOWING):
        raise NotBatchable(f"{kind.__name__} follows what it measures")
    if first.microwave is not None:
        raise NotBatchable("the antennas' field follows the tissue")
    for problem in problems[1:]:
        for what, same in _sameness(first, problem).items():
            if not same:
                raise NotBatchable(f"problems differ in {what}")


def _sameness(one: BioheatProblem, two: BioheatProblem) -> dict[str, bool]:
    """What must agree in a batch."""

    def alike(a: object, b: object) -> bool:
        return a is b or np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)

    start = GeneratorState()
    drives = [p.generator.drive(start, 0.0) for p in (one, two)]
    electrodes = (one.electrodes is None) == (two.electrodes is None)
    if one.electrodes is not None and two.electrodes is not None:
        electrodes = (
            alike(one.electrodes.active, two.electrodes.active)
            and alike(one.electrodes.grounded, two.electrodes.grounded)
            and one.electrodes.circuits == two.electrodes.circuits
        )
    return {
        "their mesh": one.mesh is two.mesh
        or (
            alike(one.mesh.points, two.mesh.points)
            and alike(one.mesh.cells, two.mesh.cells)
            and alike(one.mesh.cell_region, two.mesh.cell_region)
        ),
        "their walls": len(one.walls) == len(two.walls)
        and all(alike(a.faces, b.faces) for a, b in zip(one.walls, two.walls, strict=True)),
        "their generator": type(one.generator) is type(two.generator)
        and one.generator.duration == two.generator.duration
        and drives[0].off == drives[1].off
        and drives[0].turn == drives[1].turn,
        "their electrodes": electrodes,
        "their death models": one.laws.death == two.laws.death,
        "the vaporisation band": one.laws.vaporisation_band == two.laws.vaporisation_band,
        "the fall of sigma": one.laws.sigma_drop == two.laws.sigma_drop,
        "the initial temperature": alike(one.initial_temperature, two.initial_temperature),
        "what is held": alike(one.fixed_temperature, two.fixed_temperature),
        "their kind of heat": (one.absorption is None) == (two.absorption is None),
        "their antennas": two.microwave is None,
        "whether tissue is perfused": one.materials.perfusion.any()
        == two.materials.perfusion.any(),
    }
