"""What the catalogue knows of a tissue, a probe, a vessel kind and blood: SI units, °C.

Every record carries `sources`: for each attribute, where its number comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

LATENT_HEAT_OF_WATER = 2.26e6
"""Heat of vaporisation of water at 100 °C [J/kg]."""

Sources = Mapping[str, str]
_NO_SOURCES: Sources = MappingProxyType({})


@dataclass(frozen=True)
class BloodData:
    """Blood at body temperature."""

    density: float  # [kg/m3]
    heat_capacity: float  # [J/kg/K]
    conductivity: float  # thermal [W/m/K]
    viscosity: float  # [Pa s]
    sources: Sources = field(default=_NO_SOURCES, compare=False, repr=False)

    @property
    def rho_c(self) -> float:
        """Volumetric heat capacity [J/m3/K]."""
        return self.density * self.heat_capacity


@dataclass(frozen=True)
class TissueData:
    """A tissue's thermal and electrical numbers (laws: `ablasim.physics.tissue`).

    Conductivity is k = conductivity + conductivity_slope (T - 37), constant above 100 °C.
    Electrical conductivity is sigma0 (1 + sigma_slope (T - 37)) up to 100 °C and falls to
    sigma_dry_ratio sigma0 above.
    """

    name: str
    density: float  # [kg/m3]
    heat_capacity: float  # [J/kg/K]
    vapour_rho_c: float  # dried tissue, volumetric [J/m3/K]
    conductivity: float  # thermal, at 37 °C [W/m/K]
    conductivity_slope: float  # [W/m/K2]
    water_fraction: float  # kg of water per kg of tissue [1]
    sigma0: float  # electrical conductivity at 37 °C, near 500 kHz [S/m]
    sigma_slope: float  # relative to sigma0 [1/K]
    sigma_dry_ratio: float  # of dried tissue, relative to sigma0 [1]
    perfusion: float  # rho_b c_b omega_b [W/m3/K]
    title: str = ""
    sources: Sources = field(default=_NO_SOURCES, compare=False, repr=False)

    @property
    def rho_c(self) -> float:
        """Volumetric heat capacity below the vaporisation band [J/m3/K]."""
        return self.density * self.heat_capacity

    @property
    def latent_heat(self) -> float:
        """Heat that vaporises the tissue's water [J/m3]."""
        return self.density * self.water_fraction * LATENT_HEAT_OF_WATER

    def with_overrides(self, source: str = "scenario", **values: float) -> TissueData:
        """A copy with some attributes replaced; `source` says by whom."""
        sources = {**self.sources, **dict.fromkeys(values, source)}
        return replace(self, sources=MappingProxyType(sources), **values)  # type: ignore[arg-type]


def perfusion_conductance(
    flow_ml_min_100g: float, tissue_density: float, blood_rho_c: float
) -> float:
    """Perfusion W = rho_b c_b omega_b [W/m3/K] from a flow in ml of blood/min/100 g of tissue."""
    per_second_and_kg = flow_ml_min_100g * 1e-6 / 60.0 / 0.1
    return per_second_and_kg * tissue_density * blood_rho_c


@dataclass(frozen=True)
class NeedleShape:
    """A straight needle; its active part starts at the tip.

    A bipolar needle has a second active part farther up, behind an insulating gap.
    """

    diameter: float  # [m]
    active_length: float  # from the tip, cone included [m]
    tip: Literal["flat", "cone"]
    cone_length: float = 0.0  # [m]
    gap_length: float = 0.0  # between the two active parts [m]
    second_length: float = 0.0  # of the second active part; 0 where there is none [m]


@dataclass(frozen=True)
class TinesShape:
    """A trocar with tines that are half tori in planes through its axis.

    Each arc starts near the trocar's end (the placement's tip), runs forward and outward, and ends
    pointing back, at the height of the trocar's end.
    """

    trocar_diameter: float  # [m]
    conducting_length: float  # of the trocar, from its end; the tines conduct over all their length
    tine_count: int
    tine_radius: float  # of the wire [m]
    arc_radius: float  # of the wire's centre line [m]
    arc_centre_offset: float  # of the arc's centre from the trocar's axis [m]


@dataclass(frozen=True)
class AntennaShape:
    """A straight microwave antenna, radiating from one slot or from a bare end of its conductor.

    The bare end counts as the slot: its middle and its length."""

    diameter: float  # of the catheter, or of the cable without one [m]
    slot_from_tip: float  # centre of the slot above the antenna's bottom [m]
    slot_length: float  # [m]
    wire_diameter: float = 0.0  # of the bare inner conductor ahead of the cable [m]
    wire_length: float = 0.0  # of it, from the tip [m]


@dataclass(frozen=True)
class Cooling:
    """Coolant inside the probe, seen from the tissue as a Robin condition; h = 0 is no cooling."""

    h: float  # [W/m2/K]
    coolant_temperature: float  # [°C]
    surfaces: tuple[str, ...]  # active parts, and "cooled" for a cooled part of the shaft
    cooled_from: float = 0.0  # where the cooled shaft starts, from the tip [m]
    cooled_length: float = 0.0  # length of the cooled shaft [m]


@dataclass(frozen=True)
class SarModel:
    """Parametric microwave heat around a radiating part of radius a, axial distance z from the
    middle of the heat:

    Q(r, z) = P_abs N exp(-(z/L)²) exp(-2 alpha (r - a)) / (r + r_s),

    with N such that Q integrates to the absorbed power P_abs over the tissue.
    """

    frequency: float  # [Hz]
    attenuation: float  # alpha [Np/m]
    axial_length: float  # L [m]
    radial_offset: float  # r_s [m]
    heat_centre: float  # middle of the heat above the antenna's bottom [m]


@dataclass(frozen=True)
class CoaxialData:
    """Cross-section of a coaxial antenna for its field; lengths along it from the tip [m].

    Cable of an inner conductor, a dielectric and an outer conductor, in a catheter; it begins at
    ``coax_end``, closed by metal of length ``cap``, or open with ``wire`` of bare conductor ahead.
    """

    inner_radius: float
    dielectric_radius: float
    conductor_radius: float
    catheter_radius: float
    dielectric_permittivity: float  # relative [1]
    catheter_permittivity: float  # relative [1]
    slot_permittivity: float  # relative, of what fills the slot [1]
    coax_end: float
    cap: float
    slot_start: float
    slot_end: float
    wire: float


@dataclass(frozen=True)
class ProbeData:
    """An applicator: what it is made of, how it is cooled, and how it heats."""

    name: str
    modality: Literal["rf", "mw"]
    shape: NeedleShape | TinesShape | AntennaShape
    cooling: Cooling | None
    sar: SarModel | None  # microwave only
    efficiency: float  # of the power at the probe, absorbed by the tissue [1]
    coaxial: CoaxialData | None = None  # microwave only: what its field is solved with
    cable_loss: float = 0.0  # between generator and probe [dB]
    title: str = ""
    sources: Sources = field(default=_NO_SOURCES, compare=False, repr=False)
    sensors: Literal["none", "tine_tips"] = "none"  # thermometers that a generator can read

    @property
    def bipolar(self) -> bool:
        """Whether both poles of the generator are on this probe."""
        return isinstance(self.shape, NeedleShape) and self.shape.second_length > 0.0

    @property
    def active_parts(self) -> dict[str, tuple[float, float]]:
        """Where each active part begins and ends, along the axis from the tip [m, m]."""
        if isinstance(self.shape, TinesShape):
            return {"active": (0.0, self.shape.conducting_length)}
        if isinstance(self.shape, AntennaShape):
            return {"active": (0.0, self.shape.slot_from_tip + 0.5 * self.shape.slot_length)}
        first, start = self.shape.active_length, self.shape.active_length + self.shape.gap_length
        if not self.bipolar:
            return {"active": (0.0, first)}
        return {"active": (0.0, first), "active2": (start, start + self.shape.second_length)}

    @property
    def radius(self) -> float:
        """Radius of the shaft [m]."""
        if isinstance(self.shape, TinesShape):
            return self.shape.trocar_diameter / 2
        return self.shape.diameter / 2

    @property
    def frequency(self) -> float | None:
        """Of the generator [Hz]; None for radiofrequency, where it does not matter."""
        return None if self.sar is None else self.sar.frequency

    @property
    def arriving(self) -> float:
        """Share of the generator's power that arrives at the probe [1]."""
        share: float = 10.0 ** (-self.cable_loss / 10.0)
        return share

    @property
    def active_centre(self) -> float:
        """Middle of the heating part, along the axis from the tip towards the entry [m]."""
        if isinstance(self.shape, NeedleShape):
            return max(end for _, end in self.active_parts.values()) / 2
        if isinstance(self.shape, AntennaShape):
            return self.shape.slot_from_tip
        return (self.shape.conducting_length - self.shape.arc_radius) / 2

    @property
    def radiating_radius(self) -> float:
        """Radius of the part that heats: of the bare wire, or of the shaft [m]."""
        if isinstance(self.shape, AntennaShape) and self.shape.wire_diameter > 0.0:
            return self.shape.wire_diameter / 2
        return self.radius

    @property
    def reach(self) -> tuple[float, float]:
        """Metal that lies ahead of the tip, and farthest from the axis [m, m]."""
        if isinstance(self.shape, TinesShape):
            ahead = self.shape.arc_radius + self.shape.tine_radius
            return ahead, self.shape.arc_centre_offset + ahead
        return 0.0, self.radius

    def with_generator(
        self, cable_loss: float | None = None, frequency: float | None = None
    ) -> ProbeData:
        """A copy for another cable [dB] or generator [Hz]; None keeps the catalogue's value."""
        probe = self if cable_loss is None else replace(self, cable_loss=cable_loss)
        if frequency is None or probe.sar is None:
            return probe
        return replace(probe, sar=replace(probe.sar, frequency=frequency))

    def with_cooling(
        self, coolant_temperature: float | None = None, h: float | None = None
    ) -> ProbeData:
        """A copy whose coolant is changed; None keeps the catalogue's value."""
        if self.cooling is None or (coolant_temperature is None and h is None):
            return self
        cooling = self.cooling
        if coolant_temperature is not None:
            cooling = replace(cooling, coolant_temperature=coolant_temperature)
        if h is not None:
            cooling = replace(cooling, h=h)
        return replace(self, cooling=cooling)


@dataclass(frozen=True)
class VesselKind:
    """A kind of vessel with its typical calibre and mean blood velocity."""

    name: str
    diameter: float  # [m]
    velocity: float  # [m/s]
    title: str = ""
    sources: Sources = field(default=_NO_SOURCES, compare=False, repr=False)


@dataclass(frozen=True)
class ArrheniusData:
    """Kinetics of thermal injury: rate A exp(-Ea/(R T)); laws in `ablasim.physics.damage`."""

    name: str
    frequency: float  # A [1/s]
    activation_energy: float  # Ea [J/mol]
    title: str = ""
    sources: Sources = field(default=_NO_SOURCES, compare=False, repr=False)


@dataclass(frozen=True)
class PriorData:
    """What is known beforehand of one uncertain input.

    Attributes:
        name: of the input.
        title: for people.
        unit: of its values.
        prior: the distribution as a scenario writes it.
        source: where it comes from, in words.
        assumed: that no published source stands behind it.
        tissue: that it is for; empty for any.
    """

    name: str
    title: str
    unit: str
    prior: Mapping[str, Any]
    source: str
    assumed: bool
    tissue: str = ""
