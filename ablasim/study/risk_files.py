"""The last step of a study: its summary, and its directory where one was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim.frames import MM
from ablasim.report.atomic import RISK, atomic_directory
from ablasim.scenario.risk import Risk
from ablasim.study.case import Case
from ablasim.study.priors import Inputs
from ablasim.study.risk_result import RiskResult
from ablasim.study.risk_summary import ML, build_summary


def finish(
    result: RiskResult,
    case: Case,
    inputs: Inputs,
    given: Risk,
    facts: Mapping[str, Any],
    force: bool,
) -> RiskResult:
    """Build the summary and write everything.

    Args:
        result: of the study, without its summary.
        case: with its tumour.
        inputs: what was varied.
        given: the section `risk`.
        facts: see `build_summary`.
        force: replace an earlier study.
    """
    summary = build_summary(result, case, inputs, given, facts)
    done = replace(result, summary=summary)
    if done.directory is None:
        return done
    from ablasim.report.files import write_run
    from ablasim.report.risk_files import write_json, write_samples, write_tumour, write_zones
    from ablasim.report.risk_page import write_risk_page
    from ablasim.report.risk_picture import write_risk_preview

    with atomic_directory(done.directory, force=force, kind=RISK) as folder:
        (folder / "scenario.yaml").write_text(case.scenario.to_yaml(), encoding="utf-8")
        write_samples(folder / "samples.csv", table(done), done.numbers)
        sampler = case.sampler
        write_tumour(
            folder / "tumour_risk.vtp",
            sampler.points,
            sampler.triangles,
            done.surface,
            sampler.subcapsular,
        )
        write_zones(folder, done.zones)
        (folder / "nominal").mkdir()
        write_run(folder / "nominal", done.nominal.record)
        write_json(folder / "risk.json", summary)  # the pictures read it; written again below
        fields = {level: zone.field for level, zone in done.zones.items()}
        warnings = write_risk_preview(folder, summary, fields, _dying(done, case))
        summary["warnings"] += list(warnings)
        write_json(folder / "risk.json", summary)
        write_risk_page(folder, summary, done.samples.minimal / MM)
    return done


def table(result: RiskResult) -> dict[str, NDArray[Any]]:
    """The samples as columns: inputs, then results; (k,) each."""
    units = {entry["name"]: entry["unit"] for entry in result.summary["inputs"]}
    return {
        **{
            f"{name} [{units[name]}]" if units.get(name) else name: values
            for name, values in result.columns.items()
            if name in units
        },
        "minimal_margin_mm": result.samples.minimal / MM,
        "minimal_margin_uncorrected_mm": result.samples.moved_only / MM,
        "zone_volume_ml": result.samples.volume / ML,
        "balance_error": result.samples.balance,
    }


def _dying(result: RiskResult, case: Case) -> NDArray[np.float64]:
    """Probability that tissue dies at each mesh point (n,), the cooled rim as in the zones."""
    found = np.zeros(len(case.mesh.points))
    found[result.nodes] = (result.samples.excess >= 0.0).mean(axis=0)
    for level, zone in result.zones.items():
        found[zone.inside] = np.maximum(found[zone.inside], 1.0 - level)
    return found
