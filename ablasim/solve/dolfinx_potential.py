"""The potential for one volt with DOLFINx and PETSc: conjugate gradients under GAMG.

sigma is constant in each tetrahedron, taken at the mean temperature of its corners. The solver's
hierarchy is kept from step to step and set up again when its iterations have grown. The Joule heat
of a point is phi_i (S phi)_i - (S phi^2)_i/2 with S the stiffness matrix of sigma, the weak form of
div(sigma phi grad phi): its sum is the power.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ablasim.physics import tissue
from ablasim.physics.electric import connect
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.dolfinx_heat import default_options
from ablasim.solve.dolfinx_matrices import Matrices
from ablasim.solve.dolfinx_options import faults_of_options
from ablasim.solve.dolfinx_share import Floats, Share

REBUILD_GROWTH = 1.5
"""Growth of the iterations after which the hierarchy is set up again."""

MOST_ITERATIONS = 1000

HIERARCHY = {
    "pc_gamg_reuse_interpolation": "true",
    "mg_levels_ksp_type": "richardson",
    "mg_levels_pc_type": "sor",
    "mg_levels_ksp_max_it": "1",
}
"""The interpolation between the levels is kept, and only the coarse matrices follow sigma.
Symmetric sweeps stay positive definite with a matrix that has changed since the set-up; the bounds
of PETSc's Chebyshev smoother do not."""


@dataclass(frozen=True, eq=False)
class UnitField:
    """The solution for one volt of the generator.

    Attributes:
        potential: for one volt on each conductor alone (K, p) [V].
        volts: on the conductors (K,) [V].
        heat: Joule heat of each point (p,) [W].
        conductance: of the tissue between the generator's terminals [S].
        iterations: taken, over all conductors.
        residual: the largest, relative to the currents that the electrode's volt drives.
    """

    potential: Floats
    volts: Floats
    heat: Floats
    conductance: float
    iterations: int
    residual: float


class PotentialProblem:
    """Matrix and solver of the potential on this rank's points."""

    def __init__(
        self,
        share: Share,
        matrices: Matrices,
        problem: BioheatProblem | None,
        facts: BioheatProblem,
        tolerance: float,
    ):
        """Deal out the electrodes and set up the solver.

        Args:
            share: this rank's part of the mesh.
            matrices: what assembles them.
            problem: the whole problem on rank 0, None elsewhere.
            facts: the problem without arrays over the mesh.
            tolerance: on the relative residual.
        """
        from petsc4py import PETSc

        assert facts.electrodes is not None
        whole = None if problem is None else problem.electrodes
        self.share, self.matrices = share, matrices
        masks = None
        if whole is not None:
            masks = np.vstack([whole.conductors, whole.grounded[None]]).astype(float)
        mine = np.zeros((len(facts.electrodes.conductors) + 1, share.owned))
        for row, mask in zip(mine, share.own(masks), strict=True):
            row[share.nodes_of(mask)] = 1.0
        self.active, self.free = mine[:-1], 1.0 - (mine.sum(axis=0) > 0.0)
        self.circuits = tuple(circuit.arrays() for circuit in facts.electrodes.circuits)
        self.drop = facts.laws.sigma_drop
        self._prepare(problem, facts)
        self.matrix = self.stiffness.duplicate(copy=True)
        self.matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        first, _ = self.matrix.getOwnershipRange()
        self.fixed = (first + np.flatnonzero(self.free == 0.0)).astype(np.int32)
        self.x, self.y = self.stiffness.createVecs()
        self.right, self.found = self.stiffness.createVecs()
        self.ksp = PETSc.KSP().create(share.comm)
        self.ksp.setOptionsPrefix("potential_")
        self.ksp.setOperators(self.matrix)
        self.ksp.setType("cg")
        self.ksp.setInitialGuessNonzero(True)
        self.ksp.getPC().setType("gamg")
        self.ksp.setTolerances(rtol=tolerance, atol=0.0, max_it=MOST_ITERATIONS)
        default_options(self.ksp, HIERARCHY)
        self.ksp.setFromOptions()
        self.fresh = True
        self._iterations_fresh = 0

    def _prepare(self, problem: BioheatProblem | None, facts: BioheatProblem) -> None:
        """The law of sigma of the cells, the far field at the nodes, and the stiffness matrix."""
        m, region = facts.materials, self.matrices.region
        whole = None if problem is None else problem.electrodes
        self.far_field = self.share.own(None if whole is None else whole.far_field)
        self.law = (m.sigma[region], m.sigma_slope[region], m.sigma_dry_ratio[region])
        self.renewable = self.matrices.renewable(m.sigma[region])
        self.stiffness = self.renewable.matrix

    def sigma(self, temperature: Floats) -> Floats:
        """sigma(T) of this rank's cells (m,) [S/m]."""
        corners = self.share.with_ghosts(temperature)[self.share.cells]
        found: Floats = tissue.electrical_conductivity(corners.mean(axis=1), *self.law, self.drop)
        return found

    def unit_field(self, temperature: Floats, guess: Floats, turn: int) -> UnitField:
        """Field and heat of one volt.

        Args:
            temperature: (p,) [°C].
            guess: potentials to start from (K, p).
            turn: number of the circuit.
        """
        self._renew_matrix(temperature)
        solved = [self._solve(*pair) for pair in zip(guess, self.active, strict=True)]
        basis = np.array([x for x, _, _ in solved])
        iterations = sum(k for _, k, _ in solved)
        self._keep_or_renew(iterations)
        volts = np.ones(1)
        if len(basis) > 1:
            flows = np.array([self._product(x) + self._far_flow(x) for x in basis])
            matrix = self.share.total(basis @ flows.T)
            volts, _ = connect(0.5 * (matrix + matrix.T), *self.circuits[turn])
        x = volts @ basis
        heat = self._joule(x)
        power, far = self.share.total([heat.sum(), (x * self._far_flow(x)).sum()])
        worst = max(residual for _, _, residual in solved)
        return UnitField(basis, volts, heat, power + far, iterations, worst)

    def _far_flow(self, potential: Floats) -> Floats:
        """Current that leaves each node to infinity (p,) [A]."""
        return self.far_field * potential

    def _joule(self, potential: Floats) -> Floats:
        """Heat of each node (p,) [W]."""
        return potential * self._product(potential) - 0.5 * self._product(potential**2)

    def _renew_matrix(self, temperature: Floats) -> None:
        """The matrix for the sigma of a temperature (p,) [°C]."""
        from petsc4py import PETSc

        self.renewable.renew(self.sigma(temperature))
        self.stiffness.copy(self.matrix, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        self.y.array = self.far_field
        self.matrix.setDiagonal(self.y, PETSc.InsertMode.ADD_VALUES)
        self.matrix.zeroRowsColumns(self.fixed, 1.0)
        self.matrix.setOption(PETSc.Mat.Option.SPD, True)

    def _keep_or_renew(self, iterations: int) -> None:
        """Set the hierarchy up again in the next solve if this one has become slow."""
        if self.fresh:
            self._iterations_fresh = max(iterations, 5)
        self.fresh = iterations > REBUILD_GROWTH * self._iterations_fresh + 3

    def _solve(self, guess: Floats, active: Floats) -> tuple[Floats, int, float]:
        """Potential (p,) for one volt on one conductor, iterations and relative residual."""
        driven = self._product(active)
        right = np.where(self.free > 0.0, -driven, active)
        self.right.array = right
        self.found.array = np.where(self.free > 0.0, guess, active)
        self.ksp.getPC().setReusePreconditioner(not self.fresh)
        with faults_of_options():
            self.ksp.solve(self.right, self.found)
            if not self.ksp.is_converged and not self.fresh:
                self.fresh = True
                self.ksp.getPC().setReusePreconditioner(False)
                self.found.array = np.where(self.free > 0.0, guess, active)
                self.ksp.solve(self.right, self.found)
        found: Floats = self.found.array.copy()
        self.matrix.mult(self.found, self.y)
        wrong, size = self.share.total(
            [((self.y.array - right) ** 2).sum(), ((self.free * driven) ** 2).sum()]
        )
        residual = float(np.sqrt(wrong / max(size, 1e-300)))
        return found, int(self.ksp.getIterationNumber()), residual

    def _product(self, values: Floats, matrix: Any = None) -> Floats:
        """A matrix times (p,), by default the stiffness matrix."""
        self.x.array = values
        (self.stiffness if matrix is None else matrix).mult(self.x, self.y)
        result: Floats = self.y.array.copy()
        return result
