"""What a user should know of the models a scenario chooses: valid choices with a known bias."""

from __future__ import annotations

import math

from ablasim import catalogue
from ablasim.physics.damage import GAS_CONSTANT, KELVIN
from ablasim.physics.tissue import BOILING_C
from ablasim.scenario.anatomy import MeshVessel, Vessel
from ablasim.scenario.flow import flow_cautions
from ablasim.scenario.model import Scenario

HOLD = 600.0
"""Time [s] for which the temperature that kills by an Arrhenius set is stated."""

COOL = 45.0
"""A set that kills below this [°C] within HOLD has its lesion far outside that of 60 °C."""

CEM43 = (
    "assessment.criterion cem43_240: CEM43 comes from hyperthermia and is not valid above about"
    " 50 °C (Reddy 2013, Mouratidis 2019), where most of an ablation happens; compare the zones of"
    " the other criteria."
)
THREE_STATE = (
    "{path} three_state: the model was fitted to 15 min at 55 to 65 °C. It needs 16 min at 60 °C"
    " to kill, and kills even at 37 °C within 64 min: it does not agree with the 60 °C rule and is"
    " no measure of an ablation zone."
)

BAND = (
    "physics.vaporisation_band_C: tissue is dry above {end:g} °C, and its electrical conductivity"
    " falls above 100 °C all the same: impedance, heat and any roll-off are not those of drying"
    " tissue."
)
# measured on scenarios/atlas/mw_slot_antenna.yaml, a tumour of 18 mm, 4 mm from the vein, preview
PARAMETRIC = (
    "physics.microwave_model parametric: a fixed pattern heats as if tissue that dries sent nothing"
    " back into the cable. With 45 W for 10 minutes its zone had 17.8 ml in a case in which the"
    " antenna's own field (physics.microwave_model: field) left 3.7 ml."
)


def cautions(scenario: Scenario) -> tuple[str, ...]:
    """One sentence or two for each choice of a model that misleads if taken for granted."""
    found = []
    judged, physics = scenario.assessment, scenario.physics
    if judged.criterion == "cem43_240":
        found.append(CEM43)
    if judged.criterion == "arrhenius":
        found += _set_caution("assessment.arrhenius_set", judged.arrhenius_set)
    if physics.perfusion_shutdown == "arrhenius":
        name = physics.perfusion_arrhenius_set
        if name is not None:
            found += _set_caution("physics.perfusion_arrhenius_set", name)
        elif judged.criterion != "arrhenius":
            found += _set_caution("assessment.arrhenius_set", judged.arrhenius_set)
    rf = any(probe.data.modality == "rf" for probe in scenario.probes)
    if rf and physics.vaporisation_band_C[1] != BOILING_C:
        found.append(BAND.format(end=physics.vaporisation_band_C[1]))
    if physics.microwave_model == "parametric":
        found.append(PARAMETRIC)
    for path, choice in (
        ("assessment.criterion", judged.criterion),
        ("physics.perfusion_shutdown", physics.perfusion_shutdown),
    ):
        if choice == "three_state":
            found.append(THREE_STATE.format(path=path))
    return tuple(found)


def vessel_cautions(scenario: Scenario) -> tuple[str, ...]:
    """What to know of the flow in the vessels that are given and meshed; none for a label map."""
    given: list[tuple[str, Vessel | MeshVessel]] = []
    if scenario.anatomy is not None:
        given += [(vessel.name, vessel) for vessel in scenario.anatomy.meshed_vessels]
    if scenario.mesh is not None:
        given += scenario.mesh.vessels.items()
    warming = scenario.physics.blood_warming
    return tuple(
        text for name, vessel in given for text in flow_cautions(name, vessel, warming=warming)
    )


def killing_temperature(name: str, seconds: float = HOLD) -> float:
    """Temperature [°C] at which Omega of an Arrhenius set reaches 1 after some seconds."""
    data = catalogue.arrhenius(name)
    kelvin = data.activation_energy / (GAS_CONSTANT * math.log(data.frequency * seconds))
    return kelvin - KELVIN


def _set_caution(path: str, name: str) -> list[str]:
    held = killing_temperature(name)
    if held >= COOL:
        return []
    text = (
        f"{path} {name}: this set calls tissue dead that was held at {held:.1f} °C for 10 min, so"
        " its lesion reaches millimetres beyond that of 60 °C"
    )
    if name == "liver_comsol":
        text += " (it is the 42 to 45 °C contour, about 6 mm further out)"
    return [f"{text}; do not judge a margin by it alone."]
