r"""A CloudWatch dashboard of the training jobs, made by code.

    python -m deployments.sagemaker.dashboard --name codewarden --jobs train --region eu-west-1 [--apply]

Prints the dashboard's body; ``--apply`` puts it, under one name again and again. A dashboard costs money each month
(the first three of an account do not). Graphs find their jobs by search, so a job launched later is in them too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, Final

from deployments.sagemaker.argument_forms import DASHBOARD, REGION, matching
from deployments.sagemaker.dashboard_rules import problems_of
from deployments.sagemaker.policies import NAMESPACE
from models.errors import CodewardenError, SettingsInvalid
from tasks.aws.image import REPOSITORY
from tasks.aws.log_stream import LOG_GROUP
from tasks.aws.refusals import aws_errors
from tasks.aws.request import METRICS

HOST_METRICS: Final = ("GPUUtilization", "GPUMemoryUtilization", "CPUUtilization", "MemoryUtilization")
"""Of each machine of a job, told by SageMaker itself [%; each GPU and each CPU counts 100]."""
PERIOD_SECONDS: Final = 60
COLUMNS: Final = 24
WIDTH: Final = 12
HEIGHT: Final = 6

Widget = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.sagemaker.dashboard", description=(__doc__ or "").splitlines()[0]
    )
    name = "of the dashboard, codewarden… (default: %(default)s)"
    parser.add_argument("--name", default=REPOSITORY, type=matching(DASHBOARD), help=name)
    parser.add_argument(
        "--jobs", default="train", help="how names of its jobs begin, in whole parts (default: %(default)s)"
    )
    parser.add_argument("--region", required=True, type=matching(REGION), help="of the jobs")
    parser.add_argument("--apply", action="store_true", help="put it into CloudWatch; needs credentials")
    given = parser.parse_args(argv)
    try:
        body = dashboard_body(given.jobs, given.region)
        if given.apply:
            put_dashboard(given.name, body, given.region)
    except CodewardenError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{json.dumps(body, indent=2)}\n")
    return 0


def dashboard_body(jobs: str, region: str) -> dict[str, Any]:
    """The dashboard: what jobs learn, how busy their machines are, how many there were.

    Args:
        jobs: How names of its jobs begin, in whole parts: ``train``, or ``train-0123456789ab`` (kind and run key).
        region: Of the jobs.

    Raises:
        SettingsInvalid: ``jobs`` cannot begin a job's name, or CloudWatch would not take the body. Not retried.
    """
    if not jobs.replace("-", "").isalnum() or not jobs.isascii() or jobs.startswith("-"):
        raise SettingsInvalid(f"--jobs {jobs!r}: expected the beginning of a job's name, letters, digits and hyphens")
    widgets = [_graph(name, "TrainingJobName", jobs, region) for name in METRICS]
    widgets += [_graph(name, "Host", jobs, region) for name in HOST_METRICS]
    widgets += [_running(jobs, region), _per_day(jobs, region)]
    for index, widget in enumerate(widgets):
        per_row = COLUMNS // WIDTH
        place = {"x": index % per_row * WIDTH, "y": index // per_row * HEIGHT, "width": WIDTH, "height": HEIGHT}
        widget.update(place)
    body = {"widgets": widgets}
    problems = problems_of(body)
    if problems:
        raise SettingsInvalid(f"CloudWatch would not take this dashboard: {'; '.join(problems)}")
    return body


def put_dashboard(name: str, body: dict[str, Any], region: str) -> None:
    """Make the dashboard, or make it anew.

    Raises:
        CloudRefused: no rights, or CloudWatch does not take it. Not retried.
        StoreUnavailable: AWS does not answer. Retried.
    """
    import boto3

    with aws_errors(f"dashboard {name}"):
        client = boto3.client("cloudwatch", region_name=region)
        answer = client.put_dashboard(DashboardName=name, DashboardBody=json.dumps(body))
    told = [message.get("Message", "") for message in answer.get("DashboardValidationMessages", [])]
    sys.stderr.write("".join(f"CloudWatch says: {message}\n" for message in told))


def _graph(metric: str, dimension: str, jobs: str, region: str) -> Widget:
    search = _search(metric, dimension, jobs)
    return _metrics(metric, region, [[{"expression": search, "id": "found", "label": ""}]], view="timeSeries")


def _running(jobs: str, region: str) -> Widget:
    """Every machine tells its CPU each minute, so who tells is running."""
    search = _search("CPUUtilization", "Host", jobs)
    metrics = [
        [{"expression": search, "id": "found", "visible": False}],
        [{"expression": "SUM(found * 0 + 1)", "id": "running", "label": "machines running"}],
    ]
    return _metrics("machines running", region, metrics, view="timeSeries")


def _per_day(jobs: str, region: str) -> Widget:
    """Each job has a log stream of its own on each machine, ``<job>/algo-1-<epoch>``; a reclaimed one gets another."""
    query = (
        f"SOURCE '{LOG_GROUP}' | filter @logStream like /^{jobs}/ "
        "| parse @logStream /^(?<job>[^\\/]+)\\/algo-1/ "
        "| stats count_distinct(job) as jobs, count_distinct(@logStream) as starts by bin(1d)"
    )
    properties = {"title": "jobs and starts per day", "region": region, "query": query, "view": "table"}
    return {"type": "log", "properties": properties}


def _search(metric: str, dimension: str, jobs: str) -> str:
    """All metrics of this name whose job has these parts in its name; a word without quotes finds whole parts."""
    parts = " AND ".join(f"{dimension}={part}" for part in jobs.split("-") if part)
    found = f'{{"{NAMESPACE}",{dimension}}} MetricName="{metric}" AND {parts}'
    return f"SEARCH('{found}', 'Average')"


def _metrics(title: str, region: str, metrics: list[Any], *, view: str) -> Widget:
    properties = {"title": title, "region": region, "metrics": metrics, "view": view, "period": PERIOD_SECONDS}
    return {"type": "metric", "properties": properties | {"stat": "Average"}}


if __name__ == "__main__":
    sys.exit(main())
