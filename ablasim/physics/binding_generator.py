"""From a scenario's protocol to a generator, and its sensors to weights over the mesh."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ablasim.anatomy import Anatomy
from ablasim.errors import Problem, ScenarioError
from ablasim.frames import MM
from ablasim.mesh import TetMesh
from ablasim.physics.generator import ConstantGenerator, Generator, held
from ablasim.physics.generator_pulsed import PulsedGenerator
from ablasim.physics.generator_ramp import RampGenerator
from ablasim.physics.generator_steps import StepsGenerator, SwitchedGenerator
from ablasim.physics.generator_temperature import TemperatureGenerator
from ablasim.scenario import (
    CurrentProtocol,
    PowerProtocol,
    Protocol,
    PulsedProtocol,
    RampProtocol,
    Scenario,
    TemperatureProtocol,
    VoltageProtocol,
)
from ablasim.scenario.protocol import IMPEDANCE_LIMIT_OHM

Floats = NDArray[np.float64]

SENSOR_RADIUS = 1.0 * MM
"""A probe's own sensor takes the mean of the tissue within this distance. The metal around it
averages, and the temperature right at the end of a tine would measure the mesh."""

INSIDE = -1e-6
"""Least barycentric coordinate of a point that counts as inside a tetrahedron."""


def build_generator(protocol: Protocol) -> Generator:
    """The generator of a protocol.

    Args:
        protocol: of the scenario.
    """
    generator = _generator(protocol)
    wiring = protocol.wiring
    if wiring is None or wiring.dwell_s is None or len(wiring.turns) == 1:
        return generator
    return SwitchedGenerator(generator, len(wiring.turns), wiring.dwell_s)


def _generator(protocol: Protocol) -> Generator:
    if isinstance(protocol, PowerProtocol):
        return ConstantGenerator("power", protocol.power_W, protocol.duration_s)
    if isinstance(protocol, VoltageProtocol):
        return ConstantGenerator("voltage", protocol.voltage_V, protocol.duration_s)
    if isinstance(protocol, CurrentProtocol):
        return ConstantGenerator("current", protocol.current_A, protocol.duration_s)
    if isinstance(protocol, PulsedProtocol):
        return _pulsed(protocol)
    if isinstance(protocol, TemperatureProtocol):
        return TemperatureGenerator(
            duration=protocol.duration_s,
            target=protocol.target_C,
            power=protocol.power_limit_W,
            voltage=_or_none(protocol.voltage_limit_V),
            gain=protocol.gain_W_per_K,
            integral_gain=protocol.integral_gain_W_per_K_s,
            interval=protocol.sample_s,
            judged_by=protocol.judged_by,
            resistance=protocol.body_resistance_ohm,
        )
    if isinstance(protocol, RampProtocol):
        return RampGenerator(
            duration=protocol.duration_s,
            first=protocol.start_W,
            rise=protocol.ramp_W_per_min * protocol.raise_every_s / 60.0,
            interval=protocol.raise_every_s,
            power=protocol.power_limit_W,
            voltage=_or_none(protocol.voltage_limit_V),
            impedance=_or_none(protocol.rolloff_impedance_ohm),
            least_power=protocol.rolloff_power_W or 0.0,
            pause=protocol.pause_s,
            restart=protocol.restart_fraction,
            resistance=protocol.body_resistance_ohm,
            most_rolloffs=protocol.max_rolloffs,
        )
    ends = np.cumsum([step.duration_s for step in protocol.steps])
    return StepsGenerator(
        tuple(held(*step.held) for step in protocol.steps),
        tuple(float(end) for end in ends),
    )


def _pulsed(protocol: PulsedProtocol) -> PulsedGenerator:
    limit = protocol.impedance_limit_ohm
    if limit is None and protocol.impedance_rise_ohm is None:
        limit = IMPEDANCE_LIMIT_OHM
    return PulsedGenerator(
        duration=protocol.duration_s,
        voltage=_or_none(protocol.voltage_V),
        current=_or_none(protocol.current_A),
        power=protocol.power_limit_W,
        impedance=_or_none(limit),
        rise=_or_none(protocol.impedance_rise_ohm),
        pause=protocol.pause_s,
        resistance=protocol.body_resistance_ohm,
        most_rolloffs=protocol.max_rolloffs,
    )


def _or_none(limit: float | None) -> float:
    return math.inf if limit is None else limit


def sensor_weights(scenario: Scenario, anatomy: Anatomy, mesh: TetMesh) -> Floats | None:
    """Weights with which the mesh points make up each sensor's temperature (s, n).

    Sensors of the probes average over SENSOR_RADIUS; given points are interpolated.

    Returns:
        None where the protocol reads no sensors.

    Raises:
        ScenarioError: a given point lies outside the tissue.
    """
    protocol = scenario.protocol
    if not isinstance(protocol, TemperatureProtocol):
        return None
    if protocol.sensors_mm is None:
        places = np.concatenate([probe.sensor_points for probe in anatomy.probes])
        return np.stack([_mean_around(mesh, place) for place in places])
    return np.stack(
        [
            _interpolated(mesh, np.asarray(place) * MM, index)
            for index, place in enumerate(protocol.sensors_mm)
        ]
    )


def _mean_around(mesh: TetMesh, place: Floats) -> Floats:
    """Volume-weighted mean of the points within SENSOR_RADIUS, or the nearest point alone."""
    count = len(mesh.points)
    volume = np.repeat(mesh.cell_volumes() / 4.0, 4)
    share = np.bincount(mesh.cells.ravel(), volume, minlength=count)
    distance = np.linalg.norm(mesh.points - place, axis=1)
    weights = np.where(distance < SENSOR_RADIUS, share, 0.0)
    if not weights.any():
        weights[np.argmin(distance)] = 1.0
    mean: Floats = weights / weights.sum()
    return mean


NEAREST_CELLS = 64
"""Cells next to a place, by their middles, among which the one around it is looked for first."""


def _interpolated(mesh: TetMesh, place: Floats, index: int) -> Floats:
    """Barycentric weights in the tetrahedron around a place (n,)."""
    near = cKDTree(mesh.points[mesh.cells].mean(axis=1)).query(
        place, min(NEAREST_CELLS, len(mesh.cells))
    )[1]
    for cells in (np.atleast_1d(near), np.arange(len(mesh.cells))):
        corner = mesh.points[mesh.cells[cells]]
        edges = np.swapaxes(corner[:, 1:] - corner[:, :1], 1, 2)
        last = np.linalg.solve(edges, (place - corner[:, 0])[..., None])[..., 0]
        weights = np.column_stack([1.0 - last.sum(axis=1), last])
        best = int(np.argmax(weights.min(axis=1)))
        if weights[best].min() >= INSIDE:
            found = np.zeros(len(mesh.points))
            found[mesh.cells[cells[best]]] = weights[best]
            return found
    low, high = mesh.points.min(axis=0) / MM, mesh.points.max(axis=0) / MM
    ranges = ", ".join(
        f"{axis} {a:.0f} to {b:.0f}" for axis, a, b in zip("xyz", low, high, strict=True)
    )
    got = ", ".join(f"{value:g}" for value in place / MM)
    raise ScenarioError(
        [
            Problem(
                f"protocol.sensors_mm[{index}]",
                None,
                f"got [{got}]; a sensor must lie in tissue, inside the simulated block "
                f"({ranges} mm) and outside probes and vessels: move it",
            )
        ]
    )
