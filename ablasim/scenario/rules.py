"""Rules between the sections of a scenario: one short function each, lengths in mm.

A rule reads a `Draft`, which holds the sections that are valid in themselves, so that faults
between sections are reported together with faults inside others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from ablasim import catalogue
from ablasim.catalogue import tissue_names
from ablasim.errors import UsageError
from ablasim.frames import MHZ, MM
from ablasim.physics.dielectric import SAME_FREQUENCY, dielectric
from ablasim.safe_yaml import KeyPath
from ablasim.scenario.anatomy import IdealAnatomy, LabelMap, OwnMesh, Vessel, WallExchange
from ablasim.scenario.fields import changed, one_of
from ablasim.scenario.flow import turbulence
from ablasim.scenario.geometry import (
    Region,
    metal_ahead,
    metal_parts,
    polyline_distance,
    shaft,
    show,
    surface_points,
)
from ablasim.scenario.protocol import Protocol
from ablasim.scenario.protocol_rules import protocol_faults
from ablasim.scenario.treatment import Physics, ProbePlacement


@dataclass(frozen=True)
class Finding:
    """A broken rule: the path of the field to be changed, and what to do."""

    path: KeyPath
    message: str


@dataclass(frozen=True)
class Draft:
    """Those parts of a scenario that are valid in themselves; None or absent where they are not.

    Attributes:
        sources: which of anatomy, labelmap, mesh are given, valid or not.
        vessels: vessels of the anatomy by their position in the file; `probes` likewise.
        listed_probes: how many probes the file lists, valid or not.
        tissue_overrides: names under `tissues`.
    """

    sources: tuple[str, ...]
    anatomy: IdealAnatomy | None = None
    labelmap: LabelMap | None = None
    mesh: OwnMesh | None = None
    vessels: Mapping[int, Vessel] = field(default_factory=dict)
    probes: Mapping[int, ProbePlacement] = field(default_factory=dict)
    listed_probes: int = 0
    protocol_mode: str | None = None
    protocol: Protocol | None = None
    physics: Physics | None = None
    tissue_overrides: tuple[str, ...] = ()

    @property
    def region(self) -> Region | None:
        """The simulated block, where anatomy and probes say enough."""
        if self.anatomy is None or not self.probes:
            return None
        return Region.of(self.anatomy.block, list(self.probes.values()))

    @property
    def meshed_vessels(self) -> Mapping[int, Vessel]:
        """Vessels of the anatomy that are thick enough to be meshed."""
        anatomy = self.anatomy or IdealAnatomy()
        thinnest = anatomy.mesh_vessels_from_mm
        return {i: v for i, v in self.vessels.items() if v.diameter_mm >= thinnest}


CLEARANCE_MM = 1.0
"""Least distance of a heating part from the edge of the region: elements must fit between."""

Rule = Callable[[Draft], Iterator[Finding]]


def broken_rules(draft: Draft) -> list[Finding]:
    """Everything that the rules find."""
    return [finding for rule in RULES for finding in rule(draft)]


def one_source_of_anatomy(draft: Draft) -> Iterator[Finding]:
    """Exactly one of anatomy, labelmap and mesh."""
    if len(draft.sources) != 1:
        got = " and ".join(draft.sources) or "none of them"
        yield Finding(
            draft.sources[-1:],
            f"got {got}; exactly one of anatomy, labelmap and mesh must be given",
        )


def one_modality(draft: Draft) -> Iterator[Finding]:
    """RF and microwave probes are not mixed."""
    modalities = {index: probe.data.modality for index, probe in draft.probes.items()}
    if len(set(modalities.values())) > 1:
        listed = ", ".join(f"probes[{i}] is {m}" for i, m in modalities.items())
        yield Finding(("probes",), f"{listed}; all probes must be rf, or all mw")


def protocol_fits_probe(draft: Draft) -> Iterator[Finding]:
    """A generator does what the probes can, and reads sensors that are there."""
    for path, message in protocol_faults(
        draft.protocol_mode,
        draft.protocol,
        draft.probes,
        draft.listed_probes,
        draft.region,
        draft.meshed_vessels,
    ):
        yield Finding(path, message)


def generator_fits_antenna(draft: Draft) -> Iterator[Finding]:
    """Cable and frequency belong to antennas; there must be dielectric data at the frequency."""
    frequencies = set()
    for index, probe in draft.probes.items():
        for key in ("cable_loss_dB", "frequency_MHz"):
            value = getattr(probe, key)
            if value is not None and probe.data.modality != "mw":
                yield Finding(
                    ("probes", index, key),
                    f"got {value:g}; only microwave probes have it, and {probe.model} is"
                    f" {probe.data.modality}: remove the key",
                )
        frequency = probe.data.frequency
        if frequency is None or draft.physics is None:
            continue
        frequencies.add(frequency)
        fault = _field_fault if draft.physics.microwave_model == "field" else _pattern_fault
        found = fault(probe, frequency, draft.physics)
        if found is not None:
            yield Finding(("probes", index, found[0]), found[1])
    if len(frequencies) > 1:
        listed = ", ".join(f"{frequency / MHZ:g} MHz" for frequency in sorted(frequencies))
        yield Finding(("probes",), f"got antennas of {listed}; one generator has one frequency")


def _field_fault(
    probe: ProbePlacement, frequency: float, physics: Physics
) -> tuple[str, str] | None:
    """Why an antenna's field cannot be solved: the key to be changed and what to do."""
    if probe.data.coaxial is None:
        return "model", (
            f"got {probe.model!r}; the catalogue has no cross-section of it, with which its field"
            " is solved: set physics.microwave_model to 'parametric'"
        )
    try:
        dielectric(physics.microwave_dielectric, frequency)
    except UsageError as error:
        key = "model" if probe.frequency_MHz is None else "frequency_MHz"
        return key, str(error).removeprefix("antenna frequency: ")
    return None


def _pattern_fault(
    probe: ProbePlacement, frequency: float, physics: Physics
) -> tuple[str, str] | None:
    """Why an antenna's pattern does not hold: the key to be changed and what to do."""
    fitted = catalogue.probe(probe.model).frequency
    if fitted is None or abs(frequency / fitted - 1.0) <= SAME_FREQUENCY:
        return None
    return "frequency_MHz", (
        f"got {frequency / MHZ:g} MHz; the pattern of {probe.model} was fitted at"
        f" {fitted / MHZ:g} MHz and does not hold at other frequencies: remove the key"
    )


def coolant_needs_cooling(draft: Draft) -> Iterator[Finding]:
    """A coolant's temperature is given only where there is cooling."""
    for index, probe in draft.probes.items():
        cooling = probe.data.cooling
        for key in ("coolant_C", "coolant_h_W_m2K"):
            if cooling is None and getattr(probe, key) is not None:
                yield Finding(
                    ("probes", index, key),
                    f"got {getattr(probe, key):g}; {probe.model} has no cooling: remove the key",
                )
        if cooling is not None and cooling.h == 0 and probe.coolant_C is not None:
            yield Finding(
                ("probes", index, "coolant_C"),
                f"got {probe.coolant_C:g}; {probe.model} is cooled only when coolant_h_W_m2K is"
                " greater than 0: give that too",
            )


def overrides_are_used(draft: Draft) -> Iterator[Finding]:
    """A tissue that is overridden exists and occurs in the scenario."""
    used = _used_tissues(draft)
    for name in draft.tissue_overrides:
        if name not in tissue_names():
            yield Finding(("tissues", name), one_of(name, tissue_names()))
        elif used and name not in used:
            yield Finding(
                ("tissues", name),
                f"no region of this scenario is made of {name}, only of {', '.join(used)};"
                " remove the override or change the region's tissue",
            )


def mesh_surfaces_are_known(draft: Draft) -> Iterator[Finding]:
    """Surfaces of a mesh name probes and vessels that exist, and every vessel has a wall."""
    if draft.mesh is None:
        return
    vessels = draft.mesh.vessels
    for surface in draft.mesh.surfaces:
        owner, _, rest = surface.partition(".")
        if owner == "vessel" and rest not in vessels:
            yield Finding(
                ("mesh", "surfaces", surface),
                f"no vessel of the name {rest!r}; add it to mesh.vessels with its kind",
            )
        count = draft.listed_probes
        if owner == "probe" and count and int(rest.split(".")[0]) >= count:
            yield Finding(
                ("mesh", "surfaces", surface),
                f"there is no probe {rest.split('.')[0]}; probes are counted from 0",
            )
    for name in vessels:
        if f"vessel.{name}" not in draft.mesh.surfaces:
            yield Finding(
                ("mesh", "vessels", name),
                f"has no wall; give its face group as vessel.{name} in mesh.surfaces",
            )


def flow_is_laminar(draft: Draft) -> Iterator[Finding]:
    """The wall coefficients hold for the flow in every vessel that is given with its diameter."""
    given: list[tuple[KeyPath, WallExchange, float, float]] = [
        (("anatomy", "vessels", index), vessel, vessel.diameter_mm, vessel.velocity_cm_s)
        for index, vessel in draft.meshed_vessels.items()
    ]
    for name, wall in draft.mesh.vessels.items() if draft.mesh else ():
        given.append((("mesh", "vessels", name), wall, wall.diameter_mm, wall.velocity_cm_s))
    for kind, flow in draft.labelmap.vessels.items() if draft.labelmap else ():
        if flow.diameter_mm is not None and flow.velocity_cm_s is not None:
            given.append(
                (("labelmap", "vessels", kind), flow, flow.diameter_mm, flow.velocity_cm_s)
            )
    for path, exchange, diameter, velocity in given:
        fault = turbulence(exchange, diameter, velocity)
        if fault is not None:
            yield Finding((*path, "velocity_cm_s"), fault)


def physics_fits_probes(draft: Draft) -> Iterator[Finding]:
    """Choices of microwave physics are made for microwave probes."""
    if draft.physics is None or not draft.probes:
        return
    if any(probe.data.modality == "mw" for probe in draft.probes.values()):
        return
    for key in ("microwave_model", "microwave_dielectric"):
        if changed(draft.physics, key):
            yield Finding(
                ("physics", key),
                f"got {getattr(draft.physics, key)!r}; no probe of this scenario is a microwave"
                " probe: remove the key",
            )


def tip_lies_in_block(draft: Draft) -> Iterator[Finding]:
    """Every tip, with the tines around it and the active part behind, is in the region."""
    region = draft.region
    if region is None:
        return
    for index, probe in draft.probes.items():
        tip, direction = np.array(probe.tip_mm), np.array(probe.direction)
        behind = 2 * probe.data.active_centre / MM
        excess = float(np.max(region.distance(np.stack([tip, tip + behind * direction]))))
        for part in metal_ahead(probe):
            excess = max(excess, float(np.max(region.distance(part.axis))) + part.radius)
        excess += CLEARANCE_MM
        if excess > 0:
            yield Finding(
                ("probes", index, "tip_mm"),
                f"got {show(tip)}; tip, tines and active part must lie inside the region"
                f" ({region}), {CLEARANCE_MM:g} mm from its surface, and reach {excess:.1f} mm too"
                " far: move the tip or enlarge anatomy.block",
            )


def tumour_lies_in_block(draft: Draft) -> Iterator[Finding]:
    """The whole tumour is in the region; with the default centre the probe decides where it is."""
    region = draft.region
    if region is None or draft.anatomy is None or draft.anatomy.tumour is None:
        return
    excess = float(np.max(region.distance(surface_points(draft.anatomy.tumour))))
    if excess > 0:
        index, probe = next(iter(draft.probes.items()))
        path: KeyPath = ("anatomy", "block")
        got = ""
        if draft.anatomy.block.centre_mm is None:
            path, got = ("probes", index, "tip_mm"), f"got {show(probe.tip_mm)}; "
        yield Finding(
            path,
            f"{got}the whole tumour must lie inside the region ({region}) and reaches"
            f" {excess:.1f} mm out of it: move the tip to the tumour, or enlarge anatomy.block",
        )


def probes_miss_vessels(draft: Draft) -> Iterator[Finding]:
    """No shaft passes through a vessel, from the tip to the edge of the region and to the entry,
    and no tine."""
    for index, probe in draft.probes.items():
        for number, vessel in draft.vessels.items():
            for part in metal_parts(probe, draft.region):
                needed = part.radius + vessel.outer_diameter_mm / 2
                distance = polyline_distance(part.axis, np.array(vessel.path_mm))
                if distance < needed:
                    yield Finding(
                        ("probes", index),
                        f"{part.part}the probe goes through the vessel {vessel.name!r}"
                        f" (anatomy.vessels[{number}]): it passes {distance:.1f} mm from its centre"
                        f" line and must keep {needed:.1f} mm (both radii); move {part.moved_by}",
                    )
                    break


def probes_do_not_touch(draft: Draft) -> Iterator[Finding]:
    """No two probes run into each other."""
    listed = list(draft.probes.items())
    for position, (index, probe) in enumerate(listed):
        for other_index, other in listed[:position]:
            if draft.mesh is not None:
                # where tines lie the file says, and roll_deg only where their sensors are
                pairs = [(shaft(probe, None), shaft(other, None))]
            else:
                first, second = (metal_parts(each, draft.region) for each in (probe, other))
                pairs = list(product(first, second))
            for part, beside in pairs:
                needed = part.radius + beside.radius
                distance = polyline_distance(part.axis, beside.axis)
                if distance < needed:
                    yield Finding(
                        ("probes", index),
                        f"{part.part}the probe passes {distance:.1f} mm from the axis of"
                        f" {beside.part}probes[{other_index}] and must keep {needed:.1f} mm (both"
                        f" radii); move {part.moved_by}, or the other probe",
                    )
                    break


RULES: tuple[Rule, ...] = (
    one_source_of_anatomy,
    one_modality,
    protocol_fits_probe,
    generator_fits_antenna,
    physics_fits_probes,
    coolant_needs_cooling,
    overrides_are_used,
    mesh_surfaces_are_known,
    flow_is_laminar,
    tip_lies_in_block,
    tumour_lies_in_block,
    probes_miss_vessels,
    probes_do_not_touch,
)


def _used_tissues(draft: Draft) -> tuple[str, ...]:
    if draft.anatomy is not None:
        tumour = draft.anatomy.tumour
        names = [draft.anatomy.liver.tissue] + ([tumour.tissue] if tumour else [])
    else:
        file = draft.labelmap or draft.mesh
        names = [name for _, name in file.tissues] if file is not None else []
    return tuple(dict.fromkeys(names))
