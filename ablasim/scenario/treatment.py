"""What is done and how it is simulated: probes, physics, assessment, numerics."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ablasim import catalogue
from ablasim.frames import MHZ, MM
from ablasim.scenario.fields import ArrheniusName, Point, ProbeName, Section, Temperature, fault


class ProbePlacement(Section):
    """A probe of the catalogue and where it lies.

    The entry gives the direction: the shaft runs from the tip through the entry and on, out of the
    simulated region.
    """

    model: ProbeName
    tip_mm: Point = Field(description="the probe's tip in LPS [mm]")
    entry_mm: Point = Field(description="a point of its track towards the skin in LPS [mm]")
    roll_deg: float = Field(
        default=0.0, strict=True, ge=-360, le=360, description="turn about its own axis [degrees]"
    )
    coolant_C: Temperature | None = Field(
        default=None, description="temperature of the coolant; by default the catalogue's [°C]"
    )
    coolant_h_W_m2K: float | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=1e5,
        description="heat transfer to the coolant; by default the catalogue's [W/m2/K]",
    )

    cable_loss_dB: float | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=20,
        description="loss between generator and microwave antenna; by default the catalogue's [dB]",
    )
    frequency_MHz: float | None = Field(
        default=None,
        strict=True,
        gt=0,
        le=30_000,
        description="of the microwave generator; by default the catalogue's [MHz]",
    )

    @model_validator(mode="after")
    def _tip_is_not_entry(self) -> ProbePlacement:
        if math.dist(self.tip_mm, self.entry_mm) < 1.0:
            raise fault(
                f"got tip_mm and entry_mm both at {list(self.tip_mm)}; they must lie at least 1 mm"
                " apart: entry_mm is a point of the track towards the skin"
            )
        return self

    @property
    def direction(self) -> tuple[float, float, float]:
        """Unit vector from the tip towards the entry."""
        length = math.dist(self.tip_mm, self.entry_mm)
        x, y, z = ((b - a) / length for a, b in zip(self.tip_mm, self.entry_mm, strict=True))
        return x, y, z

    @property
    def data(self) -> catalogue.ProbeData:
        """The catalogue's probe with this placement's coolant, cable and frequency."""
        data = catalogue.probe(self.model).with_cooling(self.coolant_C, self.coolant_h_W_m2K)
        frequency = None if self.frequency_MHz is None else self.frequency_MHz * MHZ
        return data.with_generator(self.cable_loss_dB, frequency)

    @property
    def active_centre_mm(self) -> tuple[float, float, float]:
        """Middle of the heating part in LPS [mm]."""
        along = self.data.active_centre / MM
        x, y, z = (a + along * d for a, d in zip(self.tip_mm, self.direction, strict=True))
        return x, y, z


class Physics(Section):
    """Choices of the physical model."""

    perfusion_shutdown: Literal["peak_60C", "none", "arrhenius", "three_state"] = Field(
        default="peak_60C",
        description="what ends perfusion: 60 °C once reached, nothing, an Arrhenius integral Omega"
        " (perfusion times exp(-Omega)), or more than 0.8 dead cells of the three-state model",
    )
    perfusion_arrhenius_set: ArrheniusName | None = Field(
        default=None,
        description="kinetics by which perfusion ends; by default assessment.arrhenius_set",
    )
    vaporisation_band_C: tuple[
        Annotated[float, Field(strict=True, ge=85, le=120)],
        Annotated[float, Field(strict=True, ge=85, le=120)],
    ] = Field(default=(99.0, 100.0), description="temperatures between which water vaporises [°C]")
    sigma_drop_K: float = Field(
        default=5.0,
        strict=True,
        gt=0,
        le=100,
        description="width of the fall of electrical conductivity above 100 °C [K]",
    )
    microwave_model: Literal["field", "parametric"] = Field(
        default="field",
        description="microwave heat from the antenna's field, solved again as the tissue heats, or"
        " from a fixed pattern fitted to it",
    )
    microwave_dielectric: Literal[
        "ji_brace_2011", "lopresto", "ji_brace_2011_at_37C", "lopresto_at_37C", "comsol_constant"
    ] = Field(
        default="ji_brace_2011",
        description="permittivity and conductivity of liver at the antenna's frequency; those named"
        " _at_37C and comsol_constant do not change with temperature",
    )
    blood_temperature_C: Temperature = Field(default=37.0, description="blood and perfusion [°C]")
    blood_warming: bool = Field(
        default=True,
        strict=True,
        description="whether blood warms on its way along a vessel; if not, it stays at its"
        " temperature, which overrates slow flow",
    )
    vessel_stasis: Literal["small_vessels", "none"] = Field(
        default="small_vessels",
        description="whether a meshed vessel thinner than 3 mm loses its flow for good once its"
        " wall has been above 65 °C for a minute",
    )
    initial_temperature_C: Temperature = Field(default=37.0, description="tissue at the start [°C]")

    @model_validator(mode="after")
    def _set_is_used(self) -> Physics:
        if self.perfusion_arrhenius_set is not None and self.perfusion_shutdown != "arrhenius":
            raise fault(
                f"got perfusion_arrhenius_set {self.perfusion_arrhenius_set!r} with"
                f" perfusion_shutdown {self.perfusion_shutdown!r}, which uses none; remove the key"
                " or set perfusion_shutdown to 'arrhenius'"
            )
        return self

    @field_validator("vaporisation_band_C")
    @classmethod
    def _band_is_ordered(cls, band: tuple[float, float]) -> tuple[float, float]:
        if not band[0] < band[1]:
            raise fault(f"got {list(band)}; the first temperature must be below the second")
        return band


class Boundary(Section):
    """Conditions on the outer surface."""

    potential: Literal["far_field", "ground"] = Field(
        default="far_field", description="pad far away, or the outer surface at 0 V"
    )
    temperature: Literal["body", "insulated"] = Field(
        default="body", description="outer surface at blood temperature, or no heat through it"
    )


class Assessment(Section):
    """What counts as dead, and the margin that is aimed at."""

    criterion: Literal[
        "peak_60C", "peak_54C", "peak_50C", "cem43_240", "arrhenius", "three_state"
    ] = Field(
        default="peak_60C",
        description="what kills: a temperature once it was reached, 240 equivalent minutes at"
        " 43 °C, an Arrhenius integral of 1, or more than 0.8 dead cells of the three-state model",
    )
    arrhenius_set: ArrheniusName = Field(
        default="hepg2", description="kinetics of the Arrhenius criterion"
    )
    target_margin_mm: float = Field(
        default=5.0, strict=True, ge=0, le=50, description="ablative margin that is aimed at [mm]"
    )


class Numerics(Section):
    """Resolution in space and time."""

    resolution: Literal["preview", "standard", "fine"] = Field(
        default="standard", description="size of the mesh and of the time steps"
    )
    time_tolerance_K: float | None = Field(
        default=None,
        strict=True,
        gt=0,
        le=10,
        description="error of one time step; by default set by the resolution; from 0.01 down an"
        " antenna's field is solved in every step, from 0.002 down steps add no"
        " delay of their own to tissue that dries, and the potential is solved more closely [K]",
    )
    max_step_s: float | None = Field(
        default=None,
        strict=True,
        gt=0,
        le=600,
        description="longest time step; by default set by the resolution [s]",
    )


class TissueOverride(Section):
    """Numbers that replace the catalogue's for one tissue."""

    density_kg_m3: float | None = Field(default=None, strict=True, gt=0, le=5000)
    heat_capacity_J_kgK: float | None = Field(default=None, strict=True, gt=0, le=10_000)
    vapour_heat_capacity_J_m3K: float | None = Field(default=None, strict=True, gt=0, le=1e7)
    conductivity_W_mK: float | None = Field(default=None, strict=True, gt=0, le=10)
    conductivity_slope_W_mK2: float | None = Field(default=None, strict=True, ge=0, le=0.1)
    water_fraction: float | None = Field(default=None, strict=True, ge=0, le=1)
    sigma_S_m: float | None = Field(default=None, strict=True, gt=0, le=10)
    sigma_slope_per_K: float | None = Field(default=None, strict=True, ge=0, le=0.1)
    sigma_dry_ratio: float | None = Field(default=None, strict=True, gt=0, le=1)
    perfusion_W_m3K: float | None = Field(default=None, strict=True, ge=0, le=1e6)
    perfusion_ml_min_100g: float | None = Field(default=None, strict=True, ge=0, le=1500)

    @model_validator(mode="after")
    def _perfusion_is_given_once(self) -> TissueOverride:
        if self.perfusion_W_m3K is not None and self.perfusion_ml_min_100g is not None:
            raise fault("got both perfusion_W_m3K and perfusion_ml_min_100g; give only one of them")
        return self

    def apply(self, tissue: catalogue.TissueData) -> catalogue.TissueData:
        """The tissue with these numbers in place of the catalogue's."""
        values = {catalogue.QUANTITIES[key][0]: value for key, value in self if value is not None}
        changed = tissue.with_overrides(**values)
        if self.perfusion_ml_min_100g is not None:
            conductance = catalogue.perfusion_conductance(
                self.perfusion_ml_min_100g, changed.density, catalogue.blood().rho_c
            )
            changed = changed.with_overrides(perfusion=conductance)
        return changed
