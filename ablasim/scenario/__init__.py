"""Scenario: one treatment to simulate, as read from a YAML file.

    scenario = load_scenario("scenarios/rf_beside_portal_vein.yaml", {"protocol.power_W": 40})

A faulty scenario is refused as a whole: `ScenarioError` carries every faulty field with its line.
"""

from ablasim.scenario.anatomy import (
    Block,
    BoxBlock,
    CylinderBlock,
    Ellipsoid,
    IdealAnatomy,
    LabelMap,
    Labels,
    Liver,
    MeshRegions,
    MeshVessel,
    OwnMesh,
    RegionTissues,
    Sphere,
    SphereBlock,
    Tumour,
    Vessel,
    VesselFlow,
)
from ablasim.scenario.caution import cautions, vessel_cautions
from ablasim.scenario.file import load_scenario, scenario_from_data
from ablasim.scenario.model import Scenario, inputs_sha256, json_schema
from ablasim.scenario.protocol import (
    CurrentProtocol,
    PowerProtocol,
    Protocol,
    ProtocolStep,
    PulsedProtocol,
    RampProtocol,
    StepsProtocol,
    TemperatureProtocol,
    Turn,
    VoltageProtocol,
    Wiring,
)
from ablasim.scenario.risk import Risk
from ablasim.scenario.treatment import (
    Assessment,
    Boundary,
    Numerics,
    Physics,
    ProbePlacement,
    TissueOverride,
)

__all__ = [
    "Assessment",
    "Block",
    "Boundary",
    "BoxBlock",
    "CurrentProtocol",
    "CylinderBlock",
    "Ellipsoid",
    "IdealAnatomy",
    "LabelMap",
    "Labels",
    "Liver",
    "MeshRegions",
    "MeshVessel",
    "Numerics",
    "OwnMesh",
    "Physics",
    "PowerProtocol",
    "ProbePlacement",
    "Protocol",
    "ProtocolStep",
    "PulsedProtocol",
    "RampProtocol",
    "RegionTissues",
    "Risk",
    "Scenario",
    "Sphere",
    "SphereBlock",
    "StepsProtocol",
    "TemperatureProtocol",
    "TissueOverride",
    "Tumour",
    "Turn",
    "Vessel",
    "VesselFlow",
    "VoltageProtocol",
    "Wiring",
    "cautions",
    "inputs_sha256",
    "json_schema",
    "load_scenario",
    "scenario_from_data",
    "vessel_cautions",
]
