"""A problem shared out over MPI ranks: each rank's part of the mesh, and what crosses between them.

Only rank 0 holds the whole problem. DOLFINx cuts the mesh into one part per rank; a point belongs
to one rank, and its neighbours in other parts hold a copy of it, a ghost. Arrays over points are
those of the rank's own points, in DOLFINx's order; where a cell needs all its corners, the ghosts
are filled in first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.physics.problem import BioheatProblem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Share:
    """This rank's part of a mesh.

    Attributes:
        comm: the ranks, an mpi4py communicator.
        mesh: DOLFINx's.
        space: piecewise linear functions on it.
        owned: number of points that belong to this rank.
        points: number in the original mesh of each point, ghosts at the end (p,).
        cells: corners of this rank's cells in its own numbers (m, 4).
        cell_numbers: number in the original mesh of each of them (m,).
        everyone: on rank 0 the numbers of all ranks' own points and of their cells, rank by rank.
    """

    comm: Any
    mesh: Any
    space: Any
    owned: int
    points: Ints
    cells: Ints
    cell_numbers: Ints
    everyone: tuple[list[Ints], list[Ints]] | None

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return bool(self.comm.rank == 0)

    def total(self, values: Any) -> Any:
        """Sum over the ranks of a number or a small array, the same to the last bit on each."""
        mine = np.asarray(values, dtype=float)
        summed = np.zeros_like(mine)
        self.comm.Reduce(mine, summed, root=0)
        self.comm.Bcast(summed, root=0)
        return float(summed) if summed.ndim == 0 else summed

    def largest(self, value: float) -> float:
        """The largest of the ranks' numbers."""
        return float(max(self.comm.allgather(float(value))))

    def own(self, values: Any) -> Floats:
        """The own points' part (..., p) of values of all points (..., n), which rank 0 holds."""
        part: Floats = self._deal(values, 0)
        return part

    def own_cells(self, values: Any) -> Any:
        """The same for the cells."""
        return self._deal(values, 1)

    def _deal(self, values: Any, kind: int) -> Any:
        if self.everyone is None:
            return self.comm.scatter(None, root=0)
        array = np.asarray(values)
        return self.comm.scatter([array[..., part] for part in self.everyone[kind]], root=0)

    def collect(self, own: Floats) -> Floats:
        """Values of all points (n,) on rank 0 from those of each rank's own; empty elsewhere."""
        return self._collect(own, 0)

    def collect_cells(self, own: Floats) -> Floats:
        """The same for the cells."""
        return self._collect(own, 1)

    def _collect(self, own: Floats, kind: int) -> Floats:
        mine = np.ascontiguousarray(own, dtype=float)
        if self.everyone is None:
            self.comm.Gatherv(mine, None, root=0)
            return np.empty(0)
        numbers = self.everyone[kind]
        joined = np.empty(sum(len(part) for part in numbers))
        self.comm.Gatherv(mine, (joined, [len(part) for part in numbers]), root=0)
        whole = np.empty_like(joined)
        whole[np.concatenate(numbers)] = joined
        return whole

    def with_ghosts(self, own: Floats) -> Floats:
        """Values of own points and ghosts (p,) from those of the own (owned,)."""
        from dolfinx import la

        vector = la.vector(self.space.dofmap.index_map, 1)
        vector.array[: self.owned] = own
        vector.scatter_forward()
        filled: Floats = vector.array.copy()
        return filled

    def facets(self, faces: NDArray[np.int32] | None) -> Any:
        """DOLFINx's tags of the given triangles (f, 3), which rank 0 holds; their value is 1."""
        from dolfinx import graph, io, mesh

        given = np.empty((0, 3), dtype=np.int64) if faces is None else faces.astype(np.int64)
        ones = np.ones(len(given), dtype=np.int32)
        self.mesh.topology.create_connectivity(2, 3)
        mine, values = io.utils.distribute_entity_data(self.mesh, 2, given, ones)
        entities = graph.adjacencylist(mine.astype(np.int32))
        return mesh.meshtags_from_entities(self.mesh, 2, entities, values.astype(np.int32))


def share_out(problem: BioheatProblem | None, comm: Any) -> Share:
    """Cut the mesh of a problem, which rank 0 holds, into one part per rank."""
    import basix.ufl
    import ufl
    from dolfinx import fem, mesh

    cells, points = np.empty((0, 4), dtype=np.int64), np.empty((0, 3))
    if problem is not None:
        cells, points = problem.mesh.cells.astype(np.int64), problem.mesh.points
    domain = ufl.Mesh(basix.ufl.element("Lagrange", "tetrahedron", 1, shape=(3,)))
    cut = mesh.create_mesh(comm, cells, domain, points)
    space = fem.functionspace(cut, ("Lagrange", 1))
    index_map = space.dofmap.index_map
    owned_cells = cut.topology.index_map(3).size_local
    corners = space.dofmap.list[:owned_cells].astype(np.int64)
    nodes = cut.geometry.dofmap[:owned_cells]
    numbers = np.empty(index_map.size_local + index_map.num_ghosts, dtype=np.int64)
    numbers[corners] = cut.geometry.input_global_indices[nodes]
    cell_numbers = cut.topology.original_cell_index[:owned_cells].astype(np.int64)
    owned = index_map.size_local
    lists = comm.gather((numbers[:owned], cell_numbers), root=0)
    everyone = None if lists is None else ([p for p, _ in lists], [c for _, c in lists])
    return Share(comm, cut, space, owned, numbers, corners, cell_numbers, everyone)
