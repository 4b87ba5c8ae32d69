"""Refuse a problem with numbers that are not finite, by their names."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from ablasim.errors import UsageError
from ablasim.physics.problem import BioheatProblem


def refuse_not_finite(problem: BioheatProblem) -> None:
    """Raise for NaN or infinity in what must be finite.

    Raises:
        UsageError: names every such quantity, materials with their regions.
    """
    faults = not_finite(problem)
    if faults:
        raise UsageError(
            f"the problem has numbers that are not finite: {'; '.join(faults)}; give finite values"
        )


def not_finite(problem: BioheatProblem) -> tuple[str, ...]:
    """Names of the quantities with NaN or infinity, materials with their regions."""
    faults = [name for name, value in _numbers(problem) if not np.isfinite(value).all()]
    for field in fields(problem.materials):
        values = np.asarray(getattr(problem.materials, field.name))
        bad = np.flatnonzero(~np.isfinite(values))
        regions = ", ".join(problem.mesh.regions[i] for i in bad)
        if len(bad):
            faults.append(f"materials.{field.name} ({regions})")
    return tuple(faults)


def _numbers(problem: BioheatProblem) -> Iterator[tuple[str, Any]]:
    """Names and values that must be finite; a held temperature may be NaN where a point is free."""
    yield "mesh.points", problem.mesh.points
    yield "laws.sigma_drop", problem.laws.sigma_drop
    yield "laws.vaporisation_band", np.array(problem.laws.vaporisation_band)
    for wall in problem.walls:
        yield f"{wall.name}: coefficient", np.asarray(wall.coefficient)
        yield f"{wall.name}: temperature", wall.temperature
    for name in ("blood_temperature", "initial_temperature", "absorption", "source", "sensors"):
        value = getattr(problem, name)
        if value is not None:
            yield name, np.asarray(value)
    if problem.electrodes is not None:
        yield "electrodes.far_field", problem.electrodes.far_field
    if problem.fixed_temperature is not None:
        yield (
            "fixed_temperature",
            np.nan_to_num(problem.fixed_temperature, posinf=math.inf, neginf=-math.inf),
        )
