"""The atlas: zone, margin and risk for tumour-vessel geometries, looked up instead of computed.

A sweep over tumour diameter x vessel diameter x distance gives the nodes; between them everything
is linear along each axis. How far that is off is estimated along each axis by the remainder of
linear interpolation in Newton's form, |(x - x0)(x - x1) f[x0, x1, x2]|, with the next node on
either side as x2 (de Boor, A Practical Guide to Splines, ch. I-II), and added up. Risk is not
interpolated as such: all geometries were computed with the same samples of the uncertain inputs,
so the margin of every sample is, and the samples are counted at the point asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

import ablasim.catalogue
from ablasim.assess.intervals import Estimate, wilson
from ablasim.errors import InputFileError, UsageError
from ablasim.safe_yaml import closest

Floats = NDArray[np.float64]

FORMAT = 1
AXES = ("tumour_mm", "vessel_mm", "distance_mm")
"""Diameter of the tumour, inner diameter of the vessel, and what is between their surfaces."""

FEWEST_NODES = 3
"""On an axis; two would leave the error of interpolation unknown."""

HOME = Path(ablasim.catalogue.__file__).with_name("atlas")


@dataclass(frozen=True)
class Between:
    """An interpolated number.

    Attributes:
        value: between the nodes.
        error: how far interpolation may be off, estimated from the nodes around.
    """

    value: float
    error: float


@dataclass(frozen=True)
class Reading:
    """What an atlas says of one geometry.

    Attributes:
        margin: minimal margin of the plain run [mm].
        margin_error: of interpolation, and what cases computed beside the nodes were off by (root
            mean square), together [mm].
        volume: of its zone [ml].
        short_axis: of its zone [mm].
        below_0, below_5: probability of a minimal margin below 0 and 5 mm; the interval covers
            the number of samples and the error of their margins.
    """

    margin: Between
    margin_error: float
    volume: Between
    short_axis: Between
    below_0: Estimate
    below_5: Estimate


@dataclass(frozen=True, eq=False)
class Check:
    """Cases off the nodes that were computed to see how far the atlas is off.

    Attributes:
        resolution: of their meshes.
        count: number of cases.
        mean: of the margin computed minus looked up [mm].
        root_mean_square, largest: of the same, without its sign [mm].
    """

    resolution: str
    count: int
    mean: float
    root_mean_square: float
    largest: float


@dataclass(frozen=True, eq=False)
class Atlas:
    """A device's table over geometries, as its file holds it.

    Attributes:
        content: of the file.
    """

    content: Mapping[str, Any]

    @property
    def device(self) -> str:
        """Name by which it is looked up."""
        return str(self.content["device"])

    @property
    def title(self) -> str:
        """In words."""
        return str(self.content["title"])

    @property
    def cautions(self) -> tuple[str, ...]:
        """What to know of the models it was computed with; older tables hold none."""
        return tuple(self.content.get("cautions", ()))

    @cached_property
    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Nodes along each of `AXES` [mm], ascending."""
        first, second, third = (np.array(self.content["axes"][name], float) for name in AXES)
        return first, second, third

    def values(self, name: str) -> Floats:
        """A result at the nodes (t, v, d), or "sample_margin_mm" (t, v, d, samples)."""
        return np.array(self.content["values"][name], dtype=float)

    @property
    def check(self) -> Check | None:
        """What was computed beside the nodes; None where nothing was."""
        found = self.content["check"]
        return None if found is None else Check(**found)

    @property
    def samples(self) -> int:
        """Number of samples of the uncertain inputs at every node."""
        return int(self.values("sample_margin_mm").shape[-1])

    def at(self, *, tumour_mm: float, vessel_mm: float, distance_mm: float) -> Reading:
        """What the atlas says of a geometry.

        Args:
            tumour_mm: diameter of the tumour.
            vessel_mm: inner diameter of the vessel.
            distance_mm: from the tumour's surface to the vessel's wall.

        Raises:
            UsageError: outside the nodes; an atlas does not extrapolate.
        """
        point = np.array([tumour_mm, vessel_mm, distance_mm], dtype=float)
        self._refuse_outside(point)

        def number(name: str) -> Between:
            value, error = interpolated(self.axes, self.values(name), point)
            return Between(float(value), float(error))

        margins, errors = interpolated(self.axes, self.values("sample_margin_mm"), point)
        margin = number("margin_mm")
        off = 0.0 if self.check is None else self.check.root_mean_square
        return Reading(
            margin=margin,
            margin_error=margin.error + off,
            volume=number("volume_ml"),
            short_axis=number("short_axis_mm"),
            below_0=_chance(margins, errors + off, 0.0),
            below_5=_chance(margins, errors + off, 5.0),
        )

    def _refuse_outside(self, point: Floats) -> None:
        faults = []
        for name, nodes, value in zip(AXES, self.axes, point, strict=True):
            if not nodes[0] <= value <= nodes[-1]:
                option = name.removesuffix("_mm")
                faults.append(
                    f"--{option}: got {value:g} mm; the atlas of {self.device} goes from"
                    f" {nodes[0]:g} to {nodes[-1]:g} mm"
                )
        if faults:
            faults.append(
                "An atlas does not extrapolate: compute the case with `ablasim run` or `ablasim"
                " risk`, or make a wider atlas"
            )
            raise UsageError("\n".join(faults))


def _require_sound(atlas: Atlas) -> None:
    """Raises ValueError, KeyError or TypeError where a lookup could fail or mislead."""
    for key in ("device", "title", "ablasim", "resolution"):
        if not isinstance(atlas.content[key], str):
            raise ValueError(f"{key} is no text")
    if not all(isinstance(caution, str) for caution in atlas.cautions):
        raise ValueError("a caution is no text")
    for name, nodes in zip(AXES, atlas.axes, strict=True):
        ascending = np.isfinite(nodes).all() and (np.diff(nodes) > 0).all()
        if len(nodes) < FEWEST_NODES or not ascending:
            raise ValueError(f"{name} needs {FEWEST_NODES} or more ascending nodes")
    shape = tuple(map(len, atlas.axes))
    for name in ("margin_mm", "volume_ml", "short_axis_mm", "sample_margin_mm"):
        values = atlas.values(name)
        expected = (*shape, atlas.samples) if name == "sample_margin_mm" else shape
        if values.shape != expected or not values.size:
            raise ValueError(f"{name} has not one value per node")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} is not finite everywhere")
    check = atlas.check
    if check is not None:
        numbers = (check.count, check.mean, check.root_mean_square, check.largest)
        if not np.isfinite(np.array(numbers, dtype=float)).all():
            raise ValueError("check is not finite")


def interpolated(axes: Sequence[Floats], values: Floats, point: Floats) -> tuple[Floats, Floats]:
    """Linear interpolation on a grid, and the estimate of its error.

    Args:
        axes: ascending nodes along each axis.
        values: at the nodes (*lengths, ...).
        point: inside (number of axes,).

    Returns:
        Value and error, each of the shape of `values` behind the axes.
    """
    value = RegularGridInterpolator(tuple(axes), values)(point)[0]
    error = np.zeros_like(value)
    for axis, nodes in enumerate(axes):
        others = [one for i, one in enumerate(axes) if i != axis]
        along = np.moveaxis(values, axis, len(axes) - 1)  # the other axes first
        if others:
            along = RegularGridInterpolator(tuple(others), along)(np.delete(point, axis))[0]
        error += _remainder(nodes, along, float(point[axis]))
    return value, error


def _remainder(nodes: Floats, values: Floats, x: float) -> Floats:
    """Newton's remainder of linear interpolation along one axis; values (n, ...)."""
    cell = int(np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2))
    found: Floats = np.zeros(values.shape[1:])
    for third in (cell - 1, cell + 2):
        if 0 <= third < len(nodes):
            chosen = sorted((cell, cell + 1, third))
            slopes = [(values[b] - values[a]) / (nodes[b] - nodes[a]) for a, b in pairwise(chosen)]
            second = (slopes[1] - slopes[0]) / (nodes[chosen[2]] - nodes[chosen[0]])
            rest = np.abs((x - nodes[cell]) * (x - nodes[cell + 1]) * second)
            found = np.maximum(found, rest)
    return found


def _chance(margins: Floats, errors: Floats, level: float) -> Estimate:
    """Share of samples below a level; its interval with every margin off by its error."""
    count = len(margins)
    times, least, most = (
        float(np.count_nonzero(margins + shift < level)) for shift in (0.0, errors, -errors)
    )
    low, _ = wilson(np.array([least]), count)
    _, high = wilson(np.array([most]), count)
    return Estimate(times / count, float(low[0]), float(high[0]))


def devices() -> tuple[str, ...]:
    """Names of the atlases that come with ablasim."""
    return tuple(sorted(path.stem for path in HOME.glob("*.json")))


def load_atlas(source: str | Path) -> Atlas:
    """An atlas that comes with ablasim, by its device, or one of your own, by its file.

    Raises:
        UsageError: no such device.
        InputFileError: the file is missing or no atlas.
    """
    name = str(source)
    if isinstance(source, Path) or name.endswith(".json"):
        return read_atlas(Path(source))
    if name not in devices():
        near = closest(name, devices())
        hint = f"; did you mean {near!r}?" if near else ""
        raise UsageError(
            f"--device: got {name!r}; there are {', '.join(devices()) or 'none'}{hint}"
        )
    return read_atlas(HOME / f"{name}.json")


def read_atlas(path: Path) -> Atlas:
    """The atlas of a file.

    Raises:
        InputFileError: missing, or no atlas.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, not {FORMAT}")
        atlas = Atlas(content)
        _require_sound(atlas)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputFileError(
            f"{path}: is no atlas ({reason}); make one with `ablasim atlas build SWEEP -o FILE`"
        ) from None
    return atlas
