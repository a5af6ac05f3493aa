"""The schema that a form is made of says more to people, and accepts what the settings accept."""

from __future__ import annotations

from typing import Annotated, Literal

import jsonschema
import pytest
from pydantic import Field, PositiveInt

from models.settings.fields import Settings
from models.settings.form_schema import title_of
from models.settings.predict import PredictSettings
from models.settings.preprocess import PreprocessSettings
from models.settings.train import TrainSettings
from models.settings.transformer import TransformerSettings


class Inner(Settings):
    kind: Literal["inner"] = "inner"
    share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """A share."""


class Outer(Settings):
    gpu_memory_gib: PositiveInt | None = None
    """Memory [GiB]."""
    inner: Inner = Inner()
    """A group."""
    where: Literal["here"] = "here"
    """A choice of one."""


SCHEMA = Outer.model_json_schema()


def test_bounds_are_said_and_names_are_written_as_people_write_them():
    assert title_of("min_ast_success") == "Min AST Success"
    memory = SCHEMA["properties"]["gpu_memory_gib"]
    assert (memory["title"], memory["description"]) == ("GPU Memory GiB", "Memory [GiB] (> 0).")
    assert SCHEMA["$defs"]["Inner"]["properties"]["share"]["description"] == "A share (> 0, ≤ 1)."


def test_a_group_is_called_by_its_field():
    assert SCHEMA["properties"]["inner"]["title"] == "Inner"


def test_a_constant_is_not_shown_and_a_choice_of_one_is_a_list():
    assert set(SCHEMA["$defs"]["Inner"]["properties"]) == {"share"}
    where = SCHEMA["properties"]["where"]
    assert (where["enum"], "const" in where) == (["here"], False)


@pytest.mark.parametrize(
    "settings",
    [
        Outer(),
        PreprocessSettings(data="x"),
        TrainSettings(train_data="x", val_data="y"),
        TrainSettings(train_data="x", val_data="y", model=TransformerSettings()),
        PredictSettings(model_run="x", data="y"),
    ],
    ids=lambda settings: type(settings).__name__,
)
def test_settings_written_out_fit_their_schema(settings):
    jsonschema.validate(settings.model_dump(mode="json"), type(settings).model_json_schema())


@pytest.mark.parametrize(
    "wrong", [{"inner": {"kind": "outer"}}, {"inner": {"kid": "inner"}}, {"where": "there"}, {"gpu_memory_gib": 0}]
)
def test_what_the_settings_refuse_the_schema_refuses(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)
