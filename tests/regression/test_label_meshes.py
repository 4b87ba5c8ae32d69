"""Meshes of label maps: the shipped patient-like one, and a real liver where it is at hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ablasim.anatomy import Anatomy, build_anatomy
from ablasim.centreline import locate
from ablasim.frames import MM
from ablasim.labelmap import read_labels
from ablasim.mesh import TetMesh, cached_mesh
from ablasim.scenario import Scenario, load_scenario, scenario_from_data

TUMOUR = 2


def check(anatomy: Anatomy, mesh: TetMesh, labels: Path, *, h_min: float) -> None:
    """What every mesh of a label map must be."""
    assert mesh.cell_volumes().min() > 0.0
    assert mesh.quality().min() > 0.05
    assert mesh.h_min() > h_min
    assert set(mesh.regions) == {"liver", "tumour", "outside"}
    needle = anatomy.probes[0]
    radius, length = needle.data.radius, 30.0 * MM
    active = 2.0 * math.pi * radius * length + math.pi * radius**2
    assert mesh.surface_area("probe.0.active") == pytest.approx(active, rel=0.01)
    for name in ("probe.0.active", "probe.0.shaft"):
        corners = mesh.points[np.unique(mesh.surface_faces(name))]
        assert np.abs(needle.sdf(corners)).max() < 0.15 * MM
    for vessel in anatomy.vessels:
        corners = mesh.points[np.unique(mesh.surface_faces(f"vessel.{vessel.name}"))]
        assert np.quantile(np.abs(vessel.sdf(corners)), 0.98) < 0.1 * MM
    # The labelled volume, but for the needle in it.
    image = read_labels(labels)
    labelled = float((image.labels == TUMOUR).sum() * np.prod(image.spacing))
    meshed = float(mesh.cell_volumes()[mesh.region_cells("tumour")].sum())
    inside = np.arange(-50.0 * MM, 50.0 * MM, 0.1 * MM)
    track = np.asarray(needle.tip) + np.maximum(inside, 0.0)[:, None] * np.asarray(needle.direction)
    assert anatomy.tumour is not None
    in_tumour = (anatomy.tumour(track) < 0.0) & (inside > 0.0)
    bored = float(in_tumour.sum()) * 0.1 * MM * math.pi * radius**2
    assert meshed + bored == pytest.approx(labelled, rel=0.03)


@pytest.mark.slow
def test_the_patient_like_label_map_is_meshed(repository: Path) -> None:
    scenario = load_scenario(repository / "scenarios" / "patient_like.yaml")
    anatomy = build_anatomy(scenario)
    assert {vessel.name for vessel in anatomy.vessels} == {"portal_vein", "hepatic_vein"}
    mesh = cached_mesh(anatomy, "preview")
    assert scenario.labelmap is not None
    check(anatomy, mesh, Path(scenario.labelmap.file), h_min=0.05 * MM)
    assert len(mesh.points) < 40_000


def liver_scenario(file: Path) -> Scenario:
    """The tumour and the needle's path that come with the real liver."""
    return scenario_from_data(
        {
            "name": "real_liver",
            "labelmap": {
                "file": str(file),
                "labels": {"liver": 1, "tumour": 2, "portal_vein": 3, "hepatic_vein": 4},
            },
            "probes": [
                {
                    "model": "cooled_needle_17g_30mm",
                    "tip_mm": [146.7, 201.2, 182.1],
                    "entry_mm": [130.1, 88.1, 194.6],
                }
            ],
            "protocol": {"mode": "power", "power_W": 36.0, "duration_s": 720.0},
        }
    )


@pytest.mark.slow
@pytest.mark.liver
def test_a_real_liver_is_meshed(liver: Path) -> None:
    anatomy = build_anatomy(liver_scenario(liver))
    mesh = cached_mesh(anatomy, "standard")
    check(anatomy, mesh, liver, h_min=0.05 * MM)
    assert 40_000 < len(mesh.points) < 80_000
    vein = next(vessel for vessel in anatomy.vessels if vessel.name == "hepatic_vein")
    corners = mesh.points[np.unique(mesh.surface_faces("vessel.hepatic_vein"))]
    centre = np.array([144.6, 186.4, 183.8]) * MM
    # The label map's makers put the tumour's edge 4.1 mm from the vein.
    gap = float(np.linalg.norm(corners - centre, axis=1).min()) - 11.0 * MM
    assert gap == pytest.approx(4.1 * MM, abs=1.0 * MM)
    # Label 4 holds the vena cava too; the middle hepatic vein at the tumour is half as wide.
    assert 15.0 * MM < vein.diameter < 30.0 * MM
    nearest = corners[np.argmin(np.linalg.norm(corners - centre, axis=1))]
    branch = vein.branches[int(locate(vein.branches, nearest[None])[0][0])]
    assert 5.0 * MM < branch.diameter < 15.0 * MM
