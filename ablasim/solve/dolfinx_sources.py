"""The driven heat of the DOLFINx engine: electrodes, absorption patterns, fields of antennas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ablasim.physics import microwave
from ablasim.physics.generator import Drive, voltage_squared
from ablasim.physics.problem import BioheatProblem
from ablasim.solve.dolfinx_matrices import Matrices
from ablasim.solve.dolfinx_potential import PotentialProblem, UnitField
from ablasim.solve.dolfinx_share import Floats, Share
from ablasim.solve.dolfinx_state import State
from ablasim.solve.field_heat import Pattern

DRIED_GAIN = 0.3
"""Share of the way that the heat of a dried point goes in one step towards what its sigma gives,
where it is led gradually: sigma of drying tissue falls within milliseconds, and with long steps its
heat would swing from one to the next."""


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
        gradual: bool,
    ):
        """Deal out the absorption pattern.

        Args:
            share: this rank's part of the mesh.
            matrices: what assembles loads.
            problem: the whole problem on rank 0, None elsewhere.
            facts: the problem without arrays over the mesh.
            electric: the potential problem, None without electrodes.
            gradual: the heat of dried points is led gradually, not extrapolated.
        """
        self.gradual = gradual
        self.share, self.matrices = share, matrices
        self.whole, self.facts, self.electric = problem, facts, electric
        self.absorption = np.zeros(len(share.points))
        if facts.absorption is not None:
            self.absorption = share.own(None if problem is None else problem.absorption)

    def driven(self, state: State, step: float, drive: Drive) -> tuple[Floats, float]:
        """Driven heat at the end of a step, extrapolated (p,), and its sum at the start [W]."""
        limits, conductance = drive.limits(), float(state.conductance)
        if drive.off:
            return np.zeros(self.share.owned), 0.0
        now = np.asarray(voltage_squared(limits, conductance) * state.unit_heat)
        if state.past[0] <= 0.0:
            return now, self.share.total(now.sum())
        ahead = step / float(state.past[0])
        driven = now + np.where(self._led(state.temperature[0]), DRIED_GAIN - 1.0, ahead) * (
            now - state.past_heat
        )
        total, present = self.share.total([driven.sum(), now.sum()])
        # what is led gradually somewhere must not change the power, nor may it exceed the limit
        wanted = present + ahead * (present - float(state.past_total))
        factor = min(wanted, limits[0]) / total if total > 0.0 else 1.0
        return driven * max(factor, 0.0), present

    def past_heat(self, state: State, drive: Drive, driven: Floats, after: Floats) -> Floats:
        """What the next step extrapolates from (p,) [W]."""
        if drive.off:
            return np.zeros(self.share.owned)
        now = voltage_squared(drive.limits(), float(state.conductance)) * state.unit_heat
        return np.where(self._led(after), driven, now)

    def _led(self, temperature: Floats) -> NDArray[np.bool_]:
        """Dried points, where their heat is led gradually (p,)."""
        return self.gradual & (temperature > self.facts.laws.vaporisation_band[1])

    def field(self, state: State, drive: Drive, temperature: Floats) -> UnitField:
        """The field of one volt at a temperature, or the state's where nothing is driven."""
        if drive.off:
            return self._unsolved(state, state.unit_heat)
        return self.unit_field(state, temperature, drive.turn)

    def unit_field(self, state: State, temperature: Floats, turn: int) -> UnitField:
        if self.electric is None:
            return self._unsolved(state, self.absorbed(temperature))
        return self.electric.unit_field(temperature, state.potential, turn)

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
