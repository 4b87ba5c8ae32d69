"""Where the anatomy comes from: ideal shapes, a label map, or a mesh of one's own.

Lengths are in mm, coordinates in LPS. Exactly one of the three stands in a scenario.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from ablasim import catalogue
from ablasim.frames import CM_PER_S, MM
from ablasim.scenario.beside import BesideTumour
from ablasim.scenario.fields import (
    FilePath,
    Label,
    Length,
    Name,
    Point,
    Section,
    TissueName,
    Velocity,
    VesselKindName,
    changed,
    fault,
)


class Sphere(Section):
    """A spherical tumour."""

    shape: Literal["sphere"]
    centre_mm: Point = Field(description="centre in LPS [mm]")
    diameter_mm: Length = Field(description="diameter [mm]")
    tissue: TissueName = "colorectal_metastasis"


class Ellipsoid(Section):
    """An ellipsoidal tumour, its axes along x, y and z."""

    shape: Literal["ellipsoid"]
    centre_mm: Point = Field(description="centre in LPS [mm]")
    diameters_mm: tuple[Length, Length, Length] = Field(
        description="diameters along x, y and z [mm]"
    )
    tissue: TissueName = "colorectal_metastasis"


def _points_are_distinct(path: tuple[Point, ...]) -> tuple[Point, ...]:
    for i in range(1, len(path)):
        if math.dist(path[i - 1], path[i]) < 1e-3:
            raise fault(
                f"got the point {list(path[i])} twice in a row (entries {i - 1} and {i});"
                " points must differ: remove one"
            )
    return path


Path = Annotated[tuple[Point, ...], Field(min_length=2), AfterValidator(_points_are_distinct)]


class WallExchange(Section):
    """How a vessel's wall and its blood exchange heat."""

    correlation: Literal["hausen", "graetz", "sieder_tate", "developed", "developed_flux"] = Field(
        default="hausen",
        description="law for the wall coefficient: hausen or graetz (developing flow), sieder_tate"
        " (fast flow), developed (3.66) or developed_flux (4.36)",
    )
    heated_length_mm: Length = Field(
        default=50.0, description="length over which the flow is heated, for the correlation [mm]"
    )
    h_W_m2K: float | None = Field(
        default=None,
        strict=True,
        gt=0,
        le=1e5,
        description="wall coefficient of one's own in place of the correlation's [W/m2/K]",
    )

    @model_validator(mode="after")
    def _law_is_used(self) -> Self:
        for key in ("correlation", "heated_length_mm"):
            if self.h_W_m2K is not None and changed(self, key):
                raise fault(
                    f"got {key} {getattr(self, key)} beside h_W_m2K {self.h_W_m2K:g}, which takes"
                    f" the place of the correlation: remove {key} or h_W_m2K"
                )
        return self


class Vessel(WallExchange):
    """A tube along a polyline, in the direction of flow."""

    name: Name
    kind: VesselKindName
    path_mm: Path = Field(
        default=(),
        description="points of the centre line in LPS, in the direction of flow [mm]",
    )
    beside_tumour: BesideTumour | None = Field(
        default=None,
        description="in place of path_mm: a straight vessel at a distance from the tumour",
    )
    diameter_mm: Length = Field(
        default_factory=lambda data: catalogue.vessel_kind(data["kind"]).diameter / MM,
        description="inner diameter; by default that of the kind [mm]",
    )
    velocity_cm_s: Velocity = Field(
        default_factory=lambda data: catalogue.vessel_kind(data["kind"]).velocity / CM_PER_S,
        description="mean velocity of the blood; by default that of the kind [cm/s]",
    )

    wall_thickness_mm: float = Field(
        default=0.0,
        strict=True,
        ge=0,
        le=10,
        description="thickness of a wall around the blood, such as a glass tube's; 0: none [mm]",
    )
    wall_conductivity_W_mK: float | None = Field(
        default=None,
        strict=True,
        gt=0,
        le=500,
        description="thermal conductivity of that wall [W/m/K]",
    )

    @property
    def outer_diameter_mm(self) -> float:
        """Of the blood and the wall around it [mm]."""
        return self.diameter_mm + 2.0 * self.wall_thickness_mm

    def placed(self, tumour: Sphere | Ellipsoid | None) -> Vessel:
        """This vessel with its centre line; the same where it is given as a path.

        Raises:
            PydanticCustomError: there is no spherical tumour for it to lie beside.
        """
        if self.beside_tumour is None:
            return self
        if not isinstance(tumour, Sphere):
            got = "no tumour" if tumour is None else f"a tumour of the shape {tumour.shape}"
            raise fault(
                f"got beside_tumour for the vessel {self.name!r} with {got}; needs a sphere: give"
                " anatomy.tumour that shape, or the vessel a path_mm"
            )
        reach = 0.5 * (tumour.diameter_mm + self.outer_diameter_mm)
        path = self.beside_tumour.path(tumour.centre_mm, reach)
        return self.model_copy(update={"path_mm": path})

    @model_serializer(mode="wrap")
    def _as_given(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the path that follows from the tumour, which may be changed afterwards."""
        found: dict[str, Any] = serialise(self)
        if self.beside_tumour is not None:
            found.pop("path_mm", None)
        return found

    @model_validator(mode="after")
    def _lies_somewhere(self) -> Vessel:
        if self.beside_tumour is None and not self.path_mm:
            raise fault("path_mm: missing; must be given, or beside_tumour for a straight vessel")
        if self.beside_tumour is not None and "path_mm" in self.model_fields_set and self.path_mm:
            raise fault("got path_mm and beside_tumour; a vessel has one place: remove one of them")
        return self

    @model_validator(mode="after")
    def _wall_is_whole(self) -> Vessel:
        if (self.wall_thickness_mm > 0.0) != (self.wall_conductivity_W_mK is not None):
            raise fault(
                f"got wall_thickness_mm {self.wall_thickness_mm:g} and wall_conductivity_W_mK"
                f" {self.wall_conductivity_W_mK}; a wall needs both, no wall neither"
            )
        return self


class Liver(Section):
    """The tissue around tumour and vessels."""

    tissue: TissueName = "liver"


class SphereBlock(Section):
    """The simulated region as a sphere."""

    shape: Literal["sphere"] = "sphere"
    centre_mm: Point | None = Field(
        default=None, description="by default the probes' active centre [mm]"
    )
    diameter_mm: Length = Field(default=100.0, description="diameter of the simulated region [mm]")


class BoxBlock(Section):
    """The simulated region as a box along the axes."""

    shape: Literal["box"]
    centre_mm: Point | None = Field(
        default=None, description="by default the probes' active centre [mm]"
    )
    size_mm: tuple[Length, Length, Length] = Field(description="edges along x, y and z [mm]")


class CylinderBlock(Section):
    """The simulated region as a cylinder along z."""

    shape: Literal["cylinder"]
    centre_mm: Point | None = Field(
        default=None, description="by default the probes' active centre [mm]"
    )
    diameter_mm: Length = Field(description="diameter of the simulated region [mm]")
    height_mm: Length = Field(description="height of the simulated region along z [mm]")


Tumour = Annotated[Sphere | Ellipsoid, Field(discriminator="shape")]
Block = Annotated[SphereBlock | BoxBlock | CylinderBlock, Field(discriminator="shape")]


class IdealAnatomy(Section):
    """Tumour and vessels as ideal shapes in a block of liver."""

    tumour: Tumour | None = None
    vessels: tuple[Vessel, ...] = ()
    liver: Liver = Liver()
    block: Block = SphereBlock()
    mesh_vessels_from_mm: float = Field(
        default=3.0,
        strict=True,
        ge=1,
        le=10,
        description="vessels thinner than this are not meshed: their blood takes the tissue's"
        " temperature and counts as perfusion [mm]",
    )

    @property
    def meshed_vessels(self) -> tuple[Vessel, ...]:
        """Those that are thick enough to be meshed."""
        return tuple(v for v in self.vessels if v.diameter_mm >= self.mesh_vessels_from_mm)

    @field_validator("vessels")
    @classmethod
    def _names_are_unique(cls, vessels: tuple[Vessel, ...]) -> tuple[Vessel, ...]:
        names = [vessel.name for vessel in vessels]
        for name in names:
            if names.count(name) > 1:
                raise fault(
                    f"got {names.count(name)} vessels of the name {name!r}; names must differ:"
                    " rename one"
                )
        return vessels

    @model_validator(mode="after")
    def _vessels_have_their_place(self) -> Self:
        placed = tuple(vessel.placed(self.tumour) for vessel in self.vessels)
        object.__setattr__(self, "vessels", placed)  # frozen for everybody else
        return self


class Labels(Section):
    """Which number of the label map means what."""

    liver: Label = Field(description="label of the liver")
    tumour: Label = Field(description="label of the tumour to be treated")
    portal_vein: Label | None = Field(default=None, description="label of the portal veins")
    hepatic_vein: Label | None = Field(default=None, description="label of the hepatic veins")
    vena_cava: Label | None = Field(default=None, description="label of the inferior vena cava")
    hepatic_artery: Label | None = Field(default=None, description="label of the hepatic arteries")

    @model_validator(mode="after")
    def _labels_differ(self) -> Labels:
        used: dict[int, str] = {}
        for name, label in self:
            if label is not None and label in used:
                raise fault(
                    f"got the label {label} for both {used[label]} and {name}; labels must differ"
                )
            if label is not None:
                used[label] = name
        return self


class RegionTissues(Section):
    """Which tissue of the catalogue fills which region."""

    liver: TissueName = "liver"
    tumour: TissueName = "colorectal_metastasis"
    outside: TissueName = "outside_liver"


class VesselFlow(WallExchange):
    """What a label map cannot show of a kind of vessel."""

    diameter_mm: Length | None = Field(
        default=None,
        description="inner diameter of every branch; by default measured branch by branch [mm]",
    )
    velocity_cm_s: Velocity | None = Field(
        default=None,
        description="mean velocity in the trunk, the thickest branch; by default that of the kind,"
        " in proportion to the trunk's diameter [cm/s]",
    )


class LabelMap(Section):
    """Anatomy from a label map (NIfTI, NRRD)."""

    file: FilePath = Field(description="label map, relative to the scenario's folder")
    labels: Labels = Field(description="which number means what, for example {liver: 1, tumour: 2}")
    roi_mm: Length = Field(
        default=90.0, ge=20, description="edge of the simulated cube around tumour and probe [mm]"
    )
    tissues: RegionTissues = RegionTissues()
    vessels: dict[VesselKindName, VesselFlow] = Field(
        default={}, description="velocity and diameter by kind of vessel"
    )


class MeshVessel(WallExchange):
    """A vessel of a mesh of one's own."""

    kind: VesselKindName
    path_mm: Path | None = Field(
        default=None,
        description="points of the centre line in LPS, in the direction of flow; without them its"
        " blood stays at one temperature [mm]",
    )
    diameter_mm: Length = Field(
        default_factory=lambda data: catalogue.vessel_kind(data["kind"]).diameter / MM,
        description="inner diameter; by default that of the kind [mm]",
    )
    velocity_cm_s: Velocity = Field(
        default_factory=lambda data: catalogue.vessel_kind(data["kind"]).velocity / CM_PER_S,
        description="mean velocity of the blood; by default that of the kind [cm/s]",
    )


def _mesh_tag(tag: Any) -> int | str:
    if isinstance(tag, bool) or not isinstance(tag, int | str):
        raise fault(f"got {tag!r}; must be the number or the name of a group in the mesh file")
    return tag


MeshTag = Annotated[Any, AfterValidator(_mesh_tag), WithJsonSchema({"type": ["integer", "string"]})]
MeshTags = Annotated[tuple[MeshTag, ...], Field(min_length=1)]
SurfaceName = Annotated[
    str,
    StringConstraints(
        pattern=r"^(outer|vessel\.[A-Za-z0-9][A-Za-z0-9_-]*|probe\.\d+\.(active|active2|shaft|cooled))$"
    ),
]


class MeshRegions(Section):
    """Groups of cells of the mesh file, by region."""

    liver: MeshTags = Field(description="cell groups of the liver")
    tumour: MeshTags | None = Field(default=None, description="cell groups of the tumour")
    outside: MeshTags | None = Field(default=None, description="cell groups outside the liver")


class OwnMesh(Section):
    """Anatomy from a tetrahedral mesh of one's own, with named or numbered groups."""

    file: FilePath = Field(description="mesh file, relative to the scenario's folder")
    unit: Literal["mm", "m"] = Field(default="mm", description="unit of the file's coordinates")
    regions: MeshRegions = Field(description="cell groups by region")
    tissues: RegionTissues = RegionTissues()
    surfaces: dict[SurfaceName, MeshTags] = Field(
        default={}, description="face groups by surface: outer, vessel.NAME, probe.0.active, ..."
    )
    vessels: dict[Name, MeshVessel] = Field(default={}, description="the vessels named in surfaces")
