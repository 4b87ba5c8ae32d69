"""From samples of the uncertain inputs to problems on one mesh.

Everything that does not differ between samples is shared: a problem costs a few small arrays. The
displacement of the probes and the criterion of death are no part of a problem; they enter when its
margin is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from ablasim.physics.binding import SHUTDOWN
from ablasim.physics.generator import ConstantGenerator, Drive, Generator
from ablasim.physics.generator_steps import StepsGenerator, SwitchedGenerator
from ablasim.physics.problem import BioheatProblem, Laws
from ablasim.physics.tissue import electrical_conductivity

Floats = NDArray[np.float64]

EDGE = 2.0**-40
"""Uniform numbers keep this far from 0 and 1, where a normal distribution is infinite."""


def unit_samples(count: int, dimensions: int, seed: int) -> Floats:
    """The first points of a scrambled Sobol sequence (count, dimensions), in (0, 1).

    More points continue the same sequence: the first ones stay what they were.
    """
    if dimensions == 0:
        return np.empty((count, 0))
    sampler = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
    power = max(0, int(np.ceil(np.log2(count))))
    return np.asarray(np.clip(sampler.random_base2(power)[:count], EDGE, 1.0 - EDGE))


def sampled_problems(
    problem: BioheatProblem, columns: Mapping[str, NDArray[Any]]
) -> list[BioheatProblem]:
    """One problem per sample, on the mesh of the plain one.

    Args:
        problem: of a plain run.
        columns: values of the inputs (k,), as `Inputs.draw` gives them.
    """
    count = len(next(iter(columns.values())))
    rows = [{name: values[i].item() for name, values in columns.items()} for i in range(count)]
    return [sampled_problem(problem, row) for row in rows]


def sampled_problem(problem: BioheatProblem, row: Mapping[str, Any]) -> BioheatProblem:
    """The problem with one sample of the inputs.

    The liver gets the values themselves. The conductivities, the heat capacity and the slope of
    other tissues change in proportion; the tumour's perfusion is an input of its own.
    """
    materials, regions = problem.materials, problem.mesh.regions
    liver = regions.index("liver")

    def in_proportion(values: Floats, name: str) -> Floats:
        nominal = float(values[liver])
        return values * (row[name] / nominal) if nominal != 0.0 else values

    perfusion = materials.perfusion.copy()
    if "tumour" in regions:
        tumour = regions.index("tumour")
        # A tumour that is perfused as the liver is follows it.
        same = perfusion[tumour] == perfusion[liver] == row["perfusion_tumour"]
        perfusion[tumour] = row["perfusion_liver"] if same else row["perfusion_tumour"]
    perfusion[liver] = row["perfusion_liver"]
    changed = replace(
        materials,
        perfusion=perfusion,
        conductivity=in_proportion(materials.conductivity, "conductivity"),
        wet_capacity=in_proportion(materials.wet_capacity, "heat_capacity"),
        sigma=in_proportion(materials.sigma, "sigma"),
        sigma_slope=in_proportion(materials.sigma_slope, "sigma_slope"),
    )
    electrodes = problem.electrodes
    if electrodes is not None:
        electrodes = replace(
            electrodes,
            far_field=electrodes.far_field * _start_sigma(problem, changed, liver),
        )
    return replace(
        problem,
        materials=changed,
        laws=_with_rule(problem.laws, row["perfusion_shutdown"]),
        generator=with_power(problem.generator, row["net_power"]),
        walls=tuple(
            replace(wall, coefficient=wall.coefficient * row["wall_coefficient"])
            if wall.kind == "vessel"
            else wall
            for wall in problem.walls
        ),
        electrodes=electrodes,
    )


def with_power(generator: Generator, factor: float) -> Generator:
    """The generator whose heat is `factor` times as strong; one with control stays as it is."""
    if factor == 1.0:
        return generator
    if isinstance(generator, SwitchedGenerator):
        return replace(generator, inside=with_power(generator.inside, factor))
    if isinstance(generator, StepsGenerator):
        return replace(generator, drives=tuple(_scaled(d, factor) for d in generator.drives))
    if isinstance(generator, ConstantGenerator):
        # Heat goes with the square of voltage and current.
        share = factor if generator.mode == "power" else np.sqrt(factor).item()
        return replace(generator, setpoint=generator.setpoint * share)
    return generator


def _scaled(drive: Drive, factor: float) -> Drive:
    root = np.sqrt(factor).item()
    return replace(
        drive,
        power=drive.power * factor,
        voltage=drive.voltage * root,
        current=drive.current * root,
    )


def _with_rule(laws: Laws, rule: str) -> Laws:
    """The laws with a rule of perfusion; one that is a dose is the plain run's own."""
    if rule not in ("peak_60C", "none"):
        return laws
    death = laws.death
    if death is not None and death.stasis != "none":
        death = replace(death, stasis="none")
    return replace(laws, perfusion_shutdown=SHUTDOWN[rule], death=death)


def _start_sigma(problem: BioheatProblem, changed: Any, liver: int) -> float:
    """By how much sigma differs at the start, with which the far field's conductance goes."""
    start = float(np.mean(problem.initial_temperature))
    values: Sequence[float] = [
        float(
            electrical_conductivity(
                start, m.sigma[liver], m.sigma_slope[liver], m.sigma_dry_ratio[liver],
                problem.laws.sigma_drop,
            )
        )
        for m in (changed, problem.materials)
    ]  # fmt: skip
    return values[0] / values[1]
