"""What every section of a scenario is built from: the parent model and the types of its fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from ablasim import catalogue
from ablasim.safe_yaml import closest

FAULT = "ablasim_fault"
"""Error type of this module's own checks; `ctx["message"]` is a whole sentence."""


def fault(message: str) -> PydanticCustomError:
    """An error whose message reaches the user as it is."""
    return PydanticCustomError(FAULT, "{message}", {"message": message})


def one_of(got: object, allowed: tuple[str, ...]) -> str:
    """Message for a name that is not among the allowed ones, with the nearest of them."""
    near = closest(got, allowed) if isinstance(got, str) else None
    hint = f"; did you mean {near!r}?" if near else ""
    return f"got {got!r}; must be one of {', '.join(allowed)}{hint}"


def _known(names: Callable[[], tuple[str, ...]]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in names():
            raise fault(one_of(name, names()))
        return name

    return check


def _moving(velocity: Any) -> Any:
    if isinstance(velocity, int | float) and velocity == 0:
        raise fault(
            "got 0; must be greater than 0 and at most 300 cm/s: blood at rest carries no heat"
            " away. Leave a vessel without flow out, so that it counts as liver"
        )
    return velocity


Text = Annotated[str, StringConstraints(max_length=10_000)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=80)]
FilePath = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Coordinate = Annotated[float, Field(strict=True, ge=-5000, le=5000)]
Length = Annotated[float, Field(strict=True, gt=0, le=1000)]
Velocity = Annotated[
    float,
    BeforeValidator(_moving),
    Field(strict=True, gt=0, le=300),
]
Temperature = Annotated[float, Field(strict=True, ge=0, le=60)]
Duration = Annotated[float, Field(strict=True, gt=0, le=7200)]
Point = tuple[Coordinate, Coordinate, Coordinate]
Label = Annotated[int, Field(strict=True, ge=1, le=65535)]
TissueName = Annotated[str, AfterValidator(_known(catalogue.tissue_names))]
ProbeName = Annotated[str, AfterValidator(_known(catalogue.probe_names))]
VesselKindName = Annotated[str, AfterValidator(_known(catalogue.vessel_kind_names))]
ArrheniusName = Annotated[str, AfterValidator(_known(catalogue.arrhenius_names))]


def changed(section: BaseModel, key: str) -> bool:
    """Whether a field differs from its default.

    A default that is written out does not count: `Scenario.to_yaml` writes all of them.
    """
    return bool(getattr(section, key) != type(section).model_fields[key].default)


class Section(BaseModel):
    """Parent of every section: frozen, unknown keys refused, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
