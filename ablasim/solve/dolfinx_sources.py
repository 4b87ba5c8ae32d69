"""The driven heat of the DOLFINx engine: electrodes, absorption patterns, fields of antennas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ablasim.physics import microwave
from ablasim.physics.electric import (
    drying_follows,
    drying_moment,
    drying_share,
    not_below_zero,
)
from ablasim.physics.generator import Drive, voltage_squared
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.dolfinx_matrices import Matrices
from ablasim.solve.dolfinx_potential import PotentialProblem, UnitField
from ablasim.solve.dolfinx_share import Floats, Share
from ablasim.solve.dolfinx_state import State
from ablasim.solve.field_heat import Pattern

DRIED_GAIN = 0.3
"""Most of the way that the heat of a dried point goes in one step towards what its sigma gives,
unless steps are fine: in long ones the heat at their end would swing from one to the next."""


class Sources:
    """Heat that the generator drives, on this rank's nodes.

    Attributes:
        electric: the potential problem, None without electrodes.
    """

    def __init__(
        self,
        share: Share,
        matrices: Matrices,
        problem: BioheatProblem | None,
        facts: BioheatProblem,
        electric: PotentialProblem | None,
        *,
        fine_steps: bool,
    ):
        """Deal out the absorption pattern.

        Args:
            share: this rank's part of the mesh.
            matrices: what assembles loads.
            problem: the whole problem on rank 0, None elsewhere.
            facts: the problem without arrays over the mesh.
            electric: the potential problem, None without electrodes.
            fine_steps: see `StepControl.fine_steps`.
        """
        self.fine = fine_steps
        self.share, self.matrices = share, matrices
        self.whole, self.facts, self.electric = problem, facts, electric
        self.absorption = np.zeros(len(share.points))
        if facts.absorption is not None:
            self.absorption = share.own(None if problem is None else problem.absorption)

    def present(self, state: State, drive: Drive) -> Floats:
        """What the potential of a state gives (p,) [W]."""
        if drive.off:
            return np.zeros(self.share.owned)
        return np.asarray(drive.scale(float(state.conductance)) * state.unit_heat)

    def driven(self, state: State, step: float, drive: Drive) -> tuple[Floats, Floats]:
        """Driven heat at the end of a step, and the same not scaled to the power (p,) [W].

        It is extrapolated from the last two potentials; that of dried points is delayed.
        """
        now, past = self.present(state, drive), float(state.past[0])
        if drive.off:
            return now, now
        change = step / past * (now - state.past_heat) if past > 0.0 else np.zeros_like(now)
        if self.fine:
            rise = not_below_zero(now, change)
            delayed = drying_follows(self._start(state, now), now, rise, step)
        else:
            share = min(float(drying_share(step)), DRIED_GAIN)
            follows = now + not_below_zero(now, drying_moment(step) * change)
            delayed = state.delayed + share * (follows - state.delayed)
        driven = np.where(self._is_delayed(state), delayed, now + change)
        return self._within_power(driven, now + change, state, drive), driven

    def wanted(
        self, state: State, step: float, drive: Drive, after: Floats, dried: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """What the heat at the end of a step should have been, and what the delayed heat is there
        (p,) [W].

        Args:
            state: at the start of the step.
            step: its length [s].
            drive: over the step.
            after: what the potential gives at its end (p,) [W].
            dried: points that are dried there (p,).
        """
        now = self.present(state, drive)
        delayed = drying_follows(self._start(state, now), now, after - now, step)
        late = self._is_delayed(state) | (dried & self.fine)
        return self._within_power(np.where(late, delayed, after), after, state, drive), delayed

    def _start(self, state: State, now: Floats) -> Floats:
        """What the delayed heat goes on from (p,) [W]."""
        return np.where(np.isfinite(state.delayed), state.delayed, now)

    def _within_power(self, heat: Floats, wanted: Floats, state: State, drive: Drive) -> Floats:
        """Heat (p,) [W] scaled to the power where that is held, whatever was extrapolated or
        delayed; where another limit holds, the power changes with the load, up to its own limit.

        In coarse steps what is delayed then must not change the power either: it is that of the
        potential at the end of the step, `wanted` (p,) [W].
        """
        total, present, sought = self.share.total(
            [heat.sum(), self.present(state, drive).sum(), wanted.sum()]
        )
        if total <= 0.0:
            return np.zeros_like(heat)
        limits, conductance = drive.limits(), float(state.conductance)
        others = voltage_squared((np.inf, *limits[1:]), conductance) * conductance
        held = limits[0] <= others and limits[3] == 0.0
        allowed = min(total if self.fine else max(sought, 0.0), limits[0])
        return np.asarray(heat * ((present if held else allowed) / total))

    def _is_delayed(self, state: State) -> NDArray[np.bool_]:
        """Points whose heat follows the potential with a delay (p,)."""
        dried = state.temperature[0] > self.facts.laws.vaporisation_band[1]
        return np.asarray(dried & np.isfinite(state.delayed))

    def field(self, state: State, drive: Drive, temperature: Floats, step: float) -> UnitField:
        """The field of one volt at a temperature, or the state's where nothing is driven."""
        if drive.off:
            return self._unsolved(state, state.unit_heat)
        return self.unit_field(state, temperature, drive.turn, step)

    def unit_field(
        self, state: State, temperature: Floats, turn: int, step: float = 0.0
    ) -> UnitField:
        """The field of one volt at a temperature, a step after a state.

        In fine steps the first guess is extrapolated, which saves a fifth of the iterations.
        """
        if self.electric is None:
            return self._unsolved(state, self.absorbed(temperature))
        past = float(state.past[0])
        ratio = step / past if self.fine and past > 0.0 else 0.0
        guess = state.potential + ratio * (state.potential - state.past_potential)
        return self.electric.unit_field(temperature, guess, turn)

    def _unsolved(self, state: State, heat: Floats) -> UnitField:
        conductance = float(state.conductance)
        return UnitField(state.potential, state.volts, heat, conductance, 0, 0.0)

    def absorbed(self, temperature: Floats) -> Floats:
        """The absorption pattern weighted by what heated tissue still absorbs, to the same sum."""
        at_points = temperature[self.share.points]
        weighted = self.absorption * microwave.heated_absorption(at_points)
        total, given = self.share.total([weighted.sum(), self.absorption.sum()])
        return self.matrices.load(weighted * given / (total if total > 0.0 else 1.0))

    def first_pattern(self, temperature: Floats) -> Floats:
        """The antennas' heat at time zero, packed, on rank 0; empty elsewhere."""
        whole = self.share.collect(temperature)
        if self.whole is None or self.whole.microwave is None:
            return np.zeros(0)
        return Pattern.at_start(self.whole.microwave, whole).pack()

    def pattern(self, state: State) -> Pattern | None:
        """The antennas' heat, on rank 0 where they have a field."""
        if self.whole is None or self.whole.microwave is None:
            return None
        return Pattern.unpack(state.pattern, len(self.whole.mesh.points))

    @property
    def every_step(self) -> bool:
        """Whether the antennas' field is solved for the end of every step."""
        return self.facts.microwave is not None and self.facts.microwave.every_step

    def pattern_change(self, state: State, temperature: Floats) -> float:
        """Change of the dielectric up to a temperature (p,) since the field of a state was solved,
        over the most allowed [1]."""
        whole, change = self.share.collect(temperature), 0.0
        pattern = self.pattern(state)
        if pattern is not None and self.whole is not None and self.whole.microwave is not None:
            change = pattern.change(self.whole.microwave, whole)
        return float(self.share.comm.bcast(change, root=0))

    def following(self, pattern: Pattern | None, after: Floats, step: float) -> Pattern | None:
        """The pattern of the temperature (p,) at the end of a step [s], on rank 0."""
        whole = self.share.collect(after)
        if pattern is None or self.whole is None or self.whole.microwave is None:
            return None
        return pattern.renewed(self.whole.microwave, whole, step)

    def renew_pattern(self, state: State) -> State:
        """Solve the antennas' field again where the dielectric has changed enough."""
        if self.facts.microwave is None:
            return state
        whole, pattern = self.share.collect(state.temperature[0]), self.pattern(state)
        if pattern is None or self.whole is None or self.whole.microwave is None:
            return state
        renewed = pattern.renewed(self.whole.microwave, whole, 0.0)
        return state if renewed is pattern else replace(state, pattern=renewed.pack())
