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
from scipy.ndimage import grey_closing
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ablasim.mesh_cut import tet_fraction_above
from ablasim.mesh_tet import TetMesh

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

ALONG = 0.5e-3
"""Size of a bin along the probe [m]: half of a cell beside the needle."""
ALONG_SHIFT = 0.37
"""Places the bins so that the layers of a regular mesh do not fall on their boundaries."""
ACROSS = 0.25e-3
"""Size of a bin away from the probe [m]."""
SECTORS = 24
"""Bins around the probe."""
BRIDGED = (5, 5)
"""Bins along and around the probe over which hot tissue is continuous: narrower gaps are between
nodes, not in the tissue. Around the probe they close gaps of 60 degrees at most. Twelve sectors
closed up to 90, and cold tissue on one side of a needle was filled."""
MOST_ABOVE = 1.0
"""Most that the rim is lifted above the level [K, or decades of a dose]: more would carry the zone
past the rim where that ends in cold tissue (by 0.009 ml in rf_bipolar)."""
FALL = 2.0
"""How many times faster than the enclosing tissue the lifted field falls below the level: 1 would
carry the zone out past the rim's end, a jump moves that end by the length of an edge."""
BESIDE = 2
"""Cells around the rim in which the lifted field falls."""


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
    ends where hot tissue no longer encloses it. A part that touches a vessel is never filled.

    The zone follows the field without jumps. The rim lies as far above the level as it was below,
    but at most `MOST_ABOVE`: set to the level itself, it made a notch as long as an edge of the
    mesh wherever a node beside it missed the level by a hundredth of a kelvin. An open rim lies at
    most as high as the tissue that encloses it, and beside it the field falls as that tissue does.

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
    lifted = level + np.minimum(level - peak, MOST_ABOVE)
    filled = np.where(rim, lifted, peak)
    if (cold & at_probe & ~rim).any():
        for probe in probes:
            around = enclosing_level(mesh.points, peak, probe)
            part = _parts(mesh, cold & ~rim & (around >= level), at_probe, at_vessel)
            part |= _beside(mesh, part) & cold & (around < level)
            below = np.minimum(around, level + FALL * (around - level))
            filled[part] = np.maximum(filled, np.minimum(lifted, below))[part]
    touched = (filled != peak)[mesh.cells].any(axis=1)
    cells = mesh.cells[touched]
    gained = tet_fraction_above(filled[cells], level) - tet_fraction_above(peak[cells], level)
    return filled, float(mesh.cell_volumes()[touched] @ gained)


def enclosing_level(points: Floats, field: Floats, probe: ProbeAxis) -> Floats:
    """Highest level at which tissue encloses a point on all sides of the probe.

        min over sectors around the axis of max {field farther from the axis than the point},

    at the point's place along the axis. Unlike the set of enclosed points at one level, it follows
    the field without jumps. A morphological closing along and around the axis bridges what lies
    between nodes; at an end of the hot tissue it adds nothing.

    Args:
        points: where the field is known (n, 3) [m].
        field: there (n,).
        probe: the axis.

    Returns:
        The level at the points (n,); -inf where no point farther out lies on one side.
    """
    tip, direction = axis_of(probe)
    relative = points - tip
    along = relative @ direction
    across = relative - along[:, None] * direction
    first, second = np.linalg.svd(direction[None, :])[2][1:]
    turn = np.arctan2(across @ second, across @ first) / (2.0 * np.pi) + 0.5
    layer = np.floor(along / ALONG + ALONG_SHIFT).astype(np.int64)
    layer += BRIDGED[0] - layer.min()  # room at both ends, so that the closing stays inside
    sector = np.minimum((turn * SECTORS).astype(np.int64), SECTORS - 1)
    ring = (np.linalg.norm(across, axis=1) / ACROSS).astype(np.int64)
    highest = np.full((layer.max() + BRIDGED[0] + 1, SECTORS, ring.max() + 1), -np.inf)
    np.maximum.at(highest, (layer, sector, ring), field)
    farther = np.maximum.accumulate(highest[..., ::-1], axis=-1)[..., ::-1]
    closed = grey_closing(farther, size=(*BRIDGED, 1), mode=("nearest", "wrap", "nearest"))
    return np.asarray(closed.min(axis=1)[layer, ring])


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


def _beside(mesh: TetMesh, members: Mask) -> Mask:
    """`members` and what is not farther than `BESIDE` cells from them."""
    for _ in range(BESIDE):
        grown = members.copy()
        grown[mesh.cells[members[mesh.cells].any(axis=1)]] = True
        members = grown
    return members
