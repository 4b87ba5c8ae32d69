"""Many problems on one mesh at once: the samples of a risk, the cases of a sweep.

They go through the same kernels as one problem, with an axis for the problems at the end of every
array (`batch_setup`), and through the same time loop: the step is as long as the most demanding of
them allows. So a batch takes more steps than one of its problems alone, and each costs far less.
The few that would make all steps short are set aside (`batch_aside`).

Problems of a batch may differ in their materials, in the coefficients of their walls, in the
temperature that ends perfusion, in the strength of the drive and in the absorption. What follows
what it measures (pulses, control of temperature), and antennas whose field follows the tissue, go
through their events at moments of their own: they are solved one by one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ablasim.errors import ConvergenceError
from ablasim.physics.finite import refuse_not_finite
from ablasim.physics.generator import Drive, Generator, GeneratorState
from ablasim.physics.generator_steps import SwitchedGenerator
from ablasim.physics.problem import BioheatProblem
from ablasim.progress import ProgressCallback
from ablasim.solve.batch_aside import Mask, set_aside, solve_aside
from ablasim.solve.batch_setup import electric_batch, heat_batch, hierarchy_batch
from ablasim.solve.heat import fastest_rate
from ablasim.solve.jax_engine import JaxEngine
from ablasim.solve.jax_state import Report, State
from ablasim.solve.jax_step import close_step, move_heat
from ablasim.solve.kernels import put, register
from ablasim.solve.multigrid import Hierarchy
from ablasim.solve.solution import Solution, Status
from ablasim.solve.step_control import StepControl
from ablasim.solve.stepping import march

Floats = NDArray[np.float64]

NEVER_C = 1e4
"""Temperature [°C] that stands for infinite where something ends perfusion in some problems only:
differences of infinities are no numbers."""

FOLLOWING = ("excess", "after_step", "ended")
"""Methods of a generator that only one with feedback has of its own."""

WORST = ("error", "change", "residual", "dried")
"""Parts of a report of which the time loop sees the largest of the batch."""

ACCOUNT = ("delivered", "stored", "perfusion", "boundary", "walls")
"""Parts of the heat account in a report."""


class NotBatchable(Exception):
    """These problems must be solved one by one; says why."""


@dataclass(frozen=True, eq=False)
class BatchSolution:
    """What many problems on one mesh end with, in the mesh's own point order.

    Attributes:
        temperature: at the last time (n, b) [°C].
        peak: highest temperature each point has reached (n, b) [°C].
        damage: of the death models by name (n, b); empty where none was integrated.
        conductance: of the tissue at the last time (b,) [S]; 1 without electrodes.
        energy: the heat account of each problem [J], arrays (b,), with `balance_error` relative.
        statistics: steps, rejected, stages, potential_iterations, potential_residual, seconds,
            start_seconds, and how many problems were set `aside`; steps and the rest are those
            of the others.
        device: what the engine ran on.
    """

    temperature: Floats
    peak: Floats
    damage: dict[str, Floats]
    conductance: Floats
    energy: dict[str, Floats]
    statistics: dict[str, float]
    device: str


@dataclass(frozen=True)
class BatchDrive(Drive):
    """The drives of many generators; its own numbers are those of the first."""

    each: tuple[Drive, ...] = ()


@dataclass(frozen=True)
class BatchGenerator(Generator):
    """Generators that change at the same times, each with its own strength."""

    each: tuple[Generator, ...]

    @property
    def duration(self) -> float:  # type: ignore[override]
        """Length of the treatment [s]."""
        return self.each[0].duration

    def drive(self, state: GeneratorState, time: float) -> BatchDrive:
        """Of all generators."""
        each = tuple(generator.drive(state, time) for generator in self.each)
        first = each[0]
        return BatchDrive(
            first.power, first.voltage, first.current, first.resistance, first.turn, each
        )

    def next_event(self, state: GeneratorState, time: float) -> float:
        """The next event of any generator."""
        return min(generator.next_event(state, time) for generator in self.each)


@register
@dataclass(frozen=True)
class BatchReport(Report):
    """The report of the batch as one, for the time loop, that of each problem, and which are set
    aside."""

    each: Report
    aside: Mask


def solve_batch(
    problems: Sequence[BioheatProblem],
    *,
    control: StepControl | None = None,
    device: str = "auto",
    dtype: str = "float32",
    progress: ProgressCallback | None = None,
) -> BatchSolution:
    """Integrate problems on one mesh to the end of their common protocol.

    Args:
        problems: on the same mesh.
        control: tolerance and limits of the step.
        device: "cpu", "gpu", or "auto" for a GPU where there is one.
        dtype: "float32" or "float64".
        progress: told after every step.

    Raises:
        NotBatchable: they differ in more than a batch can hold, or their drive follows what it
            measures.
        UsageError: numbers of a problem that are not finite.
        ConvergenceError: the solver gave up. Where it does so for a problem that was set aside,
            the fields of that one are NaN.
        ResourceError: no such device.
    """
    refuse_different(problems)
    for problem in problems:
        refuse_not_finite(problem)
    begun = time.perf_counter()
    kept: list[State] = []
    control = control or StepControl()
    with jax.numpy_rank_promotion("allow"):  # numbers of each problem (b,) meet fields (n, b)
        engine = BatchEngine(problems, control=control, device=device, dtype=dtype)
        done = march(
            engine,
            control,
            progress=progress,
            begun=begun,
            at_end=lambda state, _: kept.append(state),
        )
    if done.status is not Status.DONE:
        reached = done.times[-1] if done.times.size else 0.0
        raise ConvergenceError(
            f"a batch of {len(problems)} problems: at {reached:.1f} s {done.status.value}"
        )
    together = BatchSolution(
        temperature=done.temperature,
        peak=done.peak,
        damage=done.damage,
        conductance=np.array(kept[0].conductance, dtype=float),
        energy=engine.energy(),
        statistics=done.statistics | {"aside": float(np.count_nonzero(engine.aside))},
        device=engine.device_name,
    )
    aside, graph = engine.aside, engine.graph
    kept.clear()
    del engine  # its arrays make room for those of the runs to come
    for number, problem in enumerate(problems):
        if aside[number]:
            _put_in(together, number, solve_aside(problem, graph, control, device, dtype))
    return together


def _put_in(together: BatchSolution, number: int, alone: Solution) -> None:
    """Take what a problem of the batch ends with from its own run."""
    failed = alone.status is not Status.DONE
    for field in ("temperature", "peak"):
        getattr(together, field)[:, number] = np.nan if failed else getattr(alone, field)
    for model, values in alone.damage.items():
        together.damage[model][:, number] = np.nan if failed else values
    impedance = alone.history.get("impedance_ohm")
    if impedance is not None and len(impedance):
        together.conductance[number] = 1.0 / impedance[-1]
    walls = alone.energy["vessels_J"] + alone.energy["probe_cooling_J"]
    for name, values in together.energy.items():
        values[number] = walls if name == "walls_J" else alone.energy[name]


def refuse_different(problems: Sequence[BioheatProblem]) -> None:
    """Raise NotBatchable where problems cannot be solved at once."""
    first = problems[0]
    generator = first.generator
    while isinstance(generator, SwitchedGenerator):
        generator = generator.inside
    kind = type(generator)
    if any(getattr(kind, name) is not getattr(Generator, name) for name in FOLLOWING):
        raise NotBatchable(f"{kind.__name__} follows what it measures")
    if first.microwave is not None:
        raise NotBatchable("the antennas' field follows the tissue")
    for problem in problems[1:]:
        for what, same in _sameness(first, problem).items():
            if not same:
                raise NotBatchable(f"problems differ in {what}")


def _sameness(one: BioheatProblem, two: BioheatProblem) -> dict[str, bool]:
    """What must agree in a batch."""

    def alike(a: object, b: object) -> bool:
        return a is b or np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)

    start = GeneratorState()
    drives = [p.generator.drive(start, 0.0) for p in (one, two)]
    electrodes = (one.electrodes is None) == (two.electrodes is None)
    if one.electrodes is not None and two.electrodes is not None:
        electrodes = (
            alike(one.electrodes.active, two.electrodes.active)
            and alike(one.electrodes.grounded, two.electrodes.grounded)
            and one.electrodes.circuits == two.electrodes.circuits
        )
    return {
        "their mesh": one.mesh is two.mesh
        or (
            alike(one.mesh.points, two.mesh.points)
            and alike(one.mesh.cells, two.mesh.cells)
            and alike(one.mesh.cell_region, two.mesh.cell_region)
        ),
        "their walls": len(one.walls) == len(two.walls)
        and all(alike(a.faces, b.faces) for a, b in zip(one.walls, two.walls, strict=True)),
        "their generator": type(one.generator) is type(two.generator)
        and one.generator.duration == two.generator.duration
        and drives[0].off == drives[1].off
        and drives[0].turn == drives[1].turn,
        "their electrodes": electrodes,
        "their death models": one.laws.death == two.laws.death,
        "the vaporisation band": one.laws.vaporisation_band == two.laws.vaporisation_band,
        "the fall of sigma": one.laws.sigma_drop == two.laws.sigma_drop,
        "the initial temperature": alike(one.initial_temperature, two.initial_temperature),
        "what is held": alike(one.fixed_temperature, two.fixed_temperature),
        "their kind of heat": (one.absorption is None) == (two.absorption is None),
        "their antennas": two.microwave is None,
        "whether tissue is perfused": one.materials.perfusion.any()
        == two.materials.perfusion.any(),
    }


def _wide(kernel: Any) -> Any:
    return jax.jit(kernel.__wrapped__, compiler_options={"xla_cpu_prefer_vector_width": 512})


WIDE: tuple[Any, Any, Any] = (_wide(fastest_rate), _wide(move_heat), _wide(close_step))
"""The kernels with the widest vectors of a CPU: 16 problems in single precision fill one, and what
is done to all of them takes a fifth less time. XLA takes narrower ones of its own accord."""


class BatchEngine(JaxEngine):
    """The JAX engine with the arrays of many problems.

    Its reports to the time loop hold the largest error and the largest dried volume of the
    problems; all else in them is the mean, for the progress that is shown.
    """

    def __init__(
        self,
        problems: Sequence[BioheatProblem],
        *,
        control: StepControl,
        device: str = "auto",
        dtype: str = "float32",
    ):
        ends = [problem.laws.perfusion_shutdown for problem in problems]
        if np.isfinite(ends).any():
            problems = [_with_finite_shutdown(problem) for problem in problems]
        self.problems = tuple(problems)
        self._account = {name: np.zeros(len(problems)) for name in ACCOUNT}
        self.aside: Mask = np.zeros(len(problems), dtype=bool)
        # the time loop shortens no fixed steps where tissue dries, and fine ones hardly
        self._sets_aside = control.fixed is None and not control.fine_steps
        together = BatchGenerator(tuple(problem.generator for problem in problems))
        super().__init__(
            replace(problems[0], generator=together),
            device=device,
            dtype=dtype,
            fine_steps=control.fine_steps,
        )

    def _compiled(self) -> tuple[Any, Any, Any]:
        return WIDE if self.device.platform == "cpu" else super()._compiled()

    def _set_up(self) -> None:
        self.heat = heat_batch(self.problems, self.graph, self.dtype)
        self.electric = electric_batch(self.problems, self.graph, self.dtype)
        self.cells = self.cell_volume = None
        self.constant = self._columns([problem.source for problem in self.problems])
        self.absorption = self._columns([problem.absorption for problem in self.problems])

    def _columns(self, values: Sequence[Floats | None]) -> Array:
        """Values per point in solver order (n, b), or (n, 1) where all are the same."""
        first = values[0]
        if first is None:
            return self._put(np.zeros((len(self.graph.to_mesh), 1)))
        if all(each is first for each in values):
            return self._put(first[self.graph.to_mesh, None])
        return self._put(np.stack(values, axis=-1)[self.graph.to_mesh])  # type: ignore[arg-type]

    def _spread(self, values: Floats) -> Array:
        return self._put(np.repeat(np.asarray(values)[..., None], len(self.problems), axis=-1))

    def _control(self, step: float, drive: Drive) -> Array:
        assert isinstance(drive, BatchDrive)
        control = np.transpose([[step, *each.limits()] for each in drive.each])
        control[1:4, self.aside] = 0.0
        return self._put(control)

    def _tolerance(self) -> Array:
        """Of the potential of each problem; endless of those that were set aside."""
        return self._put(np.where(self.aside, np.inf, self.tolerance))

    def _rise(self, state: State, before: Drive, after: Drive) -> Floats:
        assert isinstance(before, BatchDrive) and isinstance(after, BatchDrive)
        conductance = np.asarray(state.conductance, dtype=float)
        pairs = zip(before.each, after.each, conductance, strict=True)
        return np.array([new.scale(g) / old.scale(g) for old, new, g in pairs])

    def _build_hierarchy(self, sigma: Floats) -> Hierarchy:
        """One cycle for all problems, from their mean conductivity."""
        return hierarchy_batch(super()._build_hierarchy(sigma.mean(axis=-1)))

    def advance(self, state: State, step: float, drive: Drive) -> tuple[State, Report]:
        """As the engine of one problem; the report is that of the batch."""
        new, each = super().advance(state, step, drive)
        count, aside = len(self.problems), self.aside
        if self._sets_aside and self.electric is not None and not drive.off:
            aside = set_aside(aside, each.dried)

        def kept(values: Array) -> Floats:
            found = np.asarray(values)
            alone = found.ndim == 0 or found.shape[-1] != count
            return found[..., None] if alone else found[..., ~aside]

        shown = {
            name: put(kept(getattr(each, name)).mean(axis=-1))
            for name in Report.__dataclass_fields__
        }
        worst = {name: put(kept(getattr(each, name)).max()) for name in WORST}
        return new, BatchReport(**(shown | worst), each=each, aside=aside)

    def accept(self, state: State, report: Report, drive: Drive) -> State:
        """Book the heat of each problem."""
        assert isinstance(report, BatchReport)
        for name in ACCOUNT:
            values = np.asarray(getattr(report.each, name), dtype=float)
            self._account[name] += values.sum(axis=0) if name == "walls" else values
        self.aside = report.aside
        return super().accept(state, report, drive)

    def energy(self) -> dict[str, Floats]:
        """The heat account of each problem [J], and what it lacks relative to its largest part."""
        parts = self._account
        rest = parts["delivered"] - sum(parts[name] for name in ACCOUNT[1:])
        size = np.max([np.abs(part) for part in parts.values()], axis=0)
        error = np.abs(rest) / np.where(size > 0.0, size, 1.0)
        return {f"{name}_J": part for name, part in parts.items()} | {"balance_error": error}

    def conductance(self, state: State) -> float:
        """Mean of the problems [S]."""
        return float(np.mean(state.conductance))

    def sensors(self, state: State) -> tuple[float, ...]:
        """None: nothing in a batch follows them."""
        return ()

    def potential(self, state: State) -> None:
        """None: what a batch is for needs none."""
        return None

    def sigma(self, state: State) -> None:
        """None, as the potential."""
        return None


def _with_finite_shutdown(problem: BioheatProblem) -> BioheatProblem:
    """A problem in which perfusion ends at a finite temperature, if out of reach."""
    ends = min(problem.laws.perfusion_shutdown, NEVER_C)
    return replace(problem, laws=replace(problem.laws, perfusion_shutdown=ends))
