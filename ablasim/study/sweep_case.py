"""One case of a sweep: simulate its scenario and keep what the plan asks for.

Never from a checkpoint: a run that continues sets up its multigrid anew and differs in the last
digits, and a sweep gives the same numbers however often it was stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablasim.errors import UsageError
from ablasim.scenario import Scenario
from ablasim.study.answer import answer, judged
from ablasim.study.cases import State, case_directory, new_case, remove_damaged, state_of
from ablasim.study.sweep_frozen import Sweep
from ablasim.study.sweep_plan import CaseRisk, SweepPlan

if TYPE_CHECKING:
    from ablasim.report.record import RunRecord


def compute(sweep: Sweep, number: int) -> dict[str, Any]:
    """Compute a case into its directory, unless it is there.

    Returns:
        What `answer` makes of it.
    """
    try:
        state = state_of(sweep, number)
        if state is State.damaged:
            remove_damaged(sweep, number)
        if state is not State.done:
            with new_case(sweep, number) as folder:
                write_case(sweep.scenario(number), folder, sweep.plan)
    except Exception as error:
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
    from ablasim.report.files import write_history, write_summary, write_surfaces

    (folder / "scenario.yaml").write_text(scenario.to_yaml(), encoding="utf-8")
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
    )
    write_json(folder / "risk.json", found.summary)
    write_samples(folder / "samples.csv", table(found), found.numbers)
    return found.nominal.record
