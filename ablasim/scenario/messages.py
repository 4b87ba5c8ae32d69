"""Turns the raw complaints of pydantic into sentences: path, got, allowed, what to do."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from ablasim.safe_yaml import KeyPath, closest, scalar
from ablasim.scenario.fields import FAULT, one_of


def explain(error: ErrorDetails, root: type[BaseModel]) -> tuple[KeyPath, str] | None:
    """Path and message of one complaint; None where it only repeats another one.

    Args:
        error: one entry of `ValidationError.errors()`.
        root: the model that was validated.
    """
    kind, context, got = error["type"], error.get("ctx", {}), error["input"]
    path, node, help_text = _walk(error["loc"], root)
    # Pydantic counts only the valid entries of a list, and a default may rest on a faulty field.
    if kind == "default_factory_not_called":
        return None
    if kind == "too_short" and len(got) >= context["min_length"]:
        return None
    if kind == FAULT:
        return path, str(context["message"])
    if kind == "extra_forbidden":
        model = _model(_walk(error["loc"][:-1], root)[1])
        return path, _unknown_key(str(error["loc"][-1]), model)
    if kind == "union_tag_invalid":
        key = str(context["discriminator"]).strip("'")
        return (*path, key), one_of(context["tag"], _tags(node, key))
    if kind == "union_tag_not_found":
        if not isinstance(got, Mapping):
            return path, f"got {_show(got)}; must be a group of keys{_about(help_text)}"
        key = str(context["discriminator"]).strip("'")
        return (*path, key), f"missing; must be one of {', '.join(_tags(node, key))}: add it"
    if kind == "missing" and isinstance(error["loc"][-1], int):
        path, node, help_text = _walk(error["loc"][:-1], root)
        return path, f"got {_show(got)}; must be {_length(node)}{_about(help_text)}"
    if kind == "too_long" and ... not in typing.get_args(_plain(node)):
        return path, f"got {_show(got)}; must be {_length(node)}{_about(help_text)}"
    if kind == "missing":
        return path, f"missing; must be given{_about(help_text)}"
    return path, f"got {_show(got)}; must be {_allowed(kind, context, got)}{_about(help_text)}"


def likely_choice(error: ErrorDetails, root: type[BaseModel]) -> tuple[KeyPath, str] | None:
    """Path and probably meant value of a mistyped choice between kinds of a section.

    Pydantic does not look into a section whose kind it does not know; with this value it can.
    """
    if error["type"] != "union_tag_invalid":
        return None
    path, node, _ = _walk(error["loc"], root)
    key = str(error["ctx"]["discriminator"]).strip("'")
    near = closest(str(error["ctx"]["tag"]), _tags(node, key))
    return None if near is None else ((*path, key), near)


def _allowed(kind: str, context: Mapping[str, Any], got: object) -> str:
    match kind:
        case "greater_than":
            return f"greater than {context['gt']:g}"
        case "greater_than_equal":
            return f"at least {context['ge']:g}"
        case "less_than":
            return f"less than {context['lt']:g}"
        case "less_than_equal":
            return f"at most {context['le']:g}"
        case "finite_number":
            return "a finite number"
        case "float_type" | "int_type" | "int_from_float":
            noun = "a number" if kind == "float_type" else "a whole number"
            quoted = isinstance(got, str) and not isinstance(scalar(got), str)
            return f"{noun}, without quotes" if quoted else noun
        case "string_type":
            return "text: put it in quotes" if isinstance(got, int | float) else "text"
        case "string_pattern_mismatch":
            return f"a name that matches {context['pattern']}"
        case "string_too_short":
            return "text that is not empty"
        case "string_too_long":
            return f"text of at most {context['max_length']} characters"
        case "too_short":
            least = context["min_length"]
            if isinstance(got, Mapping):
                return f"a group of at least {least} key{'s' if least > 1 else ''}"
            return f"a list of at least {least} entr{'ies' if least > 1 else 'y'}"
        case "too_long":
            return f"a list of at most {context['max_length']} entries"
        case "tuple_type" | "list_type":
            return "a list in brackets"
        case "literal_error":
            expected = str(context["expected"])
            near = isinstance(got, str) and closest(
                got, expected.replace("'", "").replace(" or ", ", ").split(", ")
            )
            return f"{expected}; did you mean {near!r}?" if near else expected
        case "model_type" | "model_attributes_type" | "dict_type":
            return "a group of keys"
    return f"different ({kind.replace('_', ' ')})"


def _length(node: Any) -> str:
    return f"a list of {len(typing.get_args(_plain(node)))} numbers"


def _about(help_text: str | None) -> str:
    return f": {help_text}" if help_text else ""


def _unknown_key(key: str, model: type[BaseModel] | None) -> str:
    allowed = tuple(model.model_fields) if model is not None else ()
    near = closest(key, allowed)
    hint = f"did you mean {near!r}? " if near else ""
    return f"unknown key; {hint}allowed: {', '.join(allowed)}"


def _show(value: object) -> str:
    """What was got, short enough for one line."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return f"a group of keys ({', '.join(map(str, value))})"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        value = list(value)
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _walk(loc: Iterable[str | int], root: type[BaseModel]) -> tuple[KeyPath, Any, str | None]:
    """Follows pydantic's location through the models.

    Returns:
        The path as it stands in the file (without the tags of unions), the type there, and the
        description of the field.
    """
    path: list[str | int] = []
    node: Any = root
    help_text: str | None = None
    for item in loc:
        node = _plain(node)
        members = _members(node)
        if members:
            node = next((m for m in members if item in _own_tags(m)), None)
            continue
        path.append(item)
        model = _model(node)
        if model is not None and item in model.model_fields:
            information = model.model_fields[str(item)]
            node, help_text = information.annotation, information.description
        elif typing.get_origin(node) is tuple and isinstance(item, int):
            arguments = typing.get_args(node)
            node = arguments[min(item, len(arguments) - 1) if arguments[-1] is not ... else 0]
        elif typing.get_origin(node) is dict:
            node, help_text = typing.get_args(node)[1], None
            if path[-1] == "[key]":
                path.pop()
        elif item != "[key]":
            node, help_text = None, None
        else:
            path.pop()
    return tuple(path), node, help_text


def _plain(node: Any) -> Any:
    """A type without `Annotated` and without `None`."""
    while typing.get_origin(node) is typing.Annotated:
        node = typing.get_args(node)[0]
    if typing.get_origin(node) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(node) if member is not type(None)]
        if len(members) == 1:
            return _plain(members[0])
    return node


def _model(node: Any) -> type[BaseModel] | None:
    node = _plain(node)
    return node if isinstance(node, type) and issubclass(node, BaseModel) else None


def _members(node: Any) -> list[type[BaseModel]]:
    """Models of a union; empty for anything else."""
    if typing.get_origin(node) not in (typing.Union, types.UnionType):
        return []
    return [model for member in typing.get_args(node) if (model := _model(member)) is not None]


def _own_tags(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(
        value
        for information in model.model_fields.values()
        if typing.get_origin(information.annotation) is typing.Literal
        for value in typing.get_args(information.annotation)
    )


def _tags(node: Any, key: str) -> tuple[str, ...]:
    """Allowed values of the key that tells the members of a union apart."""
    return tuple(
        value
        for model in _members(_plain(node))
        for value in typing.get_args(model.model_fields[key].annotation)
    )
