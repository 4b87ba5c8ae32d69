"""A scenario and its mesh in words, for `ablasim check` and `ablasim mesh`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ablasim.frames import MHZ, ML, MM
from ablasim.scenario.anatomy import LabelMap, MeshVessel, Vessel, VesselFlow, WallExchange
from ablasim.scenario.protocol_words import drive_words, step_words, turn_words

if TYPE_CHECKING:
    from ablasim.mesh import TetMesh
    from ablasim.scenario import Scenario

Row = tuple[str, str]

MOST_ROWS = 12
"""Of the steps or turns of a protocol that are listed; there may be a thousand."""


def scenario_rows(scenario: Scenario) -> list[Row]:
    """What a run of this scenario would simulate and judge, as rows (what, value)."""
    rows = [("Scenario", scenario.name)]
    if scenario.description:
        rows.append(("", scenario.description))
    rows += _anatomy_rows(scenario)
    for number, probe in enumerate(scenario.probes):
        place = f"tip {_point(probe.tip_mm)}, entry {_point(probe.entry_mm)} mm LPS"
        rows.append((f"Probe {number}", f"{probe.model}, {place}"))
    rows += _protocol_rows(scenario)
    if any(probe.data.modality == "mw" for probe in scenario.probes):
        rows.append(("Microwaves", _microwaves(scenario)))
    judged = scenario.assessment
    rows.append(("Assessment", f"{judged.criterion}, target margin {judged.target_margin_mm:g} mm"))
    rows.append(("Arrhenius set", judged.arrhenius_set))
    rows.append(("Perfusion ends by", _stasis(scenario)))
    rows.append(("Resolution", scenario.numerics.resolution))
    return rows


def _protocol_rows(scenario: Scenario) -> Iterator[Row]:
    protocol = scenario.protocol.model_dump()
    yield "Protocol", f"{drive_words(protocol)} for {scenario.protocol.duration_s:g} s"
    steps = protocol.get("steps") or ()
    turns = (protocol.get("wiring") or {}).get("turns") or ()
    # a single turn is told in the line above
    for name, each, words in (
        ("step", steps, step_words),
        ("turn", turns if len(turns) > 1 else (), turn_words),
    ):
        for number, entry in enumerate(each[:MOST_ROWS], start=1):
            yield "", f"{name} {number}: {words(entry)}"
        if len(each) > MOST_ROWS:
            yield "", f"and {len(each) - MOST_ROWS} more {name}s"


def _microwaves(scenario: Scenario) -> str:
    frequency = next(f for probe in scenario.probes if (f := probe.data.frequency) is not None)
    physics, at = scenario.physics, f"{frequency / MHZ:g} MHz"
    if physics.microwave_model == "field":
        return f"field at {at}, dielectric {physics.microwave_dielectric}"
    return f"parametric pattern, fitted at {at}"


def _stasis(scenario: Scenario) -> str:
    rule = scenario.physics.perfusion_shutdown
    if rule != "arrhenius":
        return {"peak_60C": "60 °C once reached", "none": "nothing"}.get(rule, rule)
    name = scenario.physics.perfusion_arrhenius_set or scenario.assessment.arrhenius_set
    return f"Arrhenius integral ({name})"


def _anatomy_rows(scenario: Scenario) -> Iterator[Row]:
    if scenario.labelmap is not None:
        labels = scenario.labelmap.labels.model_dump(exclude_none=True)
        yield "Label map", scenario.labelmap.file
        yield "", ", ".join(f"{name} {label}" for name, label in labels.items())
        yield "", f"region of interest {scenario.labelmap.roi_mm:g} mm"
        for kind, exchange in _exchanges(scenario.labelmap):
            given = exchange.diameter_mm
            calibre = "diameters measured" if given is None else f"{given:g} mm"
            yield f"Vessel {kind}", f"{calibre}, {_exchange(exchange)}"
    elif scenario.mesh is not None:
        yield "Mesh", scenario.mesh.file
        for name, wall in scenario.mesh.vessels.items():
            yield f"Vessel {name}", f"{_flow(wall)}, {_exchange(wall)}"
    elif scenario.anatomy is not None:
        tumour = scenario.anatomy.tumour
        yield "Liver", scenario.anatomy.liver.tissue
        if tumour is None:
            yield "Tumour", "none"
        else:
            size = (
                f"{tumour.diameter_mm:g}"
                if tumour.shape == "sphere"
                else " x ".join(f"{value:g}" for value in tumour.diameters_mm)
            )
            place = f"at {_point(tumour.centre_mm)}"
            yield "Tumour", f"{tumour.tissue}, {tumour.shape} of {size} mm {place}"
        for vessel in scenario.anatomy.vessels:
            meshed = vessel in scenario.anatomy.meshed_vessels
            what = _exchange(vessel) if meshed else "too thin to mesh: counts as perfusion"
            yield f"Vessel {vessel.name}", f"{_flow(vessel)}, {what}"


def _exchanges(section: LabelMap) -> Iterator[tuple[str, VesselFlow]]:
    """The kinds of vessel that a label map has."""
    for kind in section.labels.model_dump(exclude_none=True, exclude={"liver", "tumour"}):
        yield kind, section.vessels.get(kind, VesselFlow())


def _flow(vessel: Vessel | MeshVessel) -> str:
    return f"{vessel.kind}, {vessel.diameter_mm:g} mm, {vessel.velocity_cm_s:g} cm/s"


def _exchange(wall: WallExchange) -> str:
    if wall.h_W_m2K is not None:
        return f"wall coefficient {wall.h_W_m2K:g} W/m2/K"
    return f"wall by {wall.correlation} over {wall.heated_length_mm:g} mm"


def _point(point: Sequence[float]) -> str:
    return f"({', '.join(f'{value:g}' for value in point)})"


def mesh_numbers(mesh: TetMesh) -> dict[str, Any]:
    """Size and quality of a mesh: counts, volumes of regions [ml], areas of surfaces [mm2]."""
    volumes, areas = mesh.cell_volumes(), mesh.face_areas()
    quality = mesh.quality()
    return {
        "points": len(mesh.points),
        "cells": len(mesh.cells),
        "min_quality": float(quality.min()),
        "mean_quality": float(quality.mean()),
        "h_min_mm": float(mesh.h_min()) / MM,
        "region_ml": {
            name: float(volumes[mesh.cell_region == index].sum()) / ML
            for index, name in enumerate(mesh.regions)
        },
        "surface_mm2": {
            name: float(areas[mesh.face_surface == index].sum()) / MM**2
            for index, name in enumerate(mesh.surfaces)
        },
    }


def mesh_rows(numbers: Mapping[str, Any]) -> list[Row]:
    """`mesh_numbers` as rows (what, value)."""
    rows = [
        ("Points", f"{numbers['points']}"),
        ("Tetrahedra", f"{numbers['cells']}"),
        ("Worst quality", f"{numbers['min_quality']:.3f} (mean {numbers['mean_quality']:.3f})"),
        ("Smallest height", f"{numbers['h_min_mm']:.3f} mm"),
    ]
    rows += [(f"Region {name}", f"{ml:.2f} ml") for name, ml in numbers["region_ml"].items()]
    rows += [
        (f"Surface {name}", f"{area:.1f} mm2") for name, area in numbers["surface_mm2"].items()
    ]
    return rows
