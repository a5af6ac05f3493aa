"""The deployments of the stages as a person meets them: by name, in the form, and without weights."""

from __future__ import annotations

import importlib
import inspect
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.settings.documents import load_settings
from models.settings.form_schema import title_of

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENTS = {entry["name"]: entry for entry in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
STAGES = ("stage1-broad", "stage2-tuning", "stage3-sweep", "stage4-champion")
ENCODER = (*STAGES, "encoder-pipeline", "evaluation")
WAIT_SECONDS = 90.0
LAST_LINE = "Engine execution exited with unexpected exception"
"""What Prefect logs of a flow that raised when its process leaves; logs come in batches, after the state."""


def flow_of(name: str) -> Any:
    module, _, function = DEPLOYMENTS[name]["entrypoint"].rpartition(".")
    return getattr(importlib.import_module(module), function)


def settings_class_of(name: str) -> Any:
    module = importlib.import_module(flow_of(name).fn.__module__)
    (found,) = (
        member
        for member_name, member in inspect.getmembers(module, inspect.isclass)
        if member_name.endswith("Settings") and member.__module__ == module.__name__
    )
    return found


def test_each_flow_of_the_encoder_is_deployed():
    assert set(ENCODER) <= set(DEPLOYMENTS)


@pytest.mark.parametrize("name", ENCODER)
def test_its_file_is_the_one_that_its_program_reads_and_is_valid(name: str):
    config = Path(DEPLOYMENTS[name]["parameters"]["config"])
    module = importlib.import_module(flow_of(name).fn.__module__)

    assert config == module.CONFIG
    if name != "evaluation":  # its file leaves the prefix to -p
        load_settings(settings_class_of(name), ROOT / config)


@pytest.mark.server
@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_a_deployment_is_applied_as_its_file_says(prefect_client, name: str):
    (deployment,) = [found for found in prefect_client.read_deployments() if found.name == name]

    assert deployment.entrypoint == DEPLOYMENTS[name]["entrypoint"]
    assert deployment.parameters == DEPLOYMENTS[name]["parameters"]
    assert deployment.enforce_parameter_schema
    assert flow_of(name).name == prefect_client.read_flow(deployment.flow_id).name


@pytest.mark.server
@pytest.mark.parametrize("name", ENCODER)
def test_its_own_parameters_and_all_defaults_pass_its_schema(prefect_client, name: str):
    """What the form sends when nothing is changed, and when the settings of the file are typed into it."""
    from prefect.utilities.schema_tools import is_valid_schema, validate

    (deployment,) = [found for found in prefect_client.read_deployments() if found.name == name]
    schema = deployment.parameter_openapi_schema

    is_valid_schema(schema)
    validate(dict(deployment.parameters), schema, raise_on_error=True)
    settings = yaml.safe_load((ROOT / deployment.parameters["config"]).read_text())
    if name == "evaluation":
        settings = {"prefix": "x", **settings}
    typed = settings_class_of(name).model_validate(settings).model_dump(mode="json")
    validate({"settings": typed}, schema, raise_on_error=True)


@pytest.mark.server
@pytest.mark.parametrize("name", ENCODER)
def test_every_field_of_the_form_has_a_title_and_a_sentence(prefect_client, name: str):
    (deployment,) = [found for found in prefect_client.read_deployments() if found.name == name]
    schema = deployment.parameter_openapi_schema
    groups = schema["definitions"]

    assert all(field["description"].endswith(".") for field in schema["properties"].values())
    for group_name, group in groups.items():
        for field_name, field in group["properties"].items():
            inner = groups[field["$ref"].rpartition("/")[2]] if "$ref" in field else {}
            place = f"{group_name}.{field_name}"
            assert field["title"] == title_of(field_name), place
            assert {"description": inner.get("description"), **field}["description"].rstrip().endswith("."), place


@pytest.mark.server
def test_a_stage_runs_by_its_bare_name_and_without_weights_says_in_one_line_what_can_be_done(
    server, prefect_client, tmp_path: Path
):
    begun = server.command(
        *("prefect", "deployment", "run", "stage3-sweep"),
        *("--job-variable", f"env={json.dumps({'HF_HOME': str(tmp_path), 'HF_HUB_OFFLINE': '1'})}"),
    )
    assert begun.returncode == 0, begun.stderr
    run_id = begun.stdout.partition("UUID: ")[2].split()[0]

    wait_for(lambda: prefect_client.read_flow_run(run_id).state.is_final())
    run = prefect_client.read_flow_run(run_id)

    assert run.state.is_failed(), run.state
    assert "\n" not in run.state.message
    assert "Salesforce/codet5p-220m" in run.state.message
    assert "allow_network: true" in run.state.message
    assert "-p config=…_small.yaml" in run.state.message
    assert not prefect_client.read_task_runs(flow_run_filter=_only(run.id))
    wait_for(lambda: any(LAST_LINE in log.message for log in prefect_client.read_logs(_logs_of(run.id))))
    assert all("Traceback" not in log.message for log in prefect_client.read_logs(_logs_of(run.id)))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


def _only(run_id: Any) -> Any:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    return FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))


def _logs_of(run_id: Any) -> Any:
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

    return LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]))
