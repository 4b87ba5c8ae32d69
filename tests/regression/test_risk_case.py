"""Geometries of a study that are meshed anew: without a vessel, and with displaced probes."""

from pathlib import Path

import numpy as np
import pytest

from ablasim.errors import ScenarioError, UsageError
from ablasim.scenario import load_scenario
from ablasim.study.case import Case, prepare

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "rf_beside_portal_vein.yaml"


@pytest.fixture(scope="module")
def case() -> Case:
    return prepare(load_scenario(SCENARIO, {"numerics.resolution": "preview"}))


@pytest.mark.slow
def test_without_a_vessel_its_lumen_is_tissue(case: Case) -> None:
    other = case.without("portal_branch")
    assert [wall.name for wall in case.problem.walls if wall.kind == "vessel"]
    assert not [wall.name for wall in other.problem.walls if wall.kind == "vessel"]
    lumen = np.pi * 0.003**2 * 0.07
    gained = other.mesh.cell_volumes().sum() - case.mesh.cell_volumes().sum()
    assert gained == pytest.approx(lumen, rel=0.25), (
        "the length of vessel in the block is about 7 cm"
    )
    volumes = [c.mesh.cell_volumes()[c.mesh.region_cells("tumour")].sum() for c in (case, other)]
    assert volumes[1] == pytest.approx(volumes[0], rel=0.01)
    with pytest.raises(UsageError, match="the meshed vessels are: portal_branch"):
        case.without("porta")


@pytest.mark.slow
def test_displaced_probes_leave_the_anatomy_where_it_is(case: Case) -> None:
    shift = np.array([-2e-3, 1e-3, 0.0])
    moved = case.moved(shift)
    np.testing.assert_allclose(
        moved.anatomy.active_centre - case.anatomy.active_centre, shift, atol=1e-12
    )
    for name in ("vessel.portal_branch", "outer"):
        ends = [
            np.concatenate([p.min(axis=0), p.max(axis=0)])
            for c in (case, moved)
            for p in (c.mesh.points[c.mesh.surface_faces(name)].reshape(-1, 3),)
        ]
        np.testing.assert_allclose(ends[0], ends[1], atol=0.5e-3)
    middle = []
    for c in (case, moved):
        tumour = c.mesh.region_cells("tumour")
        centres = c.mesh.points[c.mesh.cells[tumour]].mean(axis=1)
        middle.append(np.average(centres, axis=0, weights=c.mesh.cell_volumes()[tumour]))
    # The hole that the probe leaves in it is 0.6 % of its volume.
    np.testing.assert_allclose(middle[0], middle[1], atol=0.1e-3)


def test_a_probe_that_cannot_lie_there_is_refused(case: Case) -> None:
    with pytest.raises(ScenarioError):
        case.moved(np.array([16e-3, 0.0, 0.0]))  # into the vein
