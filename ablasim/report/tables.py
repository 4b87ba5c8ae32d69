"""The rows of the report's tables, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablasim.report.palette import margin_text, number_text, vessel_look
from ablasim.report.saved import SavedRun, Surface
from ablasim.report.words import MODALITY_NAMES, modality

Row = tuple[str, ...]

OHM = "\N{GREEK CAPITAL LETTER OMEGA}"

ENERGY_ROWS = (
    ("stored_J", "Stored in tissue (warming, evaporated water)"),
    ("perfusion_J", "Carried away by capillary perfusion"),
    ("vessels_J", "Carried away by vessels"),
    ("probe_cooling_J", "Carried away by the probe's coolant"),
    ("boundary_J", "Through the outer boundary"),
)

MICROWAVE_ROWS = (
    ("Incident at the antenna", "incident_W", 2, "W"),
    ("of it reflected into the cable", "reflected_W", 2, "W"),
    ("of it absorbed in the tissue", "absorbed_tissue_W", 2, "W"),
    ("of it lost along the antenna", "antenna_W", 2, "W"),
    ("of it outside the tissue", "outside_W", 2, "W"),
    ("Reflection S11, mean", "S11_dB", 1, "dB"),
    ("Reflection S11 at the start", "S11_start_dB", 1, "dB"),
    ("Reflection S11 at the end", "S11_end_dB", 1, "dB"),
)

PERFUSION_TEXT = {
    "peak_60C": "Capillary perfusion stops for good where tissue has reached 60 °C.",
    "none": "Capillary perfusion never stops, not even in dead tissue: the zone comes out smaller.",
    "arrhenius": "Capillary perfusion fades as exp(-Omega) with the Arrhenius integral of injury.",
    "three_state": "Capillary perfusion stops where the three-state model has more than 0.8 dead "
    "cells.",
}
POTENTIAL_TEXT = {
    "far_field": "far field (the impedance does not depend on the block's size)",
    "ground": "grounded outer boundary",
}


def zone_rows(run: SavedRun) -> list[tuple[str, bool, Row]]:
    """For each criterion its name, whether the margin uses it, and its numbers."""
    rows: list[tuple[str, bool, Row]] = []
    margins = run.group("margin").get("by_criterion") or {}
    for criterion, zone in run.group("zone").items():
        if not isinstance(zone, Mapping):
            continue
        level = criterion.removeprefix("peak_").removesuffix("C")
        rows.append(
            (
                str(zone.get("says") or f"reached {level} °C"),
                criterion == run.criterion.name,
                (
                    number_text(zone.get("volume_ml"), 1),
                    number_text(zone.get("long_axis_mm"), 1),
                    number_text(zone.get("short_axis_mm"), 1),
                    number_text(zone.get("wide_axis_mm"), 1),
                    number_text(zone.get("sphericity"), 2),
                    "\N{EN DASH}"
                    if margins.get(criterion) is None
                    else margin_text(margins[criterion]),
                ),
            )
        )
    return rows


def spread_sentence(run: SavedRun) -> str:
    """How far the criteria are apart; empty where the run does not say."""
    margin = run.group("margin").get("criterion_spread_mm")
    if margin is not None:
        return f"Between these criteria the minimal margin differs by {margin:.1f} mm."
    none = run.group("margin").get("criteria_without_zone") or 0
    if none:
        count = len(run.group("margin").get("by_criterion") or ())
        return f"By {none} of these {count} criteria there is no lethal zone."
    width = run.group("zone").get("short_axis_spread_mm")
    return (
        "" if width is None else f"Between these criteria the short axis differs by {width:.1f} mm."
    )


def energy_rows(run: SavedRun) -> list[tuple[Row, bool]]:
    """Rows of name, joule and percent, and whether a row is a part of the one above."""
    energy = run.group("energy")
    delivered = energy.get("delivered_J")

    def row(label: str, value: float | None) -> Row:
        share = None if value is None or not delivered else value / delivered
        return (
            label,
            number_text(value, 0),
            "\N{EN DASH}" if share is None else f"{100 * share:.1f}",
        )

    rows = [(row("Delivered inside the simulated block", delivered), False)]
    for key, label in ENERGY_ROWS:
        if key in energy:
            rows.append((row(label, energy[key]), False))
        if key == "vessels_J":
            parts = energy.get("vessels") or {}
            rows += [
                (row(str(name).replace("_", " "), value), True) for name, value in parts.items()
            ]
    return rows


def generator_rows(run: SavedRun) -> list[Row]:
    """Power, electrical end values and extreme temperatures, those that exist."""
    generator, thermal = run.group("generator"), run.group("thermal")
    band = run.group("model").get("vaporisation_band_C") or (99.0, 100.0)
    total, inside = generator.get("mean_power_W"), generator.get("mean_power_in_block_W")
    rows: list[Row] = [("Mean power", number_text(total, 1, "W"))]
    behind = generator.get("final_generator_impedance_ohm") is not None
    tissue = " of the tissue" if behind else ""
    generator_power = generator.get("mean_generator_power_W")
    if generator_power is not None:
        rows = [
            ("Mean power of the generator", number_text(generator_power, 1, "W")),
            ("of it in the tissue", number_text(total, 1, "W")),
        ]
    if total and inside and abs(total - inside) > 0.005 * total:
        rows.append(("of it inside the simulated block", number_text(inside, 1, "W")))
    times = generator.get("rolloff_times_s") or []
    if times:
        rows.append(("Roll-offs", f"{len(times)}, the first after {times[0]:.0f} s"))
    microwave = run.group("microwave")
    rows += [
        (label, number_text(microwave.get(key), digits, unit))
        for label, key, digits, unit in MICROWAVE_ROWS
    ]
    rows += [
        (
            f"Final voltage{' across the tissue' if behind else ''} (RMS)",
            number_text(generator.get("final_voltage_V"), 1, "V"),
        ),
        ("Final current (RMS)", number_text(generator.get("final_current_A"), 2, "A")),
        (f"Final impedance{tissue}", number_text(generator.get("final_impedance_ohm"), 1, OHM)),
        (
            "Final impedance at the generator",
            number_text(generator.get("final_generator_impedance_ohm"), 1, OHM),
        ),
        ("Hottest tissue", number_text(thermal.get("peak_C"), 1, "°C")),
        (f"Dried tissue (reached {band[-1]:g} °C)", number_text(thermal.get("dried_ml"), 2, "ml")),
    ]
    return [row for row in rows if row[1] != "\N{EN DASH}"]


def tissue_tables(run: SavedRun) -> list[tuple[str, list[Row]]]:
    """For each region its quantities: name with unit, value, source."""
    tables: list[tuple[str, list[Row]]] = []
    names = run.group("mesh").get("region_tissues") or {}
    for region, quantities in run.group("tissues").items():
        title = (
            f"{region}: {str(names[region]).replace('_', ' ')}" if region in names else str(region)
        )
        rows: list[Row] = [
            (
                *_quantity(str(key)),
                _value_text(float(entry["value"])),
                str(entry.get("source") or ""),
            )
            for key, entry in quantities.items()
        ]
        tables.append((title, rows))
    return tables


UNITS = {
    "kg_m3": "kg/m³",
    "J_kgK": "J/kg/K",
    "J_m3K": "J/m³/K",
    "W_mK": "W/m/K",
    "W_mK2": "W/m/K²",
    "S_m": "S/m",
    "W_m3K": "W/m³/K",
    "per_K": "1/K",
}


def _value_text(value: float) -> str:
    """Four significant digits; large numbers in groups of three instead of powers of ten."""
    if abs(value) >= 1e4:
        return f"{float(f'{value:.4g}'):,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.4g}"


QUANTITY_NAMES = {
    "conductivity": "thermal conductivity",
    "conductivity slope": "its slope with temperature",
    "sigma": "electrical conductivity",
    "sigma slope": "its slope with temperature",
    "sigma dry ratio": "its ratio when dried",
    "vapour heat capacity": "heat capacity when dried",
    "perfusion": "perfusion conductance",
}


def _quantity(key: str) -> tuple[str, str]:
    """``density_kg_m3`` -> ("density", "kg/m³")."""
    name, unit = key, "1"
    for suffix in sorted(UNITS, key=len, reverse=True):
        if key.endswith(f"_{suffix}"):
            name, unit = key.removesuffix(f"_{suffix}"), UNITS[suffix]
            break
    name = name.replace("_", " ")
    return QUANTITY_NAMES.get(name, name), unit


def probe_rows(run: SavedRun) -> list[Row]:
    """Model, modality, tip, entry, active length and diameter of every probe."""
    rows: list[Row] = []
    for probe in run.probes:
        kind = str(probe.get("modality", ""))
        rows.append(
            (
                str(probe.get("model", "")).replace("_", " "),
                MODALITY_NAMES.get(kind, kind),
                _triple(probe.get("tip_mm")),
                _triple(probe.get("entry_mm")),
                number_text(probe.get("active_length_mm"), 1),
                number_text(probe.get("diameter_mm"), 2),
            )
        )
    return rows


def _triple(values: Any) -> str:
    return "" if values is None else ", ".join(number_text(float(value), 1) for value in values)


def vessel_rows(run: SavedRun) -> list[Row]:
    """Name, kind, diameter, velocity and wall coefficient of every meshed vessel."""
    return [
        (
            surface.label,
            vessel_look(surface.kind).label,
            number_text(surface.details.get("diameter_mm"), 1),
            number_text(surface.details.get("velocity_cm_s"), 1),
            number_text(surface.details.get("h_W_m2K"), 0),
        )
        for surface in run.surfaces
        if surface.is_vessel
    ]


def coolant_rows(run: SavedRun) -> list[Row]:
    """Part of the probe, heat transfer coefficient and temperature of its coolant."""
    return [
        (
            _part_name(surface, len(run.group("scenario").get("probes") or ())),
            number_text(surface.details.get("h_W_m2K"), 0),
            number_text(surface.details.get("coolant_C"), 1),
        )
        for surface in run.surfaces
        if surface.is_probe and surface.details.get("h_W_m2K")
    ]


def _part_name(surface: Surface, probes: int) -> str:
    """``probe.0.active`` -> "probe 0, active part", numbered as in the scenario's protocol."""
    _, number, part = surface.name.split(".", 2)
    return f"probe {number}, {part} part" if probes > 1 else f"{part} part"


def choices(run: SavedRun) -> list[str]:
    """The modelling choices that decide the answer, as sentences; the perfusion's is always
    there."""
    scenario = run.group("scenario")
    physics: Mapping[str, Any] = scenario.get("physics") or {}
    boundary: Mapping[str, Any] = scenario.get("boundary") or {}
    choice = str(physics.get("perfusion_shutdown", "peak_60C"))
    blood = number_text(physics.get("blood_temperature_C"), 1, "°C")
    warms = physics.get("blood_warming", True)
    warming = f"that enters at {blood} and warms on its way" if warms else f"at {blood}"
    sentences = [
        PERFUSION_TEXT.get(choice, f"Perfusion shut-down: {choice}."),
        f"Lethal criterion of the margin: tissue that {run.criterion.says} at any time, "
        "with the cooled rim that it encloses and the probe inside. The other zones are the "
        "bracket to compare with.",
        "Margin: signed distance from the tumour's surface to tissue below the criterion, positive "
        "inside the zone.",
        "Heat: Pennes equation in enthalpy form; water evaporates between "
        f"{_range_text(physics.get('vaporisation_band_C'))} °C.",
        f"Vessels: heat transfer at the wall to blood {warming}; thin vessels count as perfusion.",
    ]
    if modality(run) == "rf":
        drop = number_text(physics.get("sigma_drop_K"), 0, "K")
        potential = POTENTIAL_TEXT.get(str(boundary.get("potential")), "far field")
        sentences.append(
            f"Electric potential: quasi-static, {potential}; the conductivity falls over {drop} "
            "above 100 °C."
        )
    else:
        sentences.append(_microwave_text(run))
    insulated = boundary.get("temperature") == "insulated"
    outer = "insulated" if insulated else f"held at {blood}, the temperature of the blood"
    sentences.append(f"Outer boundary of the block: {outer}.")
    return sentences


def _microwave_text(run: SavedRun) -> str:
    """Where the microwave heat comes from."""
    microwave = run.group("microwave")
    if microwave.get("model") != "field":
        return (
            "Microwave heat: parametric distribution, fitted to the antenna's field in liver at "
            "body temperature and scaled to the absorbed power; drying changes it only locally."
        )
    count = int(microwave.get("solves") or 1)
    times = "once" if count == 1 else f"{count} times as the tissue changed"
    return (
        "Microwave heat: field of the antenna in liver "
        f"({str(microwave.get('dielectric')).replace('_', ' ')}), solved {times}; tumour and "
        "vessels count as liver in the field, and the powers of several antennas add."
    )


def _range_text(band: Any) -> str:
    return "99 and 100" if not band else " and ".join(f"{float(value):g}" for value in band)


NUMERICS_NAMES = {
    "points": "mesh points",
    "cells": "tetrahedra",
    "min_quality": "worst cell quality (1 is regular)",
    "h_min_mm": "smallest cell height [mm]",
    "resolution": "resolution",
    "steps": "time steps",
    "rejected": "rejected steps",
    "potential_solves": "potential solves",
    "potential_iterations": "iterations of the potential",
    "potential_residual": "largest relative residual of the potential",
    "dtype": "number type",
    "engine": "engine",
    "device": "device",
}


def numerics_rows(run: SavedRun) -> list[Row]:
    """Size and quality of the mesh, counts of the solver, wall times."""
    found = {**run.group("mesh"), **run.group("numerics")}
    rows: list[Row] = [
        (NUMERICS_NAMES.get(key, key.replace("_", " ")), _plain(value))
        for key, value in found.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    ]
    return rows + [
        (f"wall time, {key} [s]", _plain(value)) for key, value in run.group("timing_s").items()
    ]


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)
