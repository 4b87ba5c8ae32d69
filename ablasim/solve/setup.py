"""From a BioheatProblem to the arrays of the JAX kernels, in solver order."""

from __future__ import annotations

import numpy as np
from jax import Array
from numpy.typing import NDArray

from ablasim.physics import tissue
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.electric import Electric
from ablasim.solve.heat import Heat
from ablasim.solve.kernels import put
from ablasim.solve.layout import Graph, Slices, slice_rows
from ablasim.solve.streams import stream_arrays

Floats = NDArray[np.float64]


def heat_arrays(problem: BioheatProblem, graph: Graph, dtype: str) -> Heat:
    """Arrays of the heat problem."""
    m, laws, order = problem.materials, problem.laws, graph.to_mesh
    volume = problem.lump(np.ones(len(graph.cells)))

    def mixed(values: Floats) -> Floats:
        """Volume-weighted mean at the points: the law of a point on an interface is the mixture."""
        mean: Floats = problem.lump(problem.per_cell(values)) / volume
        return mean

    wet, dry = mixed(m.wet_capacity), mixed(m.dry_capacity)
    boiling = tissue.band_capacity(wet, dry, mixed(m.latent_heat), laws.vaporisation_band)
    held, fixed = np.zeros(len(volume), dtype=bool), np.zeros(len(volume))
    if problem.fixed_temperature is not None:
        held = np.isfinite(problem.fixed_temperature)
        fixed = np.where(held, problem.fixed_temperature, 0.0)
    walls = wall_arrays(problem, graph)

    rows = slice_rows(graph.indptr, graph.indices)
    weights = graph.edge_weights(problem.per_cell(m.conductivity))
    slopes = graph.edge_weights(problem.per_cell(m.conductivity_slope))
    ratios = m.conductivity_slope / m.conductivity
    same = bool(np.allclose(ratios, ratios[0], rtol=1e-12, atol=0.0))

    def entries(edge_weights: Floats) -> tuple[Array, ...]:
        return tuple(put(v, dtype) for v in rows.pack(edge_weights[graph.slot_edge]))

    perfusion, supply = problem.per_cell(m.perfusion), None
    if laws.perfusion_has_border and perfusion.any():
        supply = entries(graph.around_edges(perfusion * graph.volumes / 12.0))

    return Heat(
        volume=put(volume[order], dtype),
        wet=put(wet[order], dtype),
        boiling=put(boiling[order], dtype),
        dry=put(dry[order], dtype),
        perfusion=put(problem.lump(perfusion)[order], dtype),
        supply=supply,
        wall=put(walls[0], dtype),
        wall_heat=put(walls[1], dtype),
        free=put(~held[order], dtype),
        held=put(np.flatnonzero(held[order]).astype(np.int32)),
        fixed=put(fixed[order], dtype),
        factor=put(1.0, dtype),
        diagonal=put(graph.row_sums(weights), dtype),
        index=_indices(rows),
        weight=entries(weights),
        slope=None if same else entries(slopes),
        ratio=put(ratios[0] if same else ratios.max(), dtype),
        wall_point=put(walls[2]),
        wall_area=put(walls[3], dtype),
        wall_id=put(walls[4]),
        wall_temperature=put([wall.temperature for wall in problem.walls], dtype),
        blood=stream_arrays(problem, walls[2], walls[3], dtype),
        constants=put(
            [problem.blood_temperature, laws.perfusion_shutdown, *laws.vaporisation_band], dtype
        ),
    )


def wall_arrays(
    problem: BioheatProblem, graph: Graph
) -> tuple[Floats, Floats, NDArray[np.int32], Floats, NDArray[np.int32]]:
    """Lumped h A and h A T of all walls, and the list of wall points, their h A and wall."""
    count = len(problem.mesh.points)
    total, heat = np.zeros(count), np.zeros(count)
    points, areas, ids = [], [], []
    for number, wall in enumerate(problem.walls):
        where = graph.from_mesh[wall.points]
        share = problem.wall_conductance(wall)
        total[where] += share
        heat[where] += share * wall.temperature
        points.append(where)
        areas.append(share)
        ids.append(np.full(len(where), number))
    return (
        total,
        heat,
        np.concatenate([np.empty(0), *points]).astype(np.int32),
        np.concatenate([np.empty(0), *areas]),
        np.concatenate([np.empty(0), *ids]).astype(np.int32),
    )


def electric_arrays(problem: BioheatProblem, graph: Graph, dtype: str) -> Electric | None:
    """Arrays of the potential problem; None without electrodes."""
    if problem.electrodes is None:
        return None
    electrodes, m, order = problem.electrodes, problem.materials, graph.to_mesh
    conductors = electrodes.conductors
    rows = slice_rows(graph.indptr, graph.indices)

    # cells around each edge: the transpose of the table of a cell's edges
    flat = graph.edge_of.ravel()
    by_edge = np.argsort(flat, kind="stable")
    indptr = np.append(0, np.cumsum(np.bincount(flat, minlength=len(graph.edges))))
    around = slice_rows(indptr.astype(np.int32), (by_edge // 6).astype(np.int32), slices=4)
    place = np.empty(len(graph.edges) + 1, dtype=np.int64)
    place[around.order] = np.arange(len(graph.edges))
    place[-1] = len(graph.edges)

    edge_of_slot = np.append(graph.slot_edge, len(graph.edges))
    return Electric(
        free=put(~(conductors.any(axis=0) | electrodes.grounded)[order], dtype),
        active=put(conductors[:, order], dtype),
        far_field=put(electrodes.far_field[order], dtype),
        index=_indices(rows),
        slot=tuple(put(place[edge_of_slot[e]].astype(np.int32)) for e in rows.entry),
        edge=_indices(around),
        stiffness=tuple(put(v, dtype) for v in around.pack(graph.stiffness.ravel()[by_edge])),
        cells=put(graph.cells),
        sigma0=put(problem.per_cell(m.sigma), dtype),
        slope=put(problem.per_cell(m.sigma_slope), dtype),
        dry_ratio=put(problem.per_cell(m.sigma_dry_ratio), dtype),
        drop=put(problem.laws.sigma_drop, dtype),
    )


def _indices(rows: Slices) -> tuple[Array, ...]:
    return tuple(put(index) for index in rows.index)
