"""The half plane around a coaxial antenna as a graded grid of rectangles.

Every border of the antenna is a circle or a plane across its axis, so a tensor grid whose lines run
through all of them conforms exactly. z runs from the tip of the antenna along its shaft, r from the
axis. Cells are short where the wave enters the tissue, next to the catheter and at the ends of the
conductors, and grow from there to a tenth of the wavelength in tissue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TISSUE, DIELECTRIC, CATHETER, SLOT, METAL = range(5)
"""Materials of the cells."""


@dataclass(frozen=True)
class Coaxial:
    """A coaxial antenna that radiates from a slot in its outer conductor or from a bare end.

    Lengths [m]; along the shaft they are measured from the tip of the whole antenna.

    Attributes:
        inner_radius: of the inner conductor.
        dielectric_radius: outer radius of the cable's dielectric.
        conductor_radius: outer radius of the outer conductor.
        catheter_radius: outer radius of the catheter; that of the conductor where there is none.
        dielectric_permittivity: relative, of the cable's dielectric.
        catheter_permittivity: relative, of the catheter.
        slot_permittivity: relative, of what fills the slot.
        coax_end: where the cable begins.
        cap: length of the metal that closes the cable there; 0 leaves it open.
        slot_start, slot_end: borders of the slot; equal where there is none.
        wire: length of bare inner conductor ahead of the cable, from the tip.
    """

    inner_radius: float
    dielectric_radius: float
    conductor_radius: float
    catheter_radius: float
    dielectric_permittivity: float
    catheter_permittivity: float
    slot_permittivity: float
    coax_end: float
    cap: float
    slot_start: float
    slot_end: float
    wire: float

    def permittivity(self, material: int) -> float:
        """Relative permittivity of a part that is neither metal nor tissue."""
        return {
            DIELECTRIC: self.dielectric_permittivity,
            CATHETER: self.catheter_permittivity,
            SLOT: self.slot_permittivity,
        }[material]


class Grading(NamedTuple):
    """Sizes of the cells: at the antenna [m], growth with distance [1], largest [m]."""

    least: float
    growth: float
    largest: float

    def finer(self, factor: float) -> Grading:
        """The grading of a grid whose cells are shorter by a factor."""
        return Grading(self.least / factor, self.growth / factor, self.largest / factor)


STANDARD = Grading(0.1e-3, 0.35, 2.0e-3)
"""Absorbed power within 2e-4 and reflection within 0.01 dB of a grid of twice the density."""

COUPLED = Grading(0.15e-3, 0.35, 2.5e-3)
"""For a field that is solved again and again as the tissue heats; half the time."""


@dataclass(frozen=True, eq=False)
class Section:
    """A grid around an antenna.

    Attributes:
        antenna: its dimensions.
        r: lines across the axis (nr,) [m].
        z: lines along it (nz,) [m].
        material: of each cell (nr - 1, nz - 1).
    """

    antenna: Coaxial
    r: Floats
    z: Floats
    material: NDArray[np.int8]

    @property
    def first_tissue(self) -> NDArray[np.int64]:
        """First column of tissue in each row of cells (nz - 1,)."""
        return np.asarray(np.argmax(self.material == TISSUE, axis=0))


def build_section(
    antenna: Coaxial, radius: float, bottom: float, top: float, grading: Grading = STANDARD
) -> Section:
    """The grid of a cylinder of tissue around an antenna.

    Args:
        antenna: its dimensions.
        radius: of the cylinder [m].
        bottom: its lower end, negative ahead of the tip [m].
        top: its upper end, where the feed enters [m].
        grading: sizes of the cells.

    Raises:
        ValueError: the cylinder does not hold the radiating part.
    """
    a, h = antenna, grading.least
    highest = max(a.slot_end, a.coax_end + a.cap)
    if radius <= a.catheter_radius or bottom >= 0.0 or top <= highest:
        raise ValueError("the cylinder must hold the antenna's radiating part")
    far = grading.largest
    inside = (a.dielectric_radius, a.conductor_radius, a.catheter_radius)
    r = _lines(
        [(0.0, far), (a.inner_radius, max(a.inner_radius, h)), *((x, h) for x in inside)]
        + [(radius, far)],
        grading,
    )
    marks = {0.0, a.coax_end, a.coax_end + a.cap, a.slot_start, a.slot_end}
    marks = {mark for mark in marks if bottom < mark < top}
    z = _lines([(bottom, far), *((x, h) for x in sorted(marks)), (top, far)], grading)
    middle = np.meshgrid(0.5 * (r[1:] + r[:-1]), 0.5 * (z[1:] + z[:-1]), indexing="ij")
    return Section(antenna, r, z, _materials(antenna, *middle))


def _materials(a: Coaxial, r: Floats, z: Floats) -> NDArray[np.int8]:
    """Material of cells with these middles."""
    material = np.full(r.shape, TISSUE, dtype=np.int8)
    if a.catheter_radius > a.conductor_radius:
        material[(r < a.catheter_radius) & (z > 0.0)] = CATHETER
    shaft = z > a.coax_end
    material[(r < a.conductor_radius) & shaft] = METAL
    material[(r > a.inner_radius) & (r < a.dielectric_radius) & (z > a.coax_end + a.cap)] = (
        DIELECTRIC
    )
    in_slot = (z > a.slot_start) & (z < a.slot_end)
    material[(r > a.dielectric_radius) & (r < a.conductor_radius) & in_slot] = SLOT
    material[(r < a.inner_radius) & (z > 0.0) & (z < a.wire)] = METAL
    return material


def _lines(marks: list[tuple[float, float]], grading: Grading) -> Floats:
    """Grid lines through marks (place, size of the cells there), graded in between."""
    marks = sorted(dict(marks).items())
    parts = [np.array([marks[0][0]])]
    for (start, first), (stop, last) in zip(marks[:-1], marks[1:], strict=True):
        parts.append(_graded(start, stop, first, last, grading)[1:])
    return np.concatenate(parts)


def _graded(start: float, stop: float, first: float, last: float, grading: Grading) -> Floats:
    """Lines between two marks, spaced by sizes that grow from both."""
    x = np.linspace(start, stop, 4001)
    size = np.minimum(first + grading.growth * (x - start), last + grading.growth * (stop - x))
    density = 1.0 / np.minimum(size, grading.largest)
    cells = np.append(0.0, np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(x)))
    # a rounding error must not add a cell
    count = max(1, int(np.ceil(cells[-1] - 1e-6)))
    lines = np.interp(np.linspace(0.0, cells[-1], count + 1), cells, x)
    lines[0], lines[-1] = start, stop
    return lines
