"""Known physics of heat sinks: what the literature found a vessel to do to the zone.

Each fact is a comparison of runs of shipped scenarios at preview resolution. The zone is that of
60 °C; what a vessel takes is its share of the zone without the vessel.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from ablasim.verify.case import VALUE, Case, Row, Tolerance, at_least, at_most
from ablasim.verify.runs import scenario, stages

TITLE = "Heat sinks: known physics"

BASES = {"rf": ("rf_without_vessel", 0.735), "mw": ("mw_beside_hepatic_vein", 0.895)}
"""Scenario, and radius of its probe [mm], by modality; its own vessels are replaced."""


def vessel(diameter_mm: float, gap_mm: float, radius_mm: float) -> list[dict[str, Any]]:
    """A vessel along the probe, its wall `gap_mm` from the probe's surface."""
    x = radius_mm + gap_mm + 0.5 * diameter_mm
    return [
        {
            "name": "sink",
            "kind": "portal_vein",
            "path_mm": [[x, 0, -60], [x, 0, 60]],
            "diameter_mm": diameter_mm,
            "velocity_cm_s": 12,
        }
    ]


@cache
def zone_volume(modality: str, diameter_mm: float = 0.0, gap_mm: float = 0.0) -> float:
    """Volume of the 60 °C zone [ml] with a vessel, or without one."""
    name, radius = BASES[modality]
    changes = {
        "numerics.resolution": "preview",
        "anatomy.vessels": vessel(diameter_mm, gap_mm, radius) if diameter_mm else [],
        "anatomy.block": {"shape": "sphere", "diameter_mm": 110.0},
    }
    return 1e6 * stages(scenario(name, changes)).zone(60.0).volume


def lost(modality: str, diameter_mm: float, gap_mm: float) -> float:
    """Share of the zone without the vessel that is missing with it."""
    return 1.0 - zone_volume(modality, diameter_mm, gap_mm) / zone_volume(modality)


def reach() -> Iterator[Row]:
    """How far away a vessel matters."""
    for gap in (5.0, 8.0):
        yield at_least(f"zone lost, 10 mm vessel {gap:g} mm away", "1", 0.05, lost("rf", 10.0, gap))
    yield at_most("zone lost, 10 mm vessel 30 mm away", "1", 0.03, abs(lost("rf", 10.0, 30.0)))


def size() -> Iterator[Row]:
    """How the effect grows with the vessel."""
    losses = {diameter: lost("rf", diameter, 5.0) for diameter in (5.0, 10.0, 15.0)}
    for thin, thick in ((5.0, 10.0), (10.0, 15.0)):
        yield at_least(
            f"zone lost, {thick:g} mm vessel 5 mm away, against {thin:g} mm",
            "1",
            losses[thin],
            losses[thick],
        )


def microwave() -> Iterator[Row]:
    """Microwaves heat at a distance: the vessel takes less."""
    yield at_most(
        "zone lost with MW, against RF, 10 mm vessel 5 mm away",
        "1",
        lost("rf", 10.0, 5.0),
        lost("mw", 10.0, 5.0),
    )


SOURCE = "Maaref 2019, Modares Mechanical Engineering 19(7):1711"
NOTE = (
    "The vessel's own volume counts as lost. Computed: the shipped RF and MW scenarios with this "
    "vessel along the probe."
)
NONE = {VALUE: Tolerance(0.0)}

CASES = (
    Case(
        name="sink-reach",
        title="A vessel within 8 mm of an RF needle takes from the zone, one at 30 mm does not",
        kind="published",
        source=SOURCE,
        catches="a wall that cools nothing, or that cools from any distance",
        tolerances=NONE,
        compute=reach,
        remark=NOTE
        + " Limits set beforehand: 5 % at least within 8 mm; 3 % at most at 30 mm, what "
        "two preview meshes differ by.",
    ),
    Case(
        name="sink-diameter",
        title="The effect grows with the vessel's diameter",
        kind="published",
        source=SOURCE,
        catches="a wall coefficient that falls faster than the wall's area grows",
        tolerances=NONE,
        compute=size,
        remark=NOTE,
    ),
    Case(
        name="sink-mw",
        title="Microwave loses less to a vessel than RF",
        kind="published",
        source=SOURCE,
        catches="microwave heat that needs conduction to spread, as RF does",
        tolerances=NONE,
        compute=microwave,
        remark=NOTE,
    ),
)
