"""The samples of a study, of its case and of the same case without a vessel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.assess import LethalZone, lethal_zone
from ablasim.assess.risk import LEVELS, columnwise_quantiles
from ablasim.errors import ConvergenceError
from ablasim.frames import MM
from ablasim.physics.damage import criterion
from ablasim.progress import ProgressCallback
from ablasim.revision import revision
from ablasim.run import RunResult
from ablasim.scenario.distributions import Normal
from ablasim.scenario.risk import Risk
from ablasim.shapes import content_hash
from ablasim.study.case import Case
from ablasim.study.chunk_store import ChunkStore
from ablasim.study.chunks import run_chunks
from ablasim.study.displacement import (
    Correction,
    MovedField,
    no_correction,
    nodes_around,
    remeshed_correction,
)
from ablasim.study.priors import AXES, Inputs
from ablasim.study.risk_options import RiskOptions
from ablasim.study.samples import Samples
from ablasim.study.sampling import Plan

Floats = NDArray[np.float64]

MOST_FAILED = 0.02
"""Share of samples whose solver may give up, one at least; with more, what is left is not what was
asked."""

WARM_BELOW = 15.0
"""Zones are drawn from nodes around where the plain run comes within this [K] of the level."""

AROUND = 12e-3
"""How far around there [m]."""


@dataclass(frozen=True, eq=False)
class Study:
    """What the cases with and without a vessel have in common.

    Attributes:
        inputs: what is uncertain.
        columns: values of the inputs by name (N,).
        given: the section `risk`.
        options: of the study.
        chunk: samples that are computed together.
        place: directory of the results; None where none are written.
        key: hash of everything that decides the samples.
        progress: told of every stage.
    """

    inputs: Inputs
    columns: Mapping[str, NDArray[Any]]
    given: Risk
    options: RiskOptions
    chunk: int
    place: Path | None
    key: str
    progress: ProgressCallback | None

    def store(self, name: str) -> ChunkStore | None:
        """Where chunks are kept beside the results; None where no results are written."""
        if self.place is None:
            return None
        store = store_beside(self.place, name, self.key)
        if not self.options.resume:
            store.clear()
        return store

    def run(
        self,
        plan: Plan,
        store: ChunkStore | None,
        enough: Callable[[Floats, int], bool] | None = None,
        stage: str = "samples",
    ) -> Samples:
        """All samples of a plan, or as many as are enough.

        Raises:
            ConvergenceError: the solver gave up in too many of them.
        """
        found = run_chunks(
            plan,
            workers=self.options.workers,
            max_memory=self.options.max_memory,
            store=store,
            enough=enough,
            progress=self.progress,
            stage=stage,
        )
        _refuse_many_failures(found)
        return found

    def correction(self, store: ChunkStore | None, case: Case) -> Correction:
        """Of displaced probes, kept or computed."""
        deviation = self._deviation()
        if not deviation.any():
            return no_correction("The probes are not displaced.")
        moved = "Every sample's zone is moved with the probe against the tumour; "
        if case.scenario.mesh is not None:
            return no_correction(moved + "a mesh of one's own cannot be corrected by new meshes.")
        if not self.given.remeshed_poses:
            return no_correction(moved + "nothing is corrected (risk.remeshed_poses: false).")
        kept = None if store is None else store.load_correction()
        if kept is not None:
            return kept
        found = remeshed_correction(
            case,
            deviation,
            device=self.options.device,
            dtype=self.options.dtype,
            progress=self.progress,
        )
        if store is not None:
            store.save_correction(found)
        return found

    def _deviation(self) -> Floats:
        """Standard deviation of the displacement along each axis (3,) [m]."""
        varied = {entry.name: entry.distribution for entry in self.inputs.varied}
        found = []
        for axis in AXES:
            distribution = varied.get(axis)
            if isinstance(distribution, Normal):
                found.append(distribution.sd * MM)
            else:
                found.append(float(np.std(self.columns[axis].astype(np.float64))) * MM)
        return np.array(found)

    def plan(
        self,
        case: Case,
        correction: Correction,
        nominal: RunResult | None,
        count: int | None = None,
    ) -> Plan:
        """The samples of a case; fields are kept where there is a plain run to say around what."""
        nodes, moved = np.empty(0, dtype=np.int64), None
        if nominal is not None:
            field, level = _lethal_field(nominal)
            nodes = nodes_around(case, field, level - WARM_BELOW, AROUND)
            if any(axis in self.inputs.names for axis in AXES):
                moved = MovedField(case, nodes)
        columns = {name: values[:count] for name, values in self.columns.items()}
        device, dtype = self.options.device, self.options.dtype
        return Plan(case, columns, correction, moved, nodes, self.chunk, device, dtype)


def quantile_zones(
    case: Case, plan: Plan, samples: Samples, nominal: RunResult
) -> dict[float, LethalZone]:
    """Zones of the point-wise quantiles: in the one of 0.05 tissue dies in 95 % of the samples."""
    field, level = _lethal_field(nominal)
    found = {}
    quantiles = columnwise_quantiles(samples.excess, LEVELS)
    for quantile, values in zip(LEVELS, quantiles, strict=True):
        excess = np.minimum(field - level, -WARM_BELOW)
        excess[plan.nodes] = values
        found[quantile] = lethal_zone(case.mesh, excess, 0.0, case.anatomy.probes)
    return found


def _lethal_field(nominal: RunResult) -> tuple[Floats, float]:
    """What kills in the plain run (n,), and its lethal level."""
    assessment = nominal.record.scenario.assessment
    judge = criterion(assessment.criterion, assessment.arrhenius_set)
    solution = nominal.solution
    return np.asarray(judge.field({"peak_C": solution.peak, **solution.damage})), judge.level


def _refuse_many_failures(samples: Samples) -> None:
    failed = int(samples.failed.sum())
    if failed > max(1.0, MOST_FAILED * len(samples)):
        numbers = ", ".join(str(n + 1) for n in np.flatnonzero(samples.failed)[:8])
        raise ConvergenceError(
            f"the solver gave up in {failed} of {len(samples)} samples (first: {numbers}); narrow"
            " the distributions under risk:, or refine the mesh (numerics.resolution)"
        )


def store_beside(place: Path, name: str, key: str = "") -> ChunkStore:
    """The store of that name beside the results."""
    return ChunkStore(place.with_name(f".{place.name}.{name}"), key)


def study_key(
    files: str,
    given: Risk,
    case: Case,
    columns: Mapping[str, NDArray[Any]],
    options: RiskOptions,
    chunk: int,
) -> str:
    """Hash of everything that decides the samples.

    Args:
        files: hash of the scenario's inputs.
        given: the section `risk`.
        case: with its mesh.
        columns: values of the inputs as they were drawn; the order in which a choice is written
            decides which sample has which, and no sorted text of the section shows it.
        options: of the study.
        chunk: samples that are computed together.
    """
    numbers = [options.samples, options.seed, chunk, options.dtype, options.device]
    content = {
        "inputs": files,
        "risk": given.model_dump(mode="json"),
        "mesh": content_hash(case.mesh.points, case.mesh.cells),
        "columns": [[name, values.tolist()] for name, values in columns.items()],
        "numbers": numbers,
        "version": revision(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
