"""Single values laid over a document: what a flag does to a file, or to a nested default.

How values are read from texts is in ``flags.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from models.settings.flags import member_models


def overlay(
    settings_class: type[BaseModel], document: Mapping[str, Any], changes: Mapping[tuple[str, ...], Any]
) -> dict[str, Any]:
    """The document with single values replaced; a nested model that the document leaves out starts as its default.

    Args:
        settings_class: What document and changes describe.
        document: Raw values of a file; not changed.
        changes: Values by path.
    """
    values: dict[str, Any] = dict(document)
    for path in sorted(changes, key=lambda path: (len(path), path[-1] != "kind")):
        place = _holder_of(settings_class, values, path, changes)
        if place is not None:
            place[path[-1]] = changes[path]
    return values


def _holder_of(
    settings_class: type[BaseModel],
    values: dict[str, Any],
    path: tuple[str, ...],
    changes: Mapping[tuple[str, ...], Any],
) -> dict[str, Any] | None:
    """The nested mapping that a change goes into; ``None`` where the document has no mapping, for the check to say."""
    holder = settings_class
    for depth, name in enumerate(path[:-1], start=1):
        inner = values.get(name)
        if inner is None:
            inner = _default_values(holder, name, changes.get((*path[:depth], "kind")))
        if not isinstance(inner, Mapping):
            return None
        opened = dict(inner)  # ours: the document stays as it was read
        values[name] = opened
        values = opened
        models = member_models(holder.model_fields[name].annotation)
        holder = next((model for model in models if path[depth] in model.model_fields), models[0])
    return values


def _default_values(holder: type[BaseModel], name: str, kind: Any) -> dict[str, Any]:
    """What a nested default says beyond its class; nothing when the flags ask for another kind."""
    default = holder.model_fields[name].get_default(call_default_factory=True)
    if not isinstance(default, BaseModel):
        return {}
    own_kind = getattr(default, "kind", None)
    if kind is not None and kind != own_kind:
        return {}
    return {**default.model_dump(exclude_unset=True), **({"kind": own_kind} if own_kind is not None else {})}
