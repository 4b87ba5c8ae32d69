"""A scenario that brings its own mesh: the mesh from its file, and what it cannot hold.

The file has the walls; the catalogue and the scenario have the probes, the flow in the vessels and
the tissues. Shapes are known through the mesh only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablasim.anatomy import Anatomy, VesselShape, block_solid, place_probes, straight_branch
from ablasim.errors import UsageError
from ablasim.frames import CM_PER_S, MM
from ablasim.mesh import TetMesh, read_mesh
from ablasim.scenario import Scenario
from ablasim.scenario.anatomy import OwnMesh
from ablasim.shapes import FloatArray


@dataclass(frozen=True)
class KnownByMesh:
    """A shape of which only the mesh's surface is known: no distance (NaN) anywhere."""

    def __call__(self, x: FloatArray) -> FloatArray:
        """NaN for each point (n,)."""
        return np.full(len(x), np.nan)


def read_own_mesh(scenario: Scenario) -> TetMesh:
    """The mesh that a scenario names.

    Raises:
        InputFileError: see `read_mesh`.
    """
    own = _section(scenario)
    groups = own.regions.model_dump(exclude_none=True)
    return read_mesh(own.file, unit=own.unit, regions=groups, surfaces=own.surfaces)


def own_anatomy(scenario: Scenario) -> Anatomy:
    """Probes, vessels and tissues of a scenario with its own mesh."""
    own = _section(scenario)
    probes = place_probes(scenario)
    vessels = tuple(
        VesselShape(
            name,
            wall.kind,
            wall.diameter_mm * MM,
            wall.velocity_cm_s * CM_PER_S,
            KnownByMesh(),
            ()
            if wall.path_mm is None
            else straight_branch(wall.path_mm, wall.diameter_mm, wall.velocity_cm_s),
        )
        for name, wall in own.vessels.items()
    )
    tissues = own.tissues.model_dump()
    everywhere = block_solid("sphere", probes[0].active_centre, (2.0, 2.0, 2.0))
    return Anatomy(everywhere, None, None, vessels, probes, tissues)


def _section(scenario: Scenario) -> OwnMesh:
    if scenario.mesh is None:
        raise UsageError("mesh: the scenario brings no mesh of its own; use build_anatomy()")
    return scenario.mesh
