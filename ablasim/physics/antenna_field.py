"""The electromagnetic field around a coaxial antenna: axisymmetric, transverse magnetic.

With u = r H_phi and time dependence exp(j omega t), Maxwell's equations become

    div(1/(eps r) grad u) + k0^2 u/r = 0,   eps = eps_r - j sigma/(omega eps_0),   k0 = omega/c,

and E_z = (du/dr)/(j omega eps_0 eps r), E_r = -(du/dz)/(j omega eps_0 eps r). In the weak form

    int (1/(eps r)) grad u . grad v - k0^2 int u v/r
        + j k0 int_outer u v/(sqrt(eps) r) + j k0 int_port u v/(sqrt(eps) r)
        = 2 j k0 u_in int_port v/(sqrt(eps) r)

metal is the natural condition, u is zero on the axis, the outer boundary lets plane waves of the
local wave number k0 sqrt(eps) out, and the coax feed carries its TEM mode u_in in and lets the
reflected one out without reflection. The absorbed power is sigma |E|^2 / 2 (peak phasors). See Gas
2012 and the COMSOL model microwave_cancer_therapy for the problem.

Biquadratic elements for u represent the TEM mode u = u(z) in a thin coax exactly across it, where
elements for H_phi lose all power; on the axis, where u ~ r^2, they would spoil the 1/r of the form.
So the column of cells next to the axis carries H_phi itself: its basis r/r_i phi_i agrees with
phi_i on the line between the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.linalg import splu
from skfem import Basis, ElementQuad2, FacetBasis, MeshQuad
from threadpoolctl import threadpool_limits

from ablasim.physics.dielectric import VACUUM_PERMITTIVITY

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Indices = NDArray[np.int64]

LIGHT = 299792458.0
"""Speed of light [m/s]."""

IMPEDANCE = 376.730313668
"""Of vacuum [ohm]."""

QUADRATURE = 8
"""Degree of the quadrature: it also integrates 1/r over a cell whose sides are as 1 to 2."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Basis functions at the quadrature points of cells or facets.

    Attributes:
        dofs: unknowns of each cell (c, b).
        value: H_phi of each basis function (c, q, b) [1/m].
        curl: (du/dr)/r and (du/dz)/r of each (c, q, b, 2) [1/m2].
        weight: r dr dz, or r ds, of the points (c, q).
    """

    dofs: Indices
    value: Floats
    curl: Floats
    weight: Floats


class FieldOperator:
    """The weak form on a mesh of rectangles: prepared once, assembled for any permittivity.

    Args:
        mesh: rectangles in (r, z) [m].
        frequency: [Hz].
        near: cells with their middle below this radius carry H_phi itself [m].
    """

    def __init__(self, mesh: MeshQuad, frequency: float, near: float = 0.0) -> None:
        self.mesh = mesh
        self.frequency = frequency
        self.wave_number = 2.0 * np.pi * frequency / LIGHT
        self.near = mesh.p[0, mesh.t].mean(axis=0) < near
        self.basis = Basis(mesh, ElementQuad2(), intorder=QUADRATURE)
        self.places: Floats = self.basis.doflocs
        radius = self.places[0]
        self.on_axis = radius <= 0.0
        self.inverse_radius = np.where(self.on_axis, 0.0, 1.0 / np.where(radius > 0, radius, 1.0))
        self.count = int(self.basis.N)
        self._orders: dict[int, Indices] = {}
        self.cells = self._trial(self.basis, np.arange(mesh.t.shape[1]))
        weight = self.cells.weight
        self._curl = np.einsum(
            "cq,cqid,cqjd->cij", weight, self.cells.curl, self.cells.curl, optimize=True
        )
        self._mass = np.einsum(
            "cq,cqi,cqj->cij", weight, self.cells.value, self.cells.value, optimize=True
        )

    def _trial(self, basis: Basis | FacetBasis, cells: Indices) -> Trial:
        """Basis functions of cells, or of facets with the cells behind them."""
        r = np.asarray(basis.global_coordinates())[0]
        dofs = np.asarray(basis.element_dofs).T
        near = self.near[cells][:, None]
        value, curl = [], []
        for i in range(dofs.shape[1]):
            shape = basis.basis[i][0]
            phi, grad = np.asarray(shape), np.asarray(shape.grad)
            scale = self.inverse_radius[dofs[:, i]][:, None]
            value.append(np.where(near, phi * scale, phi / r))
            across = np.where(near, (phi / r + grad[0]) * scale, grad[0] / r)
            along = np.where(near, grad[1] * scale, grad[1] / r)
            curl.append(np.stack([across, along], axis=-1))
        return Trial(dofs, np.stack(value, -1), np.stack(curl, -2), np.asarray(basis.dx) * r)

    def boundary(self, facets: Indices) -> tuple[Trial, Indices]:
        """Basis functions on boundary facets, and the cells behind them."""
        basis = FacetBasis(self.mesh, ElementQuad2(), facets=facets, intorder=QUADRATURE)
        cells = np.asarray(self.mesh.f2t[0, facets])
        return self._trial(basis, cells), cells

    def matrix(self, permittivity: Complexes) -> coo_matrix:
        """The form without its boundary terms, for a permittivity per cell (c,)."""
        local = self._curl / permittivity[:, None, None] - self.wave_number**2 * self._mass
        return self._scatter(self.cells.dofs, local)

    def admittance(self, trial: Trial, permittivity: Complexes) -> coo_matrix:
        """j k0 int u v/(sqrt(eps) r) over facets, for a permittivity per facet (f,)."""
        mass = np.einsum("cq,cqi,cqj->cij", trial.weight, trial.value, trial.value)
        rate = 1j * self.wave_number / np.sqrt(permittivity)
        return self._scatter(trial.dofs, rate[:, None, None] * mass)

    def _scatter(self, dofs: Indices, local: Complexes) -> coo_matrix:
        rows = np.repeat(dofs, dofs.shape[1], axis=1).ravel()
        cols = np.tile(dofs, (1, dofs.shape[1])).ravel()
        return coo_matrix((local.ravel(), (rows, cols)), shape=(self.count, self.count))

    def load(self, trial: Trial, field: Complexes) -> Complexes:
        """int h H r over facets for a given h at the quadrature points (f, q) and all H; (n,)."""
        local = np.einsum("cq,cq,cqi->ci", trial.weight, field, trial.value)
        load = np.zeros(self.count, dtype=np.complex128)
        np.add.at(load, trial.dofs.ravel(), local.ravel())
        return load

    def solve(
        self, matrix: coo_matrix, load: Complexes, held: dict[int, complex] | None = None
    ) -> Complexes:
        """u at the unknowns (n,) [A], zero on the axis and as given at the held ones."""
        u = np.zeros(self.count, dtype=np.complex128)
        free = ~self.on_axis
        if held:
            where = np.fromiter(held, dtype=np.int64)
            u[where] = np.fromiter(held.values(), dtype=np.complex128)
            free[where] = False
        table = matrix.tocsr()
        rest = (load - table @ u)[free]
        u[free] = self._solve(table[free][:, free].tocsc(), rest)
        return u

    def _solve(self, matrix: csc_matrix, load: Complexes) -> Complexes:
        """Direct solution; the order that keeps the factors sparse is found once per size."""
        order = self._orders.get(len(load))
        solved = np.empty_like(load)
        # dense blocks of the factors are tiny: more threads than one only wait for each other
        with threadpool_limits(1):
            # the matrix is symmetric and its diagonal large: pivots stay there
            if order is None:
                factors = splu(matrix, "MMD_AT_PLUS_A", 0.0, options={"SymmetricMode": True})
                self._orders[len(load)] = np.argsort(factors.perm_c)
                solved[:] = factors.solve(load)
            else:
                ordered = matrix[order][:, order].tocsc()
                factors = splu(ordered, "NATURAL", 0.0, options={"SymmetricMode": True})
                solved[order] = factors.solve(load[order])
        return solved

    def electric(self, u: Complexes, permittivity: Complexes) -> Floats:
        """|E|^2 at the quadrature points of the cells (c, q) [V2/m2]."""
        curl = np.einsum("cqbd,cb->cqd", self.cells.curl, u[self.cells.dofs])
        rate = 2.0 * np.pi * self.frequency * VACUUM_PERMITTIVITY * np.abs(permittivity)
        field: Floats = (np.abs(curl) ** 2).sum(axis=-1) / rate[:, None] ** 2
        return field

    def absorption(self, u: Complexes, permittivity: Complexes) -> Floats:
        """sigma |E|^2 / 2 at the quadrature points of the cells (c, q) [W/m3]."""
        sigma = -permittivity.imag * 2.0 * np.pi * self.frequency * VACUUM_PERMITTIVITY
        return 0.5 * sigma[:, None] * self.electric(u, permittivity)

    def outflow(self, u: Complexes, trial: Trial, permittivity: Complexes) -> float:
        """Power that leaves through absorbing facets [W]."""
        field = np.einsum("cqb,cb->cq", trial.value, u[trial.dofs])
        resistance = (IMPEDANCE / np.sqrt(permittivity)).real
        flux = 0.5 * resistance[:, None] * np.abs(field) ** 2
        return float(2.0 * np.pi * (trial.weight * flux).sum())
