"""Probes in a mesh of one's own: whether the mesh has tissue where they heat."""

from __future__ import annotations

import numpy as np

from ablasim.anatomy import ProbeShape
from ablasim.errors import Problem, ScenarioError
from ablasim.frames import MM
from ablasim.mesh import TetMesh
from ablasim.physics.antenna_coupling import INSIDE, Floats, Frame, locate

BESIDE = (1.0 * MM, 4.0 * MM)
"""Distances [m] from a probe's wall at which tissue is looked for. One of them is enough: a mesh
may have a hole for the probe that is wider than the catalogue's probe."""

HEIGHTS = 5
"""Places along the active part, from the tip to its end, that must each have tissue around."""


def refuse_probes_outside(mesh: TetMesh, probes: tuple[ProbeShape, ...]) -> None:
    """Refuse probes whose tip or active part has no tissue around it.

    Raises:
        ScenarioError: at the tip of each such probe.
    """
    low, high = mesh.points.min(axis=0) / MM, mesh.points.max(axis=0) / MM
    ranges = ", ".join(
        f"{axis} {a:.4g} to {b:.4g}" for axis, a, b in zip("xyz", low, high, strict=True)
    )
    problems = []
    for number, probe in enumerate(probes):
        if not _lies_in_tissue(mesh, probe):
            got = ", ".join(f"{value:g}" for value in np.round(np.asarray(probe.tip) / MM, 3))
            problems.append(
                Problem(
                    f"probes[{number}].tip_mm",
                    None,
                    f"got [{got}]; tip and active part must lie inside the mesh, which reaches"
                    f" from {ranges} mm, and there is no tissue beside them: move the tip, or"
                    " check mesh.unit",
                )
            )
    if problems:
        raise ScenarioError(problems)


def _lies_in_tissue(mesh: TetMesh, probe: ProbeShape) -> bool:
    end = max(end for _, end in probe.data.active_parts.values())
    frame = Frame.of(probe.tip, probe.direction)
    along, beside = np.meshgrid(np.linspace(0.0, end, HEIGHTS), BESIDE, indexing="ij")
    circles: Floats = frame.circles(probe.data.radius + beside.ravel(), along.ravel())
    _, weights = locate(mesh, circles.reshape(-1, 3))
    found = weights.min(axis=1).reshape(HEIGHTS, -1) >= INSIDE
    return bool(found.any(axis=1).all())
