"""The case by scikit-fem + PyAMG: its forms once, then sparse products and SciPy's CG.

Lumped integrals are forms with vertex quadrature; see `peer_scheme` for the steps in time. The
stiffness of the potential is linear in sigma: one sparse matrix, made from the form's element
matrices, takes the cells' sigma to the entries of the stiffness. CG is warm-started and
preconditioned by smoothed aggregation, set up again when the iterations have grown.

    python benchmarks/peer_skfem.py CASE.npz OUT --controls 0.1:0.01 [--joule cells]
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # PyAMG's products are too short for threads
BEGUN = time.perf_counter()

import numpy as np  # noqa: E402
import peer_child  # noqa: E402
import pyamg  # noqa: E402
import scipy.sparse as sp  # noqa: E402
import skfem  # noqa: E402
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
from scipy.sparse.linalg import LinearOperator, cg  # noqa: E402
from skfem.helpers import dot, grad  # noqa: E402

TET_CORNERS = (np.eye(3, 4, 1), np.full(4, 1.0 / 24.0))
TRIANGLE_CORNERS = (np.eye(2, 3, 1), np.full(3, 1.0 / 6.0))
"""Quadrature at the corners: lumped mass."""


@skfem.BilinearForm
def stiffness(u, v, _):  # type: ignore[no-untyped-def]
    """grad u . grad v."""
    return dot(grad(u), grad(v))


@skfem.LinearForm
def weighted(v, w):  # type: ignore[no-untyped-def]
    """c v."""
    return w.c * v


class SkfemSpace:
    """P1 on scikit-fem's mesh; arrays are in the mesh's own order."""

    def __init__(self, case: Case, joule: str):
        self.joule = joule
        self.region = case.region
        points, cells = np.ascontiguousarray(case.points.T), np.ascontiguousarray(case.cells.T)
        self.mesh = skfem.MeshTet(points, cells.astype(np.int64))
        element = skfem.ElementTetP1()
        self.basis = skfem.Basis(self.mesh, element, intorder=1)
        self.corners = skfem.Basis(self.mesh, element, quadrature=TET_CORNERS)
        self._pattern()
        self._laws(case, element)
        self._set_up_heat(case)
        self._set_up_potential(case)

    # -- set-up --------------------------------------------------------------------------------

    def _pattern(self) -> None:
        """The pattern of stiffness matrices, and the map from cell values to their entries."""
        local = stiffness.elemental(self.basis)
        (rows, columns), count = local.indices, len(self.mesh.p[0])
        cells = np.tile(np.arange(len(self.region)), len(rows) // len(self.region))
        key, entry = np.unique(rows.astype(np.int64) * count + columns, return_inverse=True)
        shape = (len(key), len(self.region))
        self.entries_of = sp.csr_matrix((local.data, (entry, cells)), shape)
        self.row, column = key // count, (key % count).astype(np.int32)
        starts = np.searchsorted(self.row, np.arange(count + 1)).astype(np.int32)
        self.index = column, starts

    def _matrix(self, cell_values: Floats) -> sp.csr_matrix:
        """-div(c grad) for a value per cell (n, n)."""
        column, starts = self.index
        count = len(starts) - 1
        return sp.csr_matrix((self.entries_of @ cell_values, column, starts), (count, count))

    def _lumped(self, cell_values: Floats) -> Floats:
        """Integrals of a value per cell times the points' hats (n,)."""
        found: Floats = weighted.assemble(self.corners, c=cell_values[:, None])
        return found

    def _laws(self, case: Case, element: skfem.ElementTetP1) -> None:
        surfaces = [case.wall_faces[case.wall_of == i] for i in range(len(case.wall_h))]
        self.points = Points.of(
            case,
            lumped=self._lumped,
            region=self.region,
            area=[self._area(faces, element) for faces in surfaces],
            fixed=case.fixed,
        )
        self.sigma_law = sigma_law(case, self.region)
        volume = np.abs(self.basis.dx.sum(axis=1))
        perfusion = case.material("perfusion")[self.region] * volume
        self.supply = Supply(case.cells, perfusion, len(self.mesh.p[0]))

    def _area(self, faces: NDArray[np.int32], element: skfem.ElementTetP1) -> Floats:
        """Area of a surface that belongs to each point (n,) [m2]."""
        count = len(self.mesh.p[0])

        def key(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
            low, middle, high = np.sort(triangles, axis=0).astype(np.int64)
            return (low * count + middle) * count + high

        facets = np.flatnonzero(np.isin(key(self.mesh.facets), key(faces.T)))
        basis = skfem.FacetBasis(self.mesh, element, facets=facets, quadrature=TRIANGLE_CORNERS)
        found: Floats = weighted.assemble(basis, c=np.ones((len(facets), 1)))
        return found

    def _set_up_heat(self, case: Case) -> None:
        """K, and the matrix K + diag on the free points."""
        self.conduction = self._matrix(case.material("conductivity")[self.region])
        self.free = np.flatnonzero(self.points.free)
        self.heat_matrix = self.conduction[self.free][:, self.free].tocsr()
        self.heat_own = self.heat_matrix.diagonal()
        rows = np.repeat(np.arange(len(self.free)), np.diff(self.heat_matrix.indptr))
        self.heat_diagonal = np.flatnonzero(rows == self.heat_matrix.indices)

    def _set_up_potential(self, case: Case) -> None:
        """The entries of the stiffness between free points, and the first guess."""
        self.active, self.far = case.active, case.far_field
        self.free_phi = np.flatnonzero(~case.active)
        column, starts = self.index
        numbered = sp.csr_matrix((np.arange(len(column)) + 1.0, column, starts))
        inner = numbered[self.free_phi][:, self.free_phi].tocsr()
        self.inner = inner.data.astype(np.int64) - 1
        self.inner_index = inner.indices, inner.indptr
        rows = np.repeat(np.arange(len(self.free_phi)), np.diff(inner.indptr))
        self.inner_diagonal = np.flatnonzero(rows == inner.indices)
        self.preconditioner: LinearOperator | None = None
        self.fresh = 0
        self.begin()
        self.solved_sigma = self.sigma_weight = np.empty(0)

    def begin(self) -> None:
        """Forget what an earlier run has left: guess, multigrid, counts."""
        self.potential = np.where(self.active, 1.0, 0.0)
        self.preconditioner = None
        self.iterations = self.potential_iterations = 0

    # -- what a step needs ---------------------------------------------------------------------

    def perfusion_left(self, hottest: Floats) -> Floats:
        """Lumped W (n,) [W/K] that is left by the highest temperatures so far (n,) [°C]."""
        return self.supply.left(hottest - self.points.shutdown)

    def conduct(self, theta: Floats) -> Floats:
        """K theta (n,) [W]."""
        found: Floats = self.conduction @ theta
        return found

    def solve_heat(self, diagonal: Floats, rhs: Floats) -> Floats:
        """x of (K + diag) x = rhs on the free points, 0 on the others (n,)."""
        whole = self.heat_own + diagonal[self.free]
        self.heat_matrix.data[self.heat_diagonal] = whole
        jacobi = LinearOperator(self.heat_matrix.shape, lambda r: r / whole)
        found = np.zeros(len(rhs))
        found[self.free], taken = self._cg(
            self.heat_matrix, rhs[self.free], None, HEAT_TOLERANCE, jacobi
        )
        self.iterations += taken
        return found

    def _cg(
        self,
        matrix: sp.csr_matrix,
        rhs: Floats,
        guess: Floats | None,
        tolerance: float,
        preconditioner: LinearOperator,
    ) -> tuple[Floats, int]:
        taken = 0

        def count(_: Floats) -> None:
            nonlocal taken
            taken += 1

        found, failed = cg(
            matrix, rhs, guess, rtol=tolerance, M=preconditioner, callback=count, maxiter=1000
        )
        assert not failed
        return found, taken

    def _sigma(self, temperature: Floats) -> Floats:
        """sigma(T) at the mean of each cell's corners (m,) [S/m]."""
        return self.sigma_law(temperature[self.mesh.t].mean(axis=0))

    def solve_potential(self, temperature: Floats) -> tuple[Floats, float]:
        """Joule heat per point for one volt (n,) [W] and the conductance [S]."""
        sigma = self._sigma(temperature)
        matrix = self._matrix(sigma)
        data = matrix.data[self.inner]
        data[self.inner_diagonal] += self.far[self.free_phi]
        count = len(self.free_phi)
        inner = sp.csr_matrix((data, *self.inner_index), (count, count))
        held = np.where(self.active, 1.0, 0.0)
        if self.preconditioner is None:
            hierarchy = pyamg.smoothed_aggregation_solver(inner)
            self.preconditioner, self.fresh = hierarchy.aspreconditioner(cycle="V"), 0
        rhs = -(matrix @ held)[self.free_phi]
        held[self.free_phi], taken = self._cg(
            inner, rhs, self.potential[self.free_phi], POTENTIAL_TOLERANCE, self.preconditioner
        )
        self.potential = held
        self.potential_iterations += taken
        self.fresh = self.fresh or max(taken, 4)
        if taken > GROWTH * self.fresh:
            self.preconditioner = None
        return self._joule(matrix, sigma)

    def _joule(self, matrix: sp.csr_matrix, sigma: Floats) -> tuple[Floats, float]:
        """Heat per point and conductance; also how heavily each cell's sigma weighs."""
        phi = self.potential
        if self.joule == "cells":
            field = self.basis.interpolate(phi).grad[:, :, 0]
            heat = self._lumped(sigma * (field**2).sum(axis=0))
        else:
            heat = phi * (matrix @ phi) - 0.5 * (matrix @ (phi * phi))
        conductance = float(heat.sum() + (self.far * phi * phi).sum())
        self.solved_sigma = sigma
        self.sigma_weight = (heat / self.points.volume)[self.mesh.t].mean(axis=0)
        return heat, conductance

    def sigma_change(self, temperature: Floats) -> float:
        """Mean relative change of sigma since the potential was solved, weighted by its heat."""
        change = np.abs(self._sigma(temperature) / self.solved_sigma - 1.0)
        return float(self.sigma_weight @ change / self.sigma_weight.sum())

    def total(self, values: Floats) -> float:
        """Sum over the points."""
        return float(values.sum())

    def gather(self, values: Floats) -> Floats | None:
        """The values: they are in the mesh's own order."""
        return values


def main() -> None:
    """Solve at every accuracy asked for."""
    options = peer_child.arguments(__doc__)
    space = SkfemSpace(Case.read(options.case), options.joule)
    peer_child.run(space, options, setup=time.perf_counter() - BEGUN, compilation=0.0)


if __name__ == "__main__":
    main()
