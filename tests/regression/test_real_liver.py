"""RF of a synthetic tumour in a real liver, 12 minutes; skipped where the label map is absent."""

import json
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv

from ablasim import cli
from ablasim.labelmap import read_labels

PORTAL, HEPATIC = 3, 4
TUMOUR = 2

SCENARIO = """\
name: real_liver
description: RF of a 22 mm tumour 4 mm from a hepatic vein
labelmap:
  file: {file}
  labels: {{liver: 1, tumour: 2, portal_vein: 3, hepatic_vein: 4}}
  roi_mm: 90
  tissues: {{liver: cirrhotic_liver}}
probes:
  - model: cooled_needle_17g_30mm
    tip_mm: [146.7, 201.2, 182.1]
    entry_mm: [130.1, 88.1, 194.6]
protocol: {{mode: power, power_W: 36, duration_s: 720}}
numerics: {{resolution: {resolution}}}
"""


@pytest.fixture(scope="module")
def result(liver: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's directory."""
    folder = tmp_path_factory.mktemp("liver")
    scenario = folder / "liver.yaml"
    scenario.write_text(SCENARIO.format(file=liver, resolution="preview"))
    out = folder / "out"
    assert cli.main(["run", str(scenario), "-o", str(out), "-q", "--device", "cpu"]) == 0
    return out


@pytest.mark.liver
@pytest.mark.slow
def test_files_line_up_with_the_label_map(result: Path, liver: Path) -> None:
    """Catches a flipped axis or a wrong unit: nothing would lie where the labels are."""
    labels = read_labels(liver)
    zone = read_labels(result / "zone.nii.gz")
    assert zone.labels.shape == labels.labels.shape
    assert np.allclose(zone.affine, labels.affine, atol=1e-9)
    tumour = pv.read(result / "tumour_margin.vtp")
    voxels = np.argwhere(labels.labels == TUMOUR)
    centre = labels.affine[:3, :3] @ voxels.mean(axis=0) + labels.affine[:3, 3]
    assert np.linalg.norm(np.mean(tumour.points, axis=0) - centre * 1e3) < 0.5
    killed = labels.labels[zone.labels > 0]
    assert len(killed) > 0
    assert np.isin(killed, [1, TUMOUR]).mean() > 0.99  # no blood, nothing outside the liver


@pytest.mark.liver
@pytest.mark.slow
def test_zone_is_flattened_towards_the_hepatic_vein(result: Path, liver: Path) -> None:
    """Catches vessels that do not cool: the zone would be round about the needle."""
    summary = json.loads((result / "summary.json").read_text())
    assert summary["energy"]["balance_error"] < 1e-6
    assert summary["energy"]["vessels"]["hepatic_vein"] > 0.0
    probe = summary["probes"][0]
    tip, entry = np.array(probe["tip_mm"]), np.array(probe["entry_mm"])
    axis = (entry - tip) / np.linalg.norm(entry - tip)
    zone = pv.read(result / "lethal_zone.vtp")
    labels = read_labels(liver)
    veins = np.argwhere(labels.labels == HEPATIC)
    places = (veins @ labels.affine[:3, :3].T + labels.affine[:3, 3]) * 1e3
    along = (places - tip) @ axis
    near = places[(along > 0.0) & (along < 30.0)]
    offset = near - tip - ((near - tip) @ axis)[:, None] * axis
    nearest = np.argmin(np.linalg.norm(offset, axis=1))
    towards = offset[nearest] / np.linalg.norm(offset[nearest])
    height = (near[nearest] - tip) @ axis
    points = np.asarray(zone.points) - tip
    slab = points[np.abs(points @ axis - height) < 3.0]
    across = slab - (slab @ axis)[:, None] * axis
    angle = np.degrees(np.arccos(np.clip(across @ towards / np.linalg.norm(across, axis=1), -1, 1)))
    facing = np.linalg.norm(across[angle < 30.0], axis=1).mean()
    behind = np.linalg.norm(across[angle > 150.0], axis=1).mean()
    assert facing < behind - 0.5  # mm, more than the numerical error of the surface
