"""Perfusion that ends at a border: its quadrature on a mesh, in both engines."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray
from simple_meshes import ball, box_mesh

from ablasim.physics.generator import ConstantGenerator
from ablasim.physics.problem import BioheatProblem, Laws, Materials
from ablasim.solve.layout import build_graph
from ablasim.solve.setup import heat_arrays

Floats = NDArray[np.float64]

SIZE = 20e-3
W = (4.5e4, 2.0e4)
"""Of liver and tumour [W/m3/K]."""


def problem(count: int, shutdown: float = 60.0) -> BioheatProblem:
    """Two tissues in a cube, jiggled so that no border meets points in rows."""
    mesh = box_mesh(count, SIZE, regions={"tumour": ball((2e-3, 1e-3, 0.0), 6e-3)})
    inside = (np.abs(mesh.points) < 0.49 * SIZE).all(axis=1)
    jiggle = 0.15 * SIZE / count * np.random.default_rng(1).standard_normal(mesh.points.shape)
    mesh = replace(mesh, points=mesh.points + inside[:, None] * jiggle)

    def each(value: float) -> Floats:
        return np.full(len(mesh.regions), value)

    perfusion = np.array([W[name == "tumour"] for name in mesh.regions])
    materials = Materials(
        wet_capacity=each(3.8e6),
        dry_capacity=each(7e5),
        latent_heat=each(1.7e9),
        conductivity=each(0.52),
        conductivity_slope=each(0.0),
        perfusion=perfusion,
        sigma=each(0.33),
        sigma_slope=each(0.015),
        sigma_dry_ratio=each(0.01),
    )
    return BioheatProblem(
        mesh, materials, Laws(perfusion_shutdown=shutdown), ConstantGenerator("off", 0.0, 1.0)
    )


def left(case: BioheatProblem, hottest: Floats) -> Floats:
    """Lumped perfusion of the JAX engine in mesh order (n,) [W/K]."""
    graph = build_graph(case.mesh.points, case.mesh.cells)
    heat = heat_arrays(case, graph, "float64")
    found = heat.perfusion_left(jnp.asarray((hottest - 60.0)[graph.to_mesh]))
    return np.asarray(found)[graph.from_mesh]


def whole(case: BioheatProblem) -> Floats:
    """Lumped perfusion of tissue that has all of it (n,) [W/K]."""
    return case.lump(case.per_cell(case.materials.perfusion))


def test_all_or_nothing_on_either_side() -> None:
    """Catches weights that do not add up, above all where two tissues meet."""
    case, count = problem(6), len(problem(6).mesh.points)
    assert left(case, np.full(count, 59.0)) == pytest.approx(whole(case), rel=1e-12)
    assert left(case, np.full(count, 60.0)) == pytest.approx(np.zeros(count), abs=1e-18)


def test_what_never_ends_costs_nothing() -> None:
    """Catches a law that is worked out where the scenario has none."""
    case = problem(3, np.inf)
    graph = build_graph(case.mesh.points, case.mesh.cells)
    assert heat_arrays(case, graph, "float64").supply is None


def test_what_is_left_falls_smoothly_with_the_temperature() -> None:
    """Catches a point that loses its perfusion at once: the zone would hang on rounding."""
    case = problem(5)
    mesh = case.mesh
    point = int(np.linalg.norm(mesh.points, axis=1).argmin())
    others = 60.0 + 1e3 * (mesh.points[:, 0] - mesh.points[point, 0])
    full, shares = whole(case)[point], []
    for excess in np.arange(-4.0, 4.01, 0.1):  # neighbours are up to 4 K away
        hottest = others.copy()
        hottest[point] = 60.0 + excess
        shares.append(left(case, hottest)[point] / full)
    falls = -np.diff(shares)
    assert shares[0] > 0.8
    assert shares[-1] < 0.2
    assert (falls >= -1e-12).all()
    assert falls.max() < 0.25


def test_what_is_left_is_of_second_order() -> None:
    """Catches a border that is off by a share of the mesh's size on one of its sides.

    The mean over places of the border: what is left by points all or nothing is noise, of either
    sign; what is left by halves of edges is a little too much, by a tenth of h^2 over the radius.
    """
    radius, shifts = 6e-3, []
    centres = 1e-3 * np.random.default_rng(3).uniform(-1.0, 1.0, (12, 3))
    wanted = SIZE**3 - 4.0 / 3.0 * np.pi * radius**3
    for count in (8, 16):
        case = problem(count)
        even = np.full(len(case.mesh.regions), W[0])
        case = replace(case, materials=replace(case.materials, perfusion=even))
        distance = np.linalg.norm(case.mesh.points - centres[:, None], axis=2)
        kept = [left(case, 60.0 + 2e3 * (radius - d)).sum() / W[0] for d in distance]
        shifts.append((np.mean(kept) - wanted) / (4.0 * np.pi * radius**2))
    print(np.array(shifts) * radius / (SIZE / np.array([8, 16])) ** 2)
    assert 0.0 < shifts[0] < 0.25 * (SIZE / 8) ** 2 / radius
    assert np.log2(shifts[0] / shifts[1]) == pytest.approx(2.0, abs=0.5)


@pytest.mark.parametrize("degree", [1, 2])
def test_both_engines_leave_the_same(dolfinx: None, degree: int) -> None:
    """Catches halves of edges given to the wrong end, and nodes in another order."""
    from ablasim.solve.dolfinx_share import share_out
    from ablasim.solve.dolfinx_start import start
    from ablasim.solve.dolfinx_supply import Supply

    case = problem(5)
    share = share_out(case, start().comm, degree)
    weight = case.per_cell(case.materials.perfusion) * case.mesh.cell_volumes()
    supply = Supply(share, share.own_cells(weight))
    noise = np.random.default_rng(2).standard_normal(len(case.mesh.points))
    hottest = 60.0 + 1e3 * case.mesh.points[:, 0] + 0.5 * noise
    excess = share.at_nodes(share.own(hottest - 60.0))
    nodes = supply.left(excess)
    found = share.collect(nodes)
    if degree == 1:
        assert found * whole(case) == pytest.approx(left(case, hottest), abs=1e-12)
        return
    sure = np.abs(hottest - 60.0) > 6.0
    assert sure.sum() > 20
    assert found[sure] == pytest.approx((hottest[sure] < 60.0).astype(float))
    assert ((nodes > 0.1) & (nodes < 0.9)).sum() > 20  # in the middle of edges
