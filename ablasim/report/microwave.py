"""Where a microwave generator's power went, for the summary."""

from __future__ import annotations

import math
from typing import Any

from ablasim.frames import MHZ
from ablasim.report.record import RunRecord

Group = dict[str, Any]

MUCH_REFLECTED = 0.25
"""Share of the incident power, as a mean over the run, whose return is worth a warning."""


def mismatch(record: RunRecord) -> list[str]:
    """A warning where the antennas send much of their power back."""
    told = record.solution.statistics
    incident = told.get("microwave_incident_J", 0.0)
    share = told["microwave_reflected_J"] / incident if incident > 0.0 else 0.0
    if share < MUCH_REFLECTED:
        return []
    return [
        f"The antenna sent {100.0 * share:.0f} % of the power back into the cable: it does not"
        " match the tissue that it has dried. A lower power dries less of it."
    ]


def power_balance(record: RunRecord) -> Group | None:
    """Where the generator's power went, as means over the run [W]; None for radiofrequency.

    incident = reflected + absorbed_tissue + antenna + outside, and outside = radiated + elsewhere.
    """
    data = record.probes[0].data if record.probes else None
    if data is None or data.modality != "mw":
        return None
    physics = record.scenario.physics
    frequency = None if data.frequency is None else data.frequency / MHZ
    group: Group = {"model": physics.microwave_model, "frequency_MHz": frequency}
    duration = float(record.solution.times[-1]) if record.solution.times.size else math.nan
    told = record.solution.statistics
    if "microwave_incident_J" not in told:
        delivered = record.solution.energy.get("delivered_J", math.nan)
        return group | {"absorbed_tissue_W": delivered / duration}
    power = {
        name: told[f"microwave_{name}_J"] / duration
        for name in ("incident", "reflected", "tissue", "antenna", "radiated", "elsewhere")
    }
    lost = power["reflected"] + power["tissue"] + power["antenna"]
    outside, incident = power["radiated"] + power["elsewhere"], power["incident"]
    return group | {
        "dielectric": physics.microwave_dielectric,
        "incident_W": power["incident"],
        "reflected_W": power["reflected"],
        "absorbed_tissue_W": power["tissue"],
        "antenna_W": power["antenna"],
        "outside_W": outside,
        "radiated_W": power["radiated"],
        "elsewhere_W": power["elsewhere"],
        "balance_error": abs(1.0 - (lost + outside) / incident) if incident else None,
        "S11_dB": _decibel(power["reflected"] / incident) if incident else None,
        "S11_start_dB": _decibel(told["microwave_reflected_at_start"]),
        "S11_end_dB": _decibel(told["microwave_reflected_at_end"]),
        "solves": int(told["microwave_solves"]),
        "lag_error": told["microwave_lag_error"],
        "heat_scale": told["microwave_scale"],
    }


def _decibel(share: float) -> float | None:
    return 10.0 * math.log10(share) if share > 0.0 else None
