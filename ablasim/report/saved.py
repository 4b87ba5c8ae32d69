"""A finished run, read back from its directory for pictures and tables. Lengths here are
millimetres in LPS, as in the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader, vtkXMLUnstructuredGridReader

from ablasim.assess.rim import fill_cooled_rim
from ablasim.errors import InputFileError
from ablasim.frames import MM
from ablasim.mesh_tet import TetMesh
from ablasim.physics.damage import Criterion, criterion

RERUN = (
    "Give the directory that `ablasim run SCENARIO -o DIR` has written, or run the scenario again."
)


FILLED_LEVELS_C = (50.0, 54.0, 60.0)

ZONE_FIELD = "zone_field"
"""Array that a criterion other than a peak temperature cuts, with the cooled rim filled."""


def filled_name(level: float) -> str:
    """Name of the array with the peak temperature whose cooled rim is filled up to a level."""
    return f"filled_{level:g}_C"


Array = NDArray[np.float64]


class ProbeAxis(NamedTuple):
    """Tip (3,) [m] and direction (3,) of a probe."""

    tip: Array
    direction: Array


@dataclass(frozen=True)
class Surface:
    """A named boundary surface of the mesh; ``kind`` is a vessel kind or ``outer``, ``active``,
    ``shaft``, ``cooled``."""

    name: str
    kind: str
    details: Mapping[str, Any]

    @property
    def is_vessel(self) -> bool:
        """Whether this is the wall of a vessel."""
        return self.name.startswith("vessel.")

    @property
    def is_probe(self) -> bool:
        """Whether this is a part of a probe."""
        return self.name.startswith("probe.")

    @property
    def label(self) -> str:
        """The name for people: without the prefix and with spaces."""
        return self.name.split(".", 1)[-1].replace("_", " ")


@dataclass(frozen=True, eq=False)
class SavedRun:
    """What pictures and tables need of a run.

    Attributes:
        directory: where it was read from.
        summary: ``summary.json``.
        fields: the tetrahedra with ``temperature_C``, ``peak_C`` at points and ``region`` in cells.
        anatomy: all boundary triangles with ``surface`` in cells, an index into ``surfaces``.
        zone: surface of the lethal zone; None where it is empty.
        margin: surface of the tumour with ``margin_mm`` at points; None where there is no tumour.
        surfaces: the named surfaces, in the order of the index.
        regions: names of the regions, in the order of the index.
    """

    directory: Path
    summary: Mapping[str, Any]
    fields: pv.UnstructuredGrid
    anatomy: pv.PolyData
    zone: pv.PolyData | None
    margin: pv.PolyData | None
    surfaces: tuple[Surface, ...]
    regions: tuple[str, ...]

    def surface_mesh(self, index: int) -> pv.PolyData:
        """The triangles of one surface, by its index into ``surfaces``."""
        wanted = np.asarray(self.anatomy.cell_data["surface"]) == index
        return cast(
            pv.PolyData,
            self.anatomy.extract_cells(wanted).extract_surface(algorithm="dataset_surface"),
        )

    def tissue_boundary(self) -> pv.PolyData:
        """Where the liver ends: at its capsule, or at the boundary of the simulated block."""
        liver = self.fields
        if "outside" in self.regions:
            outside = self.regions.index("outside")
            liver = liver.extract_cells(np.asarray(liver.cell_data["region"]) != outside)
        surface = liver.extract_surface(algorithm="dataset_surface")
        walls = [index for index, entry in enumerate(self.surfaces) if entry.kind != "outer"]
        at_wall = np.isin(np.asarray(self.anatomy.cell_data["surface"]), walls)
        if at_wall.any():
            centres = np.asarray(self.anatomy.cell_centers().points)[at_wall]
            away, _ = cKDTree(centres).query(np.asarray(surface.cell_centers().points))
            # Both meshes hold the same triangles, so a wall's centre is met exactly.
            surface = surface.extract_cells(away > 1e-4)
        return surface.extract_surface(algorithm="dataset_surface")

    @cached_property
    def tumour_samples(self) -> tuple[Array, Array, Array]:
        """Of the tumour's surface: points (n, 3) [mm], outward normals, margins (n,) [mm]."""
        if self.margin is None:
            return np.empty((0, 3)), np.empty((0, 3)), np.empty(0)
        points = np.asarray(self.margin.points, dtype=np.float64)
        normals = points - points.mean(axis=0)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
        margins = np.nan_to_num(np.asarray(self.margin.point_data["margin_mm"]), nan=-99.0)
        return points, normals, margins.astype(np.float64)

    @cached_property
    def vessel_samples(self) -> Array:
        """Points (k, 3) [mm] on the walls of all vessels."""
        found = [np.empty((0, 3))]
        for index, surface in enumerate(self.surfaces):
            if surface.is_vessel:
                wall = self.surface_mesh(index)
                found += [np.asarray(wall.points), np.asarray(wall.cell_centers().points)]
        return np.concatenate(found).astype(np.float64)

    @cached_property
    def filled_fields(self) -> pv.UnstructuredGrid:
        """The fields with the cooled rim of the peak filled for each criterion, as the zone's
        surface and volume have it (`ablasim.assess.rim`); arrays are named by `filled_name`."""
        grid = self.fields.copy(deep=False)
        peak = np.asarray(grid.point_data["peak_C"], dtype=np.float64)
        probes = self.probe_axes
        for level in FILLED_LEVELS_C:
            filled, _ = fill_cooled_rim(self.mesh, peak, level, probes)
            grid.point_data[filled_name(level)] = filled
        judge = self.criterion
        if judge.key != "peak_C":
            field = np.asarray(judge.field(dict(grid.point_data)), dtype=np.float64)
            filled, _ = fill_cooled_rim(self.mesh, field, judge.level, probes)
            grid.point_data[ZONE_FIELD] = filled
        return grid

    @cached_property
    def mesh(self) -> TetMesh:
        """The tissue in SI units, as the run had it."""
        points = np.asarray(self.fields.points, dtype=np.float64)
        corners = np.asarray(self.anatomy.points, dtype=np.float64)
        # The writer leaves out inner points; the others are the same numbers in both files.
        _, node = cKDTree(points).query(corners)
        faces = node[self.anatomy.regular_faces]
        return TetMesh(
            points=points * MM,
            cells=self.fields.cells.reshape(-1, 5)[:, 1:].astype(np.int32),
            cell_region=np.asarray(self.fields.cell_data["region"]).astype(np.int16),
            regions=self.regions,
            faces=faces.astype(np.int32),
            face_surface=np.asarray(self.anatomy.cell_data["surface"]).astype(np.int16),
            surfaces=tuple(surface.name for surface in self.surfaces),
        )

    def group(self, name: str) -> Mapping[str, Any]:
        """A group of the summary; empty where the run has none (no tumour, no vessel)."""
        return cast(Mapping[str, Any], self.summary.get(name) or {})

    @property
    def criterion(self) -> Criterion:
        """What counts as dead; without its field in the files, 60 °C."""
        name = str(self.group("zone").get("criterion", "peak_60C"))
        assessment = self.group("scenario").get("assessment") or {}
        judge = criterion(name, str(assessment.get("arrhenius_set", "")))
        known = judge.key in self.fields.point_data
        return judge if known else criterion("peak_60C", "")

    @property
    def zone_group(self) -> Mapping[str, Any]:
        """Size of the zone of the criterion, as in the summary."""
        return cast(Mapping[str, Any], self.group("zone").get(self.criterion.name) or {})

    def lethal_part(self, section: Any) -> Any:
        """The part of a cut through the fields where tissue is dead."""
        judge = self.criterion
        if judge.key == "peak_C":
            return section.clip_scalar(scalars="peak_C", value=judge.level, invert=False)
        section.point_data[ZONE_FIELD] = judge.field(dict(section.point_data))
        return section.clip_scalar(scalars=ZONE_FIELD, value=judge.level, invert=False)

    @property
    def probe_axes(self) -> list[ProbeAxis]:
        """Tip and direction of each probe [m]."""
        return [_probe_axis(probe) for probe in self.probes]

    @property
    def probes(self) -> tuple[Mapping[str, Any], ...]:
        """The probes as written into the summary, tip and entry in mm."""
        return tuple(self.summary.get("probes") or ())

    @property
    def thinnest_point(self) -> Array | None:
        """Where the margin is smallest, (3,) [mm]; None without a tumour."""
        point = self.group("margin").get("thinnest_point_mm")
        return None if point is None else np.asarray(point, dtype=np.float64)

    def centre(self) -> Array:
        """The point that the slices go through, (3,) [mm]: of the tumour, or else of the first
        probe's active part."""
        if self.margin is not None:
            return _area_centre(self.margin)
        given = (self.summary.get("frame") or {}).get("centre_mm")
        if given is None and self.probes:
            given = self.probes[0].get("active_centre_mm")
        if given is not None:
            return np.asarray(given, dtype=np.float64)
        active = [i for i, surface in enumerate(self.surfaces) if surface.kind == "active"]
        mesh = self.surface_mesh(active[0]) if active else self.anatomy
        return _area_centre(mesh)


def load_run(directory: Path | str) -> SavedRun:
    """Read a run directory.

    Raises:
        InputFileError: the directory or one of its files is missing, unreadable, or lacks an array;
            the message names it.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise InputFileError(f"{folder}: there is no such directory. {RERUN}")
    names = ("summary.json", "fields.vtu", "anatomy.vtp")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputFileError(
            f"{folder}: not the directory of a finished run; missing: {', '.join(missing)}. {RERUN}"
        )
    summary = _read_summary(folder / "summary.json")
    fields = _read_mesh(
        folder / "fields.vtu", pv.UnstructuredGrid, {"temperature_C", "peak_C"}, {"region"}
    )
    anatomy = _read_mesh(folder / "anatomy.vtp", pv.PolyData, set(), {"surface"})
    surfaces = tuple(
        Surface(str(entry["name"]), str(entry.get("kind", "")), entry)
        for entry in summary.get("surfaces") or ()
    )
    used = int(np.max(anatomy.cell_data["surface"], initial=-1))
    if used >= len(surfaces):
        raise InputFileError(
            f"{folder / 'summary.json'}: `surfaces` names {len(surfaces)} surfaces, but "
            f"anatomy.vtp uses the number {used}. The files are not of one run. {RERUN}"
        )
    return SavedRun(
        directory=folder,
        summary=summary,
        fields=fields,
        anatomy=anatomy,
        zone=_optional_surface(folder / "lethal_zone.vtp", set()),
        margin=_optional_surface(folder / "tumour_margin.vtp", {"margin_mm"}),
        surfaces=surfaces,
        regions=tuple(str(name) for name in (summary.get("mesh") or {}).get("regions") or ()),
    )


def _read_summary(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputFileError(f"{path}: cannot be read as JSON: {error}. {RERUN}") from error
    if not isinstance(content, dict):
        raise InputFileError(
            f"{path}: got a JSON {type(content).__name__}, expected an object. {RERUN}"
        )
    return cast(Mapping[str, Any], content)


def _read_mesh[M: (pv.UnstructuredGrid, pv.PolyData)](
    path: Path, kind: type[M], at_points: set[str], in_cells: set[str]
) -> M:
    mesh = _read_vtk(path, kind)
    if mesh.n_cells == 0:
        raise InputFileError(f"{path}: the mesh in it is empty. {RERUN}")
    absent = (at_points - set(mesh.point_data.keys())) | (in_cells - set(mesh.cell_data.keys()))
    if absent:
        raise InputFileError(f"{path}: the arrays {', '.join(sorted(absent))} are missing. {RERUN}")
    return mesh


def _optional_surface(path: Path, at_points: set[str]) -> pv.PolyData | None:
    """A surface that a run without a zone or without a tumour leaves out, or writes empty."""
    if not path.is_file() or _read_vtk(path, pv.PolyData).n_cells == 0:
        return None
    return _read_mesh(path, pv.PolyData, at_points, set())


def _read_vtk[M: (pv.UnstructuredGrid, pv.PolyData)](path: Path, kind: type[M]) -> M:
    """Read an XML file of VTK; a damaged one is an error here and no text on the terminal."""
    problem = InputFileError(f"{path}: damaged, or not a VTK file of the right kind. {RERUN}")
    try:
        end = path.read_bytes()[-64:].rstrip()
    except OSError as error:
        raise InputFileError(f"{path}: cannot be read: {error}. {RERUN}") from error
    if not end.endswith(b"</VTKFile>"):
        raise problem  # cut short; VTK would complain on the terminal and return an empty mesh
    reader = vtkXMLPolyDataReader() if kind is pv.PolyData else vtkXMLUnstructuredGridReader()
    reader.SetFileName(str(path))
    complaints: list[str] = []
    sources: tuple[Any, ...] = (reader, reader.GetExecutive())
    for source in sources:
        source.AddObserver("ErrorEvent", lambda _, event: complaints.append(event))
    with pv.vtk_verbosity("off"):
        if reader.CanReadFile(str(path)):
            reader.Update()
        else:
            complaints.append("kind")
    if complaints or reader.GetErrorCode() != 0:
        raise problem
    mesh: Any = pv.wrap(reader.GetOutput())
    return cast(M, mesh)


def _probe_axis(probe: Mapping[str, Any]) -> ProbeAxis:
    tip = np.asarray(probe["tip_mm"], dtype=np.float64) * MM
    shaft = np.asarray(probe["entry_mm"], dtype=np.float64) * MM - tip
    return ProbeAxis(tip, shaft / np.linalg.norm(shaft))


def _area_centre(mesh: pv.PolyData) -> Array:
    """Area-weighted centre of a triangle surface, (3,), which does not depend on how finely a part
    is meshed."""
    triangles = mesh.triangulate()
    corners = np.asarray(triangles.points, dtype=np.float64)[triangles.faces.reshape(-1, 4)[:, 1:]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    centre: Array = np.average(corners.mean(axis=1), axis=0, weights=areas)
    return centre
