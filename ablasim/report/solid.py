"""The 3D scene of a run: vessels by kind, tumour by margin class, lethal surface, probe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from ablasim.report.palette import (
    ACTIVE_LOOK,
    MARGIN_CLASSES,
    SHAFT_LOOK,
    TEMPERATURE_MAP,
    TEMPERATURE_RANGE_C,
    TISSUE_COLOUR,
    ZONE_SURFACE_COLOUR,
    vessel_look,
)
from ablasim.report.saved import SavedRun
from ablasim.report.viewpoint import view_axis

Array = NDArray[np.float64]

Plotter = Any
"""A pyvista.Plotter, whose decorated methods have lost their types: mypy refuses right calls."""

BACKGROUND = "#F2F4F7"
INK = "#20242B"
MARGIN_LIMITS_MM = (-5.0, 15.0)
"""Four classes of 5 mm: the colour table's bins fall exactly on 0, 5 and 10 mm."""


def build_scene(
    plotter: Plotter,
    run: SavedRun,
    *,
    clip: bool = False,
    other_side: bool = False,
    outline: bool = True,
) -> dict[str, Any]:
    """Put a run into a plotter and aim its camera.

    Args:
        plotter: an empty plotter; parallel projection is switched on.
        run: what to draw.
        clip: cut the lethal surface open towards the reader and show the peak temperature on the
            cut.
        other_side: look from the other side of the thinnest point.
        outline: draw the lethal surface's outline, which a clip plane of a window would not cut.

    Returns:
        The actors that a clip plane should cut, by name.
    """
    plotter.set_background(BACKGROUND)
    centre = run.centre()
    axis = view_axis(run, centre, other_side=other_side)
    actors: dict[str, Any] = {}
    half: dict[str, Any] = {"normal": axis, "origin": centre, "invert": True}
    for index, surface in enumerate(run.surfaces):
        mesh = run.surface_mesh(index)
        if mesh.n_cells == 0:
            continue
        if surface.is_vessel:
            plotter.add_mesh(
                mesh,
                color=vessel_look(surface.kind).colour,
                smooth_shading=True,
                split_sharp_edges=True,
                specular=0.35,
                specular_power=25,
                ambient=0.15,
            )
        elif surface.is_probe:
            active = surface.kind == "active"
            plotter.add_mesh(
                mesh,
                color=(ACTIVE_LOOK if active else SHAFT_LOOK).colour,
                smooth_shading=True,
                split_sharp_edges=True,
                specular=0.9,
                specular_power=60,
                ambient=0.35 if active else 0.1,
            )
    _add_shafts(plotter, run)
    # A capsule is worth seeing, a block's boundary hardly.
    veil = 0.25 if "outside" in run.regions else 0.12
    # Only the far side is drawn: a veil in front of everything would dull the margin's colours.
    plotter.add_mesh(
        run.tissue_boundary(),
        color=TISSUE_COLOUR,
        opacity=veil,
        smooth_shading=True,
        culling="front",
    )
    if run.margin is not None:
        colours = [entry.colour for entry in MARGIN_CLASSES]
        low, high = MARGIN_LIMITS_MM
        shown = run.margin.copy()
        shown.point_data["margin_mm"] = np.clip(
            np.nan_to_num(shown.point_data["margin_mm"], nan=low), low + 0.01, high - 0.01
        )
        actors["tumour"] = plotter.add_mesh(
            shown,
            scalars="margin_mm",
            cmap=colours,
            n_colors=4,
            clim=MARGIN_LIMITS_MM,
            smooth_shading=True,
            show_scalar_bar=False,
            interpolate_before_map=True,
            ambient=0.25,
            specular=0.1,
        )
    if run.zone is not None:
        zone = run.zone.clip(**half) if clip else run.zone
        actors["zone"] = plotter.add_mesh(
            zone,
            color=ZONE_SURFACE_COLOUR,
            opacity=0.22,
            smooth_shading=True,
            specular=0.2,
            silhouette={"color": "#8A4A12", "line_width": 2.0} if outline else None,
        )
    if clip:
        section = run.fields.slice(normal=axis, origin=centre)
        if section.n_cells:
            section = run.lethal_part(section)
        if section.n_cells:
            actors["section"] = plotter.add_mesh(
                section,
                scalars="peak_C",
                cmap=TEMPERATURE_MAP,
                clim=TEMPERATURE_RANGE_C,
                lighting=False,
                show_scalar_bar=False,
            )
    _mark_thinnest(plotter, run)
    aim_camera(plotter, run, axis)
    return actors


def aim_camera(plotter: Plotter, run: SavedRun, axis: Array) -> None:
    """Aim at the tumour and the zone from ``axis``, head up, in parallel projection so that a scale
    is true."""
    centre = run.centre()
    plotter.enable_parallel_projection()
    plotter.camera.position = tuple(centre + 400.0 * axis)
    plotter.camera.focal_point = tuple(centre)
    plotter.camera.up = (0.0, 0.0, 1.0)
    plotter.camera.parallel_scale = scene_half_height(run)
    plotter.reset_camera_clipping_range()


def reach(run: SavedRun, centre: Array) -> float:
    """Half the width [mm] of a picture that shows the zone, the tumour and what is around them."""
    shown = [np.asarray(mesh.points) for mesh in (run.zone, run.margin) if mesh is not None]
    if not shown:
        return 25.0
    widest = float(np.max(np.abs(np.concatenate(shown) - centre)))
    return float(np.clip(1.3 * widest, 18.0, 70.0))


def scene_half_height(run: SavedRun) -> float:
    """Half the height of the picture [mm], for a scale bar: the projection is parallel."""
    return 1.1 * reach(run, run.centre())


def _add_shafts(plotter: Plotter, run: SavedRun) -> None:
    """The shaft from the mesh's end to the skin, so that the probe is seen to come from outside."""
    for number, probe in enumerate(run.probes):
        tip = np.asarray(probe["tip_mm"], dtype=np.float64)
        entry = np.asarray(probe["entry_mm"], dtype=np.float64)
        length = float(np.linalg.norm(entry - tip))
        axis = (entry - tip) / length
        start = 0.0
        for index, surface in enumerate(run.surfaces):
            if surface.name.startswith(f"probe.{number}."):
                along = (np.asarray(run.surface_mesh(index).points) - tip) @ axis
                start = max(start, float(np.max(along, initial=0.0)))
        if start < length - 0.1:
            line = pv.Line(tuple(tip + start * axis), tuple(entry))
            plotter.add_mesh(
                line.tube(radius=float(probe.get("diameter_mm") or 1.5) / 2.0, n_sides=32),
                color=SHAFT_LOOK.colour,
                smooth_shading=True,
                specular=0.9,
                specular_power=60,
            )


def _mark_thinnest(plotter: Plotter, run: SavedRun) -> None:
    point = run.thinnest_point
    margin = run.group("margin").get("minimal_mm")
    if point is None or margin is None:
        return
    plotter.add_mesh(pv.Sphere(radius=1.0, center=tuple(point)), color="#FFFFFF", ambient=0.6)
    plotter.add_mesh(
        pv.Sphere(radius=1.25, center=tuple(point)),
        color="#000000",
        style="wireframe",
        opacity=0.35,
    )


def add_orientation(plotter: Plotter) -> None:
    """The patient's axes as arrows: left, posterior, superior."""
    width, height = plotter.window_size
    side = 0.24
    plotter.add_axes(
        xlabel="L",
        ylabel="P",
        zlabel="S",
        color=INK,
        line_width=4,
        label_size=(0.35, 0.2),
        viewport=(0.0, 0.0, side * height / width, side),
        x_color="#C0392B",
        y_color="#2E8B57",
        z_color="#1F4E9C",
    )
