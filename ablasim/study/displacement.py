"""Displaced probes without a mesh for each of them, and what that leaves out.

A sample's heat is computed with the probes in their planned place; its zone is then moved with the
probe against the tumour. That would be exact if tissue were alike everywhere. Vessels and the
tumour's own perfusion stay where they are while the probe moves: a few cases at nominal inputs are
meshed anew with the probes displaced by one standard deviation both ways along each axis, and the
difference of the margin of every point of the tumour's surface,

    c(+-s e_i) = margin(meshed anew) - margin(zone moved),

is interpolated linearly along each axis and summed over the axes,

    c(d) = sum_i |d_i|/s c(sign(d_i) s e_i).

A last case with all three axes displaced at once, which took no part in that, tells how well the
correction holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ablasim.assess.distance import surface_distance
from ablasim.assess.locator import Locator
from ablasim.assess.sampled_margin import FARTHEST, MarginSampler
from ablasim.assess.zone import TISSUE, lethal_zone
from ablasim.errors import AblasimError, ConvergenceError, Interrupted, ResourceError
from ablasim.frames import MM
from ablasim.physics.damage import criterion
from ablasim.progress import Progress, ProgressCallback
from ablasim.study.batches import solve_all
from ablasim.study.case import Case

Floats = NDArray[np.float64]

DIRECTIONS = tuple((axis, sign) for axis in range(3) for sign in (1, -1))
"""Axis and sense of the poses that are meshed anew."""

CHECKED = 2.0
"""Length of the displacement that checks them, in standard deviations along one axis: that of three
independent ones is 1.6 on average."""


@dataclass(frozen=True)
class Pose:
    """One displaced case that was meshed anew, at nominal inputs; lengths in mm.

    Attributes:
        shift: of the probes (3,) [mm].
        moved: minimal margin of the zone that was moved along [mm].
        meshed: minimal margin of the case that was meshed anew [mm].
        corrected: what the correction makes of `moved` [mm]; None where the pose made it.
        problem: why there is none; empty where all is well.
    """

    shift: tuple[float, float, float]
    moved: float | None = None
    meshed: float | None = None
    corrected: float | None = None
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Correction:
    """Correction of the margin at each point of the tumour's surface, by displacement.

    Attributes:
        step: displacement along each axis that belongs to the values (3,) [m].
        values: for both senses of each axis (3, 2, p) [m]; zero where no pose is known.
        poses: what was meshed anew.
        method: in words, for the report.
    """

    step: Floats
    values: Floats
    poses: tuple[Pose, ...] = field(default=())
    method: str = ""

    def at(self, shift: Floats) -> Floats | None:
        """Correction for a displacement (3,) [m] at each point (p,) [m]; None where none is known.

        Beyond the poses the last straight line goes on.
        """
        if not self.values.size:
            return None
        total: Floats = np.zeros(self.values.shape[-1])
        for axis in range(3):
            if shift[axis] != 0.0 and self.step[axis] > 0.0:
                side = 0 if shift[axis] > 0.0 else 1
                total += abs(shift[axis]) / self.step[axis] * self.values[axis, side]
        return total

    @property
    def largest(self) -> float:
        """Largest correction of the minimal margin in the poses [mm]."""
        sizes = [
            abs(pose.meshed - pose.moved)
            for pose in self.poses
            if pose.meshed is not None and pose.moved is not None
        ]
        return max(sizes, default=0.0)


def no_correction(method: str) -> Correction:
    """Zones are moved, and that is all."""
    return Correction(np.zeros(3), np.empty((3, 2, 0)), (), method)


def remeshed_correction(
    case: Case,
    deviation: Floats,
    *,
    device: str = "auto",
    dtype: str = "float64",
    progress: ProgressCallback | None = None,
) -> Correction:
    """Mesh displaced poses anew and compare them with moved zones.

    Args:
        case: with the probes in their planned place.
        deviation: standard deviation of the displacement along each axis (3,) [m]; 0 for none.
        device, dtype: of the solver.
        progress: told of the stage "poses".
    """
    judge = criterion(case.scenario.assessment.criterion, case.scenario.assessment.arrhenius_set)
    plain = judge.field(_solved(case, device, dtype))
    sampler = case.sampler
    values = np.zeros((3, 2, len(sampler.points)))
    directions = [(a, s) for a, s in DIRECTIONS if deviation[a] > 0.0]
    shifts = [sign * deviation * np.eye(3)[axis] for axis, sign in directions]
    # farther than the others, as most samples are: it tests what goes on beyond them
    shifts.append(CHECKED * deviation / np.sqrt(max(1, int(np.count_nonzero(deviation)))))
    poses: list[Pose] = []
    for number, shift in enumerate(shifts):
        if progress is not None:
            text = ", ".join(f"{x / MM:+.1f}" for x in shift)
            progress(Progress("poses", number / len(shifts), f"probe moved by ({text}) mm"))
        in_mm = tuple(float(x) / MM + 0.0 for x in shift)  # no -0.0
        moved = sampler.measure(plain, judge.level, shift=shift)
        try:
            other = case.moved(shift)
            there = _margins_of(
                other, judge.field(_solved(other, device, dtype)), judge.level, sampler
            )
        except (Interrupted, ResourceError):
            raise
        except AblasimError as error:
            poses.append(Pose(in_mm, problem=f"cannot be computed: {error}"))  # type: ignore[arg-type]
            continue
        if not (np.isfinite(there).all() and np.isfinite(moved.margin).all()):
            poses.append(Pose(in_mm, problem="no lethal zone"))  # type: ignore[arg-type]
            continue
        corrected = None
        if number < len(directions):
            axis, sign = directions[number]
            values[axis, 0 if sign > 0 else 1] = there - moved.margin
        else:
            sofar = Correction(deviation, values).at(shift)
            assert sofar is not None
            corrected = float((moved.margin + sofar)[sampler.counts].min()) / MM
        meshed = float(there[sampler.counts].min()) / MM
        poses.append(Pose(in_mm, moved.minimal / MM, meshed, corrected))  # type: ignore[arg-type]
    made = poses[: len(directions)]
    missing = sum(1 for pose in made if pose.problem)
    method = (
        "Every sample's zone is moved with the probe against the tumour, and corrected by"
        f" {len(made) - missing} cases with displaced probes that were meshed anew at nominal"
        " inputs. Beyond one standard deviation along an axis the correction goes on in a straight"
        " line."
    )
    if missing:
        method += f" {missing} more could not be computed: towards there nothing is corrected."
    if poses[-1].problem:
        method += " The one that checks the correction could not be computed."
    return Correction(deviation, values, tuple(poses), method)


def _solved(case: Case, device: str, dtype: str) -> dict[str, Floats]:
    found = solve_all([case.problem], case.control, device=device, dtype=dtype)
    if found.failed[0]:
        raise ConvergenceError("the solver gave up")
    return dict(found.fields[0])


def _margins_of(case: Case, field: Floats, level: float, sampler: MarginSampler) -> Floats:
    """Margins in another mesh's zone at the points of this one's tumour (p,) [m]."""
    zone = lethal_zone(case.mesh, field, level, case.anatomy.probes)
    if zone.is_empty:
        return np.full(len(sampler.points), -np.inf)
    locator = Locator(case.mesh, sampler.points, FARTHEST)
    inside = locator.reached(sampler.points, zone.field, level)
    distance = surface_distance(sampler.points, zone.vertices, zone.facing(TISSUE, "outer"))
    return np.where(inside, distance, -distance)


class MovedField:
    """A nodal field moved with the probe, at the nodes of the same mesh around the tumour.

    The field is carried to a grid once per sample and read at x - d: errors of a tenth of a
    millimetre in a zone's surface, for pictures and volumes of zones; margins never come this way.
    """

    SPACING = 1e-3
    """Of the grid [m]."""

    def __init__(self, mesh_case: Case, nodes: NDArray[np.int64]) -> None:
        """Prepare.

        Args:
            mesh_case: whose mesh it is.
            nodes: numbers of the nodes that are wanted (k,).
        """
        points = mesh_case.mesh.points[nodes]
        self._low = points.min(axis=0) - FARTHEST
        count = np.ceil((points.max(axis=0) + FARTHEST - self._low) / self.SPACING).astype(int) + 1
        self._shape = tuple(int(n) for n in count)
        axes = [self._low[i] + self.SPACING * np.arange(n) for i, n in enumerate(self._shape)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        # A grid point takes the mesh point nearest to it where it lies in a vessel or a probe.
        locator = Locator(mesh_case.mesh, points, FARTHEST)
        self._nodes, self._weights = locator.interpolation(grid)
        self._points = points

    def at(self, values: Floats, shift: Floats) -> Floats:
        """The field (n,) moved by `shift` (3,) [m], at the wanted nodes (k,)."""
        from scipy.ndimage import map_coordinates

        grid = np.einsum("pc,pc->p", values[self._nodes], self._weights).reshape(self._shape)
        place = ((self._points - shift - self._low) / self.SPACING).T
        return np.asarray(map_coordinates(grid, place, order=1, mode="nearest"))


def nodes_around(case: Case, field: Floats, level: float, reach: float) -> NDArray[np.int64]:
    """Nodes within `reach` [m] of where a field (n,) is at or above a level, and of the tumour."""
    hot = case.mesh.points[field >= level]
    targets = np.concatenate([hot, case.sampler.points])
    away = cKDTree(targets).query(case.mesh.points, distance_upper_bound=reach)[0]
    return np.flatnonzero(np.isfinite(away))
