"""A small cube of uneven cells with a cooled wall: where manufactured solutions live."""

from __future__ import annotations

import numpy as np

from ablasim.mesh import TetMesh
from ablasim.physics.problem import Electrodes
from ablasim.verify.patches import box
from ablasim.verify.scenes import Floats

SIDE = 0.01
SLOPE, SINK = 0.005, 4.5e4
LIQUID, COEFFICIENT = 30.0, 250.0


def bent(x: Floats) -> Floats:
    """The unit cube mapped smoothly: no two cells are alike, and the wall x = 0 stays plane."""
    u, v, w = x.T
    bump = np.sin(np.pi * u) * np.sin(np.pi * v) * np.sin(np.pi * w)
    return SIDE * np.stack([u + 0.06 * bump, v - 0.05 * bump, w + 0.07 * bump * v], axis=1)


def cube(count: int) -> TetMesh:
    """The bent cube with a number of cells along each edge."""
    line = np.linspace(0.0, 1.0, count + 1)
    names = ("wall", "side0", "side1", "side2", "side3", "side4")
    return box((line, line, line), bent, names)


def electrodes_of(mesh: TetMesh) -> Electrodes:
    """One volt between two opposite sides."""
    number = np.arange(len(mesh.points))
    active, grounded = (np.isin(number, mesh.surface_faces(name)) for name in ("wall", "side0"))
    return Electrodes(active, grounded, np.zeros(len(number)))


# -- in space: k(T), perfusion, a cooled wall, held sides -----------------------------------------
