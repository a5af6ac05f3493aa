"""The dashboard: what it shows, and that CloudWatch's rules (which no test server holds) are kept."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deployments.sagemaker.dashboard import HOST_METRICS, dashboard_body, main
from deployments.sagemaker.dashboard_rules import problems_of
from models.errors import SettingsInvalid
from tasks.aws.request import METRICS

REGION = "eu-west-1"


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    yield boto3.client("cloudwatch", region_name=REGION)
    server.stop()


def test_it_shows_what_jobs_learn_how_busy_machines_are_and_how_many_there_were() -> None:
    body = dashboard_body("train-0123456789ab", REGION)
    text = json.dumps(body)

    titles = [widget["properties"]["title"] for widget in body["widgets"]]
    assert titles == [*METRICS, *HOST_METRICS, "machines running", "jobs and starts per day"]
    assert {"train_loss", "val_loss", "val_accuracy", "val_f1_vulnerable", "GPUUtilization", "CPUUtilization"} <= set(
        titles
    )
    assert text.count("TrainingJobName=train AND TrainingJobName=0123456789ab") == len(METRICS)
    assert text.count("like /^train-0123456789ab/") == 1
    assert problems_of(body) == []


@pytest.mark.parametrize("jobs", ["", "-x", "a b", "x'", "x/", "ü"])
def test_a_beginning_that_no_job_has_is_refused(jobs: str) -> None:
    with pytest.raises(SettingsInvalid, match="beginning of a job's name"):
        dashboard_body(jobs, REGION)


@pytest.mark.parametrize("wrong", [["--name", "mine"], ["--name", "codewarden x"], ["--region", "moon"]])
def test_a_name_or_region_that_could_not_be_put_is_refused(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--region", REGION, *wrong])
    assert "is not of the form" in capsys.readouterr().err


def test_the_program_prints_it_and_puts_it_when_told_to(cloudwatch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--name", "codewarden-x", "--jobs", "train", "--region", REGION]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert cloudwatch.list_dashboards()["DashboardEntries"] == []

    for _ in range(2):  # again is harmless
        assert main(["--name", "codewarden-x", "--jobs", "train", "--region", REGION, "--apply"]) == 0

    assert json.loads(cloudwatch.get_dashboard(DashboardName="codewarden-x")["DashboardBody"]) == printed
    assert len(cloudwatch.list_dashboards()["DashboardEntries"]) == 1


def changed(change: Callable[[list[dict[str, Any]]], Any]) -> dict[str, Any]:
    body = copy.deepcopy(dashboard_body("train", REGION))
    change(body["widgets"])
    return body


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda w: w[0].update(width=25), "width 25"),
        (lambda w: w[1].update(x=13), "ends beyond column 24"),
        (lambda w: w[0].update(x=-1), "x -1"),
        (lambda w: w[0].update(height=0), "height 0"),
        (lambda w: w[1].update(x=6), "widgets 0 and 1 overlap"),
        (lambda w: w[0].update(type="graph"), "type 'graph'"),
        (lambda w: w[0]["properties"].update(period=90), "period 90"),
        (lambda w: w[0]["properties"].update(view="line"), "view 'line'"),
        (lambda w: w[0]["properties"].pop("region"), "no region"),
        (lambda w: w[0]["properties"].update(metrics=[]), "metrics must be a list"),
        (lambda w: w[0]["properties"].update(metrics=["AWS/EC2"]), "must be a list"),
        (lambda w: w[0]["properties"].update(metrics=[["AWS/EC2"]]), "expected namespace, metric"),
        (lambda w: w[0]["properties"].update(metrics=[["N", "M", "D"]]), "expected namespace, metric"),
        (lambda w: w[0]["properties"].update(metrics=[["N", "M", 3, "v"]]), "names must be text"),
        (lambda w: w[0]["properties"].update(metrics=[["N", "M", {"colour": "red"}]]), "unknown colour"),
        (lambda w: w[0]["properties"].update(metrics=[["N", {"expression": "a"}]]), "stands alone"),
        (lambda w: w[0]["properties"].update(metrics=[["N", "M", {"id": "A"}]]), "id 'A'"),
        (lambda w: w[0]["properties"].update(metrics=[["N", "M", {"id": "a"}], ["N", "O", {"id": "a"}]]), "one id"),
        (lambda w: w[-1]["properties"].update(query="fields x"), "begins with SOURCE"),
        (lambda w: w.extend([dict(w[0])] * 500), "500 at most"),
    ],
)
def test_what_cloudwatch_refuses_is_found(change: Callable[[list[dict[str, Any]]], Any], problem: str) -> None:
    assert any(problem in found for found in problems_of(changed(change)))
