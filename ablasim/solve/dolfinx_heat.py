"""The heat problem on P1 tetrahedra with DOLFINx and PETSc, implicit in time.

One step solves for the temperature T at its end

    M (H(T) - H_base)/span = Q + S - K0 f0(T) - K1 f1(T) - P (T - T_b) - A (T - T_wall),

M, P and A lumped, K0 and K1 the stiffness of k0 and of dk, f0 and f1 the Kirchhoff potentials of
`physics.tissue`, S what warming blood spares the wall. Backward Euler has H_base = H_n and
span = dt; BDF2 see `dolfinx_engine`. Newton's method in the enthalpy: each iteration solves for the
change of theta = f0 + r f1, with r = dk/k0 of the point, and then adds c(T) dT to H, from which T
follows by the law; so the latent heat is conserved and a point cannot jump over the vaporisation
band (Swaminathan and Voller 1992, 10.1007/BF02667820). In theta the matrix is

    K0 + diag((M c/span + P + A)/theta'),

symmetric, with a constant stiffness: nothing is assembled in time. Where dk/k0 differs between
tissues it is Newton's matrix nearly, and the iteration converges a little slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ablasim.errors import ResourceError
from ablasim.physics import tissue
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.dolfinx_blood import Blood
from ablasim.solve.dolfinx_matrices import Matrices
from ablasim.solve.dolfinx_share import Floats, Share

MOST_ITERATIONS = 25
"""Of Newton's method; a step that needs more is repeated with half its length."""

ROUNDING = 4.0 * float(np.finfo(float).eps)
"""Relative error of temperature and enthalpy that rounding leaves: over a step of milliseconds the
heat of so little is more than the tolerance."""

LEAST_SLOPE = 0.5
"""k(T) is a straight line that reaches zero far below freezing, and beyond that point the equation
has a second, cold solution; Newton's method stays where k is more than this share of k0."""

FORCING = 1e-3
"""Relative tolerance of the linear solver in one Newton iteration."""


@dataclass(frozen=True, eq=False)
class Moved:
    """The end of a step.

    Attributes:
        temperature: (p,) [°C].
        enthalpy: (p,) [J/m3].
        converged: whether the residual is below the tolerance.
        iterations: of Newton's method.
        solves: iterations of the linear solver in all of them.
        perfusion: heat that perfusion carries away at the end [W].
        boundary: heat that reaches the held points at the end [W].
        walls: heat into each wall's liquid at the end (w,) [W].
        rates: diagonal of the matrix of conduction, perfusion and walls (p,) [W/K].
    """

    temperature: Floats
    enthalpy: Floats
    converged: bool
    iterations: int
    solves: int
    perfusion: float
    boundary: float
    walls: Floats
    rates: Floats


class HeatProblem:
    """Matrices and laws of the heat problem on this rank's points."""

    def __init__(
        self,
        share: Share,
        matrices: Matrices,
        problem: BioheatProblem | None,
        facts: BioheatProblem,
    ):
        """Assemble what stays the same over a run.

        Args:
            share: this rank's part of the mesh.
            matrices: what assembles them.
            problem: the whole problem on rank 0, None elsewhere.
            facts: the problem without arrays over the mesh, on every rank.
        """
        self.share, self.laws = share, facts.laws
        self.blood_temperature = facts.blood_temperature
        m, region = facts.materials, matrices.region

        def lumped(values: Any) -> Floats:
            return matrices.lumped(np.asarray(values, dtype=float)[region])

        self.volume = matrices.lumped(np.ones(len(region)))
        self.wet, self.dry = (
            lumped(m.wet_capacity) / self.volume,
            lumped(m.dry_capacity) / self.volume,
        )
        latent = lumped(m.latent_heat) / self.volume
        self.boiling = tissue.band_capacity(self.wet, self.dry, latent, self.laws.vaporisation_band)
        self.perfusion = lumped(m.perfusion)
        self.ratio = lumped(m.conductivity_slope) / lumped(m.conductivity)
        held = None if problem is None else problem.fixed_temperature
        if facts.fixed_temperature is None:
            self.held = np.zeros(share.owned, dtype=bool)
            self.held_at = np.zeros(share.owned)
        else:
            self.held_at = share.own(held)
            self.held = np.isfinite(self.held_at)
        self.free = (~self.held).astype(float)

        self.stiffness = matrices.stiffness(m.conductivity[region])
        ratios = m.conductivity_slope / m.conductivity
        self.same = bool(np.allclose(ratios, ratios[0], rtol=1e-12, atol=0.0))
        self.slope = None if self.same else matrices.stiffness(m.conductivity_slope[region])

        with np.errstate(divide="ignore"):
            coldest = tissue.REFERENCE_C - (1.0 - LEAST_SLOPE) / np.maximum(self.ratio, 0.0)
        self.least_enthalpy = self.enthalpy(coldest)

        self._walls(matrices, problem, facts)
        self.blood = Blood(share, problem, facts, self.wall_conductance)
        self._solver()

    def _walls(
        self, matrices: Matrices, problem: BioheatProblem | None, facts: BioheatProblem
    ) -> None:
        """h A of every wall at the points (w, p) [W/K]."""
        self.wall_temperature = np.array([wall.temperature for wall in facts.walls])
        conductance = np.zeros((len(facts.walls), self.share.owned))
        for number in range(len(facts.walls)):
            whole = None if problem is None else problem.walls[number]
            area = matrices.area(self.share.facets(None if whole is None else whole.faces))
            at_points = None
            if whole is not None and problem is not None:
                at_points = np.zeros(len(problem.mesh.points))
                at_points[whole.points] = whole.coefficient
            conductance[number] = area * self.share.own(at_points)
        self.wall_conductance = conductance
        self.sink = conductance.sum(axis=0)
        self.sink_heat = self.wall_temperature @ conductance

    def _solver(self) -> None:
        """The matrix of Newton's method, of which only the diagonal changes, and its solver."""
        from petsc4py import PETSc

        self.matrix = self.stiffness.duplicate(copy=True)
        self.matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        first, _ = self.matrix.getOwnershipRange()
        self.matrix.zeroRowsColumns((first + np.flatnonzero(self.held)).astype(np.int32), 1.0)
        self.matrix.setOption(PETSc.Mat.Option.SPD, True)
        self.diagonal = self.stiffness.getDiagonal().array.copy()
        self.x, self.y = self.stiffness.createVecs()
        self.rest, self.change = self.stiffness.createVecs()
        self.ksp = PETSc.KSP().create(self.share.comm)
        self.ksp.setOptionsPrefix("heat_")
        self.ksp.setOperators(self.matrix)
        self.ksp.setType("cg")
        self.ksp.getPC().setType("bjacobi" if self.share.comm.size > 1 else "icc")
        self.ksp.setTolerances(rtol=FORCING, atol=0.0, max_it=500)
        self.ksp.setFromOptions()

    # -- laws --------------------------------------------------------------------------------

    def temperature(self, enthalpy: Floats) -> Floats:
        """T(H) (p,) [°C]."""
        found: Floats = tissue.temperature(
            enthalpy, self.wet, self.boiling, self.dry, self.laws.vaporisation_band
        )
        return found

    def enthalpy(self, temperature: Floats) -> Floats:
        """H(T) (p,) [J/m3]."""
        found: Floats = tissue.enthalpy(
            temperature, self.wet, self.boiling, self.dry, self.laws.vaporisation_band
        )
        return found

    def capacity(self, temperature: Floats) -> Floats:
        """dH/dT (p,) [J/m3/K]."""
        low, high = self.laws.vaporisation_band
        slope: Floats = np.where(
            temperature < low, self.wet, np.where(temperature < high, self.boiling, self.dry)
        )
        return slope

    def theta_slope(self, temperature: Floats) -> Floats:
        """dtheta/dT (p,)."""
        top = tissue.BOILING_C - tissue.REFERENCE_C
        slope: Floats = 1.0 + self.ratio * np.minimum(temperature - tissue.REFERENCE_C, top)
        return slope

    def conduction(self, temperature: Floats) -> Floats:
        """Heat that conduction carries away from each point (p,) [W]."""
        linear, square = tissue.kirchhoff(temperature)
        if self.slope is None:
            return self._product(self.stiffness, linear + self.ratio * square)
        return self._product(self.stiffness, linear) + self._product(self.slope, square)

    def _product(self, matrix: Any, values: Floats) -> Floats:
        self.x.array = values
        matrix.mult(self.x, self.y)
        result: Floats = self.y.array.copy()
        return result

    # -- one step ----------------------------------------------------------------------------

    def held_values(self, temperature: Floats) -> Floats:
        """A temperature (p,) with the held points at their values."""
        return np.where(self.held, self.held_at, temperature) if self.held.any() else temperature

    def flow(
        self, temperature: Floats, perfusion: Floats, source: Floats, flowing: Floats
    ) -> tuple[Floats, Floats]:
        """Net heat into each point (p,) [W], and the sum of its parts' sizes for tolerances."""
        away = self.conduction(temperature)
        perfused = perfusion * (temperature - self.blood_temperature)
        cooled = self.sink * temperature - self.sink_heat - self.blood.spared(temperature, flowing)
        size = np.abs(away) + np.abs(perfused) + np.abs(cooled) + np.abs(source)
        return source - away - perfused - cooled, size

    def implicit(
        self,
        guess: Floats,
        base: Floats,
        span: float,
        perfusion: Floats,
        source: Floats,
        flowing: Floats,
        tolerance: float,
    ) -> Moved:
        """Solve for the end of a step.

        Args:
            guess: enthalpy to start from (p,) [J/m3].
            base: enthalpy H_base (p,) [J/m3].
            span: the time over which the flows at the end act [s].
            perfusion: P as it is at the end of the step (p,) [W/K].
            source: Q (p,) [W].
            flowing: 1 for the branches of blood that flow, 0 for the others (c,).
            tolerance: on the sum of the residual's sizes, relative to that of the heat flows.

        Raises:
            ResourceError: PETSc has no memory.
        """
        share = self.share
        temperature = self.held_values(self.temperature(guess))
        enthalpy = self.enthalpy(temperature) if self.held.any() else guess
        self.ksp.getPC().setReusePreconditioner(False)
        sink = np.maximum(self.sink - self.blood.at_rest(flowing), 0.0)
        solves = 0
        for iteration in range(MOST_ITERATIONS + 1):
            flow, size = self.flow(temperature, perfusion, source, flowing)
            slope = self.theta_slope(temperature)
            stored = self.volume * self.capacity(temperature) / span
            residual = self.free * (self.volume * (enthalpy - base) / span - flow)
            rounded = stored * np.abs(temperature) + self.volume * np.abs(enthalpy) / span
            wrong, scale, noise = share.total(
                [np.abs(residual).sum(), (self.free * size).sum(), (self.free * rounded).sum()]
            )
            converged = wrong <= max(tolerance * max(scale, 1e-12), ROUNDING * noise)
            if converged or iteration == MOST_ITERATIONS or not np.isfinite(wrong):
                break
            loss = (stored + perfusion + sink) / slope
            change = self._solve(np.where(self.held, 1.0, self.diagonal + loss), -residual)
            solves += self.ksp.getIterationNumber()
            moved = self.led(enthalpy, temperature, change / slope)
            enthalpy = np.maximum(moved, self.least_enthalpy)
            temperature = self.held_values(self.temperature(enthalpy))
            self.ksp.getPC().setReusePreconditioner(True)
        walls = self.wall_flows(temperature, flowing)
        taken, boundary = share.total(
            [
                (perfusion * (temperature - self.blood_temperature)).sum(),
                ((1.0 - self.free) * flow).sum(),
            ]
        )
        rates = self.diagonal * slope + perfusion + self.sink
        return Moved(
            temperature, enthalpy, bool(converged), iteration, solves, taken, boundary, walls, rates
        )

    def led(self, enthalpy: Floats, temperature: Floats, change: Floats) -> Floats:
        """Enthalpy after a change of temperature (p,) [J/m3], by its slope or along the law.

        The smaller of both moves: by the slope a point cannot jump over the vaporisation band, and
        along the law it does not leave the band a hundred times too far, from where k(T), a
        straight line, has a second and cold solution.
        """
        by_slope = self.capacity(temperature) * change
        by_law = self.enthalpy(temperature + change) - self.enthalpy(temperature)
        return enthalpy + np.where(np.abs(by_slope) < np.abs(by_law), by_slope, by_law)

    def _solve(self, diagonal: Floats, right: Floats) -> Floats:
        """Change of theta (p,) [K]."""
        from petsc4py import PETSc

        self.y.array = diagonal
        self.matrix.setDiagonal(self.y)
        self.rest.array = right
        self.change.set(0.0)
        try:
            self.ksp.solve(self.rest, self.change)
        except PETSc.Error as error:
            raise petsc_fault(error) from error
        found: Floats = self.change.array.copy()
        return found

    def wall_flows(self, temperature: Floats, flowing: Floats) -> Floats:
        """Heat into each wall's liquid (w,) [W]."""
        if not len(self.wall_temperature):
            return np.empty(0)
        excess = temperature[None] - self.wall_temperature[:, None]
        spared = self.blood.spared_by_wall(temperature, flowing)
        flows: Floats = self.share.total((self.wall_conductance * excess).sum(axis=1) - spared)
        return flows


def default_options(ksp: Any, options: dict[str, str]) -> None:
    """Options of a solver that the user has not given."""
    from petsc4py import PETSc

    table, prefix = PETSc.Options(), ksp.getOptionsPrefix()
    for name, value in options.items():
        if not table.hasName(prefix + name):
            table.setValue(prefix + name, value)


def petsc_fault(error: Any) -> Exception:
    """PETSc's error as one of ours: out of memory, or itself."""
    if getattr(error, "ierr", None) == 55:  # PETSC_ERR_MEM
        return ResourceError(
            "PETSc has no memory left: take more nodes or ranks, or a coarser numerics.resolution"
        )
    return error if isinstance(error, Exception) else RuntimeError(str(error))
