"""RunRecord: everything a finished run has to tell, gathered for the writers of its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ablasim.assess.margin import TumourMargin, VesselFacts
from ablasim.assess.rim import ProbeAxis
from ablasim.assess.zone import LethalZone
from ablasim.catalogue import ProbeData, TissueData
from ablasim.mesh_tet import TetMesh
from ablasim.physics.binding_vessels import BranchFlow
from ablasim.physics.problem import Wall
from ablasim.report.raster import Grid
from ablasim.scenario import Scenario
from ablasim.solve.solution import Solution


class Probe(ProbeAxis, Protocol):
    """A placed probe with its catalogue data."""

    @property
    def data(self) -> ProbeData:
        """What the catalogue knows of it."""


class VesselFlow(VesselFacts, Protocol):
    """A vessel with the mean velocity of its blood."""

    @property
    def velocity(self) -> float | None:
        """[m/s]."""


@dataclass(frozen=True, eq=False)
class RunRecord:
    """The parts of a finished run.

    Attributes:
        scenario: as resolved.
        mesh: the tissue.
        solution: final state and histories.
        zones: filled zone by criterion, for example "peak_60C".
        minimal_margins: smallest margin by criterion [m], None where it has no zone; empty without
            a tumour.
        margin: of the scenario's criterion; None without a tumour.
        tissues: what fills each region of the mesh.
        probes: in the scenario's order.
        vessels: facts of the vessels whose walls the mesh has.
        walls: cooled surfaces with their heat transfer coefficients.
        flows: what is assumed of the blood in each vessel, branch by branch.
        grid: of the volumes; None for 1 mm around the mesh.
        engine: name of the engine.
        device: what it ran on.
        dtype: floating-point type it used.
        timing: wall time by step [s]: mesh, compile, solve, assess, output, total.
        warnings: of the earlier steps.
        inputs: hash of the scenario and its files, from before they were read; "" where nobody took
            it.
    """

    scenario: Scenario
    mesh: TetMesh
    solution: Solution
    zones: Mapping[str, LethalZone]
    margin: TumourMargin | None
    tissues: Mapping[str, TissueData]
    probes: Sequence[Probe] = ()
    vessels: Sequence[VesselFlow] = ()
    walls: Sequence[Wall] = ()
    flows: Mapping[str, Sequence[BranchFlow]] = field(default_factory=dict)
    grid: Grid | None = None
    engine: str = "jax"
    device: str = "cpu"
    dtype: str = "float64"
    timing: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    inputs: str = ""
    minimal_margins: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def zone(self) -> LethalZone:
        """The zone of the scenario's own criterion."""
        return self.zones[self.scenario.assessment.criterion]
