"""risk(scenario): how likely an incomplete margin is, given what is not known."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.assess import LethalZone, lethal_zone
from ablasim.assess.margin import NearVessel
from ablasim.assess.risk import (
    LEVELS,
    MarginRisk,
    SurfaceRisk,
    columnwise_quantiles,
    convergence,
    margin_risk,
    narrow_enough,
    surface_risk,
)
from ablasim.assess.sensitivity import Sensitivity, sensitivity
from ablasim.errors import (
    AblasimError,
    ConvergenceError,
    InputFileError,
    Interrupted,
    ResourceError,
    UsageError,
)
from ablasim.frames import MM
from ablasim.physics.damage import criterion
from ablasim.progress import ProgressCallback
from ablasim.revision import revision
from ablasim.run import RunResult, named_place
from ablasim.run import run as run_once
from ablasim.scenario import Scenario, inputs_sha256
from ablasim.scenario.distributions import Normal
from ablasim.scenario.risk import Risk
from ablasim.shapes import content_hash
from ablasim.solve import DTYPES
from ablasim.study.batches import chunk_size
from ablasim.study.case import Case, prepare
from ablasim.study.chunk_store import ChunkStore
from ablasim.study.chunks import run_chunks
from ablasim.study.displacement import (
    Correction,
    MovedField,
    no_correction,
    nodes_around,
    remeshed_correction,
)
from ablasim.study.heat_sink import VesselCost, chosen_vessels, vessel_cost
from ablasim.study.inputs import unit_samples
from ablasim.study.pool import cores
from ablasim.study.priors import AXES, Inputs, uncertain_inputs
from ablasim.study.samples import Samples
from ablasim.study.sampling import Plan

Floats = NDArray[np.float64]

MOST_SAMPLES = 65_536

MOST_FAILED = 0.02
"""Share of samples whose solver may give up, one at least; with more, what is left is not what was
asked."""

WARM_BELOW = 15.0
"""Zones are drawn from nodes around where the plain run comes within this [K] of the level."""

AROUND = 12e-3
"""How far around there [m]."""


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


def risk(
    scenario: Scenario,
    *,
    samples: int = 256,
    seed: int = 0,
    out: Path | str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    max_memory: float | None = None,
    workers: int | None = None,
    heat_sink: bool = True,
    vessels: tuple[str, ...] | None = None,
    progress: ProgressCallback | None = None,
    resume: bool = True,
    force: bool = False,
    all_samples: bool = False,
) -> RiskResult:
    """Sample the uncertain inputs of a scenario and assess the margin in every sample.

    The same seed gives the same numbers.

    Args:
        scenario: what to simulate; its section `risk` says what is uncertain.
        samples: most samples; fewer where the intervals are narrow enough before.
        seed: of the sequence of samples.
        out: directory for the results; written when complete. None: nothing is written.
        device: "auto", "cpu" or "gpu".
        dtype: "float32" or "float64" of the samples' solver; the plain run is always in float64.
        max_memory: limit [GB] of the processes that compute the samples; it sets how many
            are computed together.
        workers: most processes, by default one for each core; the numbers do not depend on it.
        heat_sink: account for vessels by the same case without them.
        vessels: names of those; by default the heat sinks by the clinical rule.
        progress: told of every stage.
        resume: take finished chunks of an interrupted study of the same inputs.
        force: replace the results of an earlier study in `out`.
        all_samples: take all of them, also where the intervals are narrow enough before.

    Raises:
        UsageError: no tumour, no uncertain input, an impossible number of samples, `out` exists, or
            another process computes it.
        ScenarioError: `risk` varies what this scenario does not have.
        ConvergenceError: the solver gave up in too many samples.
        InputFileError, ResourceError, Interrupted: as `run_scenario`.
    """
    from ablasim.report.atomic import RISK, check_free

    begun = time.perf_counter()
    samples, seed, workers = _whole_numbers(samples, seed, workers)
    _check_numbers(samples, seed, workers, max_memory)
    if dtype not in DTYPES:
        raise UsageError(f"--dtype: got {dtype!r}; must be {' or '.join(DTYPES)}")
    if vessels and not heat_sink:
        raise UsageError("--vessel: got it with --no-heat-sink; leave one of them out")
    place = None if out is None else named_place(Path(out))
    if place is not None:
        check_free(place, force=force, kind=RISK)
    with nullcontext() if place is None else _store_of(place, "risk").held():
        given = scenario.risk or Risk()
        target = scenario.assessment.target_margin_mm * MM
        files = inputs_sha256(scenario)  # before they are read: they may change meanwhile
        case = prepare(scenario, progress)
        inputs = uncertain_inputs(scenario, case.problem, case.tissues)
        if not inputs.varied:
            raise UsageError("risk: every input is fixed; leave at least one uncertain under risk:")
        chunk = chunk_size(case.mesh, dtype, max_memory, len(cores()))
        key = _key(files, given, case, samples, seed, chunk, dtype, device)
        nominal = run_once(scenario, device=device, progress=progress)
        if nominal.record.inputs != files:
            raise InputFileError(
                f"{scenario.name}: a file of the scenario was changed while the study ran; run it"
                " again"
            )
        near = nominal.margin.vessels if nominal.margin is not None else ()
        costly = _vessels(scenario, near, heat_sink, vessels)
        unit = unit_samples(samples, len(inputs.varied), seed)
        columns = inputs.draw(unit)
        study = _Study(case, inputs, columns, given, chunk, device, dtype, progress)
        store = _store(place, "risk", key, resume)
        correction = study.correction(store, case)
        plan = study.plan(case, correction, nominal)
        every = run_chunks(
            plan,
            workers=workers,
            max_memory=max_memory,
            store=store,
            enough=lambda s: (
                not all_samples
                and narrow_enough(
                    s.good().minimal,
                    target,
                    given.interval_half_width,
                    failed=int(s.failed.sum()),
                )
            ),
            progress=progress,
        )
        _refuse_many_failures(every)
        used = len(every)
        costs, unaccounted, stores = [], [], [store]
        for vessel in costly:
            own = _store(place, f"without-{vessel.name}", key, resume)
            stores.append(own)
            try:
                other = case.without(vessel.name, progress)
                lacking = run_chunks(
                    study.plan(other, study.correction(own, other), None, used),
                    workers=workers,
                    max_memory=max_memory,
                    store=own,
                    progress=progress,
                    stage="no sink",
                )
                _refuse_many_failures(lacking)
            except (Interrupted, ResourceError, UsageError, InputFileError):
                raise
            except AblasimError as error:
                # what is known of the case with the vessel is not lost for that
                unaccounted.append(f"What {vessel.name} costs is not known: without it {error}.")
                continue
            costs.append(vessel_cost(vessel, every, lacking, target))
        keep = ~every.failed
        good = every.good()
        apart = ~case.sampler.counts
        result = RiskResult(
            summary={},
            directory=place,
            samples=good,
            numbers=np.flatnonzero(keep) + 1,
            columns={name: values[:used][keep] for name, values in columns.items()},
            margin=margin_risk(
                good.minimal,
                good.volume,
                target,
                good.margin[:, apart] if apart.any() else None,
                failed=int(every.failed.sum()),
            ),
            surface=surface_risk(good.margin, target),
            points=case.sampler.points,
            triangles=case.sampler.triangles,
            zones=_zones(case, plan, good, nominal),
            sensitivity=sensitivity(
                inputs.names, unit[:used][keep], good.minimal, features=inputs.features, seed=seed
            ),
            heat_sinks=tuple(costs),
            unaccounted=tuple(unaccounted),
            correction=correction,
            nominal=nominal,
            nodes=plan.nodes,
        )
        from ablasim.study.risk_files import finish

        facts = {
            "asked": samples,
            "seed": seed,
            "chunk": chunk,
            "failed": int(every.failed.sum()),
            "dtype": dtype,
            "risk_sha256": key,
            "seconds": time.perf_counter() - begun,
            "convergence": convergence(every.minimal, target, every.failed),
        }
        done = finish(result, case, inputs, given, facts, force)
        for kept in stores:
            if kept is not None:
                kept.clear()
        return done


@dataclass(frozen=True, eq=False)
class _Study:
    """What the cases with and without a vessel have in common."""

    case: Case
    inputs: Inputs
    columns: Mapping[str, NDArray[Any]]
    given: Risk
    chunk: int
    device: str
    dtype: str
    progress: ProgressCallback | None

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
            case, deviation, device=self.device, dtype=self.dtype, progress=self.progress
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
        return Plan(case, columns, correction, moved, nodes, self.chunk, self.device, self.dtype)


def _zones(case: Case, plan: Plan, samples: Samples, nominal: RunResult) -> dict[float, LethalZone]:
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


def _vessels(
    scenario: Scenario,
    near: tuple[NearVessel, ...],
    wanted: bool,
    asked: tuple[str, ...] | None,
) -> tuple[NearVessel, ...]:
    def refuse(text: str) -> None:
        raise UsageError(f"--vessel: {text}")

    if not wanted:
        return ()
    chosen = chosen_vessels(near, asked, refuse)
    if chosen and scenario.mesh is not None:
        if asked is None:
            return ()
        refuse("a mesh of one's own cannot be meshed again without a vessel; leave the option out")
    return chosen


def _whole_numbers(samples: int, seed: int, workers: int | None) -> tuple[int, int, int | None]:
    """The same as plain numbers, which JSON can hold; those of numpy are allowed."""
    for name, value in (("samples", samples), ("seed", seed), ("workers", workers)):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not (whole or (value is None and name == "workers")):
            raise UsageError(f"--{name}: got {value!r}; must be a whole number")
    return int(samples), int(seed), None if workers is None else int(workers)


def _check_numbers(samples: int, seed: int, workers: int | None, max_memory: float | None) -> None:
    if max_memory is not None and not 0.0 < max_memory < math.inf:
        raise UsageError(f"--max-memory: got {max_memory:g}; must be a number of GB above 0")
    if not 8 <= samples <= MOST_SAMPLES:
        raise UsageError(f"--samples: got {samples}; must be from 8 to {MOST_SAMPLES}")
    if not 0 <= seed < 2**32:
        raise UsageError(f"--seed: got {seed}; must be from 0 to {2**32 - 1}")
    if workers is not None and workers < 1:
        raise UsageError(f"--workers: got {workers}; must be at least 1")


def _refuse_many_failures(samples: Samples) -> None:
    failed = int(samples.failed.sum())
    if failed > max(1.0, MOST_FAILED * len(samples)):
        numbers = ", ".join(str(n + 1) for n in np.flatnonzero(samples.failed)[:8])
        raise ConvergenceError(
            f"the solver gave up in {failed} of {len(samples)} samples (first: {numbers}); narrow"
            " the distributions under risk:, or refine the mesh (numerics.resolution)"
        )


def _store(place: Path | None, name: str, key: str, resume: bool) -> ChunkStore | None:
    """Where chunks are kept beside the results; None where no results are written."""
    if place is None:
        return None
    store = _store_of(place, name, key)
    if not resume:
        store.clear()
    return store


def _store_of(place: Path, name: str, key: str = "") -> ChunkStore:
    return ChunkStore(place.with_name(f".{place.name}.{name}"), key)


def _key(
    files: str,
    given: Risk,
    case: Case,
    samples: int,
    seed: int,
    chunk: int,
    dtype: str,
    device: str,
) -> str:
    """Hash of everything that decides the samples."""
    content = {
        "inputs": files,
        "risk": given.model_dump(mode="json"),
        "mesh": content_hash(case.mesh.points, case.mesh.cells),
        "numbers": [samples, seed, chunk, dtype, device],
        "version": revision(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
