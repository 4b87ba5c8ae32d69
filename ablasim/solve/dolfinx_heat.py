"""The heat problem on tetrahedra with DOLFINx and PETSc, implicit in time.

One step solves for the temperature T at its end

    (U(T) - U_base)/span = Q - K0 f0(T) - K1 f1(T) - P left (T - T_b) - A (T - T_blood),

U the stored heat, K0 and K1 the stiffness of k0 and of dk, f0 and f1 the Kirchhoff potentials of
`physics.tissue`, P and A those of perfusion and walls, T_blood the liquid's. Backward Euler has
U_base = U_n and span = dt; see `bdf` for BDF2. With linear functions U, P and A are lumped.

Newton's method solves for the change of theta = f0 + r f1 with r = dk/k0 of the point; the matrix

    K0 + diag((M c/span + P left + A)/theta')

is symmetric, with a constant stiffness: nothing is assembled in time. (Where dk/k0 differs between
tissues it is Newton's matrix nearly, and the iteration converges a little slower.) The change of T
is then taken through the enthalpy: c(T) dT is added to H(T), and T follows by the law, so that a
point cannot jump over the vaporisation band (Swaminathan and Voller 1992, 10.1007/BF02667820).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ablasim.physics import tissue
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.dolfinx_blood import Blood
from ablasim.solve.dolfinx_matrices import Matrices
from ablasim.solve.dolfinx_options import faults_of_options
from ablasim.solve.dolfinx_share import Floats, Share

MOST_ITERATIONS = 25
"""Of Newton's method; a step that needs more is repeated with a shorter one."""

ROUNDING = 4.0 * float(np.finfo(float).eps)
"""Relative error of temperature and enthalpy that rounding leaves: over a step of milliseconds the
heat of so little is more than the tolerance, and so is what thin cells conduct for so little."""

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
        stored: heat above 37 °C (p,) [J].
        converged: whether the residual is below the tolerance.
        iterations: of Newton's method.
        perfusion: heat that perfusion carries away at the end [W].
        boundary: heat that leaves through the held nodes at the end [W].
        walls: heat into each wall's liquid at the end (w,) [W].
    """

    temperature: Floats
    stored: Floats
    converged: bool
    iterations: int
    perfusion: float
    boundary: float
    walls: Floats


class HeatProblem:
    """Matrices and laws of the heat problem on this rank's nodes; linear functions.

    Attributes:
        weight: volume of each node (p,) [m3], for norms.
        free: 1 where the temperature is unknown, 0 where it is held (p,).
        wall_conductance: h times the area of each node, for every wall (w, p) [W/K].
        blood: along the walls.
    """

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
        self.share, self.matrices, self.laws = share, matrices, facts.laws
        self.blood_temperature = facts.blood_temperature
        m, region = facts.materials, matrices.region
        self._laws_of_nodes(m, region)
        held = None if problem is None else problem.fixed_temperature
        self.held, self.held_at = np.zeros(share.owned, dtype=bool), np.zeros(share.owned)
        if facts.fixed_temperature is not None:
            values = share.own(held)
            fixed = np.isfinite(values)
            self.held[share.nodes_of(fixed.astype(float))] = True
            self.held_at = share.at_nodes(np.where(fixed, values, 0.0))
        self.free = (~self.held).astype(float)

        self.stiffness = matrices.stiffness(m.conductivity[region])
        ratios = m.conductivity_slope / m.conductivity
        same = bool(np.allclose(ratios, ratios[0], rtol=1e-12, atol=0.0))
        self.slope = None if same else matrices.stiffness(m.conductivity_slope[region])
        self.x, self.y = self.stiffness.createVecs()
        self.rest, self.change = self.stiffness.createVecs()

        with np.errstate(divide="ignore"):
            coldest = tissue.REFERENCE_C - (1.0 - LEAST_SLOPE) / np.maximum(self.ratio, 0.0)
        self.least_enthalpy = self.enthalpy(coldest)
        self._deal_walls(problem, facts)
        self._set_up_solver()

    def _laws_of_nodes(self, m: Any, region: Any) -> None:
        """The law of a node is the mixture of those of its cells, by volume."""

        def lumped(values: Any) -> Floats:
            return self.matrices.lumped(np.asarray(values, dtype=float)[region])

        self.weight = lumped(np.ones_like(m.perfusion))
        self.wet, self.dry = (lumped(c) / self.weight for c in (m.wet_capacity, m.dry_capacity))
        latent = lumped(m.latent_heat) / self.weight
        self.boiling = tissue.band_capacity(self.wet, self.dry, latent, self.laws.vaporisation_band)
        self.perfusion = lumped(m.perfusion)
        self.ratio = lumped(m.conductivity_slope) / lumped(m.conductivity)

    def _deal_walls(self, problem: BioheatProblem | None, facts: BioheatProblem) -> None:
        """h of every wall at the points, and its integrals."""
        share, count = self.share, len(facts.walls)
        self.wall_temperature = np.array([wall.temperature for wall in facts.walls])
        self.wall_points = np.zeros((count, len(share.points)))
        self.wall_conductance = np.zeros((count, share.owned))
        self.walls, at_points = [], np.zeros((count, len(share.points)))
        for number in range(count):
            whole = None if problem is None else problem.walls[number]
            wall = self.matrices.wall(share.facets(None if whole is None else whole.faces))
            spread = None
            if whole is not None and problem is not None:
                spread = np.zeros(len(problem.mesh.points))
                spread[whole.points] = whole.coefficient
            coefficient = share.own(spread)
            self.walls.append(wall)
            self.wall_points[number] = coefficient
            self.wall_conductance[number] = wall.load(coefficient)
            at_points[number] = wall.area() * coefficient
        self.sink = self.wall_conductance.sum(axis=0)
        self.blood = Blood(share, problem, facts, at_points)

    def _set_up_solver(self) -> None:
        """The matrix of Newton's method, of which only the diagonal changes, and its solver."""
        from petsc4py import PETSc

        self.matrix = self.stiffness.duplicate(copy=True)
        self.matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        self.matrix.zeroRowsColumns(self._held_rows(), 1.0)
        self.matrix.setOption(PETSc.Mat.Option.SPD, True)
        self.diagonal = self.stiffness.getDiagonal().array.copy()
        self.ksp = self._solver("cg")

    def _held_rows(self) -> Any:
        """Numbers of the held nodes among those of all ranks."""
        first, _ = self.stiffness.getOwnershipRange()
        return (first + np.flatnonzero(self.held)).astype(np.int32)

    def _solver(self, method: str) -> Any:
        from petsc4py import PETSc

        ksp = PETSc.KSP().create(self.share.comm)
        ksp.setOptionsPrefix("heat_")
        ksp.setOperators(self.matrix)
        ksp.setType(method)
        alone = "icc" if method == "cg" else "ilu"
        ksp.getPC().setType("bjacobi" if self.share.comm.size > 1 else alone)
        ksp.setTolerances(rtol=FORCING, atol=0.0, max_it=500)
        ksp.setFromOptions()
        return ksp

    # -- laws --------------------------------------------------------------------------------

    def temperature(self, enthalpy: Floats) -> Floats:
        """T(H) (p,) [°C]."""
        band = self.laws.vaporisation_band
        found: Floats = tissue.temperature(enthalpy, self.wet, self.boiling, self.dry, band)
        return found

    def enthalpy(self, temperature: Floats) -> Floats:
        """H(T) (p,) [J/m3]."""
        band = self.laws.vaporisation_band
        found: Floats = tissue.enthalpy(temperature, self.wet, self.boiling, self.dry, band)
        return found

    def stored(self, temperature: Floats) -> Floats:
        """Heat above 37 °C (p,) [J]."""
        return self.weight * self.enthalpy(temperature)

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

    def rates(self, temperature: Floats) -> Floats:
        """How strongly a node follows its surroundings (p,) [W/K]."""
        found: Floats = self.diagonal * self.theta_slope(temperature)
        return found + self.perfusion + self.sink

    def held_values(self, temperature: Floats) -> Floats:
        """A temperature (p,) with the held nodes at their values."""
        return np.where(self.held, self.held_at, temperature) if self.held.any() else temperature

    def conduction(self, temperature: Floats) -> Floats:
        """Heat that conduction carries away from each node (p,) [W]."""
        linear, square = tissue.kirchhoff(temperature)
        if self.slope is None:
            return self.product(self.stiffness, linear + self.ratio * square)
        return self.product(self.stiffness, linear) + self.product(self.slope, square)

    def perfused(self, temperature: Floats, left: Floats) -> Floats:
        """Heat that perfusion carries away from each node (p,) [W]."""
        taken: Floats = self.perfusion * left * (temperature - self.blood_temperature)
        return taken

    def cooled(self, temperature: Floats, flowing: Floats) -> Floats:
        """Heat that the walls' liquids carry away from each node (p,) [W]."""
        away = self.sink * temperature - self.wall_temperature @ self.wall_conductance
        return away - self._spared(temperature, flowing).sum(axis=0)

    def _spared(self, temperature: Floats, flowing: Floats) -> Floats:
        """What warm blood leaves to the nodes, for every wall (w, p) [W]."""
        kept = np.zeros((len(self.walls), self.share.owned))
        for number, felt in self.blood.felt(temperature[self.share.points], flowing).items():
            kept[number] = self.walls[number].load(self.wall_points[number] * felt)
        return kept

    def wall_flows(self, temperature: Floats, flowing: Floats) -> Floats:
        """Heat into each wall's liquid (w,) [W]."""
        if not self.walls:
            return np.empty(0)
        excess = temperature[None] - self.wall_temperature[:, None]
        away = self.wall_conductance * excess - self._spared(temperature, flowing)
        flows: Floats = self.share.total(away.sum(axis=1))
        return flows

    def product(self, matrix: Any, values: Floats) -> Floats:
        """A matrix times (p,)."""
        self.x.array = values
        matrix.mult(self.x, self.y)
        result: Floats = self.y.array.copy()
        return result

    # -- one step ----------------------------------------------------------------------------

    def slope_of(
        self, temperature: Floats, left: Floats, source: Floats, flowing: Floats
    ) -> Floats:
        """dT/dt (p,) [K/s]."""
        flow, _ = self._flow(temperature, left, source, flowing)
        return self.free * flow / (self.weight * self.capacity(temperature))

    def _flow(
        self, temperature: Floats, left: Floats, source: Floats, flowing: Floats
    ) -> tuple[Floats, Floats]:
        """Net heat into each node (p,) [W], and the sum of its parts' sizes for tolerances."""
        away, taken = self.conduction(temperature), self.perfused(temperature, left)
        cooled = self.cooled(temperature, flowing)
        size = np.abs(away) + np.abs(taken) + np.abs(cooled) + np.abs(source)
        return source - away - taken - cooled, size

    def implicit(
        self,
        guess: Floats,
        base: Floats,
        span: float,
        left: Floats,
        source: Floats,
        flowing: Floats,
        tolerance: float,
    ) -> Moved:
        """Solve for the end of a step.

        Args:
            guess: temperature to start from (p,) [°C].
            base: stored heat U_base (p,) [J].
            span: the time over which the flows at the end act [s].
            left: share of the perfusion that acts over the step (p,).
            source: Q (p,) [W].
            flowing: 1 for the branches of blood that flow, 0 for the others (c,).
            tolerance: on the sum of the residual's sizes, relative to that of the heat flows.
        """
        temperature = self.held_values(guess)
        self.ksp.getPC().setReusePreconditioner(False)
        for iteration in range(MOST_ITERATIONS + 1):
            flow, size = self._flow(temperature, left, source, flowing)
            stored = self.stored(temperature)
            residual = (stored - base) / span - flow
            rounded = self.weight * self.capacity(temperature) * np.abs(temperature)
            led = self.diagonal * self.theta_slope(temperature) * np.abs(temperature)
            wrong, scale, noise = self.share.total(
                [
                    np.abs(self.free * residual).sum(),
                    (self.free * size).sum(),
                    ((rounded + np.abs(stored)) / span + led).sum(),
                ]
            )
            converged = wrong <= max(tolerance * max(scale, 1e-12), ROUNDING * noise)
            if converged or iteration == MOST_ITERATIONS or not np.isfinite(wrong):
                break
            change = self._newton(temperature, span, left, flowing, -self.free * residual)
            enthalpy = np.maximum(self.led(temperature, change), self.least_enthalpy)
            temperature = self.held_values(self.temperature(enthalpy))
            self.ksp.getPC().setReusePreconditioner(True)
        taken, boundary = self.share.total(
            [self.perfused(temperature, left).sum(), -((1.0 - self.free) * residual).sum()]
        )
        walls = self.wall_flows(temperature, flowing)
        return Moved(temperature, stored, bool(converged), iteration, taken, boundary, walls)

    def led(self, temperature: Floats, change: Floats) -> Floats:
        """Enthalpy after a change of temperature (p,) [J/m3], by its slope or along the law.

        The smaller of both moves: by the slope a point cannot jump over the vaporisation band, and
        along the law it does not leave the band a hundred times too far, from where k(T), a
        straight line, has a second and cold solution.
        """
        enthalpy = self.enthalpy(temperature)
        by_slope = self.capacity(temperature) * change
        by_law = self.enthalpy(temperature + change) - enthalpy
        return enthalpy + np.where(np.abs(by_slope) < np.abs(by_law), by_slope, by_law)

    def _newton(
        self, temperature: Floats, span: float, left: Floats, flowing: Floats, right: Floats
    ) -> Floats:
        """Change of the temperature (p,) [K] for a residual (p,) [W]."""
        slope = self.theta_slope(temperature)
        sink = self.sink.copy()
        for number, rest in self.blood.at_rest(flowing).items():
            sink -= self.wall_conductance[number] * self.share.at_nodes(rest)
        loss = self.weight * self.capacity(temperature) / span + self.perfusion * left + sink
        self.y.array = np.where(self.held, 1.0, self.diagonal + loss / slope)
        self.matrix.setDiagonal(self.y)
        return self.solve(right) / slope

    def solve(self, right: Floats) -> Floats:
        """Solution (p,) of the linear system for a right side (p,)."""
        self.rest.array = right
        self.change.set(0.0)
        with faults_of_options():
            self.ksp.solve(self.rest, self.change)
        found: Floats = self.change.array.copy()
        return found


def default_options(ksp: Any, options: dict[str, str]) -> None:
    """Options of a solver that the user has not given."""
    from petsc4py import PETSc

    table, prefix = PETSc.Options(), ksp.getOptionsPrefix()
    for name, value in options.items():
        if prefix + name not in table.getAll():  # hasName would count it as read
            table.setValue(prefix + name, value)
