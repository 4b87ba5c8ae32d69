"""BioheatProblem: Pennes' equation bound to a mesh, as plain arrays that any engine can solve.

    dH(T)/dt = div(k(T) grad T) - W(T, peak) (T - T_b) + Q

with -k dT/dn = h (T - T_wall) on vessel walls and cooled probe surfaces, a fixed temperature or no
heat flow on the outer surface, and Q from an electric potential, an absorption pattern or a given
source. Nothing here knows how it is solved.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ablasim.mesh import TetMesh
from ablasim.physics.antenna_heat import MicrowaveField
from ablasim.physics.blood import BloodTree
from ablasim.physics.damage import DeathModels
from ablasim.physics.electric import Circuit
from ablasim.physics.generator import Generator

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Materials:
    """Tissue constants, one value per region of the mesh (r,).

    Attributes:
        wet_capacity: rho c below the vaporisation band [J/m3/K].
        dry_capacity: rho_v c_v above it [J/m3/K].
        latent_heat: heat of vaporisation per volume of tissue [J/m3].
        conductivity: k0 at 37 °C [W/m/K].
        conductivity_slope: dk up to 100 °C [W/m/K2].
        perfusion: W = rho_b c_b omega_b [W/m3/K].
        sigma: electrical conductivity at 37 °C [S/m].
        sigma_slope: its relative rise [1/K].
        sigma_dry_ratio: sigma of dried tissue over sigma at 37 °C.
    """

    wet_capacity: Floats
    dry_capacity: Floats
    latent_heat: Floats
    conductivity: Floats
    conductivity_slope: Floats
    perfusion: Floats
    sigma: Floats
    sigma_slope: Floats
    sigma_dry_ratio: Floats


@dataclass(frozen=True)
class Laws:
    """Constants of the laws that all tissues share.

    Attributes:
        vaporisation_band: lower and upper temperature [°C].
        sigma_drop: width of the fall of sigma above 100 °C [K].
        perfusion_shutdown: temperature [°C] that ends perfusion for good; infinite for never.
        death: models of tissue death that are integrated beside the heat; None for none of them.
    """

    vaporisation_band: tuple[float, float] = (99.0, 100.0)
    sigma_drop: float = 5.0
    perfusion_shutdown: float = np.inf
    death: DeathModels | None = None

    @property
    def perfusion_has_border(self) -> bool:
        """Whether perfusion ends altogether from a temperature or a share of dead cells on."""
        by_model = self.death is not None and self.death.stasis == "three_state"
        return by_model or bool(np.isfinite(self.perfusion_shutdown))


@dataclass(frozen=True, eq=False)
class Stream:
    """The blood along a vessel's wall, which warms on its way.

    Each wall point exchanges heat with the blood of two stations, weighted by its place between
    them; the two may be the same.

    Attributes:
        tree: the vessel's branches and their stations.
        station: the two stations of each wall point, points in the order of `Wall.points` (p, 2).
        weight: their weights, which sum to one (p, 2).
        coagulates: branches (b,) that lose their flow for good when their wall stays hot.
    """

    tree: BloodTree
    station: NDArray[np.int32]
    weight: Floats
    coagulates: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class Wall:
    """A surface cooled by a flowing liquid: -k dT/dn = h (T - T_liquid).

    Attributes:
        name: the surface's name in the mesh.
        kind: "vessel" or "probe", the group of the heat account that it belongs to.
        faces: its triangles (f, 3).
        coefficient: h [W/m2/K], one value or one for each of `points` (p,).
        temperature: of the liquid where it enters, and everywhere without a stream [°C].
        stream: how the liquid warms along the wall; None where it stays as it is.
    """

    name: str
    kind: Literal["vessel", "probe"]
    faces: NDArray[np.int32]
    coefficient: float | Floats
    temperature: float
    stream: Stream | None = None

    @property
    def points(self) -> NDArray[np.int32]:
        """Numbers of its mesh points, ascending (p,)."""
        return np.unique(self.faces)


@dataclass(frozen=True, eq=False)
class Electrodes:
    """The potential problem.

    Attributes:
        active: mask of the points of the electrode (n,), or of each of several conductors (K, n).
        grounded: mask of the points at 0 V (n,).
        far_field: conductance to infinity per point (n,) [S].
        circuits: the wiring of each turn; one turn unless electrodes are switched.
    """

    active: NDArray[np.bool_]
    grounded: NDArray[np.bool_]
    far_field: Floats
    circuits: tuple[Circuit, ...] = (Circuit(),)

    @property
    def conductors(self) -> NDArray[np.bool_]:
        """The masks of the conductors (K, n)."""
        return np.atleast_2d(self.active)


@dataclass(frozen=True, eq=False)
class BioheatProblem:
    """Everything an engine needs; arrays over mesh points are in the mesh's own order.

    Attributes:
        mesh: tetrahedra of the tissue.
        materials: tissue constants per region.
        laws: constants shared by all tissues.
        generator: the drive over time.
        walls: cooled surfaces.
        blood_temperature: T_b of the perfusion term [°C].
        initial_temperature: one value or one per point (n,) [°C].
        fixed_temperature: value where a point is held (n,) [°C], NaN where it is free.
        electrodes: the potential problem, or None.
        absorption: heat per point for one watt of the generator (n,) [W/W], or None.
        microwave: heat of antennas that follows the temperature, or None.
        source: constant heat per point (n,) [W], or None.
        sensors: weights with which the points make up each sensor's temperature (s, n), or None.
    """

    mesh: TetMesh
    materials: Materials
    laws: Laws
    generator: Generator
    walls: tuple[Wall, ...] = ()
    blood_temperature: float = 37.0
    initial_temperature: float | Floats = 37.0
    fixed_temperature: Floats | None = None
    electrodes: Electrodes | None = None
    absorption: Floats | None = None
    microwave: MicrowaveField | None = None
    source: Floats | None = None
    sensors: Floats | None = None

    def per_cell(self, values: Floats) -> Floats:
        """Region values (r,) spread to cells (m,)."""
        spread: Floats = values[self.mesh.cell_region]
        return spread

    def lump(self, cell_values: Floats) -> Floats:
        """Integrals of P1 hats times a value per cell (m,): one quarter of V each, (n,)."""
        share = np.repeat(cell_values * self.mesh.cell_volumes() / 4.0, 4)
        return np.bincount(self.mesh.cells.ravel(), share, minlength=len(self.mesh.points))

    def wall_conductance(self, wall: Wall) -> Floats:
        """h A of each of a wall's points (p,) [W/K]."""
        conductance: Floats = self.wall_share(wall)[wall.points] * wall.coefficient
        return conductance

    def wall_share(self, wall: Wall) -> Floats:
        """Area of a wall that belongs to each mesh point (n,) [m2]."""
        corner = self.mesh.points[wall.faces]
        area = 0.5 * np.linalg.norm(
            np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1
        )
        return np.bincount(
            wall.faces.ravel(), np.repeat(area / 3.0, 3), minlength=len(self.mesh.points)
        )

    def fingerprint(self) -> str:
        """Hash of all arrays and constants: two problems that solve alike have the same one."""
        digest = hashlib.sha256()
        _feed(digest, self)
        return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    """Add a dataclass, an array or a constant to a hash."""
    if isinstance(value, np.ndarray):
        digest.update(str((value.dtype, value.shape)).encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif hasattr(value, "__dataclass_fields__"):
        digest.update(f"<{type(value).__name__}".encode())
        for field in fields(value):
            digest.update(f";{field.name}=".encode())
            _feed(digest, getattr(value, field.name))
        digest.update(b">")
    elif isinstance(value, tuple):
        digest.update(f"({len(value)}".encode())
        for item in value:
            _feed(digest, item)
        digest.update(b")")
    else:
        digest.update(f"{value!r},".encode())
