"""`fields.bp`, which the ranks of the engine dolfinx write together: places, times, values."""

from __future__ import annotations

import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from scipy.spatial import KDTree

from ablasim.errors import ResourceError
from ablasim.frames import MM
from ablasim.physics.generator import ConstantGenerator, GeneratorState
from ablasim.physics.problem import BioheatProblem, Laws, Materials
from ablasim.solve import Solution, StepControl, solve
from ablasim.verify.patches import box

pytestmark = pytest.mark.usefixtures("dolfinx")

DURATION_S, END_S = 20.0, 3.25


class EarlyEnd(ConstantGenerator):
    """Ends before its time, as a ramp does that rolls off for good."""

    def ended(self, state: GeneratorState, time: float) -> bool:
        """At END_S."""
        return time >= END_S


@pytest.fixture
def problem() -> BioheatProblem:
    """A cube of 20 mm far from the origin, warm where it begins, heated where it ends."""
    mesh = box((np.linspace(0.0, 0.02, 5), np.linspace(0.0, 0.02, 5), np.linspace(0.1, 0.12, 5)))
    values = [4e6, 4e6, 0.0, 0.5, 0.0, 0.0, 0.4, 0.0, 1.0]
    return BioheatProblem(
        mesh=mesh,
        materials=Materials(*(np.array([value]) for value in values)),
        laws=Laws(),
        generator=EarlyEnd("power", 0.0, DURATION_S),
        source=1e-3 * np.arange(len(mesh.points)),
        initial_temperature=np.linspace(57.0, 37.0, len(mesh.points)),
    )


def written(folder: Path, problem: BioheatProblem, solution: Solution) -> None:
    """Check the file's content against a solution; ADIOS2 keeps plain doubles."""
    count = len(problem.mesh.points)
    data = (folder / "data.0").read_bytes()
    points = np.frombuffer(data, count=3 * count).reshape(-1, 3)
    apart, order = KDTree(problem.mesh.points / MM).query(points)
    assert apart.max() < 1e-9
    assert sorted(order) == list(range(count))
    for values in (solution.temperature, solution.peak):
        assert values[order].tobytes() in data
    meta = (folder / "md.0").read_bytes()
    assert np.array([solution.times[-1]]).tobytes() in meta
    assert np.array([DURATION_S]).tobytes() not in meta


def test_the_end_of_a_run_is_written(problem: BioheatProblem, tmp_path: Path) -> None:
    """Catches lengths in metres, the time that was planned instead of the one that was reached,
    and a file that is missing where a run goes on from a checkpoint of its own end."""
    kept = tmp_path / "kept.npz"
    found = []
    for name in ("first.bp", "again.bp"):
        solution = solve(
            problem,
            engine="dolfinx",
            control=StepControl(fixed=0.25),
            checkpoint=kept,
            fields=tmp_path / name,
        )
        written(tmp_path / name, problem, solution)
        found.append(solution)
    assert found[0].times[-1] == END_S
    assert found[1].statistics["stages"] == 0.0  # it took no step
    assert (found[0].peak > found[0].temperature).any()
    np.testing.assert_array_equal(found[1].temperature, found[0].temperature)


def test_the_engine_keeps_its_metres(problem: BioheatProblem, tmp_path: Path) -> None:
    """Catches a mesh that is left in millimetres for what is computed after the writing."""
    from ablasim.solve.dolfinx_engine import DolfinxEngine
    from ablasim.solve.dolfinx_team import write_fields

    engine = DolfinxEngine(problem)
    before = engine.share.mesh.geometry.x.copy()
    write_fields(engine, engine.start(), 0.0, tmp_path / "start.bp")
    np.testing.assert_array_equal(engine.share.mesh.geometry.x, before)


def test_a_full_disk_is_told_with_its_place(problem: BioheatProblem, tmp_path: Path) -> None:
    """Before anything is written: ADIOS2 would end the process. A limit on the size of files stands
    for the full disk."""
    from ablasim.solve.dolfinx_engine import DolfinxEngine
    from ablasim.solve.dolfinx_team import write_fields

    engine = DolfinxEngine(problem)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        with pytest.raises(ResourceError) as caught:
            write_fields(engine, engine.start(), 0.0, tmp_path / "start.bp")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "start.bp: the fields cannot be written, 0.0 MB (File too large)" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("degree", [1, 2])
def test_the_size_of_the_file_is_known_before(
    problem: BioheatProblem, tmp_path: Path, degree: Literal[1, 2]
) -> None:
    """Catches a reserve that is far from what is written then, on a mesh of 13 824 cells."""
    from ablasim.solve.dolfinx_engine import DolfinxEngine
    from ablasim.solve.dolfinx_options import Options
    from ablasim.solve.dolfinx_team import RESERVE, size_of_fields, write_fields

    axis = np.linspace(0.0, 0.02, 13)
    mesh = box((axis, axis, axis))
    fine = replace(
        problem,
        mesh=mesh,
        source=np.zeros(len(mesh.points)),
        initial_temperature=np.full(len(mesh.points), 37.0),
    )
    engine = DolfinxEngine(fine, Options(degree=degree))
    write_fields(engine, engine.start(), 0.0, tmp_path / "start.bp")
    data = (tmp_path / "start.bp" / "data.0").stat().st_size
    assert size_of_fields(engine) / RESERVE == pytest.approx(data, rel=1e-3)
