"""Label maps: read in any frame, smoothed without losing volume, refused with a reason."""

from __future__ import annotations

import gzip
import struct
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvista as pv
from numpy.typing import NDArray
from scipy import ndimage

from ablasim import catalogue
from ablasim.anatomy import place_probe
from ablasim.anatomy_probes import ProbeShape
from ablasim.errors import InputFileError, ResourceError, ScenarioError
from ablasim.frames import MM
from ablasim.labelmap import LabelImage, label_grid, read_labels, region_of_interest, write_volume
from ablasim.scenario.anatomy import LabelMap
from ablasim.shapes import FloatArray, GridSdf, Sphere, Tube

LABELS = {"liver": 1, "tumour": 2, "portal_vein": 3, "hepatic_vein": 4}
TUMOUR = Sphere((0.004, -0.003, 0.002), 9.0 * MM)
VEIN = Tube(((-0.1, 0.02, 0.0), (0.1, 0.02, 0.01)), 3.0 * MM)
THIN_VEIN = Tube(((-0.1, -0.03, 0.0), (0.1, -0.03, 0.0)), 0.8 * MM)
PORTAL = Tube(((0.03, -0.1, 0.0), (0.03, 0.1, 0.0)), 4.0 * MM)
SPACING = np.array([1.0, 1.2, 1.5]) * MM


def frame(
    axes: tuple[int, int, int], signs: tuple[int, int, int], spacing: FloatArray
) -> FloatArray:
    """An affine whose index axes run along the given world axes, both ways, around the origin."""
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for index, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[axis, index] = sign * spacing[index]
    return affine


def labelled(affine: FloatArray, half: float = 0.06) -> tuple[NDArray[np.uint8], FloatArray]:
    """Voxels of a liver with tumour and vessels in a cube around the origin."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    shape = np.round(2.0 * half / spacing).astype(int)
    affine = affine.copy()
    affine[:3, 3] = -affine[:3, :3] @ (0.5 * (shape - 1))
    index = np.indices(shape).reshape(3, -1).T
    x = index @ affine[:3, :3].T + affine[:3, 3]
    labels = np.where(x[:, 2] < 0.03, 1, 0).astype(np.uint8)
    labels[PORTAL(x) < 0.0] = 3
    labels[(VEIN(x) < 0.0) | (THIN_VEIN(x) < 0.0)] = 4
    labels[TUMOUR(x) < 0.0] = 2
    return labels.reshape(shape), affine


def write(path: Path, affine: FloatArray | None = None) -> Path:
    """A label map on disk."""
    straight = frame((0, 1, 2), (1, 1, 1), SPACING)
    write_volume(path, *labelled(straight if affine is None else affine))
    return path


def section(path: Path, **changes: Any) -> LabelMap:
    """The scenario's part about the label map."""
    data = {"file": str(path), "labels": LABELS, "roi_mm": 70.0, **changes}
    return LabelMap.model_validate(data)


def needle(
    tip_mm: tuple[float, float, float] = (4.0, -3.0, -13.0),
    towards: tuple[float, float, float] = (0.0, 0.0, 1.0),
) -> tuple[ProbeShape, ...]:
    """A needle through the tumour."""
    data = catalogue.probe("cooled_needle_17g_30mm")
    return (place_probe(data, np.array(tip_mm) * MM, np.array(towards)),)


def volume_below(sdf: GridSdf) -> float:
    """Volume inside a sampled shape, by samples ten times as fine [m3]."""
    near = ndimage.zoom(sdf.values.astype(float), 2, order=1)
    fine = sdf.spacing * (np.array(sdf.values.shape) - 1) / (np.array(near.shape) - 1)
    return float(np.clip(0.5 - near / fine[0], 0.0, 1.0).sum() * np.prod(fine))


@pytest.mark.parametrize("axes", list(permutations((0, 1, 2))))
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_a_file_comes_back_as_written(
    tmp_path: Path, axes: tuple[int, int, int], ending: str
) -> None:
    signs = (1, -1, -1) if axes in ((0, 1, 2), (1, 2, 0)) else (-1, 1, 1)
    labels, affine = labelled(frame(axes, signs, SPACING), half=0.02)
    path = tmp_path / f"a{ending}"
    write_volume(path, labels, affine)
    image = read_labels(path)
    assert (image.labels == labels).all()
    np.testing.assert_allclose(image.affine, affine, atol=1e-8)
    shape, same = label_grid(path)
    assert shape == labels.shape and (same == image.affine).all()


def test_lengths_in_a_file_are_millimetres_lps(tmp_path: Path) -> None:
    affine = np.diag([2.0 * MM, 3.0 * MM, 4.0 * MM, 1.0])
    affine[:3, 3] = [10.0 * MM, 20.0 * MM, 30.0 * MM]
    path = tmp_path / "a.nii"
    write_volume(path, np.zeros((3, 4, 5), dtype=np.uint8), affine)
    header = path.read_bytes()[:348]
    rows = np.array(struct.unpack_from("<12f", header, 280)).reshape(3, 4)
    # NIfTI is RAS: x and y change sign.
    np.testing.assert_allclose(rows, [[-2, 0, 0, -10], [0, -3, 0, -20], [0, 0, 4, 30]], atol=1e-5)


@pytest.mark.parametrize(
    "affine",
    [
        frame((0, 1, 2), (1, 1, 1), SPACING),
        frame((2, 0, 1), (-1, 1, -1), SPACING),
        frame((0, 1, 2), (-1, -1, 1), np.array([0.95, 0.95, 3.75]) * MM),
    ],
    ids=["straight", "turned", "thick slices"],
)
def test_shapes_keep_volume_and_place(tmp_path: Path, affine: FloatArray) -> None:
    path = write(tmp_path / "a.nii.gz", affine)
    region = region_of_interest(section(path), needle())
    tumour = region.tumour
    assert isinstance(tumour, GridSdf)
    image = read_labels(path)
    counted = (image.labels == 2).sum() * np.prod(image.spacing)
    assert volume_below(tumour) == pytest.approx(counted, rel=0.03)
    # Points of the true sphere lie near the smoothed surface, whatever the slices.
    ways = np.random.default_rng(0).normal(size=(500, 3))
    ways /= np.linalg.norm(ways, axis=1)[:, None]
    on = np.asarray(TUMOUR.centre) + TUMOUR.radius * ways
    assert np.abs(tumour(on)).mean() < 0.25 * image.spacing.max()
    assert region.liver is not None
    np.testing.assert_allclose(region.centre, [0.004, -0.003, 0.002], atol=0.4 * MM)


def test_a_smoothed_wall_has_no_staircase(tmp_path: Path) -> None:
    """The wall area of voxels is 27 % and more too large and stays so: it must not come through."""
    region = region_of_interest(section(write(tmp_path / "a.nii.gz")), needle())
    sdf = region.tumour
    assert isinstance(sdf, GridSdf)
    grid = pv.ImageData(dimensions=sdf.values.shape, spacing=(sdf.spacing,) * 3)
    grid["distance"] = sdf.values.ravel(order="F")
    area = grid.contour([0.0], scalars="distance").area
    assert area == pytest.approx(4.0 * np.pi * TUMOUR.radius**2, rel=0.02)


def test_vessels_below_three_millimetres_are_left_out(tmp_path: Path) -> None:
    region = region_of_interest(section(write(tmp_path / "a.nii.gz")), needle())
    vein = region.vessels["hepatic_vein"]
    on_axis = np.array([[0.0, 0.02, 0.005], [0.01, 0.02, 0.0055]])
    assert (vein(on_axis) < -2.0 * MM).all()
    along = np.linspace(-0.03, 0.03, 61)
    thin = np.stack([along, np.full(61, -0.03), np.zeros(61)], axis=1)
    assert (vein(thin) > 0.0).all(), "the 1.6 mm vein must not be meshed"
    portal = region.vessels["portal_vein"](np.array([[0.03, 0.0, 0.0]]))
    assert portal[0] == pytest.approx(-4.0 * MM, abs=0.6 * MM)


def test_a_cube_inside_the_liver_needs_no_capsule(tmp_path: Path) -> None:
    region = region_of_interest(section(write(tmp_path / "a.nii.gz"), roi_mm=54.0), needle())
    assert region.liver is None


# Refusals -----------------------------------------------------------------------------------------


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no such file"):
        read_labels(tmp_path / "none.nii.gz")


@pytest.mark.parametrize("keep", [20, 200, 400, 1000, -10])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_truncated_nifti_is_refused(tmp_path: Path, name: str, keep: int) -> None:
    path = write(tmp_path / name)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputFileError, match="cut short") as caught:
        read_labels(path)
    assert str(path) in str(caught.value)


def test_a_truncated_nrrd_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nrrd")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputFileError, match="cannot be read"):
        read_labels(path)


def test_a_nifti_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(b"not an image, but long enough to hold a header. " * 20)
    with pytest.raises(InputFileError, match="not a NIfTI"):
        read_labels(path)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_sheared_nifti_is_refused(tmp_path: Path, zipped: bool) -> None:
    path = write(tmp_path / "a.nii")
    data = bytearray(path.read_bytes())
    assert struct.unpack_from("<h", data, 254)[0] > 0, "the writer sets the sform"
    struct.pack_into("<f", data, 280 + 4, 0.3)  # the second axis leans towards the first
    path = tmp_path / ("b.nii.gz" if zipped else "b.nii")
    path.write_bytes(gzip.compress(bytes(data)) if zipped else bytes(data))
    with pytest.raises(InputFileError, match="perpendicular"):
        read_labels(path)


def test_an_image_that_is_not_labels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    write_volume(path, np.full((4, 4, 4), 0.5, dtype=np.float32), np.diag([MM, MM, MM, 1.0]))
    with pytest.raises(InputFileError, match="whole numbers"):
        read_labels(path)


def test_whole_numbers_in_a_float_image_are_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    write_volume(path, np.full((4, 4, 4), 3.0, dtype=np.float32), np.diag([MM, MM, MM, 1.0]))
    assert (read_labels(path).labels == 3).all()


def test_a_label_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz")
    wrong = section(path, labels={"liver": 1, "tumour": 7, "portal_vein": 9})
    with pytest.raises(ScenarioError) as caught:
        region_of_interest(wrong, needle())
    assert [problem.path for problem in caught.value.problems] == [
        "labelmap.labels.tumour",
        "labelmap.labels.portal_vein",
    ]
    tumour_voxels = int((read_labels(path).labels == 2).sum())
    assert f"2 ({tumour_voxels} voxels)" in str(caught.value)


def refusal(path: Path, probes: tuple[ProbeShape, ...], **changes: Any) -> tuple[str, str]:
    """Path and message of the one problem."""
    with pytest.raises(ScenarioError) as caught:
        region_of_interest(section(path, **changes), probes)
    (problem,) = caught.value.problems
    return problem.path, problem.message


def test_a_tip_outside_the_image_is_refused(tmp_path: Path) -> None:
    where, message = refusal(write(tmp_path / "a.nii.gz"), needle((400.0, 0.0, 0.0)))
    assert where == "probes[0].tip_mm"
    assert "got [400.0, 0.0, 0.0]" in message and "must lie inside a.nii.gz" in message


def test_a_tumour_outside_the_region_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz")
    far = needle((20.0, -3.0, -13.0))
    where, message = refusal(path, far, roi_mm=42.0)
    assert where == "labelmap.roi_mm"
    least = float(message.split("at least ")[1].split(" ")[0])
    assert 42.0 < least < 48.0
    region_of_interest(section(path, roi_mm=least), far)


def test_a_probe_through_a_vessel_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz")
    where, message = refusal(path, needle((4.0, -3.0, 0.0), (0.0, 1.0, 0.1)))
    assert where == "probes[0]"
    assert "hepatic vein" in message and "must stay at least 0.5 mm" in message
    # Through a vessel too thin to be meshed is allowed.
    region_of_interest(section(path), needle((4.0, -3.0, 0.0), (0.0, -1.0, 0.1)))


def test_a_volume_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="cannot be written"):
        write_volume(tmp_path / "none" / "a.nii.gz", np.zeros((2, 2, 2)), np.eye(4))


def test_index_and_place_agree() -> None:
    affine = frame((1, 2, 0), (1, -1, 1), SPACING)
    affine[:3, 3] = [0.1, 0.2, 0.3]
    image = LabelImage(Path("a"), np.zeros((4, 5, 6), dtype=np.int64), affine)
    index = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(image.index_of(index @ affine[:3, :3].T + affine[:3, 3]), index)
