"""The form that Prefect makes of phase 1's parameters: every field can be read and filled in by a person."""

from __future__ import annotations

from typing import Any

import pytest

from flows.phase1 import Phase1Settings
from models.settings.flags import collect_flags

UNITS = {"_seconds": "[s]", "_bytes": "[bytes]", "_gib": "[GiB]", "epochs": "[epochs]", "batch_size": "[records]"}
WIDGETS = {"string", "integer", "number", "boolean"}


@pytest.fixture(scope="module")
def fields(server) -> dict[tuple[str, ...], dict[str, Any]]:
    """What the deployment's schema says of each field, by its place; groups are opened."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: server.api_url}), get_client(sync_client=True) as client:
        schema = client.read_deployment_by_name("phase1/phase1").parameter_openapi_schema
    found: dict[tuple[str, ...], dict[str, Any]] = {}

    def open_group(group: dict[str, Any], place: tuple[str, ...]) -> None:
        for name, field in group["properties"].items():
            inner = schema["definitions"][field["$ref"].rpartition("/")[2]] if "$ref" in field else {}
            found[(*place, name)] = {"description": inner.get("description"), **field}
            if inner:
                open_group(inner, (*place, name))

    open_group(schema, ())
    return {place[1:]: field for place, field in found.items() if len(place) > 1}


@pytest.mark.server
def test_every_setting_that_can_be_chosen_is_in_the_form_and_nothing_else(fields):
    flags = collect_flags(Phase1Settings)

    constants = {flag.path for flag in flags if flag.path[-1] == "kind"}
    assert set(fields) == {flag.path for flag in flags} - constants


@pytest.mark.server
def test_every_field_has_a_title_and_a_sentence(fields):
    for place, field in fields.items():
        assert field["title"][0].isupper(), place
        assert not field["title"].endswith("Settings"), place
        assert field["description"].endswith("."), place


@pytest.mark.server
def test_every_field_but_the_data_begins_with_its_default(fields):
    without = {place for place, field in fields.items() if "default" not in field}
    assert without == {("preprocess",), ("preprocess", "data")}
    default = Phase1Settings(preprocess={"data": "x"}).model_dump(mode="json")
    for place, field in fields.items():
        if place not in without:
            value: Any = default
            for name in place:
                value = value[name]
            assert field["default"] == value, place


@pytest.mark.server
def test_every_field_has_a_widget_that_a_person_can_use(fields):
    for place, field in fields.items():
        if "$ref" in field:
            continue
        (kind, *others) = [member["type"] for member in field.get("anyOf", [field])]
        assert others in ([], ["null"]), place
        assert kind in WIDGETS or is_list(field) or is_mapping(field), place
        assert "const" not in field, place


@pytest.mark.server
def test_choices_are_lists_and_numbers_say_their_bounds_and_units(fields):
    choices = {place: field["enum"] for place, field in fields.items() if "enum" in field}
    assert choices["transformer", "pooling"] == ["cls", "attention", "mean", "eos"]
    assert choices["transformer", "pretrained"] == ["auto", "required", "off"]
    assert choices["compute", "precision"] == ["auto", "off", "bf16", "fp16"]
    assert choices["where",] == ["local", "sagemaker"]
    assert fields["models",]["items"]["enum"] == ["transformer", "gnn"]
    numbers = {place: field for place, field in fields.items() if shape_of(field).get("type") in ("integer", "number")}
    for place, field in numbers.items():
        assert {"minimum", "exclusiveMinimum"} & set(shape_of(field)), place
        assert field["description"].endswith(").") and {">", "≥"} & set(field["description"]), place
        for ending, unit in UNITS.items():
            assert unit in field["description"] or not place[-1].endswith(ending), place


def is_list(field: dict[str, Any]) -> bool:
    """A list of choices or of words: a line for each."""
    return field.get("type") == "array" and ("enum" in field["items"] or field["items"]["type"] == "string")


def is_mapping(field: dict[str, Any]) -> bool:
    """Words by name: a field for JSON."""
    return field.get("type") == "object" and field["additionalProperties"] == {"type": "string"}


def shape_of(field: dict[str, Any]) -> dict[str, Any]:
    """What a value must be, where it is given."""
    return field.get("anyOf", [field])[0]
