"""Bad input to the real command: one clear message, the right exit code, nothing left behind."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import meshio
import numpy as np
import pytest

from ablasim import cli
from ablasim.labelmap import write_volume

USAGE, INPUT_FILE = 2, 3

IDEAL = """\
name: trial
anatomy:
  tumour: {shape: sphere, centre_mm: [0, 0, 0], diameter_mm: 20, tissue: colorectal_metastasis}
  vessels:
    - {name: branch, kind: portal_vein, path_mm: [[16, 0, -60], [16, 0, 60]], diameter_mm: 6}
probes:
  - {model: cooled_needle_17g_30mm, tip_mm: [0, 0, -15], entry_mm: [0, 0, 90]}
protocol: {mode: power, power_W: 30, duration_s: 60}
numerics: {resolution: preview}
"""

LABELLED = """\
name: trial
labelmap: {file: labels.nii.gz, labels: {liver: 1, tumour: 2, portal_vein: 3}, roi_mm: 60}
probes:
  - {model: cooled_needle_17g_30mm, tip_mm: [0, 0, -15], entry_mm: [0, 0, 90]}
protocol: {mode: power, power_W: 30, duration_s: 60}
numerics: {resolution: preview}
"""

MESHED = """\
name: trial
mesh: {file: own.msh, regions: {liver: [1]}, surfaces: {probe.0.active: [11], outer: [12]}}
probes:
  - {model: cooled_needle_17g_30mm, tip_mm: [0, 0, -15], entry_mm: [0, 0, 90]}
protocol: {mode: power, power_W: 30, duration_s: 60}
"""

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture
def label_map(tmp_path: Path) -> Path:
    """A ball of liver with a tumour and a vessel in it, 1.5 mm voxels around the origin."""
    axis = np.arange(-50.0, 50.1, 1.5)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    labels = (np.sqrt(x**2 + y**2 + z**2) < 45.0).astype(np.uint8)
    labels[np.sqrt(x**2 + y**2 + z**2) < 10.0] = 2
    labels[(np.hypot(x - 18.0, y) < 4.0) & (labels == 1)] = 3
    affine = np.diag([1.5e-3, 1.5e-3, 1.5e-3, 1.0])
    affine[:3, 3] = -50e-3
    write_volume(tmp_path / "labels.nii.gz", labels, affine)
    return tmp_path / "labels.nii.gz"


def assert_refused(
    folder: Path, text: str, capsys: pytest.CaptureFixture[str], code: int, *words: str
) -> str:
    """Run a scenario that must be refused; its message, in which all `words` must stand."""
    file = folder / "trial.yaml"
    file.write_text(text)
    before = sorted(path.name for path in folder.iterdir())
    assert cli.main(["run", str(file), "-o", str(folder / "out"), "-q"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err, said.err
    assert sorted(path.name for path in folder.iterdir()) == before
    return said.err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("power_W: 30", "power_W: 30, powr_W: 3", ("powr_W", "power_W", "trial.yaml:8:")),
        ("power_W: 30", "power_W: -30", ("protocol.power_W", "-30", "greater than 0")),
        ("power_W: 30", "power_W: .nan", ("protocol.power_W", "nan", "finite")),
        ("tip_mm: [0, 0, -15]", "tip_mm: [0, 300, -15]", ("probes[0].tip_mm", "300")),
        ("tip_mm: [0, 0, -15]", "tip_mm: [16, 0, -15]", ("branch", "probes[0]", "mm")),
    ],
    ids=["unknown key", "negative power", "NaN", "tip outside", "probe through vessel"],
)
def test_wrong_values(
    old: str, new: str, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A faulty value is named with its path, and what is allowed."""
    text = IDEAL.replace(old, new)
    if "16, 0, -15" in new:
        text = text.replace("entry_mm: [0, 0, 90]", "entry_mm: [16, 0, 90]")
    assert_refused(tmp_path, text, capsys, USAGE, *words)


def test_alias_bomb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Aliases are refused before they are expanded."""
    said = assert_refused(tmp_path, IDEAL + BOMB, capsys, USAGE, "alias")
    assert len(said) < 2000


def test_missing_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A scenario, a label map and a mesh that are not there."""
    assert cli.main(["run", str(tmp_path / "none.yaml"), "-o", str(tmp_path / "out")]) == INPUT_FILE
    assert "none.yaml" in capsys.readouterr().err
    assert_refused(tmp_path, LABELLED, capsys, INPUT_FILE, "labels.nii.gz")
    assert_refused(tmp_path, MESHED, capsys, INPUT_FILE, "own.msh")


def test_label_that_is_not_in_the_file(label_map: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message lists the labels that the file has."""
    text = LABELLED.replace("tumour: 2", "tumour: 7")
    assert_refused(
        label_map.parent,
        text,
        capsys,
        USAGE,
        "labels.nii.gz has 0 (",
        "3 (",
        "got 7",
        "labelmap.labels.tumour",
    )


def test_truncated_label_map(label_map: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file cut short is never filled up with zeros."""
    label_map.write_bytes(label_map.read_bytes()[: label_map.stat().st_size // 2])
    assert_refused(label_map.parent, LABELLED, capsys, INPUT_FILE, "labels.nii.gz", "cut short")


def test_sheared_label_map(label_map: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Axes that are not perpendicular are refused, not squared up in silence."""
    content = bytearray(gzip.decompress(label_map.read_bytes()))
    assert struct.unpack_from("<i", content, 0)[0] == 348
    struct.pack_into("<2h", content, 252, 0, 1)  # no qform, an sform
    rows = np.array([[1.5, 0.4, 0.0, -50.0], [0.0, 1.5, 0.0, -50.0], [0.0, 0.0, 1.5, -50.0]])
    struct.pack_into("<12f", content, 280, *rows.ravel())
    label_map.write_bytes(gzip.compress(bytes(content)))
    assert_refused(label_map.parent, LABELLED, capsys, INPUT_FILE, "labels.nii.gz", "perpendicular")


def test_probe_through_a_labelled_vessel(
    label_map: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shaft must not run through a vessel of the label map."""
    text = LABELLED.replace("tip_mm: [0, 0, -15]", "tip_mm: [18, 0, -15]")
    text = text.replace("entry_mm: [0, 0, 90]", "entry_mm: [18, 0, 90]")
    assert_refused(label_map.parent, text, capsys, USAGE, "portal vein", "probes[0]")


def test_tip_outside_the_label_map(label_map: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tip that lies in no voxel."""
    text = LABELLED.replace("tip_mm: [0, 0, -15]", "tip_mm: [0, 0, -150]")
    assert_refused(label_map.parent, text, capsys, USAGE, "probes[0].tip_mm", "-150")


def _flip(points: np.ndarray, cells: np.ndarray) -> None:
    cells[1, [0, 1]] = cells[1, [1, 0]]


def _bad_number(points: np.ndarray, cells: np.ndarray) -> None:
    points[3, 1] = np.nan


@pytest.mark.parametrize(
    ("spoil", "word"), [(_flip, "inverted"), (_bad_number, "finite")], ids=["inverted", "NaN"]
)
def test_spoilt_mesh(
    spoil: Callable[[np.ndarray, np.ndarray], None],
    word: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A mesh file that no solver could use is refused with the cell that is wrong."""
    points = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9], [9, 9, 9]], dtype=float)
    cells = np.array([[0, 1, 2, 3], [1, 2, 3, 4]])
    cells[1] = [1, 3, 2, 4]
    corner = points[cells[1]]
    if np.linalg.det(corner[1:] - corner[0]) < 0:
        cells[1] = [1, 2, 3, 4]
    spoil(points, cells)
    faces = np.array([[0, 1, 2], [1, 2, 4]])
    tags = [np.array([1, 1]), np.array([11, 12])]
    meshio.write(
        tmp_path / "own.msh",
        meshio.Mesh(
            points,
            [("tetra", cells), ("triangle", faces)],
            cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags},
        ),
        file_format="gmsh22",
        binary=False,
    )
    assert_refused(tmp_path, MESHED, capsys, INPUT_FILE, "own.msh", word)
