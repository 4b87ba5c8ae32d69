"""The plan of a sweep: which fields of a scenario vary, over which values, in which order.

    scenario: rf_beside_portal_vein.yaml
    vary:
      protocol.power_W: [20, 30, 40]
      anatomy.tumour.diameter_mm: {from: 16, to: 28, count: 4}

Lists, grids and ranges are combined with each other, the last one changing fastest; Sobol ranges
are sampled together, and every combination of the others meets every sample.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ablasim.errors import UsageError
from ablasim.safe_yaml import scalar
from ablasim.scenario.fields import FilePath, Name, Section, fault

CASES_WITHOUT_ASKING = 1000
"""More cases than these are taken for a mistake unless they are confirmed."""

MOST_CASES = 1_000_000
"""No plan may have more: all cases are listed in one file."""

COLUMNS = ("case", "status", "exit_code", "message")
"""Columns of the table of a sweep that are always there, or when a case failed; those of results
have a dot."""

DIGITS = 9
"""Significant digits of a value that a range or a sample gives."""


class Grid(Section):
    """Values one by one; a bare list means the same."""

    grid: tuple[Any, ...] = Field(min_length=1, description="the values")

    def values(self) -> tuple[Any, ...]:
        """The values in their order."""
        return self.grid


class Range(Section):
    """Values evenly spaced, both ends included."""

    from_: float = Field(alias="from", strict=True, description="first value")
    to: float = Field(strict=True, description="last value")
    count: int = Field(strict=True, ge=2, le=MOST_CASES, description="number of values")
    spacing: Literal["linear", "geometric"] = Field(
        default="linear", description="equal differences or equal ratios"
    )

    @model_validator(mode="after")
    def _can_be_spaced(self) -> Self:
        if self.from_ == self.to:
            raise fault(f"got from {self.from_:g} to {self.to:g}; the two must differ")
        if self.spacing == "geometric" and self.from_ * self.to <= 0.0:
            raise fault("geometric spacing needs two ends of one sign, neither of them 0")
        return self

    def values(self) -> tuple[float, ...]:
        """`count` values from `from` to `to`."""
        space = np.linspace if self.spacing == "linear" else np.geomspace
        return tuple(_rounded(value) for value in space(self.from_, self.to, self.count))


class Levels(Section):
    """Named levels, each of which sets several fields together."""

    levels: dict[str, dict[str, Any]] = Field(
        min_length=1, description="for each level the fields that it sets"
    )

    @model_validator(mode="after")
    def _set_the_same_fields(self) -> Self:
        fields = {tuple(sorted(changes)) for changes in self.levels.values()}
        if len(fields) > 1 or () in fields:
            raise fault("every level must set the same fields, at least one")
        return self

    def values(self) -> tuple[Any, ...]:
        """The names of the levels; what reads like a number is one."""
        return tuple(scalar(name) for name in self.levels)


class Sobol(Section):
    """A range that is sampled."""

    sobol: tuple[float, float] = Field(description="lowest and highest value")

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        low, high = self.sobol
        if not low < high:
            raise fault(f"got [{low:g}, {high:g}]; the first must be less than the second")
        return self


Axis = Grid | Range | Levels | Sobol
KINDS: dict[str, type[Grid | Range | Levels | Sobol]] = {
    "grid": Grid,
    "from": Range,
    "levels": Levels,
    "sobol": Sobol,
}


class CaseRisk(Section):
    """A risk study of every case, over the same samples of the uncertain inputs."""

    samples: int = Field(
        strict=True, ge=8, le=65_536, description="number of samples; a power of two is best"
    )
    seed: int = Field(default=0, strict=True, ge=0, lt=2**32, description="of the samples")
    dtype: Literal["float64", "float32"] = Field(
        default="float32", description="numbers that the samples are computed with"
    )


class Batches(Section):
    """Cases on one mesh that differ only in tissues and in the power, voltage or current that is
    held, computed together."""

    size: int = Field(
        default=16, strict=True, ge=2, le=64, description="most cases that are computed together"
    )
    dtype: Literal["float64", "float32"] = Field(
        default="float32", description="numbers that they are computed with"
    )


class SweepPlan(Section):
    """A scenario, the fields of it that vary, and what is kept of every case."""

    scenario: FilePath = Field(description="scenario file, relative to the plan's folder")
    name: Name | None = Field(default=None, description="a short name, used in titles")
    set: dict[str, Any] = Field(default={}, description="fields changed alike in all cases")
    vary: dict[str, Axis] = Field(
        min_length=1, description="for each field a list, grid, from/to/count, levels or sobol"
    )
    samples: int | None = Field(
        default=None, strict=True, ge=1, le=MOST_CASES, description="number of Sobol samples"
    )
    seed: int = Field(default=0, strict=True, ge=0, description="of the Sobol samples")
    keep: Literal["summary", "surfaces", "files"] = Field(
        default="summary",
        description="of every case: its numbers, also its two surfaces, or all files of a run",
    )
    risk: CaseRisk | None = Field(
        default=None,
        description="of every case also the risk of an incomplete margin, over so many samples",
    )
    batch: Batches | None = Field(
        default=None,
        description="compute cases together that differ only in tissues and in the power, voltage"
        " or current",
    )
    on_invalid: Literal["refuse", "record"] = Field(
        default="refuse",
        description="a case whose scenario is invalid: refuse the plan, or let that case fail",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        sampled = any(isinstance(axis, Sobol) for axis in self.vary.values())
        if sampled and self.samples is None:
            raise fault("samples: missing; Sobol ranges need their number, for example 64")
        if not sampled and self.samples is not None:
            raise fault("samples: nothing is sampled; remove it, or vary a field by sobol")
        if self.batch is not None and (self.risk is not None or self.keep == "files"):
            other = "keep: files" if self.keep == "files" else "risk"
            raise fault(f"batch: does not go with {other}; leave one of them out")
        for name, axis in self.vary.items():
            if isinstance(axis, Levels) and ("." in name or name in COLUMNS):
                raise fault(
                    f"vary.{name}: a column of the table has or may have this name; give these"
                    " levels another one, without a dot"
                )
        places = [(name, keys_of(path)) for name, path in self._changed()]
        for (name, one), (other, two) in itertools.combinations(places, 2):
            short = min(len(one), len(two))
            if one[:short] == two[:short]:
                raise fault(f"{name} and {other} change the same field; keep one of them")
        return self

    def _changed(self) -> Iterator[tuple[str, str]]:
        for path in self.set:
            yield f"set.{path}", path
        for name, axis in self.vary.items():
            inside = next(iter(axis.levels.values())) if isinstance(axis, Levels) else (name,)
            for path in inside:
                yield f"vary.{name}", path

    def paths(self) -> tuple[str, ...]:
        """Every field that a case changes."""
        return tuple(path for _, path in self._changed())

    def count(self) -> int:
        """Number of cases."""
        axes = (axis for axis in self.vary.values() if not isinstance(axis, Sobol))
        # a range counts without being spelled out
        sizes = (a.count if isinstance(a, Range) else len(a.values()) for a in axes)
        return math.prod(sizes) * (self.samples or 1)

    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """The values of every case, in the order of `vary`; always the same for the same plan."""
        names = list(self.vary)
        fixed = {n: a.values() for n, a in self.vary.items() if not isinstance(a, Sobol)}
        samples = self._samples()
        found = []
        for combination in itertools.product(*fixed.values()):
            chosen = dict(zip(fixed, combination, strict=True))
            found += [tuple((chosen | sample)[name] for name in names) for sample in samples]
        return tuple(found)

    def _samples(self) -> list[dict[str, float]]:
        """Scrambled Sobol points of the sampled fields; one empty point without any."""
        ranges = {n: a.sobol for n, a in self.vary.items() if isinstance(a, Sobol)}
        if not ranges or self.samples is None:
            return [{}]
        from scipy.stats import qmc

        sampler = qmc.Sobol(len(ranges), scramble=True, seed=np.random.default_rng(self.seed))
        # A sequence is balanced in powers of two; its beginning is the same for any length.
        points = sampler.random_base2(math.ceil(math.log2(self.samples)))[: self.samples]
        low, high = np.array(list(ranges.values())).T
        scaled = low + points * (high - low)
        return [dict(zip(ranges, map(_rounded, point), strict=True)) for point in scaled]

    def changes(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """What a case changes in the scenario, by dotted path."""
        found = dict(self.set)
        for (name, axis), value in zip(self.vary.items(), row, strict=True):
            if isinstance(axis, Levels):
                found |= next(c for text, c in axis.levels.items() if scalar(text) == value)
            else:
                found[name] = value
        return found


def keys_of(path: str) -> tuple[str, ...]:
    """`probes[0].tip_mm` as ("probes", "0", "tip_mm")."""
    return tuple(re.findall(r"[^.\[\]]+", path))


def check_count(plan: SweepPlan, *, yes: bool) -> None:
    """Refuse more cases than anyone wants by accident, before any is spelled out.

    Raises:
        UsageError: too many.
    """
    count = plan.count()
    sizes = " x ".join(str(size) for size in _sizes(plan))
    if count > MOST_CASES:
        raise UsageError(f"plan: {count} cases ({sizes}); must be at most {MOST_CASES}")
    if count > CASES_WITHOUT_ASKING and not yes:
        raise UsageError(
            f"plan: {count} cases ({sizes}); more than {CASES_WITHOUT_ASKING} may be a mistake:"
            " add --yes (yes=True in Python) if they are meant"
        )


def _sizes(plan: SweepPlan) -> list[int]:
    axes = (axis for axis in plan.vary.values() if not isinstance(axis, Sobol))
    sizes = [a.count if isinstance(a, Range) else len(a.values()) for a in axes]
    return sizes if plan.samples is None else [*sizes, plan.samples]


def _rounded(value: float) -> float:
    return float(f"{float(value):.{DIGITS}g}")
