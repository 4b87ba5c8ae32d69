"""The arrays of many problems on one mesh: those of one, with an axis for the problems at the end.

An array has length one there where the problems do not differ; most do not, so that its memory is
read once for all of them. Conductivities that differ by one factor for all tissues share their
weights. The laws mix linearly at the points: what differs by tissue is summed from its regions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ablasim.physics import tissue
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.electric import Electric
from ablasim.solve.heat import Heat, Streams
from ablasim.solve.kernels import Weights, put
from ablasim.solve.layout import Graph, Slices, slice_rows
from ablasim.solve.mixed import MOST_PATTERNS, Mixed, patterns
from ablasim.solve.multigrid import Hierarchy
from ablasim.solve.setup import electric_arrays, heat_arrays, wall_arrays
from ablasim.solve.streams import stream_arrays

Floats = NDArray[np.float64]

MATRICES = ("response", "outlet", "stopped_with")
"""Dense matrices of the blood, which act on the axis of stations (`kernels.apply`)."""


def widened[T](tree: T) -> T:
    """Every array of numbers with an axis of length one at its end; indices and scalars as is."""

    def wide(values: Array) -> Array:
        if values.ndim == 0 or not np.issubdtype(values.dtype, np.floating):
            return values
        return put(np.asarray(values)[..., None])

    result: T = jax.tree.map(wide, tree)
    return result


def heat_batch(problems: Sequence[BioheatProblem], graph: Graph, dtype: str) -> Heat:
    """Arrays of the heat problems (n, b)."""
    first = problems[0]
    single = heat_arrays(first, graph, dtype)
    heat = widened(replace(single, blood=None))
    parts = _Regions(problems, graph, dtype)
    volume = np.asarray(single.volume, dtype=float)
    changes: dict[str, Any] = {"blood": _streams(parts, single)}
    if parts.differ("wet_capacity", "dry_capacity", "latent_heat"):
        wet, dry, latent = (
            parts.mixed(name) for name in ("wet_capacity", "dry_capacity", "latent_heat")
        )
        boiling = tissue.band_capacity(wet, dry, latent, first.laws.vaporisation_band)
        changes |= {"wet": parts.few(wet), "dry": parts.few(dry), "boiling": parts.few(boiling)}
    if parts.differ("perfusion"):
        changes["perfusion"] = parts.few(volume[:, None] * parts.mixed("perfusion"))
        if single.supply is not None:
            changes["supply"] = parts.supply()
    if parts.differ("conductivity", "conductivity_slope"):
        changes |= _conduction(parts, single)
    if parts.walls_differ():
        each = [wall_arrays(problem, graph) for problem in problems]
        lumped, inflow, _, area, _ = (
            np.stack(values, axis=-1) for values in zip(*each, strict=True)
        )
        changes |= {"wall": parts.few(lumped), "wall_heat": parts.few(inflow)}
        changes["wall_area"] = parts.put(area)
    laws = [
        [p.blood_temperature, p.laws.perfusion_shutdown, *p.laws.vaporisation_band]
        for p in problems
    ]
    changes["constants"] = parts.put(np.transpose(laws))
    return replace(heat, **changes)


def electric_batch(problems: Sequence[BioheatProblem], graph: Graph, dtype: str) -> Electric | None:
    """Arrays of the potential problems; None without electrodes."""
    single = electric_arrays(problems[0], graph, dtype)
    if single is None:
        return None
    parts = _Regions(problems, graph, dtype)
    changes: dict[str, Any] = {}
    for name, key in (
        ("sigma", "sigma0"),
        ("sigma_slope", "slope"),
        ("sigma_dry_ratio", "dry_ratio"),
    ):
        if parts.differ(name):
            changes[key] = parts.put(parts.column(name)[parts.region])
    far = [p.electrodes.far_field for p in problems if p.electrodes is not None]
    if any(not np.array_equal(values, far[0]) for values in far):
        changes["far_field"] = parts.put(np.stack(far, axis=-1)[graph.to_mesh])
    active = np.asarray(single.active)[..., None]
    changes["active"] = put(np.repeat(active, len(problems), axis=-1))
    return replace(widened(single), **changes)


def hierarchy_batch(hierarchy: Hierarchy) -> Hierarchy:
    """A multigrid cycle for many right-hand sides."""
    return replace(hierarchy, levels=widened(hierarchy.levels))


def _conduction(parts: _Regions, single: Heat) -> dict[str, Any]:
    """Weights of conduction: one factor for each problem, or weights of their own."""
    k0, dk = parts.column("conductivity"), parts.column("conductivity_slope")
    factor: Floats = k0 / k0[:, :1]
    changes: dict[str, Any] = {"factor": parts.put(factor[0])}
    if not _alike(factor):
        changes = {"weight": parts.weights(k0), "diagonal": parts.put(parts.row_sums(k0))}
        factor = np.ones_like(factor)
    ratio = dk / k0
    if _alike(ratio):
        return changes | {"ratio": parts.put(ratio[0]), "slope": None}
    # the bound of the fastest rate takes the largest ratio
    return changes | {
        "ratio": parts.put(ratio.max(axis=0)),
        "slope": parts.weights(dk / factor),
    }


def _alike(values: Floats) -> bool:
    """Whether all regions (r, b) have the same value in every problem."""
    return bool(np.allclose(values, values[0], rtol=1e-12, atol=0.0))


class _Regions:
    """What differs between problems by the regions of their mesh."""

    def __init__(self, problems: Sequence[BioheatProblem], graph: Graph, dtype: str):
        self.problems, self.graph, self.dtype = problems, graph, dtype
        self.region = problems[0].mesh.cell_region
        self.count = len(problems[0].mesh.regions)

    def put(self, values: Floats) -> Array:
        return put(values, self.dtype)

    def few(self, values: Floats) -> Array | Mixed:
        """Values (n, b) as a few patterns where that holds them to rounding."""
        columns, strengths = patterns(values)
        if len(strengths) > MOST_PATTERNS:
            return self.put(values)
        return Mixed(tuple(self.put(c[:, None]) for c in columns.T), self.put(strengths))

    def column(self, name: str) -> Floats:
        """A constant of the materials (r, b)."""
        return np.stack([getattr(p.materials, name) for p in self.problems], axis=-1)

    def differ(self, *names: str) -> bool:
        """Whether one of some constants is not the same in all problems."""
        return any((self.column(name) != self.column(name)[:, :1]).any() for name in names)

    def mixed(self, name: str) -> Floats:
        """Volume-weighted means at the points (n, b), in solver order."""
        return self._shares() @ self.column(name)

    def _shares(self) -> Floats:
        """Share of each region in the volume of the points (n, r)."""
        first = self.problems[0]
        parts = [first.lump((self.region == number).astype(float)) for number in range(self.count)]
        volume = np.stack(parts, axis=-1)[self.graph.to_mesh]
        shares: Floats = volume / volume.sum(axis=1, keepdims=True)
        return shares

    @cached_property
    def rows(self) -> Slices:
        """How the rows of the points are cut into slices."""
        return slice_rows(self.graph.indptr, self.graph.indices)

    def _sliced(self, values: Floats, of: Callable[[Floats], Floats]) -> Weights:
        """Entries (k, rows, b) of edge values that are linear in those of the regions (r, b)."""
        columns, strengths = patterns(values)
        basis = [
            self.rows.pack(of(column[self.region])[self.graph.slot_edge]) for column in columns.T
        ]
        slices = zip(*basis, strict=True)
        if len(strengths) > MOST_PATTERNS:
            return tuple(
                self.put(np.einsum("r...,rb->...b", np.array(each), strengths)) for each in slices
            )
        return tuple(
            Mixed(tuple(self.put(part[..., None]) for part in each), self.put(strengths))
            for each in slices
        )

    def weights(self, values: Floats) -> Weights:
        """Weights of conduction (k, rows, b) for conductivities (r, b)."""
        return self._sliced(values, self.graph.edge_weights)

    def row_sums(self, values: Floats) -> Floats:
        """Their sums (n, b)."""
        graph, cells = self.graph, values[self.region]
        columns = [graph.row_sums(graph.edge_weights(column)) for column in cells.T]
        return np.stack(columns, axis=-1)

    def supply(self) -> Weights:
        """Perfusion by edges (k, rows, b)."""
        volumes = self.graph.volumes / 12.0
        return self._sliced(
            self.column("perfusion"), lambda inside: self.graph.around_edges(inside * volumes)
        )

    def walls_differ(self) -> bool:
        """Whether a wall has other coefficients or another temperature in one of the problems."""
        first = self.problems[0].walls
        return any(
            not np.array_equal(wall.coefficient, other.coefficient)
            or wall.temperature != other.temperature
            for problem in self.problems
            for wall, other in zip(first, problem.walls, strict=True)
        )


def _streams(parts: _Regions, single: Heat) -> Streams | None:
    """The blood along the walls, whose answer depends on their coefficients."""
    if single.blood is None:
        return None
    wide = widened(single.blood)
    if not parts.walls_differ():
        return replace(wide, **{name: getattr(single.blood, name) for name in MATRICES})
    each = []
    for problem in parts.problems:
        walls = wall_arrays(problem, parts.graph)
        found = stream_arrays(problem, walls[2], walls[3], parts.dtype)
        assert found is not None
        each.append(found)
    changes = {}
    for field in fields(Streams):
        values = [np.asarray(getattr(streams, field.name)) for streams in each]
        if any(value.shape != values[0].shape for value in values):
            raise ValueError(f"streams differ in {field.name}")
        if np.issubdtype(values[0].dtype, np.floating):
            if any((value != values[0]).any() for value in values):
                axis = 0 if field.name in MATRICES else -1
                changes[field.name] = put(np.stack(values, axis=axis))
            elif field.name in MATRICES:
                changes[field.name] = getattr(single.blood, field.name)
    return replace(wide, **changes)
