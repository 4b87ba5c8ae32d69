"""What a simulated ablation means: the lethal zone, and the tumour's margin inside it."""

from __future__ import annotations

from ablasim.assess.margin import NearVessel, TumourMargin, minimal_margins, tumour_margin
from ablasim.assess.zone import LethalZone, fill_cooled_rim, lethal_zone

__all__ = [
    "LethalZone",
    "NearVessel",
    "TumourMargin",
    "fill_cooled_rim",
    "lethal_zone",
    "minimal_margins",
    "tumour_margin",
]
