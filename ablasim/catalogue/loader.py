"""Reads the catalogue's YAML files once and turns entries into records in SI units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, cast

from ablasim.catalogue.records import (
    AntennaShape,
    ArrheniusData,
    BloodData,
    CoaxialData,
    Cooling,
    NeedleShape,
    PriorData,
    ProbeData,
    SarModel,
    Sources,
    TinesShape,
    TissueData,
    VesselKind,
    perfusion_conductance,
)
from ablasim.errors import UsageError
from ablasim.frames import CM_PER_S, MM
from ablasim.safe_yaml import closest, read_document

Entry = Mapping[str, Any]

# Key of the YAML file -> attribute of the record, factor to SI, unit as printed.
QUANTITIES: Mapping[str, tuple[str, float, str]] = MappingProxyType(
    {
        "density_kg_m3": ("density", 1.0, "kg/m3"),
        "heat_capacity_J_kgK": ("heat_capacity", 1.0, "J/kg/K"),
        "vapour_heat_capacity_J_m3K": ("vapour_rho_c", 1.0, "J/m3/K"),
        "conductivity_W_mK": ("conductivity", 1.0, "W/m/K"),
        "conductivity_slope_W_mK2": ("conductivity_slope", 1.0, "W/m/K2"),
        "water_fraction": ("water_fraction", 1.0, "1"),
        "sigma_S_m": ("sigma0", 1.0, "S/m"),
        "sigma_slope_per_K": ("sigma_slope", 1.0, "1/K"),
        "sigma_dry_ratio": ("sigma_dry_ratio", 1.0, "1"),
        "perfusion_W_m3K": ("perfusion", 1.0, "W/m3/K"),
        "perfusion_ml_min_100g": ("perfusion", 1.0, "ml/min/100 g"),
        "viscosity_Pa_s": ("viscosity", 1.0, "Pa s"),
        "efficiency": ("efficiency", 1.0, "1"),
        "diameter_mm": ("diameter", MM, "mm"),
        "velocity_cm_s": ("velocity", CM_PER_S, "cm/s"),
        "active_length_mm": ("active_length", MM, "mm"),
        "cone_length_mm": ("cone_length", MM, "mm"),
        "gap_length_mm": ("gap_length", MM, "mm"),
        "second_length_mm": ("second_length", MM, "mm"),
        "trocar_diameter_mm": ("trocar_diameter", MM, "mm"),
        "conducting_length_mm": ("conducting_length", MM, "mm"),
        "tine_count": ("tine_count", 1, "1"),
        "tine_radius_mm": ("tine_radius", MM, "mm"),
        "arc_radius_mm": ("arc_radius", MM, "mm"),
        "arc_centre_offset_mm": ("arc_centre_offset", MM, "mm"),
        "slot_from_tip_mm": ("slot_from_tip", MM, "mm"),
        "slot_length_mm": ("slot_length", MM, "mm"),
        "h_W_m2K": ("h", 1.0, "W/m2/K"),
        "coolant_C": ("coolant_temperature", 1.0, "°C"),
        "cooled_from_mm": ("cooled_from", MM, "mm"),
        "cooled_length_mm": ("cooled_length", MM, "mm"),
        "frequency_Hz": ("frequency", 1.0, "Hz"),
        "attenuation_Np_m": ("attenuation", 1.0, "Np/m"),
        "axial_length_mm": ("axial_length", MM, "mm"),
        "radial_offset_mm": ("radial_offset", MM, "mm"),
        "frequency_per_s": ("frequency", 1.0, "1/s"),
        "activation_energy_J_mol": ("activation_energy", 1.0, "J/mol"),
        "heat_centre_mm": ("heat_centre", MM, "mm"),
        "wire_diameter_mm": ("wire_diameter", MM, "mm"),
        "wire_length_mm": ("wire_length", MM, "mm"),
        "inner_radius_mm": ("inner_radius", MM, "mm"),
        "dielectric_radius_mm": ("dielectric_radius", MM, "mm"),
        "conductor_radius_mm": ("conductor_radius", MM, "mm"),
        "catheter_radius_mm": ("catheter_radius", MM, "mm"),
        "dielectric_permittivity": ("dielectric_permittivity", 1.0, "1"),
        "catheter_permittivity": ("catheter_permittivity", 1.0, "1"),
        "slot_permittivity": ("slot_permittivity", 1.0, "1"),
        "coax_end_mm": ("coax_end", MM, "mm"),
        "cap_mm": ("cap", MM, "mm"),
        "slot_start_mm": ("slot_start", MM, "mm"),
        "slot_end_mm": ("slot_end", MM, "mm"),
        "wire_mm": ("wire", MM, "mm"),
        "cable_loss_dB": ("cable_loss", 1.0, "dB"),
    }
)


class InfoRow(NamedTuple):
    """One number of the catalogue as `ablasim info` prints it."""

    name: str
    quantity: str
    value: float
    unit: str
    source: str


@cache
def blood() -> BloodData:
    """Blood at body temperature."""
    values, sources = _quantities(_file("tissues")["blood"])
    return BloodData(sources=sources, **values)


@cache
def tissue(name: str) -> TissueData:
    """A tissue by name; its perfusion is computed from the flow that the source measured."""
    entry = _entry("tissues", name, tissue_names())
    values, sources = _quantities(entry)
    if "perfusion_ml_min_100g" in entry:
        values["perfusion"] = perfusion_conductance(
            values["perfusion"], values["density"], blood().rho_c
        )
    return TissueData(name=name, title=entry["title"], sources=sources, **values)


@cache
def probe(name: str) -> ProbeData:
    """An applicator by name."""
    entry = _entry("probes", name, probe_names())
    own, sources = _quantities(entry)
    shape, shape_sources = _shape(entry["shape"])
    cooling, cooling_sources = _cooling(entry.get("cooling"))
    sar, sar_sources = _quantities(entry.get("sar", {}))
    coaxial, coaxial_sources = _quantities(entry.get("coaxial", {}))
    merged = {**sources, **shape_sources, **cooling_sources, **sar_sources, **coaxial_sources}
    return ProbeData(
        name=name,
        modality=entry["modality"],
        shape=shape,
        cooling=cooling,
        sar=SarModel(**sar) if sar else None,
        coaxial=CoaxialData(**coaxial) if coaxial else None,
        title=entry["title"],
        sources=MappingProxyType(merged),
        sensors=entry.get("sensors", "none"),
        **own,
    )


@cache
def vessel_kind(name: str) -> VesselKind:
    """A kind of vessel by name."""
    entry = _entry("vessels", name, vessel_kind_names())
    values, sources = _quantities(entry)
    return VesselKind(name=name, title=entry["title"], sources=sources, **values)


@cache
def arrhenius(name: str) -> ArrheniusData:
    """Kinetics of thermal injury by name."""
    entry = _entry("arrhenius", name, arrhenius_names())
    values, sources = _quantities(entry)
    return ArrheniusData(name=name, title=entry["title"], sources=sources, **values)


@cache
def prior(name: str, tissue: str = "") -> PriorData:
    """The prior of an uncertain input.

    Args:
        name: of the input.
        tissue: for a prior that differs between tissues; of a tissue without one of its own, that
            of the first one listed.
    """
    entry = _entry("priors", name, prior_names())
    listed = entry.get("tissues")
    chosen, known = entry, ""
    if listed is not None:
        known = tissue if tissue in listed else next(iter(listed))
        chosen = listed[known]
    return PriorData(
        name=name,
        title=entry["title"],
        unit=entry["unit"],
        prior=chosen["prior"],
        source=_source(chosen),
        assumed=bool(chosen.get("assumed", False)),
        tissue=known,
    )


@cache
def prior_names() -> tuple[str, ...]:
    """Names that `prior` knows."""
    return tuple(_file("priors"))


@cache
def prior_tissues(name: str) -> tuple[str, ...]:
    """Tissues that have a prior of their own for an input; none where it is one for all."""
    return tuple(_entry("priors", name, prior_names()).get("tissues", ()))


@cache
def arrhenius_names() -> tuple[str, ...]:
    """Names that `arrhenius` knows."""
    return tuple(_file("arrhenius"))


@cache
def tissue_names() -> tuple[str, ...]:
    """Names that `tissue` knows."""
    return tuple(name for name in _file("tissues") if name != "blood")


@cache
def probe_names() -> tuple[str, ...]:
    """Names that `probe` knows."""
    return tuple(_file("probes"))


@cache
def vessel_kind_names() -> tuple[str, ...]:
    """Names that `vessel_kind` knows."""
    return tuple(_file("vessels"))


def info_rows(kind: Literal["tissues", "probes", "vessels", "arrhenius"]) -> tuple[InfoRow, ...]:
    """Every number of one file of the catalogue, in the file's order, with its source."""
    if kind not in ("tissues", "probes", "vessels", "arrhenius"):
        raise UsageError(f"kind: got {kind!r}; use 'tissues', 'probes', 'vessels' or 'arrhenius'")
    return tuple(
        InfoRow(name, key, number["value"], QUANTITIES[key][2], _source(number))
        for name, entry in _file(kind).items()
        for key, number in _numbers(entry)
    )


def _entry(kind: str, name: str, names: tuple[str, ...]) -> Entry:
    if name not in names:
        near = closest(name, names)
        hint = f"; did you mean {near!r}?" if near else ""
        raise UsageError(f"{kind}: got {name!r}; use one of {', '.join(names)}{hint}")
    return cast(Entry, _file(kind)[name])


@cache
def _file(kind: str) -> Mapping[str, Any]:
    document = read_document(Path(__file__).with_name(f"{kind}.yaml"))
    return cast(Mapping[str, Any], document.data)


def _source(number: Entry) -> str:
    text = _file("sources")[number["source"]]
    return f"{text}: {number['note']}" if "note" in number else str(text)


def _numbers(entry: Entry) -> Iterator[tuple[str, Entry]]:
    """The quantities of an entry and of its groups (shape, cooling, sar)."""
    for key, value in entry.items():
        if key in QUANTITIES:
            yield key, value
        elif isinstance(value, Mapping):
            yield from _numbers(value)


def _quantities(entry: Entry) -> tuple[dict[str, Any], Sources]:
    """SI values and sources by attribute, of an entry without its groups."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for key in entry.keys() & QUANTITIES.keys():
        attribute, factor, _ = QUANTITIES[key]
        values[attribute] = entry[key]["value"] * factor
        sources[attribute] = _source(entry[key])
    return values, MappingProxyType(sources)


def _shape(group: Entry) -> tuple[NeedleShape | TinesShape | AntennaShape, Sources]:
    values, sources = _quantities(group)
    if group["kind"] == "needle":
        return NeedleShape(tip=group["tip"], **values), sources
    if group["kind"] == "tines":
        return TinesShape(**values), sources
    return AntennaShape(**values), sources


def _cooling(group: Entry | None) -> tuple[Cooling | None, Sources]:
    if group is None:
        return None, {}
    values, sources = _quantities(group)
    return Cooling(surfaces=tuple(group["surfaces"]), **values), sources
