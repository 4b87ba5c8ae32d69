"""Refuse a problem with numbers that are not finite, by their names."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
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
        if wall.stream is not None:
            yield from _without_nan(f"{wall.name}: stream", wall.stream)
    yield from _without_nan("laws.perfusion_shutdown", problem.laws.perfusion_shutdown)
    yield from _without_nan("generator", problem.generator)
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


def _without_nan(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The numbers of something, and of what it holds; infinity means without limit."""
    if is_dataclass(value):
        for field in fields(value):
            yield from _without_nan(f"{name}.{field.name}", getattr(value, field.name))
    elif isinstance(value, tuple | list):
        for number, item in enumerate(value):
            yield from _without_nan(f"{name}[{number}]", item)
    elif isinstance(value, int | float | np.number | np.ndarray):
        array = np.asarray(value)
        if array.dtype.kind in "biuf":
            yield name, np.where(np.isnan(array), np.nan, 0.0)
