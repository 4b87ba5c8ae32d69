"""run(scenario): mesh, problem, solution, assessment, files; in this order and nothing else."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ablasim.anatomy import Anatomy, build_anatomy
from ablasim.assess import TumourMargin, lethal_zone, minimal_margins, tumour_margin
from ablasim.errors import ConvergenceError
from ablasim.frames import MM
from ablasim.labelmap import label_grid, read_labels
from ablasim.mesh import TetMesh, cached_mesh
from ablasim.own_mesh import own_anatomy, read_own_mesh
from ablasim.physics import damage
from ablasim.physics.binding import build_problem, region_tissues
from ablasim.physics.binding_vessels import vessel_flows, vessel_warnings
from ablasim.physics.problem import BioheatProblem
from ablasim.progress import Progress, ProgressCallback
from ablasim.report.raster import Grid
from ablasim.report.record import RunRecord
from ablasim.scenario import Scenario, cautions, inputs_sha256
from ablasim.solve import Solution, Status, StepControl, solve
from ablasim.solve.checkpoint import all_parts
from ablasim.solve.dolfinx_options import Options
from ablasim.team import team

STEP_TOLERANCE = {"preview": 0.2, "standard": 0.05, "fine": 0.025}
"""Error of one time step [K]; at 0.05 the zone's volume is within 0.02 % of a tenfold finer one."""

LONGEST_STEP = {"preview": 15.0, "standard": 7.5, "fine": 5.0}
"""Longest time step [s]. Where heat ends perfusion the zone's border creeps outwards for minutes,
too thin a layer to count in the error of a step: beside a portal vein (55 687 points) steps of 15 s
leave an error of up to 0.013 mm in the margin, those of 7.5 s 0.005 mm, and without such an end of
perfusion 0.0004 mm."""


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run leaves.

    Attributes:
        summary: the content of summary.json.
        directory: where the files are; None if none were asked for.
        record: scenario, mesh, solution, zones and margin as objects.
    """

    summary: dict[str, Any]
    directory: Path | None
    record: RunRecord

    @property
    def solution(self) -> Solution:
        """Fields and history."""
        return self.record.solution

    @property
    def margin(self) -> TumourMargin | None:
        """Margin of the tumour; None without one."""
        return self.record.margin


@dataclass
class _Stopwatch:
    """Wall time by stage [s], and the progress callback told of each stage."""

    progress: ProgressCallback | None
    begun: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; its end is reported, its inside reports for itself."""
        start = time.perf_counter()
        if self.progress is not None and name in ("assess", "output"):
            self.progress(Progress(name, 0.0))
        yield
        self.seconds[name] = time.perf_counter() - start
        if self.progress is not None and name != "solve":
            self.progress(Progress(name, 1.0))

    def total(self) -> dict[str, float]:
        """The stages and the total so far [s]."""
        return self.seconds | {"total": time.perf_counter() - self.begun}


def run(
    scenario: Scenario,
    *,
    out: Path | str | None = None,
    engine: str = "jax",
    device: str = "auto",
    dtype: str = "float64",
    progress: ProgressCallback | None = None,
    resume: bool = True,
    force: bool = False,
    options: Options | None = None,
) -> RunResult:
    """Simulate a scenario and assess it.

    Under mpirun, rank 0 calls this with the engine "dolfinx", the others `ablasim.solve.assist`.

    Args:
        scenario: what to simulate.
        out: directory for the results; written when complete. None: nothing is written.
        engine: "jax", or "dolfinx" for FEniCSx.
        device: "auto", "cpu" or "gpu".
        dtype: "float64" or "float32".
        progress: told of every stage and step.
        resume: continue from the checkpoint of an interrupted run of the same scenario.
        force: replace the results of an earlier run in `out`.
        options: of the engine "dolfinx".

    Raises:
        UsageError: `out` exists and may not be replaced.
        InputFileError: a file of the scenario cannot be used.
        ConvergenceError: the solver gave up; what it reached is in `out`.
        ResourceError: no memory, disk or device.
        Interrupted: on Ctrl-C, after a checkpoint was written beside `out`.
    """
    from ablasim.report.files import check_free

    watch = _Stopwatch(progress)
    place = None if out is None else named_place(Path(out))
    if place is not None:
        check_free(place, force=force)
    shared = None if place is None else _cleared_place_for_fields(place, engine)
    with watch.stage("mesh"):
        inputs = inputs_sha256(scenario)  # before the files are read: they may change meanwhile
        anatomy, mesh = place_in_mesh(scenario, progress)
        problem = build_problem(scenario, anatomy, mesh)
    with watch.stage("solve"):
        solution = solve(
            problem,
            engine=engine,
            device=device,
            dtype=dtype,
            control=step_control(scenario),
            checkpoint=None if place is None else checkpoint_path(place),
            resume=resume,
            progress=progress,
            options=options,
            fields=shared,
        )
    watch.seconds["compile"] = solution.statistics["start_seconds"]
    watch.seconds["solve"] -= solution.statistics["start_seconds"]
    with watch.stage("assess"):
        record = assessed(scenario, anatomy, problem, solution, engine=engine, dtype=dtype)
    record = replace(record, timing=watch.total(), inputs=inputs)
    result = _finish(record, place, shared, watch, force)
    if place is not None:
        for part in all_parts(checkpoint_path(place)):
            part.unlink()
    if solution.status is not Status.DONE:
        kept = "" if place is None else f". The last valid state is in {place}"
        reached = solution.times[-1] if solution.times.size else 0.0
        raise ConvergenceError(f"at {reached:.1f} s {solution.status.value}{kept}")
    return result


def step_control(scenario: Scenario) -> StepControl:
    """Tolerance and longest step that a scenario asks for, or those of its resolution."""
    numerics = scenario.numerics
    return StepControl(
        tolerance=numerics.time_tolerance_K or STEP_TOLERANCE[numerics.resolution],
        longest=numerics.max_step_s or LONGEST_STEP[numerics.resolution],
    )


def named_place(out: Path) -> Path:
    """A directory by a path that ends in its name, beside which other files can lie: "." has none
    and ".." is none."""
    return out if out.name not in ("", "..") else out.resolve()


def checkpoint_path(out: Path) -> Path:
    """The file beside a result directory that keeps an unfinished run."""
    return out.with_name(f"{out.name}.checkpoint.npz")


def _cleared_place_for_fields(out: Path, engine: str) -> Path | None:
    """Where the ranks of this MPI run can write the fields, until the directory is complete.

    What an aborted run has left there is removed. None where no ranks write.
    """
    path = out.with_name(f".{out.name}.fields.bp")
    shutil.rmtree(path, ignore_errors=True)
    return path if engine == "dolfinx" and team().size > 1 else None


def place_in_mesh(
    scenario: Scenario, progress: ProgressCallback | None = None
) -> tuple[Anatomy, TetMesh]:
    """Anatomy and mesh of a scenario: meshed, from the cache, or the scenario's own."""
    if scenario.mesh is not None:
        return own_anatomy(scenario), read_own_mesh(scenario)
    anatomy = build_anatomy(scenario)
    return anatomy, cached_mesh(anatomy, scenario.numerics.resolution, progress=progress)


def assessed(
    scenario: Scenario,
    anatomy: Anatomy,
    problem: BioheatProblem,
    solution: Solution,
    *,
    engine: str = "jax",
    dtype: str = "float64",
) -> RunRecord:
    """Zones of all criteria, the margin in the chosen one, and the parts they came from."""
    mesh = problem.mesh
    fields = {"peak_C": solution.peak, **solution.damage}
    judges = [damage.criterion(n, scenario.assessment.arrhenius_set) for n in damage.CRITERIA]
    zones = {
        judge.name: lethal_zone(
            mesh,
            judge.field(fields),
            judge.level,
            anatomy.probes,
            title=judge.title,
            says=judge.says,
        )
        for judge in judges
    }
    margin = tumour_margin(mesh, zones[scenario.assessment.criterion], anatomy.vessels)
    return RunRecord(
        scenario=scenario,
        mesh=mesh,
        solution=solution,
        zones=zones,
        margin=margin,
        minimal_margins={} if margin is None else minimal_margins(margin, zones),
        tissues=region_tissues(scenario, anatomy, mesh),
        probes=anatomy.probes,
        vessels=anatomy.vessels,
        walls=problem.walls,
        flows={v.name: vessel_flows(scenario, v) for v in anatomy.vessels},
        grid=_grid(scenario),
        warnings=(*cautions(scenario), *vessel_warnings(scenario, anatomy)),
        engine=engine,
        device=solution.device,
        dtype=dtype,
    )


def _grid(scenario: Scenario) -> Grid | None:
    """Of the label map, so that its volumes and those of the result lie on each other."""
    return None if scenario.labelmap is None else Grid(*label_grid(scenario.labelmap.file))


def _finish(
    record: RunRecord, place: Path | None, shared: Path | None, watch: _Stopwatch, force: bool
) -> RunResult:
    """Write everything, with the fields that the ranks have written; or only build the summary."""
    from ablasim.report.summary import build_summary

    if place is None:
        return RunResult(build_summary(record), None, record)

    from ablasim.report.files import atomic_directory, write_run, write_summary
    from ablasim.report.html import write_report
    from ablasim.report.preview import LabelOutlines, write_preview

    outlines = None
    with watch.stage("output"), atomic_directory(place, force=force) as folder:
        section = record.scenario.labelmap
        if section is not None:
            image = read_labels(section.file)
            names = section.labels.model_dump(exclude_none=True)
            outlines = LabelOutlines(
                image.labels,
                np.diag([1 / MM, 1 / MM, 1 / MM, 1.0]) @ image.affine,
                {v: k for k, v in names.items()},
            )
        write_run(folder, record)
        if shared is not None:
            shutil.move(shared, folder / "fields.bp")
        warnings = write_preview(folder, labels=outlines)
        watch.seconds["output"] = time.perf_counter() - watch.begun - sum(watch.seconds.values())
        record = replace(record, timing=watch.total(), warnings=(*record.warnings, *warnings))
        summary = write_summary(folder, record)
        write_report(folder)
    return RunResult(summary, place, record)
