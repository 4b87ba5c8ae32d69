"""One geometry of a scenario, prepared for many samples: mesh, plain problem, tumour."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ablasim.anatomy import Anatomy
from ablasim.assess.sampled_margin import MarginSampler
from ablasim.errors import UsageError
from ablasim.frames import MM
from ablasim.mesh import TetMesh, cached_mesh
from ablasim.physics.binding import build_problem
from ablasim.physics.problem import BioheatProblem
from ablasim.progress import ProgressCallback
from ablasim.run import place_in_mesh, step_control
from ablasim.scenario import Scenario, scenario_from_data
from ablasim.solve import StepControl

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """A geometry with everything that its samples share.

    Attributes:
        scenario: what is simulated.
        anatomy: its shapes.
        mesh: its tissue.
        problem: of a plain run.
        sampler: takes margins of its tumour.
        control: of the time steps.
    """

    scenario: Scenario
    anatomy: Anatomy
    mesh: TetMesh
    problem: BioheatProblem
    sampler: MarginSampler
    control: StepControl

    @property
    def tissues(self) -> dict[str, str]:
        """Name of the tissue in each region of the mesh."""
        return {region: self.anatomy.tissues[region] for region in self.mesh.regions}

    def without(self, vessel: str, progress: ProgressCallback | None = None) -> Case:
        """The same without one vessel, meshed anew: what was blood is tissue.

        Raises:
            UsageError: the mesh is the scenario's own, or there is no such vessel.
        """
        if self.scenario.mesh is not None:
            raise UsageError(
                "heat sink: a mesh of one's own cannot be meshed again without a vessel; give an"
                " anatomy or a label map, or use --no-heat-sink"
            )
        left = tuple(v for v in self.anatomy.vessels if v.name != vessel)
        if len(left) == len(self.anatomy.vessels):
            known = ", ".join(v.name for v in self.anatomy.vessels) or "none"
            raise UsageError(f"heat sink: got {vessel!r}; the meshed vessels are: {known}")
        anatomy = replace(self.anatomy, vessels=left)
        mesh = cached_mesh(anatomy, self.scenario.numerics.resolution, progress=progress)
        return bind(self.scenario, anatomy, mesh)

    def moved(self, shift: Floats, progress: ProgressCallback | None = None) -> Case:
        """The same with the probes displaced by (3,) [m], meshed anew.

        Raises:
            ScenarioError: the probes cannot lie there.
        """
        data = self.scenario.model_dump(mode="json", exclude_none=True)
        for probe in data["probes"]:
            for key in ("tip_mm", "entry_mm"):
                probe[key] = [float(x) for x in np.asarray(probe[key]) + shift / MM]
        scenario = scenario_from_data(data)
        # Only the probes change: a vessel that this case leaves out stays left out.
        from ablasim.anatomy import build_anatomy

        names = {vessel.name for vessel in self.anatomy.vessels}
        anatomy = build_anatomy(scenario)
        kept = tuple(vessel for vessel in anatomy.vessels if vessel.name in names)
        anatomy = replace(anatomy, vessels=kept, block=self.anatomy.block)
        mesh = cached_mesh(anatomy, scenario.numerics.resolution, progress=progress)
        return bind(scenario, anatomy, mesh)


def prepare(scenario: Scenario, progress: ProgressCallback | None = None) -> Case:
    """The case of a scenario.

    Raises:
        UsageError: it has no tumour, so that there is no margin.
    """
    anatomy, mesh = place_in_mesh(scenario, progress)
    return bind(scenario, anatomy, mesh)


def bind(scenario: Scenario, anatomy: Anatomy, mesh: TetMesh) -> Case:
    """A case of shapes that are meshed already."""
    if "tumour" not in mesh.regions or not mesh.region_cells("tumour").any():
        raise UsageError(
            "risk: the scenario has no tumour, so that there is no margin; give anatomy.tumour, a"
            " tumour label, or mesh.regions.tumour"
        )
    return Case(
        scenario,
        anatomy,
        mesh,
        build_problem(scenario, anatomy, mesh),
        MarginSampler(mesh, anatomy.probes),
        step_control(scenario),
    )
