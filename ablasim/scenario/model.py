"""The scenario as a whole: its sections together, their rules, its hash and its text."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ablasim import catalogue
from ablasim.errors import InputFileError
from ablasim.safe_yaml import dotted, dump
from ablasim.scenario.anatomy import IdealAnatomy, LabelMap, OwnMesh
from ablasim.scenario.fields import Name, Section, Text
from ablasim.scenario.protocol import Protocol
from ablasim.scenario.risk import Risk
from ablasim.scenario.rules import Draft, broken_rules
from ablasim.scenario.treatment import (
    Assessment,
    Boundary,
    Numerics,
    Physics,
    ProbePlacement,
    TissueOverride,
)

BROKEN_RULES = "ablasim_rules"
"""Error type of the rules between sections; `ctx["findings"]` lists what they found."""

FILE_SECTIONS = ("labelmap", "mesh")
"""Sections that name a file."""


class Scenario(Section):
    """One treatment: anatomy, probes, generator protocol, and how to simulate and judge it."""

    name: Name = Field(description="a short name, used for files")
    description: Text = ""
    anatomy: IdealAnatomy | None = Field(
        default=None, description="tumour and vessels as ideal shapes"
    )
    labelmap: LabelMap | None = Field(default=None, description="anatomy from a label map")
    mesh: OwnMesh | None = Field(default=None, description="anatomy from a mesh of one's own")
    tissues: dict[str, TissueOverride] = Field(default={}, description="changed numbers, by tissue")
    probes: tuple[ProbePlacement, ...] = Field(
        min_length=1, description="probes, each with model, tip_mm and entry_mm"
    )
    protocol: Protocol = Field(description="what the generator does")
    physics: Physics = Physics()
    boundary: Boundary = Boundary()
    assessment: Assessment = Assessment()
    numerics: Numerics = Numerics()
    risk: Risk | None = Field(
        default=None, description="what is uncertain, for `ablasim risk`; a run does not read it"
    )

    @model_validator(mode="after")
    def _follows_the_rules(self) -> Scenario:
        findings = broken_rules(_draft_of(self))
        if findings:
            summary = "; ".join(f"{dotted(f.path)}: {f.message}" for f in findings)
            raise PydanticCustomError(
                BROKEN_RULES, "{summary}", {"summary": summary, "findings": findings}
            )
        return self

    def tissue(self, name: str) -> catalogue.TissueData:
        """A tissue of the catalogue with this scenario's overrides."""
        data = catalogue.tissue(name)
        return self.tissues[name].apply(data) if name in self.tissues else data

    def to_yaml(self) -> str:
        """The scenario as a file's text, defaults written out; reading it gives the same again."""
        return dump(self.model_dump(mode="json", exclude_none=True))


def json_schema() -> dict[str, Any]:
    """JSON Schema of a scenario file."""
    schema = Scenario.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def inputs_sha256(scenario: Scenario) -> str:
    """Hash of everything that decides a run: the resolved scenario and the files it names.

    The place of a file does not count, its bytes do. The section `risk` decides no run.
    """
    content = scenario.model_dump(mode="json", exclude={"risk"})
    for key in FILE_SECTIONS:
        if content[key] is not None:
            content[key]["file"] = _file_sha256(Path(content[key]["file"]))
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _file_sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputFileError(f"{path}: cannot be read ({error.strerror}); check the file") from None


def _draft_of(scenario: Scenario) -> Draft:
    return Draft(
        sources=tuple(k for k in ("anatomy", "labelmap", "mesh") if getattr(scenario, k)),
        anatomy=scenario.anatomy,
        labelmap=scenario.labelmap,
        mesh=scenario.mesh,
        vessels=dict(enumerate(scenario.anatomy.vessels)) if scenario.anatomy else {},
        probes=dict(enumerate(scenario.probes)),
        listed_probes=len(scenario.probes),
        protocol_mode=scenario.protocol.mode,
        protocol=scenario.protocol,
        physics=scenario.physics,
        tissue_overrides=tuple(scenario.tissues),
    )
