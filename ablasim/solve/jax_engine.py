"""The JAX engine: enthalpy by stabilised explicit steps, potential by conjugate gradients.

One call of `advance` is one step: an RKC2 step with the source extrapolated to its middle, then the
potential for the new temperatures, warm-started. The source that comes out tells how wrong the
extrapolation was; that enters the error estimate of the step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ablasim.cache import cache_directory
from ablasim.errors import ResourceError
from ablasim.mesh_cut import tet_fraction_above
from ablasim.physics import microwave
from ablasim.physics.generator import Drive
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.kernels import Electric, Heat, fastest_rate, put, register
from ablasim.solve.layout import build_graph
from ablasim.solve.multigrid import Hierarchy, build_hierarchy
from ablasim.solve.potential import UnitField, solve_potential
from ablasim.solve.rkc import coefficients, longest_step, rkc_step, stages_for
from ablasim.solve.setup import electric_arrays, heat_arrays

Floats = NDArray[np.float64]

LETHAL_C = 60.0
"""Level of the lethal volume that progress and history show [°C]."""

DRIED_GAIN = 0.3
"""Share of the way that a dried point's heat goes in one step from the old value to the new one."""

MOST_SHIFT = 1.0
"""Most that a point's local error counts with [K]. A few points at the electrode's corners leave
the vaporisation band abruptly, with errors of tens of kelvin that depend on the mesh: they must
not drive the step, while a whole dried region still does by its volume."""

LEAST_HEATED = 1.0e-7
"""Floor of the heated volume [m3] over which the error of a step is averaged (0.1 ml)."""

HOT_VOLUME = 1.0e-8
"""The `peak_C` of progress and history is exceeded in this volume [m3] (10 mm3): the corner at the
end of an electrode is a singularity, and the plain maximum would measure the mesh."""

POTENTIAL_TOLERANCE = {"float64": 1e-6, "float32": 1e-4}
"""Relative residual of the potential; the zone's volume is then within 0.02 % of the exact one."""

MOST_ITERATIONS = 500
"""Conjugate gradient iterations before the potential counts as failed."""

REBUILD_GROWTH = 2.5
"""Growth of the iterations after which the multigrid set-up is repeated."""


@register
@dataclass(frozen=True)
class State:
    """What a step starts from; all of it goes into a checkpoint.

    Attributes:
        enthalpy: (n,) [J/m3].
        peak: highest temperature so far (n,) [°C].
        potential: for one volt (n,).
        unit_heat: Joule heat per point for one volt (n,) [W], or per absorbed watt.
        conductance: [S].
        past_heat: driven heat at the start of the step before, or used in it where dried (n,) [W].
        past_step: its length [s]; 0 where there is none to extrapolate from.
    """

    enthalpy: Array
    peak: Array
    potential: Array
    unit_heat: Array
    conductance: Array
    past_heat: Array
    past_step: Array


@register
@dataclass(frozen=True)
class Report:
    """What the host needs to know of a step.

    Attributes:
        error: norm of the local error in temperature [K].
        change: relative change of the conductance over the step.
        delivered: heat put into the tissue [J].
        stored: rise of the enthalpy [J].
        perfusion: heat carried away by perfusion [J].
        boundary: heat that left through the held points [J].
        walls: heat into each wall's liquid (w,) [J].
        conductance: at the end [S].
        unit_power: heat put into the block at one volt at the end [W].
        hot: temperature exceeded in HOT_VOLUME [°C].
        lethal: volume that has reached LETHAL_C [m3].
        iterations: of the potential.
        residual: of the potential, relative.
    """

    error: Array
    change: Array
    delivered: Array
    stored: Array
    perfusion: Array
    boundary: Array
    walls: Array
    conductance: Array
    unit_power: Array
    hot: Array
    lethal: Array
    iterations: Array
    residual: Array


class JaxEngine:
    """Holds one problem's arrays on a device and advances them step by step."""

    def __init__(self, problem: BioheatProblem, *, device: str = "auto", dtype: str = "float64"):
        jax.config.update("jax_enable_x64", True)
        _use_compilation_cache()
        self.problem = problem
        self.dtype = dtype
        self.device = _pick_device(device)
        self.device_name = str(self.device.device_kind)
        self.graph = build_graph(problem.mesh.points, problem.mesh.cells)
        with jax.default_device(self.device):
            self.heat: Heat = heat_arrays(problem, self.graph, dtype)
            self.electric: Electric | None = electric_arrays(problem, self.graph, dtype)
            self.cells = put(self.graph.cells)
            self.cell_volume = self._put(self.graph.volumes)
            self.constant = self._point_values(problem.source)
            self.absorption = self._point_values(problem.absorption)
        self.tolerance = POTENTIAL_TOLERANCE[dtype]
        self.hierarchy: Hierarchy | None = None
        self.stages = 0
        self._iterations_fresh = 0

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
            start = self._put(temperature[graph.to_mesh])
            zero = self._point_values(None)
            state = State(
                enthalpy=_enthalpy(self.heat, start),
                peak=start,
                potential=zero,
                unit_heat=_absorbed(self.absorption, start),
                conductance=self._put(1.0),
                past_heat=zero,
                past_step=self._put(0.0),
            )
            if self.electric is None:
                return state
            state = replace(state, potential=self.electric.active)
            return self._renew_potential(state)

    def _renew_potential(self, state: State) -> State:
        """Set up the multigrid for the present sigma and solve the potential."""
        assert self.electric is not None
        sigma = _sigma(self.electric, _temperature(self.heat, state.enthalpy))
        self.hierarchy = self._build_hierarchy(np.asarray(sigma, dtype=float))
        solved = solve_potential(
            self.electric, self.hierarchy, state.potential, sigma, self.tolerance, MOST_ITERATIONS
        )
        self._iterations_fresh = max(int(solved.iterations), 3)
        return replace(
            state,
            potential=solved.potential,
            unit_heat=solved.heat,
            conductance=solved.conductance,
        )

    def _build_hierarchy(self, sigma: Floats) -> Hierarchy:
        """Multigrid for given conductivities per cell (m,)."""
        assert self.problem.electrodes is not None
        matrix = self.graph.matrix(self.graph.edge_weights(sigma))
        far = self.problem.electrodes.far_field[self.graph.to_mesh]
        matrix.setdiag(matrix.diagonal() + far)
        free = np.asarray(self.electric.free, dtype=bool)  # type: ignore[union-attr]
        return build_hierarchy(matrix, free, self.dtype)

    # -- one step ----------------------------------------------------------------------------

    def longest_step(self, state: State) -> float:
        """Longest step [s] that the stage table can keep stable."""
        with jax.default_device(self.device):
            return longest_step(float(fastest_rate(self.heat, state.enthalpy)))

    def advance(self, state: State, step: float, drive: Drive) -> tuple[State, Report]:
        """Try one step; nothing is changed, so the caller may drop it and try a shorter one.

        Args:
            state: at the start of the step.
            step: its length [s].
            drive: of the generator, constant in form over the step.
        """
        with jax.default_device(self.device):
            stages = stages_for(step, float(fastest_rate(self.heat, state.enthalpy)))
            self.stages += stages + 1
            control = self._put([step, drive.value, drive.exponent])
            moved = _move_heat(
                self.heat,
                self.constant,
                state,
                control,
                put(stages, "int32"),
                self._put(coefficients(stages)),
            )
            field = self._unit_field(state, moved.temperature)
            mesh = (self.cells, self.cell_volume, self.constant)
            return _close_step(self.heat, mesh, state, moved, field, control)

    def _unit_field(self, state: State, temperature: Array) -> UnitField:
        """The field of one volt at a temperature; for an antenna that of one absorbed watt."""
        if self.electric is None or self.hierarchy is None:
            none, heat = put(0, "int32"), _absorbed(self.absorption, temperature)
            return UnitField(state.potential, heat, state.conductance, none, self._put(0.0))
        sigma = _sigma(self.electric, temperature)
        return solve_potential(
            self.electric, self.hierarchy, state.potential, sigma, self.tolerance, MOST_ITERATIONS
        )

    def accept(self, state: State, report: Report) -> State:
        """After an accepted step: renew the multigrid when its iterations have grown."""
        if self.electric is not None:
            grown = int(report.iterations) > REBUILD_GROWTH * self._iterations_fresh + 3
            if grown or float(report.residual) > self.tolerance:
                with jax.default_device(self.device):
                    return self._renew_potential(state)
        return state

    # -- results -----------------------------------------------------------------------------

    def temperature(self, state: State) -> Floats:
        """Temperature in mesh order (n,) [°C]."""
        return self._to_mesh(_temperature(self.heat, state.enthalpy))

    def peak(self, state: State) -> Floats:
        """Highest temperature in mesh order (n,) [°C]."""
        return self._to_mesh(state.peak)

    def potential(self, state: State) -> Floats | None:
        """Potential for one volt in mesh order (n,) [V]."""
        return None if self.electric is None else self._to_mesh(state.potential)

    def sigma(self, state: State) -> Floats | None:
        """Electrical conductivity per cell (m,) [S/m]."""
        if self.electric is None:
            return None
        return np.asarray(
            _sigma(self.electric, _temperature(self.heat, state.enthalpy)), dtype=float
        )

    def _to_mesh(self, values: Array) -> Floats:
        return np.asarray(values, dtype=float)[self.graph.from_mesh]

    def _put(self, values: object) -> Array:
        return put(values, self.dtype)

    def _point_values(self, values: Floats | None) -> Array:
        """Values in mesh order put on the device in solver order; zeros for None."""
        if values is None:
            return self._put(np.zeros(len(self.graph.to_mesh)))
        return self._put(values[self.graph.to_mesh])


@register
@dataclass(frozen=True)
class Moved:
    """The heat problem after a trial step: new fields, local error, driven heat used, flows."""

    enthalpy: Array
    temperature: Array
    error: Array
    driven: Array
    flows: tuple[Array, ...]


@jax.jit
def _move_heat(
    heat: Heat, constant: Array, state: State, control: Array, stages: Array, table: Array
) -> Moved:
    """The RKC2 step, its source extrapolated to the middle of the step."""
    step, value, exponent = control
    now = value * state.conductance**exponent * state.unit_heat
    fresh = state.past_step <= 0
    # Linear extrapolation: second order in time at no cost. Where tissue has dried, sigma falls
    # within milliseconds, and the lagged heat would swing between all and nothing from step to
    # step: there it is approached gradually from the value used before.
    ahead = jnp.where(fresh, 0.0, 0.5 * step / jnp.where(fresh, 1.0, state.past_step))
    dried = _dried(heat, heat.temperature(state.enthalpy)) & ~fresh
    driven = now + jnp.where(dried, DRIED_GAIN - 1.0, ahead) * (now - state.past_heat)
    total = driven.sum()
    # A drive of constant power delivers it exactly; the power of the others changes with the load,
    # and holding it at its value at the start of the step would leave first order in time.
    steady = (exponent == -1.0) & (total > 0)
    driven = driven * jnp.where(steady, now.sum() / jnp.where(steady, total, 1.0), 1.0)
    enthalpy, error, flows = rkc_step(
        heat, state.enthalpy, state.peak, driven + constant, step, stages, table
    )
    return Moved(enthalpy, heat.temperature(enthalpy), error, driven, flows)


@jax.jit
def _close_step(
    heat: Heat,
    mesh: tuple[Array, Array, Array],
    state: State,
    moved: Moved,
    field: UnitField,
    control: Array,
) -> tuple[State, Report]:
    """Error of the step with that of the extrapolated source, and what the host must know."""
    cells, cell_volume, constant = mesh
    step, value, exponent = control
    now = value * state.conductance**exponent * state.unit_heat
    after = value * field.conductance**exponent * field.heat
    lag = heat.free * step * (0.5 * (now + after) - moved.driven) / heat.volume
    # A dried point follows its neighbours within milliseconds; what the estimate says of it is
    # damped by its own rate, as an implicit filter would.
    dried = _dried(heat, moved.temperature)
    rate = (heat.diagonal + heat.perfusion + heat.wall) / (heat.volume * heat.dry)
    local = (moved.error + lag) / jnp.where(dried, 1.0 + step * rate, 1.0)
    shift = heat.temperature(moved.enthalpy + local) - moved.temperature
    shift = jnp.minimum(jnp.abs(shift), MOST_SHIFT)
    warm = jnp.where(moved.temperature - heat.constants[0] > 1.0, heat.volume, 0.0).sum()
    change = jnp.abs(field.conductance / state.conductance - 1.0)
    peak = jnp.maximum(state.peak, moved.temperature)
    perfusion, boundary, wall_time = moved.flows
    report = Report(
        error=jnp.sqrt((heat.volume * shift**2).sum() / jnp.maximum(warm, LEAST_HEATED)),
        change=change,
        delivered=step * (moved.driven + constant).sum(),
        stored=(heat.volume * (moved.enthalpy - state.enthalpy)).sum(),
        perfusion=perfusion,
        boundary=boundary,
        walls=heat.wall_flows(wall_time, step),
        conductance=field.conductance,
        unit_power=field.heat.sum(),
        hot=_exceeded_in(moved.temperature, heat.volume, HOT_VOLUME),
        lethal=(cell_volume * tet_fraction_above(peak[cells], LETHAL_C, jnp)).sum(),
        iterations=field.iterations,
        residual=field.residual,
    )
    past = jnp.where(dried, moved.driven, now)
    new = State(moved.enthalpy, peak, field.potential, field.heat, field.conductance, past, step)
    return new, report


@jax.jit
def _sigma(electric: Electric, temperature: Array) -> Array:
    return electric.sigma(temperature)


@jax.jit
def _absorbed(pattern: Array, temperature: Array) -> Array:
    """The pattern weighted by what heated tissue still absorbs, scaled to one watt again."""
    weighted = pattern * microwave.heated_absorption(temperature, jnp)
    total = weighted.sum()
    return weighted / jnp.where(total > 0, total, 1.0)


@jax.jit
def _enthalpy(heat: Heat, temperature: Array) -> Array:
    return heat.enthalpy(temperature)


@jax.jit
def _temperature(heat: Heat, enthalpy: Array) -> Array:
    return heat.temperature(enthalpy)


def _dried(heat: Heat, temperature: Array) -> Array:
    """Points above the vaporisation band (n,)."""
    return temperature > heat.constants[3]


def _exceeded_in(values: Array, volume: Array, amount: float) -> Array:
    """Value that is exceeded in a given volume, by bisection."""

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = 0.5 * (low + high)
        more = jnp.where(values > middle, volume, 0.0).sum() > amount
        return jnp.where(more, middle, low), jnp.where(more, high, middle)

    low, high = jax.lax.fori_loop(0, 20, halve, (values.min(), values.max()))
    return 0.5 * (low + high)


def _pick_device(name: str) -> jax.Device:
    """The JAX device for "auto", "cpu" or "gpu"."""
    if name == "cpu":
        return jax.devices("cpu")[0]
    try:
        return jax.devices("gpu")[0]
    except RuntimeError as error:
        if name == "auto":
            return jax.devices("cpu")[0]
        raise ResourceError(
            "device: got 'gpu'; JAX sees no GPU on this machine. Use --device cpu, or install "
            "jax[cuda13] where there is an NVIDIA GPU; `ablasim doctor` shows the devices."
        ) from error


def _use_compilation_cache() -> None:
    """Keep compiled kernels between runs, unless the user has set another place for them."""
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_directory() / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
