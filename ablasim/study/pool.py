"""Worker processes of this machine, pinned to one core each, replaced when they die."""

from __future__ import annotations

import os
import selectors
from collections import Counter, deque
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from ablasim.study.child import STARTS, TRIES, Child, cannot_start, killed


def cores() -> list[int]:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def compute_locally(
    module: str,
    directory: Path,
    numbers: Sequence[int],
    *,
    workers: int,
    first_core: int = 0,
    hold: Sequence[int] = (),
) -> Generator[dict[str, Any]]:
    """Have numbered pieces of work done, an `answer` for each as it is finished.

    What a worker tells of its progress, with the key `fraction`, is handed on.

    Args:
        module: that the workers run.
        directory: where they find their work.
        numbers: of what is to be done.
        workers: number of processes.
        first_core: where among this process's cores the first worker is pinned.
        hold: locks that the workers hold as long as they live.

    Raises:
        ResourceError: workers die before they are ready.
    """
    todo = deque(numbers)
    deaths: Counter[int] = Counter()
    false_starts = 0
    usable = cores()
    pool = selectors.DefaultSelector()

    def start(place: int) -> None:
        core = usable[(first_core + place) % len(usable)]
        pool.register(Child(module, directory, core, hold), selectors.EVENT_READ, place)

    def give(child: Child) -> None:
        child.number = None
        if todo:
            child.ask(todo.popleft())

    def busy() -> bool:
        return bool(todo) or any(_child(key).number is not None for key in pool.get_map().values())

    try:
        for place in range(min(workers, len(todo))):
            start(place)
        while busy():
            for key, _ in pool.select():
                child, place = _child(key), key.data
                number, said = child.number, child.hear()
                if said is None:
                    pool.unregister(child)
                    death = child.death()
                    child.stop()
                    if number is not None:
                        deaths[number] += 1
                        if deaths[number] < TRIES:
                            todo.appendleft(number)
                        else:
                            yield killed(number, death, directory)
                    elif not child.ready:
                        false_starts += 1
                        if false_starts >= STARTS:
                            raise cannot_start(directory, death)
                    if todo:
                        start(place)
                    continue
                if "fraction" in said:
                    yield said
                    continue
                give(child)
                if number is not None:
                    yield said
    finally:
        children = [_child(key) for key in pool.get_map().values()]
        pool.close()
        for child in children:
            child.kill()  # nothing that is worth waiting for: the rest is done or not wanted
        for child in children:
            child.stop()


def _child(key: selectors.SelectorKey) -> Child:
    assert isinstance(key.fileobj, Child)
    return key.fileobj
