"""What the command line prints: rows, the result of a run, and errors with their exit codes.

Results go to stdout, everything else to stderr: `ablasim run ... --json > summary.json` is clean.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ablasim.cli_progress import format_seconds
from ablasim.errors import AblasimError, Interrupted, ResourceError

NOTICE = "Research software, not a medical device."
INTERNAL_ERROR = 1
MARGIN_CLASSES = (
    ("fraction_below_0", "below 0"),
    ("fraction_0_5", "0 to 5 mm"),
    ("fraction_5_10", "5 to 10 mm"),
    ("fraction_above_10", "above 10 mm"),
)


def say(text: str) -> None:
    """One line for a person, on stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """A value as JSON on stdout; refuses NaN, which is no JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_rows(rows: Sequence[Sequence[str]], *, header: Sequence[str] | None = None) -> None:
    """Rows on stdout in columns as wide as their content; the last column may be of any length."""
    table = [list(header)] if header else []
    table += [[str(cell) for cell in row] for row in rows]
    if not table:
        return
    columns = zip_longest(*table, fillvalue="")
    widths = [max(len(cell) for cell in column) for column in columns]
    if header:
        table.insert(1, ["-" * width for width in widths])
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join(cells).rstrip())


def set_up_logging(*, verbose: bool) -> None:
    """Warnings of ablasim on stderr; with `verbose` its details too."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("ablasim").setLevel(logging.INFO if verbose else logging.WARNING)


def exit_code_of(error: BaseException) -> int:
    """The one place where an exception becomes an exit code: 2, 3, 4, 5, 130; 1 for our fault."""
    if isinstance(error, AblasimError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return Interrupted.exit_code
    if _is_lack_of_resources(error):
        return ResourceError.exit_code
    return INTERNAL_ERROR


def report_error(error: BaseException, *, debug: bool) -> int:
    """Print one clear message (with the traceback if `debug`) and return the exit code."""
    code = exit_code_of(error)
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, AblasimError):
        say(f"ablasim: {error}" if "\n" not in str(error) else f"ablasim:\n{error}")
    elif isinstance(error, KeyboardInterrupt):
        say("ablasim: interrupted; nothing half-written is left behind.")
    elif code == ResourceError.exit_code:
        say(
            f"ablasim: not enough memory or disk space ({str(error) or type(error).__name__}). "
            "Free some, or use --resolution preview."
        )
    else:
        say(f"ablasim: a fault inside ablasim: {type(error).__name__}: {error}")
        if not debug:
            say("Run the same command with --debug for the traceback, and please report it.")
    return code


def _is_lack_of_resources(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM)
    return "RESOURCE_EXHAUSTED" in str(error)  # how JAX says that a device is out of memory


def print_result(summary: Mapping[str, Any], directory: Path | None) -> None:
    """The short table at the end of a run."""
    print_rows(result_rows(summary))
    for warning in summary.get("warnings") or ():
        print(f"Note: {warning}")
    if directory is not None:
        print()
        print_files(directory)
    print()
    print(NOTICE)


def result_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A run's `summary.json` as rows (what, value); rows without a value are left out."""
    rows: list[tuple[str, str]] = []
    zones = _group(summary, "zone")
    criterion = str(zones.get("criterion"))
    zone = _group(zones, criterion)
    if zone:
        says = zone.get("says") or f"reached {criterion.removeprefix('peak_').removesuffix('C')} °C"
        size = f"{zone['volume_ml']:.1f} ml"
        if zone.get("long_axis_mm") is not None and zone.get("short_axis_mm") is not None:
            size += f", {zone['long_axis_mm']:.1f} x {zone['short_axis_mm']:.1f} mm"
            size += " (along x across the probe)"
        rows.append((f"Lethal zone ({says})", size))
    assessment = _group(_group(summary, "scenario"), "assessment")
    rows += _margin_rows(_group(summary, "margin"), assessment.get("target_margin_mm"))
    rows += _criterion_rows(zones, _group(summary, "margin"))
    thermal, generator = _group(summary, "thermal"), _group(summary, "generator")
    if thermal.get("peak_C") is not None:
        rows.append(("Highest temperature", f"{thermal['peak_C']:.1f} °C"))
    drive = _generator(generator)
    if drive:
        rows.append(("Generator", drive))
    microwave = _group(summary, "microwave")
    if microwave.get("incident_W") is not None:
        rows.append(("Microwave power", _microwave(microwave)))
        if microwave.get("S11_dB") is not None:
            rows.append(("  reflection", f"{microwave['S11_dB']:.1f} dB on average"))
    balance = _group(summary, "energy").get("balance_error")
    if balance is not None:
        rows.append(("Energy balance", f"closes to {balance:.1e} of the delivered heat"))
    total = _group(summary, "timing_s").get("total")
    if total is not None:
        rows.append(("Computed in", format_seconds(total)))
    return rows


def margin_number(margin_mm: float) -> str:
    """A margin with one decimal, rounded down: it never claims more than was computed."""
    return f"{math.floor(margin_mm * 10.0 + 1e-6) / 10.0:.1f} mm"


def _margin_rows(margin: Mapping[str, Any], target: float | None) -> Iterator[tuple[str, str]]:
    minimal = margin.get("minimal_mm")
    if minimal is not None:
        text = margin_number(minimal)
        if minimal < 0:
            text += " (the zone does not cover the tumour)"
        elif target is not None:
            text += f" ({'below the target of' if minimal < target else 'target'} {target:g} mm)"
        yield "Minimal ablative margin", text
        at_capsule = margin.get("subcapsular_minimal_mm")
        apart = margin.get("fraction_subcapsular") or 0.0
        if at_capsule is not None and apart > 0.0:
            short = " (the zone does not cover the tumour there)" if at_capsule < 0 else ""
            text = f"{margin_number(at_capsule)}{short}, {percent(apart)} of the surface"
            yield "  at the liver capsule", text
    if margin.get("thinnest_point_mm") is not None:
        point = ", ".join(f"{value:.1f}" for value in margin["thinnest_point_mm"])
        yield "  where", f"({point}) mm LPS"
    if margin.get("nearest_vessel"):
        text = str(margin["nearest_vessel"])
        if margin.get("nearest_vessel_distance_mm") is not None:
            text += f", {margin['nearest_vessel_distance_mm']:.1f} mm away"
        yield "  nearest vessel", text
    if margin.get("tumour_covered_fraction") is not None:
        yield "Tumour covered", f"{floor_percent(margin['tumour_covered_fraction'])} of its volume"
    classes = [
        f"{percent(margin[key])} {name}"
        for key, name in MARGIN_CLASSES
        if margin.get(key) is not None
    ]
    if classes:
        yield "Margin over the surface", ", ".join(classes)


def _criterion_rows(
    zones: Mapping[str, Any], margin: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """One row for each criterion: volume, short axis and minimal margin; then their spread."""
    minimal = _group(margin, "by_criterion")
    listed = [(name, zone) for name, zone in zones.items() if isinstance(zone, Mapping)]
    if not any("title" in zone for _, zone in listed):
        return
    yield "By criterion", "volume, short axis" + (", minimal margin" if minimal else "")
    for name, zone in listed:
        text = f"{zone['volume_ml']:.1f} ml, {zone.get('short_axis_mm') or 0.0:.1f} mm"
        if minimal:
            text += ", none" if minimal.get(name) is None else f", {margin_number(minimal[name])}"
        yield f"  {zone.get('title', name)}", text
    spread = margin.get("criterion_spread_mm")
    if spread is not None:
        yield "  spread of the margin", f"{spread:.1f} mm"


SHOWN_ROLLOFFS = 6
"""Times of so many roll-offs are printed; all are in summary.json."""


def _generator(generator: Mapping[str, Any]) -> str:
    parts = []
    tissue, impedance = generator.get("mean_power_W"), generator.get("final_impedance_ohm")
    # behind a resistance the generator sees more than the tissue does
    power = generator.get("mean_generator_power_W", tissue)
    impedance = generator.get("final_generator_impedance_ohm", impedance)
    if power is not None:
        parts.append(f"{power:.1f} W on average")
        if power != tissue:
            parts[-1] += f", {tissue:.1f} W of it in the tissue"
    if impedance is not None:
        parts.append(f"{impedance:.0f} ohm at the end")
    times = generator.get("rolloff_times_s") or []
    if times:
        rolled = "1 roll-off" if len(times) == 1 else f"{len(times)} roll-offs"
        shown = ", ".join(f"{time:.0f}" for time in times[:SHOWN_ROLLOFFS])
        more = ", ..." if len(times) > SHOWN_ROLLOFFS else ""
        parts.append(f"{rolled} (at {shown}{more} s)")
    return ", ".join(parts)


def _microwave(microwave: Mapping[str, Any]) -> str:
    """The power balance of the antennas in one line."""
    parts = [
        f"{microwave[key]:.2f} {what}"
        for key, what in (
            ("reflected_W", "reflected"),
            ("absorbed_tissue_W", "in tissue"),
            ("antenna_W", "along the antenna"),
            ("outside_W", "outside the tissue"),
        )
    ]
    return f"{microwave['incident_W']:.2f} W incident = {' + '.join(parts)}"


def percent(fraction: float) -> str:
    """A fraction in percent; a small part never reads 0 %, an incomplete whole never 100 %."""
    if 0.0 < fraction < 0.01:
        return "<1 %"
    if 0.99 < fraction < 1.0:
        return ">99 %"
    return f"{100.0 * fraction:.0f} %"


def floor_percent(fraction: float) -> str:
    """A fraction in percent, rounded down: an incomplete cover never reads 100 %."""
    return f"{math.floor(fraction * 1000.0 + 1e-9) / 10.0:.1f} %"


FILES = (
    ("report.html", "the report: tables and pictures, in any browser"),
    ("preview.png", "three slices and a 3D view"),
    ("fields.vtu", "temperatures on the mesh, for ParaView or PyVista"),
    ("fields.bp", "the same as every MPI rank wrote it, for ParaView (VTX)"),
    ("lethal_zone.vtp", "surface of the lethal zone"),
    ("tumour_margin.vtp", "surface of the tumour with its margin"),
    ("zone.nii.gz", "the zone as a label map, for 3D Slicer"),
    ("peak_C.nii.gz", "highest temperatures as an image"),
    ("summary.json", "every number of the run"),
    ("history.csv", "power, impedance, temperatures over time"),
)


def print_files(directory: Path) -> None:
    """The files of a run that are there, each with what it is for."""
    print(f"Files in {directory}:")
    print_rows([(f"  {name}", what) for name, what in FILES if (directory / name).exists()])
    if not (directory / "preview.png").is_file():
        print("  preview.png was not drawn: `ablasim doctor` says what is missing.")


def _group(mapping: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = mapping.get(name)
    return value if isinstance(value, Mapping) else {}
