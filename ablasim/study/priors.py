"""Which inputs of a scenario are uncertain, and how: the catalogue's priors, the scenario's own.

A default prior belongs to a number of the catalogue. Where the scenario itself replaces that number
(`tissues:`), the prior is centred on the scenario's and keeps its relative width. What a scenario
writes under `risk:` is taken as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ablasim import catalogue
from ablasim.errors import Problem, ScenarioError
from ablasim.physics.problem import BioheatProblem
from ablasim.scenario import (
    CurrentProtocol,
    PowerProtocol,
    Scenario,
    StepsProtocol,
    VoltageProtocol,
)
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
from ablasim.scenario.risk import PEAK_CRITERIA, SHUTDOWN_RULES, Risk

Floats = NDArray[np.float64]

AXES = ("probe_x", "probe_y", "probe_z")
"""Inputs that move the probes, along the axes of LPS."""

OVERRIDES = {
    "perfusion_liver": ("perfusion_W_m3K", "perfusion_ml_min_100g"),
    "perfusion_tumour": ("perfusion_W_m3K", "perfusion_ml_min_100g"),
    "conductivity": ("conductivity_W_mK",),
    "heat_capacity": ("density_kg_m3", "heat_capacity_J_kgK"),
    "sigma": ("sigma_S_m",),
    "sigma_slope": ("sigma_slope_per_K",),
}
"""Keys of `tissues:` that replace the number an input's default prior is about."""

_NUMBERS: TypeAdapter[Any] = TypeAdapter(Distribution)
_NAMES: TypeAdapter[Any] = TypeAdapter(Names)


@dataclass(frozen=True)
class Input:
    """An uncertain input.

    Attributes:
        name: column of the table of samples.
        title: for people.
        unit: of its values; empty for names.
        distribution: of them.
        nominal: its value in a plain run.
        source: of the distribution, in words.
        assumed: that no published source stands behind it.
    """

    name: str
    title: str
    unit: str
    distribution: Normal | LogNormal | Uniform | Choice
    nominal: float | str
    source: str
    assumed: bool

    def at(self, u: Floats) -> NDArray[Any]:
        """Values for uniform numbers u (k,) in (0, 1)."""
        return self.distribution.at(u)


@dataclass(frozen=True)
class Held:
    """An input that is not varied, and why."""

    name: str
    title: str
    unit: str
    value: float | str
    reason: str


@dataclass(frozen=True)
class Inputs:
    """What is varied, in the order of the columns, and what is not."""

    varied: tuple[Input, ...]
    held: tuple[Held, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the varied inputs."""
        return tuple(entry.name for entry in self.varied)

    def features(self, unit: Floats) -> Floats:
        """Coordinates (k, d) in which a margin is smooth: scores of normal and lognormal inputs,
        steps for names, all of about standard deviation 1."""
        from scipy.special import ndtri

        found = np.empty_like(unit)
        for number, entry in enumerate(self.varied):
            u = unit[:, number]
            if isinstance(entry.distribution, Choice):
                shares = list(entry.distribution.probabilities.values())
                step = np.searchsorted(np.cumsum(shares)[:-1], u, side="right").astype(float)
                spread = np.sqrt(
                    np.array(shares) @ np.arange(len(shares)) ** 2 - _mean(shares) ** 2
                )
                found[:, number] = (step - _mean(shares)) / (spread or 1.0)
            elif isinstance(entry.distribution, Uniform):
                found[:, number] = np.sqrt(12.0) * (u - 0.5)
            else:
                found[:, number] = ndtri(np.clip(u, 1e-6, 1.0 - 1e-6))
        return found

    def draw(self, unit: Floats) -> dict[str, NDArray[Any]]:
        """Columns of values for points of the unit cube (k, d), held ones included."""
        count = len(unit)
        columns: dict[str, NDArray[Any]] = {
            entry.name: entry.at(unit[:, number]) for number, entry in enumerate(self.varied)
        }
        return columns | {held.name: np.full(count, held.value) for held in self.held}


def _mean(shares: list[float]) -> float:
    return float(np.array(shares) @ np.arange(len(shares)))


def uncertain_inputs(
    scenario: Scenario, problem: BioheatProblem, tissues: dict[str, str]
) -> Inputs:
    """The uncertain inputs of a scenario.

    Args:
        scenario: with its section `risk`, or without.
        problem: of a plain run of it.
        tissues: name of the tissue in each region of the mesh.

    Raises:
        ScenarioError: `risk` varies what this scenario does not have.
    """
    given = scenario.risk or Risk()
    varied: list[Input] = []
    held: list[Held] = []
    for name in catalogue.prior_names():
        tissue = tissues.get("tumour", "") if name == "perfusion_tumour" else tissues["liver"]
        known = catalogue.prior(name, tissue)
        nominal, excuse = _nominal(name, scenario, problem, tissues)
        own = getattr(given, name)
        if excuse:
            if own is not None and own.distribution != "fixed":
                raise ScenarioError([Problem(f"risk.{name}", None, f"got a prior, but {excuse}")])
            held.append(Held(name, known.title, known.unit, nominal, excuse))
            continue
        if isinstance(own, Fixed | FixedName):
            value = nominal if own.value is None else own.value
            if name == "probe_position":
                held += [Held(axis, known.title, "mm", value, "fixed by risk:") for axis in AXES]
            else:
                held.append(Held(name, known.title, known.unit, value, "fixed by risk:"))
            continue
        source, assumed = known.source, known.assumed
        if own is not None:
            source, assumed = "the scenario (risk:)", False
            distribution = own
        else:
            distribution, moved = _default(known, name, nominal, scenario, tissue)
            source += moved
            if distribution is None:
                held.append(Held(name, known.title, known.unit, nominal, "is zero"))
                continue
        for column in AXES if name == "probe_position" else (name,):
            title = known.title if column == name else f"{known.title}, {column[-1]}"
            varied.append(Input(column, title, known.unit, distribution, nominal, source, assumed))
    return Inputs(tuple(varied), tuple(_by_axes(held)))


def _by_axes(held: list[Held]) -> list[Held]:
    found = []
    for entry in held:
        if entry.name == "probe_position":
            found += [Held(axis, entry.title, "mm", 0.0, entry.reason) for axis in AXES]
        else:
            found.append(entry)
    return found


def _default(
    known: catalogue.PriorData, name: str, nominal: float | str, scenario: Scenario, tissue: str
) -> tuple[Any, str]:
    """The catalogue's prior, centred on the scenario's own number where it gives one."""
    if isinstance(nominal, str):
        return _NAMES.validate_python(known.prior), ""
    distribution = _NUMBERS.validate_python(known.prior)
    override = scenario.tissues.get(tissue)
    own = override is not None and any(
        getattr(override, key) is not None for key in OVERRIDES.get(name, ())
    )
    foreign = bool(known.tissue) and known.tissue != tissue
    if not (own or foreign):
        return distribution, ""
    if nominal == 0.0:
        return None, ""
    why = "the scenario's own value" if own else f"the value of the tissue {tissue}"
    return distribution.scaled(nominal / distribution.centre), f"; centred on {why}"


def _nominal(
    name: str, scenario: Scenario, problem: BioheatProblem, tissues: dict[str, str]
) -> tuple[float | str, str]:
    """The value in a plain run, and why it cannot be varied; empty where it can."""
    materials, region = problem.materials, problem.mesh.regions.index("liver")
    no_current = "" if problem.electrodes is not None else "microwaves heat without electrodes"
    vessel = any(wall.kind == "vessel" for wall in problem.walls)
    match name:
        case "perfusion_liver":
            return float(materials.perfusion[region]), ""
        case "perfusion_tumour":
            if tissues.get("tumour", tissues["liver"]) == tissues["liver"]:
                return float(materials.perfusion[region]), "the tumour is perfused as the liver"
            return float(materials.perfusion[problem.mesh.regions.index("tumour")]), ""
        case "conductivity":
            return float(materials.conductivity[region]), ""
        case "heat_capacity":
            return float(materials.wet_capacity[region]), ""
        case "sigma":
            return float(materials.sigma[region]), no_current
        case "sigma_slope":
            return float(materials.sigma_slope[region]), no_current
        case "wall_coefficient":
            return 1.0, "" if vessel else "there is no meshed vessel"
        case "net_power":
            driven = PowerProtocol | VoltageProtocol | CurrentProtocol | StepsProtocol
            if not isinstance(scenario.protocol, driven):
                return 1.0, "the generator's own control decides the power"
            return 1.0, ""
        case "perfusion_shutdown":
            rule = scenario.physics.perfusion_shutdown
            asked = scenario.risk is not None and scenario.risk.perfusion_shutdown is not None
            if rule in SHUTDOWN_RULES or asked:
                return rule, ""
            return rule, "the scenario's rule is a dose"
        case "death_criterion":
            judge = scenario.assessment.criterion
            asked = scenario.risk is not None and scenario.risk.death_criterion is not None
            if judge in PEAK_CRITERIA or asked:
                return judge, ""
            return judge, "the scenario's criterion is a dose"
    return 0.0, ""
