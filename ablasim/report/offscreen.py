"""3D pictures without a window, drawn in a child process.

A missing or broken graphics library can end a whole process from inside VTK. Whatever happens in
the child, the caller gets either the pictures or a sentence that says why not.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import pyvista as pv

import ablasim
from ablasim.report.saved import SavedRun, load_run
from ablasim.report.solid import Plotter, add_orientation, build_scene

TIME_LIMIT_S = 180

HEADLESS_HELP = "VTK needs OpenGL or EGL; on Debian or Ubuntu: apt-get install libegl1 libgl1."


@dataclass(frozen=True)
class View:
    """One picture of the scene: size [pixel], cut open or whole, and from which side the thinnest
    point is seen."""

    size: tuple[int, int] = (1600, 1200)
    clip: bool = True
    other_side: bool = False


def picture(run: SavedRun, target: Path, view: View) -> None:
    """Draw the scene without a window and write it as PNG. May end the process: see `render`."""
    plotter: Plotter = pv.Plotter(off_screen=True, window_size=list(view.size))
    try:
        build_scene(plotter, run, clip=view.clip, other_side=view.other_side)
        add_orientation(plotter)
        plotter.enable_anti_aliasing("ssaa")
        # Without peeling, translucent surfaces are blended in the order of drawing, which looks
        # like a hole.
        plotter.enable_depth_peeling(8)
        plotter.screenshot(str(target))
    finally:
        plotter.close()


def render(directory: Path, views: Sequence[View]) -> tuple[tuple[bytes, ...], str]:
    """Draw views of a run in a child process.

    Args:
        directory: the run.
        views: what to draw.

    Returns:
        A PNG for each view and an empty string; or nothing and the reason, with what to do about
        it.
    """
    with tempfile.TemporaryDirectory(prefix="ablasim-3d-") as folder:
        order = json.dumps([asdict(view) for view in views])
        problem = in_child(
            ["-m", "ablasim.report.offscreen", str(Path(directory).resolve()), folder, order]
        )
        targets = [Path(folder) / f"{number}.png" for number in range(len(views))]
        if problem or not all(target.is_file() for target in targets):
            return (), problem or f"VTK wrote no picture. {HEADLESS_HELP}"
        return tuple(target.read_bytes() for target in targets), ""


@cache
def rendering_problem() -> str | None:
    """Why this machine cannot draw in 3D without a window; None where it can. Tried once."""
    program = (
        "import pyvista as pv; p = pv.Plotter(off_screen=True, window_size=[64, 64]); "
        "p.add_mesh(pv.Sphere()); assert p.screenshot(return_img=True).std() > 1"
    )
    return in_child(["-c", program]) or None


def in_child(arguments: list[str]) -> str:
    """Run Python with `arguments` and without a display; empty where all went well, else the
    reason."""
    environment = {
        key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")
    }
    home = str(Path(ablasim.__file__).resolve().parent.parent)
    earlier = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = home if not earlier else os.pathsep.join((home, earlier))
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"VTK did not finish within {TIME_LIMIT_S} s. {HEADLESS_HELP}"
    except OSError as error:
        return f"no process could be started to draw in: {error}"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    # VTK puts time, process and place before a bar, and colours around it all.
    last = (
        re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).split("|")[-1].strip() if lines else "no message"
    )
    status = f"exit status {done.returncode}: {last}"
    return f"VTK cannot draw without a display ({status}). {HEADLESS_HELP}"


def _main(directory: str, folder: str, order: str) -> None:
    run = load_run(directory)
    for number, wanted in enumerate(json.loads(order)):
        view = View(**{**wanted, "size": tuple(wanted["size"])})
        picture(run, Path(folder) / f"{number}.png", view)


if __name__ == "__main__":
    _main(*sys.argv[1:])
