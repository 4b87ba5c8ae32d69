"""Rules between a protocol and the probes that it drives: one short function each, lengths in mm.

Each yields the path of a faulty field and what to do about it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from ablasim.anatomy_probes import place_probe
from ablasim.frames import MM
from ablasim.safe_yaml import KeyPath
from ablasim.scenario.anatomy import Vessel
from ablasim.scenario.fields import changed
from ablasim.scenario.geometry import Region, polyline_distance, show
from ablasim.scenario.protocol import (
    STEP_KEYS,
    Protocol,
    PulsedProtocol,
    RampProtocol,
    StepsProtocol,
    TemperatureProtocol,
    Turn,
)
from ablasim.scenario.treatment import ProbePlacement

Fault = tuple[KeyPath, str]
Probes = Mapping[int, ProbePlacement]

RF_RAMP_KEYS = (
    "voltage_limit_V",
    "rolloff_impedance_ohm",
    "rolloff_power_W",
    "pause_s",
    "restart_fraction",
    "max_rolloffs",
    "body_resistance_ohm",
)
"""Keys of a ramp that an antenna has no use for."""

BESIDE_METAL_MM = 0.01
"""A sensor nearer than this to metal counts as on it, as one at the end of a tine is."""

POWER_MODES = ("power", "ramp", "steps")
"""Modes of a microwave generator: it is driven by its power."""


def protocol_faults(
    mode: str | None,
    protocol: Protocol | None,
    probes: Probes,
    listed: int,
    region: Region | None,
    vessels: Mapping[int, Vessel],
) -> Iterator[Fault]:
    """Everything in which a protocol and its probes do not agree.

    Args:
        mode: of the protocol, also where the rest of it is faulty.
        protocol: None where it is faulty in itself.
        probes: those that are valid, by their number.
        listed: how many probes there are, valid or not.
        region: the simulated block, where it is known.
        vessels: those that are valid and meshed, by their number.
    """
    microwave = next((p for p in probes.values() if p.data.modality == "mw"), None)
    if microwave is not None:
        yield from _microwave_is_driven_by_power(mode, protocol, microwave)
        return
    yield from _poles_are_of_one_kind(probes)
    if protocol is None:
        return
    if isinstance(protocol, TemperatureProtocol):
        yield from _sensors_are_there(protocol, probes)
        yield from _sensors_lie_in_tissue(protocol, probes, region, vessels)
    if protocol.wiring is not None:
        for number, turn in enumerate(protocol.wiring.turns):
            yield from _turn_fits_probes(number, turn, probes, listed)
        yield from _turns_agree(protocol.wiring.turns)
    if isinstance(protocol, PulsedProtocol):
        yield from _baseline_is_one(protocol)
    if isinstance(protocol, RampProtocol):
        yield from _ramp_rolls_off(protocol)


def _microwave_is_driven_by_power(
    mode: str | None, protocol: Protocol | None, probe: ProbePlacement
) -> Iterator[Fault]:
    if mode is not None and mode not in POWER_MODES:
        allowed = "', '".join(POWER_MODES)
        yield (
            ("protocol", "mode"),
            f"got {mode!r}; must be one of '{allowed}' for the microwave probe {probe.model}",
        )
        return
    if protocol is not None and protocol.wiring is not None:
        yield (
            ("protocol", "wiring"),
            f"{probe.model} is a microwave probe and has no electrodes to connect: remove wiring",
        )
    if isinstance(protocol, StepsProtocol):
        for number, step in enumerate(protocol.steps):
            for key in STEP_KEYS[1:]:
                if getattr(step, key) is not None:
                    yield (
                        ("protocol", "steps", number, key),
                        f"got {getattr(step, key):g}; a microwave probe is driven by power_W",
                    )
    if isinstance(protocol, RampProtocol):
        for key in RF_RAMP_KEYS:
            if changed(protocol, key):
                yield (
                    ("protocol", key),
                    f"got {getattr(protocol, key):g}; a microwave probe has no impedance, so that"
                    " its power never rolls off: remove the key",
                )


def _ramp_rolls_off(protocol: RampProtocol) -> Iterator[Fault]:
    """A ramp of radiofrequency ends somewhere, and what ends it can come about."""
    if protocol.rolloff_power_W is not None and protocol.voltage_limit_V is None:
        yield (
            ("protocol", "rolloff_power_W"),
            f"got {protocol.rolloff_power_W:g} without voltage_limit_V; power only drops where the"
            " voltage is limited: give voltage_limit_V too",
        )
    if protocol.rolloff_power_W is None and protocol.rolloff_impedance_ohm is None:
        yield (
            ("protocol", "rolloff_impedance_ohm"),
            "got neither rolloff_impedance_ohm nor rolloff_power_W; the power of a ramp rises until"
            " it rolls off: give the impedance at which it does",
        )


def _sensors_are_there(protocol: TemperatureProtocol, probes: Probes) -> Iterator[Fault]:
    """Some probe has its own sensors, unless places are given."""
    if protocol.sensors_mm is not None or not probes:
        return
    if all(probe.data.sensors == "none" for probe in probes.values()):
        models = ", ".join(dict.fromkeys(probe.model for probe in probes.values()))
        yield (
            ("protocol", "mode"),
            f"got 'temperature'; {models} has no sensors: give protocol.sensors_mm, or take"
            " another mode",
        )


def _sensors_lie_in_tissue(
    protocol: TemperatureProtocol,
    probes: Probes,
    region: Region | None,
    vessels: Mapping[int, Vessel],
) -> Iterator[Fault]:
    """Given sensors are inside the region and outside shafts and vessels."""
    for number, place in enumerate(protocol.sensors_mm or ()):
        path = ("protocol", "sensors_mm", number)
        point = np.array([place])
        if region is not None and float(region.distance(point)[0]) > 0:
            yield (
                path,
                f"got {show(place)}; a sensor must lie inside the region ({region}): move it",
            )
            continue
        for index, probe in probes.items():
            shape = place_probe(
                probe.data,
                np.array(probe.tip_mm) * MM,
                np.array(probe.direction),
                math.radians(probe.roll_deg),
            )
            outside = float(shape.sdf(point * MM)[0]) / MM
            if outside < BESIDE_METAL_MM:
                yield (
                    path,
                    f"got {show(place)}; a sensor must lie in tissue, and this one is inside the"
                    f" metal of probes[{index}] or touches it: move it by"
                    f" {max(BESIDE_METAL_MM - outside, 0.1):.1f} mm or more",
                )
        for vessel in vessels.values():
            distance = _distance(point, np.array(vessel.path_mm))
            radius = vessel.outer_diameter_mm / 2
            if distance < radius:
                yield (
                    path,
                    f"got {show(place)}; a sensor must lie in tissue, and this one is inside the"
                    f" vessel {vessel.name!r}, {distance:.1f} mm from its centre line: move it by"
                    f" {radius - distance:.1f} mm or more",
                )


def _distance(point: np.ndarray, line: np.ndarray) -> float:
    """Shortest distance of a point (1, 3) from a polyline."""
    return polyline_distance(np.concatenate([point, point + [0.0, 0.0, 1e-6]]), line)


def _turn_fits_probes(number: int, turn: Turn, probes: Probes, listed: int) -> Iterator[Fault]:
    """The probes of a turn exist; only monopolar ones need others to return the current."""
    for key in ("driven", "returns"):
        for place, index in enumerate(getattr(turn, key)):
            if listed and index >= listed:
                yield (
                    ("protocol", "wiring", "turns", number, key, place),
                    f"got {index}; there is no such probe: probes are counted from 0 to"
                    f" {listed - 1}",
                )
    bipolar = [index for index, probe in probes.items() if probe.data.bipolar]
    if bipolar and turn.returns:
        yield (
            ("protocol", "wiring", "turns", number, "returns"),
            f"got {list(turn.returns)}; {probes[bipolar[0]].model} is bipolar and takes its current"
            " back itself: remove returns",
        )


def _turns_agree(turns: tuple[Turn, ...]) -> Iterator[Fault]:
    """Either the pad takes the current back in every turn, or electrodes do."""
    if len({bool(turn.returns) for turn in turns}) > 1:
        number = next(i for i, turn in enumerate(turns) if not turn.returns)
        yield (
            ("protocol", "wiring", "turns", number),
            "has no returns while other turns have; give returns in all turns, or in none",
        )


def _poles_are_of_one_kind(probes: Probes) -> Iterator[Fault]:
    """Bipolar probes, which need no pad, do not mix with monopolar ones."""
    bipolar = {index: probe.data.bipolar for index, probe in probes.items()}
    if len(set(bipolar.values())) > 1:
        listed = ", ".join(
            f"probes[{i}] is {'bi' if b else 'mono'}polar" for i, b in bipolar.items()
        )
        yield ("probes",), f"{listed}; all probes must be bipolar, or all monopolar"


def _baseline_is_one(protocol: PulsedProtocol) -> Iterator[Fault]:
    """A rise above the start needs one impedance at the start."""
    wiring = protocol.wiring
    if protocol.impedance_rise_ohm is not None and wiring is not None and len(wiring.turns) > 1:
        yield (
            ("protocol", "impedance_rise_ohm"),
            f"got {protocol.impedance_rise_ohm:g}; every turn starts at an impedance of its own:"
            " give impedance_limit_ohm instead",
        )
