"""Settings as files: reading, checking and writing JSON and YAML, with errors a person can act on.

The command line uses the same checks; its flags are in ``flags.py``.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from models.errors import SettingsInvalid
from models.settings.flags import literal_values, mapped_models, member_models

S = TypeVar("S", bound=BaseModel)
Location = tuple[int | str, ...]


def dump_settings(settings: BaseModel) -> dict[str, Any]:
    """The settings as JSON values, every field named; paths as POSIX text."""
    return settings.model_dump(mode="json")


def load_settings(settings_class: type[S], path: Path) -> S:
    """The settings in a JSON or YAML file.

    Raises:
        SettingsInvalid: The file cannot be read or does not fit; one line per problem. Not retried.
    """
    return check_settings(settings_class, read_document(path), lambda location: f"{path}: {dotted(location)}")


def read_document(path: Path) -> dict[str, Any]:
    """The mapping in a JSON or YAML file, unchecked.

    Raises:
        SettingsInvalid: No file, no mapping, no JSON or YAML, or a key given twice. Not retried.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SettingsInvalid(f"{path}: expected a readable settings file: {reason}") from error
    try:
        if path.suffix == ".json":
            document = json.loads(text, object_pairs_hook=lambda pairs: _unique(path, pairs))
        else:
            document = yaml.load(text, Loader=_loader_for(path))  # noqa: S506  # derived from SafeLoader
    except json.JSONDecodeError as error:
        raise SettingsInvalid(f"{path}:{error.lineno}: expected JSON: {error.msg}") from error
    except yaml.YAMLError as error:
        raise SettingsInvalid(f"{path}{_line_of(error)}: expected YAML: {_first_line(error)}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsInvalid(f"{path}: expected a mapping of settings, found {type(document).__name__}")
    return document


def check_settings(settings_class: type[S], values: dict[str, Any], name_of: Callable[[Location], str]) -> S:
    """Validate, and say what is wrong in one line per problem.

    Args:
        settings_class: What the values should be.
        values: Raw values, nested.
        name_of: How the person called the value at a location (a flag, a key of a file).

    Raises:
        SettingsInvalid: Something does not fit. Not retried.
    """
    try:
        return settings_class.model_validate(_with_required_models(settings_class, values))
    except ValidationError as error:
        lines = list(_problems(settings_class, error.errors(), name_of))
        raise SettingsInvalid("\n".join(lines)) from error


def _with_required_models(settings_class: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Opens a missing model that has required fields itself, so that these are told rather than the model."""
    opened: dict[str, Any] = {}
    for name, info in settings_class.model_fields.items():
        models = member_models(info.annotation)
        if name not in values and info.is_required() and len(models) == 1:
            inner = _with_required_models(models[0], {})
            if inner or any(field.is_required() for field in models[0].model_fields.values()):
                opened[name] = inner
    return {**values, **opened}


def dotted(location: Location) -> str:
    """``("model", "epochs")`` to ``model.epochs``."""
    return ".".join(map(str, location))


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The most similar of the words that exist, if any is similar."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return found[0] if found else None


def _problems(
    settings_class: type[BaseModel], errors: list[ErrorDetails], name_of: Callable[[Location], str]
) -> Iterable[str]:
    expected: dict[Location, list[ErrorDetails]] = {}
    holders: dict[Location, tuple[type[BaseModel], ...]] = {}
    for error in errors:
        location, models = _locate(settings_class, error)
        expected.setdefault(location, []).append(error)
        holders[location] = models
    for location, details in expected.items():
        yield _sentence(name_of(location) if location else "", location, holders[location], details)


def _sentence(name: str, location: Location, models: tuple[type[BaseModel], ...], details: list[ErrorDetails]) -> str:
    kind = details[0]["type"]
    key = str(location[-1]) if location else ""
    fields = {field: info for model in models for field, info in model.model_fields.items()}
    about = (fields[key].description or "") if key in fields else ""
    about = f" ({' '.join(about.split())})" if about else ""
    if kind == "missing":
        return f"{name}: is required{about}"
    if kind == "extra_forbidden":
        near = nearest(key, fields)
        hint = f"did you mean {near}?" if near else f"expected one of {', '.join(fields)}"
        return f"{name}: unknown key; {hint}"
    if kind == "union_tag_not_found":
        return f"{name}: must say its kind{about}"
    if kind == "union_tag_invalid":
        context = details[0].get("ctx", {})
        return f"{name}: expected {context.get('expected_tags')}, got {context.get('tag')!r}"
    wanted = " or ".join(dict.fromkeys(_expectation(detail) for detail in details))
    if kind in ("value_error", "assertion_error"):
        return f"{name}: {wanted}" if name else wanted
    return f"{name}: expected {wanted}, got {_shown(details[0]['input'])}{about}"


def _locate(settings_class: type[BaseModel], error: ErrorDetails) -> tuple[Location, tuple[type[BaseModel], ...]]:
    """Where the value stands for a person: without the tags that pydantic adds for members of unions."""
    location: list[int | str] = []
    models: tuple[type[BaseModel], ...] = (settings_class,)
    holder = models
    entries: tuple[type[BaseModel], ...] = ()  # what a mapping holds by keys of the person's own
    for item in error["loc"]:
        if entries:
            location.append(item)
            holder, models, entries = entries, entries, ()
            continue
        tagged = tuple(model for model in models if item in _tags(model))
        fields = [model.model_fields[item] for model in models if item in model.model_fields]
        if len(models) > 1 and tagged:
            models = tagged
        elif fields:
            location.append(item)
            holder = models
            models = tuple(inner for info in fields for inner in member_models(info.annotation))
            entries = tuple(inner for info in fields for inner in mapped_models(info.annotation))
        elif models and error["type"] == "extra_forbidden":
            location.append(item)
            holder = models
        elif isinstance(item, int):
            location.append(item)
    if error["type"] == "union_tag_invalid":
        location.append("kind")
    return tuple(location), holder


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    kind = model.model_fields.get("kind")
    return literal_values(kind.annotation) if kind is not None else ()


def _expectation(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if detail["type"] == "too_short":
        count = detail.get("ctx", {}).get("min_length", 1)
        return f"at least {count} item{'s' if count > 1 else ''}"
    message = message.removeprefix("Input should be ").removeprefix("Input should ")
    return message.split(", unable to")[0]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _unique(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise SettingsInvalid(f"{path}: key {twice!r} is given twice; the first would be lost")
    return dict(pairs)


def _loader_for(path: Path) -> type[yaml.SafeLoader]:
    class Loader(yaml.SafeLoader):
        """Refuses a key given twice, which YAML would silently drop; reads on, off, yes, no as words (YAML 1.2)."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
            twice = next((key for key in keys if isinstance(key, str) and keys.count(key) > 1), None)
            if twice is not None:
                line = node.start_mark.line + 1
                raise SettingsInvalid(f"{path}:{line}: key {twice!r} is given twice; the first would be lost")
            return super().construct_mapping(node, deep)

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if first in "tTfF" or tag != "tag:yaml.org,2002:bool"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def _line_of(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark is not None else ""


def _first_line(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]
