"""The protocol's modes: what they are read as, said in words, and refused for."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from simple_meshes import box_mesh

from ablasim import catalogue
from ablasim.anatomy import build_anatomy
from ablasim.anatomy_probes import place_probe
from ablasim.errors import ScenarioError
from ablasim.frames import MM
from ablasim.physics.binding_electrodes import build_electrodes
from ablasim.physics.binding_generator import build_generator, sensor_weights
from ablasim.physics.electric import Circuit
from ablasim.physics.generator import ConstantGenerator, Drive, Generator
from ablasim.physics.generator_pulsed import PulsedGenerator
from ablasim.physics.generator_ramp import RampGenerator
from ablasim.physics.generator_steps import StepsGenerator, SwitchedGenerator
from ablasim.physics.generator_temperature import TemperatureGenerator
from ablasim.scenario import Scenario, scenario_from_data
from ablasim.scenario.protocol_words import drive_words, duration_s

NEEDLE = {"model": "cooled_needle_17g_30mm", "tip_mm": [0, 0, -15], "entry_mm": [0, 0, 90]}
BESIDE = {"model": "cooled_needle_17g_30mm", "tip_mm": [20, 0, -15], "entry_mm": [20, 0, 90]}
THIRD = {"model": "cooled_needle_17g_30mm", "tip_mm": [0, 20, -15], "entry_mm": [0, 20, 90]}
BIPOLAR = {"model": "bipolar_needle_15g_20mm", "tip_mm": [0, 0, -20], "entry_mm": [0, 0, 90]}
TINES = {"model": "four_tine_electrode", "tip_mm": [0, 0, 0], "entry_mm": [0, 0, 90]}
ANTENNA = {"model": "slot_antenna_2450", "tip_mm": [0, 0, -6.5], "entry_mm": [0, 0, 90]}
VEIN = {"name": "vein", "kind": "portal_vein", "path_mm": [[14, 0, -60], [14, 0, 60]],
        "diameter_mm": 6}  # fmt: skip

PULSED = {"mode": "impedance_pulsed", "current_A": 1.2, "duration_s": 720}
CONTROL = {"mode": "temperature", "target_C": 100, "duration_s": 600}
RAMP = {"mode": "ramp", "start_W": 40, "duration_s": 600}
POWER = {"mode": "power", "power_W": 30, "duration_s": 60}


def scenario(protocol: dict[str, Any], *probes: dict[str, Any], **anatomy: Any) -> Scenario:
    data = {"name": "case", "anatomy": anatomy, "protocol": protocol}
    return scenario_from_data(data | {"probes": list(probes or (NEEDLE,))})


def fault(protocol: dict[str, Any], *probes: dict[str, Any], **anatomy: Any) -> tuple[str, str]:
    with pytest.raises(ScenarioError) as caught:
        scenario(protocol, *probes, **anatomy)
    assert len(caught.value.problems) == 1, caught.value.problems
    assert caught.value.exit_code == 2
    (problem,) = caught.value.problems
    return problem.path, problem.message


MODES: list[tuple[dict[str, Any], dict[str, Any], Generator, str]] = [
    (POWER, NEEDLE, ConstantGenerator("power", 30, 60), "30 W constant power"),
    (POWER, ANTENNA, ConstantGenerator("power", 30, 60), "30 W constant power"),
    (
        PULSED,
        NEEDLE,
        PulsedGenerator(720, current=1.2, power=200, impedance=120),
        "1.2 A pulses up to 120 ohm, 15 s pause",
    ),
    (
        {"mode": "impedance_pulsed", "voltage_V": 50, "impedance_rise_ohm": 30, "pause_s": 10,
         "power_limit_W": 150, "max_rolloffs": 3, "body_resistance_ohm": 20, "duration_s": 60},
        NEEDLE,
        PulsedGenerator(60, voltage=50, power=150, rise=30, pause=10, resistance=20,
                        most_rolloffs=3),
        "50 V pulses up to 30 ohm above the start, 10 s pause",
    ),
    (
        CONTROL | {"judged_by": "mean", "voltage_limit_V": 60, "power_limit_W": 80},
        TINES,
        TemperatureGenerator(600, target=100, power=80, voltage=60, judged_by="mean"),
        "mean of the sensors at 100 °C by up to 80 W",
    ),
    (
        RAMP | {"rolloff_impedance_ohm": 300, "ramp_W_per_min": 20, "raise_every_s": 30},
        NEEDLE,
        RampGenerator(600, first=40, rise=10, interval=30, power=200, impedance=300),
        "40 W rising by 20 W/min",
    ),
    (
        {"mode": "steps", "steps": [{"power_W": 30, "duration_s": 60}, {"duration_s": 10},
                                    {"voltage_V": 20, "duration_s": 30.5}]},
        NEEDLE,
        StepsGenerator((Drive(power=30), Drive(power=0), Drive(voltage=20)), (60, 70, 100.5)),
        "3 timed steps",
    ),
    (
        {"mode": "steps", "steps": [{"power_W": 100, "duration_s": 60}]},
        ANTENNA,
        StepsGenerator((Drive(power=100.0),), (60,)),
        "1 timed step",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("protocol", "probe", "expected", "words"), MODES)
def test_a_mode_becomes_its_generator(
    protocol: dict[str, Any], probe: dict[str, Any], expected: Generator, words: str
) -> None:
    """Catches a key that is read into the wrong number, and a default that changes unseen."""
    case = scenario(protocol, probe)
    found = build_generator(case.protocol)
    assert type(found) is type(expected)
    if isinstance(found, StepsGenerator) and isinstance(expected, StepsGenerator):
        assert found.ends == pytest.approx(expected.ends)
        assert [d.limits() for d in found.drives] == [
            pytest.approx(d.limits()) for d in expected.drives
        ]
    else:
        assert found == expected
    plain = case.model_dump(mode="json", exclude_none=True)["protocol"]
    assert drive_words(plain) == words
    assert duration_s(plain) == pytest.approx(found.duration)
    again = scenario_from_data({**case.model_dump(mode="json", exclude_none=True)})
    assert again == case


FAULTS: list[tuple[dict[str, Any], tuple[dict[str, Any], ...], str, str]] = [
    (PULSED | {"voltage_V": 50}, (NEEDLE,), "protocol", "exactly one of voltage_V and current_A"),
    ({"mode": "impedance_pulsed", "duration_s": 9}, (NEEDLE,), "protocol", "got neither"),
    (PULSED | {"impedance_limit_ohm": 90, "impedance_rise_ohm": 9}, (NEEDLE,), "protocol",
     "only one of them"),
    (PULSED, (ANTENNA,), "protocol.mode", r"'impedance_pulsed'.*'power', 'ramp', 'steps'.*antenna"),
    (CONTROL, (ANTENNA,), "protocol.mode", "microwave probe"),
    *((RAMP | {key: value}, (ANTENNA,), f"protocol.{key}", f"got {value:g}; .*no impedance.*remove")
      for key, value in (("rolloff_impedance_ohm", 90), ("voltage_limit_V", 60.5),
                         ("rolloff_power_W", 10), ("body_resistance_ohm", 20), ("pause_s", 10),
                         ("max_rolloffs", 2))),
    (RAMP, (NEEDLE,), "protocol.rolloff_impedance_ohm", "got neither .* nor rolloff_power_W"),
    (RAMP | {"rolloff_impedance_ohm": 90, "power_limit_W": 30}, (NEEDLE,), "protocol",
     "got start_W 40 and power_limit_W 30"),
    ({"mode": "steps", "steps": [{"duration_s": 9}, {"voltage_V": 0, "duration_s": 9}]}, (NEEDLE,),
     "protocol", "all off"),
    ({"mode": "steps", "steps": [{"power_W": 0, "duration_s": 9}]}, (ANTENNA,), "protocol",
     "all off"),
    (POWER | {"power_W": 0}, (ANTENNA,), "protocol.power_W", "greater than 0"),
    (POWER | {"wiring": {"turns": [{"driven": [0]}], "dwell_s": 9}}, (NEEDLE, BESIDE),
     "protocol.wiring", "dwell_s 9 with a single turn"),
    (CONTROL | {"sensors_mm": [[15.5, 0, 0]]}, (TINES,), "protocol.sensors_mm[0]",
     r"metal of probes\[0\] or touches it"),
    (CONTROL | {"sensors_mm": [[12, 0, 0], [0, 0, 30]]}, (TINES,), "protocol.sensors_mm[1]",
     r"metal of probes\[0\]"),
    ({"mode": "steps", "steps": [{"voltage_V": 9, "duration_s": 9}]}, (ANTENNA,),
     "protocol.steps[0].voltage_V", "driven by power_W"),
    (POWER | {"wiring": {"turns": [{"driven": [0]}]}}, (ANTENNA,), "protocol.wiring",
     "no electrodes"),
    (CONTROL, (NEEDLE,), "protocol.mode", "has no sensors: give protocol.sensors_mm"),
    (CONTROL | {"sensors_mm": [[0, 0, 500]]}, (NEEDLE,), "protocol.sensors_mm[0]",
     r"got \[0, 0, 500\].*inside the region \(a sphere of 100 mm"),
    (CONTROL | {"sensors_mm": [[5, 0, 0], [0.5, 0, 20]]}, (NEEDLE,), "protocol.sensors_mm[1]",
     r"inside the metal of probes\[0\] .*: move it by 0\.2 mm"),
    (RAMP | {"rolloff_power_W": 10}, (NEEDLE,), "protocol.rolloff_power_W",
     "without voltage_limit_V"),
    (RAMP | {"rolloff_power_W": 50, "voltage_limit_V": 60}, (NEEDLE,), "protocol",
     "must start above"),
    ({"mode": "steps", "steps": []}, (NEEDLE,), "protocol.steps", "at least 1"),
    ({"mode": "steps", "steps": [{"power_W": 9, "voltage_V": 9, "duration_s": 9}]}, (NEEDLE,),
     "protocol.steps[0]", "holds one of them"),
    ({"mode": "steps", "steps": [{"duration_s": 7000}] * 2}, (NEEDLE,), "protocol", "14000 s"),
    (POWER | {"wiring": {"turns": [{"driven": [0]}, {"driven": [1]}]}}, (NEEDLE, BESIDE),
     "protocol.wiring", "without dwell_s"),
    (POWER | {"wiring": {"turns": [{"driven": [3]}]}}, (NEEDLE, BESIDE),
     r"protocol.wiring.turns[0].driven[0]", "got 3; there is no such probe.*0 to 1"),
    (POWER | {"wiring": {"turns": [{"driven": [0], "returns": [0]}]}}, (NEEDLE, BESIDE),
     "protocol.wiring.turns[0]", "probe 0 more than once"),
    (POWER | {"wiring": {"turns": [{"driven": [0, 1], "current_shares": [0.5, 0.6]}]}},
     (NEEDLE, BESIDE), "protocol.wiring.turns[0]", "sum to 1.1"),
    (POWER | {"wiring": {"turns": [{"driven": [0, 1], "current_shares": [1.0]}]}},
     (NEEDLE, BESIDE), "protocol.wiring.turns[0]", "1 current_shares for 2"),
    (POWER | {"wiring": {"turns": [{"driven": [0], "returns": [1]}, {"driven": [1]}],
                         "dwell_s": 9}},
     (NEEDLE, BESIDE), "protocol.wiring.turns[1]", "no returns while other turns have"),
    (POWER | {"wiring": {"turns": [{"driven": [0], "returns": [1]}]}},
     (BIPOLAR, BIPOLAR | {"tip_mm": [20, 0, -20], "entry_mm": [20, 0, 90]}),
     "protocol.wiring.turns[0].returns", "is bipolar"),
    (POWER, (BIPOLAR, BESIDE), "probes", r"probes\[0\] is bipolar, probes\[1\] is monopolar"),
    (PULSED | {"impedance_rise_ohm": 30,
               "wiring": {"turns": [{"driven": [0]}, {"driven": [1]}], "dwell_s": 9}},
     (NEEDLE, BESIDE), "protocol.impedance_rise_ohm", "impedance_limit_ohm instead"),
]  # fmt: skip


@pytest.mark.parametrize(("protocol", "probes", "path", "pattern"), FAULTS)
def test_a_protocol_that_cannot_be_is_refused(
    protocol: dict[str, Any], probes: tuple[dict[str, Any], ...], path: str, pattern: str
) -> None:
    found_path, message = fault(protocol, *probes)
    assert found_path == path
    assert re.search(pattern, message), message


def test_a_sensor_in_a_vessel_is_refused() -> None:
    path, message = fault(CONTROL | {"sensors_mm": [[13, 0, 0]]}, NEEDLE, vessels=[VEIN])
    assert path == "protocol.sensors_mm[0]"
    assert "inside the vessel 'vein', 1.0 mm from its centre line: move it by 2.0 mm" in message


def test_a_sensor_in_a_tube_s_wall_is_refused_and_in_a_thin_vessel_is_not() -> None:
    """The mesh has no tissue in a wall of glass, and has tissue where no vessel is meshed."""
    control = CONTROL | {"sensors_mm": [[10.6, 0, 0]]}
    assert scenario(control, NEEDLE, vessels=[VEIN])
    tube = VEIN | {"wall_thickness_mm": 1.0, "wall_conductivity_W_mK": 1.1}
    assert "move it by 0.6 mm" in fault(control, NEEDLE, vessels=[tube])[1]
    at_axis = CONTROL | {"sensors_mm": [[14, 0, 0]]}
    assert scenario(at_axis, NEEDLE, vessels=[VEIN | {"diameter_mm": 2.9}])
    fault(at_axis, NEEDLE, vessels=[VEIN | {"diameter_mm": 2.9}], mesh_vessels_from_mm=2.0)


def test_a_misspelled_probe_is_one_fault() -> None:
    """Catches probes that are counted without the one whose name is wrong."""
    driven = [{"driven": [0]}, {"driven": [1]}, {"driven": [2]}]
    protocol = POWER | {"wiring": {"turns": driven, "dwell_s": 9}}
    path, _ = fault(protocol, NEEDLE, BESIDE, THIRD | {"model": "cooled_needle"})
    assert path == "probes[2].model"


# -- sensors --------------------------------------------------------------------------------------


def test_the_sensors_of_tines_are_at_their_ends() -> None:
    probe = place_probe(
        catalogue.probe("four_tine_electrode"), np.array([1.0, 2.0, 3.0]) * MM, np.array([0, 0, 1])
    )
    found = probe.sensor_points / MM - [1.0, 2.0, 3.0]
    assert np.linalg.norm(found[:, :2], axis=1) == pytest.approx(15.5)
    assert found[:, 2] == pytest.approx(0.0, abs=1e-12)
    assert (np.abs(probe.sdf(probe.sensor_points)) < 0.3 * MM).all()
    needle = place_probe(
        catalogue.probe("cooled_needle_17g_30mm"), np.zeros(3), np.array([0, 0, 1])
    )
    assert len(needle.sensor_points) == 0


def test_given_sensors_are_interpolated() -> None:
    """Exact for a linear field; a point outside the mesh is refused with its range."""
    mesh = box_mesh(6, 30 * MM)
    case = scenario(CONTROL | {"sensors_mm": [[5.1, 4.2, -3.3], [15, 15, 15]]})
    weights = sensor_weights(case, None, mesh)  # type: ignore[arg-type]
    assert weights is not None
    slope = np.array([1.0, 2.0, -3.0])
    found = weights @ (mesh.points @ slope) / MM
    assert found == pytest.approx([5.1 + 8.4 + 9.9, 0.0], abs=1e-9)
    assert weights.sum(axis=1) == pytest.approx(1.0)
    outside = scenario(CONTROL | {"sensors_mm": [[3, 0, 16]]})
    with pytest.raises(ScenarioError, match=r"sensors_mm\[0\].*x -15 to 15, y -15 to 15") as caught:
        sensor_weights(outside, None, mesh)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2


# -- wiring ---------------------------------------------------------------------------------------


def electrodes_of(protocol: dict[str, Any], *probes: dict[str, Any]) -> Any:
    """Conductors and circuits, on a coarse cube with a hole for every active part."""
    case = scenario(protocol, *probes)
    anatomy = build_anatomy(case)
    holes = {}
    for number, probe in enumerate(anatomy.probes):
        for name, (start, end) in probe.data.active_parts.items():
            middle = np.asarray(probe.tip) + 0.5 * (start + end) * np.asarray(probe.direction)
            holes[f"probe.{number}.{name}"] = _near(middle)
    mesh = box_mesh(16, 80 * MM, holes=holes)
    return build_electrodes(case, anatomy, mesh, np.full(len(mesh.points), 0.333))


def _near(middle: np.ndarray) -> Any:
    return lambda x: np.abs(x - middle).max(axis=1) < 4 * MM


def turns(*each: dict[str, Any]) -> dict[str, Any]:
    wiring: dict[str, Any] = {"turns": list(each)}
    return POWER | {"wiring": wiring | ({"dwell_s": 30} if len(each) > 1 else {})}


@pytest.mark.parametrize(
    ("protocol", "probes", "circuits"),
    [
        (POWER, (NEEDLE,), (Circuit(),)),
        (POWER, (NEEDLE, BESIDE, THIRD), (Circuit(),)),
        (POWER, (BIPOLAR,), (Circuit((0, 1), (1.0, -1.0)),)),
        (turns({"driven": [0], "returns": [1]}), (NEEDLE, BESIDE),
         (Circuit((0, 1), (1.0, -1.0)),)),
        (turns({"driven": [0], "returns": [1]}), (NEEDLE, BESIDE, THIRD),
         (Circuit((0, 1, 2), (1.0, -1.0, 0.0)),)),
        (turns({"driven": [0]}, {"driven": [1]}), (NEEDLE, BESIDE),
         (Circuit((0, 1), (1.0, 0.0)), Circuit((1, 0), (1.0, 0.0)))),
        (turns({"driven": [0, 1]}, {"driven": [2]}), (NEEDLE, BESIDE, THIRD),
         (Circuit((0, 0, 1), (1.0, 0.0)), Circuit((1, 2, 0), (1.0, 0.0, 0.0)))),
        (turns({"driven": [0, 1], "current_shares": [0.75, 0.25]}), (NEEDLE, BESIDE),
         (Circuit((0, 1), (0.75, 0.25)),)),
    ],
)  # fmt: skip
def test_wirings_become_circuits(
    protocol: dict[str, Any], probes: tuple[dict[str, Any], ...], circuits: tuple[Circuit, ...]
) -> None:
    """Catches electrodes that are solved apart though they are never apart, and a pole that is
    forgotten: its current would have no way."""
    electrodes = electrodes_of(protocol, *probes)
    assert electrodes.circuits == circuits
    conductors = electrodes.conductors
    assert len(conductors) == len(circuits[0].node)
    assert (conductors.sum(axis=0) <= 1).all() and conductors.any(axis=1).all()
    once = electrodes_of(POWER, NEEDLE).far_field.sum()
    wide = 2.0 if circuits[0].isolated else 1.0
    assert electrodes.far_field.sum() == pytest.approx(wide * once, rel=0.35)


def test_turns_become_a_switched_generator() -> None:
    case = scenario(turns({"driven": [0]}, {"driven": [1]}), NEEDLE, BESIDE)
    found = build_generator(case.protocol)
    assert found == SwitchedGenerator(ConstantGenerator("power", 30, 60), 2, 30)
    assert drive_words(case.protocol.model_dump()).endswith("2 connections in turn for 30 s each")


# -- the bipolar probe ----------------------------------------------------------------------------


def test_a_bipolar_needle_has_two_active_parts() -> None:
    data = catalogue.probe("bipolar_needle_15g_20mm")
    assert data.bipolar and not catalogue.probe("cooled_needle_15g_30mm").bipolar
    parts = data.active_parts
    assert parts["active"] == pytest.approx((0.0, 20 * MM))
    assert parts["active2"] == pytest.approx((23 * MM, 43 * MM))
    assert data.active_centre == pytest.approx(21.5 * MM)
    probe = place_probe(data, np.zeros(3), np.array([0.0, 0.0, 1.0]))
    heights = np.array([1.0, 19.0, 21.5, 24.0, 42.0, 44.0]) * MM
    x = np.stack([np.full(6, data.radius), np.zeros(6), heights], axis=1)
    assert probe.surface_parts(x) == ["active", "active", "shaft", "active2", "active2", "shaft"]
    planes = sorted(mark.point[2] / MM for mark in probe.solids[0].marks)
    assert planes == pytest.approx([20.0, 23.0, 43.0])
