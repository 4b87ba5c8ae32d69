"""A problem shared out over MPI ranks: each rank's part of the mesh, and what crosses between them.

Only rank 0 holds the whole problem. DOLFINx cuts the mesh into one part per rank; a point belongs
to one rank, and its neighbours in other parts hold a copy of it, a ghost.

The unknowns are values at nodes: the points of the mesh for linear functions, also the middles of
its edges for quadratic ones. Arrays over nodes (p,) hold the rank's own ones in DOLFINx's order;
where a cell needs all its nodes, the ghosts are filled in first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.mesh_tet import TetMesh
from ablasim.physics.problem import BioheatProblem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Share:
    """This rank's part of a mesh.

    Attributes:
        comm: the ranks, an mpi4py communicator.
        mesh: DOLFINx's.
        linear: piecewise linear functions on it.
        space: those of the unknowns, the same or quadratic.
        owned: number of nodes that belong to this rank.
        points: nodes that are this rank's own mesh points (v,).
        numbers: of these points in the whole mesh (v,).
        cells: nodes of this rank's cells, the corners first (m, 4 or 10).
        everyone: on rank 0 the numbers of all ranks' own points and of their cells, rank by rank.
    """

    comm: Any
    mesh: Any
    linear: Any
    space: Any
    owned: int
    points: Ints
    numbers: Ints
    cells: Ints
    everyone: tuple[list[Ints], list[Ints]] | None

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
        """The own points' part (..., v) of values of all points (..., n), which rank 0 holds."""
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

    def at_nodes(self, own: Floats) -> Floats:
        """Values of a linear function at the nodes (p,) from those at the own points (v,)."""
        from dolfinx import fem

        if self.space is self.linear:
            return own
        given, wanted = fem.Function(self.linear), fem.Function(self.space)
        given.x.array[: len(own)] = own
        given.x.scatter_forward()
        wanted.interpolate(given)
        found: Floats = wanted.x.array[: self.owned].copy()
        return found

    def collect(self, own: Floats) -> Floats:
        """Values of all points (n,) on rank 0 from those at each rank's nodes; empty elsewhere."""
        return self._collect(own[self.points], 0)

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

    @cached_property
    def _exchange(self) -> Any:
        """A vector over own nodes and ghosts; to make one, the ranks must talk."""
        from dolfinx import la

        return la.vector(self.space.dofmap.index_map, 1)

    def with_ghosts(self, own: Floats) -> Floats:
        """Values at own nodes and ghosts from those at the own (p,)."""
        vector = self._exchange
        vector.array[: self.owned] = own
        vector.scatter_forward()
        filled: Floats = vector.array.copy()
        return filled

    def add_up(self, parts: Floats) -> Floats:
        """Sums at the own nodes (p,) of what the cells of all ranks give theirs (m, nodes)."""
        from dolfinx import la

        vector = self._exchange
        size = len(vector.array)
        vector.array[:] = np.bincount(self.cells.ravel(), parts.ravel(), minlength=size)
        vector.scatter_reverse(la.InsertMode.add)
        own: Floats = vector.array[: self.owned].copy()
        return own

    def nodes_of(self, mask: Floats) -> NDArray[np.int64]:
        """Own nodes (k,) on the boundary triangles whose corners are all marked (v,)."""
        from dolfinx import fem, mesh

        if self.space is self.linear:
            return np.flatnonzero(mask > 0.0)
        marked = fem.Function(self.linear)
        marked.x.array[: len(mask)] = mask
        marked.x.scatter_forward()
        topology = self.mesh.topology
        topology.create_connectivity(2, 3)
        outside = mesh.exterior_facet_indices(topology)
        nodes = mesh.entities_to_geometry(self.mesh, 2, outside)
        # geometry and linear functions number the points differently
        number = np.empty(len(self.mesh.geometry.x), dtype=np.int64)
        number[self.mesh.geometry.dofmaps[0]] = self.linear.dofmap.list
        on = (marked.x.array[number[nodes]] > 0.0).all(axis=1)
        found = fem.locate_dofs_topological(self.space, 2, outside[on])
        own: NDArray[np.int64] = found[found < self.owned].astype(np.int64)
        return own

    def facets(self, faces: NDArray[np.int32] | None) -> Any:
        """DOLFINx's tags of the given triangles (f, 3), which rank 0 holds; their value is 1."""
        from dolfinx import graph, io, mesh

        given = np.empty((0, 3), dtype=np.int64) if faces is None else faces.astype(np.int64)
        ones = np.ones(len(given), dtype=np.int32)
        self.mesh.topology.create_connectivity(2, 3)
        mine, values = io.utils.distribute_entity_data(self.mesh, 2, given, ones)
        entities = graph.adjacencylist(mine.astype(np.int32))
        return mesh.meshtags_from_entities(self.mesh, 2, entities, values.astype(np.int32))


def share_out(problem: BioheatProblem | None, comm: Any, degree: int = 1) -> Share:
    """Cut the mesh of a problem, which rank 0 holds, into one part per rank.

    Args:
        problem: on rank 0; None elsewhere.
        comm: the ranks.
        degree: of the unknown functions, 1 or 2.
    """
    import basix.ufl
    import ufl
    from dolfinx import fem, mesh

    cells, points = np.empty((0, 4), dtype=np.int64), np.empty((0, 3))
    if problem is not None:
        cells, points = problem.mesh.cells.astype(np.int64), problem.mesh.points
    domain = ufl.Mesh(basix.ufl.element("Lagrange", "tetrahedron", 1, shape=(3,)))
    cut = mesh.create_mesh(comm, cells, domain, points)
    linear = fem.functionspace(cut, ("Lagrange", 1))
    space = linear if degree == 1 else fem.functionspace(cut, ("Lagrange", degree))
    index_map, count = linear.dofmap.index_map, cut.topology.index_map(3).size_local
    size = index_map.size_local + index_map.num_ghosts
    numbers, nodes = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    corners = linear.dofmap.list[:count]
    numbers[corners] = cut.geometry.input_global_indices[cut.geometry.dofmaps[0][:count]]
    nodes[corners] = space.dofmap.list[:count, :4]
    own = index_map.size_local
    cell_numbers = cut.topology.original_cell_index[:count].astype(np.int64)
    lists = comm.gather((numbers[:own], cell_numbers), root=0)
    return Share(
        comm=comm,
        mesh=cut,
        linear=linear,
        space=space,
        owned=space.dofmap.index_map.size_local,
        points=nodes[:own],
        numbers=numbers[:own],
        cells=space.dofmap.list[:count].astype(np.int64),
        everyone=None if lists is None else ([p for p, _ in lists], [c for _, c in lists]),
    )


def without_arrays(problem: BioheatProblem) -> BioheatProblem:
    """A problem without its arrays over points, cells and faces: what every rank must know.

    Arrays that are there are replaced by empty ones, so that None still means that there is none.
    """
    none = np.zeros(0)
    mesh = _names_of(problem.mesh)
    electrodes = problem.electrodes
    if electrodes is not None:
        empty = np.zeros((len(electrodes.conductors), 0), dtype=bool)
        electrodes = replace(electrodes, active=empty, grounded=empty[0], far_field=none)
    walls = tuple(
        replace(
            wall,
            faces=np.zeros((0, 3), dtype=np.int32),
            coefficient=0.0,
            stream=wall.stream
            and replace(
                wall.stream, station=np.zeros((0, 2), dtype=np.int32), weight=np.zeros((0, 2))
            ),
        )
        for wall in problem.walls
    )
    initial = problem.initial_temperature
    return replace(
        problem,
        mesh=mesh,
        walls=walls,
        electrodes=electrodes,
        initial_temperature=none if isinstance(initial, np.ndarray) else initial,
        fixed_temperature=None if problem.fixed_temperature is None else none,
        absorption=None if problem.absorption is None else none,
        source=None if problem.source is None else none,
        sensors=None if problem.sensors is None else none,
        microwave=problem.microwave and replace(problem.microwave, mesh=mesh),
    )


def _names_of(mesh: TetMesh) -> TetMesh:
    """A mesh with its names and nothing else."""
    corners, numbers = np.zeros((0, 3), dtype=np.int32), np.zeros(0, dtype=np.int16)
    return TetMesh(
        np.zeros((0, 3)),
        np.zeros((0, 4), dtype=np.int32),
        numbers,
        mesh.regions,
        corners,
        numbers,
        mesh.surfaces,
    )
