"""Variations of shipped scenarios that show what a vessel takes from an ablation; data only.

A vessel of the portal vein runs beside the probe's active part, parallel to it. `GAP_MM` is the
tissue between the probe's surface and the vessel's wall. Published facts to be met: the zone falls
markedly where the applicator is within 8 mm of a vessel of 5, 10 or 15 mm, the more the wider the
vessel, and not at all beyond 30 mm (Maaref 2019); less for microwaves than for radiofrequency.
"""

from __future__ import annotations

from typing import Any

NEEDLE_RADIUS_MM = 0.735
PREVIEW: dict[str, Any] = {"numerics.resolution": "preview"}


def beside(
    diameter_mm: float, gap_mm: float, radius_mm: float = NEEDLE_RADIUS_MM
) -> dict[str, Any]:
    """Overrides that put a vessel beside the probe on the z axis."""
    x = radius_mm + gap_mm + 0.5 * diameter_mm
    vessel = {
        "name": "vessel",
        "kind": "portal_vein",
        "path_mm": [[x, 0, -70], [x, 0, 70]],
        "diameter_mm": diameter_mm,
        "velocity_cm_s": min(2.0 * diameter_mm, 18.0),
    }
    return PREVIEW | {"anatomy.vessels": [vessel]}


RF = "rf_without_vessel"
MW_RADIUS_MM = 0.9
ANTENNA: dict[str, Any] = {
    "probes": [{"model": "slot_antenna_2450", "tip_mm": [0, 0, -6.5], "entry_mm": [0, 0, 90]}],
    "protocol.power_W": 18,
}
"""In place of the needle, at the power that gives a zone of about the same volume."""

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "rf": (RF, PREVIEW),
    "rf_5_at_5": (RF, beside(5.0, 5.0)),
    "rf_10_at_5": (RF, beside(10.0, 5.0)),
    "rf_15_at_5": (RF, beside(15.0, 5.0)),
    "rf_10_at_8": (RF, beside(10.0, 8.0)),
    "rf_10_at_30": (RF, beside(10.0, 30.0)),
    "mw": (RF, PREVIEW | ANTENNA),
    "mw_10_at_5": (RF, beside(10.0, 5.0, MW_RADIUS_MM) | ANTENNA),
}
"""Name of the case: the scenario's file and what is overridden in it."""
