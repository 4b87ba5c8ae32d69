"""A straight vessel placed by its distance from the tumour, as geometries of a sweep are."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from ablasim.scenario.fields import Length, Point, Section, fault

Component = Annotated[float, Field(strict=True, ge=-1000, le=1000)]
Direction = tuple[Component, Component, Component]

PERPENDICULAR = 1e-3
"""Largest cosine between the two directions that still counts as a right angle."""


class BesideTumour(Section):
    """A straight vessel that passes a spherical tumour."""

    distance_mm: Annotated[float, Field(strict=True, gt=0, le=200)] = Field(
        description="from the tumour's surface to the vessel's wall, where they are nearest [mm]"
    )
    side: Direction = Field(
        default=(1.0, 0.0, 0.0), description="direction from the tumour's centre to the vessel"
    )
    flow: Direction = Field(
        default=(0.0, 0.0, 1.0), description="direction of flow, at a right angle to side"
    )
    length_mm: Length = Field(
        default=120.0, description="of the vessel, half of it on either side of the tumour [mm]"
    )

    @model_validator(mode="after")
    def _directions_are_perpendicular(self) -> Self:
        for name in ("side", "flow"):
            if math.hypot(*getattr(self, name)) == 0.0:
                raise fault(f"got {name} [0, 0, 0]; must point somewhere, for example [1, 0, 0]")
        across, along = _unit(self.side), _unit(self.flow)
        cosine = sum(a * b for a, b in zip(across, along, strict=True))
        if abs(cosine) > PERPENDICULAR:
            raise fault(
                f"got side {list(self.side)} and flow {list(self.flow)}, which meet at"
                f" {math.degrees(math.acos(cosine)):.0f} degrees; must be 90: change one of them"
            )
        return self

    def path(self, centre: Point, reach: float) -> tuple[Point, Point]:
        """The ends of the centre line [mm].

        Args:
            centre: of the tumour [mm].
            reach: radius of the tumour and outer radius of the vessel together [mm].
        """
        across, along = _unit(self.side), _unit(self.flow)
        away = reach + self.distance_mm
        first, last = (
            tuple(
                c + away * a + end * self.length_mm * b
                for c, a, b in zip(centre, across, along, strict=True)
            )
            for end in (-0.5, 0.5)
        )
        return (first[0], first[1], first[2]), (last[0], last[1], last[2])


def _unit(vector: Point) -> Point:
    norm = math.hypot(*vector)
    return (vector[0] / norm, vector[1] / norm, vector[2] / norm)
