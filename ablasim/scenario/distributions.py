"""Distributions of uncertain inputs: what a scenario can write, and their inverse functions.

    value = F^-1(u),   u uniform in (0, 1)

With limits, u is spread over what lies between them: F^-1(F(lower) + u (F(upper) - F(lower))).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from statistics import NormalDist
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from ablasim.scenario.fields import Section, fault

Floats = NDArray[np.float64]

TAIL = 4.0
"""A distribution without limits counts as reaching this many standard deviations: one sample in
30 000 lies beyond."""

Number = Annotated[float, Field(strict=True)]
Limit = Annotated[float | None, Field(strict=True)]


class _Bounded(Section, ABC):
    """A distribution over the real numbers that limits can cut off."""

    lower: Limit = Field(default=None, description="smallest possible value")
    upper: Limit = Field(default=None, description="largest possible value")

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> _Bounded:
        low = -math.inf if self.lower is None else self.lower
        high = math.inf if self.upper is None else self.upper
        if not low < high:
            raise fault(f"got lower {low:g} and upper {high:g}; lower must be below upper")
        if self._share(low, high) < 1e-6:
            raise fault(
                f"got limits {low:g} to {high:g}, between which the distribution has next to no"
                " values: widen the limits, or move the distribution"
            )
        return self

    def at(self, u: Floats) -> Floats:
        """Values for uniform numbers u (k,) in (0, 1)."""
        from scipy.special import ndtri  # only sampling needs it; a check of a scenario stays light

        low = 0.0 if self.lower is None else NormalDist().cdf(self._score(self.lower))
        high = 1.0 if self.upper is None else NormalDist().cdf(self._score(self.upper))
        return self._of_score(np.asarray(ndtri(low + u * (high - low))))

    @property
    def reach(self) -> tuple[float, float]:
        """Smallest and largest value that counts as possible."""
        low, high = (float(self._of_score(np.array(score))) for score in (-TAIL, TAIL))
        return (
            low if self.lower is None else max(self.lower, low),
            high if self.upper is None else min(self.upper, high),
        )

    def _share(self, low: float, high: float) -> float:
        return NormalDist().cdf(self._score(high)) - NormalDist().cdf(self._score(low))

    @abstractmethod
    def _score(self, value: float) -> float:
        """The standard normal number that gives a value."""

    @abstractmethod
    def _of_score(self, score: Floats) -> Floats:
        """Values of standard normal numbers (k,)."""


class Normal(_Bounded):
    """A normal distribution."""

    distribution: Literal["normal"]
    mean: Number = Field(description="mean")
    sd: Annotated[float, Field(strict=True, gt=0)] = Field(description="standard deviation")

    @property
    def centre(self) -> float:
        """Median before any limits."""
        return self.mean

    def scaled(self, factor: float) -> Normal:
        """The same distribution of a quantity `factor` times as large."""
        return self.model_copy(
            update={
                "mean": factor * self.mean,
                "sd": factor * self.sd,
                **_scaled_limits(self, factor),
            }
        )

    def _score(self, value: float) -> float:
        return (value - self.mean) / self.sd

    def _of_score(self, score: Floats) -> Floats:
        return self.mean + self.sd * score


class LogNormal(_Bounded):
    """A quantity whose logarithm is normally distributed."""

    distribution: Literal["lognormal"]
    median: Annotated[float, Field(strict=True, gt=0)] = Field(description="median")
    gsd: Annotated[float, Field(strict=True, gt=1, le=20)] = Field(
        description="geometric standard deviation: two thirds of all values lie between median/gsd"
        " and median x gsd"
    )

    @property
    def centre(self) -> float:
        """Median before any limits."""
        return self.median

    def scaled(self, factor: float) -> LogNormal:
        """The same distribution of a quantity `factor` times as large."""
        return self.model_copy(
            update={"median": factor * self.median, **_scaled_limits(self, factor)}
        )

    def _score(self, value: float) -> float:
        if value <= 0.0:
            return -math.inf
        return math.log(value / self.median) / math.log(self.gsd)

    def _of_score(self, score: Floats) -> Floats:
        return np.asarray(self.median * np.exp(math.log(self.gsd) * score))


class Uniform(Section):
    """Every value between two limits is as likely."""

    distribution: Literal["uniform"]
    low: Number = Field(description="smallest value")
    high: Number = Field(description="largest value")

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Uniform:
        if not self.low < self.high:
            raise fault(f"got low {self.low:g} and high {self.high:g}; low must be below high")
        return self

    @property
    def centre(self) -> float:
        """Median."""
        return 0.5 * (self.low + self.high)

    @property
    def reach(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.low, self.high

    def at(self, u: Floats) -> Floats:
        """Values for uniform numbers u (k,) in (0, 1)."""
        return self.low + (self.high - self.low) * u

    def scaled(self, factor: float) -> Uniform:
        """The same distribution of a quantity `factor` times as large."""
        return self.model_copy(update={"low": factor * self.low, "high": factor * self.high})


class Fixed(Section):
    """No uncertainty: one value, by default the scenario's own."""

    distribution: Literal["fixed"]
    value: Number | None = Field(
        default=None, description="the value; by default the scenario's own"
    )

    @property
    def centre(self) -> float | None:
        """The value; None for the scenario's own."""
        return self.value

    @property
    def reach(self) -> tuple[float, float] | None:
        """The value twice; None for the scenario's own."""
        return None if self.value is None else (self.value, self.value)


class FixedName(Section):
    """No choice: one name, by default the scenario's own."""

    distribution: Literal["fixed"]
    value: str | None = Field(default=None, description="the name; by default the scenario's own")


class Choice(Section):
    """One of several names, each with a weight."""

    distribution: Literal["choice"]
    weights: dict[str, Annotated[float, Field(strict=True, ge=0)]] = Field(
        description="weight of each name; they need not sum to one"
    )

    @field_validator("weights")
    @classmethod
    def _some_weight(cls, weights: dict[str, float]) -> dict[str, float]:
        if not sum(weights.values()) > 0.0:
            raise fault("got weights that sum to 0; give at least one name a weight above 0")
        return weights

    @property
    def probabilities(self) -> Mapping[str, float]:
        """Weights that sum to one, without the names that have none."""
        total = sum(self.weights.values())
        return {name: w / total for name, w in self.weights.items() if w > 0.0}

    def at(self, u: Floats) -> NDArray[np.str_]:
        """Names for uniform numbers u (k,) in (0, 1)."""
        names = list(self.probabilities)
        ends = np.cumsum(list(self.probabilities.values()))[:-1]
        return np.array(names)[np.searchsorted(ends, u, side="right")]


Distribution = Annotated[Normal | LogNormal | Uniform | Fixed, Field(discriminator="distribution")]
Names = Annotated[Choice | FixedName, Field(discriminator="distribution")]


def _scaled_limits(bounded: _Bounded, factor: float) -> dict[str, Any]:
    limits = {"lower": bounded.lower, "upper": bounded.upper}
    return {k: None if v is None else factor * v for k, v in limits.items()}
