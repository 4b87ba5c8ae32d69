"""Slices, preview, report: what a reader sees must be what the files say."""

from __future__ import annotations

import base64
import json
import re
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_rgb
from synthetic_run import ACTIVE_TOP_Z, TIP_Z, TUMOUR_RADIUS, VESSEL_X, ball_field, write_run

from ablasim.errors import InputFileError
from ablasim.report import preview, words
from ablasim.report.curves import read_history
from ablasim.report.html import evidence, heat_sink, write_report
from ablasim.report.palette import (
    MARGIN_CLASSES,
    margin_class,
    margin_round,
    margin_text,
    number_text,
)
from ablasim.report.preview import LabelOutlines, write_preview
from ablasim.report.saved import load_run
from ablasim.report.slices import (
    Plane,
    cut,
    direction_letters,
    label_masks,
    needle_plane,
    standard_planes,
    surface_lines,
)

RADIUS = 17.0
ORIGIN = np.zeros(3)


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose 60 °C surface is a sphere of 17 mm around the origin."""
    return write_run(tmp_path_factory.mktemp("ball") / "run", ball_field(RADIUS))


@pytest.fixture(scope="module")
def beside_vein(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an incomplete margin towards a vein, with its preview and its report."""
    folder = write_run(tmp_path_factory.mktemp("vein") / "run")
    write_preview(folder, solid=False)
    write_report(folder)
    return folder


@pytest.mark.parametrize("index", range(3))
def test_isotherm_has_the_analytic_radius(ball: Path, index: int) -> None:
    run = load_run(ball)
    view = cut(run, standard_planes(ORIGIN)[index])
    points = np.concatenate(view.isotherm(60.0))
    radii = np.linalg.norm(points, axis=1)
    assert len(points) > 40
    assert radii == pytest.approx(RADIUS, abs=0.35)
    assert view.isotherm(54.0)[0].shape[1] == 2
    assert np.linalg.norm(np.concatenate(view.isotherm(54.0)), axis=1) == pytest.approx(
        RADIUS + 4.0, abs=0.35
    )


def test_isotherm_beyond_the_field_is_empty(ball: Path) -> None:
    assert cut(load_run(ball), standard_planes(ORIGIN)[0]).isotherm(140.0) == ()


def test_cooled_rim_along_the_active_part_is_not_drawn(tmp_path: Path) -> None:
    """The mistake this catches: an inner 60 °C line along a cooled needle, inside dead tissue."""

    def cooled(points: np.ndarray) -> np.ndarray:
        away = np.hypot(points[:, 0], points[:, 1]) - 0.735
        rim = np.clip(away / 0.46, 0.0, 1.0)
        in_tip = (points[:, 2] > TIP_Z) & (points[:, 2] < ACTIVE_TOP_Z)
        ball = 60.0 + 1.5 * (RADIUS - np.linalg.norm(points, axis=1))
        return np.where(in_tip, 20.0 + rim * (ball - 20.0), ball)

    run = load_run(write_run(tmp_path / "run", cooled))
    view = cut(run, standard_planes(ORIGIN)[0])
    raw = view._cut.contour([60.0], scalars="peak_C")
    inner = np.hypot(*np.asarray(raw.points).T[:2]) < 2.0
    assert inner.any(), "the case must have an inner line, or it tests nothing"
    drawn = np.linalg.norm(np.concatenate(view.isotherm(60.0)), axis=1)
    assert drawn.min() > RADIUS - 0.5


def test_planes_follow_the_radiological_convention() -> None:
    axial, coronal, sagittal = standard_planes(ORIGIN)
    assert axial.letters() == ("R", "L", "A", "P")
    assert coronal.letters() == ("R", "L", "S", "I")
    assert sagittal.letters() == ("A", "P", "S", "I")
    left_posterior = np.array([[10.0, 5.0, 3.0]])
    assert axial.project(left_posterior)[0] == pytest.approx([10.0, 5.0])  # right of it, and down
    assert coronal.project(left_posterior)[0] == pytest.approx([10.0, -3.0])
    assert sagittal.project(left_posterior)[0] == pytest.approx([5.0, -3.0])


@pytest.mark.parametrize(
    ("direction", "letters"),
    [((1, 0, 0), "L"), ((0, -1, 0), "A"), ((0, 0, -1), "I"), ((-0.8, 0, 0.6), "RS")],
)
def test_direction_letters(direction: tuple[float, float, float], letters: str) -> None:
    assert direction_letters(np.array(direction, dtype=float)) == letters


def test_tumour_and_vessel_lines_lie_where_the_anatomy_is(beside_vein: Path) -> None:
    run = load_run(beside_vein)
    view = cut(run, standard_planes(ORIGIN)[0])
    tumour = np.linalg.norm(np.concatenate(view.tumour), axis=1)
    assert tumour == pytest.approx(TUMOUR_RADIUS, abs=0.1)
    vessel = next(i for i, surface in enumerate(run.surfaces) if surface.is_vessel)
    wall = np.concatenate(view.surfaces[vessel]) - (VESSEL_X, 0.0)
    assert np.linalg.norm(wall, axis=1) == pytest.approx(3.0, abs=0.05)


def test_plane_along_an_oblique_probe_holds_probe_and_thinnest_point(beside_vein: Path) -> None:
    run = load_run(beside_vein)
    assert needle_plane(run, ORIGIN) is None, "the coronal plane shows needle and thinnest point"
    oblique = dict(run.summary)
    oblique["probes"] = [{**run.probes[0], "tip_mm": [-5, -15, -12], "entry_mm": [30, 80, 40]}]
    oblique["margin"] = {**run.group("margin"), "thinnest_point_mm": [11.0, 2.0, 4.0]}
    moved = type(run)(**{**run.__dict__, "summary": oblique})
    plane = needle_plane(moved, ORIGIN)
    assert isinstance(plane, Plane)
    points = np.array([[-5, -15, -12], [30, 80, 40], [11, 2, 4]], dtype=float)
    assert plane.distance(points) == pytest.approx(0.0, abs=1e-9)
    assert plane.right @ plane.down == pytest.approx(0.0, abs=1e-12)
    nearest = max(standard_planes(ORIGIN), key=lambda p: abs(float(p.normal @ plane.normal)))
    assert plane.normal @ nearest.normal > 0.0, "seen from the same side, not mirrored"


def test_label_masks_follow_the_affine() -> None:
    """The mistake this catches: an axis swapped or a voxel size ignored under the 60 °C line."""
    values = np.zeros((40, 30, 20), dtype=np.int16)
    values[20:25, 10:12, 9:11] = 2
    affine = np.diag([1.5, 2.0, 3.0, 1.0])
    affine[:3, 3] = (-30.0, -20.0, -28.5)
    labels = LabelOutlines(values, affine, {2: "tumour"})
    masks = label_masks(labels, standard_planes(ORIGIN)[0], half_width=15.0, step=0.25)
    assert set(masks) == {2}
    down, right = np.nonzero(masks[2])
    # Voxels 20..24 along x: 0 - 0.75 to 6 + 0.75 mm; 10..11 along y: 0 - 1 to 2 + 1 mm.
    assert (right.min() * 0.25 - 15.0, right.max() * 0.25 - 15.0) == pytest.approx(
        (-0.75, 6.75), abs=0.26
    )
    assert (down.min() * 0.25 - 15.0, down.max() * 0.25 - 15.0) == pytest.approx(
        (-1.0, 3.0), abs=0.26
    )


def test_preview_is_a_full_picture(beside_vein: Path) -> None:
    drawn = image.imread(beside_vein / "preview.png")
    width, height = (round(edge * preview.DPI) for edge in preview.SIZE_INCH)
    assert drawn.shape[:2] == (height, width)
    assert drawn[..., :3].std() > 0.15
    red = np.linalg.norm(drawn[..., :3] - to_rgb(MARGIN_CLASSES[0].colour), axis=-1) < 0.02
    assert red.sum() > 5000, "the chip of a negative margin is red"
    assert not list(beside_vein.glob(".*.part")), "nothing half-written is left"


def test_preview_draws_labels_under_the_isotherm(ball: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(ball, folder)
    write_preview(folder, solid=False)
    without = image.imread(folder / "preview.png")
    axis = np.arange(80) - 40.0
    distance = np.linalg.norm(np.stack(np.meshgrid(axis, axis, axis, indexing="ij")), axis=0)
    affine = np.eye(4)
    affine[:3, 3] = -40.0
    labels = LabelOutlines((distance < 20.0).astype(np.int16), affine, {1: "liver"})
    write_preview(folder, labels=labels, solid=False)
    assert np.abs(image.imread(folder / "preview.png") - without).max() > 0.5


def test_preview_without_tumour_vessel_or_zone(tmp_path: Path) -> None:
    cold = write_run(
        tmp_path / "cold",
        lambda points: 37.0 + 0.0 * points[:, 0],
        tumour=False,
        vessel=False,
        modality="mw",
    )
    assert write_preview(cold, solid=False) == ()
    write_report(cold)
    text = (cold / "report.html").read_text(encoding="utf-8")
    assert "This scenario has no tumour" in text
    assert "Margin over the tumour" not in text


def test_preview_says_when_the_3d_view_is_missing(
    ball: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "render", lambda directory, views: ((), "no EGL here"))
    warnings = write_preview(ball)
    assert warnings == ("preview.png: the 3D view was left out: no EGL here",)
    assert (ball / "preview.png").stat().st_size > 50_000


def test_report_is_self_contained(beside_vein: Path) -> None:
    text = (beside_vein / "report.html").read_text(encoding="utf-8")
    links = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", text)
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    assert not re.search(r"url\(|@import|<script|<link", text)
    assert "http" not in re.sub(r"data:[^\"']*", "", text)
    png = next(link for link in links if link.startswith("data:image/png"))
    assert base64.b64decode(png.split(",")[1]) == (beside_vein / "preview.png").read_bytes()


def test_report_holds_the_numbers(beside_vein: Path) -> None:
    summary = json.loads((beside_vein / "summary.json").read_text(encoding="utf-8"))
    text = (beside_vein / "report.html").read_text(encoding="utf-8")
    for wanted in (
        margin_text(summary["margin"]["minimal_mm"]),
        f"{summary['zone']['peak_60C']['volume_ml']:.1f}",
        f"{summary['zone']['peak_50C']['volume_ml']:.1f}",
        "21600",
        "4100",
        "71.2",
        summary["inputs_sha256"],
        "portal branch (portal vein, \N{LATIN CAPITAL LETTER O WITH STROKE} 6.0 mm)",
        "Capillary perfusion stops for good where tissue has reached 60 °C.",
        "not a medical device",
        "COMSOL &lt;Bioheat&gt; &amp; IT&#39;IS",
        "name: synthetic &lt;needle&gt;",
    ):
        assert wanted in text, wanted
    assert "recurrence" not in text.lower()


def test_verdict_answers_first(beside_vein: Path, ball: Path) -> None:
    assert words.verdict(load_run(beside_vein)).headline.startswith("No: part of the tumour")
    inside = words.verdict(load_run(ball))  # zone 17 mm, tumour 11 mm
    assert inside.headline.startswith("Yes")
    assert "5.5 mm" in inside.detail or "6.0 mm" in inside.detail
    assert words.thinnest_place(load_run(beside_vein)) == "on the left side of the tumour"


def test_verdict_says_no_where_only_tumour_at_the_capsule_is_left(ball: Path) -> None:
    """Its margin is set apart. Catches a "Yes" above a tumour that is not covered."""
    run = load_run(ball)
    margin = run.summary["margin"]
    margin |= {"fraction_subcapsular": 0.2, "subcapsular_minimal_mm": 1.2}
    assert words.verdict(run).headline.startswith("Yes")
    margin |= {"subcapsular_minimal_mm": -3.2, "tumour_covered_fraction": 0.93}
    found = words.verdict(run)
    assert found.headline.startswith("No: part of the tumour next to the liver capsule")
    assert "7.0 % of its volume" in found.detail and "3.5 mm" in found.detail
    assert words.capsule_line(margin).startswith("20 % of the surface")


def test_a_margin_below_a_high_target_has_no_colour_of_success(ball: Path) -> None:
    run = load_run(ball)  # its minimal margin is 5.5 to 6 mm
    enough = words.verdict(run).colour
    run.summary["scenario"]["assessment"]["target_margin_mm"] = 10.0
    found = words.verdict(run)
    assert "below the target of 10 mm" in found.detail
    assert enough == margin_class(6.0).colour != found.colour == margin_class(2.0).colour


def test_heat_sink_flag_depends_on_the_modality(beside_vein: Path, tmp_path: Path) -> None:
    run = load_run(beside_vein)
    distances = words.vessel_distances(run)
    assert distances[0].distance == pytest.approx(VESSEL_X - 3.0 - TUMOUR_RADIUS, abs=0.05)
    flag = heat_sink(run, distances)
    assert flag is not None
    assert flag.level == "red"
    microwave = load_run(write_run(tmp_path / "mw", modality="mw"))
    flag = heat_sink(microwave, words.vessel_distances(microwave))
    assert flag is not None
    assert flag.level == "amber"
    assert "no difference" in flag.detail
    # in a label map what the run found of the branch that is near, not of the trunk
    margin = run.summary["margin"]
    margin |= {"vessel_diameter_mm": {"portal_branch": 2.4}, "heat_sinks": []}
    distances = words.vessel_distances(run)
    assert "2.4 mm" in distances[0].text
    flag = heat_sink(run, distances)
    assert flag is not None
    assert flag.level == "none"
    alone = load_run(write_run(tmp_path / "alone", vessel=False))
    flag = heat_sink(alone, words.vessel_distances(alone))
    assert flag is not None
    assert flag.level == "none"


def test_evidence_names_a_source_for_every_entry() -> None:
    entries = [*evidence()["margins"], *evidence()["uncertainty"]]
    assert all(entry["source"] for entry in entries)


@pytest.mark.parametrize(
    ("margin", "shown"),
    [(4.99, 4.5), (5.0, 5.0), (2.9999999, 3.0), (0.2, 0.0), (-0.01, -0.5), (-2.5, -2.5)],
)
def test_margin_is_rounded_down_to_half_a_millimetre(margin: float, shown: float) -> None:
    assert margin_round(margin) == shown
    if abs(margin - shown) > 1e-6:
        assert margin_class(margin) is margin_class(shown), "text and colour agree"


def test_missing_numbers_are_dashes() -> None:
    assert margin_text(None) == number_text(None, 1, "ml") == number_text(float("nan"), 1)
    assert margin_text(-0.3) == "\N{MINUS SIGN}0.5 mm"
    assert margin_text(0.1) == "0.0 mm"


# Machado, Oliveira, Fernandes 2009 (10.1109/TVCG.2009.113), severity 1: linear RGB as seen.
DEFICIENCIES = {
    "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritan": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    "none": np.eye(3).tolist(),
}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_margin_colours_stay_apart(deficiency: str) -> None:
    matrix = np.array(DEFICIENCIES[deficiency])
    labs = [_lab(entry.colour, matrix) for entry in MARGIN_CLASSES]
    distances = [float(np.linalg.norm(a - b)) for a, b in combinations(labs, 2)]
    assert min(distances) > 20.0  # CIE76; 2.3 is just noticeable


def _lab(colour: str, matrix: np.ndarray) -> np.ndarray:
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(matrix @ linear, 0.0, 1.0)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ seen / (0.9505, 1.0, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_surface_outside_a_plane_gives_no_lines(ball: Path) -> None:
    run = load_run(ball)
    assert run.margin is not None
    assert surface_lines(run.margin, standard_planes(np.array([0.0, 0.0, 25.0]))[0]) == ()


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"nowhere: there is no such directory.*ablasim run"):
        load_run(tmp_path / "nowhere")


def test_every_missing_file_is_named(ball: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(ball, folder)
    (folder / "fields.vtu").unlink()
    (folder / "anatomy.vtp").unlink()
    with pytest.raises(InputFileError, match=r"missing: fields\.vtu, anatomy\.vtp"):
        write_preview(folder)
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("summary.json", "{", "summary.json: cannot be read as JSON"),
        ("summary.json", "[1]", "got a JSON list, expected an object"),
        ("summary.json", "{}", "names 0 surfaces"),
        ("anatomy.vtp", "nonsense", "anatomy.vtp: "),
        ("anatomy.vtp", "<VTKFile>oops</VTKFile>", "anatomy.vtp: "),
        ("tumour_margin.vtp", "<VTKFile>", "tumour_margin.vtp: "),
    ],
)
def test_damaged_files_are_named(
    ball: Path, tmp_path: Path, name: str, content: str, message: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(ball, folder)
    (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputFileError, match=re.escape(message)):
        load_run(folder)


@pytest.mark.parametrize("name", ["fields.vtu", "anatomy.vtp", "lethal_zone.vtp"])
@pytest.mark.parametrize("share", [0.3, 0.999])
def test_truncated_files_are_refused(ball: Path, tmp_path: Path, name: str, share: float) -> None:
    """The mistake this catches: VTK returns an empty mesh, and the zone silently is no more."""
    folder = tmp_path / "run"
    shutil.copytree(ball, folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputFileError, match=re.escape(name)):
        load_run(folder)


def test_history_is_read_with_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("time_s,voltage_V\n0,\n1,2.5\n", encoding="utf-8")
    history = read_history(path)
    assert np.isnan(history["voltage_V"][0])
    assert history["voltage_V"][1] == 2.5
    path.write_text("time_s,voltage_V\n0,three\n", encoding="utf-8")
    with pytest.raises(InputFileError, match="not a table of numbers"):
        read_history(path)
