"""The cooled rim: tissue next to an internally cooled probe that the zone surrounds.

A cooled probe keeps a shell of tissue, about a millimetre thick, below the lethal level although
everything around it is dead. When the coolant stops, the heat around reaches it; clinically it
belongs to the zone. A cold part counts as rim when it touches a probe, the zone closes around it,
and no vessel feeds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ablasim.mesh_cut import tet_fraction_above
from ablasim.mesh_tet import TetMesh

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SLAB = 1e-3
"""Thickness of a slice perpendicular to the probe [m]: the size of a cell beside the needle."""
SLAB_SHIFT = 0.37
"""Places the slices so that the layers of a regular mesh do not fall on their boundaries."""
BRIDGED = 2
"""Slices that may lack nodes between two closed ones."""
MOST_ABOVE = 1.0
"""Most that the rim is lifted above the level [K, or decades of a dose]: more would carry the zone
past the rim where that ends in cold tissue (by 0.009 ml in rf_bipolar)."""
WIDEST_GAP = np.pi / 3
"""Hot tissue surrounds the axis when no sector wider than this is free of it."""


class ProbeAxis(Protocol):
    """What the assessment needs of a probe; probe i owns the surfaces `probe.<i>.*`."""

    @property
    def tip(self) -> ArrayLike:
        """Foremost point (3,) [m]."""

    @property
    def direction(self) -> ArrayLike:
        """Unit vector from the tip to the entry (3,)."""


def axis_of(probe: ProbeAxis) -> tuple[Floats, Floats]:
    """Tip and unit direction of a probe as arrays (3,)."""
    return np.asarray(probe.tip, dtype=np.float64), np.asarray(probe.direction, dtype=np.float64)


def fill_cooled_rim(
    mesh: TetMesh, peak: Floats, level: float, probes: Sequence[ProbeAxis] = ()
) -> tuple[Floats, float]:
    """Lift the cooled rim above the level, so that the zone is the filled shape.

    A connected part of the tissue below the level (along mesh edges) is rim if it touches a probe
    and neither a vessel wall nor the outer boundary. Where a cooled shaft leaves the zone, the rim
    is open at that end and hangs together with the healthy tissue; there, with `probes` given, it
    is bounded by the slices perpendicular to the probe in which hot tissue lies on all sides. A
    part that touches a vessel is never filled.

    The rim lies as far above the level as it was below, but at most `MOST_ABOVE`, so that the zone
    follows the field: set to the level itself, it made a notch as long as an edge of the mesh
    wherever a node beside it missed the level by a hundredth of a kelvin. Where slices bound it,
    the zone still ends with one slice or the next.

    Args:
        mesh: the tissue.
        peak: highest temperature that each node reached (n,) [°C].
        level: lethal temperature [°C].
        probes: axes of the probes, for open rims.

    Returns:
        The field with the rim lifted (n,) [°C], and the volume it adds [m3].
    """
    cold = peak < level
    at_probe = _touching(mesh, "probe.")
    at_vessel = _touching(mesh, "vessel.")
    if not (cold & at_probe).any() or cold.all():
        return peak.copy(), 0.0
    rim = _parts(mesh, cold, at_probe, at_vessel | _touching(mesh, "outer"))
    if (cold & at_probe & ~rim).any():
        for probe in probes:
            inside = cold & ~rim & _inside_slices(mesh.points, ~cold, probe)
            rim |= _parts(mesh, inside, at_probe, at_vessel)
    filled = np.where(rim, level + np.minimum(level - peak, MOST_ABOVE), peak)
    touched = rim[mesh.cells].any(axis=1)
    cells = mesh.cells[touched]
    gained = tet_fraction_above(filled[cells], level) - tet_fraction_above(peak[cells], level)
    return filled, float(mesh.cell_volumes()[touched] @ gained)


def _touching(mesh: TetMesh, prefix: str) -> Mask:
    """Nodes on the surfaces whose name starts with `prefix`."""
    wanted = [i for i, name in enumerate(mesh.surfaces) if name.startswith(prefix)]
    nodes = np.zeros(len(mesh.points), dtype=bool)
    nodes[mesh.faces[np.isin(mesh.face_surface, wanted)]] = True
    return nodes


def _parts(mesh: TetMesh, members: Mask, required: Mask, forbidden: Mask) -> Mask:
    """Connected parts of `members` with a node in `required` and none in `forbidden`."""
    if not (members & required).any():
        return np.zeros_like(members)
    inside = members[mesh.cells]
    cells = mesh.cells[inside.sum(axis=1) > 1]
    inside = inside[inside.sum(axis=1) > 1]
    # Joining every member of a cell to one of them connects as much as all six edges do.
    first = cells[np.arange(len(cells)), inside.argmax(axis=1)]
    row = np.repeat(first, 4)[inside.ravel()]
    column = cells.ravel()[inside.ravel()]
    size = len(mesh.points)
    graph = coo_matrix((np.ones(len(row), dtype=np.int8), (row, column)), shape=(size, size))
    count, label = connected_components(graph, directed=False)
    chosen = np.zeros(count, dtype=bool)
    chosen[label[members & required]] = True
    chosen[label[members & forbidden]] = False
    return np.asarray(chosen[label] & members)


def _inside_slices(points: Floats, hot: Mask, probe: ProbeAxis) -> Mask:
    """Nodes nearer to the axis than the hot tissue that surrounds it in their slice."""
    tip, direction = axis_of(probe)
    relative = points - tip
    along = relative @ direction
    across = relative - along[:, None] * direction
    radius = np.linalg.norm(across, axis=1)
    first, second = np.linalg.svd(direction[None, :])[2][1:]
    angle = np.arctan2(across @ second, across @ first)
    slab = np.floor(along / SLAB + SLAB_SHIFT).astype(np.int64)
    slab -= slab[hot].min()
    closed = np.zeros(slab[hot].max() + 1)
    order = np.flatnonzero(hot)[np.argsort(slab[hot], kind="stable")]
    for members in np.split(order, np.flatnonzero(np.diff(slab[order])) + 1):
        closed[slab[members[0]]] = _closed_radius(radius[members], angle[members])
    known = np.flatnonzero(closed)
    for before, after in zip(known[:-1], known[1:], strict=True):
        if after - before <= BRIDGED + 1:
            closed[before + 1 : after] = min(closed[before], closed[after])
    # The last slice reaches past the zone's end, so both neighbours must be closed as well.
    beside = np.minimum(np.append(closed[1:], 0.0), np.append(0.0, closed[:-1]))
    closed = np.minimum(closed, beside)
    valid = (slab >= 0) & (slab < len(closed))
    return np.asarray(valid & (radius < closed[np.clip(slab, 0, len(closed) - 1)]))


def _closed_radius(radius: Floats, angle: Floats) -> float:
    """Largest radius at and beyond which nodes lie all around the axis; 0 if they never do."""
    order = np.argsort(-radius)
    angle, radius = angle[order], radius[order]

    def surrounds(count: int) -> bool:
        sorted_angle = np.sort(angle[:count])
        gaps = np.diff(sorted_angle, append=sorted_angle[0] + 2.0 * np.pi)
        return bool(gaps.max() < WIDEST_GAP)

    too_few, enough = 0, len(radius)
    if not surrounds(enough):
        return 0.0
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if surrounds(middle) else (middle, enough)
    return float(radius[enough - 1])
