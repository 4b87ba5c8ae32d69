"""The JAX engine with the arrays of many problems, and what the time loop sees of them as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ablasim.physics.generator import Drive, Generator, GeneratorState
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.batch_aside import Mask, set_aside
from ablasim.solve.batch_setup import electric_batch, heat_batch, hierarchy_batch
from ablasim.solve.heat import fastest_rate
from ablasim.solve.jax_engine import JaxEngine
from ablasim.solve.jax_state import Report, State
from ablasim.solve.jax_step import close_step, move_heat
from ablasim.solve.kernels import put, register
from ablasim.solve.multigrid import Hierarchy
from ablasim.solve.step_control import StepControl

Floats = NDArray[np.float64]

NEVER_C = 1e4
"""Temperature [°C] that stands for infinite where something ends perfusion in some problems only:
differences of infinities are no numbers."""

WORST = ("error", "change", "residual", "dried")
"""Parts of a report of which the time loop sees the largest of the batch."""

ACCOUNT = ("delivered", "stored", "perfusion", "boundary", "walls")
"""Parts of the heat account in a report."""


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
