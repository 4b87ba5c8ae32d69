"""The UFL forms of the P1 problem, compiled once and assembled for coefficients per cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.solve.dolfinx_forms import compiling
from ablasim.solve.dolfinx_share import Floats, Share


class Matrices:
    """Lumped integrals, stiffness matrices and wall areas on a share of the mesh.

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
        u, v = ufl.TrialFunction(share.space), ufl.TestFunction(share.space)
        dx = ufl.Measure("dx", share.mesh)
        with compiling(share.comm) as options:
            self._lumped = fem.form(self.coefficient * v * dx, jit_options=options)
            self._stiffness = fem.form(
                self.coefficient * ufl.inner(ufl.grad(u), ufl.grad(v)) * dx, jit_options=options
            )

    def _set(self, values: Floats) -> None:
        self.coefficient.x.array[self.place] = values

    def lumped(self, values: Floats) -> Floats:
        """Integrals of the hat functions times a value per cell (m,): (p,)."""
        self._set(values)
        return self._assembled(self._lumped)

    def stiffness(self, values: Floats, matrix: Any = None) -> Any:
        """PETSc matrix of the integrals of c grad u . grad v, c per cell (m,), without boundary
        conditions; into `matrix` where one is given."""
        from dolfinx.fem import petsc

        self._set(values)
        if matrix is None:
            matrix = petsc.create_matrix(self._stiffness)
        matrix.zeroEntries()
        petsc.assemble_matrix(matrix, self._stiffness)
        matrix.assemble()
        return matrix

    def area(self, tags: Any) -> Floats:
        """Area of the tagged triangles that belongs to each point (p,) [m2]."""
        import ufl
        from dolfinx import fem

        v = ufl.TestFunction(self.share.space)
        ds = ufl.Measure("ds", self.share.mesh, subdomain_data=tags)
        with compiling(self.share.comm) as options:
            form = fem.form(v * ds(1), jit_options=options)
        return self._assembled(form)

    def _assembled(self, form: Any) -> Floats:
        from dolfinx import fem, la

        vector = fem.assemble_vector(form)
        vector.scatter_reverse(la.InsertMode.add)
        own: Floats = vector.array[: self.share.owned].copy()
        return own
