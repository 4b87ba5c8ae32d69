"""From a scenario, its anatomy and a mesh to a BioheatProblem: the one place where they meet."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from ablasim import catalogue
from ablasim.anatomy import Anatomy, ProbeShape
from ablasim.catalogue import TissueData
from ablasim.mesh import TetMesh
from ablasim.physics.antenna_coupling import FAR, NEAR
from ablasim.physics.antenna_heat import MicrowaveField, PlacedAntenna
from ablasim.physics.antenna_section import Coaxial
from ablasim.physics.binding_electrodes import build_electrodes
from ablasim.physics.binding_generator import build_generator, sensor_weights
from ablasim.physics.binding_probes import refuse_probes_outside
from ablasim.physics.binding_vessels import vessel_walls
from ablasim.physics.damage import Arrhenius, DeathModels, criterion
from ablasim.physics.dielectric import dielectric
from ablasim.physics.microwave import slot_pattern
from ablasim.physics.problem import BioheatProblem, Electrodes, Laws, Materials, Wall
from ablasim.physics.tissue import electrical_conductivity
from ablasim.scenario import Scenario

Floats = NDArray[np.float64]

EVERY_STEP_K = 0.01
"""Where no larger error of a time step [K] is asked for, the antennas' field is solved in every
step: what it lags behind otherwise is then the largest error of time."""

SHUTDOWN = {"peak_60C": 60.0, "none": np.inf, "arrhenius": np.inf, "three_state": np.inf}
"""Temperature [°C] that ends perfusion; where a dose does, it is a death model's affair."""


def build_problem(scenario: Scenario, anatomy: Anatomy, mesh: TetMesh) -> BioheatProblem:
    """Bind the laws of a scenario to a mesh of its anatomy.

    Raises:
        AblasimError: a vessel's flow lies outside the wall correlation's range.
        InputFileError: the mesh lacks a surface or a region that the scenario needs.
        ScenarioError: a probe lies outside the scenario's own mesh.
    """
    if scenario.mesh is not None:
        refuse_probes_outside(mesh, anatomy.probes)
    physics = scenario.physics
    tissues = region_tissues(scenario, anatomy, mesh)
    materials = _materials([tissues[region] for region in mesh.regions])
    outer = np.unique(mesh.surface_faces("outer"))
    fixed = None
    if scenario.boundary.temperature == "body":
        fixed = np.full(len(mesh.points), np.nan)
        fixed[outer] = physics.blood_temperature_C
    problem = BioheatProblem(
        mesh=mesh,
        materials=materials,
        laws=Laws(
            vaporisation_band=physics.vaporisation_band_C,
            sigma_drop=physics.sigma_drop_K,
            perfusion_shutdown=SHUTDOWN[physics.perfusion_shutdown],
            death=death_models(scenario),
        ),
        generator=build_generator(scenario.protocol),
        walls=(
            *vessel_walls(scenario, anatomy, mesh),
            *probe_walls(mesh, anatomy.probes),
        ),
        blood_temperature=physics.blood_temperature_C,
        initial_temperature=physics.initial_temperature_C,
        fixed_temperature=fixed,
        electrodes=_electrodes(scenario, anatomy, mesh, materials),
        sensors=sensor_weights(scenario, anatomy, mesh),
    )
    if anatomy.probes[0].data.modality == "mw":
        if physics.microwave_model == "field":
            return _with_field(scenario, problem, anatomy.probes)
        return _with_absorption(problem, anatomy.probes)
    return problem


def death_models(scenario: Scenario) -> DeathModels:
    """The death models of a scenario: the set that judges first, and the one of the perfusion."""
    judged, rule = scenario.assessment, scenario.physics.perfusion_shutdown
    stasis_set = scenario.physics.perfusion_arrhenius_set or judged.arrhenius_set
    names = [judged.arrhenius_set]
    if rule == "arrhenius" and stasis_set not in names:
        names.append(stasis_set)
    sets = [catalogue.arrhenius(name) for name in names]
    return DeathModels(
        sets=tuple(Arrhenius(s.name, s.frequency, s.activation_energy) for s in sets),
        criterion=criterion(judged.criterion, judged.arrhenius_set),
        stasis=rule if rule in ("arrhenius", "three_state") else "none",
        stasis_set=names.index(stasis_set) if rule == "arrhenius" else 0,
    )


def region_tissues(scenario: Scenario, anatomy: Anatomy, mesh: TetMesh) -> dict[str, TissueData]:
    """What fills each region of the mesh, with the scenario's overrides."""
    return {region: scenario.tissue(anatomy.tissues[region]) for region in mesh.regions}


def probe_walls(mesh: TetMesh, probes: tuple[ProbeShape, ...]) -> tuple[Wall, ...]:
    """The cooled surfaces of the probes."""
    walls = []
    for number, probe in enumerate(probes):
        cooling = probe.data.cooling
        if cooling is None or cooling.h == 0.0:
            continue
        for part in cooling.surfaces:
            name = f"probe.{number}.{part}"
            if name in mesh.surfaces:
                walls.append(
                    Wall(
                        name=name,
                        kind="probe",
                        faces=mesh.surface_faces(name),
                        coefficient=cooling.h,
                        temperature=cooling.coolant_temperature,
                    )
                )
    return tuple(walls)


def _materials(tissues: list[TissueData]) -> Materials:
    def column(name: str) -> Floats:
        return np.array([getattr(tissue, name) for tissue in tissues], dtype=float)

    return Materials(
        wet_capacity=column("rho_c"),
        dry_capacity=column("vapour_rho_c"),
        latent_heat=column("latent_heat"),
        conductivity=column("conductivity"),
        conductivity_slope=column("conductivity_slope"),
        perfusion=column("perfusion"),
        sigma=column("sigma0"),
        sigma_slope=column("sigma_slope"),
        sigma_dry_ratio=column("sigma_dry_ratio"),
    )


def _electrodes(
    scenario: Scenario, anatomy: Anatomy, mesh: TetMesh, materials: Materials
) -> Electrodes | None:
    """The potential problem; None for microwaves."""
    sigma = electrical_conductivity(
        scenario.physics.initial_temperature_C,
        materials.sigma,
        materials.sigma_slope,
        materials.sigma_dry_ratio,
        scenario.physics.sigma_drop_K,
    )
    return build_electrodes(scenario, anatomy, mesh, _at_points(mesh, sigma))


def _at_points(mesh: TetMesh, region_values: Floats) -> Floats:
    """Volume-weighted mean of region values (r,) at the points (n,)."""
    volume = np.repeat(mesh.cell_volumes(), 4)
    weight = np.bincount(mesh.cells.ravel(), volume, minlength=len(mesh.points))
    value = np.repeat(region_values[mesh.cell_region], 4) * volume
    return np.bincount(mesh.cells.ravel(), value, minlength=len(mesh.points)) / weight


def _with_field(
    scenario: Scenario, problem: BioheatProblem, probes: tuple[ProbeShape, ...]
) -> BioheatProblem:
    """The problem with the antennas' fields; several antennas share the power equally."""
    placed = []
    for probe in probes:
        data = probe.data.coaxial
        assert data is not None  # a rule of the scenario
        dimensions = {item.name: getattr(data, item.name) for item in fields(Coaxial)}
        share = probe.data.arriving / len(probes)
        placed.append(PlacedAntenna(probe.tip, probe.direction, Coaxial(**dimensions), share))
    frequency = probes[0].data.frequency
    assert frequency is not None
    law = dielectric(scenario.physics.microwave_dielectric, frequency)
    ambient = scenario.physics.initial_temperature_C
    asked = scenario.numerics.time_tolerance_K
    every_step = asked is not None and asked <= EVERY_STEP_K
    field = MicrowaveField(problem.mesh, tuple(placed), law, frequency, ambient, every_step)
    return replace(problem, microwave=field)


def _with_absorption(problem: BioheatProblem, probes: tuple[ProbeShape, ...]) -> BioheatProblem:
    """The problem with the antennas' patterns for one watt of the generator.

    Several antennas share the generator's power equally; each puts into the tissue what its cable
    and its match let through.
    """
    patterns = [
        probe.data.efficiency * probe.data.arriving * absorption_pattern(problem.mesh, probe)
        for probe in probes
    ]
    return replace(problem, absorption=np.mean(patterns, axis=0))


def absorption_pattern(mesh: TetMesh, probe: ProbeShape) -> Floats:
    """One antenna's heat per point for one watt absorbed (n,), by quadrature on the cells."""
    sar = probe.data.sar
    assert sar is not None
    heat = np.zeros(len(mesh.points))
    volume = mesh.cell_volumes()
    corner = mesh.points[mesh.cells]
    for vertex in range(4):
        weights = np.full(4, NEAR)
        weights[vertex] = FAR
        place = np.einsum("v,mvi->mi", weights, corner) - np.asarray(probe.tip)
        axial = place @ np.asarray(probe.direction)
        radial = np.linalg.norm(place - axial[:, None] * np.asarray(probe.direction), axis=1)
        value = slot_pattern(
            axial,
            np.maximum(radial, probe.data.radiating_radius),
            centre=sar.heat_centre,
            width=sar.axial_length,
            attenuation=sar.attenuation,
            radius=probe.data.radiating_radius,
            softening=sar.radial_offset,
        )
        share = (0.25 * volume * value)[:, None] * weights
        heat += np.bincount(mesh.cells.ravel(), share.ravel(), minlength=len(heat))
    return heat / heat.sum()
