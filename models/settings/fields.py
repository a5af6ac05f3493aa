"""The base of all settings, and the roles a field can play.

A field decides the result unless its annotation says otherwise:

- ``InputPath``: a path whose *content* decides; the run key takes its digest, not its name.
- ``NAMED_INPUT``: a name, or a path of a local file or folder whose content then decides.
- ``IN_BUILD_KEY``: decides the bytes but not the question asked (ranks, threads, precision); part of the build key.
- ``INCIDENTAL``: decides neither (intervals of saving, places, workers); a test shows equal bytes.

Settings of one kind of job are not here but in the file named after it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from models.settings.form_schema import describe_for_people


class Role:
    """Marks a field as not simply deciding the result."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Role({self.name!r})"


INPUT = Role("input")
NAMED_INPUT = Role("named input")
IN_BUILD_KEY = Role("build")
INCIDENTAL = Role("incidental")

InputPath = Annotated[Path, INPUT]


class Settings(BaseModel):
    """Frozen, unknown keys refused, attribute docstrings become the help of form and command line."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The class as a form needs it."""
        schema = handler(core_schema)
        described = handler.resolve_ref_schema(schema)
        describe_for_people(described)
        shown = described.get("properties", {})
        described["properties"] = {name: shown[name] for name in fields_for_people(cls) if name in shown}
        return schema


def fields_for_people(settings_class: type[BaseModel]) -> list[str]:
    """Names of the fields as forms and help show them: what must be said first, places and intervals last."""
    fields = settings_class.model_fields
    return sorted(fields, key=lambda name: (INCIDENTAL in fields[name].metadata, not fields[name].is_required()))
