"""What differs between two scenarios, key by key, as they stand in `summary.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Change = tuple[str, Any, Any]


def scenario_changes(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[Change]:
    """Keys whose values differ, as (key, value in the first, value in the second).

    A key is a path such as `protocol.power_W` or `probes[0].tip_mm`; None stands for a key that a
    scenario does not have. Lists of numbers are one value; lists of groups are compared entry by
    entry where they are equally long.
    """
    return list(_changes("", one, two))


def _changes(path: str, one: Any, two: Any) -> Iterator[Change]:
    if one == two:
        return
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for key in dict.fromkeys((*one, *two)):
            place = f"{path}.{key}" if path else str(key)
            yield from _changes(place, one.get(key), two.get(key))
    elif _groups(one) and _groups(two) and len(one) == len(two):
        for number, (first, second) in enumerate(zip(one, two, strict=True)):
            yield from _changes(f"{path}[{number}]", first, second)
    else:
        yield path, one, two


def _groups(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)
