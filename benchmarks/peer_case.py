"""The yardstick's case as plain arrays in one .npz, which is all that the peers get of it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ablasim.physics.binding import build_problem
from ablasim.physics.generator import Reading
from ablasim.physics.problem import BioheatProblem, Electrodes
from ablasim.run import place_in_mesh
from ablasim.scenario import Scenario, load_scenario

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

SCENARIO = Path(__file__).resolve().parents[1] / "scenarios" / "rf_beside_portal_vein.yaml"

MATERIALS = ("wet_capacity", "dry_capacity", "latent_heat", "conductivity", "conductivity_slope")
MATERIALS += ("perfusion", "sigma", "sigma_slope", "sigma_dry_ratio")
"""Fields of `physics.problem.Materials`."""


def load_case(resolution: str) -> tuple[Scenario, BioheatProblem]:
    """The case that everybody solves: no death models, and blood that does not warm on its way."""
    changed = {"numerics.resolution": resolution, "physics.blood_warming": False}
    scenario = load_scenario(SCENARIO, changed)
    problem = build_problem(scenario, *place_in_mesh(scenario))
    return scenario, replace(problem, laws=replace(problem.laws, death=None))


class Constants(NamedTuple):
    """Numbers of the case that hold everywhere.

    Attributes:
        start, blood: temperature at time zero, and of the blood [°C].
        low, high: ends of the vaporisation band [°C].
        shutdown: temperature that ends perfusion [°C].
        drop: width of the fall of sigma [K].
        power: of the generator [W].
        duration: [s].
    """

    start: float
    blood: float
    low: float
    high: float
    shutdown: float
    drop: float
    power: float
    duration: float


@dataclass(frozen=True)
class Case:
    """Mesh, numbers and nothing that says how to solve.

    Attributes:
        points: (n, 3) [m].
        cells: corners (m, 4).
        region: of each cell (m,).
        materials: one row for each name in MATERIALS, one column for each region (9, r).
        wall_faces: triangles of all cooled surfaces (f, 3).
        wall_of: the surface of each of them (f,).
        wall_h, wall_temperature: of each surface (w,) [W/m2/K] and [°C].
        active: mask of the electrode's points (n,).
        far_field: conductance to infinity per point (n,) [S].
        fixed: temperature where a point is held, NaN elsewhere (n,) [°C].
        constants: those of Constants (8,).
    """

    points: Floats
    cells: Ints
    region: Ints
    materials: Floats
    wall_faces: Ints
    wall_of: Ints
    wall_h: Floats
    wall_temperature: Floats
    active: NDArray[np.bool_]
    far_field: Floats
    fixed: Floats
    constants: Floats

    @classmethod
    def of(cls, problem: BioheatProblem) -> Self:
        """The arrays of a problem; refuses what the peers' scripts have no words for."""
        electrodes, generator, laws = problem.electrodes, problem.generator, problem.laws
        assert isinstance(electrodes, Electrodes) and electrodes.active.ndim == 1
        assert not electrodes.grounded.any() and problem.source is None
        assert all(wall.stream is None for wall in problem.walls)
        assert problem.fixed_temperature is not None
        return cls(
            points=problem.mesh.points,
            cells=problem.mesh.cells,
            region=np.asarray(problem.mesh.cell_region, dtype=np.int32),
            materials=np.array([getattr(problem.materials, name) for name in MATERIALS]),
            wall_faces=np.concatenate([wall.faces for wall in problem.walls]),
            wall_of=np.repeat(
                np.arange(len(problem.walls), dtype=np.int32),
                [len(wall.faces) for wall in problem.walls],
            ),
            wall_h=np.array([wall.coefficient for wall in problem.walls], dtype=float),
            wall_temperature=np.array([wall.temperature for wall in problem.walls]),
            active=electrodes.active,
            far_field=electrodes.far_field,
            fixed=problem.fixed_temperature,
            constants=np.array(
                Constants(
                    problem.initial_temperature,
                    problem.blood_temperature,
                    *laws.vaporisation_band,
                    laws.perfusion_shutdown,
                    laws.sigma_drop,
                    generator.drive(generator.start(Reading(0.0)), 0.0).power,
                    generator.duration,
                ),
                dtype=float,
            ),
        )

    def numbers(self) -> Constants:
        """The constants by name."""
        return Constants(*self.constants.tolist())

    def material(self, name: str) -> Floats:
        """A quantity of MATERIALS in each region (r,)."""
        row: Floats = self.materials[MATERIALS.index(name)]
        return row

    def write(self, path: Path) -> None:
        """Keep it as .npz."""
        np.savez(path, **vars(self))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The inverse of `write`."""
        with np.load(path) as stored:
            return cls(**stored)
