"""The DOLFINx engine: enthalpy by implicit steps, on one core or on many over MPI.

A reference that shares the laws with the JAX engine and nothing else of the discretisation in time
or of the linear algebra: BDF2 or backward Euler, Newton's method, PETSc's solvers. The forms are
written in UFL. With linear functions lumping, Joule heat and sigma per tetrahedron follow the same
definitions, so that on one mesh both engines converge to the same numbers as their time steps
shrink. The heat of the electrodes at the end of a step is extrapolated from the ends of the last
two, that of dried points with a delay, and the potential solved at the new temperature; how wrong
that was enters the error of the step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ablasim.physics import damage
from ablasim.physics.generator import Drive, voltage_squared
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.bdf import MOST_GROWTH, error_share, increment, predict
from ablasim.solve.dolfinx_dose import Dose
from ablasim.solve.dolfinx_heat import HeatProblem, Moved
from ablasim.solve.dolfinx_matrices import Matrices
from ablasim.solve.dolfinx_options import Options, faults_of_options, refuse_unread_options
from ablasim.solve.dolfinx_potential import PotentialProblem, UnitField
from ablasim.solve.dolfinx_quadratic import QuadraticHeat, QuadraticPotential
from ablasim.solve.dolfinx_share import Floats, Share, share_out, without_arrays
from ablasim.solve.dolfinx_sources import Sources
from ablasim.solve.dolfinx_start import start
from ablasim.solve.dolfinx_state import Report, State
from ablasim.solve.dolfinx_volumes import exceeded_in, volume_above
from ablasim.solve.step_control import HOT_VOLUME, LEAST_HEATED, LETHAL_C, MOST_CHANGE, MOST_SHIFT

WATCHED_STEP = 0.2
"""Longest step [s] while tissue dries under a generator that the impedance can trip. The heat of a
step is that of its end, so that what is delayed lags by half a step more than in the engine jax: a
first roll-off at 160.4 s with the finest steps came 3.5 s early with 0.5 s, 1.1 s with 0.2 s and
0.8 s with 0.1 s."""

FAILED = 1e6
"""Error [K] of a step whose equations were not solved; it is repeated with a much shorter one."""


class DolfinxEngine:
    """Holds this rank's part of a problem and advances it step by step."""

    watched_step = WATCHED_STEP

    def __init__(
        self,
        problem: BioheatProblem | None,
        options: Options | None = None,
        *,
        look: Callable[[], None] | None = None,
        fine_steps: bool = False,
    ):
        """Deal out the problem, which rank 0 holds.

        Args:
            problem: on rank 0; None on the other ranks.
            options: of the engine.
            look: called by all ranks before each step; raises KeyboardInterrupt on all or none.
            fine_steps: see `StepControl.fine_steps`.

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
        self.share: Share = share_out(self.whole, self.comm, self.options.degree)
        region = None if self.whole is None else self.whole.mesh.cell_region.astype(np.int64)
        self._look()
        self.matrices = Matrices(self.share, self.share.own_cells(region))
        self._look()
        heat, potential = HeatProblem, PotentialProblem
        if self.options.degree == 2:
            heat, potential = QuadraticHeat, QuadraticPotential
        with faults_of_options():
            self.heat = heat(self.share, self.matrices, self.whole, self.problem)
            self._look()
            self.electric: PotentialProblem | None = None
            if self.problem.electrodes is not None:
                self.electric = potential(
                    self.share,
                    self.matrices,
                    self.whole,
                    self.problem,
                    self.options.potential_tolerance,
                )
        self.device_name = f"{self.comm.size} rank{'s' if self.comm.size > 1 else ''}"
        self._look()
        self.sources = Sources(
            self.share,
            self.matrices,
            self.whole,
            self.problem,
            self.electric,
            fine_steps=fine_steps,
        )
        self.constant = self.matrices.load(self._own("source"))
        self.sensor_weights = None
        if self.problem.sensors is not None:
            self.sensor_weights = self.share.own(None if not self.whole else self.whole.sensors)
        self.cell_volume = self.share.own_cells(
            None if self.whole is None else self.whole.mesh.cell_volumes()
        )
        perfusion = self.problem.materials.perfusion[self.matrices.region]
        self.dose = Dose(self.share, self.problem.laws, perfusion * self.cell_volume)
        self.stages = 0

    def _look(self) -> None:
        """Stop here if somebody pressed Ctrl-C; all ranks come by."""
        if self.look is not None:
            self.look()

    def _own(self, name: str) -> Floats:
        """This rank's part of an array over the points (v,), zero where there is none."""
        if getattr(self.problem, name) is None:
            return np.zeros(len(self.share.points))
        return self.share.own(None if self.whole is None else getattr(self.whole, name))

    # -- the state ---------------------------------------------------------------------------

    def start(self) -> State:
        """State at time zero, with the potential solved."""
        heat, owned = self.heat, self.share.owned
        initial = self.problem.initial_temperature
        if isinstance(initial, np.ndarray):
            initial = self.share.at_nodes(self._own("initial_temperature"))
        temperature = heat.held_values(np.broadcast_to(initial, (owned,)).astype(float))
        zero = np.zeros(owned)
        state = State(
            stored=heat.stored(temperature),
            temperature=np.array([temperature] * 3),
            past=np.zeros(2),
            risen=zero,
            account=np.zeros(3 + len(self.problem.walls)),
            peak=temperature,
            potential=zero[None],
            past_potential=zero[None],
            volts=np.ones(1),
            unit_heat=self.sources.absorbed(temperature),
            conductance=np.array(1.0),
            past_heat=zero,
            delayed=np.full(owned, np.nan),
            pattern=np.zeros(0),
            hot_seconds=np.zeros(heat.blood.count),
            damage=self.dose.none(),
        )
        if self.problem.microwave is not None:
            return replace(state, pattern=self.sources.first_pattern(temperature))
        if self.electric is None:
            return state
        state = replace(state, potential=self.electric.active.copy())
        state = self._with_field(state, self.sources.unit_field(state, temperature, 0))
        return replace(state, past_potential=state.potential)

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
        self._look()
        heat, past = self.heat, state.past
        constant, watts = self.constant, drive.scale(1.0)
        pattern = self.sources.pattern(state)
        if self.problem.microwave is not None:
            used = None if pattern is None else pattern.ahead(step)
            found = None if used is None else watts * used.heat
            constant = constant + self.matrices.load(self.share.own(found))
        driven, unscaled = self.sources.driven(state, step, drive)
        now = state.temperature[0]
        flowing = heat.blood.flowing(state.hot_seconds)
        slope = np.zeros(self.share.owned)
        if past[0] <= 0.0:
            left = self.dose.perfusion_left(state, now, 0.0)
            slope = heat.slope_of(now, left, driven + constant, flowing)
        before, earlier = state.temperature[1:]
        guess = predict(step, past, now, before, earlier, slope)
        keep, gain = increment(self.options.scheme, step, past)
        # What is left of perfusion acts over the whole step: BDF2 wants it at the end of the step,
        # for second order; Euler, of first order either way, errs less with that of the middle.
        late = guess if keep > 0.0 else 0.5 * (now + guess)
        left = self.dose.perfusion_left(state, late, step if keep > 0.0 else 0.5 * step)
        # of what a wild extrapolation says, a Newton iteration should see little
        near = np.clip(guess, now - 20.0, now + 20.0)
        moved = heat.implicit(
            heat.temperature(heat.led(now, near - now)),
            state.stored + keep * state.risen,
            gain * step,
            left,
            driven + constant,
            flowing,
            self.options.heat_tolerance,
        )
        self.stages += moved.iterations
        if not moved.converged:
            finite = bool(np.isfinite(self.share.total(moved.temperature.sum())))
            return state, Report(error=FAILED if finite else np.inf, change=0.0)
        field = self.sources.field(state, drive, moved.temperature, step)
        after, lack = pattern, np.zeros(self.share.owned)
        if self.sources.every_step and not drive.off:
            after = self.sources.following(pattern, moved.temperature, step)
            gap = None if after is None or used is None else watts * (after.heat - used.heat)
            lack = self.matrices.load(self.share.own(gap))
        delivered = self.share.total((driven + constant).sum())
        flows = np.array([delivered, moved.perfusion, moved.boundary, *moved.walls])
        account = keep * state.account + gain * step * flows
        wanted, delayed = driven, unscaled
        if not drive.off:
            present = voltage_squared(drive.limits(), field.conductance) * field.heat
            dried = moved.temperature > self.problem.laws.vaporisation_band[1]
            wanted, followed = self.sources.wanted(state, step, drive, present, dried)
            # in coarse steps what drove goes on, which cannot swing
            delayed = followed if self.sources.fine else unscaled
        new = replace(
            self._with_field(state, field),
            stored=moved.stored,
            temperature=np.array([moved.temperature, *state.temperature[:2]]),
            past=np.array([step, past[0]]),
            risen=moved.stored - state.stored,
            account=account,
            peak=np.maximum(state.peak, moved.temperature),
            past_potential=state.potential,
            past_heat=self.sources.present(state, drive),
            delayed=delayed,
            hot_seconds=heat.blood.clock(
                state.hot_seconds, moved.temperature[self.share.points], step
            ),
            damage=self.dose.suffered(state.damage, now, moved.temperature, step),
        )
        if pattern is not None and after is not None and used is not None:
            powers = 0.5 * (pattern.powers + used.powers)
            new = replace(new, pattern=after.stepped(step, watts, powers).pack())
        lack = lack + wanted - driven
        report = self._report(state, new, moved, field, guess, lack, step, drive, flowing)
        return new, report

    def _report(
        self,
        state: State,
        new: State,
        moved: Moved,
        field: UnitField,
        guess: Floats,
        lack: Floats,
        step: float,
        drive: Drive,
        flowing: Floats,
    ) -> Report:
        """Error of the step, and what the history shows.

        `lack` is what the extrapolated heat lacked at the end of the step (p,) [W].
        """
        heat, share = self.heat, self.share
        temperature = moved.temperature
        _, gain = increment(self.options.scheme, step, state.past)
        distance = error_share(self.options.scheme, step, state.past) * (temperature - guess)
        span = gain * step
        stored = heat.weight * heat.capacity(temperature) / span
        dried = temperature > self.problem.laws.vaporisation_band[1]
        # A dried point follows its neighbours within milliseconds: damped by its own rate, but not
        # in fine steps, which resolve when it dries.
        damped = dried & (not self.sources.fine)
        rates = stored + np.where(damped, heat.rates(temperature), 0.0)
        shift = heat.free * (distance * stored / rates + lack / rates)
        shift = np.minimum(np.abs(shift), MOST_SHIFT)
        warm = temperature - heat.blood_temperature > 1.0
        wrong, heated, dry, rise = share.total(
            [
                (heat.weight * shift**2).sum(),
                heat.weight[warm].sum(),
                heat.weight[dried].sum(),
                (new.stored - state.stored).sum(),
            ]
        )
        change = abs(field.conductance / float(state.conductance) - 1.0)
        if self.problem.microwave is not None and not drive.off:
            change = MOST_CHANGE * self.sources.pattern_change(state, temperature)
        return Report(
            error=float(np.sqrt(wrong / max(heated, LEAST_HEATED))),
            change=change,
            delivered=float(new.account[0]),
            stored=rise,
            perfusion=float(new.account[1]),
            boundary=float(new.account[2]),
            walls=new.account[3:],
            blood=heat.blood.ends(temperature[share.points], flowing),
            flowing=heat.blood.flowing(new.hot_seconds),
            conductance=field.conductance,
            hot=exceeded_in(share, heat.weight, temperature, HOT_VOLUME),
            dried=float(dry),
            lethal=self._lethal_volume(new),
            iterations=field.iterations,
            residual=field.residual,
        )

    # -- between steps -----------------------------------------------------------------------

    def accept(self, state: State, report: Report, drive: Drive) -> State:
        """After an accepted step: renew the antennas' field when the dielectric has changed."""
        if self.latest is None:  # by now every solver has read its options
            refuse_unread_options([f"{name}_" for name in self._solvers()])
        if not drive.off and not self.sources.every_step:
            state = self.sources.renew_pattern(state)
        self.latest = state
        return state

    def _solvers(self) -> tuple[str, ...]:
        return ("heat",) if self.electric is None else ("heat", "potential")

    def switch(self, state: State, before: Drive, after: Drive) -> State:
        """The state from which to go on with another drive.

        What only changes its strength keeps its history; what starts, stops or moves to other
        electrodes has none.
        """
        restart, nothing = np.zeros(2), np.full(self.share.owned, np.nan)
        if after.off:
            return replace(state, past=restart, delayed=nothing)
        if before.off or before.turn != after.turn:
            solved = self.sources.unit_field(state, state.temperature[0], after.turn)
            state = self.sources.renew_pattern(self._with_field(state, solved))
            return replace(state, past=restart, delayed=nothing)
        # the rise so far belongs to the old level: go on without it
        conductance = float(state.conductance)
        ratio = after.scale(conductance) / before.scale(conductance)
        return replace(state, past=restart, delayed=ratio * state.delayed)

    # -- results -----------------------------------------------------------------------------

    def conductance(self, state: State) -> float:
        """Conductance of the tissue between the generator's terminals [S]."""
        return float(state.conductance)

    def sensors(self, state: State) -> tuple[float, ...]:
        """Temperatures of the problem's sensors [°C]."""
        if self.sensor_weights is None:
            return ()
        seen = self.share.total(self.sensor_weights @ state.temperature[0][self.share.points])
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
        pattern = self.sources.pattern(state)
        counted = {"ranks": float(self.comm.size)}
        return counted if pattern is None else counted | pattern.statistics()

    def _lethal_volume(self, state: State) -> float:
        """Volume that is dead by the criterion of the run [m3]."""
        models, values, level = self.problem.laws.death, state.peak, LETHAL_C
        if models is not None and state.damage is not None:
            judge = models.criterion
            fields = damage.fields_of(state.damage, models.sets)
            values, level = judge.field({"peak_C": state.peak, **fields}), judge.level
        return volume_above(self.share, self.cell_volume, values, level)
