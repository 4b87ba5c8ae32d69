"""Label maps (NIfTI, NRRD) in and out: labels become smooth signed distance functions.

A label's voxels give a signed distance on the image's own grid. Interpolated to a fine isotropic
grid around tumour and probe it fills in thick slices by shape; smoothed, and shifted so that the
labelled volume is kept, it has no staircase left.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablasim import catalogue
from ablasim.anatomy import heat_distance, thinnest_vessel
from ablasim.centreline import Branch
from ablasim.errors import InputFileError, Problem, ResourceError, ScenarioError
from ablasim.frames import CM_PER_S, MM, grid_affine
from ablasim.labelmap_nifti import check_axes, check_nifti
from ablasim.labelmap_shapes import Volume, closed_liver, open_tubes, smooth_distance, to_sdf
from ablasim.labelmap_vessels import distance_from_root, vessel_branches
from ablasim.shapes import FloatArray, Sdf, Torus, Vector

if TYPE_CHECKING:
    from ablasim.anatomy import ProbeShape
    from ablasim.scenario.anatomy import LabelMap

VESSEL_KINDS = ("portal_vein", "hepatic_vein", "vena_cava", "hepatic_artery")
MARGIN = 6.0 * MM  # the grid runs this far past the region, for smoothing and projections
TUMOUR_MARGIN = 5.0 * MM  # tissue wanted between tumour or active part and the region's edge
CLEARANCE = 0.5 * MM  # tissue wanted between a probe and a meshed vessel
LISTED = 12


@dataclass(frozen=True, eq=False)
class LabelImage:
    """A label map.

    Attributes:
        path: where it came from.
        labels: (ni, nj, nk) integers.
        affine: (4, 4) from index to LPS [m].
    """

    path: Path
    labels: NDArray[np.int64]
    affine: FloatArray

    @property
    def spacing(self) -> FloatArray:
        """Edge lengths of a voxel, (3,) [m]."""
        spacing: FloatArray = np.linalg.norm(self.affine[:3, :3], axis=0)
        return spacing

    def index_of(self, x: FloatArray) -> FloatArray:
        """Continuous index (n, 3) of points (n, 3) [m]."""
        index: FloatArray = np.linalg.solve(self.affine[:3, :3], (x - self.affine[:3, 3]).T).T
        return index


@dataclass(frozen=True)
class Region:
    """The shapes around tumour and probe.

    Attributes:
        centre: of the cube, (3,) [m].
        liver: None where the cube lies wholly in the liver.
        tumour: signed distance.
        vessels: by kind, parts at least 3 mm thick.
        branches: of each kind, with their calibre and flow.
    """

    centre: FloatArray
    liver: Sdf | None
    tumour: Sdf
    vessels: dict[str, Sdf]
    branches: dict[str, tuple[Branch, ...]]


def region_of_interest(section: LabelMap, probes: tuple[ProbeShape, ...]) -> Region:
    """Shapes in the cube around tumour and probes.

    Raises:
        InputFileError: the file is unreadable or contradicts itself.
        ScenarioError: labels, region or probes do not fit the file.
    """
    image = read_labels(section.file)
    named = {name: label for name, label in section.labels if label is not None}
    _check_labels(image, named)
    _check_tips(image, probes)
    tumour_voxels = np.argwhere(image.labels == named["tumour"])
    tumour_points = tumour_voxels @ image.affine[:3, :3].T + image.affine[:3, 3]
    active = np.mean([probe.active_centre for probe in probes], axis=0)
    centre = 0.5 * (tumour_points.mean(axis=0) + active)
    half = 0.5 * section.roi_mm * MM
    _check_region(section.roi_mm, centre, tumour_points, probes)
    volume = _crop(image, centre, half + MARGIN)
    names = list(named)
    masks = {name: volume.labels == named[name] for name in names}
    # Thick slices leave flat ends and steps: smooth more.
    blur = 0.3 * float(image.spacing.max())
    tumour = to_sdf(
        smooth_distance(volume, masks["tumour"], float(np.clip(blur, 0.6 * MM, 1.5 * MM))), volume
    )
    vessels: dict[str, Sdf] = {}
    branches: dict[str, tuple[Branch, ...]] = {}
    for kind in VESSEL_KINDS:
        if kind in masks and masks[kind].any():
            sigma = float(np.clip(0.5 * blur, 0.5 * MM, 0.8 * MM))
            distance = smooth_distance(volume, masks[kind], sigma)
            opened = open_tubes(
                distance, volume, lambda x: 0.5 * thinnest_vessel(heat_distance(probes, x))
            )
            if opened is not None:
                vessels[kind] = to_sdf(opened, volume)
                root = distance_from_root(kind, image.labels == named[kind], image.affine)
                branches[kind] = vessel_branches(
                    kind, opened, volume, root, typical_flow(kind), _overrides(section, kind)
                )
    _check_clearance(probes, vessels, centre, half)
    liver = closed_liver(volume, np.logical_or.reduce(list(masks.values())))
    inside = _inside_cube(volume, half, centre)
    whole = bool((liver[inside] < 0.0).all())
    return Region(centre, None if whole else to_sdf(liver, volume), tumour, vessels, branches)


def typical_flow(kind: str) -> tuple[float, float]:
    """Diameter [m] and mean velocity [m/s] of a kind of vessel."""
    known = catalogue.vessel_kind(kind)
    return known.diameter, known.velocity


def _overrides(section: LabelMap, kind: str) -> tuple[float | None, float | None]:
    """Diameter [m] and velocity [m/s] that the scenario gives for a kind."""
    flow = section.vessels.get(kind)
    if flow is None:
        return None, None
    diameter, velocity = flow.diameter_mm, flow.velocity_cm_s
    return (
        None if diameter is None else diameter * MM,
        None if velocity is None else velocity * CM_PER_S,
    )


def read_labels(path: str | Path) -> LabelImage:
    """Read a label map of any orientation and spacing.

    Raises:
        InputFileError: missing, cut short, not three-dimensional, sheared, or not whole numbers.
    """
    path = Path(path)
    image = _read(path)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputFileError(
            f"{path}: got {image.GetDimension()} dimensions and"
            f" {image.GetNumberOfComponentsPerPixel()} values per voxel; a label map has 3 and 1:"
            " export one label map"
        )
    return LabelImage(path, _integers(path, image), _affine(path, image))


def label_grid(path: str | Path) -> tuple[tuple[int, int, int], FloatArray]:
    """Shape and affine (index to LPS [m]) of an image, to write results on the same grid."""
    header = _read(Path(path), header=True)
    i, j, k = header.GetSize()
    return (i, j, k), _affine(Path(path), header)


def write_volume(path: str | Path, values: NDArray[Any], affine: FloatArray) -> None:
    """Write a volume; the ending decides the format (.nii.gz, .nii, .nrrd).

    Args:
        path: where.
        values: (ni, nj, nk) integers or floats.
        affine: (4, 4) from index to LPS [m].

    Raises:
        ResourceError: it could not be written.
    """
    import SimpleITK as sitk

    axes = affine[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    image.SetSpacing([float(s) for s in spacing / MM])
    image.SetOrigin([float(x) for x in affine[:3, 3] / MM])
    image.SetDirection([float(x) for x in (axes / spacing).reshape(-1)])
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise ResourceError(
            f"{path}: cannot be written; free some space or choose another folder"
        ) from error


def _read(path: Path, *, header: bool = False) -> Any:
    """An image, or a reader that knows its header only, which answers the same questions."""
    import SimpleITK as sitk

    if not path.is_file():
        raise InputFileError(f"{path}: no such file; check labelmap.file")
    if path.name.endswith((".nii", ".nii.gz")):
        check_nifti(path)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        if not header:
            return reader.Execute()
        reader.ReadImageInformation()
        return reader
    except RuntimeError:
        raise InputFileError(
            f"{path}: cannot be read as an image; must be a whole NIfTI (.nii, .nii.gz) or NRRD"
            " (.nrrd) file: export it again"
        ) from None


def _affine(path: Path, image: Any) -> FloatArray:
    affine = grid_affine(image.GetOrigin(), image.GetSpacing(), image.GetDirection())
    check_axes(path, affine[:3, :3])
    return affine


def _integers(path: Path, image: Any) -> NDArray[np.int64]:
    import SimpleITK as sitk

    values = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    if values.dtype.kind == "f":
        whole = np.isfinite(values).all() and (values == np.round(values)).all()
        if not whole:
            raise InputFileError(
                f"{path}: got values that are not whole numbers; a label map holds one label per"
                " voxel: give the segmentation, not the image it was drawn on"
            )
    labels: NDArray[np.int64] = values.astype(np.int64)
    return labels


def _check_labels(image: LabelImage, named: dict[str, int]) -> None:
    present, counts = np.unique(image.labels, return_counts=True)
    listed = ", ".join(
        f"{value} ({count} voxels)"
        for value, count in list(zip(present.tolist(), counts.tolist(), strict=True))[:LISTED]
    )
    problems = [
        Problem(
            f"labelmap.labels.{name}",
            None,
            f"got {label}; {image.path.name} has {listed}: give one of these or leave the key out",
        )
        for name, label in named.items()
        if label not in present
    ]
    if problems:
        raise ScenarioError(problems)


def _check_tips(image: LabelImage, probes: tuple[ProbeShape, ...]) -> None:
    last = np.array(image.labels.shape) - 0.5
    problems = []
    for i, probe in enumerate(probes):
        index = image.index_of(np.array([probe.tip]))[0]
        if (index < -0.5).any() or (index > last).any():
            corners = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
            ends = corners * (np.array(image.labels.shape) - 1)
            places = (ends @ image.affine[:3, :3].T + image.affine[:3, 3]) / MM
            problems.append(
                Problem(
                    f"probes[{i}].tip_mm",
                    None,
                    f"got {_text(probe.tip)}; must lie inside {image.path.name}, which reaches from"
                    f" {_text(places.min(axis=0) * MM)} to {_text(places.max(axis=0) * MM)} mm"
                    " (LPS: x to the left, y to the back, z to the head)",
                )
            )
    if problems:
        raise ScenarioError(problems)


def _check_region(
    roi_mm: float,
    centre: FloatArray,
    tumour_points: FloatArray,
    probes: tuple[ProbeShape, ...],
) -> None:
    half = 0.5 * roi_mm * MM
    problems = []
    reach = float(np.abs(tumour_points - centre).max()) + TUMOUR_MARGIN
    if reach > half:
        problems.append(
            Problem(
                "labelmap.roi_mm",
                None,
                f"got {roi_mm:g}; must be at least {np.ceil(2.0 * reach / MM):g} so that the whole"
                " tumour lies in the region, or the probe must be nearer to the tumour",
            )
        )
    for i, probe in enumerate(probes):
        along = np.array([-probe.data.reach[0], 2.0 * probe.data.active_centre])
        ends = np.asarray(probe.tip) + along[:, None] * np.asarray(probe.direction)
        reach = float(np.abs(ends - centre).max()) + probe.data.reach[1] + TUMOUR_MARGIN
        if reach > half:
            problems.append(
                Problem(
                    f"probes[{i}].tip_mm",
                    None,
                    f"got {_text(probe.tip)}; the active part must lie in the region of"
                    f" {roi_mm:g} mm around tumour and probe: move the probe to the tumour, or set"
                    f" labelmap.roi_mm to {np.ceil(2.0 * reach / MM):g}",
                )
            )
    if problems:
        raise ScenarioError(problems)


def _check_clearance(
    probes: tuple[ProbeShape, ...], vessels: dict[str, Sdf], centre: FloatArray, half: float
) -> None:
    problems = []
    for i, probe in enumerate(probes):
        points = _probe_points(probe)
        points = points[np.abs(points - centre).max(axis=1) < half]
        for kind, sdf in vessels.items():
            distance = sdf(points) - probe.data.radius
            worst = int(np.argmin(distance))
            if distance[worst] < CLEARANCE:
                problems.append(
                    Problem(
                        f"probes[{i}]",
                        None,
                        f"passes {distance[worst] / MM:.1f} mm from the {kind.replace('_', ' ')} at"
                        f" {_text(points[worst])} mm (negative: through it); must stay at least"
                        f" {CLEARANCE / MM:g} mm away: change tip_mm or entry_mm",
                    )
                )
    if problems:
        raise ScenarioError(problems)


def _probe_points(probe: ProbeShape) -> FloatArray:
    """Points along the axis, 0.5 mm apart, and on the tines' centre lines."""
    axis = np.asarray(probe.direction)
    s = np.arange(0.0, 0.5, 0.5 * MM)
    points = [np.asarray(probe.tip) + s[:, None] * axis]
    for solid in probe.solids:
        torus = solid.base
        if isinstance(torus, Torus):
            normal = np.asarray(torus.normal)
            outward = np.cross(normal, axis)
            angle = np.linspace(0.0, np.pi, 60)[:, None]
            arc = np.cos(angle) * outward - np.sin(angle) * axis
            points.append(np.asarray(torus.centre) + torus.ring_radius * arc)
    return np.concatenate(points)


def _crop(image: LabelImage, centre: FloatArray, half: float) -> Volume:
    """The part of the image around a cube, repeated at the image's border where it ends."""
    corners = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    index = image.index_of(centre + half * corners)
    low = np.floor(index.min(axis=0)).astype(int) - 1
    high = np.ceil(index.max(axis=0)).astype(int) + 2
    picks = [np.clip(np.arange(low[i], high[i]), 0, image.labels.shape[i] - 1) for i in range(3)]
    affine = image.affine.copy()
    affine[:3, 3] += image.affine[:3, :3] @ low
    # As fine as the voxels, within what is worth while and what fits.
    finest = float(np.clip(image.spacing.min(), 0.8 * MM, 1.0 * MM))
    spacing = max(finest, 2.0 * half / 128)
    count = int(np.ceil(2.0 * half / spacing)) + 1
    origin = centre - 0.5 * spacing * (count - 1)
    return Volume(image.labels[np.ix_(*picks)], affine, origin, spacing, (count,) * 3)


def _inside_cube(volume: Volume, half: float, centre: FloatArray) -> tuple[slice, slice, slice]:
    low = np.ceil((centre - half - volume.origin) / volume.spacing).astype(int)
    high = np.floor((centre + half - volume.origin) / volume.spacing).astype(int) + 1
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return i, j, k


def _text(x: FloatArray | Vector) -> str:
    return "[" + ", ".join(f"{value / MM:.1f}" for value in np.asarray(x)) + "]"
