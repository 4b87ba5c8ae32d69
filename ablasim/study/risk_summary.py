"""risk.json: every number of a study, lengths in mm, volumes in ml, probabilities from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ablasim.assess.intervals import CONFIDENCE, Estimate, closed_from
from ablasim.assess.risk import LEVELS
from ablasim.frames import MM
from ablasim.report.palette import NOTICE, margin_class
from ablasim.report.risk_words import heat_sink_flag, published
from ablasim.report.summary import versions
from ablasim.scenario.risk import Risk
from ablasim.study.case import Case
from ablasim.study.heat_sink import VesselCost
from ablasim.study.priors import Inputs
from ablasim.study.risk_result import RiskResult

Group = dict[str, Any]

ML = 1e-6
NAMES = {0.05: "p5", 0.5: "p50", 0.95: "p95"}


def build_summary(
    result: RiskResult, case: Case, inputs: Inputs, given: Risk, facts: Mapping[str, Any]
) -> Group:
    """The content of risk.json.

    Args:
        result: of the study.
        case: with its tumour.
        inputs: what was varied.
        given: the section `risk`.
        facts: asked, seed, chunk, failed, dtype, risk_sha256, seconds, convergence.
    """
    scenario = case.scenario
    nominal = result.nominal.summary
    modality = case.anatomy.probes[0].data.modality
    tumour = case.tissues["tumour"]
    median = result.margin.margin[1].value
    balance = result.samples.balance
    return {
        "notice": NOTICE,
        "name": scenario.name,
        "description": scenario.description,
        "modality": modality,
        "tumour_tissue": tumour,
        "samples": {
            "asked": facts["asked"],
            "used": len(result.samples),
            "failed": facts["failed"],
            "stopped_early": len(result.samples) + facts["failed"] < facts["asked"],
            "interval_half_width": given.interval_half_width,
            "seed": facts["seed"],
            "computed_together": facts["chunk"] if bool(result.samples.batched.any()) else 1,
            "worst_balance_error": _number(float(np.max(np.abs(balance)))),
            "zones_at_the_blocks_boundary": int(result.samples.reaches_outer.sum()),
        },
        "probability": {
            "confidence": CONFIDENCE,
            "method": "Wilson's interval on scrambled Sobol samples",
            "margin_below_0": _estimate(result.margin.below_zero),
            "margin_below_target": _estimate(result.margin.below_target),
            "target_margin_mm": result.margin.target / MM,
            "margin_below_0_at_the_capsule": None
            if result.margin.apart_below_zero is None
            else _estimate(result.margin.apart_below_zero),
        },
        "margin_mm": _quantiles(result.margin.margin, MM),
        "zone_volume_ml": _quantiles(result.margin.volume, ML),
        "nominal": {
            "criterion": scenario.assessment.criterion,
            "margin_mm": (nominal.get("margin") or {}).get("minimal_mm"),
            "zone_volume_ml": nominal["zone"][scenario.assessment.criterion]["volume_ml"],
            "thinnest_point_mm": (nominal.get("margin") or {}).get("thinnest_point_mm"),
            "nearest_vessel": (nominal.get("margin") or {}).get("nearest_vessel"),
        },
        "surface": _surface(result, case),
        "zones": {
            NAMES[level]: {"volume_ml": zone.volume / ML, "says": _zone_says(level)}
            for level, zone in result.zones.items()
        },
        "sensitivity": _sensitivity(result),
        "convergence": [
            {
                "samples": count,
                "margin_below_0": _estimate(zero),
                "margin_below_target": _estimate(wanted),
            }
            for count, zero, wanted in facts["convergence"]
        ],
        "displacement": {
            "method": result.correction.method,
            "largest_correction_mm": result.correction.largest,
            "moved_only": _moved_only(result),
            "poses": [_finite(asdict(pose)) for pose in result.correction.poses],
        },
        "heat_sinks": [_vessel(cost, modality) for cost in result.heat_sinks],
        "heat_sinks_unaccounted": list(result.unaccounted),
        "inputs": [
            {
                "name": entry.name,
                "title": entry.title,
                "unit": entry.unit,
                "nominal": entry.nominal,
                "distribution": entry.distribution.model_dump(mode="json", exclude_none=True),
                "source": entry.source,
                "assumed": entry.assumed,
            }
            for entry in inputs.varied
        ],
        "held": [asdict(entry) for entry in inputs.held],
        "published": published(tumour, modality, _class_keys(result, median)),
        "warnings": list(_warnings(result, facts, case)),
        "numerics": {
            "resolution": scenario.numerics.resolution,
            "points": len(case.mesh.points),
            "dtype": facts["dtype"],
            "device": result.nominal.solution.device,
        },
        "timing_s": {"total": facts["seconds"]},
        "versions": versions(),
        "inputs_sha256": result.nominal.record.inputs,
        "risk_sha256": facts["risk_sha256"],
        "scenario": scenario.model_dump(mode="json", exclude_none=True),
    }


def _surface(result: RiskResult, case: Case) -> Group:
    """Where the margin is likely to be incomplete, as shares of the surface that counts."""
    sampler, risk = case.sampler, result.surface
    counts = sampler.counts
    area = np.where(counts, sampler.area, 0.0)
    # Of points that fail as often, the one with the thinnest margin.
    order = np.lexsort((risk.margin[1], -np.where(counts, risk.probability, -1.0)))
    worst = int(order[0])
    # a sample without a zone is as thin everywhere
    placed = result.samples.thinnest[np.isfinite(result.samples.minimal)]
    often = _place(sampler.points[np.argmax(np.bincount(placed))]) if len(placed) else None

    def share(mask: Any) -> float:
        return float(area[mask].sum() / area.sum())

    return {
        "worst_point_mm": _place(sampler.points[worst]),
        "worst_probability": {
            "value": float(risk.probability[worst]),
            "low": float(risk.low[worst]),
            "high": float(risk.high[worst]),
        },
        "most_often_thinnest_mm": often,
        "fraction_above_5_percent": share(risk.probability > 0.05),
        "fraction_above_50_percent": share(risk.probability > 0.5),
        "fraction_never": share(risk.probability == 0.0),
        "fraction_subcapsular": float(sampler.area[~counts].sum() / sampler.area.sum()),
    }


def _place(point: Any) -> list[float]:
    """A point (3,) [m] in tenths of a millimetre, without a negative zero."""
    return [float(x) + 0.0 for x in np.round(point / MM, 1)]


def _sensitivity(result: RiskResult) -> Group:
    found = result.sensitivity
    group: Group = {
        "of": "minimal margin",
        "method": "Saltelli's design on a Gaussian process through the samples",
        "q2": _number(found.q2),
        "problem": found.problem,
    }
    if found.first:
        for key in ("first", "total", "first_error", "total_error"):
            group[key] = dict(zip(found.names, map(_number, getattr(found, key)), strict=True))
    return group


def _moved_only(result: RiskResult) -> Group:
    """What the numbers would be without the correction of displaced probes."""
    from ablasim.assess.intervals import probability, quantile

    minimal = result.samples.moved_only
    return {
        "margin_below_0": _estimate(probability(minimal < 0.0)),
        "margin_p50_mm": _number(quantile(minimal, 0.5).value / MM),
    }


def _vessel(cost: VesselCost, modality: str) -> Group:
    level, text = heat_sink_flag(cost.vessel.is_heat_sink, modality)
    diameter = cost.vessel.widest or cost.vessel.diameter
    return {
        "name": cost.vessel.name,
        "kind": cost.vessel.kind,
        "diameter_mm": None if diameter is None else diameter / MM,
        "distance_mm": cost.vessel.distance / MM,
        "heat_sink_by_clinical_rule": cost.vessel.is_heat_sink,
        "flag": level,
        "published": text,
        "sentence": cost.sentence,
        "cost_mm": _quantiles(cost.cost, MM) if cost.cost else None,
        "margin_below_0": {
            "with": _estimate(cost.with_it), "without": _estimate(cost.without_it)
        },
        "margin_below_0_raised_by": _estimate(cost.raised),
        "margin_below_target": {
            "with": _estimate(cost.with_target), "without": _estimate(cost.without_target)
        },
        "samples": cost.samples,
        "samples_without_a_zone": cost.no_zone,
    }  # fmt: skip


def _warnings(result: RiskResult, facts: Mapping[str, Any], case: Case) -> list[str]:
    found = []
    if facts["failed"]:
        found.append(
            f"The solver gave up in {facts['failed']} samples, which are left out of all numbers;"
            " the intervals of P(margin < 0) and P(margin < target) hold whatever they would be."
        )
    outer = int(result.samples.reaches_outer.sum())
    if outer:
        found.append(
            f"In {outer} samples the zone comes within one cell of the outer boundary, which may"
            " hold it back: their size is a lower bound; enlarge the simulated block."
        )
    nowhere = int(np.isneginf(result.samples.minimal).sum())
    if nowhere:
        found.append(
            f"In {nowhere} samples no tissue died: their margin counts as below any other, and in"
            " the Sobol indices as the smallest that there is."
        )
    needed = closed_from(LEVELS[0])
    if len(result.samples) < needed:
        found.append(
            f"{len(result.samples)} samples are too few for intervals of P5 and P95, which need"
            f" {needed}, and leave those of the probabilities wide."
        )
    if result.nominal.record.scenario.numerics.resolution == "preview":
        found.append(
            "Preview mesh: margins differ from those of a standard mesh by some tenths of a"
            " millimetre, which no interval here covers."
        )
    alone = int(np.count_nonzero(~result.samples.batched))
    if alone:
        found.append(
            f"{alone} of {len(result.samples)} samples were computed one by one:"
            f" {_why_alone(case)}."
        )
    found += result.unaccounted
    found += list(result.nominal.summary.get("warnings") or ())
    return found


def _why_alone(case: Case) -> str:
    """Why samples were not computed together, which is several times as fast."""
    from ablasim.solve.batch_alike import NotBatchable, refuse_different

    try:
        refuse_different([case.problem])
    except NotBatchable as reason:
        return str(reason)
    return "together with others the solver gave up"


def _class_keys(result: RiskResult, median: float) -> tuple[str, str]:
    """Classes of the median margin and of its P5, as in margin_evidence.yaml."""
    keys = []
    for value in (median, result.margin.margin[0].value):
        if not math.isfinite(value):
            keys.append("below_0")
            continue
        keys.append(margin_class(value / MM).key.removeprefix("fraction_"))
    return keys[0], keys[1]


def _zone_says(level: float) -> str:
    if level == 0.5:
        return "tissue that dies in half of the samples"
    share = round(100 * (1.0 - level))
    return f"tissue that dies in at least {share} % of the samples"


def _quantiles(estimates: tuple[Estimate, ...], unit: float) -> Group:
    return {
        NAMES[level]: _estimate(estimate, unit)
        for level, estimate in zip(LEVELS, estimates, strict=True)
    }


def _estimate(estimate: Estimate, unit: float = 1.0) -> Group:
    return {key: _number(value / unit) for key, value in asdict(estimate).items()}


def _number(value: float) -> float | None:
    """A number for JSON; None where it is infinite or none."""
    return float(value) if math.isfinite(value) else None


def _finite(group: Group) -> Group:
    return {k: _number(v) if isinstance(v, float) else v for k, v in group.items()}
