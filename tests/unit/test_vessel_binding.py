"""What a scenario says of a vessel, in the wall that the solver gets."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablasim.anatomy import Anatomy, VesselShape, block_solid, build_anatomy, place_probes
from ablasim.centreline import Branch
from ablasim.errors import ScenarioError
from ablasim.mesh import TetMesh
from ablasim.physics.binding_vessels import vessel_flows, vessel_walls, vessel_warnings
from ablasim.physics.problem import Wall
from ablasim.physics.vessels import through_wall
from ablasim.scenario import Scenario, load_scenario
from ablasim.shapes import Sphere
from ablasim.verify.patches import box, cylinder_patch

MM = 1e-3
SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "rf_beside_portal_vein.yaml"


def case(**vessel: Any) -> tuple[Scenario, Anatomy]:
    """The vessel of the shipped scenario with changes, for example `diameter_mm=4`."""
    changes = {f"anatomy.vessels.0.{key}": value for key, value in vessel.items()}
    scenario = load_scenario(SCENARIO, changes)
    return scenario, build_anatomy(scenario)


def mesh_of(radius: float = 3.0 * MM) -> TetMesh:
    """Tissue around the vessel at x = 16 mm, from z = -30 to 30 mm."""
    lines = (
        np.array([radius, radius + 2.0 * MM]),
        np.linspace(0.0, 2.0, 9),
        np.linspace(-30.0 * MM, 30.0 * MM, 61),
    )
    names = ("vessel.portal_branch", "outer", "low", "high", "bottom", "top")
    return box(lines, lambda x: cylinder_patch(x) + np.array([16.0 * MM, 0.0, 0.0]), names)


def wall_of(scenario: Scenario, anatomy: Anatomy) -> Wall:
    (wall,) = vessel_walls(scenario, anatomy, mesh_of())
    return wall


def test_stations_follow_the_flow() -> None:
    """Along +z, then along -z: the first station lies where the blood comes from."""
    for path, sign in (([[16, 0, -60], [16, 0, 60]], 1.0), ([[16, 0, 60], [16, 0, -60]], -1.0)):
        wall = wall_of(*case(path_mm=path))
        assert wall.stream is not None
        place = (wall.stream.station * wall.stream.weight).sum(axis=1)
        z = mesh_of().points[wall.points, 2]
        assert np.corrcoef(place, sign * z)[0, 1] > 0.999
        assert wall.stream.weight.sum(axis=1) == pytest.approx(1.0)
        assert (wall.stream.weight >= 0.0).all()
        stations = len(wall.stream.tree.branch)
        assert stations == 40  # of 1.5 mm each
        (rate,) = wall.stream.tree.capacity
        assert rate == pytest.approx(1000.0 * 3639.0 * 0.12 * np.pi * (3.0 * MM) ** 2)


def test_coefficients_that_a_scenario_chooses() -> None:
    """A law, a heated length, a number of one's own, a wall of glass."""

    def h(**vessel: Any) -> float:
        return float(wall_of(*case(**vessel)).coefficient)

    default = h()
    assert h(correlation="developed") == pytest.approx(3.66 * 0.543 / (6.0 * MM))
    assert h(correlation="graetz") < default
    assert h(heated_length_mm=10.0) > 1.5 * default
    assert h(h_W_m2K=777.0) == 777.0
    glass = {"wall_thickness_mm": 0.5, "wall_conductivity_W_mK": 1.1}
    scenario, anatomy = case(h_W_m2K=777.0, **glass)
    assert float(vessel_flows(scenario, anatomy.vessels[0])[0].coefficient) == pytest.approx(
        through_wall(777.0, 6.0 * MM, 0.5 * MM, 1.1)
    )
    # the hole in the tissue is as wide as the glass
    at_glass = np.array([[16.0 * MM + 3.5 * MM, 0.0, 0.0]])
    assert anatomy.vessels[0].sdf(at_glass)[0] == pytest.approx(0.0, abs=1e-12)


def test_ranges_are_refused_or_warned_of() -> None:
    """Turbulent flow is refused with the range; a law out of its range is named in a warning."""
    with pytest.raises(ScenarioError, match=r"velocity_cm_s: .* 5143; .* 2300, .* up to 134\.1 "):
        case(velocity_cm_s=300)
    assert case(velocity_cm_s=134.1)
    assert case(velocity_cm_s=300, diameter_mm=2.9)[1].vessels == ()  # counts as perfusion
    assert vessel_warnings(*case(velocity_cm_s=300, h_W_m2K=3000.0)) == ()
    assert vessel_warnings(*case()) == ()
    (warning,) = vessel_warnings(*case(correlation="developed"))
    assert warning.startswith("Vessel portal_branch:") and "up to 5" in warning


def test_a_measured_branch_is_kept_laminar() -> None:
    """A vena cava of 28 mm is a measurement: it costs a warning with its numbers, not the run."""
    base = load_scenario(SCENARIO).model_dump(mode="json", exclude_none=True) | {"anatomy": None}
    labels = {"liver": 1, "tumour": 2, "vena_cava": 3}
    line = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.1]])
    wide, narrow = Branch(line, 28.0 * MM, 0.30), Branch(line, 20.0 * MM, 0.20)
    vessel = VesselShape("vena_cava", "vena_cava", 28.0 * MM, 0.30, Sphere((0, 0, 0), 1.0),
                         (wide, narrow))  # fmt: skip

    def found(**vessels: Any) -> tuple[Scenario, Anatomy]:
        section = {"file": "x.nii", "labels": labels, "vessels": vessels}
        scenario = Scenario.model_validate(base | {"labelmap": section})
        anatomy = Anatomy(block_solid("sphere", np.zeros(3), (1.0, 1.0, 1.0)), None, None,
                          (vessel,), place_probes(scenario))  # fmt: skip
        return scenario, anatomy

    case = found()
    first, second = vessel_flows(case[0], vessel)
    assert 2290 < first.flow.reynolds < 2300 and first.coefficient > 0
    assert first.branch.velocity == first.flow.velocity == pytest.approx(0.2872, abs=1e-4)
    assert second.branch is narrow
    (warning,) = vessel_warnings(*case)
    assert "28.0 mm was lowered from 30.0 to 28.7 cm/s" in warning and "2400" in warning
    own = found(vena_cava={"h_W_m2K": 900.0})
    assert vessel_flows(own[0], vessel)[0].branch is wide and vessel_warnings(*own) == ()


def test_thin_vessels_are_meshed_on_demand_and_may_clot() -> None:
    """Below 3 mm a vessel counts as perfusion; meshed by the user's wish it may lose its flow."""
    assert case(diameter_mm=2.5)[1].vessels == ()
    base = {"anatomy.vessels.0.diameter_mm": 2.5, "anatomy.mesh_vessels_from_mm": 2.0}
    for stasis, expected in (("small_vessels", True), ("none", False)):
        scenario = load_scenario(SCENARIO, base | {"physics.vessel_stasis": stasis})
        anatomy = build_anatomy(scenario)
        assert len(anatomy.vessels) == 1
        stream = wall_of(scenario, anatomy).stream
        assert stream is not None and stream.coagulates == (expected,)
    stream = wall_of(*case()).stream
    assert stream is not None and stream.coagulates == (False,)  # 6 mm stays open


def test_blood_of_one_temperature() -> None:
    scenario = load_scenario(SCENARIO, {"physics.blood_warming": False})
    assert wall_of(scenario, build_anatomy(scenario)).stream is None
