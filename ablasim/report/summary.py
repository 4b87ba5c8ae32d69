"""summary.json: every number of a run in flat groups, the unit in the key, lengths in mm, LPS.

A number that does not exist or is not finite is null. Numbers keep six significant digits, far more
than they deserve; the report rounds for reading.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablasim import __version__
from ablasim.assess.margin import TumourMargin
from ablasim.assess.zone import LethalZone
from ablasim.catalogue import QUANTITIES, TissueData, arrhenius
from ablasim.frames import CM_PER_S, ML, MM
from ablasim.mesh_cut import tet_fraction_above
from ablasim.physics.binding_vessels import BranchFlow
from ablasim.physics.damage import OMEGA
from ablasim.report.microwave import mismatch, power_balance
from ablasim.report.palette import NOTICE
from ablasim.report.record import RunRecord
from ablasim.scenario import inputs_sha256

Group = dict[str, Any]

SIGNIFICANT_DIGITS = 6

PACKAGES: tuple[str, ...] = (
    "numpy",
    "scipy",
    "jax",
    "pyamg",
    "scikit-fem",
    "mmgpy",
    "meshio",
    "SimpleITK",
)
PACKAGES += ("pyvista", "pydantic")


def build_summary(record: RunRecord) -> Group:
    """The content of summary.json."""
    scenario = record.scenario
    summary = {
        "name": scenario.name,
        "description": scenario.description,
        "notice": NOTICE,
        "status": record.solution.status.value,
        "warnings": _warnings(record),
        "zone": _zones(record),
        "margin": None if record.margin is None else _margin(record, record.margin),
        "energy": _energy(record),
        "thermal": _thermal(record),
        "vessels": {name: _vessel(record, name) for name in record.flows},
        "generator": _generator(record),
        "microwave": power_balance(record),
        "model": _model(record),
        "mesh": _mesh(record),
        "numerics": _numerics(record),
        "timing_s": dict(record.timing),
        "frame": {"axes": "LPS", "unit": "mm"},
        "probes": [_probe(record, index) for index in range(len(record.probes))],
        "surfaces": _surfaces(record),
        "tissues": {region: _tissue(data) for region, data in record.tissues.items()},
        "scenario": scenario.model_dump(mode="json", exclude_none=True),
        "versions": versions(),
        "inputs_sha256": record.inputs or inputs_sha256(scenario),
    }
    tidied: Group = tidy(summary)
    return tidied


def tidy(value: Any) -> Any:
    """Plain JSON types, six significant digits, null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): tidy(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return tidy(value.tolist())
    if isinstance(value, list | tuple):
        return [tidy(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            return None
        return float(f"{float(value):.{SIGNIFICANT_DIGITS}g}")
    return value


def _warnings(record: RunRecord) -> list[str]:
    found = list(record.warnings)
    found += mismatch(record)
    found += record.zone.warnings if record.margin is None else record.margin.warnings
    return list(dict.fromkeys(found))


def _zones(record: RunRecord) -> Group:
    short = [zone.short_axis for zone in record.zones.values() if not zone.is_empty]
    return {
        "criterion": record.scenario.assessment.criterion,
        "short_axis_spread_mm": (max(short) - min(short)) / MM if short else None,
        **{criterion: _zone(zone) for criterion, zone in record.zones.items()},
    }


def _zone(zone: LethalZone) -> Group:
    group: Group = {
        "title": zone.title or f"{zone.level:g} °C",
        "says": zone.says or f"reached {zone.level:g} °C",
        "volume_ml": zone.volume / ML,
        "tissue_volume_ml": zone.tissue_volume / ML,
        "cooled_rim_ml": zone.rim_volume / ML,
        "probe_volume_ml": zone.probe_volume / ML,
        "long_axis_mm": zone.long_axis / MM,
        "short_axis_mm": zone.short_axis / MM,
        "wide_axis_mm": zone.wide_axis / MM,
        "sphericity": None if zone.is_empty else zone.sphericity,
        "surface_mm2": zone.surface_area / MM**2,
        "reaches_outer": zone.reaches_outer,
    }
    return group | {f"{name}_ml": volume / ML for name, volume in zone.region_volume.items()}


def _margin(record: RunRecord, margin: TumourMargin) -> Group:
    known = [each for each in record.minimal_margins.values() if each is not None]
    below, thin, enough, wide = margin.class_fractions
    nearest = margin.nearest_vessel
    return {
        "minimal_mm": _mm(margin.minimal),
        "by_criterion": {name: _mm(each) for name, each in record.minimal_margins.items()},
        # a criterion without a zone has no margin: the others alone would say too little
        "criterion_spread_mm": (max(known) - min(known)) / MM
        if known and len(known) == len(record.minimal_margins)
        else None,
        "criteria_without_zone": len(record.minimal_margins) - len(known),
        "thinnest_point_mm": None if margin.thinnest_point is None else margin.thinnest_point / MM,
        "nearest_vessel": nearest.name if nearest else None,
        "nearest_vessel_kind": nearest.kind if nearest else None,
        "nearest_vessel_diameter_mm": _mm(nearest.diameter) if nearest else None,
        "nearest_vessel_distance_mm": nearest.distance / MM if nearest else None,
        "fraction_below_0": below,
        "fraction_0_5": thin,
        "fraction_5_10": enough,
        "fraction_above_10": wide,
        "fraction_subcapsular": margin.subcapsular_fraction,
        "subcapsular_minimal_mm": _mm(margin.subcapsular_minimal),
        "tumour_covered_fraction": margin.covered_fraction,
        "tumour_volume_ml": margin.tumour_volume / ML,
        "residual_ml": margin.residual_volume / ML,
        "vessel_distance_mm": {vessel.name: vessel.distance / MM for vessel in margin.vessels},
        # of the widest branch that is near enough to be a heat sink, else of the nearest
        "vessel_diameter_mm": {
            vessel.name: _mm(vessel.widest or vessel.diameter) for vessel in margin.vessels
        },
        "heat_sinks": [vessel.name for vessel in margin.vessels if vessel.is_heat_sink],
    }


def _mm(length: float | None) -> float | None:
    return None if length is None else length / MM


def _energy(record: RunRecord) -> Group:
    """The account; what each vessel takes becomes the group `vessels`."""
    account = record.solution.energy
    group: Group = {key: value for key, value in account.items() if "." not in key}
    group["vessels"] = {
        key.removeprefix("vessel.").removesuffix("_J"): value
        for key, value in account.items()
        if key.startswith("vessel.")
    }
    return group


def _thermal(record: RunRecord) -> Group:
    solution, mesh = record.solution, record.mesh
    dried_from = record.scenario.physics.vaporisation_band_C[1]
    dried = tet_fraction_above(solution.peak[mesh.cells], dried_from) @ mesh.cell_volumes()
    tumour = np.unique(mesh.cells[mesh.region_cells("tumour")])
    # The maximum of a field is that of the electrode's corner, a singularity that measures the
    # mesh; the history's peak is exceeded in 10 mm3.
    hottest = solution.history.get("peak_C", np.empty(0))
    return {
        "peak_C": hottest.max() if hottest.size else None,
        "tumour_coldest_peak_C": solution.peak[tumour].min() if tumour.size else None,
        "dried_ml": float(dried) / ML,
        "blood_outlet_C": {
            wall.name.removeprefix("vessel."): solution.history[f"{wall.name}_blood_C"].max()
            for wall in record.walls
            if f"{wall.name}_blood_C" in solution.history
        },
    }


def _vessel(record: RunRecord, name: str) -> Group:
    """What was assumed of a vessel's blood, branch by branch, and what became of it."""
    wall = {wall.name: wall for wall in record.walls}.get(f"vessel.{name}")
    history = record.solution.history
    blood = history.get(f"vessel.{name}_blood_C", np.empty(0))
    stopped = history.get(f"vessel.{name}_stopped", np.zeros(1))
    return {
        "meshed": wall is not None,
        "heat_J": record.solution.energy.get(f"vessel.{name}_J"),
        "blood_in_C": None if wall is None else wall.temperature,
        "blood_warms": wall is not None and wall.stream is not None,
        # hottest end of a branch at any time
        "blood_out_C": blood.max() if blood.size else None,
        "branches_stopped": int(stopped[-1]) if stopped.size else 0,
        "branches": [_branch(flow) for flow in record.flows[name]],
    }


def _branch(assumed: BranchFlow) -> Group:
    branch, flow = assumed.branch, assumed.flow
    group: Group = {
        "diameter_mm": branch.diameter / MM,
        "velocity_cm_s": branch.velocity / CM_PER_S,
        "flow_ml_min": branch.flow / ML * 60.0,
        "reynolds": flow.reynolds,
        "graetz": flow.graetz,
        "h_W_m2K": assumed.coefficient,
    }
    if branch.length > 0.0:
        group |= {
            "length_mm": branch.length / MM,
            "from_mm": branch.points[0] / MM,
            "to_mm": branch.points[-1] / MM,
            "fed_by": branch.feeders,
        }
    return group


def _generator(record: RunRecord) -> Group:
    solution, protocol = record.solution, record.scenario.protocol
    duration = float(solution.times[-1]) if solution.times.size else math.nan
    delivered = solution.energy.get("delivered_J", math.nan)
    power, steps = (solution.history.get(name, np.empty(0)) for name in ("power_W", "step_s"))
    group: Group = {
        "mode": protocol.mode,
        "duration_s": duration,
        # what leaves the block towards a distant pad is the generator's power too
        "mean_power_W": power @ steps / steps.sum() if steps.size else None,
        "mean_power_in_block_W": delivered / duration if duration > 0.0 else None,
        "rolloffs": len(solution.rolloffs),
        "rolloff_times_s": list(solution.rolloffs),
    }
    for column in ("power_W", "voltage_V", "current_A", "impedance_ohm"):
        group[f"final_{column}"] = _last(solution.history.get(column))
    # with a body and a pad in series the generator sees more than the tissue does
    seen = solution.history.get("generator_power_W")
    if seen is not None:
        group["mean_generator_power_W"] = seen @ steps / steps.sum() if steps.size else None
        impedance = solution.history.get("generator_impedance_ohm")
        group["final_generator_impedance_ohm"] = _last(impedance)
    return group


def _last(values: NDArray[np.float64] | None) -> float | None:
    finite = values[np.isfinite(values)] if values is not None else np.empty(0)
    return float(finite[-1]) if finite.size else None


def _model(record: RunRecord) -> Group:
    """The choices that decide the answer more than any number does."""
    scenario = record.scenario
    return {
        **scenario.physics.model_dump(mode="json"),
        "potential_boundary": scenario.boundary.potential,
        "temperature_boundary": scenario.boundary.temperature,
        "criterion": scenario.assessment.criterion,
        "arrhenius": {name: _kinetics(name) for name in _arrhenius_sets(record)},
        "zone_is": "tissue at or above the level, the cooled rim it surrounds, the probe inside",
        "margin_is": "signed distance from the tumour's surface to tissue below the level",
    }


def _arrhenius_sets(record: RunRecord) -> list[str]:
    """Names of the kinetics that the run has integrated."""
    prefix = f"{OMEGA}_"
    return [key.removeprefix(prefix) for key in record.solution.damage if key.startswith(prefix)]


def _kinetics(name: str) -> Group:
    data = arrhenius(name)
    return {
        "frequency_per_s": data.frequency,
        "activation_energy_J_mol": data.activation_energy,
        "source": data.sources["frequency"],
    }


def _mesh(record: RunRecord) -> Group:
    mesh = record.mesh
    return {
        "points": len(mesh.points),
        "cells": len(mesh.cells),
        "min_quality": mesh.quality().min(),
        "h_min_mm": mesh.h_min() / MM,
        "regions": list(mesh.regions),
        "region_tissues": {region: data.name for region, data in record.tissues.items()},
    }


def _numerics(record: RunRecord) -> Group:
    counts = {
        key: int(value) if float(value).is_integer() else value
        for key, value in record.solution.statistics.items()
        if not (key.endswith("seconds") or key.startswith("microwave_"))
    }
    return {
        "resolution": record.scenario.numerics.resolution,
        **counts,
        "dtype": record.dtype,
        "engine": record.engine,
        "device": record.device,
    }


def _probe(record: RunRecord, index: int) -> Group:
    placed, probe = record.scenario.probes[index], record.probes[index]
    return {
        "model": placed.model,
        "modality": probe.data.modality,
        "tip_mm": placed.tip_mm,
        "entry_mm": placed.entry_mm,
        "active_centre_mm": placed.active_centre_mm,
        "active_length_mm": sum(b - a for a, b in probe.data.active_parts.values()) / MM,
        # places along the axis, from the tip: a bipolar probe has two
        "active_parts_mm": [[a / MM, b / MM] for a, b in probe.data.active_parts.values()],
        "diameter_mm": 2.0 * probe.data.radius / MM,
    }


def _surfaces(record: RunRecord) -> list[Group]:
    """The named surfaces in the order of their index in anatomy.vtp, with what is known of them."""
    vessels = {f"vessel.{vessel.name}": vessel for vessel in record.vessels}
    walls = {wall.name: wall for wall in record.walls}
    area = record.mesh.face_areas()
    found = []
    for index, name in enumerate(record.mesh.surfaces):
        kind = name.rsplit(".", 1)[-1]
        entry: Group = {"name": name, "kind": "active" if kind.startswith("active") else kind}
        if name.startswith("vessel."):
            entry["kind"] = "vessel"
        if name in vessels:
            vessel = vessels[name]
            speed = vessel.velocity
            entry |= {"kind": vessel.kind, "diameter_mm": _mm(vessel.diameter)}
            entry["velocity_cm_s"] = None if speed is None else speed / CM_PER_S
        if name in walls:
            mean = float(np.mean(walls[name].coefficient))
            entry |= {"h_W_m2K": mean, "coolant_C": walls[name].temperature}
        entry["area_mm2"] = float(area[record.mesh.face_surface == index].sum()) / MM**2
        found.append(entry)
    return found


def _tissue(data: TissueData) -> Group:
    """Every number of a tissue with its source."""
    group: Group = {}
    for key, (attribute, factor, _) in QUANTITIES.items():
        # Perfusion is listed twice in the catalogue's keys; the conductance is what the model uses.
        if attribute in TissueData.__dataclass_fields__ and key != "perfusion_ml_min_100g":
            value = getattr(data, attribute) / factor
            group[key] = {"value": value, "source": data.sources.get(attribute, "")}
    return group


def versions() -> Group:
    """Versions of ablasim, Python and the packages that decide a result."""
    found: Group = {"ablasim": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found
