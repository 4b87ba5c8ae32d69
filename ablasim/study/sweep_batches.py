"""Which cases of a sweep are computed together.

Those with the same geometry, mesh, protocol and models, which differ only in their tissues and in
the power, voltage or current that is held. All take the steps of the one whose tissue dries most,
so each batch has cases of about the same strength. What else keeps them apart shows when they are
computed: then each is computed alone, every time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ablasim import catalogue
from ablasim.scenario import Scenario

HELD = ("power", "voltage", "current", "steps")
"""Modes of a protocol that do not follow what is measured."""

STRENGTHS = ("power_W", "voltage_V", "current_A")
"""Of a protocol that holds one of them."""


def batches_of(cases: Iterable[tuple[int, Scenario]], size: int) -> list[list[int]]:
    """Batches of at least two cases, at most `size`, each in the order of the plan.

    The weakest cases of a group come into the first batch, the strongest into the last.
    """
    groups: dict[str, list[tuple[float, int]]] = {}
    for number, scenario in cases:
        if _may_share(scenario):
            groups.setdefault(_shared(scenario), []).append((_strength(scenario), number))
    parts = [
        sorted(number for _, number in ranked[start : start + size])
        for ranked in map(sorted, groups.values())
        for start in range(0, len(ranked), size)
    ]
    return sorted(part for part in parts if len(part) > 1)


def _may_share(scenario: Scenario) -> bool:
    """Whether all that happens in a case happens at times that are known beforehand."""
    microwave = catalogue.probe(scenario.probes[0].model).modality == "mw"
    follows = microwave and scenario.physics.microwave_model == "field"
    return scenario.protocol.mode in HELD and not follows


def _strength(scenario: Scenario) -> float:
    """Power, voltage or current that is held; the cases of a group have the same of them."""
    given = (getattr(scenario.protocol, key, None) for key in STRENGTHS)
    return next((float(value) for value in given if value is not None), 0.0)


def _shared(scenario: Scenario) -> str:
    """What the cases of a batch have in common."""
    data: dict[str, Any] = scenario.model_dump(mode="json", exclude_none=True)
    data.pop("tissues", None)
    for key in STRENGTHS:
        data["protocol"].pop(key, None)
    return json.dumps(data, sort_keys=True)
