"""The table of a sweep, built from the directories of its cases and nothing else.

One row for each case, in the order of the plan: its number, whether it is done, the values that
vary, and the numbers of its `summary.json` under their keys joined by dots, the unit in the key.
What differs from one computation of the same case to the next (times, versions) is left out, so
that the same sweep gives the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ablasim.errors import InputFileError, UsageError
from ablasim.study.cases import (
    MARKER,
    State,
    case_directory,
    read_failure,
    read_marker,
    state_of,
    write_whole,
)
from ablasim.study.sweep_frozen import Sweep, file_sha256

GROUPS = (
    "margin",
    "zone",
    "thermal",
    "energy",
    "generator",
    "microwave",
    "vessels",
    "mesh",
    "numerics",
)
"""Groups of summary.json whose numbers depend on the case."""

RISK_GROUPS = ("probability", "margin_mm", "zone_volume_ml")
"""Groups of risk.json that the table has, as `risk.probability...`."""

TEXTS = ("title", "says")
"""Words for people, the same in every case."""

ENDINGS = (".csv", ".parquet")

Row = dict[str, Any]


def table(sweep: Sweep) -> dict[str, list[Any]]:
    """The columns of the table; None where a case has no such value.

    Returns:
        Columns of equal length by name: `case`, `status` ("done", "failed" or "open"), what
        varies, numbers of the summaries in the order in which they first occur, and, if a case
        failed, `exit_code` and `message`.

    Raises:
        InputFileError: a case is damaged or belongs to another sweep.
    """
    rows = [_row(sweep, number) for number in range(1, len(sweep) + 1)]
    results: dict[str, None] = {}
    for row in rows:
        results |= dict.fromkeys(row["results"])
    columns: dict[str, list[Any]] = {
        "case": [row["case"] for row in rows],
        "status": [row["status"] for row in rows],
    }
    for place, name in enumerate(sweep.columns):
        columns[name] = [_plain(values[place]) for values in sweep.rows]
    for name in results:
        if name in columns:  # a varied field that the summary repeats
            continue
        columns[name] = [row["results"].get(name) for row in rows]
    if any(row["status"] == State.failed.value for row in rows):
        for name in ("exit_code", "message"):
            columns[name] = [row[name] for row in rows]
    return columns


def write_table(columns: Mapping[str, list[Any]], path: Path) -> None:
    """Write a table; the ending decides between CSV and Parquet.

    Raises:
        UsageError: another ending.
        ResourceError: it cannot be written.
    """
    check_ending(path)
    write_whole(path, _csv(columns) if path.suffix.lower() == ".csv" else _parquet(columns))


def check_ending(path: Path) -> None:
    """Refuse what is neither CSV nor Parquet."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"--output: got {path}; must end in {' or '.join(ENDINGS)}")


def _row(sweep: Sweep, number: int) -> Row:
    state = state_of(sweep, number)
    row: Row = {"case": number, "status": state.value, "results": {}}
    failure = read_failure(sweep, number) if state is State.failed else None
    row["exit_code"] = None if failure is None else failure.exit_code
    row["message"] = None if failure is None else failure.message
    if state is State.damaged:
        folder = case_directory(sweep, number)
        raise InputFileError(
            f"{folder}: its files are not those that {MARKER} names; `ablasim sweep run"
            f" {sweep.directory}` computes the case again"
        )
    if state is State.done:
        row["results"] = dict(_results(_content(sweep, number, "summary.json"), GROUPS))
        if sweep.plan.risk is not None:
            study = _content(sweep, number, "risk.json")
            found = _results(study, RISK_GROUPS)
            row["results"] |= {f"risk.{name}": value for name, value in found}
    return row


def _content(sweep: Sweep, number: int, name: str) -> Mapping[str, Any]:
    """A JSON file of a finished case, as it was written."""
    content: dict[str, Any] = json.loads(
        checked_file(sweep, number, name).read_text(encoding="utf-8")
    )
    return content


def checked_file(sweep: Sweep, number: int, name: str) -> Path:
    """A file of a finished case.

    Raises:
        InputFileError: it is not what was written when the case was computed.
    """
    folder = case_directory(sweep, number)
    path = folder / name
    marker = read_marker(folder) or {"files": {}}
    expected = marker["files"].get(name, {}).get("sha256")
    if expected is None or file_sha256(path) != expected:
        raise InputFileError(
            f"{path}: is not what was written when the case was computed; remove {folder} and"
            f" compute it again with `ablasim sweep run {sweep.directory}`"
        )
    return path


def _results(summary: Mapping[str, Any], groups: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for group in groups:
        if summary.get(group) is not None:
            yield from _leaves(group, summary[group])


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Numbers and words below a key; of lists only points, one column for each coordinate."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key not in TEXTS:
                yield from _leaves(f"{name}.{key}", item)
    elif isinstance(value, list):
        if name.endswith("_mm") and len(value) == 3:
            yield from ((f"{name}.{axis}", x) for axis, x in zip("xyz", value, strict=True))
    else:
        yield name, value


def _plain(value: Any) -> Any:
    """A varied value as it stands in a cell: lists and groups as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _csv(columns: Mapping[str, list[Any]]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow("" if cell is None else _cell(cell) for cell in row)
    return stream.getvalue().encode()


def _cell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parquet(columns: Mapping[str, list[Any]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    arrays = {name: pa.array(*_typed(values)) for name, values in columns.items()}
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(arrays), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _typed(values: list[Any]) -> tuple[list[Any], Any]:
    """Values and their one type: booleans, whole numbers, numbers, or else text."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return values, pa.bool_()
    if kinds == {int}:
        return values, pa.int64()
    if kinds and kinds <= {int, float}:
        return [None if value is None else float(value) for value in values], pa.float64()
    return [None if value is None else _cell(value) for value in values], pa.string()
