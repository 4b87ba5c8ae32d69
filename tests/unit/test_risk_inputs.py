"""Priors and samples: moments, sources, bad input, and that a sample is the scenario it says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ablasim import catalogue
from ablasim.errors import ScenarioError
from ablasim.physics.binding import build_problem
from ablasim.physics.generator import ConstantGenerator, Drive
from ablasim.physics.generator_steps import StepsGenerator
from ablasim.run import place_in_mesh
from ablasim.scenario import Scenario, inputs_sha256, load_scenario
from ablasim.scenario.distributions import Choice, LogNormal, Normal, Uniform
from ablasim.study.inputs import sampled_problem, sampled_problems, unit_samples, with_power
from ablasim.study.priors import uncertain_inputs

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "rf_beside_portal_vein.yaml"
SHORT = {"numerics.resolution": "preview"}


def prepared(changes: dict[str, Any] | None = None) -> tuple[Scenario, Any, Any]:
    scenario = load_scenario(SCENARIO, {**SHORT, **(changes or {})})
    anatomy, mesh = place_in_mesh(scenario)
    problem = build_problem(scenario, anatomy, mesh)
    return scenario, problem, uncertain_inputs(scenario, problem, dict(anatomy.tissues))


def test_every_prior_has_a_source_or_says_that_it_has_none() -> None:
    for name in catalogue.prior_names():
        for tissue in catalogue.prior_tissues(name) or ("",):
            prior = catalogue.prior(name, tissue)
            assert prior.source
            assert prior.assumed == ("no source" in prior.source)
    # physics.md has these from memory only
    assert catalogue.prior("probe_position").assumed
    assert catalogue.prior("net_power").assumed
    # a source for the choices, none for their weights
    assert catalogue.prior("perfusion_shutdown").assumed
    assert catalogue.prior("death_criterion").assumed


def test_moments_of_the_samples() -> None:
    """Catches a geometric standard deviation taken for its logarithm, and mean for median."""
    u = unit_samples(2**14, 3, seed=4)
    log = LogNormal(distribution="lognormal", median=4.5e4, gsd=1.6).at(u[:, 0])
    assert np.median(log) == pytest.approx(4.5e4, rel=2e-3)
    assert np.std(np.log(log)) == pytest.approx(np.log(1.6), rel=5e-3)
    assert log.mean() == pytest.approx(4.5e4 * np.exp(np.log(1.6) ** 2 / 2), rel=5e-3)
    normal = Normal(distribution="normal", mean=0.52, sd=0.03).at(u[:, 1])
    assert (normal.mean(), normal.std()) == pytest.approx((0.52, 0.03), rel=5e-3)
    flat = Uniform(distribution="uniform", low=0.01, high=0.02).at(u[:, 2])
    assert (flat.min(), flat.max()) == pytest.approx((0.01, 0.02), abs=1e-6)
    cut = Normal(distribution="normal", mean=0.0, sd=1.0, lower=-1.0, upper=2.0).at(u[:, 1])
    exact = stats.truncnorm(-1.0, 2.0)
    assert (cut.min(), cut.max()) == pytest.approx((-1.0, 2.0), abs=1e-3)
    assert (cut.mean(), cut.std()) == pytest.approx((exact.mean(), exact.std()), abs=5e-3)
    choice = Choice(distribution="choice", weights={"a": 1.0, "b": 3.0, "never": 0.0})
    assert (choice.at(u[:, 0]) == "a").mean() == pytest.approx(0.25, abs=2e-3)
    assert set(choice.at(u[:, 0])) == {"a", "b"}


def test_more_samples_continue_the_sequence() -> None:
    few, many = unit_samples(100, 12, seed=7), unit_samples(256, 12, seed=7)
    np.testing.assert_array_equal(few, many[:100])
    assert not np.array_equal(few, unit_samples(100, 12, seed=8))


def test_the_default_inputs_of_a_case() -> None:
    _, problem, inputs = prepared()
    assert len(inputs.varied) == 13 and inputs.held == ()
    by_name = {entry.name: entry for entry in inputs.varied}
    assert by_name["perfusion_liver"].distribution.median == 4.5e4
    assert by_name["perfusion_tumour"].distribution.gsd == 2.5
    assert by_name["probe_z"].assumed and by_name["probe_z"].unit == "mm"
    columns = inputs.draw(unit_samples(8, 13, seed=1))
    assert len(sampled_problems(problem, columns)) == 8


def test_a_scenarios_own_number_moves_the_prior() -> None:
    changes = {"tissues.liver": {"perfusion_W_m3K": 2.0e4, "sigma_S_m": 0.2}}
    _, _, inputs = prepared(changes)
    by_name = {entry.name: entry for entry in inputs.varied}
    assert by_name["perfusion_liver"].distribution.median == pytest.approx(2.0e4)
    assert by_name["perfusion_liver"].distribution.gsd == 1.6
    assert by_name["sigma"].distribution.sd == pytest.approx(0.05 * 0.2 / 0.333)
    assert "centred on the scenario's own value" in by_name["sigma"].source


def test_nothing_perfused_is_not_varied() -> None:
    _, _, inputs = prepared({"tissues.liver": {"perfusion_W_m3K": 0.0}})
    assert "perfusion_liver" not in inputs.names
    assert {held.name: held.value for held in inputs.held}["perfusion_liver"] == 0.0


def test_what_the_scenario_says_is_taken() -> None:
    _, _, inputs = prepared(
        {
            "risk.sigma": {"distribution": "fixed"},
            "risk.conductivity": {"distribution": "fixed", "value": 0.6},
            "risk.probe_position": {"distribution": "fixed"},
            "risk.death_criterion": {"distribution": "fixed", "value": "peak_54C"},
            "risk.perfusion_liver": {"distribution": "uniform", "low": 3e4, "high": 6e4},
        }
    )
    assert "sigma" not in inputs.names and "probe_x" not in inputs.names
    columns = inputs.draw(unit_samples(4, len(inputs.varied), seed=0))
    assert set(columns["conductivity"]) == {0.6} and set(columns["probe_x"]) == {0.0}
    assert set(columns["death_criterion"]) == {"peak_54C"}
    assert set(columns["sigma"]) == {0.333}
    assert (columns["perfusion_liver"] > 3e4).all() and (columns["perfusion_liver"] < 6e4).all()


@pytest.mark.parametrize(
    "given",
    [
        {"distribution": "fixed", "value": 3.0},
        {"distribution": "normal", "mean": 6.0, "sd": 0.5},
        {"distribution": "uniform", "low": 0.0, "high": 2.0},
        {"distribution": "normal", "mean": 0.0, "sd": 2.0, "lower": 0.0, "upper": 10.0},
        {"distribution": "normal", "mean": 0.0, "sd": 2.0, "upper": 1.0},
    ],
)
def test_probes_err_around_the_planned_place(given: dict[str, Any]) -> None:
    """Catches displacements that would be treated as none, or corrected far from where they are."""
    with pytest.raises(ScenarioError, match="around the planned place"):
        prepared({"risk.probe_position": given})


def test_a_sample_is_the_scenario_that_it_says() -> None:
    """Catches a region, a wall or the far field that a sample forgets: compared with the binding.

    The heat capacity and the slope of other tissues go in proportion, so all tissues are given.
    """
    _, problem, _ = prepared()
    row = {
        "perfusion_liver": 3e4, "perfusion_tumour": 9e3, "conductivity": 0.6, "sigma": 0.25,
        "heat_capacity": 1079 * 3700.0, "sigma_slope": 0.018, "wall_coefficient": 1.0,
        "net_power": 1.2, "perfusion_shutdown": "none", "death_criterion": "peak_60C",
    }  # fmt: skip
    both = {"conductivity_W_mK": 0.6, "heat_capacity_J_kgK": 3700.0, "sigma_S_m": 0.25}
    both["sigma_slope_per_K"] = 0.018
    _, expected, _ = prepared(
        {
            "tissues.liver": {**both, "perfusion_W_m3K": 3e4},
            "tissues.colorectal_metastasis": {**both, "perfusion_W_m3K": 9e3},
            "protocol.power_W": 36.0,
            "physics.perfusion_shutdown": "none",
        }
    )
    got = sampled_problem(problem, row)
    for name in vars(expected.materials):
        if name != "latent_heat":
            np.testing.assert_allclose(
                getattr(got.materials, name), getattr(expected.materials, name), rtol=1e-12
            )
    np.testing.assert_allclose(got.electrodes.far_field, expected.electrodes.far_field, rtol=1e-12)
    assert got.laws == expected.laws
    assert got.generator.setpoint == pytest.approx(expected.generator.setpoint)
    assert got.mesh is problem.mesh


def test_the_wall_coefficient_is_a_factor_on_vessels_alone() -> None:
    _, problem, inputs = prepared()
    columns = inputs.draw(np.full((1, 13), 0.5))
    row = {name: values[0].item() for name, values in columns.items()} | {"wall_coefficient": 2.0}
    got = sampled_problem(problem, row)
    for before, after in zip(problem.walls, got.walls, strict=True):
        factor = 2.0 if before.kind == "vessel" else 1.0
        np.testing.assert_allclose(after.coefficient, np.multiply(factor, before.coefficient))


def test_power_of_other_drives() -> None:
    """Heat goes with the square of the voltage: the factor is one of heat."""
    voltage = with_power(ConstantGenerator("voltage", 10.0, 60.0), 1.44)
    assert isinstance(voltage, ConstantGenerator) and voltage.setpoint == pytest.approx(12.0)
    steps = with_power(StepsGenerator((Drive(power=10.0), Drive(current=1.0)), (1.0, 2.0)), 4.0)
    assert isinstance(steps, StepsGenerator)
    assert [drive.power for drive in steps.drives] == [40.0, np.inf]
    assert steps.drives[1].current == 2.0


def test_the_prior_decides_no_run() -> None:
    plain = load_scenario(SCENARIO)
    other = load_scenario(SCENARIO, {"risk.sigma": {"distribution": "fixed"}})
    assert inputs_sha256(plain) == inputs_sha256(other)
    assert "risk:" not in plain.to_yaml() and "risk:" in other.to_yaml()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("sigma", {"distribution": "normal", "mean": 0.3, "sd": -1.0}, "greater than 0"),
        ("sigma", {"distribution": "normal", "mean": 0.3, "sd": 0.2}, "possible is 0.001 to 10"),
        ("sigma", {"distribution": "lognormal", "median": 0.3, "gsd": 0.9}, "greater than 1"),
        ("sigma", {"distribution": "uniform", "low": 0.4, "high": 0.2}, "low must be below high"),
        ("sigmma", {"distribution": "fixed"}, "did you mean 'sigma'"),
        ("sigma", {"distribution": "gauss", "mean": 0.3}, "normal, lognormal, uniform, fixed"),
        (
            "conductivity",
            {"distribution": "normal", "mean": 0.5, "sd": 0.01, "lower": 0.9},
            "next to no values",
        ),
        (
            "conductivity",
            {"distribution": "normal", "mean": 0.5, "sd": 0.1, "lower": 0.6, "upper": 0.4},
            "lower must be below upper",
        ),
        ("death_criterion", {"distribution": "choice", "weights": {"peak_66C": 1.0}}, "peak_60C"),
        ("perfusion_shutdown", {"distribution": "choice", "weights": {"none": 0.0}}, "sum to 0"),
        ("interval_half_width", 0.0, "greater than 0"),
    ],
)
def test_bad_priors_are_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(SCENARIO, {f"risk.{key}": value})
    (problem,) = caught.value.problems
    assert message in problem.message and problem.path.startswith(f"risk.{key}")


def test_a_prior_for_what_is_not_there_is_refused() -> None:
    changes = {"risk.wall_coefficient": {"distribution": "uniform", "low": 0.5, "high": 2.0}}
    with pytest.raises(ScenarioError, match="no meshed vessel"):
        prepared({**changes, "anatomy.vessels": []})
