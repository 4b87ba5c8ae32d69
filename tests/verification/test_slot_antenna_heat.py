"""G16: the fully specified slot antenna, field and heat, against an axisymmetric heat solver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse.linalg import splu
from skfem import Basis, BilinearForm, ElementQuad2
from skfem.helpers import dot, grad

from ablasim.frames import MM
from ablasim.physics.antenna_coupling import locate
from ablasim.physics.binding import build_problem
from ablasim.run import place_in_mesh, step_control
from ablasim.scenario import load_scenario
from ablasim.solve import solve
from ablasim.verify.antenna_problems import constant_liver, slot_antenna

Floats = NDArray[np.float64]

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "mw_slot_c2.yaml"
POWER, DURATION = 10.0, 600.0
RADII = (5.0, 10.0, 15.0, 20.0)
"""Of C2's probes [mm], at z = 20 mm of its coordinates."""


@BilinearForm
def conduction(u, v, w):  # type: ignore[no-untyped-def]
    """int r grad u . grad v."""
    return dot(grad(u), grad(v)) * w.x[0]


@BilinearForm
def storage(u, v, w):  # type: ignore[no-untyped-def]
    """int r u v."""
    return u * v * w.x[0]


def axisymmetric(fineness: float, step: float) -> Floats:
    """Temperature of C2 at its probes after 600 s [°C], by the trapezoidal rule in (r, z)."""
    antenna = slot_antenna(fineness)
    eps = constant_liver(antenna)
    operator = antenna.operator
    density = operator.absorption(antenna.solve(eps).field, antenna.permittivity(eps))
    mesh = operator.mesh.restrict(antenna.tissue)
    basis = Basis(mesh, ElementQuad2(), intorder=8)
    heat = POWER * density[antenna.tissue] * np.asarray(basis.global_coordinates())[0]
    load = np.zeros(basis.N)
    for i, dofs in enumerate(basis.element_dofs):
        np.add.at(load, dofs, (heat * np.asarray(basis.basis[i][0]) * basis.dx).sum(axis=1))
    mass = storage.assemble(basis)
    loss = 0.52 * conduction.assemble(basis) + 13100.4 * mass
    capacity = 1079.0 * 3540.0 * mass
    theta = np.zeros(basis.N)
    factors = splu((capacity + 0.5 * step * loss).tocsc())
    # two implicit half steps first: the trapezoidal rule does not damp the switching on
    for _ in range(2):
        theta = factors.solve(capacity @ theta + 0.5 * step * load)
    for _ in range(round(DURATION / step) - 1):
        theta = factors.solve(capacity @ theta - 0.5 * step * (loss @ theta) + step * load)
    places = np.array([RADII, [10.5] * len(RADII)]) * MM
    values: Floats = 37.0 + basis.probes(places) @ theta
    return values


def test_the_reference_has_converged() -> None:
    """Two grids and two steps of the axisymmetric solver agree within 0.02 K."""
    fine = axisymmetric(1.5, 2.0)
    assert axisymmetric(1.0, 4.0) == pytest.approx(fine, abs=0.02)


@pytest.mark.slow
def test_slot_antenna_in_three_dimensions() -> None:
    """The product's mesher, coupling and engine give the axisymmetric temperatures within 1 %.

    Catches heat lost or moved on its way from the half plane to the tetrahedra, a wrong frame of
    the antenna, and heat that leaks through the insulated surfaces.
    """
    scenario = load_scenario(SCENARIO)
    anatomy, mesh = place_in_mesh(scenario)
    problem = build_problem(scenario, anatomy, mesh)
    solution = solve(problem, device="cpu", control=step_control(scenario))
    expected = axisymmetric(1.0, 4.0)
    for radius, reference in zip(RADII, expected, strict=True):
        angle = np.arange(12) * np.pi / 6
        places = np.stack(
            [radius * MM * np.cos(angle), radius * MM * np.sin(angle), np.full(12, 20 * MM)], axis=1
        )
        cells, weights = locate(mesh, places)
        found = (solution.temperature[mesh.cells[cells]] * weights).sum(axis=1).mean()
        assert found - 37.0 == pytest.approx(reference - 37.0, rel=0.01), radius
    told = solution.statistics
    # chords of the round outer wall leave out a little tissue
    absorbed = told["microwave_tissue_J"] + told["microwave_elsewhere_J"]
    assert absorbed / DURATION == pytest.approx(9.347, abs=0.02)
    assert told["microwave_elsewhere_J"] / DURATION < 0.02
