"""The 3D view of a risk study: the tumour coloured by the probability of an incomplete margin.

Run as a module in a child process (see `offscreen`): a broken graphics library can end a process
from inside VTK.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyvista as pv

from ablasim.report.offscreen import HEADLESS_HELP, View, in_child
from ablasim.report.risk_files import ZONE_FILES
from ablasim.report.risk_look import RISK_CLASSES
from ablasim.report.saved import load_run
from ablasim.report.solid import Plotter, add_orientation, build_scene

NOMINAL = "nominal"
"""Directory of the plain run in that of a study."""


def render_risk(directory: Path, views: Sequence[View]) -> tuple[tuple[bytes, ...], str]:
    """Draw views of a study in a child process: a PNG each and an empty string, or the reason."""
    with tempfile.TemporaryDirectory(prefix="ablasim-3d-") as folder:
        order = json.dumps([asdict(view) for view in views])
        problem = in_child(
            ["-m", "ablasim.report.risk_solid", str(directory.resolve()), folder, order]
        )
        targets = [Path(folder) / f"{number}.png" for number in range(len(views))]
        if problem or not all(target.is_file() for target in targets):
            return (), problem or f"VTK wrote no picture. {HEADLESS_HELP}"
        return tuple(target.read_bytes() for target in targets), ""


def picture(directory: Path, target: Path, view: View) -> None:
    """Draw one view into a PNG. May end the process."""
    run = load_run(directory / NOMINAL)
    tumour = pv.PolyData(str(directory / "tumour_risk.vtp"))
    zone = pv.PolyData(str(directory / ZONE_FILES[0.05]))
    # The conservative zone takes the place of the plain run's, and the place most at risk that of
    # its thinnest point; the run's margins aim the camera.
    study = json.loads((directory / "risk.json").read_text(encoding="utf-8"))
    margin = {**run.group("margin"), "thinnest_point_mm": study["surface"]["worst_point_mm"]}
    shown = replace(
        run,
        zone=zone if zone.n_cells else None,
        summary={**run.summary, "margin": margin},
    )
    plotter: Plotter = pv.Plotter(off_screen=True, window_size=list(view.size))
    try:
        actors = build_scene(plotter, shown, other_side=view.other_side)
        plotter.remove_actor(actors["tumour"])
        chance = np.asarray(tumour.point_data["probability"])
        limits = [entry.low for entry in RISK_CLASSES[1:]]
        # Interpolated before it is classed, so that the classes' borders run across triangles.
        tumour.point_data["class"] = np.interp(
            chance, [0.0, *limits, 1.0], np.arange(len(RISK_CLASSES) + 1)
        )
        plotter.add_mesh(
            tumour,
            scalars="class",
            cmap=[entry.colour for entry in RISK_CLASSES],
            n_colors=len(RISK_CLASSES),
            clim=(0, len(RISK_CLASSES)),
            smooth_shading=True,
            show_scalar_bar=False,
            interpolate_before_map=True,
            ambient=0.25,
            specular=0.1,
        )
        add_orientation(plotter)
        plotter.enable_anti_aliasing("ssaa")
        plotter.enable_depth_peeling(8)
        plotter.screenshot(str(target))
    finally:
        plotter.close()


def _main(directory: str, folder: str, order: str) -> None:
    for number, wanted in enumerate(json.loads(order)):
        view = View(**{**wanted, "size": tuple(wanted["size"])})
        picture(Path(directory), Path(folder) / f"{number}.png", view)


if __name__ == "__main__":
    _main(*sys.argv[1:])
