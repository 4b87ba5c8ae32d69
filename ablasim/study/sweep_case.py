"""The cases of a sweep, alone or in their batches: simulate and keep what the plan asks for.

Never from a checkpoint: a run that continues sets up its multigrid anew and differs in the last
digits, and a sweep gives the same numbers however often it was stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablasim.errors import ResourceError, UsageError
from ablasim.scenario import Scenario
from ablasim.study.answer import answer, judged
from ablasim.study.cases import State, case_directory, new_case, remove_damaged, state_of
from ablasim.study.sweep_frozen import ChangedFileError, Sweep, check_files, files_of
from ablasim.study.sweep_plan import Batches, CaseRisk, SweepPlan

if TYPE_CHECKING:
    from ablasim.report.record import RunRecord


def compute_piece(sweep: Sweep, number: int) -> dict[str, Any]:
    """Compute the batch that begins with a case, or the case alone, unless it is there.

    A batch is always computed as a whole, though some of its cases may be there: its steps follow
    from all of them. What cannot be computed together is computed one by one.

    Returns:
        What `answer` makes of it; for a batch with an answer for every case as `each`.
    """
    batch = sweep.batch_of(number)
    if len(batch) == 1:
        return compute(sweep, number)
    states = {each: state_of(sweep, each) for each in batch}
    wanted = [each for each in batch if states[each] in (State.open, State.damaged)]
    records: list[RunRecord | None] = [None] * len(batch)
    if wanted:
        assert sweep.plan.batch is not None
        try:
            scenarios = [sweep.scenario(each) for each in batch]
            chosen = [each in wanted for each in batch]
            records = together(scenarios, sweep.plan.batch, chosen)
        except Exception as error:  # of one of them, most likely: alone it fails alone
            code, message, stop = judged(error)
            if stop or code == ResourceError.exit_code:
                return answer(number, code, message, stop)
            print(f"cases {batch[0]} to {batch[-1]} one by one: {message}", file=sys.stderr)
    found = [
        compute(sweep, each, record) if each in wanted else answer(each)
        for each, record in zip(batch, records, strict=True)
        if states[each] is not State.failed
    ]
    return answer(number) | {"each": found}


def together(
    scenarios: Sequence[Scenario], batch: Batches, wanted: Sequence[bool]
) -> list[RunRecord | None]:
    """The runs of scenarios that share a mesh, computed at once; of those that are wanted.

    Raises:
        NotBatchable: they must be computed one by one.
        AblasimError: one of them cannot be computed.
    """
    from ablasim.physics.binding import build_problem
    from ablasim.run import assessed, place_in_mesh, step_control
    from ablasim.solve.batch_each import solve_each

    anatomy, mesh = place_in_mesh(scenarios[0])
    problems = [build_problem(scenario, anatomy, mesh) for scenario in scenarios]
    control = step_control(scenarios[0])
    solutions = solve_each(problems, control=control, device="cpu", dtype=batch.dtype)
    return [
        assessed(scenario, anatomy, problem, solution, dtype=batch.dtype) if asked else None
        for scenario, problem, solution, asked in zip(
            scenarios, problems, solutions, wanted, strict=True
        )
    ]


def compute(sweep: Sweep, number: int, record: RunRecord | None = None) -> dict[str, Any]:
    """Compute a case into its directory, unless it is there.

    Args:
        sweep: of the case.
        number: of the case.
        record: of its run, where that has been computed with others.

    Returns:
        What `answer` makes of it.
    """
    try:
        state = state_of(sweep, number)
        if state is State.damaged:
            remove_damaged(sweep, number)
        if state is not State.done:
            with new_case(sweep, number) as folder:
                scenario = sweep.scenario(number)
                if record is None:
                    write_case(scenario, folder, sweep.plan)
                else:
                    _write_run(folder, record, sweep.plan)
                check_files(sweep, files_of(scenario))  # a label map that was edited meanwhile
    except Exception as error:
        try:  # a mesh that is no mesh any more is no fault of the case
            check_files(sweep)
        except ChangedFileError as changed:
            return answer(number, changed.exit_code, str(changed), stop=True)
        if case_directory(sweep, number).is_dir() and isinstance(error, UsageError):
            return answer(number)  # somebody else was faster
        return answer(number, *judged(error))
    return answer(number)


def write_case(scenario: Scenario, folder: Path, plan: SweepPlan) -> None:
    """Simulate a scenario and write what is kept.

    Args:
        scenario: of the case.
        folder: that exists and is empty.
        plan: what is kept, and whether the case's risk is wanted.
    """
    from ablasim.run import run

    if plan.keep == "files":
        whole = folder / "run"
        run(scenario, out=whole, device="cpu", resume=False)
        for path in whole.iterdir():
            path.rename(folder / path.name)
        whole.rmdir()
        if plan.risk is not None:
            _write_risk(scenario, folder, plan.risk)
        return
    if plan.risk is not None:
        record = _write_risk(scenario, folder, plan.risk)
    else:
        record = run(scenario, device="cpu").record
    _write_run(folder, record, plan)


def _write_run(folder: Path, record: RunRecord, plan: SweepPlan) -> None:
    """Numbers, history and scenario of a run, and its surfaces where they are wanted."""
    from ablasim.report.files import write_history, write_summary, write_surfaces

    (folder / "scenario.yaml").write_text(record.scenario.to_yaml(), encoding="utf-8")
    write_history(folder / "history.csv", record.solution.history)
    write_summary(folder, record)
    if plan.keep == "surfaces":
        write_surfaces(folder, record)


def _write_risk(scenario: Scenario, folder: Path, wanted: CaseRisk) -> RunRecord:
    """Study the risk of a case: `risk.json` and `samples.csv`; the record of its plain run."""
    from ablasim.report.risk_files import write_json, write_samples
    from ablasim.study.risk import risk
    from ablasim.study.risk_files import table

    found = risk(
        scenario,
        samples=wanted.samples,
        seed=wanted.seed,
        dtype=wanted.dtype,
        device="cpu",
        workers=1,  # the sweep has a process for every core already
        heat_sink=False,
        all_samples=True,  # each case as many: lines of a table can be compared, and interpolated
    )
    write_json(folder / "risk.json", found.summary)
    write_samples(folder / "samples.csv", table(found), found.numbers)
    return found.nominal.record
