"""From a scenario's probes and wiring to the electrodes of the potential problem."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ablasim.anatomy import Anatomy
from ablasim.errors import InputFileError
from ablasim.mesh import TetMesh
from ablasim.physics.electric import Circuit, far_field_conductance
from ablasim.physics.problem import Electrodes
from ablasim.scenario import Protocol, Scenario, Turn

Floats = NDArray[np.float64]
Pole = tuple[int, str]
"""A probe by its number, and one of its active parts."""


def build_electrodes(
    scenario: Scenario, anatomy: Anatomy, mesh: TetMesh, sigma: Floats
) -> Electrodes | None:
    """The potential problem of a scenario; None for microwaves.

    Active parts that are at one node in every turn are one conductor: as long as all electrodes
    are driven together, however many they are, there is a single potential to solve.

    Args:
        scenario: with the wiring.
        anatomy: with the probes.
        mesh: of the tissue.
        sigma: at the points, at the temperature of the start (n,) [S/m].

    Raises:
        InputFileError: the mesh lacks an active surface.
    """
    if anatomy.probes[0].data.modality != "rf":
        return None
    poles = tuple(
        (number, part)
        for number, probe in enumerate(anatomy.probes)
        for part in probe.data.active_parts
    )
    bipolar = any(probe.data.bipolar for probe in anatomy.probes)
    nodes = [_nodes(turn, poles, bipolar) for turn in turns_of(scenario.protocol, anatomy)]
    keys = [tuple(node[pole] for node, _ in nodes) for pole in poles]
    groups = tuple(dict.fromkeys(keys))
    active = np.zeros((len(groups), len(mesh.points)), dtype=bool)
    for pole, key in zip(poles, keys, strict=True):
        active[groups.index(key), _faces(mesh, pole)] = True
    circuits = tuple(
        Circuit(tuple(group[turn] for group in groups), current)
        for turn, (_, current) in enumerate(nodes)
    )
    outer = mesh.surface_faces("outer")
    grounded = np.zeros(len(mesh.points), dtype=bool)
    far_field = np.zeros(len(mesh.points))
    if scenario.boundary.potential == "ground":
        grounded[outer] = True
        grounded &= ~active.any(axis=0)
    else:
        far_field = far_field_conductance(
            mesh.points,
            outer,
            mesh.points[active.any(axis=0)].mean(axis=0),
            sigma[outer].mean(axis=1),
            order=2 if circuits[0].isolated else 1,
        )
    if len(groups) == 1:
        return Electrodes(active[0], grounded, far_field)
    return Electrodes(active, grounded, far_field, circuits)


def turns_of(protocol: Protocol, anatomy: Anatomy) -> tuple[Turn, ...]:
    """The turns of a protocol; without a wiring all probes are driven at once."""
    if protocol.wiring is not None:
        return tuple(protocol.wiring.turns)
    return (Turn(driven=tuple(range(len(anatomy.probes)))),)


def _nodes(
    turn: Turn, poles: tuple[Pole, ...], bipolar: bool
) -> tuple[dict[Pole, int], tuple[float, ...]]:
    """Node of each pole in one turn, and the current into each node for one ampere."""
    currents: list[float] = []
    node: dict[Pole, int] = {}
    shares = turn.current_shares
    driven = [pole for pole in poles if pole[0] in turn.driven and pole[1] == "active"]
    returning = [pole for pole in poles if pole[0] in turn.returns]
    if bipolar:  # each driven probe carries the other pole itself
        returning = [pole for pole in poles if pole[0] in turn.driven and pole[1] != "active"]
    for pole in driven:
        if shares is not None or not currents:
            currents.append(1.0 if shares is None else shares[turn.driven.index(pole[0])])
        node[pole] = len(currents) - 1
    if returning:
        currents.append(-1.0)
        node |= dict.fromkeys(returning, len(currents) - 1)
    for pole in poles:
        if pole not in node:
            currents.append(0.0)  # floats
            node[pole] = len(currents) - 1
    return node, tuple(currents)


def _faces(mesh: TetMesh, pole: Pole) -> NDArray[np.int32]:
    name = f"probe.{pole[0]}.{pole[1]}"
    faces = mesh.surface_faces(name)
    if not len(faces):
        raise InputFileError(
            f"mesh: got no surface '{name}'; a radiofrequency probe needs its active surface in "
            "the mesh. Name it under mesh.surfaces, or move the tip inside."
        )
    return faces
