"""The JAX engine: enthalpy by stabilised explicit steps, potential by conjugate gradients.

One call of `advance` is one step: an RKC2 step with the source extrapolated to its middle, then the
potential for the new temperatures, warm-started. The source that comes out tells how wrong the
extrapolation was; that enters the error estimate of the step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ablasim.physics.damage import Damage, fields_of, kinetics_of, unharmed
from ablasim.physics.generator import Drive
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.electric import Electric, sigma_of
from ablasim.solve.field_heat import Pattern
from ablasim.solve.heat import Heat, enthalpy_of, fastest_rate, temperature_of
from ablasim.solve.jax_device import pick_device, use_compilation_cache
from ablasim.solve.jax_drying import DRIED_GAIN
from ablasim.solve.jax_state import Death, Report, State, potential_ahead, with_field
from ablasim.solve.jax_step import absorbed, close_step, move_heat
from ablasim.solve.kernels import put
from ablasim.solve.layout import Graph, build_graph
from ablasim.solve.multigrid import Hierarchy, build_hierarchy
from ablasim.solve.potential import UnitField, Wiring, solve_potential
from ablasim.solve.rkc import coefficients, longest_step, stages_for
from ablasim.solve.setup import electric_arrays, heat_arrays
from ablasim.solve.step_control import MOST_CHANGE

Floats = NDArray[np.float64]

POTENTIAL_TOLERANCE = {"float64": 1e-6, "float32": 1e-5}
"""Relative residual of the potential; the zone's volume is then within 0.02 % of the exact one.

Every solve starts from the potential of the step before, and what a loose one leaves adds up over
many short steps: with 1e-4 in single precision a needle's tissue was 0.1, 0.17 and 0.2 K too warm
with steps of 2, 1 and 0.5 s, and its zone 1 % too large; with 1e-5 it is 0.002 to 0.004 K. In
rf_beside_portal_vein (standard) the zone's error falls from 0.29 to 0.03 % for 12 % of the time."""

FINE_POTENTIAL_TOLERANCE = 1e-8
"""The same in double precision where the steps are fine. Just before g7_rempp_monopolar rolls off,
with much dried tissue, 1e-6 leaves 7e-5 of the temperature (relative L2)."""

MOST_ITERATIONS = 500
"""Conjugate gradient iterations before the potential counts as failed."""

WATCHED_STEP = 0.5
"""Longest step [s] while tissue dries under a generator that the impedance can trip. In long steps
the heat of a dried point follows its conductivity with a delay of some of them, which is too much
heat: at 1.3 A a first roll-off, 160.4 s with the finest steps, came 19 s early with steps up to
10 s, 2 s early with 1 s and 0.7 s early with 0.5 s. Below that the tolerance of the steps
decides."""

NO_PATTERN: Any = np.zeros(0)
"""In place of the antennas' pattern in a state without it; compiled functions never see one."""

REBUILD_GROWTH = 2.5
"""Growth of the iterations after which the multigrid set-up is repeated."""


class JaxEngine:
    """Holds one problem's arrays on a device and advances them step by step."""

    watched_step = WATCHED_STEP

    def __init__(
        self,
        problem: BioheatProblem,
        *,
        device: str = "auto",
        dtype: str = "float64",
        graph: Graph | None = None,
        fine_steps: bool = False,
    ):
        """Put the problem on the device.

        Args:
            problem: laws bound to a mesh.
            device: "cpu", "gpu", or "auto" for a GPU where there is one.
            dtype: "float64" or "float32".
            graph: of the mesh, where it is known already.
            fine_steps: see `StepControl.fine_steps`.

        Raises:
            ResourceError: no such device.
        """
        jax.config.update("jax_enable_x64", True)
        use_compilation_cache()
        self.problem = problem
        self.dtype = dtype
        self.device = pick_device(device)
        self.device_name = str(self.device.device_kind)
        self._fine_steps = fine_steps
        self.graph = graph or build_graph(problem.mesh.points, problem.mesh.cells)
        with jax.default_device(self.device):
            self._set_up()
            self._most_gain = self._put(1.0 if fine_steps else DRIED_GAIN)
            models = problem.laws.death
            self.death: Death | None = None
            if models is not None:
                self.death = Death(self._put(kinetics_of(models.sets)), models)
            self.wirings = self._wirings()
            self.sensor_weights = self._sensor_weights()
        self.tolerance = POTENTIAL_TOLERANCE[dtype]
        if fine_steps and dtype == "float64":
            self.tolerance = min(self.tolerance, FINE_POTENTIAL_TOLERANCE)
        self.hierarchy: Hierarchy | None = None
        self._fastest, self._move, self._close = self._compiled()
        self.stages = 0
        self._rated: tuple[Array, float] | None = None
        self._iterations_fresh = 0

    def _compiled(self) -> tuple[Any, Any, Any]:
        """`fastest_rate`, `move_heat` and `close_step`."""
        return fastest_rate, move_heat, close_step

    def _set_up(self) -> None:
        """The arrays of the heat problem and of the potential."""
        problem = self.problem
        self.heat: Heat = heat_arrays(problem, self.graph, self.dtype)
        self.electric: Electric | None = electric_arrays(problem, self.graph, self.dtype)
        self.cells: Array | None = put(self.graph.cells)
        self.cell_volume: Array | None = self._put(self.graph.volumes)
        self.constant = self._point_values(problem.source)
        self.absorption = self._point_values(problem.absorption)

    # -- the state ---------------------------------------------------------------------------

    def start(self) -> State:
        """State at time zero, with the potential solved."""
        problem, graph = self.problem, self.graph
        with jax.default_device(self.device):
            initial = np.broadcast_to(problem.initial_temperature, (len(graph.to_mesh),))
            temperature = np.asarray(initial, dtype=float)
            if problem.fixed_temperature is not None:
                held = np.isfinite(problem.fixed_temperature)
                temperature = np.where(held, problem.fixed_temperature, temperature)
            start = self._spread(temperature[graph.to_mesh])
            zero = self._spread(np.zeros(len(graph.to_mesh)))
            state = State(
                enthalpy=enthalpy_of(self.heat, start),
                peak=start,
                potential=zero[None],
                past_potential=zero[None],
                volts=self._spread(np.ones(1)),
                unit_heat=absorbed(self.absorption, start),
                conductance=self._spread(np.array(1.0)),
                past_heat=zero,
                delayed=zero,
                past_step=self._spread(np.array(0.0)),
                pattern=NO_PATTERN,
                hot_seconds=self._spread(np.zeros(self._branches)),
                damage=None if self.death is None else self._unharmed(),
                past_temperature=start if self._perfusion_changes else None,
            )
            if problem.microwave is not None:
                pattern = Pattern.at_start(problem.microwave, temperature)
                return replace(state, pattern=pattern.pack())
            if self.electric is None:
                return state
            state = self._renew_potential(replace(state, potential=self.electric.active), 0)
            return replace(state, past_potential=state.potential)

    def _renew_potential(self, state: State, turn: int) -> State:
        """Set up the multigrid for the present sigma and solve the potential."""
        assert self.electric is not None
        temperature = temperature_of(self.heat, state.enthalpy)
        sigma = sigma_of(self.electric, temperature)
        self.hierarchy = self._build_hierarchy(np.asarray(sigma, dtype=float))
        solved = self._unit_field(state, temperature, turn)
        self._iterations_fresh = max(int(solved.iterations), 3)
        return with_field(state, solved)

    def _build_hierarchy(self, sigma: Floats) -> Hierarchy:
        """Multigrid for given conductivities per cell (m,)."""
        assert self.problem.electrodes is not None
        matrix = self.graph.matrix(self.graph.edge_weights(sigma))
        far = self.problem.electrodes.far_field[self.graph.to_mesh]
        matrix.setdiag(matrix.diagonal() + far)
        free = np.asarray(self.electric.free, dtype=bool)  # type: ignore[union-attr]
        return build_hierarchy(matrix, free, self.dtype)

    @property
    def _branches(self) -> int:
        """Number of branches in all streams."""
        return sum(len(w.stream.tree.capacity) for w in self.problem.walls if w.stream is not None)

    @property
    def _perfusion_changes(self) -> bool:
        """Whether a temperature or a dose takes perfusion away."""
        by_dose = self.death is not None and self.death.models.stasis != "none"
        return by_dose or self.heat.supply is not None

    # -- one step ----------------------------------------------------------------------------

    def longest_step(self, state: State) -> float:
        """Longest step [s] that the stage table can keep stable."""
        with jax.default_device(self.device):
            return longest_step(self._fastest_rate(state))

    def _fastest_rate(self, state: State) -> float:
        """Of the heat at a state [1/s]; asked for the same one in every try of a step."""
        if self._rated is None or self._rated[0] is not state.enthalpy:
            self._rated = state.enthalpy, float(self._fastest(self.heat, state.enthalpy))
        return self._rated[1]

    def advance(self, state: State, step: float, drive: Drive) -> tuple[State, Report]:
        """Try one step; nothing is changed, so the caller may drop it and try a shorter one.

        Args:
            state: at the start of the step.
            step: its length [s].
            drive: of the generator, constant in form over the step.
        """
        with jax.default_device(self.device):
            stages = stages_for(step, self._fastest_rate(state))
            self.stages += stages + 1
            constant, pattern, watts = self.constant, self._pattern(state), drive.scale(1.0)
            if pattern is not None:
                used = pattern.ahead(0.5 * step)
                constant = self._point_values(watts * used.heat) + constant
                state = replace(state, pattern=NO_PATTERN)
            control = self._control(step, drive)
            moved = self._move(
                self.heat,
                constant,
                state,
                control,
                put(stages, "int32"),
                self._put(coefficients(stages, self.dtype)),
                self._most_gain,
                self.death,
            )
            if drive.off:  # nothing is driven: the field is not wanted until the drive returns
                field = self._field(state, state.unit_heat)
            else:
                ahead = step if self._fine_steps else 0.0
                field = self._unit_field(state, moved.temperature, drive.turn, ahead)
            mesh = (self.cells, self.cell_volume, constant)
            after, misplaced = pattern, None
            if pattern is not None and not drive.off:
                after = self._following(pattern, moved.temperature, step)
                if after is not pattern:
                    lack = 0.5 * (pattern.heat + after.heat) - used.heat
                    misplaced = self._point_values(watts * lack)
            new, report = self._close(
                self.heat,
                mesh,
                state,
                moved,
                field,
                control,
                self._most_gain,
                self.death,
                misplaced,
            )
            if pattern is not None and after is not None and self.problem.microwave is not None:
                new = replace(new, pattern=after.stepped(step, watts, used.powers).pack())
                if not drive.off:
                    change = pattern.change(self.problem.microwave, self.temperature(new))
                    report = replace(report, change=put(MOST_CHANGE * change))
            return new, report

    def _control(self, step: float, drive: Drive) -> Array:
        """What a compiled step needs to know of the step and the drive (5,)."""
        return self._put([step, *drive.limits()])

    def _pattern(self, state: State) -> Pattern | None:
        """The antennas' heat as the state holds it; None without their field."""
        if self.problem.microwave is None:
            return None
        return Pattern.unpack(state.pattern, len(self.graph.to_mesh))

    def _following(self, pattern: Pattern, after: Array, step: float) -> Pattern:
        """The pattern of the temperature at the end of a step [s], where every step has its own."""
        field, temperature = self.problem.microwave, self._to_mesh(after)
        if field is None or not field.every_step or not np.isfinite(temperature).all():
            return pattern
        return pattern.renewed(field, temperature, step)

    def _unit_field(
        self, state: State, temperature: Array, turn: int, step: float = 0.0
    ) -> UnitField:
        """The field of one volt at a temperature, a step after a state; of one watt of the
        generator for an antenna."""
        if self.electric is None or self.hierarchy is None:
            return self._field(state, absorbed(self.absorption, temperature))
        return solve_potential(
            self.electric,
            self.hierarchy,
            potential_ahead(state, self._put(step)),
            sigma_of(self.electric, temperature),
            self.wirings[turn],
            self.tolerance,
            MOST_ITERATIONS,
        )

    def _field(self, state: State, heat: Array) -> UnitField:
        """A state's field with another heat, for which nothing was solved."""
        none = put(0, "int32")
        return UnitField(
            state.potential, state.volts, heat, state.conductance, none, self._put(0.0)
        )

    def accept(self, state: State, report: Report, drive: Drive) -> State:
        """After an accepted step: renew the multigrid when its iterations have grown, and the
        antennas' field when the dielectric has changed, where not every step has its own."""
        if drive.off:  # what is not driven is set up again when the drive returns
            return state
        field = self.problem.microwave
        if field is not None and not field.every_step:
            state = self._renew_pattern(state)
        if self.electric is not None:
            grown = int(report.iterations) > REBUILD_GROWTH * self._iterations_fresh + 3
            if grown or float(report.residual) > self.tolerance:
                with jax.default_device(self.device):
                    return self._renew_potential(state, drive.turn)
        return state

    def _renew_pattern(self, state: State) -> State:
        """Solve the antennas' field again where the dielectric has changed enough."""
        pattern, field = self._pattern(state), self.problem.microwave
        if pattern is None or field is None:
            return state
        renewed = pattern.renewed(field, self.temperature(state), 0.0)
        return state if renewed is pattern else replace(state, pattern=renewed.pack())

    def switch(self, state: State, before: Drive, after: Drive) -> State:
        """The state from which to go on with another drive.

        What only changes its strength keeps its history, from which the next step extrapolates;
        what starts, stops or moves to other electrodes has none.
        """
        with jax.default_device(self.device):
            if after.off:
                return replace(state, past_step=jnp.zeros_like(state.past_step))
            if before.off or before.turn != after.turn:
                temperature = temperature_of(self.heat, state.enthalpy)
                state = with_field(state, self._unit_field(state, temperature, after.turn))
                state = self._renew_pattern(state)
                return replace(state, past_step=jnp.zeros_like(state.past_step))
            ratio = self._put(self._rise(state, before, after))
            return replace(state, past_heat=ratio * state.past_heat, delayed=ratio * state.delayed)

    def _rise(self, state: State, before: Drive, after: Drive) -> float | Floats:
        """By what another drive heats more."""
        conductance = self.conductance(state)
        return after.scale(conductance) / before.scale(conductance)

    # -- results -----------------------------------------------------------------------------

    def conductance(self, state: State) -> float:
        """Conductance of the tissue between the generator's terminals [S]."""
        return float(state.conductance)

    def sensors(self, state: State) -> tuple[float, ...]:
        """Temperatures of the problem's sensors [°C]."""
        if self.sensor_weights is None:
            return ()
        with jax.default_device(self.device):
            seen = self.sensor_weights @ temperature_of(self.heat, state.enthalpy)
        return tuple(float(value) for value in np.asarray(seen))

    def temperature(self, state: State) -> Floats:
        """Temperature in mesh order (n,) [°C]."""
        return self._to_mesh(temperature_of(self.heat, state.enthalpy))

    def peak(self, state: State) -> Floats:
        """Highest temperature in mesh order (n,) [°C]."""
        return self._to_mesh(state.peak)

    def damage(self, state: State) -> dict[str, Floats]:
        """What the death models say, by name, in mesh order (n,)."""
        if self.death is None or state.damage is None:
            return {}
        suffered = jax.tree.map(lambda values: np.asarray(values, dtype=float), state.damage)
        fields = fields_of(suffered, self.death.models.sets)
        return {name: self._to_mesh(values) for name, values in fields.items()}

    def potential(self, state: State) -> Floats | None:
        """Potential for one volt of the generator in mesh order (n,) [V]."""
        return None if self.electric is None else self._to_mesh(state.volts @ state.potential)

    def sigma(self, state: State) -> Floats | None:
        """Electrical conductivity per cell (m,) [S/m]."""
        if self.electric is None:
            return None
        return np.asarray(
            sigma_of(self.electric, temperature_of(self.heat, state.enthalpy)), dtype=float
        )

    def _unharmed(self) -> Damage:
        """No damage yet, in solver order."""
        assert self.death is not None
        count = len(self.death.kinetics)
        start = unharmed(np.zeros(len(self.graph.to_mesh), self.dtype), count)
        return jax.tree.map(self._spread, start)

    def statistics(self, state: State) -> dict[str, float]:
        """What else the engine counted: the antennas' power balance."""
        pattern = self._pattern(state)
        return {} if pattern is None else pattern.statistics()

    def _to_mesh(self, values: Array | Floats) -> Floats:
        return np.asarray(values, dtype=float)[self.graph.from_mesh]

    def _wirings(self) -> tuple[Wiring, ...]:
        """The circuits of all turns."""
        if self.problem.electrodes is None:
            return ()
        return tuple(
            (self._put(join), self._put(current))
            for join, current in (c.arrays() for c in self.problem.electrodes.circuits)
        )

    def _sensor_weights(self) -> Array | None:
        """Weights of the sensors in solver order (s, n)."""
        weights = self.problem.sensors
        return None if weights is None else self._put(weights[:, self.graph.to_mesh])

    def _put(self, values: object) -> Array:
        return put(values, self.dtype)

    def _spread(self, values: Floats) -> Array:
        """What every problem starts from, on the device."""
        return self._put(values)

    def _point_values(self, values: Floats | None) -> Array:
        """Values in mesh order put on the device in solver order; zeros for None."""
        if values is None:
            return self._put(np.zeros(len(self.graph.to_mesh)))
        return self._put(values[self.graph.to_mesh])
