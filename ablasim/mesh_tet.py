"""TetMesh: linear tetrahedra of the tissue, its named regions and surfaces, and their measures.

The insides of probes and meshed vessels are holes: their walls are boundary faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

# The three corners of the face opposite corner i, ordered so that the normal of a positively
# oriented tetrahedron's face points out of it.
OUTWARD_FACES = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]], dtype=np.int32)


@dataclass(frozen=True, eq=False)
class TetMesh:
    """A conforming mesh of positively oriented tetrahedra, LPS axes.

    Attributes:
        points: (n, 3) [m].
        cells: (m, 4) indices of points; det(p1-p0, p2-p0, p3-p0) > 0.
        cell_region: (m,) index into ``regions``.
        regions: names, for example ("liver", "tumour", "outside").
        faces: (f, 3) every boundary triangle once, its normal pointing out of the tissue.
        face_surface: (f,) index into ``surfaces``.
        surfaces: names: "outer", "probe.<i>.active|shaft|cooled", "vessel.<name>".
    """

    points: FloatArray
    cells: IntArray
    cell_region: NDArray[np.int16]
    regions: tuple[str, ...]
    faces: IntArray
    face_surface: NDArray[np.int16]
    surfaces: tuple[str, ...]

    @cached_property
    def _volumes(self) -> FloatArray:
        return tet_volumes(self.points, self.cells)

    @cached_property
    def edges(self) -> NDArray[np.int64]:
        """Edges, (e, 2), each once and its lower point first."""
        first, second = np.triu_indices(4, 1)
        ends = np.sort(self.cells[:, np.stack([first, second], axis=-1)].reshape(-1, 2), axis=1)
        keys = np.unique(ends[:, 0].astype(np.int64) * len(self.points) + ends[:, 1])
        return np.stack(np.divmod(keys, len(self.points)), axis=1)

    def cell_volumes(self) -> FloatArray:
        """Volume of each tetrahedron, (m,) [m3]."""
        return self._volumes

    def face_normals(self) -> FloatArray:
        """Outward normal times area of each boundary triangle, (f, 3) [m2]."""
        corner = self.points[self.faces]
        normals: FloatArray = 0.5 * np.cross(
            corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
        )
        return normals

    def face_areas(self) -> FloatArray:
        """Area of each boundary triangle, (f,) [m2]."""
        areas: FloatArray = np.linalg.norm(self.face_normals(), axis=1)
        return areas

    def surface_faces(self, name: str) -> IntArray:
        """Boundary triangles of one named surface, (k, 3); none where the name is unknown."""
        if name not in self.surfaces:
            return np.empty((0, 3), dtype=np.int32)
        faces: IntArray = self.faces[self.face_surface == self.surfaces.index(name)]
        return faces

    def surface_area(self, name: str) -> float:
        """Area of one named surface [m2]."""
        if name not in self.surfaces:
            return 0.0
        return float(self.face_areas()[self.face_surface == self.surfaces.index(name)].sum())

    def region_cells(self, name: str) -> NDArray[np.bool_]:
        """Mask of the cells of one named region, (m,)."""
        if name not in self.regions:
            return np.zeros(len(self.cells), dtype=np.bool_)
        mask: NDArray[np.bool_] = self.cell_region == self.regions.index(name)
        return mask

    def quality(self) -> FloatArray:
        """72 sqrt(3) V / (sum of squared edges)^(3/2): 1 for a regular tetrahedron, (m,)."""
        return tet_quality(self.points, self.cells)

    def heights(self) -> FloatArray:
        """Smallest height 3 V / A_max of each tetrahedron, (m,) [m]."""
        return tet_heights(self.points, self.cells)

    def h_min(self) -> float:
        """Smallest height of all tetrahedra [m]; it bounds the explicit step."""
        return float(self.heights().min())


def tet_volumes(points: FloatArray, cells: IntArray) -> FloatArray:
    """Signed volume of each tetrahedron, (m,) [m3]."""
    a = points[cells[:, 0]]
    b, c, d = (points[cells[:, i]] - a for i in (1, 2, 3))
    volumes: FloatArray = np.einsum("ij,ij->i", np.cross(b, c), d) / 6.0
    return volumes


def tet_quality(points: FloatArray, cells: IntArray) -> FloatArray:
    """Normalised volume to edge-length ratio, (m,); negative for an inverted tetrahedron."""
    squares = np.zeros(len(cells))
    for i in range(4):
        for j in range(i):
            edge = points[cells[:, i]] - points[cells[:, j]]
            squares += np.einsum("ij,ij->i", edge, edge)
    quality: FloatArray = 72.0 * np.sqrt(3.0) * tet_volumes(points, cells) / squares**1.5
    return quality


def tet_heights(points: FloatArray, cells: IntArray) -> FloatArray:
    """Smallest height of each tetrahedron, (m,) [m]."""
    largest = np.zeros(len(cells))
    for face in OUTWARD_FACES:
        a, b, c = (points[cells[:, i]] for i in face)
        largest = np.maximum(largest, 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1))
    heights: FloatArray = 3.0 * np.abs(tet_volumes(points, cells)) / largest
    return heights


def boundary_faces(cells: IntArray) -> tuple[IntArray, NDArray[np.int64]]:
    """Triangles that belong to one cell only, normals out of it, and that cell.

    Returns:
        faces: (f, 3) indices of points.
        owner: (f,) index of the cell each face belongs to.
    """
    faces = cells[:, OUTWARD_FACES].reshape(-1, 3)
    _, first, count = np.unique(
        face_keys(faces, triangles=True), return_index=True, return_counts=True
    )
    single = np.sort(first[count == 1])
    return faces[single], single // 4


def interface_faces(
    cells: IntArray, cell_region: NDArray[np.int16]
) -> tuple[IntArray, NDArray[np.int64]]:
    """Triangles between cells of different regions, once each, and the cell with the larger region.

    The normal points out of that cell.
    """
    faces = cells[:, OUTWARD_FACES].reshape(-1, 3)
    keys = face_keys(faces, triangles=True)
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    one, two = order[:-1][same], order[1:][same]
    region = np.repeat(cell_region, 4)
    differ = region[one] != region[two]
    one, two = one[differ], two[differ]
    chosen = np.where(region[one] > region[two], one, two)
    return faces[chosen], chosen // 4


def face_keys(corners: IntArray, *, triangles: bool = False) -> NDArray[np.int64]:
    """One integer per triangle, independent of the order of its corners.

    21 bits per corner keep three of them in 63: two million points.

    Args:
        corners: (f, 3) triangles, or (m, 4) cells, whose four faces follow each other.
        triangles: which of the two.
    """
    faces = corners if triangles else corners[:, OUTWARD_FACES].reshape(-1, 3)
    corner = np.sort(faces, axis=1).astype(np.int64)
    keys: NDArray[np.int64] = (corner[:, 0] << 42) | (corner[:, 1] << 21) | corner[:, 2]
    return keys


def adjacent_cells(cells: IntArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of cells that share a face, (k,) and (k,)."""
    keys = face_keys(cells)
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    owner = order // 4
    return owner[:-1][same], owner[1:][same]


def connected_parts(cells: IntArray) -> NDArray[np.int64]:
    """Number of the part each cell belongs to, (m,); cells of a part hang together by faces."""
    one, two = adjacent_cells(cells)
    graph = coo_array((np.ones(len(one)), (one, two)), shape=(len(cells), len(cells)))
    _, label = connected_components(graph, directed=False)
    parts: NDArray[np.int64] = label.astype(np.int64)
    return parts
