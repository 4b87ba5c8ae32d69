"""A run directory made without mesher and solver: a needle beside a straight vessel, an analytic
temperature field.

The files are those that `ablasim run` leaves. The geometry is extruded along z (head-foot axis), so
walls are smooth.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from scipy.spatial import Delaunay

Array = NDArray[np.float64]

NEEDLE_RADIUS = 0.735
VESSEL_RADIUS = 3.0
VESSEL_X = 16.0
TUMOUR_RADIUS = 11.0
HALF = 32.0
TIP_Z = -15.0
ACTIVE_TOP_Z = 15.0


def needle_field(points: Array) -> Array:
    """Peak temperature [°C] around the needle's active part, cooled by the vessel."""
    along = np.clip(points[:, 2], -10.0, 10.0)
    away = np.linalg.norm(points - np.column_stack((0 * along, 0 * along, along)), axis=1)
    wall = np.hypot(points[:, 0] - VESSEL_X, points[:, 1]) - VESSEL_RADIUS
    heat = 68.0 * np.exp(-((np.maximum(away - 1.5, 0.0) / 15.0) ** 1.5))
    return 37.0 + np.minimum(heat, 62.0) * (1.0 - 0.9 * np.exp(-np.maximum(wall, 0.0) / 4.0))


def ball_field(radius: float) -> Callable[[Array], Array]:
    """A field whose 60 °C surface is a sphere of `radius` mm around the origin; linear in the
    distance."""
    return lambda points: 60.0 + 1.5 * (radius - np.linalg.norm(points, axis=1))


def write_run(
    folder: Path,
    field: Callable[[Array], Array] = needle_field,
    *,
    tumour: bool = True,
    vessel: bool = True,
    modality: str = "rf",
    name: str = "synthetic_needle_beside_vein",
) -> Path:
    """Write a run directory and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    points, cells = _mesh(vessel)
    centres = points[cells].mean(axis=1)
    inside = np.linalg.norm(centres, axis=1) < TUMOUR_RADIUS
    peak = field(points)
    grid = pv.UnstructuredGrid({pv.CellType.TETRA: cells}, points)
    grid.point_data["peak_C"] = peak
    grid.point_data["temperature_C"] = 37.0 + 0.95 * (peak - 37.0)
    grid.cell_data["region"] = (inside & tumour).astype(np.int32)
    grid.cell_data["sigma"] = np.full(len(cells), 0.3)
    grid.save(folder / "fields.vtu")
    _surfaces(grid, vessel).save(folder / "anatomy.vtp")
    zone = grid.contour([60.0], scalars="peak_C")
    if zone.n_cells:
        zone.save(folder / "lethal_zone.vtp")
    summary = _summary(grid, tumour, vessel, modality, name)
    if tumour:
        surface = pv.Icosphere(radius=TUMOUR_RADIUS, nsub=4)
        if zone.n_cells:
            signed = np.abs(surface.compute_implicit_distance(zone)["implicit_distance"])
            signed *= np.where(field(np.asarray(surface.points)) >= 60.0, 1.0, -1.0)
        else:
            signed = np.full(surface.n_points, -TUMOUR_RADIUS)
        surface.point_data["margin_mm"] = signed
        surface.save(folder / "tumour_margin.vtp")
        summary["margin"] = _margin(surface, vessel)
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    (folder / "history.csv").write_text(_history(modality), encoding="utf-8")
    (folder / "scenario.yaml").write_text("name: synthetic <needle>\n", encoding="utf-8")
    return folder


def _mesh(vessel: bool) -> tuple[Array, NDArray[np.int64]]:
    """Points (n, 3) [mm] and tetrahedra (m, 4) of an extruded block with a needle hole and a vessel
    hole."""
    rings = [((0.0, 0.0), radius) for radius in (NEEDLE_RADIUS, 1.2, 2.0, 3.2, 5.0)]
    if vessel:
        rings += [((VESSEL_X, 0.0), radius) for radius in (VESSEL_RADIUS, 4.2, 5.8)]
    angle = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
    circles = [
        np.column_stack((x + radius * np.cos(angle), y + radius * np.sin(angle)))
        for (x, y), radius in rings
    ]
    axis = np.linspace(-HALF, HALF, 27)
    grid = np.column_stack([part.ravel() for part in np.meshgrid(axis, axis)])
    far = np.hypot(grid[:, 0], grid[:, 1]) > 6.0
    if vessel:
        far &= np.hypot(grid[:, 0] - VESSEL_X, grid[:, 1]) > 6.6
    plane = np.concatenate([[[0.0, 0.0]], *circles, grid[far]])
    triangles = np.sort(Delaunay(plane).simplices, axis=1)
    middle = plane[triangles].mean(axis=1)
    in_needle = np.hypot(middle[:, 0], middle[:, 1]) < NEEDLE_RADIUS
    in_vessel = (np.hypot(middle[:, 0] - VESSEL_X, middle[:, 1]) < VESSEL_RADIUS) & vessel
    levels = np.unique(np.concatenate((np.linspace(-HALF, HALF, 33), [TIP_Z, ACTIVE_TOP_Z])))
    points = np.concatenate([np.column_stack((plane, np.full(len(plane), z))) for z in levels])
    cells = []
    for number, (low, high) in enumerate(zip(levels[:-1], levels[1:], strict=True)):
        hole = in_vessel | (in_needle & (0.5 * (low + high) > TIP_Z))
        a, b, c = (triangles[~hole] + number * len(plane)).T
        up = len(plane)
        for corners in ((a, b, c, c + up), (a, b, b + up, c + up), (a, a + up, b + up, c + up)):
            cells.append(np.column_stack(corners))
    tets = np.concatenate(cells)
    edges = points[tets[:, 1:]] - points[tets[:, :1]]
    turned = np.linalg.det(edges) < 0
    tets[turned] = tets[turned][:, [0, 2, 1, 3]]
    used, tets = np.unique(tets, return_inverse=True)
    return points[used], tets.reshape(-1, 4)


def _surfaces(grid: pv.UnstructuredGrid, vessel: bool) -> pv.PolyData:
    surface = grid.extract_surface(algorithm="dataset_surface").triangulate()
    surface.clear_data()
    x, y, z = surface.cell_centers().points.T
    number = np.zeros(surface.n_cells, dtype=np.int32)
    needle = (np.hypot(x, y) < 1.0) & (np.abs(z) < HALF - 1e-6)
    number[needle] = np.where(z[needle] > ACTIVE_TOP_Z, 2, 1)
    if vessel:
        number[(np.hypot(x - VESSEL_X, y) < VESSEL_RADIUS + 0.05) & (np.abs(z) < HALF - 1e-6)] = 3
    surface.cell_data["surface"] = number
    return surface


def _margin(surface: pv.PolyData, vessel: bool) -> dict[str, Any]:
    margin = np.asarray(surface.point_data["margin_mm"])
    edges = (-np.inf, 0.0, 5.0, 10.0, np.inf)
    below, thin, enough, wide = np.histogram(margin, edges)[0] / len(margin)
    point = np.asarray(surface.points)[np.argmin(margin)]
    distance = float(np.hypot(point[0] - VESSEL_X, point[1]) - VESSEL_RADIUS)
    return {
        "minimal_mm": float(margin.min()),
        "thinnest_point_mm": [float(value) for value in point],
        "nearest_vessel": "portal_branch" if vessel else None,
        "nearest_vessel_diameter_mm": 2.0 * VESSEL_RADIUS if vessel else None,
        "nearest_vessel_distance_mm": distance if vessel else None,
        "vessel_distance_mm": {"portal_branch": distance} if vessel else {},
        "vessel_diameter_mm": {"portal_branch": 2.0 * VESSEL_RADIUS} if vessel else {},
        "heat_sinks": ["portal_branch"] if vessel and distance <= 5.0 else [],
        "fraction_below_0": below,
        "fraction_0_5": thin,
        "fraction_5_10": enough,
        "fraction_above_10": wide,
        "tumour_covered_fraction": 0.968 if below else 1.0,
        "tumour_volume_ml": 4 / 3 * np.pi * TUMOUR_RADIUS**3 / 1000.0,
    }


def _summary(
    grid: pv.UnstructuredGrid, tumour: bool, vessel: bool, modality: str, name: str
) -> dict[str, Any]:
    surfaces: list[dict[str, Any]] = [
        {"name": "outer", "kind": "outer"},
        {"name": "probe.0.active", "kind": "active"},
        {"name": "probe.0.shaft", "kind": "shaft"},
    ]
    if vessel:
        surfaces.append(
            {
                "name": "vessel.portal_branch",
                "kind": "portal_vein",
                "diameter_mm": 2 * VESSEL_RADIUS,
                "velocity_cm_s": 12.0,
                "h_W_m2K": 980.0,
            }
        )
    zones: dict[str, Any] = {"criterion": "peak_60C"}
    for level in (60, 54, 50):
        hot = grid.threshold(float(level), scalars="peak_C", all_scalars=False)
        zones[f"peak_{level}C"] = {
            "volume_ml": float(hot.volume) / 1000.0,
            "long_axis_mm": float(np.ptp(hot.points[:, 2])) if hot.n_points else None,
            "short_axis_mm": float(np.ptp(hot.points[:, 1])) if hot.n_points else None,
            "sphericity": 0.81,
        }
    electrical = modality == "rf"
    return {
        "name": name,
        "description": "A made-up case for the tests of the pictures.",
        "notice": "Research software, not a medical device.",
        "status": "finished",
        "scenario": {
            "name": name,
            "protocol": {"mode": "power", "power_W": 30.0, "duration_s": 720.0},
            "physics": {
                "perfusion_shutdown": "peak_60C",
                "vaporisation_band_C": [99.0, 100.0],
                "sigma_drop_K": 5.0,
                "blood_temperature_C": 37.0,
                "initial_temperature_C": 37.0,
            },
            "boundary": {"potential": "far_field", "temperature": "body"},
            "assessment": {"criterion": "peak_60C", "target_margin_mm": 5.0},
            "numerics": {"resolution": "standard"},
        },
        "surfaces": surfaces,
        "zone": zones,
        "margin": None,
        "mesh": {
            "points": grid.n_points,
            "cells": grid.n_cells,
            "min_quality": 0.21,
            "h_min_mm": 0.33,
            "regions": ["liver", "tumour"] if tumour else ["liver"],
        },
        "energy": {
            "delivered_J": 21600.0,
            "stored_J": 9000.0,
            "perfusion_J": 6400.0,
            "vessels_J": 4100.0 if vessel else 0.0,
            "probe_cooling_J": 2090.0,
            "boundary_J": 10.0,
            "balance_error": 3.1e-9,
            "vessels": {"portal_branch": 4100.0} if vessel else {},
        },
        "thermal": {"peak_C": 98.7},
        "generator": {
            "mode": "power",
            "mean_power_W": 30.0,
            "final_impedance_ohm": 71.2 if electrical else None,
            "rolloffs": 0,
        },
        "probes": [
            {
                "model": "cooled_needle_17g_30mm" if electrical else "slot_antenna_2450MHz",
                "modality": modality,
                "tip_mm": [0.0, 0.0, TIP_Z],
                "entry_mm": [0.0, 0.0, 90.0],
                "active_centre_mm": [0.0, 0.0, 0.0],
                "active_length_mm": 30.0,
                "active_parts_mm": [[0.0, 30.0]],
                "diameter_mm": 2 * NEEDLE_RADIUS,
            }
        ],
        "tissues": {
            "liver": {
                "density_kg_m3": {"value": 1079.0, "source": "COMSOL <Bioheat> & IT'IS"},
                "conductivity_W_mK": {"value": 0.52, "source": "COMSOL Bioheat Materials Library"},
            }
        },
        "numerics": {
            "steps": 211,
            "rejected": 3,
            "dtype": "float64",
            "engine": "jax",
            "device": "cpu",
        },
        "timing_s": {"mesh": 15.2, "compile": 6.1, "solve": 31.0, "total": 60.2},
        "versions": {"ablasim": "0.1.0", "jax": "0.7.0"},
        "inputs_sha256": "0123456789abcdef" * 4,
    }


def _history(modality: str) -> str:
    lines = ["time_s,power_W,voltage_V,current_A,impedance_ohm,peak_C,lethal_ml"]
    for time in np.linspace(0.0, 720.0, 60):
        impedance = 62.0 + 9.0 * (1.0 - np.exp(-time / 150.0)) + 20.0 * np.exp(-time / 30.0)
        voltage = np.sqrt(30.0 * impedance)
        electric = (
            f"{voltage:.3f},{30.0 / voltage:.4f},{impedance:.3f}" if modality == "rf" else ",,"
        )
        peak = 98.7 - 61.7 * np.exp(-time / 60.0)
        lines.append(
            f"{time:.1f},30.0,{electric},{peak:.2f},{24.0 * (1 - np.exp(-time / 200.0)):.3f}"
        )
    return "\n".join(lines) + "\n"
