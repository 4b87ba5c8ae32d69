"""What a study of risk leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.assess import LethalZone
from ablasim.assess.risk import MarginRisk, SurfaceRisk
from ablasim.assess.sensitivity import Sensitivity
from ablasim.run import RunResult
from ablasim.study.displacement import Correction
from ablasim.study.heat_sink import VesselCost
from ablasim.study.samples import Samples

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RiskResult:
    """What a study of one scenario leaves.

    Attributes:
        summary: the content of risk.json.
        directory: where the files are; None if none were asked for.
        samples: results of the samples, without those that failed.
        numbers: of the same samples in their sequence, from 1 (k,).
        columns: inputs of the same samples by name (k,).
        margin: probabilities and quantiles.
        surface: risk at every point of the tumour's surface.
        points: those points (p, 3) [m].
        triangles: of the surface (q, 3).
        zones: by quantile: 0.05 is the conservative one, tissue that dies in 95 % of the samples.
        sensitivity: Sobol indices of the minimal margin.
        heat_sinks: what vessels cost.
        unaccounted: vessels whose cost could not be computed, in words.
        correction: of displaced probes.
        nominal: the plain run.
        nodes: mesh points that `samples.excess` belongs to (m,).
    """

    summary: dict[str, Any]
    directory: Path | None
    samples: Samples
    numbers: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]
    margin: MarginRisk
    surface: SurfaceRisk
    points: Floats
    triangles: NDArray[np.int32]
    zones: Mapping[float, LethalZone]
    sensitivity: Sensitivity
    heat_sinks: tuple[VesselCost, ...]
    unaccounted: tuple[str, ...]
    correction: Correction
    nominal: RunResult
    nodes: NDArray[np.int64]
