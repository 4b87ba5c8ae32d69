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
from ablasim.scenario.caution import cautions
from ablasim.scenario.file import load_scenario, scenario_from_data
from ablasim.scenario.model import Scenario, inputs_sha256, json_schema
from ablasim.scenario.treatment import (
    Assessment,
    Boundary,
    CurrentProtocol,
    Numerics,
    Physics,
    PowerProtocol,
    ProbePlacement,
    Protocol,
    TissueOverride,
    VoltageProtocol,
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
    "RegionTissues",
    "Scenario",
    "Sphere",
    "SphereBlock",
    "TissueOverride",
    "Tumour",
    "Vessel",
    "VesselFlow",
    "VoltageProtocol",
    "cautions",
    "inputs_sha256",
    "json_schema",
    "load_scenario",
    "scenario_from_data",
]
