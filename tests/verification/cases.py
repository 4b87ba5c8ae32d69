"""What the verification problems share: one tissue with constant laws, lines of standard sizes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ablasim.anatomy import Anatomy, ProbeShape, Solid, block_solid
from ablasim.catalogue import NeedleShape, ProbeData
from ablasim.mesh import TetMesh
from ablasim.mesh_sizes import sizes_of
from ablasim.physics.generator import ConstantGenerator
from ablasim.physics.problem import Laws, Materials
from ablasim.shapes import Sdf

Floats = NDArray[np.float64]

BODY = 37.0
K = 0.52
CAPACITY = 1079.0 * 3540.0
PERFUSION = 1000.0 * 3639.0 * 3.6e-3
SIGMA = 0.333

LINEAR = Laws(vaporisation_band=(1e4, 2e4))
"""No vaporisation at any temperature that occurs: the laws are then those of the closed forms."""


def tissue(
    *,
    perfusion: float = 0.0,
    conductivity_slope: float = 0.0,
    sigma_slope: float = 0.0,
    regions: int = 1,
) -> Materials:
    """Liver in every region, without whatever is not asked for."""

    def all_regions(value: float) -> Floats:
        return np.full(regions, value)

    return Materials(
        wet_capacity=all_regions(CAPACITY),
        dry_capacity=all_regions(0.6e6),
        latent_heat=all_regions(1079.0 * 0.74 * 2.26e6),
        conductivity=all_regions(K),
        conductivity_slope=all_regions(conductivity_slope),
        perfusion=all_regions(perfusion),
        sigma=all_regions(SIGMA),
        sigma_slope=all_regions(sigma_slope),
        sigma_dry_ratio=all_regions(0.01),
    )


def off(duration: float) -> ConstantGenerator:
    """No drive, for a time [s]."""
    return ConstantGenerator("power", 0.0, duration)


def held(mesh: TetMesh, values: Mapping[str, float | Floats]) -> Floats:
    """`fixed_temperature` (n,) that holds surfaces at a number or at values per point [°C]."""
    fixed = np.full(len(mesh.points), np.nan)
    for name, value in values.items():
        points = np.unique(mesh.surface_faces(name))
        assert len(points), name
        fixed[points] = value if np.isscalar(value) else np.asarray(value)[points]
    return fixed


def standard_line(length: float) -> Floats:
    """Points from 0 to a length [m], spaced by the standard sizes away from a hot plane at 0."""
    s = sizes_of("standard")
    line = [0.0]
    while line[-1] < length:
        near = s.electrode + s.electrode_growth * line[-1]
        slow = s.plateau + s.plateau_growth * min(line[-1], s.reach)
        far = s.outer_growth * max(line[-1] - s.reach, 0.0)
        line.append(line[-1] + min(near, slow + far, s.largest))
    return np.array(line) * length / line[-1]


def ball_around(
    hot: Sdf,
    *,
    tip: float,
    length: float,
    radius: float,
    block: float,
    bodies: tuple[Solid, ...] = (),
    tumour: Sdf | None = None,
) -> Anatomy:
    """A made-up probe on the z axis in a ball around the origin, for the product's mesher.

    Args:
        hot: where the heat is released, for the sizes.
        tip: z of the probe's tip [m].
        length: of its active part [m].
        radius: of its shaft, for the sizes [m].
        block: radius of the ball [m].
        bodies: what the probe takes from the tissue.
        tumour: a second region.
    """
    data = ProbeData(
        "made up", "rf", NeedleShape(2.0 * radius, length, "flat"), None, None, efficiency=1.0
    )
    probe = ProbeShape(data, (0.0, 0.0, tip), (0.0, 0.0, 1.0), 0.0, bodies, hot)
    ball = block_solid("sphere", np.zeros(3), (2.0 * block,) * 3)
    return Anatomy(ball, None, tumour, (), (probe,), {"liver": "liver"})


def point_weights(mesh: TetMesh, place: Floats) -> Floats:
    """Values of the hat functions (n,) at a place (3,) [m]: the load of a point source there."""
    corner = mesh.points[mesh.cells]
    edges = np.moveaxis(corner[:, 1:] - corner[:, :1], 1, 2)
    inner = np.linalg.solve(edges, (place - corner[:, 0])[..., None])[..., 0]
    share = np.column_stack([1.0 - inner.sum(axis=1), inner])
    home = int(np.argmax(share.min(axis=1)))
    assert share[home].min() > -1e-9, "the place lies outside the mesh"
    weights = np.zeros(len(mesh.points))
    weights[mesh.cells[home]] = share[home]
    return weights
