"""Reads scenarios from YAML files or plain data, with overrides, and reports all faults at once."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from ablasim.errors import InputFileError, Problem, ScenarioError, UsageError
from ablasim.safe_yaml import Document, KeyPath, dotted, read_document
from ablasim.scenario.anatomy import IdealAnatomy, LabelMap, OwnMesh, Tumour, Vessel
from ablasim.scenario.messages import explain, likely_choice
from ablasim.scenario.model import BROKEN_RULES, FILE_SECTIONS, Scenario
from ablasim.scenario.protocol import Protocol
from ablasim.scenario.rules import Draft, Finding, broken_rules
from ablasim.scenario.treatment import Physics, ProbePlacement

PROTOCOL: TypeAdapter[Protocol] = TypeAdapter(Protocol)
"""One of the modes of a protocol, told by its `mode`."""


def load_scenario(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Scenario:
    """Reads a scenario from a YAML file.

    Args:
        path: the file; paths inside it are relative to its folder and become absolute.
        overrides: values by dotted path, put in before anything is checked, for example
            ``{"protocol.power_W": 40, "probes[0].tip_mm": [0, 0, -10]}``.

    Raises:
        ScenarioError: one or more fields are faulty; all of them are in `problems`.
        InputFileError: the file, or a file that it names, is missing or unreadable.
    """
    path = Path(path)
    document = read_document(path)
    return _scenario(document, overrides or {}, file=str(path), folder=path.resolve().parent)


def scenario_from_data(
    data: Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    folder: str | Path | None = None,
) -> Scenario:
    """A scenario from plain data, as `load_scenario` does from a file in `folder`."""
    base = Path.cwd() if folder is None else Path(folder).resolve()
    return _scenario(Document(dict(data)), overrides or {}, file=None, folder=base)


def _scenario(
    document: Document, overrides: Mapping[str, Any], *, file: str | None, folder: Path
) -> Scenario:
    data = copy.deepcopy(document.data)
    if not isinstance(data, dict):
        got = "nothing" if data is None else f"a {type(data).__name__}"
        message = f"got {got}; a scenario must be a group of keys: name, anatomy, probes, protocol"
        raise ScenarioError([Problem("", document.line_of(()), message)], file)
    overridden = {_override(data, path, value) for path, value in overrides.items()}
    _resolve_files(data, folder)

    def problem(path: KeyPath, message: str) -> Problem:
        if any(path[: len(changed)] == changed for changed in overridden):
            return Problem(dotted(path), None, f"{message} (set by an override)")
        return Problem(dotted(path), document.line_of(path), message)

    problems = list(document.problems)
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        problems += [problem(*each) for each in _faults(error, data)]
    if problems:
        unique = dict.fromkeys(problems)
        raise ScenarioError(sorted(unique, key=lambda p: p.line or 0), file)
    _check_files(scenario, file, problem)
    return scenario


def _faults(error: ValidationError, data: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    """Every fault of the sections, and of the rules between those that are valid."""
    faults: list[tuple[KeyPath, str]] = []
    findings: list[Finding] | None = None
    repaired = copy.deepcopy(data)
    for detail in error.errors(include_url=False):
        if detail["type"] == BROKEN_RULES:
            findings = detail["ctx"]["findings"]
        elif (explained := explain(detail, Scenario)) is not None:
            faults.append(explained)
        if (choice := likely_choice(detail, Scenario)) is not None:
            _put(repaired, *choice)
    if repaired != data:
        return faults + _faults_of(repaired)
    if findings is None:
        findings = broken_rules(_draft_from(data))
    return faults + [(finding.path, finding.message) for finding in findings]


def _faults_of(data: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    try:
        Scenario.model_validate(data)
    except ValidationError as error:
        return _faults(error, data)
    return []


def _put(data: Any, path: KeyPath, value: Any) -> None:
    """Replaces a value that is there."""
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value


def _draft_from(data: dict[str, Any]) -> Draft:
    """What is valid in a scenario that is faulty as a whole."""
    anatomy = data.get("anatomy")
    parts = anatomy if isinstance(anatomy, dict) else {}
    tissues, protocol, probes = (data.get(k) for k in ("tissues", "protocol", "probes"))
    return Draft(
        sources=tuple(k for k in ("anatomy", "labelmap", "mesh") if data.get(k) is not None),
        anatomy=_part(TypeAdapter(IdealAnatomy), anatomy),
        labelmap=_part(TypeAdapter(LabelMap), data.get("labelmap")),
        mesh=_part(TypeAdapter(OwnMesh), data.get("mesh")),
        vessels=_vessels(parts),
        probes=_parts(TypeAdapter(ProbePlacement), probes),
        listed_probes=len(probes) if isinstance(probes, list | tuple) else 0,
        protocol_mode=protocol.get("mode") if isinstance(protocol, dict) else None,
        protocol=_part(PROTOCOL, protocol),
        physics=_part(TypeAdapter(Physics), data.get("physics", {})),
        tissue_overrides=tuple(tissues) if isinstance(tissues, dict) else (),
    )


def _vessels(parts: dict[str, Any]) -> dict[int, Vessel]:
    """The valid vessels that have a place."""
    tumour = _part(TypeAdapter(Tumour), parts.get("tumour"))
    found = {}
    for index, vessel in _parts(TypeAdapter(Vessel), parts.get("vessels")).items():
        with contextlib.suppress(PydanticCustomError):
            found[index] = vessel.placed(tumour)
    return found


def _part[Part](adapter: TypeAdapter[Part], data: Any) -> Part | None:
    try:
        return adapter.validate_python(data)
    except ValidationError:
        return None


def _parts[Part](adapter: TypeAdapter[Part], data: Any) -> dict[int, Part]:
    entries = enumerate(data) if isinstance(data, list | tuple) else ()
    parts = {index: _part(adapter, entry) for index, entry in entries}
    return {index: part for index, part in parts.items() if part is not None}


def _override(data: dict[str, Any], path: str, value: Any) -> KeyPath:
    """Puts one value in place; returns its path."""
    keys: list[str | int] = [
        int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)
    ]
    node: Any = data
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(node, list) and isinstance(key, int) and key < len(node):
            pass
        elif isinstance(node, dict) and isinstance(key, str):
            if not last and node.get(key) is None:
                node[key] = {}
        else:
            raise UsageError(
                f"override {path!r}: there is no {dotted(keys[: depth + 1])!r} in the scenario;"
                " must be a path such as 'protocol.power_W' or 'probes[0].tip_mm'"
            )
        if last:
            node[key] = copy.deepcopy(value)
            return tuple(keys)
        node = node[key]
    raise UsageError("override: got an empty path; must be one such as 'protocol.power_W'")


def _resolve_files(data: dict[str, Any], folder: Path) -> None:
    for key in FILE_SECTIONS:
        section = data.get(key)
        if isinstance(section, dict) and isinstance(section.get("file"), str) and section["file"]:
            section["file"] = str(folder / section["file"])


def _check_files(
    scenario: Scenario, file: str | None, problem: Callable[[KeyPath, str], Problem]
) -> None:
    for key in FILE_SECTIONS:
        section = getattr(scenario, key)
        if section is not None and not Path(section.file).is_file():
            message = f"got {section.file!r}; no such file: check the name and the folder"
            raise InputFileError(problem((key, "file"), message).describe(file))
