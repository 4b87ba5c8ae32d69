"""What a vessel costs: the same samples in the same case without it.

The vessel's lumen becomes tissue, which needs a mesh of its own; the margins of both cases are
compared sample by sample. Between two meshes a margin differs by about a tenth of a millimetre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablasim.assess.intervals import Estimate, paired_difference, probability, quantile
from ablasim.assess.margin import NearVessel
from ablasim.assess.risk import LEVELS
from ablasim.frames import MM
from ablasim.study.samples import Samples

Floats = NDArray[np.float64]

SMALLEST_COST_MM = 0.3
"""A smaller change of the margin is within what two meshes differ by."""


@dataclass(frozen=True)
class VesselCost:
    """A vessel and what it changes.

    Attributes:
        vessel: with its distance from the tumour.
        cost: P5, P50, P95 over the samples of margin without it less margin with it [m]; empty
            where in no pair tissue died in both cases.
        with_it, without_it: P(minimal margin < 0).
        with_target, without_target: P(minimal margin < the wanted one).
        raised: by how much P(minimal margin < 0) is higher with it, pair by pair.
        samples: pairs that were compared.
        no_zone: pairs in which no tissue died in one of the cases; they count in the probabilities
            and not in the cost.
    """

    vessel: NearVessel
    cost: tuple[Estimate, ...]
    with_it: Estimate
    without_it: Estimate
    with_target: Estimate
    without_target: Estimate
    raised: Estimate
    samples: int
    no_zone: int = 0

    @property
    def sentence(self) -> str:
        """The account in words."""
        name = self.vessel.name
        before, after = (_percent(e.value) for e in (self.without_it, self.with_it))
        if not self.cost:
            return (
                f"{name}: in no sample did tissue die both with and without this vessel, so that"
                f" its cost has no length; P(margin < 0) is {after} with it and {before} without"
                " it."
            )
        low, middle, high = (round(estimate.value / MM, 1) + 0.0 for estimate in self.cost)
        spread = f"5 to 95 %: {low:.1f} to {high:.1f} mm"
        if self.no_zone:
            spread += f", without the {self.no_zone} samples in which no tissue died"
        small = max(abs(low), abs(middle), abs(high)) < SMALLEST_COST_MM
        sure = not self.raised.low <= 0.0 <= self.raised.high
        hardly = small and not sure and not self.no_zone
        if small:
            what = "the margin" if hardly else "most margins"
            first = f"{name}: this vessel hardly changes {what} (median {middle:.1f} mm; {spread})"
        elif middle >= 0.0:
            first = f"{name}: this vessel costs {middle:.1f} mm of margin (median; {spread})"
        else:
            first = (
                f"{name}: with this vessel the margin is {-middle:.1f} mm wider (median; {spread})"
            )
        if before == after:
            return f"{first}, and P(margin < 0) is {after} with and without it."
        if hardly:
            return (
                f"{first}, no more than two meshes of one case differ by; P(margin < 0) is {after}"
                f" with it and {before} without it."
            )
        verb = "raises" if self.with_it.value > self.without_it.value else "lowers"
        subject = "it " if small or middle < 0.0 else ""
        return f"{first}, and {subject}{verb} P(margin < 0) from {before} to {after}."


def vessel_cost(vessel: NearVessel, having: Samples, lacking: Samples, target: float) -> VesselCost:
    """Compare the samples of two cases, pair by pair.

    Args:
        vessel: in question.
        having: samples with it (k,).
        lacking: the same samples without it (k,).
        target: wanted margin [m].
    """
    good = ~(having.failed | lacking.failed)
    lost = int(np.count_nonzero(~good))
    one, other = having.minimal[good], lacking.minimal[good]
    both = np.isfinite(one) & np.isfinite(other)
    cost = other[both] - one[both]
    return VesselCost(
        vessel=vessel,
        cost=tuple(quantile(cost, level) for level in LEVELS) if len(cost) else (),
        with_it=probability(one < 0.0, unknown=lost),
        without_it=probability(other < 0.0, unknown=lost),
        with_target=probability(one < target, unknown=lost),
        without_target=probability(other < target, unknown=lost),
        raised=paired_difference(one < 0.0, other < 0.0, unknown=lost),
        samples=int(good.sum()),
        no_zone=int(np.count_nonzero(~both)),
    )


def chosen_vessels(
    near: tuple[NearVessel, ...], asked: tuple[str, ...] | None
) -> tuple[NearVessel, ...]:
    """Vessels to account for: those named, or the heat sinks by the clinical rule.

    Args:
        near: vessels with their distance from the tumour.
        asked: names, all of them among those; None for the rule.
    """
    if asked is None:
        return tuple(vessel for vessel in near if vessel.is_heat_sink)
    known = {vessel.name: vessel for vessel in near}
    return tuple(known[name] for name in asked)


def _percent(share: float) -> str:
    """A share in percent; never a rounded 0 or 100."""
    if 0.0 < share < 0.005:
        return "< 1 %"
    if 0.995 < share < 1.0:
        return "> 99 %"
    return f"{100 * share:.0f} %"
