"""How blood warms along a vessel: its heat balance on a tree of branches, cut into stations.

    m c dT_b/ds = integral around the wall of h (T_w - T_b)

Blood passes an ablation within seconds, so the balance is steady at every instant. A station of
conductance G = h A with a wall at T_w warms blood that enters at T_in to

    T_out = T_in + (1 - exp(-G/C)) (T_w - T_in),   C = m c,

exactly, however slow the flow: the blood never gets warmer than the wall. The mean temperature of
the blood in the station, the one with G (T_w - T_mean) = C (T_out - T_in), is what its wall feels.
All this is linear, so the blood's temperatures are a matrix times those of the wall: an engine
applies it in every stage of a step, and the heat account closes to rounding.

Where branches join, their blood mixes by flow; where one divides, its parts start with its
temperature; what the parts carry beyond that enters at the inlet temperature, and what they leave
goes elsewhere. So the heat that leaves is the heat that the walls gave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STASIS_DIAMETER = 3.0e-3
"""Heated vessels thinner than this [m] coagulate: 111 of 111 veins below 3 mm were thrombosed after
radiofrequency ablation, of those above 42 of 44 were open (Lu 2002, 10.2214/ajr.178.1.1780047)."""

STASIS_WALL_C = 65.0
"""Mean temperature around the wall [°C] that coagulates the blood of such a vessel."""

STASIS_SECONDS = 60.0
"""How long the wall must be that hot [s]. Temperature and time are ablasim's choice, not measured
values: proteins coagulate at 60 to 70 °C within about a minute."""


@dataclass(frozen=True)
class BloodTree:
    """Branches in which blood flows one way.

    Attributes:
        branch: branch of each station, stations in the direction of flow (s,).
        capacity: mass flow times heat capacity of each branch [W/K].
        feeders: for each branch those whose blood enters it.
    """

    branch: tuple[int, ...]
    capacity: tuple[float, ...]
    feeders: tuple[tuple[int, ...], ...]

    def in_flow_order(self) -> list[int]:
        """Branches, each after all its feeders.

        Raises:
            ValueError: the branches form a ring.
        """
        order: list[int] = []
        waiting = list(range(len(self.capacity)))
        while waiting:
            ready = [b for b in waiting if all(f in order for f in self.feeders[b])]
            if not ready:
                raise ValueError(f"branches {waiting} feed each other in a ring")
            order += ready
            waiting = [b for b in waiting if b not in ready]
        return order

    def stopped_with(self) -> Floats:
        """1 where the first branch stops when the second does (b, b).

        Those are the branches that depend on it alone. Where a vein divides, blood that cannot pass
        one branch takes the others, but the branches behind the stopped one get none; where veins
        join, those in front of it cannot drain.
        """
        count = len(self.capacity)
        stops = np.eye(count)
        feeds = [[b for b in range(count) if a in self.feeders[b]] for a in range(count)]
        order = self.in_flow_order()
        for number in order:
            if self.feeders[number] and len(self.feeders[number]) == 1:
                # fed by one branch alone: it stops with it and with all that stop that one
                stops[number] = np.maximum(stops[number], stops[self.feeders[number][0]])
        for number in reversed(order):
            if len(feeds[number]) == 1:
                stops[number] = np.maximum(stops[number], stops[feeds[number][0]])
        return stops

    def inflow(self) -> Floats:
        """How much of the flow of the second branch goes into the first (b, b) [W/K]."""
        count = len(self.capacity)
        share = np.zeros((count, count))
        for number, feeders in enumerate(self.feeders):
            share[number, list(feeders)] = self.capacity[number]
        wanted = np.maximum(share.sum(axis=0), self.capacity)
        flow: Floats = share * (np.array(self.capacity) / wanted)
        return flow


def blood_response(tree: BloodTree, conductance: Floats) -> tuple[Floats, Floats]:
    """The blood's excess over the inlet temperature, linear in that of the wall.

    Args:
        tree: the branches.
        conductance: h A of each station's wall (s,) [W/K]; zero where it has none.

    Returns:
        (s, s) from the stations' wall to their mean blood, and (b, s) to the end of each branch.
        Rows are not negative and sum to at most one, so that blood is never warmer than all walls.
    """
    count = len(tree.branch)
    mean, outlet = np.zeros((count, count)), np.zeros((len(tree.capacity), count))
    branch, inflow = np.array(tree.branch, dtype=int), tree.inflow()
    for number in tree.in_flow_order():
        rate = tree.capacity[number]
        blood = inflow[number] @ outlet / max(rate, inflow[number].sum())
        for station in np.flatnonzero(branch == number):
            exchanged = conductance[station] / rate
            gained = -np.expm1(-exchanged)
            share = gained / exchanged if exchanged > 0.0 else 1.0
            mean[station] = share * blood
            mean[station, station] += 1.0 - share
            blood = (1.0 - gained) * blood
            blood[station] += gained
        outlet[number] = blood
    return mean, outlet
