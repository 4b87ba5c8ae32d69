"""`ablasim view RUN`: a window to turn and cut the 3D scene in, or the same scene as a PNG without
a display."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyvista as pv
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from vtkmodules.vtkCommonDataModel import vtkPlane

from ablasim.errors import ResourceError, UsageError
from ablasim.report.legend import INK, solid_handles
from ablasim.report.offscreen import View, render
from ablasim.report.palette import (
    MARGIN_CLASSES,
    NOTICE,
    TEMPERATURE_MAP,
    TEMPERATURE_RANGE_C,
    margin_text,
    number_text,
)
from ablasim.report.preview import show_solid, temperature_bar
from ablasim.report.saved import SavedRun, load_run
from ablasim.report.solid import Plotter, add_orientation, build_scene
from ablasim.report.viewpoint import view_axis
from ablasim.report.words import nearest_vessel_text, protocol_line, thinnest_place

PNG_DPI = 100
LEAST_SIZE, LARGEST_SIZE = 400, 8000
BAR = {
    "title": "peak temperature [C]",  # VTK's own font has no degree sign in every version
    "color": INK,
    "fmt": "%.0f",
    "n_labels": 4,
    "width": 0.3,
    "height": 0.06,
    "position_x": 0.35,
    "position_y": 0.03,
    "title_font_size": 15,
    "label_font_size": 14,
}


def show(
    run_dir: Path | str,
    *,
    png: Path | str | None = None,
    size: tuple[int, int] = (1600, 1200),
    clip: bool = True,
) -> None:
    """Show a run in 3D.

    Args:
        run_dir: directory of a finished run.
        png: write this picture instead of opening a window; needs no display.
        size: width and height of window or picture [pixel].
        clip: with a clip plane: in the window one to drag, in the picture one that faces the
            reader.

    Raises:
        InputFileError: the directory holds no finished run.
        UsageError: the size or the picture's name is of no use, or there is no display for a
            window.
        ResourceError: this machine cannot draw in 3D, or the picture cannot be written.
    """
    if not all(LEAST_SIZE <= edge <= LARGEST_SIZE for edge in size):
        raise UsageError(
            f"size: got {size[0]} x {size[1]} pixels; each must be {LEAST_SIZE} to {LARGEST_SIZE}."
        )
    run = load_run(run_dir)
    if png is None:
        _require_display(run.directory)
        _window(run, size, clip)
        return
    target = Path(png)
    if target.suffix.lower() != ".png":
        raise UsageError(f"--png: got '{target}'; the name must end in .png.")
    _write(run, target, size, clip)


def _write(run: SavedRun, target: Path, size: tuple[int, int], clip: bool) -> None:
    view = View(size=size, clip=clip)
    drawn, problem = render(run.directory, [view])
    if not drawn:
        raise ResourceError(f"view: no picture could be drawn: {problem}")
    figure = Figure(figsize=(size[0] / PNG_DPI, size[1] / PNG_DPI))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    show_solid(axes, drawn[0], run, view)
    figure.text(
        0.015,
        0.977,
        str(run.summary.get("name", "")),
        fontsize=17,
        weight="bold",
        color=INK,
        va="top",
    )
    figure.text(
        0.015, 0.94, "\n".join(_lines(run)), fontsize=11, color=INK, va="top", linespacing=1.4
    )
    figure.text(0.5, 0.012, NOTICE, fontsize=9, weight="bold", color=INK, ha="center")
    figure.legend(
        handles=solid_handles(run),
        loc="upper right",
        fontsize=10,
        frameon=True,
        framealpha=0.85,
        edgecolor="none",
        labelcolor=INK,
    )
    if clip and run.zone is not None:
        temperature_bar(figure, (0.955, 0.4, 0.012, 0.28), "peak [°C]")
    part = target.with_name(f".{target.name}.part")
    try:
        figure.savefig(part, format="png", dpi=PNG_DPI)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ResourceError(
            f"--png: '{target}' cannot be written: {error}. Give another place."
        ) from error


def _lines(run: SavedRun) -> list[str]:
    """The facts under the title."""
    volume = number_text(run.zone_group.get("volume_ml"), 1, "ml")
    lines = [protocol_line(run), f"{run.criterion.title} zone: {volume}"]
    minimal = run.group("margin").get("minimal_mm")
    if minimal is not None:
        lines.append(f"minimal margin: {margin_text(float(minimal))}, {thinnest_place(run)}")
        vessel = nearest_vessel_text(run)
        if vessel:
            lines.append(f"nearest vessel: {vessel}")
    return lines


def _require_display(directory: Path) -> None:
    """A window without a display would end the process from inside VTK."""
    has_own = sys.platform in ("darwin", "win32")
    if not (has_own or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UsageError(
            f"view: this machine has no display for a window. Draw a picture instead: "
            f"ablasim view {directory} --png FILE.png"
        )


def _window(run: SavedRun, size: tuple[int, int], clip: bool) -> None:
    """The interactive scene: turn with the mouse, drag the clip plane by its arrow, close to
    end."""
    plotter: Plotter = pv.Plotter(
        window_size=list(size), title=f"ablasim: {run.summary.get('name', '')}"
    )
    furnish(plotter, run, clip=clip)
    plotter.show()


def furnish(plotter: Plotter, run: SavedRun, *, clip: bool) -> None:
    """Scene, text, legend and clip plane of the window."""
    actors = build_scene(plotter, run, outline=not clip)
    add_orientation(plotter)
    title = "\n".join([str(run.summary.get("name", "")), *_lines(run)])
    plotter.add_text(title, position="upper_left", font_size=10, color=INK)
    plotter.add_text(NOTICE, position="lower_right", font_size=8, color=INK)
    if run.margin is not None:
        for row, entry in enumerate(MARGIN_CLASSES):
            text = pv.Text(f" margin {entry.label} ")
            text.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
            text.SetPosition(0.985, 0.95 - 0.04 * row)
            look = text.GetTextProperty()
            look.SetColor(*to_rgb(entry.ink))
            look.SetBackgroundColor(*to_rgb(entry.colour))
            look.SetBackgroundOpacity(1.0)
            look.SetFontSize(16)
            look.SetJustificationToRight()
            plotter.add_actor(text)
    if clip:
        _add_clip_plane(plotter, run, actors)


def _add_clip_plane(plotter: Plotter, run: SavedRun, actors: Mapping[str, Any]) -> None:
    """One plane that cuts the lethal surface and shows the peak temperature on the cut; tumour and
    vessels stay whole."""
    cutter = vtkPlane()
    if "zone" in actors:
        actors["zone"].mapper.AddClippingPlane(cutter)

    def move(normal: NDArray[Any], origin: NDArray[Any]) -> None:
        # The mapper keeps the side that the normal points to: away from the reader.
        cutter.SetNormal(*(-component for component in normal))
        cutter.SetOrigin(*origin)
        section = run.fields.slice(normal=normal, origin=origin)
        if section.n_cells:
            section = run.lethal_part(section)
        if section.n_cells == 0:
            plotter.remove_actor("section", render=False)
            return
        plotter.add_mesh(
            section,
            name="section",
            scalars="peak_C",
            cmap=TEMPERATURE_MAP,
            clim=TEMPERATURE_RANGE_C,
            lighting=False,
            reset_camera=False,
            render=False,
            scalar_bar_args=BAR,
        )

    centre = run.centre()
    plotter.add_plane_widget(
        move,
        normal=tuple(view_axis(run, centre)),
        origin=tuple(centre),
        bounds=run.fields.bounds,
        factor=1.0,
        outline_translation=False,
        tubing=False,
        color=INK,
        interaction_event="always",
    )
    plotter.reset_camera_clipping_range()
