"""``prefect.yaml``: a deployment on Spot is its twin with other job variables, not a copy."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from tasks.run_settings import PLACE_ENVIRONMENT, RunSettings

TEXT = (Path(__file__).resolve().parents[2] / "prefect.yaml").read_text(encoding="utf-8")
DEPLOYMENTS: dict[str, dict[str, Any]] = {entry["name"]: entry for entry in yaml.safe_load(TEXT)["deployments"]}
SPOT = sorted(name for name in DEPLOYMENTS if name.endswith("-spot"))
OWN = {"name", "description", "tags", "work_pool", "schedules"}


def test_each_flow_that_trains_is_deployed_twice() -> None:
    trains = set(DEPLOYMENTS) - set(SPOT) - {"evaluation", "audit", "comparison"}
    assert set(SPOT) == {f"{name}-spot" for name in trains}
    assert len(SPOT) == 12


@pytest.mark.parametrize("name", SPOT)
def test_it_is_its_twin_but_for_name_words_and_job_variables(name: str) -> None:
    spot, twin = DEPLOYMENTS[name], DEPLOYMENTS[name.removesuffix("-spot")]

    assert {key: value for key, value in spot.items() if key not in OWN} == {
        key: value for key, value in twin.items() if key not in OWN
    }
    assert spot.keys() == twin.keys()
    assert "spot" in spot["tags"]
    assert name.removesuffix("-spot") in spot["description"]
    pool, twin_pool = spot["work_pool"], twin["work_pool"]
    assert pool["name"] == twin_pool["name"]
    variables, twin_variables = pool["job_variables"], twin_pool["job_variables"]
    assert variables == twin_variables | {"env": twin_variables["env"] | {"CODEWARDEN_WHERE": "sagemaker"}}


@pytest.mark.parametrize("name", SPOT)
def test_its_flow_can_be_placed_by_that_variable(name: str) -> None:
    module_name, _, flow = DEPLOYMENTS[name]["entrypoint"].rpartition(".")
    module = importlib.import_module(module_name)
    parameters = inspect.signature(getattr(module, flow).fn, eval_str=True).parameters
    (settings,) = [
        t
        for t in (parameters["settings"].annotation, *get_args(parameters["settings"].annotation))
        if isinstance(t, type) and issubclass(t, BaseModel)
    ]
    assert PLACE_ENVIRONMENT["CODEWARDEN_WHERE"] == "where"
    assert issubclass(settings, RunSettings)


@pytest.mark.parametrize("name", SPOT)
def test_nothing_is_spent_by_a_schedule_that_nobody_turned_on(name: str) -> None:
    assert DEPLOYMENTS[name]["schedules"] == []


def test_the_weekly_run_of_phase2_does_nothing_where_nothing_is_new() -> None:
    (weekly,) = DEPLOYMENTS["phase2"]["schedules"]
    assert weekly["cron"] == "0 3 * * 0"
    assert weekly["parameters"] == {"skip_unchanged": True}


def test_no_secret_and_no_place_of_ones_own_is_written_down() -> None:
    assert not {"AWS_", "SECRET", "s3://", "arn:", "CODEWARDEN_STORE:"} & {
        word for word in ("AWS_", "SECRET", "s3://", "arn:", "CODEWARDEN_STORE:") if word in TEXT
    }
