"""The DOLFINx engine against closed forms, with linear and with quadratic functions."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ablasim.errors import ResourceError
from ablasim.mesh import TetMesh
from ablasim.physics.electric import Circuit
from ablasim.physics.generator import ConstantGenerator
from ablasim.physics.problem import BioheatProblem, Electrodes, Laws, Materials, Wall
from ablasim.solve import Solution, Status, StepControl, solve
from ablasim.solve.dolfinx_engine import DolfinxEngine
from ablasim.solve.dolfinx_options import OUT_OF_MEMORY, Options, lack_of_memory
from ablasim.verify.patches import box

LENGTH = 0.02
DIFFUSIVITY = 0.5 / 4e6
SIGMA = 0.4

pytestmark = pytest.mark.usefixtures("dolfinx")


def bar(count: int) -> TetMesh:
    """A bar along x, of cubes."""
    line, side = (np.linspace(0.0, size * LENGTH, round(size * count) + 1) for size in (1.0, 0.25))
    return box((line, side, side))


def materials(**changes: float) -> Materials:
    values = {
        "wet_capacity": 4e6,
        "dry_capacity": 4e6,
        "latent_heat": 0.0,
        "conductivity": 0.5,
        "conductivity_slope": 0.0,
        "perfusion": 0.0,
        "sigma": SIGMA,
        "sigma_slope": 0.0,
        "sigma_dry_ratio": 1.0,
    }
    return Materials(**{k: np.array([v]) for k, v in (values | changes).items()})


def problem(mesh: TetMesh, **parts: Any) -> BioheatProblem:
    laws = Laws(vaporisation_band=(1e8, 2e8))
    generator = ConstantGenerator("power", 0.0, 20.0)
    given = {"materials": materials(), "laws": laws, "generator": generator} | parts
    return BioheatProblem(mesh=mesh, **given)


def run(case: BioheatProblem, degree: int = 1, **control: float) -> Solution:
    steps = StepControl(**({"fixed": 0.25} | control))
    solution = solve(case, engine="dolfinx", control=steps, options=Options(degree=degree))
    assert solution.status is Status.DONE
    if abs(solution.energy["delivered_J"]) > 0.0:
        assert solution.energy["balance_error"] < 1e-9
    return solution


@pytest.mark.parametrize("degree", [1, 2])
def test_plates(degree: int) -> None:
    """Catches a wrong conductance or Joule heat: between plates both are known exactly."""
    mesh = bar(4)
    x = mesh.points[:, 0]
    held = np.isclose(x, LENGTH), np.isclose(x, 0.0)
    electrodes = Electrodes(held[0], held[1], np.zeros(len(x)))
    case = problem(mesh, electrodes=electrodes, generator=ConstantGenerator("power", 2.0, 10.0))
    solution = run(case, degree)
    area = (0.25 * LENGTH) ** 2
    resistance = LENGTH / (SIGMA * area)
    np.testing.assert_allclose(solution.history["impedance_ohm"], resistance, rtol=1e-8)
    assert solution.energy["delivered_J"] == pytest.approx(20.0, rel=1e-8)
    rise = 20.0 / (4e6 * LENGTH * area)
    assert solution.energy["stored_J"] == pytest.approx(20.0, rel=1e-8)
    if degree == 2:  # linear functions spread the heat of a cell unevenly over its corners
        np.testing.assert_allclose(solution.temperature, 37.0 + rise, rtol=1e-6)


@pytest.mark.parametrize("degree", [1, 2])
def test_current_through_scattered_dried_points(degree: int) -> None:
    """Two of three nodes are dried: the conductance lies between those of wet and dry tissue, and
    is found. Catches a sigma that is negative between the nodes of a quadratic cell: the matrix is
    not definite then, and conjugate gradients stop at any residual."""
    mesh = bar(8)
    x = mesh.points[:, 0]
    held = np.isclose(x, LENGTH), np.isclose(x, 0.0)
    case = problem(
        mesh,
        materials=materials(sigma_slope=0.015, sigma_dry_ratio=0.01),
        electrodes=Electrodes(held[0], held[1], np.zeros(len(x))),
        laws=Laws(sigma_drop=5.0),
    )
    engine = DolfinxEngine(case, Options(degree=degree))
    assert engine.electric is not None
    wet, dried = 90.0, 130.0
    random = np.random.default_rng(0)
    temperature = np.where(random.random(engine.share.owned) < 2.0 / 3.0, dried, wet)
    field = engine.electric.unit_field(temperature, engine.start().potential, 0)
    assert field.residual < 1e-8
    assert field.heat.sum() == pytest.approx(field.conductance, rel=1e-8)
    whole = SIGMA * (0.25 * LENGTH) ** 2 / LENGTH
    assert 0.01 * whole < field.conductance < (1.0 + 0.015 * (wet - 37.0)) * whole


@pytest.mark.parametrize("degree", [1, 2])
def test_far_field(degree: int) -> None:
    """Catches a far field that is lost or counted twice: two resistances in series."""
    mesh = bar(4)
    x = mesh.points[:, 0]
    # 1 S/m2 times 100 through the end x = 0
    faces = mesh.faces[np.isclose(mesh.points[mesh.faces][:, :, 0], 0.0).all(axis=1)]
    assert len(faces)
    share = np.zeros(len(x))
    corner = mesh.points[faces]
    size = 0.5 * np.linalg.norm(
        np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1
    )
    np.add.at(share, faces, np.repeat(size[:, None] / 3.0, 3, axis=1))
    names = list(mesh.surfaces)
    mesh = replace(mesh, surfaces=tuple("outer" if name == names[0] else name for name in names))
    active = np.isclose(x, LENGTH)
    electrodes = Electrodes(active, np.zeros(len(x), dtype=bool), 100.0 * share, (Circuit(),))
    case = problem(mesh, electrodes=electrodes, generator=ConstantGenerator("power", 1.0, 5.0))
    solution = run(case, degree)
    area = (0.25 * LENGTH) ** 2
    expected = LENGTH / (SIGMA * area) + 1.0 / (100.0 * area)
    np.testing.assert_allclose(solution.history["impedance_ohm"], expected, rtol=1e-6)


@pytest.mark.parametrize(("degree", "order", "tolerance"), [(1, 2.0, 0.01), (2, 3.0, 0.001)])
def test_wall_and_perfusion(degree: int, order: float, tolerance: float) -> None:
    """Catches a wall, perfusion or conduction term of the wrong size or degree: steady profile

    T = q/W (1 - A cosh(m (L - x))), m2 = W/k, A = h/(k m sinh(m L) + h cosh(m L)).
    """
    w, q, h, k = 2e4, 4e5, 500.0, 0.5
    m = np.sqrt(w / k)
    a = h / (k * m * np.sinh(m * LENGTH) + h * np.cosh(m * LENGTH))
    errors = []
    for count in (8, 16):
        mesh = bar(count)
        wall = Wall("vessel.v", "vessel", mesh.surface_faces("low0"), h, 37.0)
        case = problem(
            mesh,
            materials=materials(perfusion=w),
            walls=(wall,),
            generator=ConstantGenerator("power", 0.0, 3000.0),
            initial_temperature=47.0,
        )
        heat = case.lump(np.full(len(mesh.cells), q))
        solution = run(replace(case, source=heat), degree, fixed=50.0)
        profile = 37.0 + q / w * (1.0 - a * np.cosh(m * (LENGTH - mesh.points[:, 0])))
        # linear functions share the perfusion of a cell unevenly between its corners on this grid
        planes = np.round(mesh.points[:, 0] / LENGTH * count).astype(int)
        share = case.lump(np.ones(len(mesh.cells)))
        wrong = np.bincount(planes, share * (solution.temperature - profile))
        errors.append(np.abs(wrong / np.bincount(planes, share)).max())
    assert errors[1] < tolerance * q / w
    assert np.log2(errors[0] / errors[1]) > order - 0.2


@pytest.mark.parametrize("degree", [1, 2])
def test_vaporisation_keeps_its_heat(degree: int) -> None:
    """Catches latent heat that a step jumps over: all that is delivered is in H(T)."""
    mesh = bar(4)
    hot = materials(latent_heat=1e9, dry_capacity=1e6)
    case = problem(mesh, materials=hot, laws=Laws(), initial_temperature=90.0)
    volume = float(mesh.cell_volumes().sum())
    heat = case.lump(np.full(len(mesh.cells), 1.2e9 / 20.0))
    solution = run(replace(case, source=heat), degree, fixed=2.0)
    # 9 K wet, the band with half of both capacities, the rest dry
    left = 1.2e9 - 9.0 * 4e6 - (0.5 * 5e6 + 1e9)
    np.testing.assert_allclose(solution.temperature, 100.0 + left / 1e6, rtol=1e-6)
    assert solution.energy["stored_J"] == pytest.approx(1.2e9 * volume, rel=1e-9)


def test_lack_of_memory_in_the_second_try_is_said() -> None:
    """Catches a traceback where the potential is solved again with a new hierarchy."""
    mesh = bar(4)
    x = mesh.points[:, 0]
    electrodes = Electrodes(np.isclose(x, LENGTH), np.isclose(x, 0.0), np.zeros(len(x)))
    case = problem(mesh, electrodes=electrodes, generator=ConstantGenerator("power", 2.0, 10.0))
    engine = DolfinxEngine(case)
    state, electric = engine.start(), engine.electric
    assert electric is not None and not electric.fresh
    from petsc4py import PETSc

    tries = []

    def solve_once(_right: Any, _found: Any) -> None:
        tries.append(electric.fresh)
        if len(tries) > 1:
            raise PETSc.Error(OUT_OF_MEMORY)

    electric.ksp = SimpleNamespace(getPC=electric.ksp.getPC, is_converged=False, solve=solve_once)
    with pytest.raises(ResourceError, match="PETSc has no memory left"), lack_of_memory():
        electric.unit_field(state.temperature[0], state.potential, 0)
    assert tries == [False, True]


def test_rounding_in_thin_cells_does_not_keep_steps_short() -> None:
    """What two points a hundredth of a millimetre apart exchange is known to rounding only: were it
    asked for more closely, Newton's method would never end and every step be halved."""
    line = np.array([0.0, 1e-5, 1e-3, 5e-3, 0.01, 0.02])
    side = np.array([0.0, 1e-5, 5e-3])
    mesh = box((line, side, side))
    held = np.full(len(mesh.points), np.nan)
    held[mesh.points[:, 0] == 0.0] = 37.0
    heat = np.where(mesh.points[:, 0] > 0.015, 1e-4, 0.0)
    case = problem(
        mesh,
        source=heat,
        fixed_temperature=held,
        generator=ConstantGenerator("power", 0.0, 4000.0),
    )
    found = run(case, fixed=None, longest=200.0, tolerance=0.02)
    assert found.statistics["rejected"] < 10
    assert found.statistics["steps"] < 300
