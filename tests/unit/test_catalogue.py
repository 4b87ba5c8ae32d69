"""The catalogue: a source for every number, and the numbers that are documented."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Literal, get_args

import pytest

from ablasim import catalogue
from ablasim.catalogue import AntennaShape, NeedleShape, TinesShape
from ablasim.errors import UsageError

FIT = Path(__file__).resolve().parents[2] / "benchmarks" / "fit_parametric.py"

Kind = Literal["tissues", "probes", "vessels"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_has_a_source_and_a_unit(kind: Kind) -> None:
    rows = catalogue.info_rows(kind)
    assert rows
    for row in rows:
        assert math.isfinite(row.value), row
        assert len(row.source) > 15, row
        assert row.unit, row


def test_info_rows_hold_every_number_of_every_record() -> None:
    """A key that the loader does not know would be in the file and in no record."""
    counts = {kind: len(catalogue.info_rows(kind)) for kind in KINDS}
    records = len(catalogue.tissue_names()) * 10 + len(catalogue.blood().sources)
    assert counts["tissues"] == records
    assert counts["probes"] == sum(
        len(catalogue.probe(name).sources) for name in catalogue.probe_names()
    )
    assert counts["vessels"] == 2 * len(catalogue.vessel_kind_names())


def test_numbers_of_our_own_say_so() -> None:
    """The parametric microwave heat is a fit and must not look like a measurement."""
    sources = catalogue.probe("slot_antenna_2450").sources
    for name in ("axial_length", "radial_offset", "attenuation", "heat_centre", "efficiency"):
        assert sources[name].startswith("fitted to ablasim's field solution")
    assert "assumption" in catalogue.vessel_kind("hepatic_vein").sources["diameter"]


def test_liver_is_the_documented_one() -> None:
    liver = catalogue.tissue("liver")
    assert (liver.density, liver.heat_capacity, liver.conductivity) == (1079, 3540, 0.52)
    assert (liver.sigma0, liver.sigma_slope, liver.sigma_dry_ratio) == (0.333, 0.015, 1e-2)
    assert (liver.conductivity_slope, liver.water_fraction) == (0.0011, 0.74)
    assert liver.vapour_rho_c == 0.6e6
    assert liver.rho_c == pytest.approx(3.8197e6, rel=1e-4)
    assert liver.latent_heat == pytest.approx(1079 * 0.74 * 2.26e6)


@pytest.mark.parametrize(
    ("flow", "expected"),
    [(10, 6.71e3), (20, 1.34e4), (50, 3.36e4), (80, 5.37e4), (100, 6.71e4), (120, 8.05e4)],
)
def test_perfusion_conversion(flow: float, expected: float) -> None:
    """W [W/m3/K] from ml/min/100 g: leaving out the tissue's density is the usual mistake."""
    conductance = catalogue.perfusion_conductance(flow, 1060.0, 1050.0 * 3617.0)
    assert conductance == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "flow"),
    [("liver", 89.6), ("cirrhotic_liver", 44.7), ("colorectal_metastasis", 19.3)],
)
def test_perfusion_comes_from_the_measured_flow(name: str, flow: float) -> None:
    tissue, blood = catalogue.tissue(name), catalogue.blood()
    assert tissue.perfusion == pytest.approx(flow / 6e6 * tissue.density * blood.rho_c)


def test_tumours_are_perfused_between_nothing_and_the_liver() -> None:
    liver = catalogue.tissue("liver").perfusion
    for name in ("colorectal_metastasis", "hepatocellular_carcinoma", "outside_liver"):
        assert 0 < catalogue.tissue(name).perfusion < liver


@pytest.mark.parametrize("length", [30, 20])
def test_cooled_needles(length: int) -> None:
    needle = catalogue.probe(f"cooled_needle_17g_{length}mm")
    assert isinstance(needle.shape, NeedleShape)
    assert needle.modality == "rf" and needle.shape.tip == "flat" and needle.sar is None
    assert needle.radius == pytest.approx(0.735e-3)
    assert needle.shape.active_length == pytest.approx(length * 1e-3)
    assert needle.active_centre == pytest.approx(length / 2 * 1e-3)
    assert needle.cooling is not None
    assert (needle.cooling.h, needle.cooling.coolant_temperature) == (3366, 10)
    assert needle.cooling.surfaces == ("active",)


def test_four_tine_electrode() -> None:
    probe = catalogue.probe("four_tine_electrode")
    assert isinstance(probe.shape, TinesShape)
    assert probe.cooling is None and probe.radius == pytest.approx(0.9144e-3)
    assert isinstance(probe.shape.tine_count, int) and probe.shape.tine_count == 4
    ahead, aside = probe.reach
    assert ahead == pytest.approx(7.7667e-3)
    assert aside == pytest.approx(15.7667e-3)


def test_slot_antenna() -> None:
    probe = catalogue.probe("slot_antenna_2450")
    assert isinstance(probe.shape, AntennaShape)
    assert probe.modality == "mw" and probe.radius == pytest.approx(0.895e-3)
    assert probe.active_centre == pytest.approx(6.5e-3)
    assert probe.coaxial is not None and probe.frequency == 2.45e9 and probe.arriving == 1.0
    assert probe.coaxial.slot_end - probe.coaxial.slot_start == pytest.approx(1e-3)
    assert probe.coaxial.catheter_radius == pytest.approx(probe.radius)
    assert probe.cooling is not None and probe.cooling.h == 0


def test_monopole() -> None:
    probe = catalogue.probe("monopole_ji_brace")
    assert isinstance(probe.shape, AntennaShape) and probe.coaxial is not None
    assert probe.radius == pytest.approx(1.1e-3)
    assert probe.radiating_radius == pytest.approx(probe.coaxial.inner_radius)
    assert probe.coaxial.coax_end == probe.coaxial.wire == pytest.approx(13e-3)


@pytest.mark.parametrize("name", ["slot_antenna_2450", "monopole_ji_brace"])
def test_parametric_heat_is_the_fit_of_the_field(name: str) -> None:
    """The catalogue's numbers are those that the committed fit prints."""
    spec = importlib.util.spec_from_file_location("fit_parametric", FIT)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    probe = catalogue.probe(name)
    found, misplaced, absorbed = tool.fit(probe, "ji_brace_2011")
    assert probe.sar is not None
    sar = probe.sar
    numbers = (sar.attenuation, sar.axial_length, sar.radial_offset, sar.heat_centre)
    assert found == pytest.approx(numbers, rel=5e-3)
    assert absorbed == pytest.approx(probe.efficiency, rel=1e-3)
    assert misplaced < 0.4


@pytest.mark.parametrize(
    ("name", "diameter_mm", "velocity_cm_s"),
    [("portal_vein", 6, 12), ("hepatic_vein", 5, 10), ("hepatic_artery", 4, 40)],
)
def test_vessel_kinds(name: str, diameter_mm: float, velocity_cm_s: float) -> None:
    kind = catalogue.vessel_kind(name)
    assert kind.diameter == pytest.approx(diameter_mm * 1e-3)
    assert kind.velocity == pytest.approx(velocity_cm_s * 1e-2)


def test_overrides_leave_the_catalogue_alone() -> None:
    liver = catalogue.tissue("liver")
    changed = liver.with_overrides(conductivity=0.6)
    assert changed.conductivity == 0.6 and changed.sources["conductivity"] == "scenario"
    assert catalogue.tissue("liver").conductivity == 0.52
    assert changed.sources["density"] == liver.sources["density"]


def test_unknown_name_lists_the_allowed_ones() -> None:
    with pytest.raises(UsageError, match=r"got 'livr'; use one of liver, .*did you mean 'liver'"):
        catalogue.tissue("livr")
    with pytest.raises(UsageError, match="use 'tissues', 'probes', 'vessels' or 'arrhenius'"):
        catalogue.info_rows("drugs")  # type: ignore[arg-type]
