"""`ablasim.sweep`: plan, compute and tabulate in one call, from Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ablasim.progress import ProgressCallback
from ablasim.study.cases import case_directory
from ablasim.study.sweep_freeze import freeze
from ablasim.study.sweep_frozen import Sweep
from ablasim.study.sweep_run import Shard, Tally, processes_for, run_sweep
from ablasim.study.sweep_source import read_plan
from ablasim.study.sweep_table import table, write_table


@dataclass(frozen=True, eq=False)
class SweepResult:
    """A sweep and what is there of it.

    Attributes:
        sweep: the plan, frozen in its directory.
        tally: how many cases are done, failed, open.
    """

    sweep: Sweep
    tally: Tally

    @property
    def directory(self) -> Path:
        """Of the sweep."""
        return self.sweep.directory

    @cached_property
    def table(self) -> dict[str, list[Any]]:
        """Columns by name, the unit in the name; see `sweep_table.table`."""
        return table(self.sweep)

    def write_table(self, path: Path | str) -> None:
        """Write the table as .csv or .parquet."""
        write_table(self.table, Path(path))

    def case(self, number: int) -> Path:
        """Directory of a finished case, counted from 1."""
        return case_directory(self.sweep, number)

    def plot(
        self,
        x: str,
        y: str | None = None,
        *,
        value: str = "margin.minimal_mm",
        out: Path | str,
        at: Mapping[str, Any] | None = None,
    ) -> None:
        """Draw a value over one or two varied fields; see `sweep_plot.plot`."""
        from ablasim.study.sweep_plot import plot

        plot(self.sweep, x, y, value=value, out=Path(out), at=at)


def sweep(
    plan: Path | str | Mapping[str, Any],
    out: Path | str,
    *,
    executor: str = "local",
    workers: int | None = None,
    scheduler: str | None = None,
    shard: str | None = None,
    retry_failed: bool = False,
    yes: bool = False,
    progress: ProgressCallback | None = None,
) -> SweepResult:
    """Compute the cases of a plan that are not in `out` yet.

    Called again after whatever stopped it, it goes on where it was. With `executor="dask"` and no
    scheduler, scripts need `if __name__ == "__main__":`, as with any cluster on one machine.

    Args:
        plan: a YAML file, or a mapping of the same shape: `scenario` (a path or a `Scenario`),
            `vary`, and what else `docs/sweeps.md` lists.
        out: directory of the sweep; made, or that of the same plan.
        executor: "local" or "dask".
        workers: number of processes; by default one for each core.
        scheduler: address of a Dask scheduler.
        shard: "k/n" computes only that part.
        retry_failed: compute failed cases again, too.
        yes: more than a thousand cases are meant.
        progress: told of every finished case.

    Raises:
        ScenarioError: the plan or one of its cases is invalid.
        UsageError: an argument is wrong, too many cases, or `out` holds something else.
        InputFileError: a file is missing or has changed.
        ResourceError: no disk space, no permission, no workers.
        Interrupted: on Ctrl-C; finished cases stay.
    """
    part = None if shard is None else Shard.parse(shard)
    processes_for(executor, workers, scheduler)  # before a directory is made
    frozen, _ = freeze(read_plan(plan), Path(out), yes=yes, progress=progress)
    tally = run_sweep(
        frozen.directory,
        executor=executor,
        workers=workers,
        scheduler=scheduler,
        shard=part,
        retry_failed=retry_failed,
        progress=progress,
    )
    return SweepResult(frozen, tally)
