"""YAML as plain data: no aliases, no duplicate keys, bounded size and depth, lines remembered.

Only mappings with text keys, lists, text, numbers, true/false and null are read; scalars follow
YAML 1.2, so that ``1e-3`` is a number and ``no`` is text. Nothing in a file can name a Python
object.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ablasim.errors import InputFileError, Problem, ScenarioError

MAX_BYTES = 1 << 20
MAX_DEPTH = 20

KeyPath = tuple[str | int, ...]

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")


@dataclass(frozen=True)
class Document:
    """Content of one file.

    Attributes:
        data: the plain data.
        lines: line (from 1) of every key and list entry, by its path.
        problems: what was wrong with the text but did not stop the reading (duplicate keys, ...).
    """

    data: Any
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line_of(self, path: KeyPath) -> int | None:
        """Line of a path, or of its nearest parent that stands in the file."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1 if self.lines else None


def dotted(path: Iterable[str | int]) -> str:
    """A path as a person writes it: ``probes[0].tip_mm``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def closest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name most like a mistyped one, if any is like it at all."""
    lowered = {candidate.lower(): candidate for candidate in allowed}
    matches = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    return lowered[matches[0]] if matches else None


def read_document(path: Path) -> Document:
    """Reads one YAML file.

    Raises:
        InputFileError: the file is missing, unreadable, too large, or not UTF-8 text.
        ScenarioError: the text is not YAML, or uses what is not allowed here.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputFileError(f"{path}: no such file; check the name and the folder") from None
    except OSError as error:
        raise InputFileError(f"{path}: cannot be read ({error.strerror}); must be a file") from None
    if len(content) > MAX_BYTES:
        raise InputFileError(
            f"{path}: larger than {MAX_BYTES // 1024} KiB; a scenario is a short text,"
            " is this the right file?"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputFileError(
            f"{path}: byte {error.start} is not UTF-8 text; save the file as UTF-8"
        ) from None
    return parse_document(text, str(path))


def parse_document(text: str, file: str | None = None) -> Document:
    """Reads YAML text; `file` only names it in messages."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except _RefusedError as refused:
        raise ScenarioError([Problem("", refused.line, str(refused))], file) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        reason = error.problem or error.context or "cannot be read"
        message = f"not valid YAML: {reason}; check indentation, brackets and quotes here"
        raise ScenarioError([Problem("", line, message)], file) from None
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise ScenarioError([Problem("", None, f"not valid YAML: {reason}")], file) from None
    builder = _Builder()
    data = None if node is None else builder.build(node, ())
    return Document(data, builder.lines, tuple(builder.problems))


class _RefusedError(Exception):
    """Something that YAML knows and this reader does not allow; stops the reading at once."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml ships no types
    """Text to nodes; stops at the first alias, anchor, tag, or level too deep."""

    # Scalars are typed by `scalar`; PyYAML's own resolvers follow YAML 1.1 (`1e-3` is text there).
    yaml_implicit_resolvers: dict[Any, Any] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _RefusedError(
                f"got the anchor or alias {event.anchor!r}; aliases are not allowed:"
                " write the value out",
                line,
            )
        if getattr(event, "tag", None) is not None:
            raise _RefusedError(f"got the tag {event.tag}; tags are not allowed: remove it", line)
        if self._depth >= MAX_DEPTH:
            raise _RefusedError(f"nested deeper than {MAX_DEPTH} levels; must be flatter", line)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Builder:
    """Nodes to plain data, noting lines and collecting problems."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return scalar(node.value) if node.style is None else node.value

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                message = "got a list or a mapping as a key; must be a name"
                self.problems.append(Problem(dotted(path), line, message))
                continue
            key = key_node.value
            key_path = (*path, key)
            if key in result:
                first = self.lines[key_path]
                message = f"duplicate key (first on line {first}); keep one of the two"
                self.problems.append(Problem(dotted(key_path), line, message))
                continue
            self.lines[key_path] = line
            result[key] = self.build(value_node, key_path)
        return result


def scalar(text: str) -> str | int | float | bool | None:
    """A bare word typed by the core rules of YAML 1.2 (decimal numbers only)."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return float("nan") if _NAN.fullmatch(text) else text


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # yaml ships no types
    """Writes text so that this module's reader gives the same text back."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = text != "" and isinstance(scalar(text), str) and text.isprintable()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _represent_text)


def dump(data: Any) -> str:
    """Plain data as YAML that `parse_document` reads back unchanged; leaf lists on one line."""
    return str(
        yaml.dump(
            data,
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=None,
            width=100,
        )
    )
