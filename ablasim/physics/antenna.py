"""A coaxial antenna in tissue of any temperature: absorbed heat, reflection, power balance.

Everything is per watt of the wave that arrives at the antenna's feed. What arrives is reflected,
absorbed in tissue, leaks along the catheter, or leaves through the outer boundary of the domain.
Cable and catheter count as free of loss and the metal as perfect.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import SuperLU, splu
from skfem import MeshQuad

from ablasim.physics.antenna_field import IMPEDANCE, FieldOperator, Trial
from ablasim.physics.antenna_section import METAL, TISSUE, Section

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class AntennaSolution:
    """The field of one watt of incident power.

    Attributes:
        reflection: complex amplitude of the reflected TEM mode over the incident one, S11.
        absorbed: in all tissue of the domain [W/W].
        leaked: along the catheter through the top of the domain [W/W].
        radiated: through its outer boundary [W/W].
        density: absorbed power per volume at the corners of tissue cells (v,) [W/m3/W]; bilinear
            between them, with the same integral as the field's own.
        field: u = r H_phi at the unknowns [A].
    """

    reflection: complex
    absorbed: float
    leaked: float
    radiated: float
    density: Floats
    field: Complexes

    @property
    def reflected(self) -> float:
        """Share of the incident power that returns into the cable [W/W]."""
        return abs(self.reflection) ** 2

    @property
    def imbalance(self) -> float:
        """What the parts lack of one watt; rounding alone makes it [W/W]."""
        return 1.0 - self.reflected - self.absorbed - self.leaked - self.radiated


class Antenna:
    """An antenna with its grid, ready to be solved for any dielectric of the tissue.

    Args:
        section: the grid around it.
        frequency: of its generator [Hz].
    """

    def __init__(self, section: Section, frequency: float) -> None:
        self.section = section
        a, material = section.antenna, section.material
        grid = MeshQuad.init_tensor(section.r, section.z)
        middle = grid.p[:, grid.t].mean(axis=1)
        column = np.searchsorted(section.r, middle[0]) - 1
        row = np.searchsorted(section.z, middle[1]) - 1
        kind = material[column, row]
        kept = kind != METAL
        mesh = grid.restrict(np.flatnonzero(kept))
        self.kind = kind[kept]
        self.tissue = np.flatnonzero(self.kind == TISSUE)
        self.operator = FieldOperator(mesh, frequency, near=a.inner_radius)
        self.fixed = np.array(
            [1.0 if k == TISSUE else a.permittivity(int(k)) for k in self.kind], dtype=complex
        )
        used = np.unique(mesh.t[:, self.tissue])
        self.corners: Floats = mesh.p[:, used].T.copy()
        self.cell_corners: Indices = np.searchsorted(used, mesh.t[:, self.tissue]).T
        self._ends()

    def _ends(self) -> None:
        """Facets of feed, catheter's top and outer boundary."""
        section, mesh = self.section, self.operator.mesh
        facets = mesh.boundary_facets()
        r, z = mesh.p[:, mesh.facets[:, facets]].mean(axis=1)
        top = np.isclose(z, section.z[-1], rtol=0.0, atol=1e-9)
        inside = r < section.antenna.conductor_radius
        in_tissue = self.kind[mesh.f2t[0, facets]] == TISSUE
        outer = top | np.isclose(z, section.z[0], rtol=0.0, atol=1e-9)
        outer |= np.isclose(r, section.r[-1], rtol=0.0, atol=1e-9)
        self.feed = self.operator.boundary(facets[top & inside])
        self.outer = self.operator.boundary(facets[outer & in_tissue])
        sleeve = facets[top & ~inside & ~in_tissue]
        self.sleeve = self.operator.boundary(sleeve) if len(sleeve) else None

    @cached_property
    def _projection(self) -> tuple[Floats, SuperLU]:
        """Bilinear hats of tissue corners at the quadrature points, and their mass matrix."""
        weight = self.operator.cells.weight[self.tissue]
        points = np.asarray(self.operator.basis.quadrature[0])
        x, y = points
        # the corners of scikit-fem's reference square in its own order
        hats = np.stack([(1 - x) * (1 - y), x * (1 - y), x * y, (1 - x) * y], axis=-1)
        local = np.einsum("cq,qi,qj->cij", weight, hats, hats)
        rows = np.repeat(self.cell_corners, 4, axis=1).ravel()
        cols = np.tile(self.cell_corners, (1, 4)).ravel()
        size = len(self.corners)
        mass = coo_matrix((local.ravel(), (rows, cols)), shape=(size, size)).tocsc()
        return hats, splu(mass, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})

    @cached_property
    def corner_volume(self) -> Floats:
        """Integral of each corner's hat over the tissue (v,) [m3]."""
        hats, _ = self._projection
        weight = self.operator.cells.weight[self.tissue]
        share = 2.0 * np.pi * weight @ hats
        return np.bincount(self.cell_corners.ravel(), share.ravel(), minlength=len(self.corners))

    def permittivity(self, tissue: Complexes) -> Complexes:
        """Of all cells (c,), from that of the tissue cells (t,)."""
        values = self.fixed.copy()
        values[self.tissue] = tissue
        return values

    def solve(self, tissue: Complexes) -> AntennaSolution:
        """The field of one watt.

        Args:
            tissue: complex relative permittivity of the tissue cells (t,).
        """
        operator, eps = self.operator, self.permittivity(tissue)
        matrix = operator.matrix(eps)
        for part in (self.feed, self.outer, self.sleeve):
            if part is not None:
                matrix = matrix + operator.admittance(part[0], eps[part[1]])
        feed, behind = self.feed
        cable = eps[behind]
        incident = self.incident_field(feed)
        rate = 2j * operator.wave_number / np.sqrt(cable)
        u = operator.solve(matrix, operator.load(feed, rate[:, None] * incident))
        heat = operator.absorption(u, eps)[self.tissue]
        weight = operator.cells.weight[self.tissue]
        hats, mass = self._projection
        load = np.einsum("cq,cq,qi->ci", weight, heat, hats)
        load = np.bincount(self.cell_corners.ravel(), load.ravel(), minlength=len(self.corners))
        seen = np.einsum("cqb,cb->cq", feed.value, u[feed.dofs])
        # projection on the TEM mode, 1/r across the cable
        mode = (feed.weight * seen * incident).sum() / (feed.weight * incident**2).sum()
        return AntennaSolution(
            reflection=complex(mode - 1.0),
            absorbed=float(2.0 * np.pi * (weight * heat).sum()),
            leaked=self._outflow(u, self.sleeve, eps),
            radiated=self._outflow(u, self.outer, eps),
            density=self._positive(mass.solve(load), load.sum()),
            field=u,
        )

    def _positive(self, density: Floats, total: float) -> Floats:
        """The projection without its undershoot beside edges of metal, its integral kept."""
        cut = np.maximum(density, 0.0)
        share: Floats = cut * (2.0 * np.pi * total / (cut @ self.corner_volume))
        return share

    def incident_field(self, feed: Trial) -> Floats:
        """H_phi of the TEM mode that carries one watt, at the feed's points (f, q) [A/m].

        Power of the mode H = u/r between radii a and b: pi Z u^2 ln(b/a), Z = Z0/sqrt(eps).
        """
        a = self.section.antenna
        impedance = IMPEDANCE / np.sqrt(a.dielectric_permittivity)
        ratio = np.log(a.dielectric_radius / a.inner_radius)
        amplitude = 1.0 / np.sqrt(np.pi * impedance * ratio)
        # the hats sum to one: their H sums to 1/r
        field: Floats = amplitude * feed.value.sum(axis=-1)
        return field

    def _outflow(self, u: Complexes, part: tuple[Trial, Indices] | None, eps: Complexes) -> float:
        return 0.0 if part is None else self.operator.outflow(u, part[0], eps[part[1]])
