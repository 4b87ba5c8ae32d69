"""A whole study on a tiny mesh of one's own, and its parts on arrays."""

import csv
import errno
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pyvista as pv
from simple_meshes import MM, ball, needle_mesh

import ablasim
from ablasim.assess.intervals import paired_difference, probability
from ablasim.assess.margin import NearVessel
from ablasim.assess.risk import (
    columnwise_quantiles,
    convergence,
    margin_risk,
    narrow_enough,
    surface_risk,
)
from ablasim.cli import main
from ablasim.errors import (
    AblasimError,
    ConvergenceError,
    InputFileError,
    ResourceError,
    ScenarioError,
    UsageError,
)
from ablasim.labelmap import write_volume
from ablasim.mesh import TetMesh, write_mesh
from ablasim.progress import Progress
from ablasim.run import assessed
from ablasim.scenario import Scenario, load_scenario
from ablasim.scenario.anatomy import LabelMap
from ablasim.scenario.risk import Risk
from ablasim.solve import solve
from ablasim.study.batches import (
    LARGEST_CHUNK,
    PROCESS_GB,
    Solved,
    chunk_size,
    sample_memory,
)
from ablasim.study.calibration import true_margins
from ablasim.study.case import Case, prepare
from ablasim.study.child import ONE_THREAD
from ablasim.study.chunk_store import ChunkStore
from ablasim.study.chunks import in_workers, run_chunks, worker_error, workers_for
from ablasim.study.companions import GROUP, companions
from ablasim.study.displacement import Correction, MovedField, no_correction
from ablasim.study.heat_sink import chosen_vessels, vessel_cost
from ablasim.study.inputs import unit_samples
from ablasim.study.plan_files import read_plan, write_plan
from ablasim.study.pool import cores
from ablasim.study.priors import AXES, uncertain_inputs
from ablasim.study.risk_options import RiskOptions
from ablasim.study.risk_study import study_key
from ablasim.study.samples import Samples
from ablasim.study.sampling import Plan

TINY = """\
name: tiny
mesh:
  file: tiny.msh
  regions: {liver: [liver], tumour: [tumour]}
  surfaces:
    outer: [outer]
    probe.0.active: [probe.0.active]
    probe.0.shaft: [probe.0.shaft]
probes:
  - {model: cooled_needle_17g_30mm, tip_mm: [0, 0, -15], entry_mm: [0, 0, 90]}
protocol: {mode: power, power_W: 40, duration_s: 90}
assessment: {target_margin_mm: 3}
numerics: {resolution: preview}
risk: {interval_half_width: 0.001}
"""


MEMORY = f"{len(cores()) * (PROCESS_GB + 0.006):g}"
"""[GB] in which four samples of the tiny mesh are computed together."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario with a coarse mesh: a needle through a tumour of 10 mm, 1200 points."""
    folder = tmp_path_factory.mktemp("tiny")
    plain = needle_mesh(rings=9, sectors=12, layers=20)
    centres = plain.points[plain.cells].mean(axis=1)
    region = ball((0.0, 0.0, 0.0), 5 * MM)(centres).astype(np.int16)
    mesh = TetMesh(
        plain.points, plain.cells, region, ("liver", "tumour"),
        plain.faces, plain.face_surface, plain.surfaces,
    )  # fmt: skip
    write_mesh(mesh, folder / "tiny.msh")
    (folder / "tiny.yaml").write_text(TINY)
    return folder / "tiny.yaml"


@pytest.fixture(scope="module")
def scenario(tiny: Path) -> Scenario:
    return load_scenario(tiny)


@pytest.fixture(scope="module")
def out(tiny: Path) -> Iterator[Path]:
    """A study of eight samples by the command line."""
    place = tiny.parent / "out"
    words = ["risk", str(tiny), "-o", str(place), "-n", "8", "--seed", "5", "-q"]
    assert main([*words, "--device", "cpu", "--max-memory", MEMORY]) == 0
    yield place


def test_the_files_of_a_study(out: Path, tiny: Path) -> None:
    names = {path.name for path in out.iterdir()}
    assert names >= {
        "risk.json", "samples.csv", "tumour_risk.vtp", "zone_p5.vtp", "zone_p50.vtp",
        "zone_p95.vtp", "scenario.yaml", "preview.png", "report.html", "nominal",
    }  # fmt: skip
    assert [path.name for path in tiny.parent.glob(".out*")] == [], "chunks are left behind"
    summary = json.loads((out / "risk.json").read_text())
    assert summary["notice"].startswith("Research software")
    assert summary["samples"]["used"] == 8 and not summary["samples"]["stopped_early"]
    assert summary["samples"]["computed_together"] == 4
    with (out / "samples.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    margins = np.array([float(row["minimal_margin_mm"]) for row in rows])
    chance = summary["probability"]["margin_below_0"]
    assert chance["value"] == pytest.approx((margins < 0).mean())
    assert chance["low"] <= chance["value"] <= chance["high"]
    assert summary["margin_mm"]["p50"]["value"] == pytest.approx(np.median(margins), abs=1e-6)
    volumes = [summary["zones"][key]["volume_ml"] for key in ("p5", "p50", "p95")]
    assert volumes == sorted(volumes) and volumes[0] < volumes[2]
    surface = pv.read(out / "tumour_risk.vtp")
    worst = np.max(surface.point_data["probability"])
    assert worst == pytest.approx(summary["surface"]["worst_probability"]["value"])
    # no margin anywhere is below the minimal one of its own sample
    assert worst <= chance["value"] + 1e-12
    assert "cannot be corrected" in summary["displacement"]["method"]
    page = (out / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    assert "assumed here; no source" in page


def test_a_sample_is_a_single_run(scenario: Scenario) -> None:
    """The margin of a sample without displacement is that of `ablasim run` with its numbers."""
    case = prepare(scenario)
    inputs = uncertain_inputs(scenario, case.problem, case.tissues)
    columns = inputs.draw(np.full((1, len(inputs.varied)), 0.3))
    nominal = {entry.name: entry.nominal for entry in inputs.varied}
    for name in ("heat_capacity", "sigma", "sigma_slope", "perfusion_shutdown", *AXES):
        columns[name] = np.array([nominal[name]])
    columns["death_criterion"] = np.array(["peak_54C"])
    plan = Plan(
        case, columns, no_correction(""), None, np.empty(0, dtype=np.int64), 4, "cpu", "float64"
    )
    found = run_chunks(plan)
    assert scenario.mesh is not None
    tissue = {
        "perfusion_W_m3K": float(columns["perfusion_liver"][0]),
        "conductivity_W_mK": float(columns["conductivity"][0]),
    }
    tumour = {**tissue, "perfusion_W_m3K": float(columns["perfusion_tumour"][0])}
    changes = {
        "tissues": {"liver": tissue, case.tissues["tumour"]: tumour},
        "protocol.power_W": 40.0 * float(columns["net_power"][0]),
        "assessment.criterion": "peak_54C",
    }
    single = load_scenario(Path(scenario.mesh.file).with_name("tiny.yaml"), changes)
    plain = ablasim.run_scenario(single, device="cpu")
    assert plain.margin is not None and plain.margin.minimal is not None
    assert found.minimal[0] == pytest.approx(plain.margin.minimal, abs=1e-9)
    np.testing.assert_allclose(found.margin[0], plain.margin.margin, atol=1e-9)
    assert found.volume[0] == pytest.approx(plain.record.zone.volume, rel=1e-9)


def test_truths_at_the_points_of_a_study_are_its_samples(out: Path, scenario: Scenario) -> None:
    with (out / "samples.csv").open() as stream:
        expected = [float(row["minimal_margin_mm"]) for row in csv.DictReader(stream)]
    case = prepare(scenario)
    inputs = uncertain_inputs(scenario, case.problem, case.tissues)
    unit = unit_samples(8, len(inputs.varied), 5)
    found = true_margins(case, inputs, unit, no_correction(""))
    # Eight together instead of four: they share time steps, so the margin may differ by 0.01 mm.
    np.testing.assert_allclose(found / MM, expected, atol=0.01)


@pytest.mark.slow
def test_an_interrupted_study_goes_on(out: Path, tiny: Path) -> None:
    """After its first chunk; the same seed gives the same numbers to the last digit, with one
    worker as with as many as there are cores."""
    again = tiny.parent / "again"

    def stops(event: Progress) -> None:
        if event.stage == "samples" and event.message == "4 samples":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablasim.risk(
            load_scenario(tiny), samples=8, seed=5, out=again, device="cpu",
            max_memory=float(MEMORY), progress=stops,
        )  # fmt: skip
    kept = list(tiny.parent.glob(".again.risk/chunk-*.npz"))
    assert not again.exists() and kept, "the finished chunk stays"
    words = ["risk", str(tiny), "-o", str(again), "-n", "8", "--seed", "5", "-q"]
    assert main([*words, "--device", "cpu", "--max-memory", MEMORY, "--workers", "1"]) == 0
    assert (again / "samples.csv").read_bytes() == (out / "samples.csv").read_bytes()
    assert (again / "tumour_risk.vtp").read_bytes() == (out / "tumour_risk.vtp").read_bytes()


def test_an_earlier_study_is_not_replaced_by_mistake(out: Path, tiny: Path) -> None:
    assert main(["risk", str(tiny), "-o", str(out), "-q"]) == 2
    assert main(["risk", str(tiny), "-o", str(tiny.parent), "-q", "--force"]) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"samples": 16.5}, "--samples: got 16.5; must be a whole number"),
        ({"workers": 1.5}, "--workers: got 1.5; must be a whole number"),
        ({"seed": True}, "--seed: got True; must be a whole number"),
        ({"samples": None}, "--samples: got None; must be a whole number"),
        ({"max_memory": math.nan}, "--max-memory: got nan"),
        ({"vessels": "portal"}, "vessels: got 'portal'; must be a list of names"),
        ({"dtype": "float16"}, "--dtype: got 'float16'; must be float64 or float32"),
        ({"vessels": ("vein",), "heat_sink": False}, "--vessel: got it with --no-heat-sink"),
    ],
)
def test_the_function_refuses_what_the_command_refuses(given: dict[str, Any], message: str) -> None:
    scenario: Any = None  # not looked at
    with pytest.raises(UsageError, match=re.escape(message)):
        ablasim.risk(scenario, **given)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-n", "4"], "--samples: got 4; must be from 8"),
        (["--seed", "-1"], "--seed: got -1"),
        (["--workers", "0"], "--workers: got 0"),
        (["--max-memory", "0"], "greater than 0 GB"),
        (["--max-memory", "0.00001"], "with one sample on this mesh takes about"),
        (["--vessel", "porta"], "'porta'; the meshed vessels are: none"),
        (["--vessel", "porta", "--no-heat-sink"], "leave one of them out"),
        (["--set", 'risk.sigma={"distribution":"normal","mean":0.3,"sd":-1}'], "sd: got -1"),
    ],
)
def test_bad_commands(
    tiny: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tiny.parent / "never"
    assert main(["risk", str(tiny), "-o", str(place), "-q", *words]) == 2
    printed = capsys.readouterr().err
    assert message in printed and "Traceback" not in printed
    assert not place.exists()


def test_samples_that_fail(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    from ablasim.study import sampling

    def gives_up(problems: Any, control: Any, **_: Any) -> Solved:
        fields = [{"peak_C": np.full(len(problems[0].mesh.points), 37.0)} for _ in problems]
        count = len(problems)
        return Solved(fields, np.arange(count) < 2, np.zeros(count), False)

    monkeypatch.setattr(sampling, "solve_all", gives_up)
    with pytest.raises(ConvergenceError, match="gave up in 2 of 8 samples"):
        ablasim.risk(scenario, samples=8, device="cpu")


@pytest.mark.parametrize("kind", [UsageError, InputFileError, ConvergenceError, ResourceError])
def test_errors_of_workers_keep_their_kind(kind: type[AblasimError]) -> None:
    error = worker_error(kind.exit_code, "what happened")
    assert type(error) is kind and str(error) == "what happened"
    assert worker_error(1, "a fault").exit_code == 1


def test_a_plan_survives_its_files(scenario: Scenario, tmp_path: Path) -> None:
    """To the last digit: what a worker computes is what this process would."""
    case = prepare(scenario)
    inputs = uncertain_inputs(scenario, case.problem, case.tissues)
    columns = inputs.draw(np.linspace(0.1, 0.9, 3 * len(inputs.varied)).reshape(3, -1))
    nodes = np.arange(7)
    correction = Correction(np.full(3, 2 * MM), np.full((3, 2, 4), 0.1), (), "by hand")
    plan = Plan(case, columns, correction, MovedField(case, nodes), nodes, 2, "cpu", "float32")
    write_plan(plan, ChunkStore(tmp_path / "results", "key"), tmp_path)
    again, results = read_plan(tmp_path)
    assert results.key == "key" and results.directory == tmp_path / "results"
    assert again.case.scenario == scenario
    assert (again.chunk, again.device, again.dtype) == (2, "cpu", "float32")
    assert set(again.columns) == set(columns)
    for name, values in columns.items():
        assert again.columns[name].tolist() == values.tolist(), name
    np.testing.assert_array_equal(again.case.mesh.points, case.mesh.points)
    np.testing.assert_array_equal(again.correction.values, correction.values)
    np.testing.assert_array_equal(again.nodes, nodes)
    assert again.moved is not None


def test_a_plan_of_another_program_is_refused(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = prepare(scenario)
    none = np.empty(0, dtype=np.int64)
    plan = Plan(
        case,
        {"perfusion_shutdown": np.full(2, "none")},
        no_correction(""),
        None,
        none,
        2,
        "cpu",
        "float32",
    )
    write_plan(plan, ChunkStore(tmp_path / "results", "key"), tmp_path)
    monkeypatch.setattr("ablasim.revision.revision", lambda: "9.9.9")
    with pytest.raises(InputFileError, match="numbers of two programs are not mixed"):
        read_plan(tmp_path)


def test_the_key_tells_which_sample_has_which_choice(scenario: Scenario) -> None:
    """The same weights in another order give the same samples other criteria."""
    case = prepare(scenario)
    options = RiskOptions(8, 0, "cpu", "float32", None, None, True, None, True, False)
    found = []
    for names in (("peak_60C", "peak_54C"), ("peak_54C", "peak_60C")):
        weights = dict.fromkeys(names, 1.0)
        given = Risk.model_validate(
            {"death_criterion": {"distribution": "choice", "weights": weights}}
        )
        chosen = scenario.model_copy(update={"risk": given})
        inputs = uncertain_inputs(chosen, case.problem, case.tissues)
        columns = inputs.draw(unit_samples(8, len(inputs.varied), 0))
        found.append((list(columns["death_criterion"]), columns, given))
    assert found[0][0] != found[1][0]
    keys = [study_key("", given, case, columns, options, 4) for _, columns, given in found]
    assert keys[0] != keys[1]


def test_vessels_are_refused_before_anything_is_computed(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the plain run was computed")

    monkeypatch.setattr("ablasim.study.risk.run_once", never)
    with pytest.raises(UsageError, match="got 'porta'; the meshed vessels are: none"):
        ablasim.risk(scenario, samples=8, vessels=("porta",))


def test_a_pose_that_cannot_be_is_named_in_words() -> None:
    """Findings of the rules, not the text of a library's exception."""
    shipped = load_scenario(
        "scenarios/rf_beside_portal_vein.yaml", {"numerics.resolution": "preview"}
    )
    case = SimpleNamespace(scenario=shipped)
    with pytest.raises(ScenarioError) as caught:
        Case.moved(case, np.array([16.0, 0.0, 0.0]) * MM)  # type: ignore[arg-type]
    assert "vessel" in str(caught.value)
    for word in ("validation error", "input_value", "ablasim_rules"):
        assert word not in str(caught.value)


def test_a_lock_that_was_removed_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever held it before removes it after another has opened it: two would hold one each."""
    fcntl = pytest.importorskip("fcntl")
    store, flock, calls = ChunkStore(tmp_path / "chunks", ""), fcntl.flock, []

    def late(handle: int, how: int) -> None:
        calls.append(handle)
        if len(calls) == 1:
            (tmp_path / "chunks" / "lock").unlink()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with store.held():
        assert len(calls) == 2
        with pytest.raises(UsageError, match="another process"), store.held():
            pass
    assert not (tmp_path / "chunks").exists()


def test_what_a_killed_worker_was_writing_is_cleared(tmp_path: Path) -> None:
    store = ChunkStore(tmp_path / "chunks", "key")
    store.save_correction(no_correction("none"))
    (tmp_path / "chunks" / "chunk-0003.part").write_bytes(b"half")
    store.clear()
    assert not (tmp_path / "chunks").exists()


def test_workers_follow_cores_chunks_and_memory(scenario: Scenario) -> None:
    case = prepare(scenario)
    columns = {"perfusion_shutdown": np.full(64, "none")}
    none = np.empty(0, dtype=np.int64)
    plan = Plan(case, columns, no_correction(""), None, none, 16, "cpu", "float64")
    chunk = PROCESS_GB + 16 * sample_memory(case.mesh, "float64")
    assert workers_for(plan, 3, None) == 3
    assert workers_for(plan, 100, None) == 4  # chunks
    assert workers_for(plan, 4, 2.5 * chunk) == 2
    assert workers_for(plan, 4, 0.1 * chunk) == 1
    assert 1 <= workers_for(plan, None, None) <= 4


def test_everything_fixed_is_refused(scenario: Scenario) -> None:
    names = [n for n in Risk.model_fields if n not in ("remeshed_poses", "interval_half_width")]
    fixed = Risk.model_validate({name: {"distribution": "fixed"} for name in names})
    with pytest.raises(UsageError, match="every input is fixed"):
        ablasim.risk(scenario.model_copy(update={"risk": fixed}), samples=8)


def test_chunks_follow_from_memory_alone(scenario: Scenario) -> None:
    mesh = prepare(scenario).mesh
    assert chunk_size(mesh, "float64", None) == LARGEST_CHUNK
    sizes = [
        chunk_size(mesh, "float64", PROCESS_GB + memory) for memory in (0.003, 0.03, 0.3, 30.0)
    ]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1] == LARGEST_CHUNK
    assert all(size & (size - 1) == 0 for size in sizes)
    tight = PROCESS_GB + 0.01
    assert chunk_size(mesh, "float32", tight) >= chunk_size(mesh, "float64", tight)
    shared = 4 * PROCESS_GB + 0.03
    assert chunk_size(mesh, "float64", shared, cores=4) < chunk_size(mesh, "float64", shared)
    assert chunk_size(mesh, "float64", shared, cores=1000) == 1
    with pytest.raises(UsageError, match="takes about 0.75 GB"):
        chunk_size(mesh, "float64", 0.9 * PROCESS_GB)


def test_a_damaged_chunk_is_computed_again(tmp_path: Path) -> None:
    one = Samples(*(np.zeros((2, 3)) if name in ("margin", "excess") else np.zeros(2)
                    for name in Samples.names()))  # fmt: skip
    store = ChunkStore(tmp_path / "kept", "key")
    store.save(0, one)
    assert store.load(0) is not None and store.load(1) is None
    assert ChunkStore(tmp_path / "kept", "other").load(0) is None
    path = tmp_path / "kept" / "chunk-0000.npz"
    path.write_bytes(path.read_bytes()[:200])
    assert store.load(0) is None and not path.exists()


@pytest.mark.parametrize("share", [0.5, 0.2])
@pytest.mark.parametrize("count", [1, 7, 32, 100])
@pytest.mark.parametrize("size", [1, 4, 16])
def test_samples_under_one_rule_are_together(share: float, count: int, size: int) -> None:
    """Every sample is in one chunk, and a group of chunks has the samples it had in their order."""
    inputs = unit_samples(count, 3, 7)[:, 1]
    rules = np.where(inputs < share, "none", "peak_60C")
    found = companions(rules, size)
    assert sorted(np.concatenate(found).tolist()) == list(range(count))
    assert all(len(chunk) == size for chunk in found[:-1])
    for first in range(0, len(found), GROUP):
        group = found[first : first + GROUP]
        start = first * size
        assert set(np.concatenate(group)) == set(range(start, min(start + GROUP * size, count)))
        kinds = [set(rules[chunk]) for chunk in group]
        assert sum(len(kind) == 2 for kind in kinds) <= 1, "one chunk at most has both rules"
        assert ["none" in kind for kind in kinds] in ([True], [False], [True, True],
            [False, True], [False, False]), "what takes longest comes first"  # fmt: skip
    if share == 0.5 and count == 100 and size > 1:
        assert all(len(set(rules[chunk])) == 1 for chunk in found[: 96 // size])


def test_results_come_in_the_order_of_the_samples(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether there are enough is asked of all samples up to one, never of one rule's alone."""
    case, none, count = prepare(scenario), np.empty(0, dtype=np.int64), 44
    rules = np.where(unit_samples(count, 1, 3)[:, 0] < 0.5, "none", "peak_60C")
    columns = {"sigma": np.arange(float(count)), "perfusion_shutdown": rules}
    plan = Plan(case, columns, no_correction(""), None, none, 8, "cpu", "float64")

    def compute(plan: Plan, number: int, _: Any) -> Samples:
        members = plan.members[number]
        assert len(set(rules[members])) == 1 or number >= 4
        names = dict.fromkeys(Samples.names(), plan.columns["sigma"][members])
        return Samples(**(names | {"failed": members == 20}))  # type: ignore[arg-type]

    monkeypatch.setattr("ablasim.study.chunks.in_workers", lambda plan: False)
    monkeypatch.setattr("ablasim.study.chunks.compute_chunk", compute)
    asked: list[tuple[list[float], int]] = []
    told: list[str] = []

    def enough(minimal: np.ndarray[Any, Any], failed: int) -> bool:
        asked.append((minimal.tolist(), failed))
        return len(asked) == 4

    found = run_chunks(plan, enough=enough, progress=lambda event: told.append(event.message))
    assert found.minimal.tolist() == list(range(count)) and np.flatnonzero(found.failed) == [20]
    good = [float(n) for n in range(count) if n != 20]
    assert asked == [(good[:16], 0), (good[:31], 1), (good, 1)]
    done = [message for message in told if message[0].isdigit()]
    assert done[0] == "8 samples" and done[1] == "16 samples, P(margin < 0) = 0.0 %"
    assert done[2] == "24 samples, P(margin < 0) of the first 16 = 0.0 %"
    early = run_chunks(plan, enough=lambda minimal, failed: True)
    assert early.minimal.tolist() == list(range(16))


def test_two_studies_of_one_result_are_refused(out: Path, tiny: Path) -> None:
    """Catches two processes that delete each other's chunks."""
    place = tiny.parent / "held"
    words = ["risk", str(tiny), "-o", str(place), "-n", "8", "-q", "--device", "cpu"]
    with ChunkStore(tiny.parent / ".held.risk", "").held():
        assert main(words) == 2
        with pytest.raises(UsageError, match="another process computes"):
            ablasim.risk(load_scenario(tiny), samples=8, out=place, device="cpu")
    assert not list(tiny.parent.glob(".held*"))


def test_a_place_that_cannot_be_written_is_told_at_once(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is computed."""
    scenario = load_scenario(tiny)
    (tiny.parent / "file").touch()
    monkeypatch.setattr("ablasim.study.risk.prepare", None)
    with pytest.raises(UsageError, match="is a file; a directory is needed there"):
        ablasim.risk(scenario, samples=8, out=tiny.parent / "file" / "out")

    def refuse(*_: object, **__: object) -> None:  # whoever runs the tests may write anywhere
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ResourceError, match="Permission denied; choose another place"):
        ablasim.risk(scenario, samples=8, out=tiny.parent / "closed")


def test_volumes_lie_on_the_label_map(scenario: Scenario, tmp_path: Path) -> None:
    """Those of the plain run beside a study and of a sweep's cases, too, not only of `run`."""
    affine = np.diag([2 * MM, 3 * MM, 4 * MM, 1.0])
    write_volume(tmp_path / "a.nii.gz", np.zeros((5, 6, 7), dtype=np.uint8), affine)
    section = LabelMap.model_validate(
        {"file": str(tmp_path / "a.nii.gz"), "labels": {"liver": 1, "tumour": 2}}
    )
    case = prepare(scenario)
    solution = solve(case.problem, control=case.control, device="cpu")
    record = assessed(scenario, case.anatomy, case.problem, solution)
    assert record.grid is None
    mapped = scenario.model_copy(update={"labelmap": section})
    grid = assessed(mapped, case.anatomy, case.problem, solution).grid
    assert grid is not None and grid.shape == (5, 6, 7)
    np.testing.assert_allclose(grid.affine, affine, atol=1e-9)


def test_a_process_with_one_thread_computes_by_itself(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches workers of a cluster, not pinned, that start others, all of them on one core."""
    case, none = prepare(scenario), np.empty(0, dtype=np.int64)
    columns = {"perfusion_shutdown": np.full(64, "none")}
    plan = Plan(case, columns, no_correction(""), None, none, 16, "cpu", "float64")
    monkeypatch.setattr("ablasim.study.chunks.cores", lambda: [0, 1, 2, 3])
    assert in_workers(plan)
    for name, value in ONE_THREAD.items():
        monkeypatch.setenv(name, value)
    assert not in_workers(plan)


def test_statistics_of_margins() -> None:
    minimal = np.linspace(-1.0, 3.0, 401) * MM
    found = margin_risk(minimal, minimal + 1.0, 2.0 * MM)
    assert found.below_zero.value == pytest.approx(100 / 401)
    assert found.below_target.value == pytest.approx(300 / 401)
    values = [estimate.value / MM for estimate in found.margin]
    assert values == pytest.approx([-0.8, 1.0, 2.8])
    assert not narrow_enough(minimal[:32], 0.0, 0.5), "too few samples are never enough"
    assert narrow_enough(minimal, 2.0 * MM, 0.05)
    assert not narrow_enough(minimal, 2.0 * MM, 0.02)
    counts = [count for count, _, _ in convergence(minimal, 0.0, minimal > 1.0)]
    assert counts == [16, 32, 64, 128, 256, 401]
    failed = np.arange(401) % 40 == 0
    last = convergence(minimal, 0.0, failed)[-1][1]
    assert last == margin_risk(minimal[~failed], minimal[~failed], 0.0, failed=11).below_zero
    assert narrow_enough(minimal, 2.0 * MM, 0.05, failed=4)
    assert not narrow_enough(minimal, 2.0 * MM, 0.05, failed=20)


def test_risk_of_every_point() -> None:
    margin = np.array([[-1.0, 2.0, -np.inf], [1.0, 2.0, -np.inf], [2.0, 4.0, 1.0], [3.0, 2.0, 1.0]])
    found = surface_risk(margin * MM, 3.0 * MM)
    np.testing.assert_allclose(found.probability, [0.25, 0.0, 0.5])
    np.testing.assert_allclose(found.below_target, [0.75, 0.75, 1.0])
    assert (found.low <= found.probability).all() and (found.probability <= found.high).all()
    assert columnwise_quantiles(margin, (0.05,))[0, 2] == -np.inf


@pytest.mark.parametrize("count", [8, 16, 20, 60, 100, 256])
def test_what_is_said_of_a_quantile_holds_at_every_point(count: int) -> None:
    """Catches a conservative zone with points where tissue died in fewer samples than it says."""
    values = np.random.default_rng(count).normal(size=(count, 50)).astype(np.float32)
    values[0] = -1e3
    for level, found in zip((0.05, 0.5, 0.95), columnwise_quantiles(values, (0.05, 0.5, 0.95)),
                            strict=True):  # fmt: skip
        reached = (values >= found).sum(axis=0)
        assert (reached >= (1.0 - level) * count - 1e-6).all()
        more = (values > found).sum(axis=0)
        assert (more < (1.0 - level) * count + 1e-6).all()


def test_samples_that_failed_widen_the_intervals_everywhere() -> None:
    """At every point of the surface, and of what a vessel changes: whatever they would be."""
    rng = np.random.default_rng(3)
    margin = rng.normal(1e-3, 2e-3, (40, 6))
    plain, wide = surface_risk(margin, 5e-3), surface_risk(margin, 5e-3, failed=2)
    np.testing.assert_array_equal(plain.probability, wide.probability)
    for extra in (-1.0, 1.0):
        whole = surface_risk(np.vstack([margin, np.full((2, 6), extra)]), 5e-3)
        assert (wide.low <= whole.low + 1e-15).all() and (wide.high >= whole.high - 1e-15).all()
    one, other = rng.random(40) < 0.4, rng.random(40) < 0.2
    wide_difference = paired_difference(one, other, unknown=2)
    assert wide_difference.value == paired_difference(one, other).value
    for first, second in ((True, False), (False, True), (True, True)):
        whole_difference = paired_difference(
            np.append(one, [first] * 2), np.append(other, [second] * 2)
        )
        assert wide_difference.low <= whole_difference.low + 1e-15
        assert wide_difference.high >= whole_difference.high - 1e-15


def test_samples_that_failed_widen_the_intervals() -> None:
    """Catches samples that are left out and count as nothing: those that fail are the extremes."""
    minimal, volume = np.linspace(-1.0, 9.0, 50) * MM, np.ones(50)
    known = margin_risk(minimal, volume, 5 * MM).below_zero
    lacking = margin_risk(minimal, volume, 5 * MM, failed=5).below_zero
    assert lacking.value == known.value
    none = probability(np.append(minimal < 0.0, [False] * 5))
    every = probability(np.append(minimal < 0.0, [True] * 5))
    assert (lacking.low, lacking.high) == (none.low, every.high)


def test_the_part_at_the_capsule_has_a_probability_of_its_own() -> None:
    minimal, apart = np.full(10, 2.0), np.full((10, 3), 1.0)
    apart[:6, 1] = -0.5
    found = margin_risk(minimal, minimal, 5.0, apart)
    assert found.below_zero.value == 0.0
    assert found.apart_below_zero is not None and found.apart_below_zero.value == 0.6
    assert margin_risk(minimal, minimal, 5.0).apart_below_zero is None


def test_correction_is_interpolated_axis_by_axis() -> None:
    values = np.arange(12.0).reshape(3, 2, 2)
    correction = Correction(np.array([2.0, 2.0, 0.0]) * MM, values)
    np.testing.assert_allclose(correction.at(np.array([2.0, 0.0, 0.0]) * MM), values[0, 0])
    np.testing.assert_allclose(correction.at(np.array([-2.0, 0.0, 0.0]) * MM), values[0, 1])
    both = 0.5 * values[0, 0] + 1.5 * values[1, 1]
    np.testing.assert_allclose(correction.at(np.array([1.0, -3.0, 5.0]) * MM), both)
    assert Correction(np.zeros(3), np.empty((3, 2, 0))).at(np.ones(3)) is None


def test_a_moved_field(scenario: Scenario) -> None:
    """A linear field is carried exactly: f(x - d), the sign included."""
    case = prepare(scenario)
    away = np.hypot(case.mesh.points[:, 0] - 8 * MM, case.mesh.points[:, 1])
    nodes = np.flatnonzero((away < 3 * MM) & (np.abs(case.mesh.points[:, 2]) < 5 * MM))
    values = case.mesh.points @ np.array([1.0, 2.0, -3.0])
    shift = np.array([1.0, -0.5, 2.0]) * MM
    got = MovedField(case, nodes).at(values, shift)
    expected = (case.mesh.points[nodes] - shift) @ np.array([1.0, 2.0, -3.0])
    np.testing.assert_allclose(got, expected, atol=1e-9)


def margins(values: np.ndarray) -> Samples:
    count = len(values)
    return Samples(
        values, values, np.zeros(count, dtype=int), values, values[:, None],
        np.empty((count, 0), dtype=np.float32), np.zeros(count, bool), np.zeros(count, bool),
        np.zeros(count), np.zeros(count, bool),
    )  # fmt: skip


def test_the_account_of_a_vessel() -> None:
    """A vessel that costs exactly 2 mm; pairs are compared, not distributions."""
    without = np.linspace(-1.0, 9.0, 101) * MM
    rng = np.random.default_rng(0)
    rng.shuffle(without)
    vessel = NearVessel("porta", "portal_vein", 6 * MM, 1 * MM)
    found = vessel_cost(vessel, margins(without - 2.0 * MM), margins(without), 5.0 * MM)
    assert [estimate.value / MM for estimate in found.cost] == pytest.approx([2.0, 2.0, 2.0])
    assert found.without_it == probability(without < 0.0)
    assert found.sentence == (
        "porta: this vessel costs 2.0 mm of margin (median; 5 to 95 %: 2.0 to 2.0 mm), and raises"
        " P(margin < 0) from 10 % to 30 %."
    )
    same = vessel_cost(vessel, margins(without), margins(without + 0.1 * MM), 5.0 * MM)
    assert "hardly changes the margin" in same.sentence
    assert "no more than two meshes of one case differ by" in same.sentence
    assert "P(margin < 0) is 10 % with it and 9 % without it" in same.sentence
    few = np.where(np.arange(101) < 40, -np.inf, without)
    seldom = vessel_cost(vessel, margins(few), margins(without), 5.0 * MM)
    assert "hardly changes most margins" in seldom.sentence
    assert "it raises P(margin < 0) from 10 %" in seldom.sentence


def test_a_vessel_that_costs_much_in_some_samples_is_no_trifle() -> None:
    """Catches a word about the median alone."""
    having = np.linspace(1.0, 9.0, 100) * MM
    cost = np.where(np.arange(100) < 30, 4.0, 0.2) * MM
    vessel = NearVessel("porta", "portal_vein", 6 * MM, 1 * MM)
    found = vessel_cost(vessel, margins(having), margins(having + cost), 5.0 * MM)
    assert "hardly" not in found.sentence and "0.2 to 4.0 mm" in found.sentence


def test_a_vessel_where_no_tissue_dies() -> None:
    """No length can be stated; pairs without a zone are told, and count in the probabilities."""
    vessel = NearVessel("porta", "portal_vein", 6 * MM, 1 * MM)
    nowhere, two = np.full(10, -np.inf), np.full(10, 2.0) * MM
    found = vessel_cost(vessel, margins(nowhere), margins(nowhere), 5.0 * MM)
    assert found.cost == () and found.no_zone == 10 and "has no length" in found.sentence
    lethal = vessel_cost(vessel, margins(nowhere), margins(two), 5.0 * MM)
    assert lethal.cost == () and "P(margin < 0) is 100 % with it and 0 % without" in lethal.sentence
    assert "in no sample did tissue die both with and without this vessel" in lethal.sentence
    mixed = np.where(np.arange(10) < 3, -np.inf, 1.0 * MM)
    found = vessel_cost(vessel, margins(mixed), margins(two), 5.0 * MM)
    assert found.no_zone == 3 and found.with_it.value == 0.3
    assert "without the 3 samples in which no tissue died" in found.sentence


def test_vessels_by_the_clinical_rule() -> None:
    near = tuple(
        NearVessel(name, "portal_vein", diameter * MM, distance * MM)
        for name, diameter, distance in (("a", 6, 1), ("b", 2, 1), ("c", 6, 8))
    )
    assert [v.name for v in chosen_vessels(near, None)] == ["a"]
    assert [v.name for v in chosen_vessels(near, ("c",))] == ["c"]
