"""Whether a request is one that AWS's own description of its API accepts: before it is sent, and without credentials.

botocore checks types and what is required; patterns, lists of allowed values and greatest lengths are in its data too,
and it leaves them to the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from models.errors import SettingsInvalid


def check_request(operation: str, request: dict[str, Any], service: str = "sagemaker") -> None:
    """Refuse a request that the service model does not accept.

    Args:
        operation: Such as ``CreateTrainingJob``.
        request: As boto3 takes it.
        service: Name of the service.

    Raises:
        SettingsInvalid: the request; names each place and what is expected there. Not retried.
    """
    found = request_problems(operation, request, service)
    if found:
        raise SettingsInvalid(f"{operation}: AWS would not accept this request: {'; '.join(found)}")


def request_problems(operation: str, request: dict[str, Any], service: str = "sagemaker") -> list[str]:
    """One phrase for each place of a request that the service model does not accept."""
    from botocore.validate import ParamValidator

    shape = _service_model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        return [" ".join(report.generate_report().split())]
    return list(_problems(request, shape, ""))


@cache
def _service_model(service: str) -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model(service)


def _problems(value: Any, shape: Any, where: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for name, item in value.items():
            yield from _problems(item, shape.members[name], f"{where}.{name}".lstrip("."))
    elif shape.type_name == "list":
        yield from _bounds(len(value), shape, where, " entries")
        for number, item in enumerate(value):
            yield from _problems(item, shape.member, f"{where}[{number}]")
    elif shape.type_name == "map":
        yield from _bounds(len(value), shape, where, " entries")
        for key, item in value.items():
            yield from _problems(key, shape.key, f"{where}.{key} (its name)")
            yield from _problems(item, shape.value, f"{where}.{key}")
    elif shape.type_name == "string":
        yield from _string_problems(value, shape, where)
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _bounds(value, shape, where, "")


def _string_problems(value: str, shape: Any, where: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        near = [name for name in shape.enum if name.split(".")[:2] == value.split(".")[:2]]
        yield f"{where}: {value!r} is none of {', '.join(near or shape.enum)}"
    yield from _bounds(len(value), shape, where, " characters")
    pattern = shape.metadata.get("pattern")
    if pattern is not None and not re.fullmatch(_python_pattern(pattern), value):
        yield f"{where}: {value!r} does not match {pattern}"


def _bounds(number: float, shape: Any, where: str, unit: str) -> Iterator[str]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", float("inf"))
    if not least <= number <= most:
        yield f"{where}: {number}{unit} where {least} to {most} are allowed"


def _python_pattern(pattern: str) -> str:
    """The pattern in Python's words: classes of letters, digits and blanks are called otherwise."""
    for name, ours in ((r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s"), (r"\p{Alnum}", "a-zA-Z0-9")):
        pattern = pattern.replace(name, ours)
    return pattern
