"""The heat account of the peers."""

from __future__ import annotations

import numpy as np
from peer_space import Floats, Space


class Account:
    """The heat account by the trapezoidal rule; what it does not close is error in time."""

    def __init__(self, space: Space, heat: Floats, temperature: Floats, peak: Floats):
        self.space = space
        self.sums = np.zeros(4)
        self.flows = self._flows(heat, temperature, peak)

    def _flows(self, heat: Floats, temperature: Floats, peak: Floats) -> Floats:
        """Heat in, and out by perfusion, walls and held points [W]."""
        p = self.space.points
        sink = self.space.perfusion_left(peak) * (temperature - p.blood)
        wall = p.wall * temperature - p.wall_heat
        rest = heat - self.space.conduct(p.theta(temperature)) - sink - wall
        parts = heat, sink, wall, np.where(p.free, 0.0, rest)
        return np.array([self.space.total(part) for part in parts])

    def add(self, step: float, heat: Floats, temperature: Floats, peak: Floats) -> None:
        """One more step."""
        new = self._flows(heat, temperature, peak)
        self.sums += 0.5 * step * (self.flows + new)
        self.flows = new

    def close(self, stored: Floats) -> dict[str, float]:
        """The parts [J] and what is left, relative to what was delivered."""
        names = ("delivered_J", "perfusion_J", "walls_J", "boundary_J")
        parts = dict(zip(names, (float(value) for value in self.sums), strict=True))
        parts["stored_J"] = self.space.total(stored)
        left = parts["delivered_J"] - sum(parts[name] for name in (*names[1:], "stored_J"))
        return parts | {"balance_error": left / parts["delivered_J"]}
