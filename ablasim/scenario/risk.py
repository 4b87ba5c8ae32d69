"""The section `risk`: what is uncertain and by how much, where the catalogue does not fit."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from ablasim.scenario.distributions import (
    Choice,
    Distribution,
    Fixed,
    FixedName,
    LogNormal,
    Names,
    Normal,
    Uniform,
)
from ablasim.scenario.fields import Section, fault, one_of

SHUTDOWN_RULES = ("peak_60C", "none")
"""Rules of perfusion that risk can choose between: those that cost no further integration."""

PEAK_CRITERIA = ("peak_60C", "peak_54C", "peak_50C")
"""Criteria of death that follow from the highest temperature alone."""

SCALES = {
    "perfusion_liver": (0.0, 1e6),
    "perfusion_tumour": (0.0, 1e6),
    "conductivity": (0.05, 10.0),
    "heat_capacity": (1e5, 2e7),
    "sigma": (1e-3, 10.0),
    "sigma_slope": (0.0, 0.1),
    "wall_coefficient": (1e-3, 1e3),
    "net_power": (0.01, 10.0),
    "probe_position": (-50.0, 50.0),
}
"""Values that each input can have, in its unit."""


class Risk(Section):
    """Distributions of the uncertain inputs; what is left out has the catalogue's prior."""

    perfusion_liver: Distribution | None = Field(
        default=None, description="perfusion of the liver [W/m3/K]"
    )
    perfusion_tumour: Distribution | None = Field(
        default=None, description="perfusion of the tumour [W/m3/K]"
    )
    conductivity: Distribution | None = Field(
        default=None,
        description="thermal conductivity of the liver [W/m/K]; other tissues change in proportion",
    )
    heat_capacity: Distribution | None = Field(
        default=None,
        description="volumetric heat capacity of the liver [J/m3/K]; other tissues change in"
        " proportion",
    )
    sigma: Distribution | None = Field(
        default=None,
        description="electrical conductivity of the liver at 37 °C [S/m]; other tissues change in"
        " proportion",
    )
    sigma_slope: Distribution | None = Field(
        default=None,
        description="relative rise of the electrical conductivity with temperature [1/K]; other"
        " tissues change in proportion",
    )
    wall_coefficient: Distribution | None = Field(
        default=None, description="factor on the wall coefficients of all vessels [1]"
    )
    net_power: Distribution | None = Field(
        default=None, description="factor on the power that reaches the tissue [1]"
    )
    perfusion_shutdown: Names | None = Field(
        default=None, description="rule by which heat ends perfusion: peak_60C or none"
    )
    death_criterion: Names | None = Field(
        default=None, description="what kills: peak_60C, peak_54C or peak_50C"
    )
    probe_position: Distribution | None = Field(
        default=None,
        description="displacement of the probes along each of the axes x, y, z, independently [mm]",
    )
    remeshed_poses: bool = Field(
        default=True,
        strict=True,
        description="whether displacements are corrected by cases that are meshed anew",
    )
    interval_half_width: Annotated[float, Field(strict=True, gt=0, le=0.5)] = Field(
        default=0.02,
        description="sampling ends early once the 95 % intervals of both probabilities are at most"
        " twice this wide",
    )

    @field_validator(*SCALES)
    @classmethod
    def _values_are_possible(
        cls, given: Normal | LogNormal | Uniform | Fixed | None, info: ValidationInfo
    ) -> Normal | LogNormal | Uniform | Fixed | None:
        low, high = SCALES[str(info.field_name)]
        reach = None if given is None else given.reach
        if reach is not None and not low <= reach[0] <= reach[1] <= high:
            raise fault(
                f"got values from {reach[0]:g} to {reach[1]:g}; possible is {low:g} to {high:g}:"
                " make it narrower, or cut it off with lower and upper"
            )
        return given

    @field_validator("probe_position")
    @classmethod
    def _around_the_plan(
        cls, given: Normal | LogNormal | Uniform | Fixed | None
    ) -> Normal | LogNormal | Uniform | Fixed | None:
        middle = None if given is None else given.centre
        if middle:
            raise fault(
                f"got displacements around {middle:g} mm; they are errors around the planned"
                " place: centre them on 0, and move the probe itself under probes:"
            )
        reach = None if given is None else given.reach
        if reach is not None and abs(reach[0] + reach[1]) > 1e-6 * (reach[1] - reach[0]):
            raise fault(
                f"got displacements from {reach[0]:g} to {reach[1]:g} mm; they are errors around"
                " the planned place: with lower and upper equally far from 0"
            )
        return given

    @field_validator("perfusion_shutdown", "death_criterion")
    @classmethod
    def _names_are_known(
        cls, given: Choice | FixedName | None, info: ValidationInfo
    ) -> Choice | FixedName | None:
        if given is None:
            return None
        shutdown = info.field_name == "perfusion_shutdown"
        allowed = SHUTDOWN_RULES if shutdown else PEAK_CRITERIA
        names = list(given.weights) if isinstance(given, Choice) else [given.value]
        for name in names:
            if name is not None and name not in allowed:
                raise fault(one_of(name, allowed))
        return given
