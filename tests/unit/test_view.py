"""`ablasim view`: the picture without a display, and clear words where a window cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_rgb
from synthetic_run import VESSEL_RADIUS, VESSEL_X, write_run

from ablasim.errors import InputFileError, ResourceError, UsageError
from ablasim.report import offscreen
from ablasim.report.offscreen import View, render, rendering_problem
from ablasim.report.palette import MARGIN_CLASSES
from ablasim.report.saved import load_run
from ablasim.report.viewpoint import view_axis
from ablasim.view import scene
from ablasim.view.scene import show

needs_vtk = pytest.mark.skipif(
    rendering_problem() is not None, reason=f"no 3D here: {rendering_problem()}"
)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("view") / "run")


@needs_vtk
def test_png_without_a_display(run_dir: Path, tmp_path: Path) -> None:
    target = tmp_path / "scene.png"
    show(run_dir, png=target, size=(800, 600))
    drawn = image.imread(target)[..., :3]
    assert drawn.shape == (600, 800, 3)
    assert drawn.std() > 0.05
    # The tumour's classes are told apart by hue even after shading.
    middle = drawn[150:450, 250:560].reshape(-1, 3)
    for entry in MARGIN_CLASSES[1:3]:
        wanted = np.array(to_rgb(entry.colour))
        cosine = middle @ wanted / (np.linalg.norm(middle, axis=1) + 1e-9) / np.linalg.norm(wanted)
        assert (cosine > 0.99).sum() > 300, entry.label
    assert list(tmp_path.iterdir()) == [target]


@needs_vtk
def test_scale_bar_is_true(run_dir: Path) -> None:
    """In parallel projection the picture's height is twice `scene_half_height`: the tumour's
    diameter of 22 mm must come out in the picture too."""
    from ablasim.report.solid import scene_half_height

    size = (400, 400)
    drawn, problem = render(run_dir, [View(size=size, clip=True)])
    assert problem == ""
    (Path(run_dir) / "probe.png").write_bytes(drawn[0])
    picture = image.imread(Path(run_dir) / "probe.png")[..., :3]
    (Path(run_dir) / "probe.png").unlink()
    hues = [np.array(to_rgb(entry.colour)) for entry in MARGIN_CLASSES[1:]]
    pixels = picture / (np.linalg.norm(picture, axis=-1, keepdims=True) + 1e-9)
    tumour = np.any([pixels @ (hue / np.linalg.norm(hue)) > 0.995 for hue in hues[1:]], axis=0)
    rows = np.flatnonzero(tumour.sum(axis=1) > 8)
    height = (rows.max() - rows.min()) * 2.0 * scene_half_height(load_run(run_dir)) / size[1]
    assert height == pytest.approx(22.0, abs=1.5)


@needs_vtk
def test_window_has_a_clip_plane_with_temperatures(run_dir: Path) -> None:
    """In a child process: VTK may not end this one. The plane's callback must follow the plane."""
    program = f"""
import pyvista as pv
from ablasim.report.saved import load_run
from ablasim.view.scene import furnish
plotter = pv.Plotter(off_screen=True, window_size=[400, 300])
furnish(plotter, load_run({str(run_dir)!r}), clip=True)
section = plotter.actors["section"].mapper.dataset
assert section.n_cells > 100 and section["peak_C"].min() > 59.99
widget = getattr(plotter, "widgets", plotter).plane_widgets[0]
widget.SetNormal(0.0, 0.0, 1.0)
widget.SetOrigin(0.0, 0.0, 31.0)  # above the zone
widget.InvokeEvent("InteractionEvent")
assert "section" not in plotter.actors
plotter.close()
"""
    assert offscreen.in_child(["-c", program]) == ""


def test_the_thinnest_point_is_in_sight(run_dir: Path) -> None:
    """The mistake this catches: the vessel that thins the margin stands in front of it."""
    run = load_run(run_dir)
    point = run.thinnest_point
    assert point is not None
    first, second = (view_axis(run, np.zeros(3), other_side=other) for other in (False, True))
    assert first[1] < 0.0, "from the front"
    assert first @ second < 0.6, "two different views"
    for axis in (first, second):
        assert axis @ point > 0.25 * np.linalg.norm(point)
        steps = point + np.outer(np.linspace(0.5, 60.0, 400), axis)
        assert np.hypot(steps[:, 0] - VESSEL_X, steps[:, 1]).min() > VESSEL_RADIUS


def test_no_display_points_to_png(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(UsageError, match=r"no display.*--png"):
        show(run_dir)


def test_bad_run_directory(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no such directory"):
        show(tmp_path / "absent", png=tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputFileError, match=r"missing: summary\.json, fields\.vtu, anatomy\.vtp"):
        show(tmp_path / "empty", png=tmp_path / "a.png")


@pytest.mark.parametrize("size", [(10, 600), (1600, 90_000)])
def test_absurd_sizes(run_dir: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="pixels; each must be"):
        show(run_dir, png=tmp_path / "a.png", size=size)


def test_picture_must_be_png(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.png"):
        show(run_dir, png=tmp_path / "scene.jpg")


def test_crash_of_vtk_is_a_message(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mistake this catches: a process that VTK aborts takes the run with it."""
    monkeypatch.setattr(offscreen.sys, "executable", "/bin/false")
    drawn, problem = render(run_dir, [View()])
    assert drawn == ()
    assert "exit status 1" in problem
    assert "apt-get install" in problem
    with pytest.raises(ResourceError, match="no picture could be drawn"):
        show(run_dir, png=tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_unwritable_target(run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResourceError, match="cannot be written"):
        monkeypatch.setattr(scene, "render", lambda directory, views: ((_white_png(),), ""))
        show(run_dir, png=tmp_path / "absent" / "a.png", size=(400, 400))


def _white_png() -> bytes:
    from io import BytesIO

    target = BytesIO()
    image.imsave(target, np.ones((40, 40, 3)), format="png")
    return target.getvalue()
