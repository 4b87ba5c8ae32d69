"""The case by bare DOLFINx + PETSc, on one rank or several: forms, matrices and Krylov solvers.

Assembled by DOLFINx from compiled forms, with vertex quadrature where mass is lumped; see
`peer_scheme` for the steps in time. The conduction matrix is assembled once. The stiffness of the
potential is new with every sigma, in which it is linear: the cells' matrices are kept and PETSc
sums them by coordinates (MatSetValuesCOO), several times as fast as assembling the form again,
which is `--assembly forms`. CG is warm-started; GAMG's set-up stays until the iterations have
grown, and then keeps its interpolation. The Joule heat of a point is phi K phi - 1/2 K phi^2, two
products instead of an assembly; `--joule cells` has the plain integral of sigma |grad phi|^2.

    python benchmarks/peer_dolfinx.py CASE.npz OUT --controls 0.1:0.01 [--joule cells]
"""

from __future__ import annotations

import os
import tempfile
import time

os.environ.setdefault("UCX_TLS", "self,sm,tcp")
BEGUN = time.perf_counter()

import dolfinx_solver  # noqa: E402, F401, I001  (orders MPI before what follows)
import basix.ufl  # noqa: E402
import numpy as np  # noqa: E402
import peer_child  # noqa: E402
import ufl  # noqa: E402
from dolfinx import fem, graph, io, la, mesh  # noqa: E402
from dolfinx.fem import petsc as fem_petsc  # noqa: E402
from mpi4py import MPI  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from peer_case import Case, Floats  # noqa: E402
from peer_space import (  # noqa: E402
    GROWTH,
    HEAT_TOLERANCE,
    POTENTIAL_TOLERANCE,
    Points,
    sigma_law,
)
from peer_supply import Supply  # noqa: E402
from petsc4py import PETSc  # noqa: E402


class DolfinxSpace:
    """P1 on a distributed mesh; arrays are the owned points' in DOLFINx's order."""

    def __init__(self, case: Case, joule: str, assembly: str, cache: str):
        self.comm = MPI.COMM_WORLD
        self.joule, self.by_forms = joule, assembly == "forms"
        self.jit = {"cache_dir": cache, "cffi_extra_compile_args": ["-O3", "-march=native"]}
        self._distribute(case)
        started = time.perf_counter()
        self._compile(len(case.wall_h))
        self.compile_seconds = time.perf_counter() - started
        self._fill(case)

    # -- mesh and forms ------------------------------------------------------------------------

    def _distribute(self, case: Case) -> None:
        """The mesh over all ranks, and the given arrays in its order."""
        first = self.comm.rank == 0
        element = basix.ufl.element("Lagrange", "tetrahedron", 1, shape=(3,))
        cells = case.cells if first else np.empty((0, 4))
        points = case.points if first else np.empty((0, 3))
        domain = mesh.create_mesh(self.comm, cells.astype(np.int64), element, points)
        self.mesh = domain
        self.space = fem.functionspace(domain, ("Lagrange", 1))
        self.by_cell = fem.functionspace(domain, ("DG", 0))
        self.owned = self.space.dofmap.index_map.size_local
        place = np.empty(
            self.owned + self.space.dofmap.index_map.num_ghosts, dtype=np.int64
        )  # a P1 space and the geometry share the cells' corners, not the numbers
        place[self.space.dofmap.list] = domain.geometry.dofmaps[0]
        self.input_point = domain.geometry.input_global_indices[place]
        self.region = case.region[domain.topology.original_cell_index]
        faces = case.wall_faces if first else np.empty((0, 3))
        names = case.wall_of if first else np.empty(0)
        entities, values = io.distribute_entity_data(
            domain, 2, faces.astype(np.int64), names.astype(np.int32)
        )
        domain.topology.create_connectivity(2, 3)
        tags = mesh.meshtags_from_entities(
            domain, 2, graph.adjacencylist(entities), values.astype(np.int32)
        )
        self.walls = ufl.Measure("ds", domain=domain, subdomain_data=tags)

    def _compile(self, walls: int) -> None:
        """The forms; the first time they are compiled by the machine's C compiler."""
        u, v = ufl.TrialFunction(self.space), ufl.TestFunction(self.space)
        self.cell_value = fem.Function(self.by_cell)  # of whatever is assembled
        self.phi = fem.Function(self.space)
        lumped = {"quadrature_rule": "vertex", "quadrature_degree": 1}
        grad, c = ufl.grad, self.cell_value
        self.stiffness = self._form(c * ufl.inner(grad(u), grad(v)) * ufl.dx)
        self.lump = self._form(c * v * ufl.dx(metadata=lumped))
        self.heat_of_cells = self._form(c * ufl.inner(grad(self.phi), grad(self.phi)) * v * ufl.dx)
        self.wall_lump = [self._form(v * self.walls(i, metadata=lumped)) for i in range(walls)]

    def _form(self, expression: ufl.Form) -> fem.Form:
        return fem.form(expression, jit_options=self.jit)

    def _fill(self, case: Case) -> None:
        """Lumped laws, the conduction matrix and the solvers."""
        here = self.input_point[: self.owned]
        self.points = Points.of(
            case,
            lumped=self._lumped,
            region=self.region,
            area=[self._assembled(form) for form in self.wall_lump],
            fixed=case.fixed[here],
        )
        self.sigma_law = sigma_law(case, self.region)
        corner = self.mesh.geometry.x[self.mesh.geometry.dofmaps[0]]
        volume = np.abs(np.linalg.det(corner[:, 1:] - corner[:, :1])) / 6.0
        own = self.mesh.topology.index_map(3).size_local
        perfusion = (case.material("perfusion")[self.region] * volume)[:own]
        self.summed = la.vector(self.space.dofmap.index_map, 1)
        self.supply = Supply(self.space.dofmap.list[:own], perfusion, len(self.summed.array))
        self._set_up_heat(case.material("conductivity")[self.region])
        self._set_up_potential(case.active[here], case.far_field[here])

    def _set_up_heat(self, conductivity: Floats) -> None:
        """K, the matrix K + diag, whose held rows are left out, and its solver."""
        self.cell_value.x.array[:] = conductivity
        self.conduction = fem_petsc.assemble_matrix(self.stiffness)
        self.conduction.assemble()
        self.x, self.y = self.conduction.createVecs()
        self.free_heat = self._index_set(self.points.free)
        self.heat_matrix = self.conduction.createSubMatrix(self.free_heat, self.free_heat)
        self.heat_own = self.heat_matrix.getDiagonal()
        self.heat_diagonal, self.heat_rhs = self.heat_matrix.createVecs()
        self.heat_x = self.heat_rhs.duplicate()
        self.heat_solver = self._solver(
            self.heat_matrix, "heat_", {"ksp_rtol": HEAT_TOLERANCE, "pc_type": "jacobi"}
        )

    def _set_up_potential(self, active: NDArray[np.bool_], far: Floats) -> None:
        """Index set of the unknown potentials, and the solver; matrices come with sigma."""
        self.active, self.far = active, far
        self.free_phi = self._index_set(~active)
        if self.by_forms:
            self.sigma_matrix = fem_petsc.create_matrix(self.stiffness)
        else:
            self._set_up_coordinates()
        self.free_matrix: PETSc.Mat | None = None
        self.phi_solver: PETSc.KSP | None = None
        self.made_for: PETSc.Mat | None = None
        self.potential = self.solved_sigma = self.sigma_weight = np.empty(0)
        self.begin()

    def _set_up_coordinates(self) -> None:
        """The cells' stiffness for sigma = 1, and a matrix that knows where each entry goes."""
        corner = self.mesh.geometry.x[self.mesh.geometry.dofmaps[0]]
        edges = corner[:, 1:] - corner[:, :1]
        volume = np.abs(np.linalg.det(edges)) / 6.0
        gradient = np.linalg.inv(edges).transpose(0, 2, 1)
        gradient = np.concatenate([-gradient.sum(axis=1, keepdims=True), gradient], axis=1)
        self.cell_stiffness = volume[:, None, None] * (gradient @ gradient.transpose(0, 2, 1))
        dofs = self.space.dofmap.list
        numbers = self.space.dofmap.index_map.local_to_global(dofs.ravel()).reshape(-1, 4)
        numbers = numbers.astype(PETSc.IntType)
        self.sigma_matrix = PETSc.Mat().create(self.comm)
        sizes = (self.owned, self.space.dofmap.index_map.size_global)
        self.sigma_matrix.setSizes((sizes, sizes))
        self.sigma_matrix.setType(PETSc.Mat.Type.AIJ)
        rows, columns = np.repeat(numbers, 4, axis=1), np.tile(numbers, (1, 4))
        self.sigma_matrix.setPreallocationCOO(rows.ravel(), columns.ravel())

    def _assemble_stiffness(self, sigma: Floats) -> None:
        """The operator -div(sigma grad), without held points."""
        if self.by_forms:
            self.cell_value.x.array[:] = sigma
            self.sigma_matrix.zeroEntries()
            fem_petsc.assemble_matrix(self.sigma_matrix, self.stiffness)
            self.sigma_matrix.assemble()
        else:
            values = sigma[:, None, None] * self.cell_stiffness
            self.sigma_matrix.setValuesCOO(values.ravel(), PETSc.InsertMode.INSERT_VALUES)

    def _index_set(self, mask: NDArray[np.bool_]) -> PETSc.IS:
        begin = self.space.dofmap.index_map.local_range[0]
        return PETSc.IS().createGeneral(
            (begin + np.flatnonzero(mask)).astype(PETSc.IntType), comm=self.comm
        )

    def _solver(self, matrix: PETSc.Mat, prefix: str, options: dict[str, object]) -> PETSc.KSP:
        solver = PETSc.KSP().create(self.comm)
        solver.setOptionsPrefix(prefix)
        held = PETSc.Options()
        for name, value in {"ksp_type": "cg", **options}.items():
            if not held.hasName(prefix + name):  # the command line decides
                held[prefix + name] = value
        solver.setOperators(matrix)
        solver.setFromOptions()
        return solver

    def _lumped(self, values: Floats) -> Floats:
        self.cell_value.x.array[:] = values
        return self._assembled(self.lump)

    def _assembled(self, form: fem.Form) -> Floats:
        """A linear form, summed over ranks (n,)."""
        vector = fem.assemble_vector(form)
        vector.scatter_reverse(la.InsertMode.add)
        return vector.array[: self.owned].copy()

    def begin(self) -> None:
        """Forget what an earlier run has left: guess, multigrid, counts."""
        self.fresh, self.reused = 0, False
        self.iterations = self.potential_iterations = 0
        if self.phi_solver is not None:
            self.phi_solver.destroy()
            self.phi_solver = None

    # -- what a step needs ---------------------------------------------------------------------

    def perfusion_left(self, hottest: Floats) -> Floats:
        """Lumped W (n,) [W/K] that is left by the highest temperatures so far (n,) [°C]."""
        vector = self.summed
        vector.array[: self.owned] = hottest - self.points.shutdown
        vector.scatter_forward()
        vector.array[:] = self.supply.left(vector.array)
        vector.scatter_reverse(la.InsertMode.add)
        return vector.array[: self.owned].copy()

    def conduct(self, theta: Floats) -> Floats:
        """K theta (n,) [W]."""
        return self._product(self.conduction, theta)

    def _product(self, matrix: PETSc.Mat, values: Floats) -> Floats:
        self.x.array[:] = values
        matrix.mult(self.x, self.y)
        return self.y.array.copy()

    def solve_heat(self, diagonal: Floats, rhs: Floats) -> Floats:
        """x of (K + diag) x = rhs on the free points, 0 on the others (n,)."""
        free = self.points.free
        self.heat_diagonal.array[:] = self.heat_own.array + diagonal[free]
        self.heat_matrix.setDiagonal(self.heat_diagonal)
        self.heat_rhs.array[:] = rhs[free]
        self.heat_solver.solve(self.heat_rhs, self.heat_x)
        assert self.heat_solver.getConvergedReason() > 0
        self.iterations += self.heat_solver.getIterationNumber()
        found = np.zeros(self.owned)
        found[free] = self.heat_x.array
        return found

    def _sigma(self, temperature: Floats) -> Floats:
        """sigma(T) at the mean of a cell's corners, ghosts included (m,) [S/m]."""
        self.phi.x.array[: self.owned] = temperature
        self.phi.x.scatter_forward()
        return self.sigma_law(self.phi.x.array[self.space.dofmap.list].mean(axis=1))

    def solve_potential(self, temperature: Floats) -> tuple[Floats, float]:
        """Joule heat per point for one volt (n,) [W] and the conductance [S]."""
        sigma = self._sigma(temperature)
        self._assemble_stiffness(sigma)
        held = np.where(self.active, 1.0, 0.0)
        free = ~self.active
        self.free_matrix = self.sigma_matrix.createSubMatrix(
            self.free_phi, self.free_phi, self.free_matrix
        )
        if self.phi_solver is None:
            self.phi_rhs, self.phi_x = self.free_matrix.createVecs()
            self.far_free = self.phi_rhs.duplicate()
            self.far_free.array[:] = self.far[free]
        self.free_matrix.setDiagonal(self.free_matrix.getDiagonal() + self.far_free)
        self.phi_rhs.array[:] = -self._product(self.sigma_matrix, held)[free]
        self._cg()
        self.potential = held
        self.potential[free] = self.phi_x.array
        return self._joule(sigma)

    def _cg(self) -> None:
        """Solve with the GAMG set-up that is there, or a new one where that has aged.

        GAMG keeps a copy of the matrix that it was made for, and works on nothing else: smoothers
        with the old diagonal on the new matrix are not positive any more.
        """
        if self.phi_solver is None:
            options = {
                "ksp_rtol": POTENTIAL_TOLERANCE,
                "ksp_norm_type": "unpreconditioned",
                "pc_type": "gamg",
                "pc_use_amat": False,
                "pc_gamg_reuse_interpolation": True,
                "mg_levels_pc_type": "jacobi",
            }
            self.made_for = self.free_matrix.copy()
            for matrix in (self.free_matrix, self.made_for):
                matrix.setOption(PETSc.Mat.Option.SPD, True)
            self.phi_solver = self._solver(self.free_matrix, "phi_", options)
            self.phi_solver.setOperators(self.free_matrix, self.made_for)
            self.phi_solver.setInitialGuessNonzero(True)
            self.phi_x.set(0.0)
        solver = self.phi_solver
        if not self.reused:
            self.free_matrix.copy(self.made_for, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        solver.getPC().setReusePreconditioner(self.reused)
        solver.solve(self.phi_rhs, self.phi_x)
        assert solver.getConvergedReason() > 0
        taken = solver.getIterationNumber()
        self.potential_iterations += taken
        if not self.reused:
            self.fresh = max(taken, 4)
        self.reused = taken <= GROWTH * self.fresh

    def _joule(self, sigma: Floats) -> tuple[Floats, float]:
        """Heat per point and conductance; also how heavily each cell's sigma weighs."""
        phi = self.potential
        self.phi.x.array[: self.owned] = phi
        self.phi.x.scatter_forward()
        if self.joule == "cells":
            heat = self._assembled(self.heat_of_cells)
        else:
            flow = self._product(self.sigma_matrix, phi)
            heat = phi * flow - 0.5 * self._product(self.sigma_matrix, phi * phi)
        conductance = self.total(heat) + self.total(self.far * phi * phi)
        self.solved_sigma = sigma
        heat_there = fem.Function(self.space)
        heat_there.x.array[: self.owned] = heat / self.points.volume
        heat_there.x.scatter_forward()
        local = self.mesh.topology.index_map(3).size_local
        corners = heat_there.x.array[self.space.dofmap.list[:local]]
        self.sigma_weight = corners.mean(axis=1)
        return heat, conductance

    def sigma_change(self, temperature: Floats) -> float:
        """Mean relative change of sigma since the potential was solved, weighted by its heat."""
        local = len(self.sigma_weight)
        change = np.abs(self._sigma(temperature)[:local] / self.solved_sigma[:local] - 1.0)
        sums = np.array([self.sigma_weight @ change, self.sigma_weight.sum()])
        self.comm.Allreduce(MPI.IN_PLACE, sums)
        return float(sums[0] / sums[1])

    def total(self, values: Floats) -> float:
        """Sum over the points of all ranks."""
        return float(self.comm.allreduce(values.sum()))

    def gather(self, values: Floats) -> Floats | None:
        """Values in the mesh's own order on rank 0 (n,), for the files only."""
        parts = self.comm.gather((self.input_point[: self.owned], values))
        if parts is None:
            return None
        found = np.empty(sum(len(where) for where, _ in parts))
        for where, part in parts:
            found[where] = part
        return found


def main() -> None:
    """Solve at every accuracy asked for."""
    options = peer_child.arguments(__doc__)
    comm = MPI.COMM_WORLD
    case = Case.read(options.case)
    # a cache of our own: what a killed compilation leaves in a shared one fails all later runs
    with tempfile.TemporaryDirectory(prefix="peer-ffcx-") as own:  # the other ranks' stay empty
        space = DolfinxSpace(case, options.joule, options.assembly, comm.bcast(own))
        peer_child.run(
            space,
            options,
            setup=time.perf_counter() - BEGUN - space.compile_seconds,
            compilation=space.compile_seconds,
            comm=comm,
        )
        comm.barrier()


if __name__ == "__main__":
    main()
