"""Microwave heat that follows the tissue's temperature: the field of each antenna, solved again.

Every antenna has a field of its own in liver whose dielectric is that of the mean temperature on
circles around its axis. Tumour and vessels count as liver in the field. The powers of several
antennas add, as those of generators without a common phase do; each sees the tissue that the others
have heated, but not their metal. The published laws know no history: tissue that has dried and
cools again counts as wet again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablasim.mesh import TetMesh
from ablasim.physics.antenna_coupling import Coupling, Floats, Vector
from ablasim.physics.antenna_section import Coaxial
from ablasim.physics.dielectric import Complexes, Dielectric

PARTS = ("incident", "reflected", "tissue", "antenna", "radiated", "elsewhere")
"""Where a watt of the generator goes, in the order of `FieldHeat.powers`: what arrives at the
feeds; of that, what is reflected, what the mesh absorbs, what leaks along the catheters, what
leaves through the outer border of the field, and what is absorbed where the mesh has no tissue
(blood in meshed vessels, other antennas, tissue outside the block). The cable keeps the rest."""


@dataclass(frozen=True)
class PlacedAntenna:
    """An antenna in the mesh.

    Attributes:
        tip: its tip [m].
        direction: unit vector along the shaft.
        coaxial: its dimensions.
        share: of the generator's power that arrives at its feed [1].
    """

    tip: Vector
    direction: Vector
    coaxial: Coaxial
    share: float


class FieldHeat(NamedTuple):
    """The fields of all antennas for one watt of the generator.

    Attributes:
        heat: per mesh point (n,) [W/W].
        powers: where the watt goes (6,), see PARTS [W/W].
        scale: by which the heat was scaled to conserve power, of the worst antenna [1].
    """

    heat: Floats
    powers: Floats
    scale: float


@dataclass(frozen=True, eq=False)
class MicrowaveField:
    """Heat of microwave antennas as a function of the tissue's temperature.

    Attributes:
        mesh: the tissue.
        antennas: one or more.
        law: dielectric of the tissue.
        frequency: of the generator [Hz].
        ambient: temperature where there is no tetrahedron [°C].
        every_step: the field is solved for the end of every time step, for small errors of time;
            otherwise when the dielectric has changed enough.
    """

    mesh: TetMesh
    antennas: tuple[PlacedAntenna, ...]
    law: Dielectric
    frequency: float
    ambient: float
    every_step: bool = False

    @cached_property
    def couplings(self) -> tuple[Coupling, ...]:
        """The half plane of each antenna, tied to the mesh."""
        return tuple(
            Coupling(self.mesh, a.tip, a.direction, a.coaxial, self.frequency)
            for a in self.antennas
        )

    def circles(self, temperature: Floats) -> Floats:
        """Mean temperature on circles around the antennas' axes, of all one after another (v,)."""
        return np.concatenate(
            [c.mean @ temperature + c.outside * self.ambient for c in self.couplings]
        )

    def solve(self, circles: Floats) -> FieldHeat:
        """Fields and heat for temperatures on the circles (v,) [°C]."""
        heat, powers, scale = np.zeros(len(self.mesh.points)), np.zeros(len(PARTS)), 1.0
        for antenna, coupling, eps in zip(
            self.antennas, self.couplings, self._permittivity(circles), strict=True
        ):
            found = coupling.antenna.solve(eps)
            volume = coupling.antenna.corner_volume * coupling.share
            absorbed = float(found.density @ volume)
            raw = coupling.heat @ found.density
            factor = absorbed / float(raw.sum())
            heat += antenna.share * factor * raw
            scale = factor if abs(factor - 1.0) > abs(scale - 1.0) else scale
            parts = (1.0, found.reflected, absorbed, found.leaked, found.radiated)
            powers += antenna.share * np.array([*parts, found.absorbed - absorbed])
        return FieldHeat(heat, powers, scale)

    def change(self, circles: Floats, before: Floats) -> float:
        """Relative change of the dielectric between two temperatures on the circles (v,).

        A mean over the tissue, weighted with the heat in it before anything is heated.
        """
        if not self.law.varies:
            return 0.0
        change = 0.0
        pairs = zip(self._permittivity(circles), self._permittivity(before), strict=True)
        for (new, old), weight in zip(pairs, self._weights, strict=True):
            relative = np.abs(new - old) / np.minimum(np.abs(new), np.abs(old))
            change = max(change, float(weight @ np.minimum(relative, 1.0)))
        return change

    def _permittivity(self, circles: Floats) -> list[Complexes]:
        """Of the tissue cells of each antenna's grid, at their mean temperature."""
        ends = np.cumsum([len(c.share) for c in self.couplings])[:-1]
        return [
            self.law.complex_permittivity(part[c.antenna.cell_corners].mean(axis=1))
            for c, part in zip(self.couplings, np.split(circles, ends), strict=True)
        ]

    @cached_property
    def _weights(self) -> tuple[NDArray[np.float64], ...]:
        """Share of each tissue cell in the heat at ambient temperature, by antenna."""
        circles = np.full(sum(len(c.share) for c in self.couplings), self.ambient)
        weights = []
        for coupling, eps in zip(self.couplings, self._permittivity(circles), strict=True):
            antenna = coupling.antenna
            density = antenna.solve(eps).density[antenna.cell_corners].mean(axis=1)
            weight = density * antenna.operator.cells.weight[antenna.tissue].sum(axis=1)
            weights.append(weight / weight.sum())
        return tuple(weights)
