"""`ablasim risk`: the probability of an incomplete margin from what is not known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ablasim.cli_options import (
    Debug,
    Device,
    Force,
    Json,
    Overrides,
    Precision,
    Quiet,
    ResolutionOption,
    Resume,
    ScenarioFile,
    Verbose,
    changes_of,
)
from ablasim.cli_output import NOTICE, print_json, print_rows, say, set_up_logging
from ablasim.cli_progress import format_seconds, show_progress
from ablasim.errors import UsageError


def risk(
    scenario: ScenarioFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory for the results.", metavar="DIR")
    ],
    samples: Annotated[
        int, typer.Option("--samples", "-n", help="Most samples; a power of two is best.")
    ] = 256,
    seed: Annotated[
        int, typer.Option("--seed", help="Of the samples: the same seed, the same numbers.")
    ] = 0,
    overrides: Overrides = None,
    resolution: ResolutionOption = None,
    device: Annotated[Device, typer.Option("--device", help="Where to compute.")] = Device.auto,
    dtype: Annotated[
        Precision, typer.Option("--dtype", help="Numbers that the samples are computed with.")
    ] = Precision.float32,
    max_memory: Annotated[
        float | None,
        typer.Option(
            "--max-memory",
            metavar="GB",
            help="Limit on the memory of the processes that compute the samples.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="Processes; by default one for each core. The numbers do not depend on it.",
            show_default=False,
        ),
    ] = None,
    heat_sink: Annotated[
        bool,
        typer.Option(
            "--heat-sink/--no-heat-sink",
            help="Also the same samples without each vessel that is a heat sink by the clinical"
            " rule.",
        ),
    ] = True,
    vessel: Annotated[
        list[str] | None,
        typer.Option(
            "--vessel", metavar="NAME", help="Such vessels instead of the rule's. May be repeated."
        ),
    ] = None,
    force: Force = False,
    resume: Resume = True,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Sample what is uncertain: probability of an incomplete margin, where, and why."""
    from ablasim.scenario import load_scenario

    set_up_logging(verbose=verbose)
    if max_memory is not None and not max_memory > 0.0:
        raise UsageError(f"--max-memory: got {max_memory:g}; must be greater than 0 GB")
    loaded = load_scenario(scenario, changes_of(overrides, resolution))
    # After the scenario, so that a fault in it shows at once.
    from ablasim.study.risk import risk as study

    if not quiet:
        say(f"{loaded.name}: {NOTICE}")
    with show_progress(quiet=quiet, verbose=verbose) as progress:
        found = study(
            loaded,
            samples=samples,
            seed=seed,
            out=output,
            device=device.value,
            dtype=dtype.value,
            max_memory=max_memory,
            workers=workers,
            heat_sink=heat_sink,
            vessels=tuple(vessel) if vessel else None,
            progress=progress,
            resume=resume,
            force=force,
        )
    if as_json:
        print_json(found.summary)
    elif not quiet:
        print_rows(list(risk_rows(found.summary)))
        for warning in found.summary["warnings"]:
            print(f"Note: {warning}")
        print(f"\nReport: {output / 'report.html'}\n\n{NOTICE}")


def risk_rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A study's risk.json as rows (what, value)."""
    counts, chance = summary["samples"], summary["probability"]
    early = " (the intervals were narrow enough)" if counts["stopped_early"] else ""
    yield "Samples", f"{counts['used']} of {counts['asked']}{early}"
    yield "P(margin < 0)", share(chance["margin_below_0"])
    target = chance["target_margin_mm"]
    yield f"P(margin < {target:g} mm)", share(chance["margin_below_target"])
    capsule = chance["margin_below_0_at_the_capsule"]
    if capsule is not None:
        yield "P(margin < 0) at the capsule", f"{share(capsule)}; not in the numbers above"
    yield "Minimal margin", _quantiles(summary["margin_mm"], "mm")
    yield "Zone's volume", _quantiles(summary["zone_volume_ml"], "ml")
    nominal = summary["nominal"]
    if nominal["margin_mm"] is not None:
        text = f"{nominal['margin_mm']:.1f} mm, {nominal['zone_volume_ml']:.1f} ml"
        yield "Plain run", text
    worst = summary["surface"]
    point = ", ".join(f"{value:.1f}" for value in worst["worst_point_mm"])
    yield "Most at risk", f"({point}) mm LPS: {share(worst['worst_probability'])}"
    for sink in summary["heat_sinks"]:
        yield "Heat sink", sink["sentence"]
    sobol = summary["sensitivity"]
    if sobol.get("total"):
        order = sorted(sobol["total"], key=lambda name: -(sobol["total"][name] or 0.0))
        parts = [f"{name} {100 * (sobol['total'][name] or 0.0):.0f} %" for name in order[:4]]
        yield "What decides (total Sobol index)", ", ".join(parts)
    else:
        yield "What decides", sobol["problem"]
    if summary["displacement"]["largest_correction_mm"]:
        largest = summary["displacement"]["largest_correction_mm"]
        yield "Displaced probes", f"corrected by up to {largest:.1f} mm in cases meshed anew"
    assumed = [entry["name"] for entry in summary["inputs"] if entry["assumed"]]
    if assumed:
        yield "Assumed here; no source", ", ".join(assumed)
    yield "Computed in", format_seconds(summary["timing_s"]["total"])


def share(estimate: Mapping[str, float]) -> str:
    """A probability with its interval, in percent."""
    value, low, high = (100.0 * estimate[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % (95 %: {low:.1f} to {high:.1f} %)"


def _quantiles(group: Mapping[str, Mapping[str, float | None]], unit: str) -> str:
    low, middle, high = (group[key]["value"] for key in ("p5", "p50", "p95"))

    def text(value: float | None) -> str:
        return "no zone" if value is None else f"{value:.1f}"

    return f"{text(middle)} {unit} (5 to 95 %: {text(low)} to {text(high)} {unit})"
