"""How settings describe themselves to a form, such as the one Prefect makes of a deployment's parameters.

A form shows of each field its title, description, default and choices, and of bounds only that they were missed. So
the bounds are said in the description; a group is called by its field and not by its class; a choice of one is a list
and not free text; and a constant (``kind``), where there is nothing to choose, is accepted but not shown.
"""

from __future__ import annotations

from typing import Any

BOUNDS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤", "minItems": "at least"}
AS_WRITTEN = {"ast": "AST", "gnn": "GNN", "gpu": "GPU", "gib": "GiB"}


def describe_for_people(schema: dict[str, Any]) -> None:
    """Rewrite the JSON schema of one settings class, in place; what it accepts stays the same."""
    properties = schema.get("properties", {})
    for name, field in list(properties.items()):
        if "const" in field and "description" not in field:
            schema.setdefault("patternProperties", {})[f"^{name}$"] = properties.pop(name)
            continue
        if "const" in field:
            field["enum"] = [field.pop("const")]
        field["title"] = title_of(name)
        bounds = ", ".join(_bounds(field))
        if bounds and "description" in field:
            field["description"] = f"{field['description'].removesuffix('.')} ({bounds})."


def title_of(name: str) -> str:
    """``gpu_memory_gib`` to ``GPU Memory GiB``."""
    return " ".join(AS_WRITTEN.get(word, word.capitalize()) for word in name.split("_"))


def _bounds(field: dict[str, Any]) -> list[str]:
    """Bounds of the value, or of that member of a union which has any."""
    members = [field, *field.get("anyOf", [])]
    return [f"{sign} {member[key]:g}" for member in members for key, sign in BOUNDS.items() if key in member]
