"""Both engines on the same mesh: they agree, and a law changed in one of them is noticed.

Parity of every shipped scenario and of every exact solution is what `ablasim verify 'parity*'`
shows; here the comparison itself is put to the test, and the number of ranks.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ablasim.physics import tissue
from ablasim.physics.problem import BioheatProblem, Laws
from ablasim.solve import Solution, Status, StepControl, dolfinx_heat, dolfinx_potential
from ablasim.solve.dolfinx_start import is_installed
from ablasim.verify import Case, parity
from ablasim.verify.apart import LIMITS, field_rows
from ablasim.verify.case import Outcome
from ablasim.verify.manufactured import smooth_transient
from ablasim.verify.parity import MEMBERS, Member, compared
from ablasim.verify.registry import select
from ablasim.verify.runs import SCENARIOS
from ablasim.verify.scenes import Solver, by_dolfinx, by_jax, held, off

pytestmark = pytest.mark.skipif(
    not is_installed(), reason="DOLFINx is not installed; `ablasim doctor` says how to get it"
)

STEPS = StepControl(tolerance=2e-5, longest=0.5)
SAME = 1e-9


# -- a small problem with every term --------------------------------------------------------------


@cache
def small() -> BioheatProblem:
    """RF at constant voltage in a cube: k(T), sigma(T), perfusion that stops, a cooled wall."""
    problem = smooth_transient("voltage")
    return replace(problem, generator=replace(problem.generator, duration=8.0))  # type: ignore[type-var]


@cache
def by_jax_once() -> Solution:
    return by_jax(small(), STEPS)


def gap() -> float:
    """Relative L2 distance of both engines' temperatures."""
    row, _ = field_rows(small(), by_jax_once(), by_dolfinx(small(), STEPS), "")
    return row.error


def test_engines_agree() -> None:
    """Catches any term that one of the engines leaves out or weighs differently."""
    found = gap()
    print(f"relative L2 {found:.2e}")
    assert found < LIMITS["temperature"].value


def changed(**laws: Any) -> SimpleNamespace:
    """The module of the tissue's laws with some of them replaced."""
    names = {name: getattr(tissue, name) for name in dir(tissue) if not name.startswith("__")}
    return SimpleNamespace(**names | laws)


def steeper_sigma(temperature: Any, sigma0: Any, slope: Any, *rest: Any) -> Any:
    return tissue.electrical_conductivity(temperature, sigma0, 1.05 * slope, *rest)


def flatter_conductivity(temperature: Any) -> Any:
    linear, square = tissue.kirchhoff(temperature)
    return linear, 0.95 * square


@pytest.mark.parametrize(
    ("module", "law"),
    [
        (dolfinx_potential, {"electrical_conductivity": steeper_sigma}),
        (dolfinx_heat, {"kirchhoff": flatter_conductivity}),
    ],
    ids=["sigma", "k"],
)
def test_a_law_changed_in_one_engine_is_noticed(
    monkeypatch: pytest.MonkeyPatch, module: Any, law: dict[str, Any]
) -> None:
    """Catches a comparison that cannot fail: five per cent of one slope, in one engine only."""
    monkeypatch.setattr(module, "tissue", changed(**law))
    found = gap()
    print(f"relative L2 {found:.2e}")
    assert found > 3.0 * LIMITS["temperature"].value


def test_what_leaves_the_vaporisation_band_cools_no_further_than_its_surroundings() -> None:
    """Catches Newton's method at the second, cold solution that a straight k(T) has.

    Boiling tissue between cold walls and a step of minutes: by the slope of the band alone an
    iteration would cool by a hundred times too much.
    """
    problem = smooth_transient(None)
    start = np.where(np.isnan(held(problem.mesh, {"side1": 20.0})), 99.9, 20.0)
    problem = replace(
        problem,
        laws=Laws(vaporisation_band=(99.0, 100.0)),
        generator=off(300.0),
        initial_temperature=start,
        fixed_temperature=held(problem.mesh, {"side1": 20.0}),
        walls=(),
        source=None,
    )
    found = by_dolfinx(problem, StepControl(tolerance=20.0, longest=150.0))
    assert found.status is Status.DONE
    assert found.temperature.min() > 19.9 and found.temperature.max() < 100.0
    assert abs(found.energy["balance_error"]) < 1e-8


# -- a shipped scenario ---------------------------------------------------------------------------

SHORT = Member("rf_beside_portal_vein", 0.0005, 0.5)


def remembered(solver: Solver) -> Solver:
    """A solver whose first answer serves again."""
    found: list[Solution] = []

    def again(problem: BioheatProblem, control: StepControl | None) -> Solution:
        found.extend([] if found else [solver(problem, control)])
        return found[0]

    return again


def outcome_of(member: Member, **changes: Any) -> Outcome:
    """Both engines on a scenario, judged as `ablasim verify` judges it."""
    case = Case("short", "", "code-to-code", "", "", LIMITS, partial(compared, member, **changes))
    rows = tuple(case.compute())
    for row in rows:
        print(f"{row.quantity}: {row.error:.2e}")
    return Outcome(case, rows, 0.0)


@pytest.mark.slow
def test_a_scenario_agrees_and_a_law_changed_in_one_engine_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Catches a verdict that passes whatever the engines say: sigma rises by five per cent more per
    kelvin in one of them."""
    changes = {"protocol__duration_s": 30.0}
    monkeypatch.setattr(parity, "by_jax", remembered(by_jax))
    assert outcome_of(SHORT, **changes).passed
    monkeypatch.setattr(dolfinx_potential, "tissue", changed(electrical_conductivity=steeper_sigma))
    assert not outcome_of(SHORT, **changes).passed


def test_every_scenario_has_its_parity() -> None:
    """Catches a scenario that is added and never solved by the second engine."""
    names = {path.stem for path in SCENARIOS.glob("*.yaml")}
    assert {member.name for member in MEMBERS} == names
    assert {case.name for case in select(["parity"])} >= {f"parity-{name}" for name in names}


# -- the number of ranks --------------------------------------------------------------------------


def on_ranks(count: int, out: Path, problem: str) -> Any:
    """Fields that so many ranks found."""
    launcher = Path(sys.executable).with_name("mpirun")
    if not launcher.is_file():
        pytest.skip("no mpirun beside this Python")
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    script = str(Path(__file__).with_name("ranks.py"))
    subprocess.run(
        [launcher, "-n", str(count), sys.executable, script, str(out), problem],
        env=environment,
        timeout=300,
        check=True,
    )
    return np.load(out)


@pytest.mark.parametrize(
    ("problem", "count"),
    [
        ("smooth", 2),
        ("quadratic", 2),
        ("trees", 2),
        ("antenna", 2),
        ("tines", 2),
        pytest.param("smooth", 4, marks=pytest.mark.slow),
    ],
)
def test_ranks_agree(problem: str, count: int, tmp_path: Path) -> None:
    """Catches a term that is counted twice, or left out, on the border between two ranks: of a
    smooth problem, and of scenarios with trees of vessels, blood that warms, doses, an antenna
    whose field follows the tissue, several conductors."""
    alone, shared = (on_ranks(n, tmp_path / f"{n}.npz", problem) for n in (1, count))
    assert (int(alone["ranks"]), int(shared["ranks"])) == (1, count)
    assert set(alone) == set(shared)
    for name in sorted(set(alone) - {"ranks"}):
        size = np.abs(alone[name]).max()
        apart = np.abs(alone[name] - shared[name]).max() / size
        print(f"{name}: {apart:.1e}")
        assert apart < SAME
