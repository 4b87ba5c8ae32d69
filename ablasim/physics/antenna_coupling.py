"""An antenna's half plane and a tetrahedral mesh: heat one way, temperature the other.

Heat: the absorbed power per volume, bilinear on the antenna's grid, is integrated against the hats
of the mesh's points by quadrature on its tetrahedra, halved near the antenna where the pattern
changes within a cell. What that quadrature is off by is scaled away: the heat of the mesh is the
integral of the half plane over the same tissue. Where no tetrahedra lie, in the lumen of a vessel
or outside the block, no heat arrives; which share of each circle that is comes from points on it.

Temperature: the mean over circles around the antenna's axis. Where there is no tetrahedron, tissue
counts as at one temperature that the caller gives (`outside`): that of the start.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from ablasim.mesh import TetMesh
from ablasim.physics.antenna_section import COUPLED, Coaxial, build_section

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Vector = tuple[float, float, float]

ANGLES = 16
"""Points on each circle; staggered from circle to circle, so that neighbours fill the gaps."""

GOLDEN = 2.399963229728653
"""The golden angle [rad], by which circles are staggered."""

INSIDE = -0.02
"""Smallest barycentric coordinate that still counts as inside: a facet of a round wall cuts it."""

NEARBY = -1.0
"""Smallest one of a point beside the mesh that still takes the temperature of the next cell."""

LEAST_RADIUS, MOST_RADIUS = 20e-3, 50e-3
"""Of the half plane [m]; the absorbing border needs some distance, and little arrives at most."""

LEAST_AHEAD, MOST_AHEAD = 9e-3, 50e-3
"""How far the half plane goes ahead of the tip [m]."""

LEAST_BEHIND, MOST_BEHIND = 15e-3, 90e-3
"""How far it goes behind the end of the radiating part, and behind the tip [m]."""

GRAIN = 1e-4
"""Lengths of the half plane are rounded to this [m]: rounding errors of a moved mesh must not
change the grid."""

COARSE = (0.3, 0.9)
"""A cell longer than these shares of its distance from the axis is halved once, or twice."""

FAR, NEAR = 0.5854101966249685, 0.1381966011250105
"""Barycentric coordinates of the four-point rule of a tetrahedron, exact for quadratics (Keast
1986): FAR for one corner, NEAR for the others, all weights equal."""

CHUNK = 400_000
"""Samples that are held in memory at a time."""


class Frame(NamedTuple):
    """An antenna's own coordinates in the mesh's."""

    tip: Floats
    axis: Floats
    across: Floats
    sideways: Floats

    @classmethod
    def of(cls, tip: Vector, direction: Vector) -> Frame:
        """The frame of a tip [m] and a direction along the shaft."""
        axis = np.asarray(direction, dtype=float)
        axis = axis / np.linalg.norm(axis)
        across = np.cross(axis, np.eye(3)[int(np.argmin(np.abs(axis)))])
        across /= np.linalg.norm(across)
        return cls(np.asarray(tip, dtype=float), axis, across, np.cross(axis, across))

    def polar(self, x: Floats) -> tuple[Floats, Floats]:
        """Distance from the axis and along it of points (..., 3) [m]."""
        offset = x - self.tip
        along = offset @ self.axis
        return np.linalg.norm(offset - along[..., None] * self.axis, axis=-1), along

    def circles(self, r: Floats, z: Floats) -> Floats:
        """Points on circles (k, ANGLES, 3) [m]."""
        turn = np.arange(ANGLES) * (2.0 * np.pi / ANGLES)
        angle = turn + (GOLDEN * np.arange(len(r)))[:, None]
        spoke = np.cos(angle)[..., None] * self.across + np.sin(angle)[..., None] * self.sideways
        return self.tip + z[:, None, None] * self.axis + r[:, None, None] * spoke


class Coupling:
    """One antenna in one mesh; prepared once.

    Attributes:
        antenna: with its grid, in a cylinder around the mesh.
        heat: heat of mesh points from the corners' density (n, v) [m3].
        mean: corners' temperature from mesh points (v, n).
        outside: share of each corner's circle where no tetrahedron gives the temperature (v,).
        share: of each corner's circle in the mesh (v,).
    """

    def __init__(
        self, mesh: TetMesh, tip: Vector, direction: Vector, coaxial: Coaxial, frequency: float
    ) -> None:
        frame = Frame.of(tip, direction)
        r, z = frame.polar(mesh.points)
        end = max(coaxial.slot_end, coaxial.coax_end + coaxial.cap) + LEAST_BEHIND
        section = build_section(
            coaxial,
            radius=_rounded(np.clip(r.max(), LEAST_RADIUS, MOST_RADIUS)),
            bottom=-_rounded(np.clip(-z.min(), LEAST_AHEAD, MOST_AHEAD)),
            top=_rounded(np.clip(z.max(), end, MOST_BEHIND)),
            grading=COUPLED,
        )
        # scikit-fem is loaded by those who need the field only
        from ablasim.physics.antenna import Antenna

        self.antenna = Antenna(section, frequency)
        self.heat = self._heat(mesh, frame)
        self._circles(mesh, frame)

    def _heat(self, mesh: TetMesh, frame: Frame) -> csr_matrix:
        """int hat_i N_v dV over the tetrahedra, with N_v the hats of the grid's corners."""
        total = csr_matrix((len(mesh.points), len(self.antenna.corners)))
        volume = mesh.cell_volumes()
        length = np.cbrt(6.0 * np.sqrt(2.0) * volume)
        r, _ = frame.polar(mesh.points[mesh.cells].mean(axis=1))
        halvings = (length > COARSE[0] * r).astype(int) + (length > COARSE[1] * r)
        for level in range(3):
            rule = _rule(level)
            chosen = np.flatnonzero(halvings == level)
            for part in np.array_split(chosen, max(1, len(chosen) * len(rule) // CHUNK)):
                cells = mesh.cells[part]
                places = np.einsum("sv,cvi->csi", rule, mesh.points[cells]).reshape(-1, 3)
                corner, weight = self._hats(*frame.polar(places))
                hats = _rows(corner, weight, total.shape[1])
                share = np.einsum("c,sv->csv", volume[part] / len(rule), rule).reshape(-1, 4)
                points = _rows(np.repeat(cells, len(rule), axis=0), share, total.shape[0])
                total = total + points.T @ hats
        return total.tocsr()

    def _hats(self, r: Floats, z: Floats) -> tuple[Indices, Floats]:
        """The four corners around places (...) and their bilinear weights (..., 4).

        A place inside the antenna, behind a facet of its round wall, counts as on the wall; one
        beyond the grid has no weight.
        """
        section = self.antenna.section
        within = (r <= section.r[-1]) & (z >= section.z[0]) & (z <= section.z[-1])
        row = np.clip(np.searchsorted(section.z, z) - 1, 0, len(section.z) - 2)
        column = np.clip(np.searchsorted(section.r, r) - 1, 0, len(section.r) - 2)
        first = section.first_tissue[row]
        r = np.maximum(r, section.r[first])
        column = np.maximum(column, first)
        x = np.clip((r - section.r[column]) / np.diff(section.r)[column], 0.0, 1.0)
        y = np.clip((z - section.z[row]) / np.diff(section.z)[row], 0.0, 1.0)
        weight = np.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], axis=-1)
        table = self._numbers
        corner = np.stack(
            [table[column + i, row + j] for i, j in ((0, 0), (1, 0), (0, 1), (1, 1))], axis=-1
        )
        return corner, weight * within[..., None]

    @property
    def _numbers(self) -> Indices:
        """Number of the tissue corner at each crossing of the grid's lines (nr, nz)."""
        section, corners = self.antenna.section, self.antenna.corners
        table = np.zeros((len(section.r), len(section.z)), dtype=np.int64)
        column = np.searchsorted(section.r, corners[:, 0] - 1e-9)
        row = np.searchsorted(section.z, corners[:, 1] - 1e-9)
        table[column, row] = np.arange(len(corners))
        return table

    def _circles(self, mesh: TetMesh, frame: Frame) -> None:
        """Where the circles through the corners run in the mesh."""
        corners = self.antenna.corners
        places = frame.circles(corners[:, 0], corners[:, 1]).reshape(-1, 3)
        cell, inner = locate(mesh, places)
        least = inner.min(axis=1)
        circle = np.repeat(np.arange(len(corners)), ANGLES)
        self.share = np.bincount(circle, least >= INSIDE, minlength=len(corners)) / ANGLES
        near = np.flatnonzero(least >= NEARBY)
        clamped = np.maximum(inner[near], 0.0)
        clamped /= clamped.sum(axis=1, keepdims=True)
        rows = np.repeat(circle[near], 4)
        entries = (clamped.ravel() / ANGLES, (rows, mesh.cells[cell[near]].ravel()))
        self.mean = csr_matrix(entries, shape=(len(corners), len(mesh.points)))
        self.outside = 1.0 - np.asarray(self.mean.sum(axis=1)).ravel()


def locate(mesh: TetMesh, places: Floats) -> tuple[Indices, Floats]:
    """The cell of each place (k,), or the one it is least far out of, and its weights (k, 4)."""
    corner = mesh.points[mesh.cells]
    edges = np.linalg.inv(np.moveaxis(corner[:, 1:] - corner[:, :1], 1, 2))
    tree = cKDTree(corner.mean(axis=1))
    best = np.zeros(len(places), dtype=np.int64)
    weights = np.full((len(places), 4), -np.inf)
    open_ = np.arange(len(places))
    # a large cell beside small ones is not among the nearest few by its middle
    for count in (8, 40, 160):
        count = min(count, len(mesh.cells))
        for part in np.array_split(open_, max(1, len(open_) * count // 400_000)):
            near = tree.query(places[part], count)[1].reshape(len(part), count)
            inner = np.einsum("pcij,pcj->pci", edges[near], places[part][:, None] - corner[near, 0])
            inner = np.concatenate([1.0 - inner.sum(axis=2, keepdims=True), inner], axis=2)
            chosen = np.argmax(inner.min(axis=2), axis=1)
            row = np.arange(len(part))
            best[part], weights[part] = near[row, chosen], inner[row, chosen]
        open_ = open_[weights[open_].min(axis=1) < -1e-9]
    return best, weights


def _rows(columns: NDArray[np.integer], values: Floats, width: int) -> csr_matrix:
    """A sparse matrix with four entries in every row, from tables (k, 4)."""
    start = np.arange(len(columns) + 1) * 4
    return csr_matrix((values.ravel(), columns.ravel(), start), shape=(len(columns), width))


def _rule(level: int) -> Floats:
    """Barycentric points (s, 4) of equal weight in a tetrahedron halved `level` times."""
    corners = [np.eye(4)]
    for _ in range(level):
        corners = [child for parent in corners for child in _halved(parent)]
    rule = np.full((4, 4), NEAR) + (FAR - NEAR) * np.eye(4)
    return np.concatenate([rule @ corner for corner in corners])


def _halved(corner: Floats) -> list[Floats]:
    """The eight children of equal volume of a tetrahedron (4, 4), by the middles of its edges."""
    a, b, c, d = corner
    ab, ac, ad, bc, bd, cd = (
        0.5 * (p + q) for p, q in ((a, b), (a, c), (a, d), (b, c), (b, d), (c, d))
    )
    children = [(a, ab, ac, ad), (b, ab, bc, bd), (c, ac, bc, cd), (d, ad, bd, cd)]
    # the octahedron that is left, around its diagonal from ab to cd
    children += [(ab, cd, ac, ad), (ab, cd, ad, bd), (ab, cd, bd, bc), (ab, cd, bc, ac)]
    return [np.stack(child) for child in children]


def _rounded(length: float) -> float:
    return float(np.round(length / GRAIN) * GRAIN)


__all__ = ["FAR", "NEAR", "Coupling", "Frame", "locate"]
