r"""Least rights, as IAM policies: of who launches jobs, and of the jobs themselves.

    python -m deployments.sagemaker.policies launcher --bucket B --prefix codewarden --account 123456789012 \
        --region eu-west-1 --role codewarden-jobs > launcher.json

Prints one document: ``launcher`` (a person, or the worker of the flows), ``execution`` (the role of the jobs), or
``trust`` (who may take that role on). Every action names its resources; ``*`` stands only where AWS knows none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from deployments.sagemaker.argument_forms import ACCOUNT, REGION, matching
from tasks.aws.image import REPOSITORY
from tasks.aws.log_stream import LOG_GROUP
from tasks.aws.settings import SageMakerSettings

VERSION: Final = "2012-10-17"
SERVICE: Final = "sagemaker.amazonaws.com"
NAMESPACE: Final = "/aws/sagemaker/TrainingJobs"
JOB_KINDS: Final = get_args(get_args(SageMakerSettings.model_fields["kinds"].annotation)[0])
"""A training job's name begins with one of them."""
OBJECT_ACTIONS: Final = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
NETWORK_ACTIONS: Final = (
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)

Policy = dict[str, Any]
Statement = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """What the rights reach.

    Args:
        bucket: Of the store.
        prefix: Of the store in the bucket, without slashes at its ends; empty: the whole bucket.
        account: AWS account, 12 digits.
        region: Of jobs, bucket and image.
        role: Name of the execution role.
        subnets: Of the jobs, where they run in a VPC.
        security_groups: Of the jobs, where they run in a VPC.
    """

    bucket: str
    prefix: str
    account: str
    region: str
    role: str
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()

    @property
    def partition(self) -> str:
        """Of the ARNs: AWS' own, that of China, or that of GovCloud."""
        names = {"cn": "aws-cn", "us-gov": "aws-us-gov"}
        return next((name for begin, name in names.items() if self.region.startswith(f"{begin}-")), "aws")

    def arn(self, service: str, resource: str) -> str:
        """Of something of this account in this region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    @property
    def role_arn(self) -> str:
        """Of the execution role."""
        return f"arn:{self.partition}:iam::{self.account}:role/{self.role}"

    @property
    def bucket_arn(self) -> str:
        """Of the bucket itself."""
        return f"arn:{self.partition}:s3:::{self.bucket}"

    @property
    def objects_arn(self) -> str:
        """Of everything under the prefix."""
        return f"{self.bucket_arn}/{self.prefix}/*" if self.prefix else f"{self.bucket_arn}/*"


def launcher_policy(scope: Scope) -> Policy:
    """Rights of who launches: jobs by their names, the one role, the store, logs, prices, the image, the dashboard."""
    jobs = [scope.arn("sagemaker", f"training-job/{kind}-*") for kind in JOB_KINDS]
    actions = [f"sagemaker:{name}TrainingJob" for name in ("Create", "Describe", "Stop")]
    pass_role = _allow("PassTheOneRole", ["iam:PassRole"], [scope.role_arn])
    pass_role["Condition"] = {"StringEquals": {"iam:PassedToService": SERVICE}}
    logs = ["logs:DescribeLogStreams", "logs:GetLogEvents"]
    dashboard = f"arn:{scope.partition}:cloudwatch::{scope.account}:dashboard/{REPOSITORY}*"
    return _policy(
        _allow("Jobs", [*actions, "sagemaker:AddTags", "sagemaker:ListTags"], jobs),
        pass_role,
        _allow("LookAtTheRole", ["iam:GetRole"], [scope.role_arn]),
        *_store(scope),
        _allow("ReadLogs", logs, [scope.arn("logs", f"log-group:{LOG_GROUP}:*")]),
        _allow("LookAtTheImage", ["ecr:DescribeImages"], [scope.arn("ecr", f"repository/{REPOSITORY}")]),
        _allow("Dashboard", ["cloudwatch:PutDashboard"], [dashboard]),
        _allow("Prices", ["pricing:GetProducts"], ["*"]),
    )


def execution_policy(scope: Scope) -> Policy:
    """Rights of the jobs: the store, their logs and metrics, the image, and interfaces where they have a VPC."""
    logs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    image = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    metrics = _allow("WriteMetrics", ["cloudwatch:PutMetricData"], ["*"])
    metrics["Condition"] = {"StringEquals": {"cloudwatch:namespace": NAMESPACE}}
    log_group = scope.arn("logs", f"log-group:{LOG_GROUP}")
    return _policy(
        *_store(scope),
        _allow("WriteLogs", logs, [log_group, f"{log_group}:*"]),
        metrics,
        _allow("PullTheImage", image, [scope.arn("ecr", f"repository/{REPOSITORY}")]),
        _allow("LogInToTheRegistry", ["ecr:GetAuthorizationToken"], ["*"]),
        *(_network(scope) if scope.subnets else ()),
    )


def trust_policy(scope: Scope) -> Policy:
    """Who may take the execution role on: SageMaker, on behalf of this account and region."""
    statement = {
        "Sid": "TrainingJobs",
        "Effect": "Allow",
        "Principal": {"Service": SERVICE},
        "Action": "sts:AssumeRole",
    }
    source = {"aws:SourceArn": scope.arn("sagemaker", "*")}  # as AWS documents it against a confused deputy
    condition = {"StringEquals": {"aws:SourceAccount": scope.account}, "ArnLike": source}
    return _policy(statement | {"Condition": condition})


POLICIES: Final[dict[str, Callable[[Scope], Policy]]] = {
    "launcher": launcher_policy,
    "execution": execution_policy,
    "trust": trust_policy,
}


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.sagemaker.policies", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("policy", choices=POLICIES)
    parser.add_argument(
        "--bucket", type=matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"), help="of the store; not needed for trust"
    )
    parser.add_argument("--prefix", default=REPOSITORY, type=matching(r"[\w/=.-]*"), help="of the store in the bucket")
    parser.add_argument("--account", required=True, type=matching(ACCOUNT), help="12 digits")
    parser.add_argument("--region", required=True, type=matching(REGION))
    parser.add_argument("--role", default="codewarden-jobs", type=matching(r"[\w+=,.@/-]+"), help="the execution role")
    parser.add_argument("--subnets", nargs="*", default=(), type=matching(r"subnet-[0-9a-f]+"), help="of a VPC")
    parser.add_argument("--security-groups", nargs="*", default=(), type=matching(r"sg-[0-9a-f]+"), help="of a VPC")
    given = parser.parse_args(argv)
    if bool(given.subnets) != bool(given.security_groups):
        parser.error("--subnets and --security-groups are given together, or neither")
    if given.bucket is None and given.policy != "trust":
        parser.error(f"{given.policy} gives rights to a store; say its --bucket")
    scope = Scope(
        bucket=given.bucket or "",  # trust names none
        prefix=given.prefix,
        account=given.account,
        region=given.region,
        role=given.role,
        subnets=tuple(given.subnets),
        security_groups=tuple(given.security_groups),
    )
    sys.stdout.write(f"{json.dumps(POLICIES[given.policy](scope), indent=2)}\n")
    return 0


def _store(scope: Scope) -> list[Statement]:
    """The objects under the prefix, their names, and where the bucket is."""
    listing = _allow("ListTheStore", ["s3:ListBucket"], [scope.bucket_arn])
    if scope.prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": [scope.prefix, f"{scope.prefix}/*"]}}
    return [
        _allow("Store", list(OBJECT_ACTIONS), [scope.objects_arn]),
        listing,
        _allow("WhereTheBucketIs", ["s3:GetBucketLocation"], [scope.bucket_arn]),
    ]


def _network(scope: Scope) -> list[Statement]:
    """Network interfaces in the job's subnets; EC2 knows no resources for looking."""
    places = [scope.arn("ec2", f"subnet/{name}") for name in scope.subnets]
    places += [scope.arn("ec2", f"security-group/{name}") for name in scope.security_groups]
    interfaces = scope.arn("ec2", "network-interface/*")
    actions = ["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:CreateNetworkInterfacePermission"]
    return [
        _allow("Interfaces", [*actions, "ec2:DeleteNetworkInterfacePermission"], [*places, interfaces]),
        _allow("LookAtTheNetwork", list(NETWORK_ACTIONS), ["*"]),
    ]


def _policy(*statements: Statement) -> Policy:
    return {"Version": VERSION, "Statement": list(statements)}


def _allow(sid: str, actions: list[str], resources: list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


if __name__ == "__main__":
    sys.exit(main())
