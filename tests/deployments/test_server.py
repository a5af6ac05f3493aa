"""One command makes the server, its pool, automation, deployments and worker; again, it changes nothing."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from deployments.server import CLIENT_MARK, Place, _write_client_file, place_of

ROOT = Path(__file__).resolve().parents[2]


def test_a_home_of_its_own_leaves_the_checkout_alone(tmp_path):
    assert place_of({"PREFECT_HOME": str(tmp_path)}, 1).client_path is None
    assert place_of({}, 1).client_path == ROOT / "prefect.toml"


def test_a_client_file_of_the_user_is_never_overwritten(tmp_path):
    place = Place(tmp_path, 4711, tmp_path / "prefect.toml")

    _write_client_file(place)
    ours = (tmp_path / "prefect.toml").read_text()
    (tmp_path / "prefect.toml").write_text("[api]\n")
    _write_client_file(place)

    assert ours.startswith(CLIENT_MARK)
    assert 'url = "http://127.0.0.1:4711/api"' in ours
    assert (tmp_path / "prefect.toml").read_text() == "[api]\n"


@pytest.mark.server
def test_bringing_it_up_again_changes_nothing(server, prefect_client):
    before = state_of(server, prefect_client)

    again = server.command("deployments.server", "up", "--port", str(server.port))

    assert again.returncode == 0, again.stderr
    assert state_of(server, prefect_client) == before
    assert server.command("deployments.server", "status", "--port", str(server.port)).returncode == 0


@pytest.mark.server
def test_a_schedule_really_makes_a_run(prefect_client):
    """SQLAlchemy 2.1 stops Prefect's scheduler without a word: nothing but this shows it."""
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
    from prefect.client.schemas.schedules import CronSchedule

    flow_id = prefect_client.create_flow_from_name("clockwork")
    schedule = DeploymentScheduleCreate(schedule=CronSchedule(cron="0 3 * * 1", timezone="Europe/Berlin"), active=True)
    deployment_id = prefect_client.create_deployment(flow_id=flow_id, name="weekly", schedules=[schedule])

    of_deployment = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
    deadline = time.monotonic() + 90
    while not (runs := prefect_client.read_flow_runs(deployment_filter=of_deployment)):
        assert time.monotonic() < deadline, "the scheduler makes no runs"
        time.sleep(0.5)
    assert {run.state.name for run in runs} == {"Scheduled"}
    times = sorted(run.expected_start_time for run in runs)
    assert times[1] - times[0] <= timedelta(days=7, hours=1)


@pytest.mark.server
def test_phase1_is_deployed_as_its_configuration_file_says(prefect_client):
    deployment = prefect_client.read_deployment_by_name("phase1/phase1")
    configured = yaml.safe_load((ROOT / "configs/phase1/demo.yaml").read_text())

    assert deployment.entrypoint == "flows.phase1.phase1"
    assert deployment.parameters == {"settings": configured}
    assert deployment.enforce_parameter_schema
    assert deployment.work_pool_name == "local-process"
    (step,) = deployment.pull_steps
    assert step == {"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}


@pytest.mark.server
def test_a_wrong_parameter_is_refused_when_it_is_submitted(server):
    parameter = 'settings={"preprocess": {"data": "x"}, "gnn": {"learning_rate": -1}}'

    done = server.command("prefect", "deployment", "run", "phase1", "-p", parameter)

    assert done.returncode == 1
    assert "learning_rate" in done.stdout + done.stderr


def state_of(server, client) -> dict[str, object]:
    from prefect.automations import Automation

    return {
        "pool": client.read_work_pool("local-process").id,
        "automation": Automation.read(name="crash-zombie-flow-runs").id,
        "deployment": client.read_deployment_by_name("phase1/phase1").id,
        "processes": [(server.home_path / f"{name}.lock").read_text() for name in ("server", "worker")],
    }
