"""All samples, chunk by chunk, in worker processes with one thread each.

One thread makes a chunk's numbers the same however many workers there are, and two chunks side by
side take less time than two threads on each of them. The results come in the order of the samples:
whether there are enough is asked as if one worker had computed them all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablasim.errors import AblasimError, Interrupted, ResourceError
from ablasim.progress import Progress, ProgressCallback
from ablasim.study.batches import PROCESS_GB, sample_memory
from ablasim.study.child import has_one_thread
from ablasim.study.chunk_store import ChunkStore
from ablasim.study.chunk_worker import WORKER
from ablasim.study.plan_files import write_plan
from ablasim.study.pool import compute_locally, cores
from ablasim.study.samples import Samples
from ablasim.study.sampling import Plan, compute_chunk

Floats = NDArray[np.float64]

MEMORY_SHARE = 0.5
"""Share of the machine's memory that the samples may take where no limit is given."""


def run_chunks(
    plan: Plan,
    *,
    workers: int | None = None,
    max_memory: float | None = None,
    store: ChunkStore | None = None,
    enough: Callable[[Floats, int], bool] | None = None,
    progress: ProgressCallback | None = None,
    stage: str = "samples",
) -> Samples:
    """Compute the samples until there are enough of them.

    Args:
        plan: what to compute.
        workers: most processes, by default one for each core; the numbers do not depend on it.
        max_memory: limit [GB] of the processes that compute samples at the same time.
        store: keeps finished chunks.
        enough: asked after every group of chunks, with the minimal margins [m] so far and the
            number of samples that failed.
        progress: told of the stage.
        stage: its name.

    Raises:
        ResourceError: the workers do not start, die, or have no space for their results.
        Interrupted: on Ctrl-C; finished chunks stay in the store.
    """
    groups: list[Samples] = []
    parts: list[Samples] = []
    minimal, failed, done = np.empty(0), 0, 0
    with closing(_in_order(plan, workers, max_memory, store, _told(progress, stage))) as chunks:
        for number, found in enumerate(chunks):
            parts.append(found)
            done += len(found)
            numbers = plan.group_of(number)
            complete = number == numbers[-1]
            if complete:
                order = np.argsort(np.concatenate([plan.members[n] for n in numbers]))
                group = Samples.joined(parts).picked(order)
                groups.append(group)
                parts = []
                minimal = np.append(minimal, group.minimal[~group.failed])
                failed += int(np.count_nonzero(group.failed))
            if progress is not None:
                progress(Progress(stage, done / plan.count, _so_far(done, minimal, complete)))
            if complete and enough is not None and enough(minimal, failed):
                break
    return Samples.joined(groups)


Tell = Callable[[float, int, int], None]
"""From the share that is done (0 to 1), and the first and last sample that are being computed."""


def _in_order(
    plan: Plan,
    workers: int | None,
    max_memory: float | None,
    store: ChunkStore | None,
    tell: Tell | None,
) -> Generator[Samples]:
    if in_workers(plan):
        most = workers_for(plan, workers, max_memory)
        with tempfile.TemporaryDirectory(prefix="ablasim-") as place:
            yield from _by_workers(plan, most, Path(place), store, tell)
        return
    for number in range(plan.chunks):
        found = None if store is None else store.load(number)
        if found is None:
            found = compute_chunk(plan, number, _of_chunk(plan, number, tell))
            if store is not None:
                store.save(number, found)
        yield found


def in_workers(plan: Plan) -> bool:
    """Whether chunks are computed by other processes: not on a GPU, nor where there is but one
    chunk, or one core, nor in the workers of a sweep, which have one thread already."""
    if plan.chunks == 1 or len(cores()) == 1 or has_one_thread():
        return False
    from ablasim.solve.jax_device import pick_device

    return str(pick_device(plan.device).platform) == "cpu"


def workers_for(plan: Plan, asked: int | None, max_memory: float | None) -> int:
    """How many processes the cores, the chunks and the memory [GB] allow."""
    most = min(asked or len(cores()), plan.chunks)
    if max_memory is None and asked is None:
        max_memory = MEMORY_SHARE * _memory()
    if max_memory is not None:
        size = PROCESS_GB + plan.chunk * sample_memory(plan.case.mesh, plan.dtype)
        most = min(most, int(max_memory / size))
    return max(most, 1)


def _memory() -> float:
    """Of this machine [GB]; endless where it cannot be asked."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return float("inf")


def _by_workers(
    plan: Plan, workers: int, place: Path, store: ChunkStore | None, tell: Tell | None
) -> Generator[Samples]:
    """Results of the workers; what is in the store already is taken from there."""
    kept = ChunkStore(place, "") if store is None else store
    todo = [number for number in range(plan.chunks) if kept.load(number) is None]
    finished = set(range(plan.chunks)) - set(todo)
    under_way: dict[int, float] = {}
    given = 0

    def ready() -> Generator[Samples]:
        nonlocal given
        while given in finished:
            found = kept.load(given)
            if found is None:
                raise ResourceError(f"{kept.directory}: chunk {given} cannot be read again")
            given += 1
            yield found

    yield from ready()
    if not todo:
        return
    write_plan(plan, kept, place)
    try:
        with closing(compute_locally(WORKER, place, todo, workers=workers)) as answers:
            for said in answers:
                number = said["case"]
                if "fraction" in said:
                    under_way[number] = said["fraction"]
                    if tell is not None:
                        done = len(finished) + sum(under_way.values())
                        first, last = min(under_way), max(under_way)
                        tell(done / plan.chunks, *plan.range_of(first, last))
                    continue
                if said["exit_code"]:
                    raise worker_error(said["exit_code"], said["message"])
                under_way.pop(number, None)
                finished.add(number)
                yield from ready()
    except KeyboardInterrupt:
        end = " finished ones stay, and the same command goes on with the others" if store else ""
        done = len(finished) * plan.chunk
        raise Interrupted(
            f"interrupted after about {done} of {plan.count} samples" + (f";{end}" if end else "")
        ) from None


def worker_error(exit_code: int, message: str) -> AblasimError:
    """What a worker met, as an error of this process."""
    for kind in AblasimError.__subclasses__():
        if kind.exit_code == exit_code and kind.__init__ is AblasimError.__init__:
            return kind(message)
    return AblasimError(message)


def _told(progress: ProgressCallback | None, stage: str) -> Tell | None:
    if progress is None:
        return None
    furthest = 0.0

    def tell(done: float, first: int, last: int) -> None:
        nonlocal furthest
        furthest = max(furthest, done)
        progress(Progress(stage, furthest, f"samples {first} to {last}"))

    return tell


def _of_chunk(plan: Plan, number: int, tell: Tell | None) -> ProgressCallback | None:
    """Progress of one chunk as part of the whole."""
    if tell is None:
        return None
    members = plan.members[number]
    before = sum(len(each) for each in plan.members[:number])

    def heard(event: Progress) -> None:
        if event.stage == "solve":
            done = (before + event.fraction * len(members)) / plan.count
            tell(done, *plan.range_of(number, number))

    return heard


def _so_far(done: int, minimal: Floats, complete: bool) -> str:
    """What is known of all samples up to some; half a group would say it of one rule alone."""
    text = f"{done} samples"
    if not len(minimal):
        return text
    of = "" if complete else f" of the first {len(minimal)}"
    return f"{text}, P(margin < 0){of} = {100 * (minimal < 0).mean():.1f} %"
