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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from ablasim.errors import Problem, ScenarioError, UsageError
from ablasim.safe_yaml import Document, KeyPath, dotted, read_document, scalar
from ablasim.scenario import Scenario
from ablasim.scenario.fields import FilePath, Name, Section, fault
from ablasim.scenario.messages import explain

CASES_WITHOUT_ASKING = 1000
"""More cases than these are taken for a mistake unless they are confirmed."""

MOST_CASES = 1_000_000
"""No plan may have more: all cases are listed in one file."""

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
        places = [(name, keys_of(path)) for name, path in self._paths()]
        for (name, one), (other, two) in itertools.combinations(places, 2):
            short = min(len(one), len(two))
            if one[:short] == two[:short]:
                raise fault(f"{name} and {other} change the same field; keep one of them")
        return self

    def _paths(self) -> Iterator[tuple[str, str]]:
        for path in self.set:
            yield f"set.{path}", path
        for name, axis in self.vary.items():
            inside = next(iter(axis.levels.values())) if isinstance(axis, Levels) else (name,)
            for path in inside:
                yield f"vary.{name}", path

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


@dataclass(frozen=True)
class PlanSource:
    """A plan as it was given.

    Attributes:
        plan: what it says.
        document: where, for messages.
        file: its name for messages; None for plain data.
        folder: from which its paths count.
        scenario: given as an object instead of a file.
    """

    plan: SweepPlan
    document: Document
    file: str | None
    folder: Path
    scenario: Scenario | None = None

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem of the plan with its line."""
        return Problem(dotted(path), self.document.line_of(path), message)


def read_plan(source: Path | str | Mapping[str, Any]) -> PlanSource:
    """Read a plan from a YAML file or plain data.

    Args:
        source: the file, or a mapping of the same shape; its `scenario` may be a `Scenario`.

    Raises:
        ScenarioError: one or more fields are faulty; all of them are in `problems`.
        InputFileError: the file is missing or unreadable.
    """
    given: Scenario | None = None
    if isinstance(source, Mapping):
        data = {key: _plain(value) for key, value in source.items()}
        if isinstance(data.get("scenario"), Scenario):
            given = data["scenario"]
            data["scenario"] = f"{given.name}.yaml"
        document, file, folder = Document(data), None, Path.cwd()
    else:
        path = Path(source)
        document, file, folder = read_document(path), str(path), path.resolve().parent
    problems = list(document.problems)
    plan = _parsed(document, problems)
    if problems or plan is None:
        raise ScenarioError(sorted(dict.fromkeys(problems), key=lambda p: p.line or 0), file)
    return PlanSource(plan, document, file, folder, given)


def _parsed(document: Document, problems: list[Problem]) -> SweepPlan | None:
    data = document.data
    if not isinstance(data, dict):
        message = "a plan must be a group of keys: scenario, vary"
        problems.append(Problem("", document.line_of(()), message))
        return None
    axes: Any = data.get("vary")
    if isinstance(axes, dict):
        axes = {name: _axis(name, entry, document, problems) for name, entry in axes.items()}
        if problems:  # what is faulty has been said; a stand-in lets the rest be checked
            axes = {name: axis or Grid(grid=(0,)) for name, axis in axes.items()}
        data = data | {"vary": axes}
    return _checked(SweepPlan, data, (), document, problems)


def _axis(name: str, entry: Any, document: Document, problems: list[Problem]) -> Axis | None:
    path = ("vary", name)
    if isinstance(entry, list | tuple):
        entry = {"grid": list(entry)}
    found = [kind for kind in KINDS if isinstance(entry, dict) and kind in entry]
    if len(found) != 1:
        message = (
            f"got {entry!r}; must be a list of values, {{grid: [...]}},"
            " {from: A, to: B, count: N}, {levels: {...}} or {sobol: [LOW, HIGH]}"
        )
        problems.append(Problem(dotted(path), document.line_of(path), message))
        return None
    axis = _checked(KINDS[found[0]], entry, path, document, problems)
    if axis is None or isinstance(axis, Sobol):
        return axis
    evenly = isinstance(axis, Range) and axis.count > CASES_WITHOUT_ASKING  # no two alike
    for value in (axis.from_, axis.to) if isinstance(axis, Range) else _numbers_of(axis):
        if not math.isfinite(value):
            message = f"got {value!r}; must be a finite number"
            problems.append(Problem(dotted(path), document.line_of(path), message))
            return None
    seen: list[Any] = []
    for value in () if evenly else axis.values():
        if value in seen:
            message = f"got {value!r} twice; name every value once"
            problems.append(Problem(dotted(path), document.line_of(path), message))
            return None
        seen.append(value)
    return axis


def _plain(value: Any) -> Any:
    """A value of a plan from Python without NumPy's types, as a file has it."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _numbers_of(axis: Grid | Range | Levels) -> Iterator[float]:
    """Every number that an axis gives a case, inside points and levels as well."""
    todo: list[Any] = list(axis.values())
    if isinstance(axis, Levels):
        todo += axis.levels.values()
    while todo:
        value = todo.pop()
        if isinstance(value, Mapping):
            todo += value.values()
        elif isinstance(value, list | tuple):
            todo += value
        elif isinstance(value, int | float):
            yield value


def _checked[Part: Section](
    model: type[Part], data: Any, at: KeyPath, document: Document, problems: list[Problem]
) -> Part | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            explained = explain(detail, model)
            if explained is not None:
                path = (*at, *explained[0])
                problems.append(Problem(dotted(path), document.line_of(path), explained[1]))
        return None


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
