"""Cases on a Dask cluster: one of this machine's own, or any by the address of its scheduler.

Every thread of a Dask worker keeps a worker process of ablasim's, the same as without Dask: with
the same single thread it gives the same numbers, and a case that takes its process down leaves the
Dask worker alone. A Dask worker that dies loses its cases to the others.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ablasim.errors import InputFileError, Interrupted, ResourceError
from ablasim.study.answer import INTERNAL_ERROR, answer
from ablasim.study.child import STARTS, TRIES, Child, cannot_start, killed
from ablasim.study.pool import cores
from ablasim.study.sweep_frozen import FROZEN, Sweep
from ablasim.study.sweep_worker import WORKER

AHEAD = 2
"""Cases that wait at the scheduler for each thread of the workers."""

FIND_S = 30
"""How long to look for a scheduler and its workers [s]."""

_children: dict[int, tuple[Path, Child]] = {}
"""On a Dask worker: the process of every thread, and the sweep that it is for."""

_released: set[Path] = set()
"""On a Dask worker: sweeps that nobody runs any more."""


def compute_with_dask(
    sweep: Sweep, numbers: Sequence[int], *, workers: int, scheduler: str | None
) -> Generator[dict[str, Any]]:
    """Compute cases, an answer for each as it is finished (see `sweep_case.compute_piece`).

    Args:
        sweep: of the cases.
        numbers: of the cases.
        workers: of the cluster that is started without a scheduler's address.
        scheduler: address of a scheduler; its workers must see the sweep's directory.

    Raises:
        ResourceError: the scheduler does not answer, has no workers, or is lost.
    """
    import distributed

    dask: Any = distributed  # it is typed in part

    if not numbers:
        return
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is lost is told by us
    with ExitStack() as stack:
        if scheduler is None:
            with _ctrl_c_ignored():
                cluster: Any = dask.LocalCluster(
                    n_workers=min(workers, len(numbers)),
                    threads_per_worker=1,
                    memory_limit=0,  # what needs the memory are processes that Dask does not see
                    dashboard_address="127.0.0.1:0",  # for nobody else on the network
                    silence_logs=logging.CRITICAL,
                )
            stack.enter_context(cluster)
        else:
            cluster = scheduler
        client = stack.enter_context(_client(dask.Client, cluster))
        # whatever ends this: nobody holds the sweep for workers that are not ours
        stack.callback(_on_all_workers, client, _release, str(sweep.directory.absolute()))
        _on_all_workers(client, _admit, str(sweep.directory.absolute()))
        threads = sum(client.nthreads().values())
        todo = list(reversed(numbers))
        place = str(sweep.directory.absolute())
        asked: dict[str, int] = {}

        def submit() -> Any:
            number = todo.pop()
            future = client.submit(_compute, place, number, scheduler is None, pure=False)
            asked[future.key] = number
            return future

        first = [submit() for _ in range(min(AHEAD * threads, len(todo)))]
        waiting = dask.as_completed(first)
        for future in waiting:
            yield _result(future, asked.pop(future.key), scheduler)
            if todo:
                waiting.add(submit())


def _on_all_workers(client: Any, what: Callable[[str], None], place: str) -> None:
    """Tell the workers, as far as they live."""
    try:
        client.run(what, place, on_error="ignore")
    except Exception as error:  # Dask raises what it likes of a worker that is lost just then
        logging.getLogger(__name__).info("Dask workers were not told: %s", error)


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Processes that are started meanwhile leave Ctrl-C to this one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _client(make: Any, cluster: Any) -> Any:
    try:
        client = make(cluster, timeout=FIND_S)
        client.wait_for_workers(1, timeout=FIND_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ResourceError(
            f"--scheduler {cluster}: no scheduler with workers answers there ({error}); start them"
            " with `dask scheduler` and `dask worker ADDRESS`"
        ) from None
    return client


def _result(future: Any, number: int, scheduler: str | None) -> dict[str, Any]:
    from distributed import KilledWorker

    if future.status == "finished":
        found: dict[str, Any] = future.result()
        return found
    if future.status == "error":
        error = future.exception()
        if isinstance(error, KilledWorker):
            message = "the Dask workers that computed it were killed; is there enough memory?"
            return answer(number, ResourceError.exit_code, message)
        return answer(number, INTERNAL_ERROR, f"a fault in Dask: {type(error).__name__}: {error}")
    raise ResourceError(
        f"the Dask scheduler {scheduler or 'of this machine'} was lost; finished cases stay, and"
        " the same command goes on with the others"
    )


def _compute(directory: str, number: int, pin: bool) -> dict[str, Any]:
    """On a Dask worker: have this thread's own process compute a case."""
    from distributed import get_worker

    worker = get_worker()
    place = Path(directory)
    if not (place / FROZEN).is_file():
        message = (
            f"{directory}: the Dask worker {worker.address} does not see this directory; it must"
            " be on a file system that all workers share"
        )
        return answer(number, InputFileError.exit_code, message, stop=True)
    if place in _released:
        return _stopped(number)
    core = int(worker.name) % len(cores()) if pin and isinstance(worker.name, int) else None
    deaths = false_starts = 0
    while True:
        child = _child(place, core)
        child.ask(number)
        said = child.hear()
        if said is not None and said.get("ready"):
            said = child.hear()
        if said is not None:
            return said
        _children.pop(threading.get_ident(), None)
        death = child.death()
        child.stop()
        if place in _released:
            return _stopped(number)
        if not child.ready:
            false_starts += 1
            if false_starts >= STARTS:
                error = cannot_start(place, death)
                return answer(number, error.exit_code, str(error), stop=True)
            continue
        deaths += 1
        if deaths >= TRIES:
            return killed(number, death, place)


def _stopped(number: int) -> dict[str, Any]:
    return answer(number, Interrupted.exit_code, "the sweep was stopped", stop=True)


def _child(place: Path, core: int | None) -> Child:
    """This thread's process for the sweep in a directory."""
    me = threading.get_ident()
    kept = _children.get(me)
    if kept is not None:
        if kept[0] == place:
            return kept[1]
        kept[1].stop()
    child = Child(WORKER, place, None if core is None else cores()[core])
    _children[me] = (place, child)
    return child


def _admit(directory: str) -> None:
    """On a Dask worker: cases of a sweep may be computed."""
    _released.discard(Path(directory))


def _release(directory: str) -> None:
    """On a Dask worker: end the processes of a sweep, whatever they do."""
    _released.add(Path(directory))
    for thread, (place, child) in list(_children.items()):
        if place == Path(directory):
            _children.pop(thread, None)
            child.kill()  # whoever waits for its answer sees the end of it
            child.death()  # and where nobody does, no zombie is left
