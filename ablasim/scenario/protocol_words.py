"""A protocol in words, from the plain data of a scenario (as in summary.json)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ablasim.scenario.protocol import IMPEDANCE_LIMIT_OHM

Data = Mapping[str, Any]


def drive_words(protocol: Data) -> str:
    """What the generator holds, without the duration, e.g. "30 W constant power"."""
    describe = MODES.get(str(protocol.get("mode")))
    words = str(protocol.get("mode", "")) if describe is None else describe(protocol)
    wiring = protocol.get("wiring") or {}
    turns = wiring.get("turns") or []
    if len(turns) > 1:
        words += f", {len(turns)} connections in turn for {wiring['dwell_s']:g} s each"
    elif turns:
        words += f", {turn_words(turns[0])}"
    return words


def duration_s(protocol: Data) -> float | None:
    """Length of a protocol [s]; None where it says nothing of it."""
    if protocol.get("duration_s") is not None:
        return float(protocol["duration_s"])
    steps = protocol.get("steps") or []
    return sum(float(step["duration_s"]) for step in steps) if steps else None


def step_words(step: Data) -> str:
    """What one timed step holds and for how long, e.g. "30 W for 60 s"."""
    for key, unit in (("power_W", "W"), ("voltage_V", "V"), ("current_A", "A")):
        if step.get(key):
            return f"{step[key]:g} {unit} for {step['duration_s']:g} s"
    return f"off for {step['duration_s']:g} s"


def turn_words(turn: Data) -> str:
    """Which probes one connection feeds, e.g. "probe 0 against probe 1"."""
    driven = "+".join(map(str, turn.get("driven") or ()))
    returns = "+".join(map(str, turn.get("returns") or ()))
    shares = turn.get("current_shares")
    words = f"probe {driven} against {f'probe {returns}' if returns else 'its return'}"
    return words if not shares else f"{words}, current {'/'.join(f'{s:g}' for s in shares)}"


def _pulsed(p: Data) -> str:
    drive = f"{p['voltage_V']:g} V" if p.get("voltage_V") is not None else f"{p['current_A']:g} A"
    if p.get("impedance_rise_ohm") is not None:
        limit = f"{p['impedance_rise_ohm']:g} ohm above the start"
    else:
        limit = f"{p.get('impedance_limit_ohm') or IMPEDANCE_LIMIT_OHM:g} ohm"
    return f"{drive} pulses up to {limit}, {p['pause_s']:g} s pause"


def _temperature(p: Data) -> str:
    which = "hottest sensor" if p["judged_by"] == "max" else "mean of the sensors"
    return f"{which} at {p['target_C']:g} °C by up to {p['power_limit_W']:g} W"


def _ramp(p: Data) -> str:
    return f"{p['start_W']:g} W rising by {p['ramp_W_per_min']:g} W/min"


def _steps(p: Data) -> str:
    count = len(p["steps"])
    return f"{count} timed step{'s' if count > 1 else ''}"


MODES: Mapping[str, Callable[[Data], str]] = {
    "power": lambda p: f"{p['power_W']:g} W constant power",
    "voltage": lambda p: f"{p['voltage_V']:g} V constant voltage",
    "current": lambda p: f"{p['current_A']:g} A constant current",
    "impedance_pulsed": _pulsed,
    "temperature": _temperature,
    "ramp": _ramp,
    "steps": _steps,
}
