"""The DOLFINx engine: enthalpy by implicit steps, on one core or on many over MPI.

A reference that shares the laws with the JAX engine and nothing else of the discretisation in time
or of the linear algebra: BDF2 or backward Euler, Newton's method, PETSc's solvers. The forms are
written in UFL on P1 tetrahedra; lumping, Joule heat and sigma per tetrahedron follow the same
definitions, so that on one mesh both engines converge to the same numbers as their time steps
shrink. The heat of the electrodes at the end of a step is extrapolated from the ends of the last
two and the potential solved at the new temperature; how wrong the extrapolation was enters the
error of the step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ablasim.mesh_cut import tet_fraction_above
from ablasim.mesh_tet import TetMesh
from ablasim.physics import damage, microwave, tissue
from ablasim.physics.damage import Damage
from ablasim.physics.generator import Drive, voltage_squared
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.bdf import MOST_GROWTH, Scheme, error_share, increment, predict
from ablasim.solve.dolfinx_heat import HeatProblem, Moved
from ablasim.solve.dolfinx_matrices import Matrices
from ablasim.solve.dolfinx_options import faults_of_options, refuse_unread_options
from ablasim.solve.dolfinx_potential import PotentialProblem, UnitField
from ablasim.solve.dolfinx_share import Floats, Share, share_out
from ablasim.solve.dolfinx_start import start
from ablasim.solve.field_heat import Pattern
from ablasim.solve.stepping import MOST_CHANGE

LETHAL_C = 60.0
"""Level of the lethal volume that progress and history show where no criterion is given [°C]."""

DRIED_GAIN = 0.3
"""Share of the way that the heat of a dried point goes in one step towards what its sigma gives:
sigma of drying tissue falls within milliseconds, and its heat would swing from step to step."""

MOST_SHIFT = 1.0
"""Most that a point's local error counts with [K]; points at the electrode's corners leave the
vaporisation band abruptly and must not drive the step."""

LEAST_HEATED = 1.0e-7
"""Floor of the heated volume [m3] over which the error of a step is averaged (0.1 ml)."""

HOT_VOLUME = 1.0e-8
"""The `peak_C` of progress and history is exceeded in this volume [m3] (10 mm3)."""

FAILED = np.inf
"""Error of a step whose equations were not solved; it is repeated with a shorter one."""


@dataclass(frozen=True)
class Options:
    """What can be chosen of the engine.

    Attributes:
        scheme: "bdf2", or "euler" for backward Euler.
        heat_tolerance: residual of a step, relative to the heat flows: the account closes to it.
        potential_tolerance: relative residual of the potential.
    """

    scheme: Scheme = "bdf2"
    heat_tolerance: float = 1e-10
    potential_tolerance: float = 1e-8


@dataclass(frozen=True, eq=False)
class State:
    """What a step starts from, on this rank's points; all of it goes into a checkpoint.

    Attributes:
        enthalpy: (p,) [J/m3].
        temperature: now and at the ends of the two steps before (3, p) [°C].
        past: lengths of the last two steps, latest first; 0 where there is none (2,) [s].
        risen: rise of the enthalpy in the last step (p,) [J/m3].
        account: heat of each part in the last step (a,) [J].
        peak: highest temperature so far (p,) [°C].
        potential, volts, unit_heat: as in UnitField.
        conductance: [S].
        past_heat: driven heat at the start of the step before, or used in it where dried (p,) [W].
        past_total: sum of the driven heat at the start of the step before, over all ranks [W].
        pattern: of microwave antennas, packed, on rank 0; empty elsewhere and without their field.
        hot_seconds: how long each branch has had a wall that coagulates blood (c,) [s].
        damage: under the death models; None where they are not carried.
    """

    enthalpy: Floats
    temperature: Floats
    past: Floats
    risen: Floats
    account: Floats
    peak: Floats
    potential: Floats
    volts: Floats
    unit_heat: Floats
    conductance: Floats
    past_heat: Floats
    past_total: Floats
    pattern: Floats
    hot_seconds: Floats
    damage: Damage | None = None


@dataclass(frozen=True, eq=False)
class Report:
    """What the time loop needs to know of a step; the attributes as in the JAX engine."""

    error: float
    change: float
    delivered: float = 0.0
    stored: float = 0.0
    perfusion: float = 0.0
    boundary: float = 0.0
    walls: Floats = field(default_factory=lambda: np.zeros(0))
    blood: Floats = field(default_factory=lambda: np.zeros(0))
    flowing: Floats = field(default_factory=lambda: np.zeros(0))
    conductance: float = 1.0
    hot: float = 0.0
    lethal: float = 0.0
    iterations: int = 0
    residual: float = 0.0


class DolfinxEngine:
    """Holds this rank's part of a problem and advances it step by step."""

    def __init__(
        self,
        problem: BioheatProblem | None,
        options: Options | None = None,
        *,
        look: Callable[[], None] | None = None,
    ):
        """Deal out the problem, which rank 0 holds.

        Args:
            problem: on rank 0; None on the other ranks.
            options: of the engine.
            look: called by all ranks before each step; raises KeyboardInterrupt on all or none.

        Raises:
            ResourceError: no DOLFINx, no compiler, no memory.
            UsageError: an option that PETSc does not know.
        """
        stack = start()
        self.look = look
        self.latest: State | None = None
        self.options = options or Options()
        self.comm = stack.comm
        self.whole = problem if self.comm.rank == 0 else None
        facts = None if self.whole is None else without_arrays(self.whole)
        self.problem: BioheatProblem = self.comm.bcast(facts, root=0)
        self.share: Share = share_out(self.whole, self.comm)
        region = None if self.whole is None else self.whole.mesh.cell_region.astype(np.int64)
        self.matrices = Matrices(self.share, self.share.own_cells(region))
        with faults_of_options():
            self.heat = HeatProblem(self.share, self.matrices, self.whole, self.problem)
            self.electric: PotentialProblem | None = None
            if self.problem.electrodes is not None:
                self.electric = PotentialProblem(
                    self.share,
                    self.matrices,
                    self.whole,
                    self.problem,
                    self.options.potential_tolerance,
                )
        self.device_name = f"{self.comm.size} rank{'s' if self.comm.size > 1 else ''}"
        self.constant = self._own("source")
        self.absorption = self._own("absorption")
        self.sensor_weights = None
        if self.problem.sensors is not None:
            self.sensor_weights = self.share.own(None if not self.whole else self.whole.sensors)
        models = self.problem.laws.death
        self.kinetics = None if models is None else damage.kinetics_of(models.sets)
        self.cell_volume = self.share.own_cells(
            None if self.whole is None else self.whole.mesh.cell_volumes()
        )
        self.stages = 0

    def _own(self, name: str) -> Floats:
        """This rank's part of an array over the points, zero where the problem has none."""
        if getattr(self.problem, name) is None:
            return np.zeros(self.share.owned)
        return self.share.own(None if self.whole is None else getattr(self.whole, name))

    # -- the state ---------------------------------------------------------------------------

    def start(self) -> State:
        """State at time zero, with the potential solved."""
        heat, owned = self.heat, self.share.owned
        initial = self.problem.initial_temperature
        if isinstance(initial, np.ndarray):
            initial = self._own("initial_temperature")
        temperature = heat.held_values(np.broadcast_to(initial, (owned,)).astype(float))
        models, zero = self.problem.laws.death, np.zeros(owned)
        suffered = None
        if self.kinetics is not None and models is not None:
            suffered = damage.unharmed(zero, len(models.sets))
        state = State(
            enthalpy=heat.enthalpy(temperature),
            temperature=np.array([temperature] * 3),
            past=np.zeros(2),
            risen=zero,
            account=np.zeros(3 + len(self.problem.walls)),
            peak=temperature,
            potential=zero[None],
            volts=np.ones(1),
            unit_heat=self._absorbed(temperature),
            conductance=np.array(1.0),
            past_heat=zero,
            past_total=np.array(0.0),
            pattern=np.zeros(0),
            hot_seconds=np.zeros(heat.blood.count),
            damage=suffered,
        )
        if self.problem.microwave is not None:
            pattern = None
            whole = self.share.collect(temperature)
            if self.whole is not None and self.whole.microwave is not None:
                pattern = Pattern.at_start(self.whole.microwave, whole).pack()
            return replace(state, pattern=np.zeros(0) if pattern is None else pattern)
        if self.electric is None:
            return state
        state = replace(state, potential=self.electric.active.copy())
        return self._with_field(state, self._unit_field(state, temperature, 0))

    def _with_field(self, state: State, field: UnitField) -> State:
        return replace(
            state,
            potential=field.potential,
            volts=field.volts,
            unit_heat=field.heat,
            conductance=np.array(field.conductance),
        )

    def longest_step(self, state: State) -> float:
        """Longest step [s] after the one before."""
        return MOST_GROWTH * float(state.past[0]) if state.past[0] > 0.0 else np.inf

    # -- one step ----------------------------------------------------------------------------

    def advance(self, state: State, step: float, drive: Drive) -> tuple[State, Report]:
        """Try one step; nothing is changed, so the caller may drop it and try a shorter one."""
        if self.look is not None:
            self.look()
        heat, past = self.heat, state.past
        constant, watts = self.constant, drive.scale(1.0)
        pattern = self._pattern(state)
        if self.problem.microwave is not None:
            found = None if pattern is None else watts * pattern.heat
            constant = constant + self.share.own(found)
        driven, present = self._driven(state, step, drive)
        now = state.temperature[0]
        flowing = heat.blood.flowing(state.hot_seconds)
        slope = np.zeros(self.share.owned)
        if past[0] <= 0.0:
            perfusion = self._perfusion(state, now, 0.0)
            flow, _ = heat.flow(now, perfusion, driven + constant, flowing)
            slope = heat.free * flow / (heat.volume * heat.capacity(now))
        before, earlier = state.temperature[1:]
        guess = predict(step, past, now, before, earlier, slope)
        keep, gain = increment(self.options.scheme, step, past)
        # On average a rule that ends perfusion is met in the middle of a step. Judged by the end
        # of the step it acts from there with BDF2, judged by the middle it does with Euler.
        late = guess if keep > 0.0 else 0.5 * (now + guess)
        perfusion = self._perfusion(state, late, step if keep > 0.0 else 0.5 * step)
        # of what a wild extrapolation says, a Newton iteration should see little
        near = np.clip(guess, now - 20.0, now + 20.0)
        moved = heat.implicit(
            heat.led(state.enthalpy, now, near - now),
            state.enthalpy + keep * state.risen,
            gain * step,
            perfusion,
            driven + constant,
            flowing,
            self.options.heat_tolerance,
        )
        self.stages += moved.iterations
        if not moved.converged:
            return state, Report(error=FAILED, change=0.0)
        field = self._field(state, drive, moved.temperature)
        delivered = self.share.total((driven + constant).sum())
        flows = np.array([delivered, moved.perfusion, moved.boundary, *moved.walls])
        account = keep * state.account + gain * step * flows
        new = replace(
            self._with_field(state, field),
            enthalpy=moved.enthalpy,
            temperature=np.array([moved.temperature, *state.temperature[:2]]),
            past=np.array([step, past[0]]),
            risen=moved.enthalpy - state.enthalpy,
            account=account,
            peak=np.maximum(state.peak, moved.temperature),
            past_heat=self._past_heat(state, drive, driven, moved.temperature),
            past_total=np.array(present),
            hot_seconds=heat.blood.clock(state.hot_seconds, moved.temperature, step),
            damage=self._suffer(state, moved.temperature, step),
        )
        if pattern is not None:
            new = replace(new, pattern=pattern.stepped(step, watts).pack())
        return new, self._report(state, new, moved, field, guess, driven, step, drive, flowing)

    def _report(
        self,
        state: State,
        new: State,
        moved: Moved,
        field: UnitField,
        guess: Floats,
        driven: Floats,
        step: float,
        drive: Drive,
        flowing: Floats,
    ) -> Report:
        """Error of the step, and what the history shows."""
        heat, share = self.heat, self.share
        temperature = moved.temperature
        _, gain = increment(self.options.scheme, step, state.past)
        distance = error_share(self.options.scheme, step, state.past) * (temperature - guess)
        after = voltage_squared(drive.limits(), field.conductance) * field.heat
        after = np.zeros_like(driven) if drive.off else after
        span = gain * step
        stored = heat.volume * heat.capacity(temperature) / span
        dried = temperature > self.problem.laws.vaporisation_band[1]
        # a dried point follows its neighbours within milliseconds: damped by its own rate
        rates = stored + np.where(dried, moved.rates, 0.0)
        shift = heat.free * (distance * stored / rates + (after - driven) / rates)
        shift = np.minimum(np.abs(shift), MOST_SHIFT)
        warm = temperature - heat.blood_temperature > 1.0
        wrong, heated, rise = share.total(
            [
                (heat.volume * shift**2).sum(),
                heat.volume[warm].sum(),
                (heat.volume * heat.free * (new.enthalpy - state.enthalpy)).sum(),
            ]
        )
        change = abs(field.conductance / float(state.conductance) - 1.0)
        if self.problem.microwave is not None and not drive.off:
            change = MOST_CHANGE * self._pattern_change(new)
        return Report(
            error=float(np.sqrt(wrong / max(heated, LEAST_HEATED))),
            change=change,
            delivered=float(new.account[0]),
            stored=rise,
            perfusion=float(new.account[1]),
            boundary=float(new.account[2]),
            walls=new.account[3:],
            blood=heat.blood.ends(temperature, flowing),
            flowing=heat.blood.flowing(new.hot_seconds),
            conductance=field.conductance,
            hot=self._exceeded_in(temperature, HOT_VOLUME),
            lethal=self._lethal_volume(new),
            iterations=field.iterations,
            residual=field.residual,
        )

    def _driven(self, state: State, step: float, drive: Drive) -> tuple[Floats, float]:
        """Driven heat at the end of a step, extrapolated (p,), and its sum at the start [W]."""
        limits, conductance = drive.limits(), float(state.conductance)
        if drive.off:
            return np.zeros(self.share.owned), 0.0
        now = np.asarray(voltage_squared(limits, conductance) * state.unit_heat)
        if state.past[0] <= 0.0:
            return now, self.share.total(now.sum())
        ahead = step / float(state.past[0])
        dried = state.temperature[0] > self.problem.laws.vaporisation_band[1]
        driven = now + np.where(dried, DRIED_GAIN - 1.0, ahead) * (now - state.past_heat)
        total, present = self.share.total([driven.sum(), now.sum()])
        # what is led gradually somewhere must not change the power, nor may it exceed the limit
        wanted = present + ahead * (present - float(state.past_total))
        factor = min(wanted, limits[0]) / total if total > 0.0 else 1.0
        return driven * max(factor, 0.0), present

    def _past_heat(self, state: State, drive: Drive, driven: Floats, after: Floats) -> Floats:
        """What the next step extrapolates from (p,) [W]."""
        if drive.off:
            return np.zeros(self.share.owned)
        now = voltage_squared(drive.limits(), float(state.conductance)) * state.unit_heat
        dried = after > self.problem.laws.vaporisation_band[1]
        return np.where(dried, driven, now)

    def _perfusion(self, state: State, temperature: Floats, ahead: float) -> Floats:
        """Lumped W that is left at a temperature reached after some time (p,) [W/K]."""
        laws, models = self.problem.laws, self.problem.laws.death
        left = tissue.perfusion_factor(temperature, state.peak, laws.perfusion_shutdown)
        if models is not None and models.stasis != "none" and state.damage is not None:
            suffered = state.damage
            if ahead > 0.0:
                suffered = self._harm(suffered, state.temperature[0], temperature, ahead)
            left = left * damage.perfusion_left(suffered, models)
        return np.asarray(self.heat.perfusion * left)

    def _suffer(self, state: State, after: Floats, step: float) -> Damage | None:
        """Damage at the end of a step."""
        if state.damage is None:
            return None
        return self._harm(state.damage, state.temperature[0], after, step)

    def _harm(self, suffered: Damage, before: Floats, after: Floats, step: float) -> Damage:
        """Damage after a straight line in temperature, cut where it is steep on any rank."""
        steepest = self.share.largest(float(np.abs(after - before).max(initial=0.0)))
        count = int(damage.parts_of(np.zeros(1), np.array([steepest]), step))
        change = (after - before) / count
        for number in range(count):
            first = before + number * change
            suffered = damage.advance(suffered, first, first + change, step / count, self.kinetics)
        return suffered

    # -- heat sources ------------------------------------------------------------------------

    def _field(self, state: State, drive: Drive, temperature: Floats) -> UnitField:
        """The field of one volt at a temperature, or the state's where nothing is driven."""
        if drive.off:
            return self._unsolved(state, state.unit_heat)
        return self._unit_field(state, temperature, drive.turn)

    def _unit_field(self, state: State, temperature: Floats, turn: int) -> UnitField:
        if self.electric is None:
            return self._unsolved(state, self._absorbed(temperature))
        return self.electric.unit_field(temperature, state.potential, turn)

    def _unsolved(self, state: State, heat: Floats) -> UnitField:
        conductance = float(state.conductance)
        return UnitField(state.potential, state.volts, heat, conductance, 0.0, 0, 0.0)

    def _absorbed(self, temperature: Floats) -> Floats:
        """The absorption pattern weighted by what heated tissue still absorbs, to the same sum."""
        weighted = self.absorption * microwave.heated_absorption(temperature)
        total, given = self.share.total([weighted.sum(), self.absorption.sum()])
        return np.asarray(weighted * given / (total if total > 0.0 else 1.0))

    def _pattern(self, state: State) -> Pattern | None:
        """The antennas' heat, on rank 0 where they have a field."""
        if self.whole is None or self.whole.microwave is None:
            return None
        return Pattern.unpack(state.pattern, len(self.whole.mesh.points))

    def _pattern_change(self, state: State) -> float:
        """Change of the dielectric since the antennas' field was solved, over the most allowed."""
        whole, change = self.share.collect(state.temperature[0]), 0.0
        pattern = self._pattern(state)
        if pattern is not None and self.whole is not None and self.whole.microwave is not None:
            change = pattern.change(self.whole.microwave, whole)
        return float(self.comm.bcast(change, root=0))

    def _renew_pattern(self, state: State) -> State:
        """Solve the antennas' field again where the dielectric has changed enough."""
        if self.problem.microwave is None:
            return state
        whole, pattern = self.share.collect(state.temperature[0]), self._pattern(state)
        if pattern is None or self.whole is None or self.whole.microwave is None:
            return state
        renewed = pattern.renewed(self.whole.microwave, whole)
        return state if renewed is pattern else replace(state, pattern=renewed.pack())

    # -- between steps -----------------------------------------------------------------------

    def accept(self, state: State, report: Report, drive: Drive) -> State:
        """After an accepted step: renew the antennas' field when the dielectric has changed."""
        if self.latest is None:  # by now every solver has read its options
            refuse_unread_options([f"{name}_" for name in self._solvers()])
        if not drive.off:
            state = self._renew_pattern(state)
        self.latest = state
        return state

    def _solvers(self) -> tuple[str, ...]:
        return ("heat",) if self.electric is None else ("heat", "potential")

    def switch(self, state: State, before: Drive, after: Drive) -> State:
        """The state from which to go on with another drive.

        What only changes its strength keeps its history; what starts, stops or moves to other
        electrodes has none.
        """
        restart = np.zeros(2)
        if after.off:
            return replace(state, past=restart)
        if before.off or before.turn != after.turn:
            solved = self._unit_field(state, state.temperature[0], after.turn)
            state = self._renew_pattern(self._with_field(state, solved))
            return replace(state, past=restart)
        # the rise so far belongs to the old level: go on without it
        return replace(state, past=restart)

    # -- results -----------------------------------------------------------------------------

    def conductance(self, state: State) -> float:
        """Conductance of the tissue between the generator's terminals [S]."""
        return float(state.conductance)

    def sensors(self, state: State) -> tuple[float, ...]:
        """Temperatures of the problem's sensors [°C]."""
        if self.sensor_weights is None:
            return ()
        seen = self.share.total(self.sensor_weights @ state.temperature[0])
        return tuple(float(value) for value in seen)

    def temperature(self, state: State) -> Floats:
        """Temperature in mesh order (n,) [°C] on rank 0, empty elsewhere, as all that follow."""
        return self.share.collect(state.temperature[0])

    def peak(self, state: State) -> Floats:
        """Highest temperature in mesh order (n,) [°C]."""
        return self.share.collect(state.peak)

    def damage(self, state: State) -> dict[str, Floats]:
        """What the death models say, by name, in mesh order (n,)."""
        models = self.problem.laws.death
        if models is None or state.damage is None:
            return {}
        fields = damage.fields_of(state.damage, models.sets)
        return {name: self.share.collect(values) for name, values in fields.items()}

    def potential(self, state: State) -> Floats | None:
        """Potential for one volt of the generator in mesh order (n,) [V]."""
        if self.electric is None:
            return None
        return self.share.collect(state.volts @ state.potential)

    def sigma(self, state: State) -> Floats | None:
        """Electrical conductivity per cell (m,) [S/m]."""
        if self.electric is None:
            return None
        return self.share.collect_cells(self.electric.sigma(state.temperature[0]))

    def statistics(self, state: State) -> dict[str, float]:
        """What else the engine counted: ranks, and the antennas' power balance."""
        pattern = self._pattern(state)
        counted = {"ranks": float(self.comm.size)}
        return counted if pattern is None else counted | pattern.statistics()

    def _exceeded_in(self, values: Floats, amount: float) -> float:
        """Value that is exceeded in a given volume [m3], by bisection."""
        low, high = -self.share.largest(-values.min()), self.share.largest(values.max())
        for _ in range(20):
            middle = 0.5 * (low + high)
            more = self.share.total(self.heat.volume[values > middle].sum()) > amount
            low, high = (middle, high) if more else (low, middle)
        return 0.5 * (low + high)

    def _lethal_volume(self, state: State) -> float:
        """Volume that is dead by the criterion of the run [m3]."""
        models, values, level = self.problem.laws.death, state.peak, LETHAL_C
        if models is not None and state.damage is not None:
            judge = models.criterion
            fields = damage.fields_of(state.damage, models.sets)
            values, level = judge.field({"peak_C": state.peak, **fields}), judge.level
        corners = self.share.with_ghosts(values)[self.share.cells]
        return float(
            self.share.total((self.cell_volume * tet_fraction_above(corners, level)).sum())
        )


def without_arrays(problem: BioheatProblem) -> BioheatProblem:
    """A problem without its arrays over points, cells and faces: what every rank must know.

    Arrays that are there are replaced by empty ones, so that None still means that there is none.
    """
    none = np.zeros(0)
    mesh = replace_mesh(problem.mesh)
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


def replace_mesh(mesh: TetMesh) -> TetMesh:
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
