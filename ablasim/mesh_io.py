"""Mesh files in and out, by meshio: LPS coordinates, millimetres unless said otherwise."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.errors import InputFileError, UsageError
from ablasim.frames import MM, to_mm
from ablasim.mesh_tet import (
    FloatArray,
    IntArray,
    TetMesh,
    boundary_faces,
    connected_parts,
    face_keys,
    tet_volumes,
)

Tags = Sequence[int | str]

# Where the formats keep the number of a cell's group; our own files use the last.
TAG_ARRAYS = ("gmsh:physical", "medit:ref", "cell_tags", "CellEntityIds", "tag")
REGION_TAG, SURFACE_TAG = 1, 101  # number of the first region and surface in files we write
LISTED = 12  # at most this many groups are listed in a message


def write_mesh(
    mesh: TetMesh,
    path: str | Path,
    *,
    point_data: Mapping[str, NDArray[Any]] | None = None,
    cell_data: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write a mesh with its boundary triangles, LPS [mm]; the ending decides the format.

    Args:
        mesh: the mesh; regions are tagged from 1 and surfaces from 101, in their order.
        path: for example ``mesh.vtu``, ``mesh.msh``, ``mesh.xdmf``.
        point_data: arrays (n, ...) by name.
        cell_data: arrays (m, ...) of the tetrahedra by name; NaN or 0 on the triangles. Left out
            of .msh files, which meshio cannot read back with them.
    """
    import meshio

    path = Path(path)
    _check_ending(path)
    ending = path.suffix.lower()
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; create it first")
    tets, faces = len(mesh.cells), len(mesh.faces)
    tag = [
        mesh.cell_region.astype(np.int32) + REGION_TAG,
        mesh.face_surface.astype(np.int32) + SURFACE_TAG,
    ]
    data: dict[str, list[NDArray[Any]]] = {"tag": tag}
    if ending == ".msh":
        data = {"gmsh:physical": tag, "gmsh:geometrical": tag}
        cell_data = None
    for name, values in (cell_data or {}).items():
        values = np.asarray(values)
        if len(values) != tets:
            raise UsageError(f"cell_data[{name!r}]: got {len(values)} values; must be {tets}")
        blank = np.nan if values.dtype.kind == "f" else 0
        data[name] = [values, np.full((faces, *values.shape[1:]), blank, dtype=values.dtype)]
    names = {name: np.array([i + REGION_TAG, 3]) for i, name in enumerate(mesh.regions)}
    names |= {name: np.array([i + SURFACE_TAG, 2]) for i, name in enumerate(mesh.surfaces)}
    content = meshio.Mesh(
        to_mm(mesh.points),
        [("tetra", mesh.cells), ("triangle", mesh.faces)],
        point_data={name: np.asarray(values) for name, values in (point_data or {}).items()},
        cell_data=data,
        field_data=names if ending == ".msh" else None,
    )
    inline = {"data_format": "XML"}
    options = {".msh": {"file_format": "gmsh22"}, ".xdmf": inline, ".xmf": inline}
    try:
        # whole or not at all, and some formats are of two files that name each other
        with tempfile.TemporaryDirectory(prefix=".mesh", dir=path.parent) as folder:
            with contextlib.redirect_stdout(io.StringIO()):
                meshio.write(Path(folder) / path.name, content, **options.get(ending, {}))
            for part in Path(folder).iterdir():
                part.replace(path.parent / part.name)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error})") from error
    except (ImportError, meshio.WriteError) as error:
        raise UsageError(
            f"{path}: meshio cannot write this format here ({error}); use .vtu or .msh"
        ) from error


def read_mesh(
    path: str | Path,
    *,
    unit: str = "mm",
    regions: Mapping[str, Tags] | None = None,
    surfaces: Mapping[str, Tags] | None = None,
) -> TetMesh:
    """Read a tetrahedral mesh with named or numbered groups, LPS.

    Args:
        path: the file, in any format of meshio.
        unit: of its coordinates, "mm" or "m".
        regions: cell groups by region; None: everything is "liver".
        surfaces: face groups by surface. Boundary triangles in no group are "outer", unless
            "outer" has groups of its own.

    Raises:
        InputFileError: unreadable, inverted or unconnected cells, unknown groups.
    """
    path = Path(path)
    content = _read(path)
    points = np.asarray(content.points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputFileError(f"{path}: coordinates must be three finite numbers per point")
    points = points * (MM if unit == "mm" else 1.0)
    cells, cell_tags = _block(content, "tetra")
    if not len(cells):
        kinds = ", ".join(sorted({block.type for block in content.cells})) or "nothing"
        raise InputFileError(f"{path}: got {kinds}; must hold linear tetrahedra (meshio's 'tetra')")
    triangles, triangle_tags = _block(content, "triangle")
    numbers = _group_numbers(content)
    _check_cells(path, points, cells)
    cell_region, region_names = _assign_regions(path, cell_tags, numbers, regions)
    used = np.zeros(len(points), dtype=np.bool_)
    used[cells] = True
    renumber = (np.cumsum(used) - 1).astype(np.int32)
    faces, _ = boundary_faces(cells)
    face_surface, surface_names = _assign_surfaces(
        path, faces, triangles, triangle_tags, numbers, surfaces or {}
    )
    return TetMesh(
        points[used],
        renumber[cells],
        cell_region,
        region_names,
        renumber[faces],
        face_surface,
        surface_names,
    )


def _check_ending(path: Path) -> None:
    import meshio

    if path.suffix.lower() not in meshio.extension_to_filetypes:
        raise UsageError(
            f"{path}: got the ending {path.suffix!r}; use .vtu, .msh, .xdmf or another of meshio's"
        )


def _read(path: Path) -> Any:
    import meshio

    if not path.is_file():
        raise InputFileError(f"{path}: no such file; check mesh.file")
    if path.suffix.lower() not in meshio.extension_to_filetypes:
        raise InputFileError(
            f"{path}: got the ending {path.suffix!r}; must be a mesh format of meshio, such as"
            " .msh, .vtu or .xdmf"
        )
    try:
        # meshio prints what it tried and calls sys.exit.
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            return meshio.read(path)
    except (Exception, SystemExit) as error:
        reason = str(error).strip().splitlines()
        text = reason[0] if reason and not isinstance(error, SystemExit) else "no reader took it"
        raise InputFileError(
            f"{path}: cannot be read as a mesh ({text}); it may be cut short: write it again"
        ) from None


def _block(content: Any, kind: str) -> tuple[IntArray, NDArray[np.int64]]:
    """All cells of one kind and their group numbers, 0 where a format has none."""
    cells, tags = [], []
    for i, block in enumerate(content.cells):
        if block.type != kind:
            continue
        cells.append(np.asarray(block.data, dtype=np.int32))
        found = next((n for n in TAG_ARRAYS if n in content.cell_data), None)
        tag = np.zeros(len(block.data)) if found is None else content.cell_data[found][i]
        tags.append(np.asarray(tag).reshape(len(block.data), -1)[:, 0].astype(np.int64))
    if not cells:
        width = 4 if kind == "tetra" else 3
        return np.empty((0, width), dtype=np.int32), np.empty(0, dtype=np.int64)
    return np.concatenate(cells), np.concatenate(tags)


def _group_numbers(content: Any) -> dict[str, int]:
    """Number of each named group."""
    return {str(name): int(np.ravel(value)[0]) for name, value in content.field_data.items()}


def _check_cells(path: Path, points: FloatArray, cells: IntArray) -> None:
    if cells.min() < 0 or cells.max() >= len(points):
        raise InputFileError(f"{path}: a tetrahedron names a point that is not in the file")
    volumes = tet_volumes(points, cells)
    bad = np.flatnonzero(volumes <= 0.0)
    if len(bad):
        raise InputFileError(
            f"{path}: got {len(bad)} inverted or flat tetrahedra of {len(cells)}, the first is"
            f" number {bad[0]} (counted from 0); every volume must be positive: swap two corners of"
            " each, or mesh again"
        )
    _, counts = np.unique(face_keys(cells), return_counts=True)
    if (counts > 2).any():
        raise InputFileError(
            f"{path}: {int((counts > 2).sum())} faces belong to more than two tetrahedra; a face"
            " may join two at most: remove duplicate or overlapping cells"
        )
    used = np.unique(cells)
    rounded = np.round(points[used] / (1e-9 + 1e-9 * np.ptp(points)))
    twins = len(used) - len(np.unique(rounded, axis=0))
    if twins:
        raise InputFileError(
            f"{path}: {twins} points lie on top of another one, so that the cells beside them are"
            " not joined; merge duplicate points"
        )
    parts = connected_parts(cells)
    if parts.max() > 0:
        sizes = np.bincount(parts)
        raise InputFileError(
            f"{path}: the cells form {len(sizes)} parts that do not touch by faces (of"
            f" {', '.join(str(size) for size in np.sort(sizes)[::-1][:5])} cells); the mesh must be"
            " one piece that conforms"
        )


def _resolve(
    path: Path, key: str, tags: Tags, numbers: dict[str, int], present: NDArray[np.int64]
) -> list[int]:
    """Group numbers meant by names or numbers; all must occur."""
    names = {number: name for name, number in numbers.items()}
    found = []
    for tag in tags:
        number = numbers.get(tag) if isinstance(tag, str) else int(tag)
        if number is None or number not in present:
            listed = ", ".join(
                f"{value} ({names[value]})" if value in names else str(value)
                for value in present[:LISTED].tolist()
            )
            raise InputFileError(
                f"{path}: mesh.{key}: got the group {tag!r}; the file has {listed or 'none'}"
            )
        found.append(number)
    return found


def _assign_regions(
    path: Path,
    tags: NDArray[np.int64],
    numbers: dict[str, int],
    regions: Mapping[str, Tags] | None,
) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    if regions is None:
        return np.zeros(len(tags), dtype=np.int16), ("liver",)
    present, counts = np.unique(tags, return_counts=True)
    region = np.full(len(tags), -1, dtype=np.int16)
    for index, (name, groups) in enumerate(regions.items()):
        wanted = _resolve(path, f"regions.{name}", groups, numbers, present)
        region[np.isin(tags, wanted)] = index
    if (region < 0).any():
        left = [
            f"{tag} ({count} cells)"
            for tag, count in zip(present.tolist(), counts.tolist(), strict=True)
            if (region[tags == tag] < 0).any()
        ]
        raise InputFileError(
            f"{path}: the cell groups {', '.join(left[:LISTED])} belong to no region; name each in"
            " mesh.regions"
        )
    return region, tuple(regions)


def _assign_surfaces(
    path: Path,
    faces: IntArray,
    triangles: IntArray,
    tags: NDArray[np.int64],
    numbers: dict[str, int],
    surfaces: Mapping[str, Tags],
) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    names = ("outer", *(name for name in surfaces if name != "outer"))
    surface = np.full(len(faces), -1, dtype=np.int16)
    keys = face_keys(faces, triangles=True)
    order = np.argsort(keys)
    present = np.unique(tags)
    for name, groups in surfaces.items():
        wanted = _resolve(path, f"surfaces.{name}", groups, numbers, present)
        mine = face_keys(triangles[np.isin(tags, wanted)], triangles=True)
        place = np.minimum(np.searchsorted(keys[order], mine), len(keys) - 1)
        inside = keys[order][place] != mine
        if inside.any():
            raise InputFileError(
                f"{path}: mesh.surfaces.{name}: {int(inside.sum())} of {len(mine)} triangles are"
                " not on the mesh's boundary; probes and vessels must be holes in the mesh"
            )
        surface[order[place]] = names.index(name)
    bare = surface < 0
    if "outer" in surfaces and bare.any():
        raise InputFileError(
            f"{path}: {int(bare.sum())} boundary triangles belong to no group of mesh.surfaces;"
            " name them, or leave 'outer' out to let it be the rest (hanging points look like this"
            " too)"
        )
    surface[bare] = 0
    return surface, names
