"""``prefect deployment run NAME`` with one name, through the real command and a real server."""

from __future__ import annotations

import pytest

from deployments.bare_names import DeploymentNameError, choose


def test_the_only_deployment_of_a_name_is_meant():
    assert choose("weekly", ["train/weekly"], []) == "train/weekly"


@pytest.mark.parametrize(
    ("matches", "existing", "message"),
    [
        (["a/weekly", "b/weekly"], [], "say one of: a/weekly, b/weekly"),
        ([], ["a/daily"], "no deployment is named 'weekly'; there are: a/daily"),
        ([], [], "there are none yet"),
        ([], [f"f/{n}" for n in range(25)], "and 5 more"),
    ],
)
def test_what_is_unclear_is_said_with_the_candidates(matches, existing, message):
    with pytest.raises(DeploymentNameError, match=message):
        choose("weekly", matches, existing)


@pytest.fixture(scope="module")
def named_deployments(server) -> None:
    """Two deployments of one flow, and one of another flow that shares a name; no worker takes their runs."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: server.api_url}), get_client(sync_client=True) as client:
        for flow, deployment in (("ranking", "nightly"), ("ranking", "shared"), ("mining", "shared")):
            flow_id = client.create_flow_from_name(flow)
            client.create_deployment(flow_id=flow_id, name=deployment)


@pytest.mark.server
@pytest.mark.parametrize("name", ["nightly", "ranking/nightly", "mining/shared"])
def test_a_clear_name_runs_in_the_short_and_in_the_stock_form(server, named_deployments, name):
    done = server.command("prefect", "deployment", "run", name)

    assert done.returncode == 0, done.stderr
    assert "Created flow run" in done.stdout


@pytest.mark.server
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("shared", "'shared' is the name of several deployments; say one of: mining/shared, ranking/shared"),
        ("nightli", "no deployment is named 'nightli'; there are: "),
    ],
)
def test_an_unclear_name_is_one_readable_line_and_exit_1(server, named_deployments, name, line):
    done = server.command("prefect", "deployment", "run", name)

    assert done.returncode == 1
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert "Created flow run" not in done.stdout
