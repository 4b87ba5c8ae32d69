"""What heat does to the tissue of this rank's nodes: damage, and what that leaves of perfusion."""

from __future__ import annotations

import numpy as np

from ablasim.physics import damage
from ablasim.physics.damage import Damage
from ablasim.physics.problem import Laws
from ablasim.solve.dolfinx_share import Floats, Share
from ablasim.solve.dolfinx_state import State
from ablasim.solve.dolfinx_supply import Supply


class Dose:
    """The death models over time, and the rules by which perfusion ends."""

    def __init__(self, share: Share, laws: Laws, perfusion: Floats):
        """Take what the models need.

        Args:
            share: this rank's part of the mesh.
            laws: the death models, and what ends perfusion.
            perfusion: W V of the own cells (m,) [W/K].
        """
        self.share, self.laws, models = share, laws, laws.death
        self.kinetics = None if models is None else damage.kinetics_of(models.sets)
        self.supply = Supply(share, perfusion) if laws.perfusion_has_border else None
        self.ends_perfusion = models is not None and models.stasis != "none"

    def none(self) -> Damage | None:
        """Damage at time zero; None where no models are carried."""
        if self.laws.death is None:
            return None
        return damage.unharmed(np.zeros(self.share.owned), len(self.laws.death.sets))

    def suffered(
        self, so_far: Damage | None, before: Floats, after: Floats, seconds: float
    ) -> Damage | None:
        """Damage after some time in which temperatures (p,) [°C] go along a straight line.

        It is cut into parts where it is steep on any rank.
        """
        if so_far is None:
            return None
        steepest = self.share.largest(float(np.abs(after - before).max(initial=0.0)))
        count = int(damage.parts_of(np.zeros(1), np.array([steepest]), seconds))
        change = (after - before) / count
        for number in range(count):
            first = before + number * change
            so_far = damage.advance(so_far, first, first + change, seconds / count, self.kinetics)
        return so_far

    def perfusion_left(self, state: State, temperature: Floats, ahead: float) -> Floats:
        """Share of the perfusion left (p,) at a temperature (p,) [°C] that is reached after `ahead`
        [s] from a state."""
        laws, suffered = self.laws, state.damage
        if self.ends_perfusion and ahead > 0.0:
            suffered = self.suffered(suffered, state.temperature[0], temperature, ahead)
        left = np.ones(self.share.owned)
        if self.supply is not None:
            hottest = np.maximum(temperature, state.peak)
            left = self.supply.left(
                damage.stasis_excess(hottest, laws.perfusion_shutdown, suffered, laws.death)
            )
        if laws.death is not None and suffered is not None:
            left = left * damage.arrhenius_share(suffered, laws.death)
        return left
