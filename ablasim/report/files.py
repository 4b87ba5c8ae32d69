"""Writes the files of a run, apart from its pictures, into a directory. Lengths in mm, LPS."""

from __future__ import annotations

import csv
import gzip
import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter, vtkXMLUnstructuredGridWriter

from ablasim.assess.margin import TumourMargin
from ablasim.assess.zone import LethalZone
from ablasim.errors import ResourceError
from ablasim.frames import MM
from ablasim.labelmap import write_volume
from ablasim.mesh_tet import TetMesh
from ablasim.report.atomic import atomic_directory, check_free, is_run_directory
from ablasim.report.raster import Grid, grid_around, rasterise, voxels_in_probes
from ablasim.report.record import RunRecord
from ablasim.report.summary import build_summary

__all__ = [
    "atomic_directory",
    "check_free",
    "is_run_directory",
    "polydata",
    "save_mesh",
    "write_run",
    "write_summary",
    "write_surfaces",
    "zone_surface_data",
]

Floats = NDArray[np.float64]

HISTORY_DIGITS = 8
READ_AT_ONCE = 1 << 24
ZONE_LABELS = {0: "background", 1: "lethal zone"}
MARGIN_CLASS_NAMES = ("below 0 mm", "0 to 5 mm", "5 to 10 mm", "at least 10 mm")


def write_run(directory: Path, record: RunRecord) -> dict[str, Any]:
    """Write every file of a run except `preview.png` and `report.html`.

    Call it inside `atomic_directory`, so that a failure leaves nothing behind.

    Returns:
        The content of summary.json.
    """
    (directory / "scenario.yaml").write_text(record.scenario.to_yaml(), encoding="utf-8")
    write_history(directory / "history.csv", record.solution.history)
    save_mesh(_fields(record), directory / "fields.vtu")
    save_mesh(_anatomy(record.mesh), directory / "anatomy.vtp")
    write_surfaces(directory, record)
    _write_volumes(directory, record)
    return write_summary(directory, record)


def write_surfaces(directory: Path, record: RunRecord) -> None:
    """Write lethal_zone.vtp and, where there is a tumour, tumour_margin.vtp."""
    save_mesh(zone_surface_data(record.zone), directory / "lethal_zone.vtp")
    if record.margin is not None:
        save_mesh(_margin_surface(record.margin), directory / "tumour_margin.vtp")


def write_summary(directory: Path, record: RunRecord) -> dict[str, Any]:
    """Write summary.json; alone, to renew the timings once the pictures are done."""
    summary = build_summary(record)
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    (directory / "summary.json").write_text(text + "\n", encoding="utf-8")
    return summary


def write_history(path: Path, history: dict[str, Floats]) -> None:
    """One row per accepted step; an empty cell where a value does not exist."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(history)
        for row in zip(*history.values(), strict=True):
            writer.writerow(_cell(float(value)) for value in row)


def _cell(value: float) -> str:
    return f"{value:.{HISTORY_DIGITS}g}" if math.isfinite(value) else ""


def _fields(record: RunRecord) -> pv.UnstructuredGrid:
    mesh, solution = record.mesh, record.solution
    grid = pv.UnstructuredGrid({pv.CellType.TETRA: mesh.cells}, mesh.points / MM)
    grid.point_data["temperature_C"] = solution.temperature
    grid.point_data["peak_C"] = solution.peak
    for name, values in solution.damage.items():
        grid.point_data[name] = values
    if solution.potential is not None:
        grid.point_data["potential_V"] = solution.potential
    grid.cell_data["region"] = mesh.cell_region.astype(np.int32)
    if solution.sigma is not None:
        grid.cell_data["sigma"] = solution.sigma
    return grid


def _anatomy(mesh: TetMesh) -> pv.PolyData:
    """All walls and the outer boundary; `surface` is an index into the summary's `surfaces`."""
    used, corners = np.unique(mesh.faces, return_inverse=True)
    surface = polydata(mesh.points[used], corners.reshape(-1, 3))
    surface.cell_data["surface"] = mesh.face_surface.astype(np.int32)
    return surface


def zone_surface_data(zone: LethalZone) -> pv.PolyData:
    """A zone's surface with what each triangle faces."""
    surface = polydata(zone.vertices, zone.triangles)
    surface.cell_data["part"] = zone.triangle_part.astype(np.int32)
    surface.field_data["parts"] = list(zone.parts)
    return surface


def _margin_surface(margin: TumourMargin) -> pv.PolyData:
    surface = polydata(margin.points, margin.triangles)
    surface.point_data["margin_mm"] = margin.margin / MM
    surface.point_data["class"] = margin.point_class.astype(np.int32)
    surface.point_data["subcapsular"] = margin.subcapsular.astype(np.uint8)
    surface.field_data["classes"] = list(MARGIN_CLASS_NAMES)
    return surface


def polydata(points: Floats, triangles: NDArray[np.integer[Any]]) -> pv.PolyData:
    """A triangle surface in mm, of points (v, 3) [m] and triangles (t, 3)."""
    if not len(triangles):
        return pv.PolyData()
    counted = np.column_stack((np.full(len(triangles), 3), triangles))
    return pv.PolyData(points / MM, counted.ravel())


def save_mesh(mesh: pv.DataSet, path: Path) -> None:
    """Write a mesh by way of memory: VTK's own writer takes the process down on a full disk."""
    surface = isinstance(mesh, pv.PolyData)
    writer = vtkXMLPolyDataWriter() if surface else vtkXMLUnstructuredGridWriter()
    writer.SetInputData(mesh)
    writer.WriteToOutputStringOn()
    if not writer.Write():
        raise ResourceError(f"{path.name}: VTK could not write it; is there enough memory?")
    path.write_text(writer.GetOutputString(), encoding="utf-8")


def _write_volumes(directory: Path, record: RunRecord) -> None:
    grid, zone, peak = volumes(record)
    for name, values in (("zone.nii.gz", zone), ("peak_C.nii.gz", peak)):
        write_volume(directory / name, values, grid.affine)
        _check_whole(directory / name)
    labels = {
        "file": "zone.nii.gz",
        "criterion": record.scenario.assessment.criterion,
        "labels": {str(value): name for value, name in ZONE_LABELS.items()},
    }
    (directory / "labels.json").write_text(json.dumps(labels, indent=2) + "\n", encoding="utf-8")


def _check_whole(path: Path) -> None:
    """Read a compressed file to its end: ITK does not notice that a disk is full."""
    try:
        with gzip.open(path) as stream:
            while stream.read(READ_AT_ONCE):
                pass
    except (EOFError, OSError, zlib.error) as error:
        raise ResourceError(
            f"{path.name}: cannot be written whole; free some space or choose another directory"
        ) from error


def volumes(record: RunRecord) -> tuple[Grid, NDArray[np.uint8], NDArray[np.float32]]:
    """The zone as labels, and the peak temperature [°C], at voxel centres.

    Outside the tissue (vessels, beyond the block) the temperature is the blood's. Inside a probe
    both fields are those of its nearest wall.
    """
    mesh = record.mesh
    grid = record.grid or grid_around(mesh)
    window, place = grid.window(mesh.points)
    zone = rasterise(mesh, record.zone.field, window)
    peak = rasterise(mesh, record.solution.peak, window)
    uncovered = np.isnan(peak)
    blood = record.scenario.physics.blood_temperature_C
    zone[uncovered], peak[uncovered] = -np.inf, blood
    voxels, nodes = voxels_in_probes(mesh, window, uncovered)
    index = tuple(voxels.T)
    zone[index], peak[index] = record.zone.field[nodes], record.solution.peak[nodes]
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[place] = zone >= record.zone.level
    temperature = np.full(grid.shape, blood, dtype=np.float32)
    # Hundredths are far below any accuracy, and rounded numbers take a fraction of the space.
    temperature[place] = np.round(peak, 2)
    return grid, labels, temperature
