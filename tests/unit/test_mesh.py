"""The mesher, its cache, and mesh files."""

from __future__ import annotations

import errno
import math
from dataclasses import replace
from pathlib import Path

import meshio
import numpy as np
import pytest

from ablasim import catalogue
from ablasim.anatomy import Anatomy, VesselShape, block_solid, place_probe
from ablasim.errors import InputFileError, UsageError
from ablasim.frames import MM
from ablasim.mesh import TetMesh, cached_mesh, mesh_anatomy, read_mesh, write_mesh
from ablasim.mesh_cache import load, mesh_path, store
from ablasim.mesh_collapse import collapse
from ablasim.mesh_improve import POOR, improve, merit
from ablasim.mesh_repair import sound_cells
from ablasim.mesh_split import Work, cells_inside, lattice, refine, split_along
from ablasim.mesh_tet import (
    FloatArray,
    boundary_faces,
    connected_parts,
    interface_faces,
    tet_heights,
    tet_quality,
    tet_volumes,
)
from ablasim.mesh_walls import tag_faces, walls_of
from ablasim.shapes import HalfSpace, Sphere, Tube

NEEDLE = catalogue.probe("cooled_needle_17g_20mm")
BLOCK = 50.0 * MM
VESSEL_AT = 12.0 * MM


def small_anatomy(direction: tuple[float, float, float] = (0.0, 0.0, 1.0)) -> Anatomy:
    """A needle, a vessel and a tumour in a ball of 50 mm."""
    axis = np.array(direction) / np.linalg.norm(direction)
    path = ((VESSEL_AT, 0.0, -0.1), (VESSEL_AT, 0.0, 0.1))
    return Anatomy(
        block_solid("sphere", np.zeros(3), (BLOCK, BLOCK, BLOCK)),
        None,
        Sphere((0.0, 0.0, 0.0), 8.0 * MM),
        (VesselShape("vein", "hepatic_vein", 5.0 * MM, 0.1, Tube(path, 2.5 * MM), path),),
        (place_probe(NEEDLE, -10.0 * MM * axis, axis),),
        {"liver": "liver", "tumour": "colorectal_metastasis"},
    )


@pytest.fixture(scope="module")
def mesh() -> TetMesh:
    """A preview of the small anatomy, meshed once."""
    return mesh_anatomy(small_anatomy(), "preview")


# The mesher ---------------------------------------------------------------------------------------


def test_cells_are_sound(mesh: TetMesh) -> None:
    assert 4_000 < len(mesh.points) < 20_000
    assert mesh.cell_volumes().min() > 0.0
    assert mesh.quality().min() > 0.1
    assert mesh.h_min() > 0.15 * MM, "a flat cell would slow the explicit solution"
    assert connected_parts(mesh.cells).max() == 0, "one piece"
    assert np.unique(mesh.cells).size == len(mesh.points), "no point without a cell"
    assert mesh.regions == ("liver", "tumour")
    surfaces = {"outer", "probe.0.active", "probe.0.shaft", "vessel.vein"}
    assert set(mesh.surfaces) == surfaces


def test_every_boundary_face_is_there_once_and_points_outward(mesh: TetMesh) -> None:
    faces, _ = boundary_faces(mesh.cells)
    assert {tuple(sorted(f)) for f in faces.tolist()} == {
        tuple(sorted(f)) for f in mesh.faces.tolist()
    }
    assert len(faces) == len(mesh.faces)
    assert set(mesh.face_surface.tolist()) == set(range(len(mesh.surfaces)))
    # The divergence theorem: wrong normals would not give the volume.
    corner = mesh.points[mesh.faces].mean(axis=1)
    flux = np.einsum("ij,ij->", corner, mesh.face_normals()) / 3.0
    assert flux == pytest.approx(mesh.cell_volumes().sum(), rel=1e-12)
    assert np.abs(mesh.face_normals().sum(axis=0)).max() < 1e-12, "closed"


def test_walls_have_their_exact_area(mesh: TetMesh) -> None:
    radius = NEEDLE.radius
    active = 2.0 * math.pi * radius * 20.0 * MM + math.pi * radius**2
    assert mesh.surface_area("probe.0.active") == pytest.approx(active, rel=0.01)
    shaft = 2.0 * math.pi * radius * (25.0 - 10.0) * MM
    assert mesh.surface_area("probe.0.shaft") == pytest.approx(shaft, rel=0.01)
    angle = np.linspace(0.0, 2.0 * math.pi, 400)
    wall = VESSEL_AT + 2.5 * MM * np.cos(angle)
    length = 2.0 * np.sqrt((0.5 * BLOCK) ** 2 - wall**2 - (2.5 * MM * np.sin(angle)) ** 2)
    exact = 2.5 * MM * np.trapezoid(length, angle)
    assert mesh.surface_area("vessel.vein") == pytest.approx(exact, rel=0.01)


def test_regions_have_their_exact_volume(mesh: TetMesh) -> None:
    ball = 4.0 / 3.0 * math.pi * (8.0 * MM) ** 3
    needle = math.pi * NEEDLE.radius**2 * 16.0 * MM
    tumour = mesh.cell_volumes()[mesh.region_cells("tumour")].sum()
    assert tumour == pytest.approx(ball - needle, rel=0.01)


def test_the_insulation_begins_on_a_sharp_line(mesh: TetMesh) -> None:
    """Not a zigzag between triangles: every edge between active and shaft lies in one plane."""
    active = np.unique(mesh.surface_faces("probe.0.active"))
    shaft = np.unique(mesh.surface_faces("probe.0.shaft"))
    shared = np.intersect1d(active, shaft)
    assert len(shared) >= 6
    np.testing.assert_allclose(mesh.points[shared, 2], 10.0 * MM, atol=0.02 * MM)


def test_points_of_walls_lie_on_them(mesh: TetMesh) -> None:
    side = mesh.points[np.unique(mesh.surface_faces("probe.0.shaft"))]
    off = np.hypot(side[:, 0], side[:, 1]) - NEEDLE.radius
    # Slightly outside, so that chords inside the circle and points on it balance.
    assert off.min() > -0.01 * MM and off.max() < 0.05 * MM
    outer = np.unique(mesh.surface_faces("outer"))
    radius = np.linalg.norm(mesh.points[outer], axis=1)
    np.testing.assert_allclose(radius, 0.5 * BLOCK, atol=0.1 * MM)


def test_every_face_lies_on_the_wall_it_is_named_after(mesh: TetMesh) -> None:
    anatomy = small_anatomy()
    walls = {"probe.0.active": anatomy.probes[0].sdf, "probe.0.shaft": anatomy.probes[0].sdf}
    walls |= {"vessel.vein": anatomy.vessels[0].sdf, "outer": anatomy.block.sdf}
    for name, sdf in walls.items():
        corners = mesh.points[np.unique(mesh.surface_faces(name))]
        assert np.abs(sdf(corners)).max() < 0.1 * MM, name


def test_a_face_in_no_wall_goes_to_the_nearest_body() -> None:
    """Where tissue was removed: not to a probe whose endless plane happens to pass there."""
    anatomy = small_anatomy()
    walls = walls_of(anatomy, 0.3 * MM)
    work = lattice(np.full(3, -12.0 * MM), np.full(3, 12.0 * MM), 4.0 * MM)
    # A hole around the vessel, its lower side in the plane of the needle's end.
    middle = work.points[work.cells].mean(axis=1)
    work.points[:, 2] += np.where(np.abs(work.points[:, 2] + 12.0 * MM) < 1e-9, 2.0 * MM, 0.0)
    gone = (middle[:, 0] > 8.0 * MM) & (np.abs(middle[:, 1]) < 4.0 * MM)
    work.drop(gone)
    region = np.zeros(len(work.cells), dtype=np.int16)
    faces, refs = tag_faces(anatomy, work, region, walls)
    bottom = np.abs(work.points[faces][:, :, 2] + 10.0 * MM).max(axis=1) < 1e-9
    far = work.points[faces].mean(axis=1)[:, 0] > 7.0 * MM
    named = {walls[int(ref) // 4 - 1].surface for ref in refs[bottom & far]}
    assert "probe.0" not in named and named


def test_the_needle_s_end_is_flat(mesh: TetMesh) -> None:
    active = mesh.points[np.unique(mesh.surface_faces("probe.0.active"))]
    assert active[:, 2].min() == pytest.approx(-10.0 * MM, abs=0.01 * MM)
    rim = active[np.abs(active[:, 2] + 10.0 * MM) < 0.02 * MM]
    assert np.hypot(rim[:, 0], rim[:, 1]).max() == pytest.approx(NEEDLE.radius, rel=0.04)


def test_the_mesh_is_finest_at_the_electrode(mesh: TetMesh) -> None:
    edge = np.linalg.norm(mesh.points[mesh.cells[:, 0]] - mesh.points[mesh.cells[:, 1]], axis=1)
    middle = mesh.points[mesh.cells].mean(axis=1)
    heat = small_anatomy().probes[0].hot(middle)
    assert edge[heat < 0.5 * MM].mean() < 0.8 * MM
    assert edge[heat > 10.0 * MM].mean() > 2.0 * edge[heat < 0.5 * MM].mean()


def test_points_are_ordered_for_locality(mesh: TetMesh) -> None:
    spread = mesh.cells.max(axis=1) - mesh.cells.min(axis=1)
    random = np.random.default_rng(0).permutation(len(mesh.points))[mesh.cells]
    assert np.median(spread) < 0.2 * np.median(random.max(axis=1) - random.min(axis=1))


def test_a_turned_needle_is_as_good_and_the_same_twice(mesh: TetMesh) -> None:
    bare = replace(small_anatomy((0.3, -0.7, 0.6)), vessels=(), tumour=None)
    bare = replace(bare, block=block_solid("sphere", np.zeros(3), (0.03, 0.03, 0.03)))
    turned = mesh_anatomy(bare, "preview")
    assert turned.h_min() > 0.15 * MM
    active = mesh.surface_area("probe.0.active")
    assert turned.surface_area("probe.0.active") == pytest.approx(active, rel=0.01)
    again = mesh_anatomy(bare, "preview")
    np.testing.assert_array_equal(again.points, turned.points)
    np.testing.assert_array_equal(again.cells, turned.cells)


def test_an_unknown_resolution_is_refused() -> None:
    with pytest.raises(UsageError, match="use one of preview, standard, fine"):
        mesh_anatomy(small_anatomy(), "coarse")


# Its steps ----------------------------------------------------------------------------------------


def block_of_cubes(size: float = 0.25) -> Work:
    """A lattice over the cube from -1 to 1."""
    return lattice(-np.ones(3), np.ones(3), size)


def test_a_lattice_fills_its_box() -> None:
    work = block_of_cubes()
    volumes = tet_volumes(work.points, work.cells)
    assert volumes.min() > 0.0
    assert volumes.sum() == pytest.approx(8.0)


def conforms(work: Work) -> bool:
    """Whether the boundary is that of the cube: a hanging point would add faces inside."""
    faces, _ = boundary_faces(work.cells)
    corner = work.points[faces]
    on_side = (np.abs(np.abs(corner) - 1.0) < 1e-9).all(axis=1).any(axis=1)
    return bool(on_side.all())


def test_refinement_conforms_and_reaches_the_size() -> None:
    work = block_of_cubes(0.5)

    def longest(x: FloatArray) -> FloatArray:
        return np.asarray(0.08 + 0.4 * np.linalg.norm(x - 0.3, axis=1))

    refine(work, longest)
    assert conforms(work)
    assert tet_volumes(work.points, work.cells).sum() == pytest.approx(8.0)
    assert tet_quality(work.points, work.cells).min() > 0.3
    for i in range(4):
        for j in range(i):
            a, b = work.points[work.cells[:, i]], work.points[work.cells[:, j]]
            assert (np.linalg.norm(a - b, axis=1) <= longest(0.5 * (a + b)) + 1e-12).all()


def test_a_split_makes_the_surface_of_faces() -> None:
    work = block_of_cubes(0.1)
    sphere = Sphere((0.05, 0.02, -0.03), 0.6)
    split_along(work, sphere)
    assert conforms(work)
    volumes = tet_volumes(work.points, work.cells)
    assert volumes.min() > 0.0
    inside = cells_inside(work, sphere)
    assert volumes[inside].sum() == pytest.approx(4.0 / 3.0 * math.pi * 0.6**3, rel=0.03)
    faces, _ = interface_faces(work.cells, inside.astype(np.int16))
    assert np.abs(sphere(work.points[np.unique(faces)])).max() < 1e-6


def test_a_plane_within_a_tube_cuts_nothing_else() -> None:
    work = block_of_cubes(0.2)
    tube = Tube(((0.0, 0.0, -2.0), (0.0, 0.0, 2.0)), 0.4)
    plane = HalfSpace((0.0, 0.0, 0.03), (0.0, 0.0, 1.0))
    split_along(work, tube)
    split_along(work, plane, within=tube)
    assert conforms(work)
    half = cells_inside(work, tube) & cells_inside(work, plane)
    volume = tet_volumes(work.points, work.cells)[half].sum()
    assert volume == pytest.approx(math.pi * 0.4**2 * 1.03, rel=0.06)
    outside = work.points[tube(work.points) > 1e-6]
    lattice_heights = np.unique(np.round(outside[:, 2], 6))
    assert 0.03 not in lattice_heights


def test_poor_cells_are_improved_and_nothing_gets_worse() -> None:
    work = block_of_cubes(0.25)
    random = np.random.default_rng(0)
    inner = (np.abs(work.points) < 0.99).all(axis=1)
    points = work.points + 0.09 * random.normal(size=work.points.shape) * inner[:, None]
    good = tet_volumes(points, work.cells) > 0.0
    cells = work.cells[good]
    height = 0.2
    before = merit(points, cells, height)
    assert (before < POOR).sum() > 50
    after = merit(improve(points, cells, height, inner, lambda which, x: x), cells, height)
    assert after.min() >= before.min()
    assert (after < POOR).sum() < 0.5 * (before < POOR).sum()


def test_a_short_edge_is_collapsed() -> None:
    work = block_of_cubes(0.5)
    points = work.points.copy()
    inner = np.flatnonzero((np.abs(points) < 0.9).all(axis=1))
    a, b = inner[0], inner[1]
    neighbours = np.unique(work.cells[(work.cells == a).any(axis=1)])
    b = next(int(p) for p in inner if p in neighbours and p != a)
    points[a] += 0.95 * (points[b] - points[a])
    assert tet_volumes(points, work.cells).min() >= -1e-12
    kind = (np.abs(np.abs(points) - 1.0) < 1e-9) @ np.array([1, 2, 4])
    stay, cells, target = collapse(points, work.cells, 0.3, kind.astype(np.int64), POOR)
    kept = cells[stay]
    assert (~stay).sum() > 0 and target[a] != a or target[b] != b
    assert tet_volumes(points, kept).sum() == pytest.approx(8.0)
    assert tet_heights(points, kept).min() > 2.0 * tet_heights(points, work.cells).min()


def test_tissue_that_touches_itself_in_an_edge_goes() -> None:
    work = block_of_cubes(0.5)
    middle = work.points[work.cells].mean(axis=1)
    # Two opposite quadrants meet only along the z axis.
    cells = work.cells[(middle[:, 0] > 0.0) == (middle[:, 1] > 0.0)]
    kept = cells[sound_cells(cells)]
    side = work.points[kept].mean(axis=1)[:, 0] > 0.0
    assert side.all() or not side.any()
    whole = work.cells
    assert sound_cells(whole).all(), "a sound mesh stays whole"


# The cache ----------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of one's own."""
    monkeypatch.setenv("ABLASIM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def same(one: TetMesh, two: TetMesh) -> bool:
    """Whether two meshes hold the same."""
    arrays = ("points", "cells", "cell_region", "faces", "face_surface")
    return (one.regions, one.surfaces) == (two.regions, two.surfaces) and all(
        np.array_equal(getattr(one, name), getattr(two, name))
        and getattr(one, name).dtype == getattr(two, name).dtype
        for name in arrays
    )


def test_a_mesh_is_made_once(mesh: TetMesh, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def make(*args: object, **kwargs: object) -> TetMesh:
        calls.append(args)
        return mesh

    monkeypatch.setattr("ablasim.mesh_cache.mesh_anatomy", make)
    assert same(cached_mesh(small_anatomy(), "preview"), mesh)
    assert same(cached_mesh(small_anatomy(), "preview"), mesh)
    assert len(calls) == 1
    cached_mesh(small_anatomy(), "standard")
    cached_mesh(small_anatomy((0.0, 1.0, 0.0)), "preview")
    assert len(calls) == 3, "another resolution or anatomy is another mesh"


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "text"])
def test_a_damaged_cache_is_thrown_away(mesh: TetMesh, cache: Path, damage: str) -> None:
    path = mesh_path(small_anatomy(), "preview")
    store(path, mesh)
    assert load(path) is not None
    data = bytearray(path.read_bytes())
    if damage == "bit":
        data[len(data) // 2] ^= 1
    path.write_bytes({"cut": data[:1000], "bit": data, "empty": b"", "text": b"no mesh"}[damage])
    assert load(path) is None
    assert not path.exists()


def test_a_cache_that_cannot_be_written_costs_only_time(
    mesh: TetMesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ABLASIM_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr("ablasim.mesh_cache.mesh_anatomy", lambda *args, **kwargs: mesh)
    assert cached_mesh(small_anatomy(), "preview") is mesh


def test_nothing_half_written_is_left(
    mesh: TetMesh, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("ablasim.mesh_cache.os.replace", fail)
    path = mesh_path(small_anatomy(), "preview")
    with pytest.raises(OSError, match="disk full"):
        store(path, mesh)
    assert list(path.parent.iterdir()) == []


# Files --------------------------------------------------------------------------------------------


def groups(mesh: TetMesh, *, named: bool) -> dict[str, dict[str, list[int | str]]]:
    """How a scenario would name the groups of a file that we wrote."""
    return {
        "regions": {n: [n if named else i + 1] for i, n in enumerate(mesh.regions)},
        "surfaces": {n: [n if named else i + 101] for i, n in enumerate(mesh.surfaces)},
    }


@pytest.mark.parametrize("ending", [".vtu", ".msh", ".MSH", ".vtk"])
def test_a_file_comes_back_as_written(mesh: TetMesh, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"mesh{ending}"
    write_mesh(mesh, path, point_data={"x": mesh.points[:, 0]}, cell_data={"v": mesh.quality()})
    back = read_mesh(path, **groups(mesh, named=ending.lower() == ".msh"))
    np.testing.assert_allclose(back.points, mesh.points, atol=1e-15)
    np.testing.assert_array_equal(back.cells, mesh.cells)
    np.testing.assert_array_equal(back.cell_region, mesh.cell_region)
    for name in mesh.surfaces:
        assert back.surface_area(name) == pytest.approx(mesh.surface_area(name))


def test_a_mesh_that_cannot_be_written_whole_is_not_there(
    mesh: TetMesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mesh.vtu"
    path.write_text("an older one")

    def full_disk(file: Path, *_: object, **__: object) -> None:
        file.write_text("half a me")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(meshio, "write", full_disk)
    with pytest.raises(UsageError, match=r"mesh.vtu: cannot be written \(No space"):
        write_mesh(mesh, path)
    assert [file.name for file in tmp_path.iterdir()] == ["mesh.vtu"]
    assert path.read_text() == "an older one"


def test_a_format_of_two_files_comes_back(mesh: TetMesh, tmp_path: Path) -> None:
    """Catches files that are renamed and then do not find each other."""
    write_mesh(mesh, tmp_path / "m.ele")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.ele", "m.node"]
    assert len(read_mesh(tmp_path / "m.ele").cells) == len(mesh.cells)


def test_a_unit_scales_a_file(mesh: TetMesh, tmp_path: Path) -> None:
    path = tmp_path / "mesh.vtu"
    write_mesh(mesh, path)
    metres = read_mesh(path, unit="m")
    np.testing.assert_allclose(metres.points, mesh.points * 1000.0, rtol=1e-12)
    assert metres.regions == ("liver",) and metres.surfaces == ("outer",)


def tiny(**changes: object) -> TetMesh:
    """A cube of six cells, its top a vessel's wall."""
    work = lattice(np.zeros(3), np.full(3, MM), MM)
    cells = np.asarray(changes.pop("cells", work.cells), dtype=np.int32)
    points = np.asarray(changes.pop("points", work.points))
    faces, _ = boundary_faces(cells)
    top = (points[faces][:, :, 2] > 0.99 * MM).all(axis=1)
    region = np.zeros(len(cells), dtype=np.int16)
    return TetMesh(
        points, cells, region, ("liver",), faces, top.astype(np.int16), ("outer", "vessel.vein")
    )


def test_inverted_cells_are_refused(tmp_path: Path) -> None:
    cells = tiny().cells.copy()
    cells[3] = cells[3][[1, 0, 2, 3]]
    write_mesh(tiny(cells=cells), tmp_path / "a.vtu")
    with pytest.raises(InputFileError, match="1 inverted or flat .* first is number 3"):
        read_mesh(tmp_path / "a.vtu")


def test_doubled_points_are_refused(tmp_path: Path) -> None:
    mesh = tiny()
    points = np.concatenate([mesh.points, mesh.points[mesh.cells[0]]])
    cells = mesh.cells.copy()
    cells[0] = np.arange(8, 12)
    write_mesh(tiny(points=points, cells=cells), tmp_path / "a.vtu")
    with pytest.raises(InputFileError, match="points lie on top of another"):
        read_mesh(tmp_path / "a.vtu")


def test_separate_parts_are_refused(tmp_path: Path) -> None:
    mesh = tiny()
    points = np.concatenate([mesh.points, mesh.points + 5.0 * MM])
    write_mesh(
        tiny(points=points, cells=np.concatenate([mesh.cells, mesh.cells + 8])), tmp_path / "a.vtu"
    )
    with pytest.raises(InputFileError, match="2 parts"):
        read_mesh(tmp_path / "a.vtu")


def test_overlapping_cells_are_refused(tmp_path: Path) -> None:
    mesh = tiny()
    write_mesh(tiny(cells=np.concatenate([mesh.cells, mesh.cells[:1]])), tmp_path / "a.vtu")
    with pytest.raises(InputFileError, match="more than two tetrahedra"):
        read_mesh(tmp_path / "a.vtu")


@pytest.mark.parametrize(
    ("regions", "surfaces", "message"),
    [
        ({"liver": [9]}, {}, r"regions\.liver: got the group 9; the file has 1"),
        ({"liver": ["Leber"]}, {}, "got the group 'Leber'"),
        ({"liver": [1]}, {"vessel.vein": [7]}, r"surfaces\.vessel\.vein: got the group 7"),
        ({"liver": [1]}, {"outer": [101]}, "2 boundary triangles belong to no group"),
    ],
)
def test_unknown_groups_are_refused(
    tmp_path: Path,
    regions: dict[str, list[int | str]],
    surfaces: dict[str, list[int | str]],
    message: str,
) -> None:
    write_mesh(tiny(), tmp_path / "a.vtu")
    with pytest.raises(InputFileError, match=message):
        read_mesh(tmp_path / "a.vtu", regions=regions, surfaces=surfaces)


def test_cells_in_no_region_are_refused(mesh: TetMesh, tmp_path: Path) -> None:
    write_mesh(mesh, tmp_path / "a.vtu")
    with pytest.raises(InputFileError, match="belong to no region"):
        read_mesh(tmp_path / "a.vtu", regions={"liver": [1]})


@pytest.mark.parametrize("content", [b"", b"not a mesh", b"<?xml version='1.0'?><VTKFile>"])
@pytest.mark.parametrize("name", ["a.vtu", "a.msh"])
def test_an_unreadable_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputFileError, match="cannot be read as a mesh"):
        read_mesh(tmp_path / name)


def test_a_missing_file_and_an_unknown_ending_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no such file"):
        read_mesh(tmp_path / "a.vtu")
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputFileError, match="ending '.txt'"):
        read_mesh(tmp_path / "a.txt")
    with pytest.raises(UsageError, match="ending '.txt'"):
        write_mesh(tiny(), tmp_path / "b.txt")
