"""Both problems with quadratic functions (P2), for reference solutions.

The nonlinear functions of the temperature are interpolated at the nodes; stored heat, perfusion and
walls have full ("consistent") matrices,

    U(T) = M_wet g_wet(T) + M_boil g_boil(T) + M_dry g_dry(T),

with g the parts of the temperature below, in and above the vaporisation band, so each tissue keeps
its own law up to its border. sigma is that of the temperature at each point of the quadrature: a
quadratic function through its values at the nodes is negative where tissue dries, and the matrix
then not definite. The Joule heat is the integral of sigma |grad phi|^2 v. What the problem gives
per mesh point (h of walls, the far field's conductance, given sources) is taken as a linear
function.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ablasim.physics import tissue
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.dolfinx_forms import compiling
from ablasim.solve.dolfinx_heat import HeatProblem
from ablasim.solve.dolfinx_matrices import assembled_matrix, assembled_vector
from ablasim.solve.dolfinx_potential import PotentialProblem
from ablasim.solve.dolfinx_share import Floats

QUADRATURE = 4
"""Degree to which the integrals of sigma are exact: |grad phi|^2 v for a sigma that is constant."""

SLOPE_RESIDUAL = 1e-13
"""Of dT/dt where nothing came before, relative."""


class QuadraticHeat(HeatProblem):
    """The heat problem with quadratic functions."""

    def _laws_of_nodes(self, m: Any, region: Any) -> None:
        super()._laws_of_nodes(m, region)
        matrices = self.matrices
        # integrals of quadratic functions are zero or negative at corners: no mixture, no norm
        low_high = self.laws.vaporisation_band
        boiling = tissue.band_capacity(m.wet_capacity, m.dry_capacity, m.latent_heat, low_high)
        self.masses = [matrices.mass(c[region]) for c in (m.wet_capacity, boiling, m.dry_capacity)]
        self.perfusion_mass = matrices.mass(m.perfusion[region])
        plain = matrices.mass(np.ones(len(region)))
        size = plain.getDiagonal().array.copy()
        self.mass, total = plain, self.share.total(size.sum())
        self.weight = size * self.share.total(matrices.point_volume.sum()) / total
        wet, boil, dry, perfusion = (
            each.getDiagonal().array / size for each in (*self.masses, self.perfusion_mass)
        )
        self.wet, self.boiling, self.dry = wet, boil, dry
        self.perfusion = perfusion * self.weight
        slope, k0 = (matrices.mass(c[region]) for c in (m.conductivity_slope, m.conductivity))
        self.ratio = slope.getDiagonal().array / k0.getDiagonal().array

    def _set_up_solver(self) -> None:
        self.slope_matrix = self.slope
        if self.slope is None:
            ratio = float(self.share.total(self.ratio.sum()) / self.share.total(len(self.ratio)))
            self.slope_matrix = self.stiffness.duplicate(copy=True)
            self.slope_matrix.scale(ratio)
        self.wall_masses = [
            wall.mass(h) for wall, h in zip(self.walls, self.wall_points, strict=True)
        ]
        self.diagonal = self.stiffness.getDiagonal().array.copy()
        self.matrix = self.stiffness.duplicate(copy=True)
        self.ksp = self._solver("bcgs")

    def _parts(self, temperature: Floats) -> tuple[Floats, Floats, Floats]:
        """The temperature's parts below, in and above the vaporisation band (p,) [K]."""
        low, high = self.laws.vaporisation_band
        return (
            np.minimum(temperature, low) - tissue.REFERENCE_C,
            np.clip(temperature - low, 0.0, high - low),
            np.maximum(temperature - high, 0.0),
        )

    def stored(self, temperature: Floats) -> Floats:
        """Heat above 37 °C (p,) [J]."""
        parts = zip(self.masses, self._parts(temperature), strict=True)
        total: Floats = sum(
            (self.product(mass, part) for mass, part in parts), np.zeros(self.share.owned)
        )
        return total

    def conduction(self, temperature: Floats) -> Floats:
        """Heat that conduction carries away from each node (p,) [W]."""
        linear, square = tissue.kirchhoff(temperature)
        return self.product(self.stiffness, linear) + self.product(self.slope_matrix, square)

    def perfused(self, temperature: Floats, left: Floats) -> Floats:
        """Heat that perfusion carries away from each node (p,) [W]."""
        return self.product(self.perfusion_mass, left * (temperature - self.blood_temperature))

    def cooled(self, temperature: Floats, flowing: Floats) -> Floats:
        """Heat that the walls' liquids carry away from each node (p,) [W]."""
        away = -self._spared(temperature, flowing).sum(axis=0)
        for mass, liquid in zip(self.wall_masses, self.wall_temperature, strict=True):
            away += self.product(mass, temperature - liquid)
        return away

    def slope_of(
        self, temperature: Floats, left: Floats, source: Floats, flowing: Floats
    ) -> Floats:
        """dT/dt (p,) [K/s]."""
        flow, _ = self._flow(temperature, left, source, flowing)
        moment = 1e-6
        # solved to the end: from it follows the first step, which must not hang on what the ranks'
        # preconditioner leaves
        usual = self.ksp.getTolerances()[0]
        self.ksp.setTolerances(rtol=SLOPE_RESIDUAL)
        change = self._newton(temperature, moment, left, flowing, self.free * flow)
        self.ksp.setTolerances(rtol=usual)
        return change / moment

    def _newton(
        self, temperature: Floats, span: float, left: Floats, flowing: Floats, right: Floats
    ) -> Floats:
        """Change of the temperature (p,) [K] for a residual (p,) [W]."""
        low, high = self.laws.vaporisation_band
        cold, hot = temperature < low, temperature >= high
        top = tissue.BOILING_C - tissue.REFERENCE_C
        square = np.minimum(temperature - tissue.REFERENCE_C, top)
        terms = [(self.slope_matrix, square), (self.perfusion_mass, left)]
        for mass, share in zip(self.masses, (cold, ~cold & ~hot, hot), strict=True):
            terms.append((mass, share / span))
        rest = self.blood.at_rest(flowing)
        for number, mass in enumerate(self.wall_masses):
            moving = 1.0 - self.share.at_nodes(rest[number]) if number in rest else 1.0
            terms.append((mass, np.broadcast_to(moving, temperature.shape)))
        self._sum(terms)
        return self.solve(right)

    def _sum(self, terms: list[tuple[Any, Floats]]) -> None:
        """Newton's matrix: the stiffness and each matrix with its columns scaled."""
        from petsc4py import PETSc

        self.stiffness.copy(self.matrix, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        for matrix, columns in terms:
            part = matrix.copy()
            self.x.array = columns
            part.diagonalScale(None, self.x)
            same = matrix.size == self.matrix.size
            assert same
            self.matrix.axpy(1.0, part, PETSc.Mat.Structure.SUBSET_NONZERO_PATTERN)
            part.destroy()
        self.matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        self.matrix.zeroRowsColumns(self._held_rows(), 1.0)


class QuadraticPotential(PotentialProblem):
    """The potential with quadratic functions."""

    def _prepare(self, problem: BioheatProblem | None, facts: BioheatProblem) -> None:
        """Forms of the stiffness of sigma and of the Joule heat, and the far field's matrix."""
        import basix.ufl
        import ufl
        from dolfinx import fem

        share, m, region = self.share, facts.materials, self.matrices.region
        rule = basix.ufl.quadrature_element("tetrahedron", degree=QUADRATURE)
        points, _ = rule.custom_quadrature()
        self.functions = share.space.element.basix_element.tabulate(0, points)[0, :, :, 0].T
        broken = fem.functionspace(share.mesh, rule)
        self.sigma_function, self.field = fem.Function(broken), fem.Function(share.space)
        self.place = broken.dofmap.list[: len(share.cells)]
        sigma0, slope, dry = (c[region] for c in (m.sigma, m.sigma_slope, m.sigma_dry_ratio))
        self.law = (sigma0, slope, dry)
        u, v = ufl.TrialFunction(share.space), ufl.TestFunction(share.space)
        dx = ufl.Measure("dx", share.mesh, metadata={"quadrature_degree": QUADRATURE})
        with compiling(share.comm) as options:
            flux = self.sigma_function * ufl.inner(ufl.grad(u), ufl.grad(v)) * dx
            self._flux = fem.form(flux, jit_options=options)
            field = ufl.grad(self.field)
            heat = self.sigma_function * ufl.inner(field, field) * v * dx
            self._heat = fem.form(heat, jit_options=options)
        whole = None if problem is None else problem.electrodes
        outer = None if problem is None else problem.mesh.surface_faces("outer")
        border = self.matrices.wall(share.facets(outer))
        conductance, area = share.own(None if whole is None else whole.far_field), border.area()
        self.far = border.mass(conductance / np.where(area > 0.0, area, 1.0))
        self._set_sigma(np.full(share.owned, tissue.REFERENCE_C))
        self.stiffness = assembled_matrix(self._flux)

    def _set_sigma(self, temperature: Floats) -> None:
        at_points = self.share.with_ghosts(temperature)[self.share.cells] @ self.functions
        sigma0, slope, dry = (each[:, None] for each in self.law)
        values = tissue.electrical_conductivity(at_points, sigma0, slope, dry, self.drop)
        self.sigma_function.x.array[self.place] = values
        self.sigma_function.x.scatter_forward()

    def sigma(self, temperature: Floats) -> Floats:
        """sigma(T) in the middle of this rank's cells (m,) [S/m]."""
        corners = self.share.with_ghosts(temperature)[self.share.cells[:, :4]]
        found: Floats = tissue.electrical_conductivity(corners.mean(axis=1), *self.law, self.drop)
        return found

    def _renew_matrix(self, temperature: Floats) -> None:
        from petsc4py import PETSc

        self._set_sigma(temperature)
        assembled_matrix(self._flux, self.stiffness)
        self.stiffness.copy(self.matrix, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        self.matrix.axpy(1.0, self.far, PETSc.Mat.Structure.SUBSET_NONZERO_PATTERN)
        self.matrix.zeroRowsColumns(self.fixed, 1.0)
        self.matrix.setOption(PETSc.Mat.Option.SPD, True)

    def _far_flow(self, potential: Floats) -> Floats:
        """Current that leaves each node to infinity (p,) [A]."""
        return self._product(potential, self.far)

    def _joule(self, potential: Floats) -> Floats:
        """Heat of each node (p,) [W]."""
        self.field.x.array[: self.share.owned] = potential
        self.field.x.scatter_forward()
        return assembled_vector(self._heat)
