"""One settings class as a table of command-line flags: names, help, and how a text becomes a value.

No parsing of an argument list (``command_line.py``) and no files (``documents.py``).
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from models.settings.fields import fields_for_people

NULL_WORDS = frozenset({"null", "none"})
SWITCH_WORDS = {"on": True, "off": False}


@dataclass(frozen=True, eq=False)
class Flag:
    """One field that the command line can set.

    Args:
        path: Names from the settings class down to the field.
        annotation: Type of the field, without its metadata.
        description: Docstring of the field, with its unit.
        default: Default as shown to people; ``None`` when the field must be given.
        bounds: Bounds as shown to people, such as ``> 0``.
        hidden: Accepted, but not worth a line of help (constants, whole nested models).
        needed_by: Kinds of the holding model that need the field, where others do not have it.
    """

    path: tuple[str, ...]
    annotation: Any
    description: str
    default: str | None
    bounds: str
    hidden: bool = False
    needed_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``--gnn.num-layers``."""
        return flag_name(self.path)

    @property
    def group(self) -> tuple[str, ...]:
        """Path of the model that holds the field."""
        return self.path[:-1]

    @property
    def is_bool(self) -> bool:
        """The flag needs no value."""
        return bool in union_members(self.annotation)

    @property
    def is_optional(self) -> bool:
        """The value may be ``null``."""
        return type(None) in union_members(self.annotation)

    @property
    def is_container(self) -> bool:
        """The value is a list, a mapping or a model: several flags add up, JSON is understood."""
        return any(is_sequence(member) or is_mapping(member) for member in union_members(self.annotation)) or bool(
            member_models(self.annotation)
        )

    @property
    def entry_fields(self) -> tuple[str, ...]:
        """Names of what can be said of each entry, where the value is a mapping of settings."""
        models = [model for member in union_members(self.annotation) for model in mapped_models(member)]
        return tuple(dict.fromkeys(name for model in models for name in fields_for_people(model)))

    @property
    def metavar(self) -> str:
        """What stands for the value in the help."""
        choices = literal_values(self.annotation)
        if choices:
            return "{" + ",".join(map(str, choices)) + "}"
        shown = (_type_word(member) for member in union_members(self.annotation) if member is not type(None))
        return "|".join(dict.fromkeys(shown))


def flag_name(path: Sequence[str]) -> str:
    """``("gnn", "num_layers")`` to ``--gnn.num-layers``."""
    return "--" + ".".join(path).replace("_", "-")


def collect_flags(settings_class: type[BaseModel], default: BaseModel | None = None) -> list[Flag]:
    """All flags of a settings class, nested models behind their parents; members of a union share a name.

    Args:
        settings_class: The class to describe.
        default: Instance whose values are the defaults; the class's own where it is ``None``.
    """
    merged: dict[tuple[str, ...], Flag] = {}
    for flag in _flags_of(settings_class, (), default, (settings_class,)):
        seen = merged.get(flag.path)
        merged[flag.path] = flag if seen is None else _merge(seen, flag)
    return list(merged.values())


def decode(flag: Flag, texts: Sequence[str]) -> Any:
    """The value that pydantic is to validate.

    Args:
        flag: The flag that was given.
        texts: Its values in the order given; only containers take more than the last.

    Raises:
        ValueError: JSON was begun and is not JSON, or a mapping lacks ``=``; the message says what was expected.
    """
    if flag.is_optional and texts[-1].lower() in NULL_WORDS:
        return None
    if flag.is_bool:
        return SWITCH_WORDS.get(texts[-1].lower(), texts[-1])
    if not flag.is_container:
        return _literal_of(flag.annotation, texts[-1])
    if member_models(flag.annotation) or any(is_mapping(member) for member in union_members(flag.annotation)):
        merged: dict[str, Any] = {}
        for text in texts:
            pairs = not member_models(flag.annotation)
            merged.update(_mapping_of(text, pairs=pairs, of_models=bool(flag.entry_fields)))
        return merged
    return [item for text in texts for item in _items_of(text)]


def encode(path: Sequence[str], value: Any) -> Iterator[str]:
    """The arguments that set one JSON value: the inverse of ``decode``."""
    if value is True:
        yield flag_name(path)
    elif value is False:
        yield negated(flag_name(path))
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield f"{flag_name(path)}={text}"


def negated(name: str) -> str:
    """``--quick-test`` to ``--no-quick-test``."""
    return "--no-" + name.removeprefix("--")


def union_members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the annotation alone; ``Annotated`` is looked through."""
    if get_origin(annotation) is Annotated:
        return union_members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(inner for member in get_args(annotation) for inner in union_members(member))
    return (annotation,)


def inner_metadata(annotation: Any) -> tuple[Any, ...]:
    """What ``Annotated`` says of the members of a union."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        return (*metadata, *inner_metadata(inner))
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(item for member in get_args(annotation) for item in inner_metadata(member))
    return ()


def mapped_models(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The settings classes that a ``dict[str, X]`` holds."""
    values = get_args(annotation)[1:] if is_mapping(annotation) else ()
    return tuple(model for value in values for model in member_models(value))


def member_models(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The settings classes among the members of an annotation."""
    return tuple(m for m in union_members(annotation) if isinstance(m, type) and issubclass(m, BaseModel))


def is_sequence(annotation: Any) -> bool:
    """A list, tuple or set."""
    return (get_origin(annotation) or annotation) in (list, tuple, set, frozenset, Sequence)


def is_mapping(annotation: Any) -> bool:
    """A dictionary."""
    return (get_origin(annotation) or annotation) in (dict, Mapping)


def literal_values(annotation: Any) -> tuple[Any, ...]:
    """The choices of a field, empty when it has none."""
    return tuple(v for m in union_members(annotation) if get_origin(m) is Literal for v in get_args(m))


def _flags_of(
    settings_class: type[BaseModel], prefix: tuple[str, ...], default: BaseModel | None, above: tuple[type, ...]
) -> Iterator[Flag]:
    for name in fields_for_people(settings_class):
        info = settings_class.model_fields[name]
        path = (*prefix, name)
        value = getattr(default, name) if default is not None else info.get_default(call_default_factory=True)
        models = [model for model in member_models(info.annotation) if model not in above]
        yield Flag(
            path=path,
            annotation=info.annotation,
            description=" ".join((info.description or "").split()),
            default=_shown_default(value),
            bounds=_shown_bounds(info),
            hidden=(bool(models) and type(None) not in union_members(info.annotation)) or _is_constant(info),
        )
        for model in models:
            others = [other for other in models if other is not model]
            for flag in _flags_of(model, path, value if isinstance(value, model) else None, (*above, model)):
                yield replace(flag, needed_by=_needed_by(flag, model, others)) if flag.group == path else flag


def _needed_by(flag: Flag, model: type[BaseModel], others: Sequence[type[BaseModel]]) -> tuple[str, ...]:
    """The kind of the model, where a field of it must be given that another member of its union lacks."""
    if flag.default is not None or all(flag.path[-1] in other.model_fields for other in others):
        return ()
    kind = model.model_fields.get("kind")
    return tuple(map(str, literal_values(kind.annotation))) if kind is not None else ()


def _merge(first: Flag, second: Flag) -> Flag:
    """Two members of a union have a field of this name."""
    descriptions = dict.fromkeys((first.description, second.description))
    defaults = dict.fromkeys(shown for shown in (first.default, second.default) if shown is not None)
    return Flag(
        path=first.path,
        annotation=Union[first.annotation, second.annotation],  # noqa: UP007  # a union of values, not of names
        description=" | ".join(filter(None, descriptions)),
        default=" or ".join(defaults) or None,
        bounds=first.bounds if first.bounds == second.bounds else "",
        hidden=first.hidden and second.hidden and first.annotation == second.annotation,
        needed_by=tuple(dict.fromkeys((*first.needed_by, *second.needed_by))),
    )


def _is_constant(info: FieldInfo) -> bool:
    """A ``kind`` with nothing to choose."""
    return len(literal_values(info.annotation)) == 1 and not info.description


def _shown_default(value: Any) -> str | None:
    if value is PydanticUndefined:
        return None
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, BaseModel):
        return ""
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value)) or "empty"
    return str(value) if value not in ("", {}) else "empty"


def _shown_bounds(info: FieldInfo) -> str:
    signs = {Gt: ("gt", ">"), Ge: ("ge", ">="), Lt: ("lt", "<"), Le: ("le", "<=")}
    shown = []
    for item in (*info.metadata, *inner_metadata(info.annotation)):
        if type(item) in signs:
            attribute, sign = signs[type(item)]
            shown.append(f"{sign} {getattr(item, attribute):g}")
    return ", ".join(shown)


def _type_word(member: Any) -> str:
    if is_mapping(member):
        return "NAME=JSON" if mapped_models(member) else "NAME=VALUE"
    if is_sequence(member):
        inner = [arg for arg in get_args(member) if arg is not Ellipsis]
        choices = literal_values(inner[0]) if inner else ()
        return f"{'|'.join(map(str, choices)) or _type_word(inner[0] if inner else str)},..."
    if isinstance(member, type) and issubclass(member, BaseModel):
        return "JSON"
    words: dict[Any, str] = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH", bool: "on|off"}
    origin = get_args(member)[0] if get_origin(member) is Annotated else member
    return words.get(origin, "VALUE")


def _literal_of(annotation: Any, text: str) -> Any:
    """Choices that are numbers are given as text on a command line."""
    return next((value for value in literal_values(annotation) if str(value) == text), text)


def _mapping_of(text: str, *, pairs: bool, of_models: bool) -> dict[str, Any]:
    if text.startswith("{"):
        return dict(_json_of(text, dict))
    if not text:
        return {}
    if not pairs or "=" not in text:
        raise ValueError("expected NAME=VALUE or a JSON object" if pairs else "expected a JSON object")
    name, _, value = text.partition("=")
    return {name: _json_of(value, dict) if of_models and value.startswith("{") else value}


def _items_of(text: str) -> list[Any]:
    if text.startswith("["):
        return list(_json_of(text, list))
    return text.split(",") if text else []


def _json_of(text: str, kind: type[Any]) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"expected JSON, which ends being readable at character {error.pos} ({error.msg})") from error
    if not isinstance(value, kind):
        shape = "object" if kind is dict else "array"
        raise ValueError(f"expected a JSON {shape}")  # noqa: TRY004  # a wrong text, not a wrong type of ours
    return value
