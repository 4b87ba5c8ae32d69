"""risk(scenario): how likely an incomplete margin is, given what is not known."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablasim.assess.margin import NearVessel
from ablasim.assess.risk import convergence, margin_risk, narrow_enough, surface_risk
from ablasim.assess.sensitivity import sensitivity
from ablasim.errors import (
    AblasimError,
    InputFileError,
    Interrupted,
    ResourceError,
    UsageError,
)
from ablasim.frames import MM
from ablasim.progress import ProgressCallback
from ablasim.revision import revision
from ablasim.run import named_place
from ablasim.run import run as run_once
from ablasim.scenario import Scenario, inputs_sha256
from ablasim.scenario.risk import Risk
from ablasim.study.batches import chunk_size
from ablasim.study.case import Case, prepare
from ablasim.study.chunk_store import ChunkStore
from ablasim.study.heat_sink import VesselCost, chosen_vessels, vessel_cost
from ablasim.study.inputs import unit_samples
from ablasim.study.pool import cores
from ablasim.study.priors import uncertain_inputs
from ablasim.study.risk_options import RiskOptions
from ablasim.study.risk_result import RiskResult
from ablasim.study.risk_study import Study, quantile_zones, store_beside, study_key
from ablasim.study.samples import Samples

Floats = NDArray[np.float64]


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
    revision()  # the sources as they are loaded: they may be edited meanwhile
    options = RiskOptions(
        samples, seed, device, dtype, max_memory, workers, heat_sink, vessels, resume, all_samples
    )
    place = None if out is None else named_place(Path(out))
    if place is not None:
        check_free(place, force=force, kind=RISK)
    with nullcontext() if place is None else store_beside(place, "risk").held():
        return _risk(scenario, options, place, progress, force, begun)


def _risk(
    scenario: Scenario,
    options: RiskOptions,
    place: Path | None,
    progress: ProgressCallback | None,
    force: bool,
    begun: float,
) -> RiskResult:
    """The study, while nobody else computes it."""
    from ablasim.study.risk_files import finish

    given = scenario.risk or Risk()
    target = scenario.assessment.target_margin_mm * MM
    files = inputs_sha256(scenario)  # before they are read: they may change meanwhile
    case = prepare(scenario, progress)
    inputs = uncertain_inputs(scenario, case.problem, case.tissues)
    if not inputs.varied:
        raise UsageError("risk: every input is fixed; leave at least one uncertain under risk:")
    _require_vessels(case, options)
    chunk = chunk_size(case.mesh, options.dtype, options.max_memory, len(cores()))
    nominal = run_once(scenario, device=options.device, progress=progress)
    _require_unchanged(scenario, nominal.record.inputs, files)
    costly = _vessels(scenario, () if nominal.margin is None else nominal.margin.vessels, options)
    unit = unit_samples(options.samples, len(inputs.varied), options.seed)
    columns = inputs.draw(unit)
    key = study_key(files, given, case, columns, options, chunk)
    study = Study(inputs, columns, given, options, chunk, place, key, progress)
    store = study.store("risk")
    correction = study.correction(store, case)
    plan = study.plan(case, correction, nominal)

    def enough(minimal: Floats, failed: int) -> bool:
        return not options.all_samples and narrow_enough(
            minimal, target, given.interval_half_width, failed=failed
        )

    every = study.run(plan, store, enough)
    costs, unaccounted, others = _costs(study, case, costly, every, target)
    stores = [kept for kept in (store, *others) if kept is not None]
    try:
        _require_unchanged(scenario, inputs_sha256(scenario), files)
    except InputFileError:
        for kept in stores:  # some of them may be of the other file
            kept.clear()
        raise
    keep, good, failed = ~every.failed, every.good(), int(every.failed.sum())
    apart = ~case.sampler.counts
    result = RiskResult(
        summary={},
        directory=place,
        samples=good,
        numbers=np.flatnonzero(keep) + 1,
        columns={name: values[: len(every)][keep] for name, values in columns.items()},
        margin=margin_risk(
            good.minimal,
            good.volume,
            target,
            good.margin[:, apart] if apart.any() else None,
            failed=failed,
        ),
        surface=surface_risk(good.margin, target, failed=failed),
        points=case.sampler.points,
        triangles=case.sampler.triangles,
        zones=quantile_zones(case, plan, good, nominal),
        sensitivity=sensitivity(
            inputs.names,
            unit[: len(every)][keep],
            good.minimal,
            features=inputs.features,
            seed=options.seed,
        ),
        heat_sinks=costs,
        unaccounted=unaccounted,
        correction=correction,
        nominal=nominal,
        nodes=plan.nodes,
    )
    facts = {
        "asked": options.samples,
        "seed": options.seed,
        "chunk": chunk,
        "failed": failed,
        "dtype": options.dtype,
        "risk_sha256": key,
        "seconds": time.perf_counter() - begun,
        "convergence": convergence(every.minimal, target, every.failed),
    }
    done = finish(result, case, inputs, given, facts, force)
    for kept in stores:
        kept.clear()
    return done


def _require_unchanged(scenario: Scenario, found: str, expected: str) -> None:
    """Refuse to mix the samples of two label maps or meshes."""
    if found != expected:
        raise InputFileError(
            f"{scenario.name}: a file of the scenario was changed while the study ran; run it again"
        )


def _costs(
    study: Study, case: Case, vessels: tuple[NearVessel, ...], having: Samples, target: float
) -> tuple[tuple[VesselCost, ...], tuple[str, ...], list[ChunkStore | None]]:
    """What each vessel costs; in words, of which that is not known; where samples are kept."""
    costs, unaccounted, stores = [], [], []
    for vessel in vessels:
        store = study.store(f"without-{vessel.name}")
        stores.append(store)
        try:
            other = case.without(vessel.name, study.progress)
            plan = study.plan(other, study.correction(store, other), None, len(having))
            lacking = study.run(plan, store, stage="no sink")
        except (Interrupted, ResourceError, UsageError, InputFileError):
            raise
        except AblasimError as error:
            # what is known of the case with the vessel is not lost for that
            unaccounted.append(f"What {vessel.name} costs is not known: without it {error}.")
            continue
        costs.append(vessel_cost(vessel, having, lacking, target))
    return tuple(costs), tuple(unaccounted), stores


def _require_vessels(case: Case, options: RiskOptions) -> None:
    """Refuse names that cannot be accounted for before anything is computed."""
    mesh = case.mesh
    walls = [s for s in mesh.surfaces if s.startswith("vessel.") and len(mesh.surface_faces(s))]
    known = [wall.removeprefix("vessel.") for wall in walls]
    for name in options.vessels or ():
        if name not in known:
            listed = ", ".join(known) or "none"
            raise UsageError(f"--vessel: got {name!r}; the meshed vessels are: {listed}")
    if options.vessels and case.scenario.mesh is not None:
        raise UsageError(
            "--vessel: a mesh of one's own cannot be meshed again without a vessel; leave the"
            " option out"
        )


def _vessels(
    scenario: Scenario, near: tuple[NearVessel, ...], options: RiskOptions
) -> tuple[NearVessel, ...]:
    """Vessels whose cost is asked for."""
    if not options.heat_sink or scenario.mesh is not None:
        return ()
    return chosen_vessels(near, options.vessels)
