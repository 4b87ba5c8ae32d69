"""The UFL forms of both problems, compiled once and assembled for coefficients of the cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.solve.dolfinx_forms import compiling
from ablasim.solve.dolfinx_share import Floats, Share


class Matrices:
    """Matrices and load vectors on a share of the mesh.

    Attributes:
        region: of each of this rank's cells (m,).
    """

    def __init__(self, share: Share, region: NDArray[np.int64]):
        import ufl
        from dolfinx import fem

        self.share, self.region = share, region
        constants = fem.functionspace(share.mesh, ("DG", 0))
        self.coefficient = fem.Function(constants)
        self.place = constants.dofmap.list[: len(share.cells), 0]
        self.density = fem.Function(share.linear)
        u, v = ufl.TrialFunction(share.space), ufl.TestFunction(share.space)
        dx, c = ufl.Measure("dx", share.mesh), self.coefficient
        with compiling(share.comm) as options:
            self._lumped = fem.form(c * v * dx, jit_options=options)
            self._load = fem.form(self.density * v * dx, jit_options=options)
            stiffness = c * ufl.inner(ufl.grad(u), ufl.grad(v)) * dx
            self._stiffness = fem.form(stiffness, jit_options=options)
            self._mass = None
            if share.space is not share.linear:
                self._mass = fem.form(c * u * v * dx, jit_options=options)
        self.point_volume = self._point_volume()

    def _point_volume(self) -> Floats:
        """Volume that belongs to each of this rank's points (v,) [m3]."""
        import ufl
        from dolfinx import fem

        v = ufl.TestFunction(self.share.linear)
        with compiling(self.share.comm) as options:
            form = fem.form(self.coefficient * v * ufl.dx, jit_options=options)
        self._set(np.ones(len(self.region)))
        return self._assembled(form)

    def _set(self, values: Floats) -> None:
        self.coefficient.x.array[self.place] = values

    def _set_density(self, values: Floats) -> None:
        self.density.x.array[: len(values)] = values
        self.density.x.scatter_forward()

    def lumped(self, values: Floats) -> Floats:
        """Integrals of the nodes' functions times a value per cell (m,): (p,)."""
        self._set(values)
        return self._assembled(self._lumped)

    def load(self, heat: Floats) -> Floats:
        """Heat at the nodes (p,) [W] from that of the points (v,), of the same sum."""
        if self.share.space is self.share.linear:
            return heat
        self._set_density(heat / self.point_volume)
        return self._assembled(self._load)

    def stiffness(self, values: Floats, matrix: Any = None) -> Any:
        """PETSc matrix of the integrals of c grad u . grad v, c per cell (m,), without boundary
        conditions; into `matrix` where one is given."""
        self._set(values)
        return assembled_matrix(self._stiffness, matrix)

    def renewable(self, values: Floats) -> Renewable:
        """The same matrix of linear functions where c will change often."""
        return Renewable(self, values)

    def mass(self, values: Floats) -> Any:
        """PETSc matrix of the integrals of c u v, c per cell (m,); quadratic functions only."""
        self._set(values)
        return assembled_matrix(self._mass)

    def wall(self, tags: Any) -> Wall:
        """What is integrated over the tagged triangles."""
        return Wall(self, tags)

    def _assembled(self, form: Any) -> Floats:
        return assembled_vector(form)


class Renewable:
    """A stiffness matrix of linear functions that is set up again and again.

    The matrices of the cells are kept; a new one is their sum, weighted by c, through PETSc's list
    of places: a sixth of the time that assembling the form takes.

    Attributes:
        matrix: PETSc's.
    """

    def __init__(self, matrices: Matrices, values: Floats):
        import ufl
        from dolfinx import fem
        from petsc4py import PETSc

        share = matrices.share
        corner = np.array([[0.0, 0.0, 0.0]])
        with compiling(share.comm) as options:
            slopes = fem.Expression(
                ufl.grad(ufl.TrialFunction(share.linear)), corner, jit_options=options
            )
            volume = fem.Expression(
                abs(ufl.JacobianDeterminant(share.mesh)) / 6.0, corner, jit_options=options
            )
        cells = np.arange(len(share.cells), dtype=np.int32)
        slope = np.asarray(slopes.eval(share.mesh, cells)).reshape(len(cells), 3, 4)
        self.cells = np.einsum("mia,mib->mab", slope, slope)
        self.cells *= np.asarray(volume.eval(share.mesh, cells)).reshape(-1, 1, 1)
        number = share.linear.dofmap.index_map.local_to_global(
            share.linear.dofmap.list[: len(cells)].ravel().astype(np.int32)
        ).reshape(-1, 4)
        rows = np.broadcast_to(number[:, :, None], self.cells.shape).ravel()
        columns = np.broadcast_to(number[:, None, :], self.cells.shape).ravel()
        size = share.linear.dofmap.index_map
        sizes = (size.size_local, size.size_global)
        matrix: Any = PETSc.Mat().create(share.comm)
        self.matrix = matrix
        self.matrix.setSizes((sizes, sizes))
        self.matrix.setType("aij")
        self.matrix.setPreallocationCOO(rows.astype(np.int32), columns.astype(np.int32))
        self.renew(values)

    def renew(self, values: Floats) -> None:
        """Set the matrix up for other values of c (m,)."""
        self.matrix.setValuesCOO((self.cells * values[:, None, None]).ravel())


class Wall:
    """Integrals over a part of the boundary, with a linear function d as their coefficient."""

    def __init__(self, matrices: Matrices, tags: Any):
        import ufl
        from dolfinx import fem

        self.matrices, share = matrices, matrices.share
        u, v = ufl.TrialFunction(share.space), ufl.TestFunction(share.space)
        ds = ufl.Measure("ds", share.mesh, subdomain_data=tags)
        w, d = ufl.TestFunction(share.linear), matrices.density
        with compiling(share.comm) as options:
            area = fem.form(w * ds(1), jit_options=options)
            self._load = fem.form(d * v * ds(1), jit_options=options)
            self._mass = None
            if share.space is not share.linear:
                self._mass = fem.form(d * u * v * ds(1), jit_options=options)
        self._areas = assembled_vector(area)

    def area(self) -> Floats:
        """Area that belongs to each of this rank's points (v,) [m2]."""
        return self._areas

    def load(self, density: Floats) -> Floats:
        """Integrals of d times the nodes' functions (p,), lumped for linear functions."""
        share = self.matrices.share
        if share.space is share.linear:
            return density * self.area()
        self.matrices._set_density(density)
        return assembled_vector(self._load)

    def mass(self, density: Floats) -> Any:
        """PETSc matrix of the integrals of d u v; quadratic functions only."""
        self.matrices._set_density(density)
        return assembled_matrix(self._mass)


def assembled_vector(form: Any) -> Floats:
    """A linear form at the own nodes."""
    from dolfinx import fem, la

    vector = fem.assemble_vector(form)
    vector.scatter_reverse(la.InsertMode.add)
    own: Floats = vector.array[: vector.index_map.size_local].copy()
    return own


def assembled_matrix(form: Any, matrix: Any = None) -> Any:
    """A bilinear form as a PETSc matrix."""
    from dolfinx.fem import petsc

    if matrix is None:
        matrix = petsc.create_matrix(form)
    matrix.zeroEntries()
    petsc.assemble_matrix(matrix, form)
    matrix.assemble()
    return matrix
