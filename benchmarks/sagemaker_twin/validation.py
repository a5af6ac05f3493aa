"""Requests checked against the service model inside botocore, with the limits that botocore itself leaves unchecked.

Patterns, enums, lengths and ranges are checked here and told in the words of the API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from benchmarks.sagemaker_twin.errors import ApiError

LONGEST_VALUE_SHOWN = 200


@cache
def service_model() -> Any:
    """SageMaker's model as botocore carries it."""
    import botocore.session

    return botocore.session.get_session().get_service_model("sagemaker")


def check_request(operation: str, request: dict[str, Any]) -> None:
    """Check a request as the service does.

    Raises:
        ApiError: ``ValidationException`` that names every violation; ``SerializationException`` for a wrong type.
    """
    shape = service_model().operation_model(operation).input_shape
    found = list(_violations(shape, request, ""))
    if found:
        errors = "error" if len(found) == 1 else "errors"
        raise ApiError("ValidationException", f"{len(found)} validation {errors} detected: {'; '.join(found)}")


def _violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        yield from _of_structure(shape, value, path)
    elif shape.type_name == "list":
        yield from _of_list(shape, value, path)
    elif shape.type_name == "map":
        yield from _of_map(shape, value, path)
    else:
        _check_type(shape, value, path)
        for constraint in _broken_constraints(shape, value):
            yield _sentence(value, path, constraint)


def _of_structure(shape: Any, value: Any, path: str) -> Iterator[str]:
    _check_type(shape, value, path)
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
    for name, member in value.items():
        if name not in shape.members:
            known = ", ".join(shape.members)
            yield f"Unknown parameter '{_join(path, name)}', must be one of: {known}"
        elif member is not None:
            yield from _violations(shape.members[name], member, _join(path, name))


def _of_list(shape: Any, value: Any, path: str) -> Iterator[str]:
    _check_type(shape, value, path)
    for constraint in _broken_constraints(shape, value):
        yield _sentence(value, path, constraint)
    for index, member in enumerate(value, start=1):
        yield from _violations(shape.member, member, f"{path}.{index}.member")


def _of_map(shape: Any, value: Any, path: str) -> Iterator[str]:
    _check_type(shape, value, path)
    for constraint in _broken_constraints(shape, value):
        yield _sentence(value, path, constraint)
    for key, member in value.items():
        for constraint in _broken_constraints(shape.key, key):
            yield _sentence(key, path, f"Map keys must satisfy constraint: [{constraint}]")
        _check_type(shape.value, member, f"{path}.{key}")
        for constraint in _broken_constraints(shape.value, member):
            yield _sentence(member, f"{path}.{key}", f"Map value must satisfy constraint: [{constraint}]")


def _broken_constraints(shape: Any, value: Any) -> Iterator[str]:
    limits = shape.metadata
    sized = hasattr(value, "__len__")
    least, most = limits.get("min"), limits.get("max")
    if least is not None and (len(value) if sized else value) < least:
        yield f"Member must have {'length' if sized else 'value'} greater than or equal to {least}"
    if most is not None and (len(value) if sized else value) > most:
        yield f"Member must have {'length' if sized else 'value'} less than or equal to {most}"
    if "enum" in limits and value not in limits["enum"]:
        yield f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]"
    if "pattern" in limits and not java_pattern(limits["pattern"]).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {limits['pattern']}"


@cache
def java_pattern(java: str) -> re.Pattern[str]:
    """A pattern of the model; it is Java's, whose classes of characters go by other names here."""
    for name, ours in ((r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s"), (r"\p{Alnum}", "a-zA-Z0-9")):
        java = java.replace(name, ours)
    return re.compile(java)


_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
    "blob": (str,),
}


def _check_type(shape: Any, value: Any, path: str) -> None:
    expected = _TYPES[shape.type_name]
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        raise ApiError(
            "SerializationException", f"{path or 'request'}: {type(value).__name__} where {shape.type_name} is expected"
        )


def _sentence(value: Any, path: str, constraint: str) -> str:
    shown = str(value)
    if len(shown) > LONGEST_VALUE_SHOWN:
        shown = f"{shown[:LONGEST_VALUE_SHOWN]}..."
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, name: str) -> str:
    member = name[:1].lower() + name[1:]
    return f"{path}.{member}" if path else member
