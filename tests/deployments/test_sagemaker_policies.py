"""The policies: least rights by their form, every right that the code needs, and none that it does not."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments.sagemaker.policies import POLICIES, Scope, execution_policy, launcher_policy, main, trust_policy
from tasks.aws.cloud_checks import _trusts_sagemaker

ROOT = Path(__file__).resolve().parents[2]
SCOPE = Scope(bucket="a-bucket", prefix="codewarden", account="123456789012", region="eu-west-1", role="jobs")
IN_VPC = Scope(**{**vars(SCOPE), "subnets": ("subnet-0a",), "security_groups": ("sg-0b",)})
SERVICES = ("sagemaker", "s3", "logs", "iam", "ecr", "pricing", "cloudwatch", "sts")
CALLERS = ("tasks/aws/*.py", "tasks/*.py", "models/store/*.py", "deployments/sagemaker/*.py")
RIGHTS = {
    "s3:ListObjectsV2": {"s3:ListBucket"},
    "s3:HeadObject": {"s3:GetObject"},
    "s3:CopyObject": {"s3:GetObject", "s3:PutObject"},
    "sts:GetCallerIdentity": set(),
}
"""Where a right is not called as its operation; the last needs none."""
TRANSFERS = {
    "copy": {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"},
    "upload_fileobj": {"s3:PutObject", "s3:AbortMultipartUpload"},
    "upload_file": {"s3:PutObject", "s3:AbortMultipartUpload"},
    "download_fileobj": {"s3:GetObject"},
    "download_file": {"s3:GetObject"},
}
"""What boto3 makes of several operations."""
IMPLIED = {"iam:PassRole", "sagemaker:AddTags"}
"""Asked for by create_training_job, with a role and tags."""
WITHOUT_RESOURCES = {
    "pricing:GetProducts", "cloudwatch:PutMetricData", "ecr:GetAuthorizationToken",
    "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
}  # fmt: skip
"""AWS' service authorization reference knows no resource for them."""


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a profile."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def actions_of(policy: dict[str, Any]) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def operations() -> dict[str, str]:
    """Right by the name of a client's method, of the services that are used here."""
    import boto3

    session = boto3.Session("testing", "testing", region_name="eu-west-1")
    return {
        method: f"{service}:{operation}"
        for service in SERVICES
        for method, operation in session.client(service).meta.method_to_api_mapping.items()
    }


def called_methods() -> Iterator[str]:
    """Names of methods called on what is called a client or after a service, and operations whose pages are read."""
    names = {"client", "_client", "_one_try", *SERVICES}
    for path in (path for pattern in CALLERS for path in ROOT.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            on = node.func.value.func if isinstance(node.func.value, ast.Call) else node.func.value
            if getattr(on, "attr", getattr(on, "id", "")) not in names:
                continue
            is_paged = node.func.attr in ("get_paginator", "get_waiter")
            yield node.args[0].value if is_paged else node.func.attr  # type: ignore[attr-defined, misc]


def test_the_launcher_has_every_right_that_the_code_needs_and_no_other() -> None:
    known = operations()
    needed: set[str] = set()
    for method in called_methods():
        needed |= TRANSFERS.get(method, set())
        if method in known:
            needed |= RIGHTS.get(known[method], {known[method]})

    assert {"sagemaker:CreateTrainingJob", "s3:PutObject", "logs:GetLogEvents", "pricing:GetProducts"} <= needed
    assert needed | IMPLIED == actions_of(launcher_policy(SCOPE))


@pytest.mark.parametrize("policy", [launcher_policy(SCOPE), execution_policy(SCOPE), execution_policy(IN_VPC)])
def test_no_action_is_a_star_and_every_resource_is_ours(policy: dict[str, Any]) -> None:
    sids = [statement["Sid"] for statement in policy["Statement"]]
    assert len(sids) == len(set(sids))
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in statement["Action"])
        if set(statement["Action"]) <= WITHOUT_RESOURCES:
            assert statement["Resource"] == ["*"]
            continue
        for resource in statement["Resource"]:
            assert resource.startswith("arn:aws:")
            assert "123456789012" in resource or resource.startswith("arn:aws:s3:::a-bucket")


def test_only_jobs_of_these_names_in_this_account_and_only_the_one_role() -> None:
    by_sid = {statement["Sid"]: statement for statement in launcher_policy(SCOPE)["Statement"]}

    begin = "arn:aws:sagemaker:eu-west-1:123456789012:training-job"
    assert by_sid["Jobs"]["Resource"] == [f"{begin}/train-*", f"{begin}/predict-*"]
    assert by_sid["PassTheOneRole"]["Resource"] == ["arn:aws:iam::123456789012:role/jobs"]
    assert by_sid["PassTheOneRole"]["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert by_sid["Store"]["Resource"] == ["arn:aws:s3:::a-bucket/codewarden/*"]
    assert by_sid["ListTheStore"]["Condition"] == {"StringLike": {"s3:prefix": ["codewarden", "codewarden/*"]}}


def test_jobs_write_metrics_of_training_alone_and_touch_a_network_only_in_a_vpc() -> None:
    metrics = [s for s in execution_policy(SCOPE)["Statement"] if "cloudwatch:PutMetricData" in s["Action"]]
    assert metrics[0]["Condition"] == {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/TrainingJobs"}}
    assert not any(action.startswith("ec2:") for action in actions_of(execution_policy(SCOPE)))
    made = [s for s in execution_policy(IN_VPC)["Statement"] if "ec2:CreateNetworkInterface" in s["Action"]]
    assert "arn:aws:ec2:eu-west-1:123456789012:subnet/subnet-0a" in made[0]["Resource"]


def test_only_sagemaker_on_behalf_of_this_account_takes_the_role_on() -> None:
    policy = trust_policy(SCOPE)

    assert _trusts_sagemaker(policy)
    assert policy["Statement"][0]["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_other_partitions_have_other_arns(region: str, partition: str) -> None:
    assert Scope(**{**vars(SCOPE), "region": region}).role_arn.startswith(f"arn:{partition}:iam::")


def test_iam_takes_them() -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        session = boto3.Session("testing", "testing", region_name="eu-west-1")
        iam = session.client("iam", endpoint_url=f"http://{host}:{port}")
        for name, policy in {"l": launcher_policy(SCOPE), "e": execution_policy(IN_VPC)}.items():
            iam.create_policy(PolicyName=f"policy-{name}", PolicyDocument=json.dumps(policy))
            assert len(json.dumps(policy).replace(" ", "")) < 6144  # what IAM allows a managed policy
        iam.create_role(RoleName="of-policies", AssumeRolePolicyDocument=json.dumps(trust_policy(SCOPE)))
    finally:
        server.stop()


@pytest.mark.parametrize("policy", POLICIES)
def test_the_program_prints_one(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--bucket", "a-bucket", "--account", "123456789012", "--region", "eu-west-1", "--role", "jobs"]
    assert main([policy, *given]) == 0
    assert json.loads(capsys.readouterr().out) == POLICIES[policy](SCOPE)


def test_trust_names_no_bucket_and_the_others_must(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--account", "123456789012", "--region", "eu-west-1"]
    assert main(["trust", *given]) == 0
    with pytest.raises(SystemExit):
        main(["execution", *given])
    assert "say its --bucket" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [("--bucket", "a-*"), ("--account", "*"), ("--role", "*"), ("--prefix", "a*"), ("--region", "*")]
)
def test_a_star_that_would_widen_the_rights_is_refused(
    wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--bucket": "a-bucket", "--account": "123456789012", "--region": "eu-west-1"} | dict([wrong])
    with pytest.raises(SystemExit):
        main(["launcher", *(word for pair in given.items() for word in pair)])
    assert "is not of the form" in capsys.readouterr().err
