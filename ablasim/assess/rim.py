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
"""Distance of the planes across the probe in which its surroundings are looked at [m]."""
ALONG_SHIFT = 0.37
"""Places the planes so that the layers of a regular mesh do not lie in them."""
ACROSS = 0.25e-3
"""Size of a bin away from the probe [m]."""
SECTORS = 24
"""Bins around the probe."""
BRIDGED = 3
"""Bins around the probe over which hot tissue is continuous: narrower gaps are between edges of the
mesh, not in the tissue. A gap of 30 degrees is closed wherever it lies, one of 60 never: cold
tissue on one side of a needle is not rim."""
MOST_ABOVE = 1.0
"""Most that the rim is lifted above the level [K, or decades of a dose]: more would carry the zone
past the rim where that ends in cold tissue (by 0.009 ml in rf_bipolar)."""
FALL = 2.0
"""How many times faster than the enclosing tissue the lifted field falls below the level: 1 would
carry the zone out past the rim's end, a jump moves that end by the length of an edge."""
BESIDE = 2
"""Cells around the rim in which the lifted field falls."""
RESOLVED = 10.0
"""How far below the level the enclosing tissue is looked at [K, or decades of a dose]: farther down
nothing of the rim hangs on it."""


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
            around = enclosing_level(mesh, peak, probe, floor=level - RESOLVED)
            part = _parts(mesh, cold & ~rim & (around >= level), at_probe, at_vessel)
            part |= _beside(mesh, part) & cold & (around < level)
            below = np.minimum(around, level + FALL * (around - level))
            filled[part] = np.maximum(filled, np.minimum(lifted, below))[part]
    touched = (filled != peak)[mesh.cells].any(axis=1)
    cells = mesh.cells[touched]
    gained = tet_fraction_above(filled[cells], level) - tet_fraction_above(peak[cells], level)
    return filled, float(mesh.cell_volumes()[touched] @ gained)


def enclosing_level(
    mesh: TetMesh, field: Floats, probe: ProbeAxis, *, floor: float = -np.inf
) -> Floats:
    """Highest level at which tissue encloses a node on all sides of the probe.

        min over sectors around the axis of max {field farther from the axis than the node},

    at the node's place along the axis. Unlike the set of enclosed nodes at one level, it follows
    the field without jumps: the field is taken where edges of the mesh cross planes across the
    axis, and in straight lines from plane to plane. With the highest node of half a millimetre
    instead, a zone ended up to that too far along a shaft, and two fields 0.3 K apart 0.3 mm apart
    (g1_needle_in_liver). A morphological closing around the axis bridges what lies between edges.

    Args:
        mesh: the tissue.
        field: at its nodes (n,).
        probe: the axis.
        floor: of the levels that matter; what is lower counts as being there, and the answer may
            be too low.

    Returns:
        The level at the nodes (n,); -inf where nothing farther out lies on one side.
    """
    tip, direction = axis_of(probe)
    relative = mesh.points - tip
    along = relative @ direction
    across = relative @ np.linalg.svd(direction[None, :])[2][1:].T
    planes = along / ALONG + ALONG_SHIFT
    ring = (np.linalg.norm(across, axis=1) / ACROSS).astype(np.int64)
    edges = mesh.edges[field[mesh.edges].max(axis=1) >= floor]
    if not len(edges):
        return np.full(len(field), -np.inf)
    plane, share, edge = _crossings(planes, edges)
    if not len(plane):
        return np.full(len(field), -np.inf)
    at = _between(across, edge, share)
    turn = np.arctan2(at[:, 1], at[:, 0]) / (2.0 * np.pi) + 0.5
    sector = np.minimum((turn * SECTORS).astype(np.int64), SECTORS - 1)
    out = (np.linalg.norm(at, axis=1) / ACROSS).astype(np.int64)
    first = int(np.floor(planes.min()))
    shape = (int(np.floor(planes.max())) - first + 2, SECTORS, max(ring.max(), out.max()) + 1)
    highest = np.full(shape, -np.inf)
    np.maximum.at(highest, (plane - first, sector, out), _between(field, edge, share))
    farther = np.maximum.accumulate(highest[..., ::-1], axis=-1)[..., ::-1]
    closed = grey_closing(farther, size=(1, BRIDGED, 1), mode=("nearest", "wrap", "nearest"))
    lowest = closed.min(axis=1)
    below = np.floor(planes).astype(np.int64)
    lower, upper = lowest[below - first, ring], lowest[below - first + 1, ring]
    # where one plane knows nothing above the floor, the other is not forgotten for that
    known = np.isfinite(np.maximum(lower, upper))
    lower, upper = np.maximum(lower, floor), np.maximum(upper, floor)
    known &= np.isfinite(lower) & np.isfinite(upper)
    rise = np.subtract(upper, lower, out=np.zeros_like(lower), where=known)
    return np.asarray(np.where(known, lower + (planes - below) * rise, -np.inf))


def _crossings(
    planes: Floats, edges: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Where edges cross planes: the plane's number (c,), the share of the way along the edge (c,)
    and the edge's nodes (c, 2). `planes` is the place of every node (n,), in planes."""
    ends = planes[edges]
    low, high = ends.min(axis=1), ends.max(axis=1)
    first = np.ceil(low).astype(np.int64)
    counts = np.maximum(np.floor(high).astype(np.int64) - first + 1, 0)
    row = np.repeat(np.arange(len(edges)), counts)
    plane = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    span = (ends[:, 1] - ends[:, 0])[row]
    way = plane - ends[row, 0]
    share = np.divide(way, span, out=np.zeros(len(row)), where=span != 0.0)
    return plane, share, edges[row]


def _between(values: Floats, edge: NDArray[np.int64], share: Floats) -> Floats:
    """Values (n,) or (n, d) at shares (c,) of edges (c, 2)."""
    share = share if values.ndim == 1 else share[:, None]
    start = values[edge[:, 0]]
    return np.asarray(start + share * (values[edge[:, 1]] - start))


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
