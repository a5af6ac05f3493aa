"""What a preflight finds, asked of a real server of IAM, STS, S3 and ECR that also holds rights."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployments.sagemaker.policies import Scope, launcher_policy, trust_policy
from models.errors import CloudRefused, SettingsInvalid
from models.settings.predict import PredictSettings
from models.settings.train import CheckpointSettings, ComputeSettings, TrainSettings
from models.settings.transformer import TransformerSettings
from tasks.aws.cloud_checks import _trusts_sagemaker
from tasks.aws.findings import Findings, Level
from tasks.aws.image import REPOSITORY, image_tag
from tasks.aws.preflight import preflight
from tasks.aws.session import AwsSession
from tasks.aws.settings import SageMakerSettings
from tasks.aws.settings_checks import LOST_WITH_ISOLATION

ACCOUNT = "123456789012"
REGION = "eu-west-1"
TRAIN = TrainSettings(train_data=Path("train.jsonl"), val_data=Path("valid.jsonl"))
MANIFEST = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
"""ECR asks for no more."""


@dataclass
class Cloud:
    """A server where everything is in order, under names of its own."""

    url: str
    name: str

    def session(self, *, actions: list[str] | None = None, region: str = REGION) -> AwsSession:
        """As root, or as a user with these rights alone."""
        import boto3

        if actions is None:
            return AwsSession(boto3.Session("testing", "testing", region_name=region), region, self.url)
        iam, user = self.session().client("iam"), f"user-{uuid.uuid4().hex}"
        iam.create_user(UserName=user)
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=user, PolicyName="rights", PolicyDocument=document)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        return AwsSession(
            boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=region), region, self.url
        )

    def settings(self, **changes: Any) -> SageMakerSettings:
        role = f"arn:aws:iam::{ACCOUNT}:role/{self.name}"
        values = {"store": f"s3://{self.name}/store", "role": role, "region": REGION, "budget": {"total_usd": 50}}
        return SageMakerSettings(**values | changes)

    @contextmanager
    def rights_held(self) -> Iterator[None]:
        """Inside, the server asks who may do what."""
        self._answer_without_rights("0")
        try:
            yield
        finally:
            self._answer_without_rights("inf")

    def _answer_without_rights(self, num_calls: str) -> None:
        plain = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", data=num_calls.encode(), headers=plain)
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()


@pytest.fixture(scope="module", autouse=True)
def nobody() -> Iterator[None]:
    """Whoever runs the tests may have a profile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        yield


@pytest.fixture(scope="module")
def cloud(nobody: None) -> Iterator[Cloud]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    made = Cloud(f"http://{host}:{port}", f"codewarden-{uuid.uuid4().hex}")
    root = made.session()
    scope = Scope(bucket=made.name, prefix="store", account=ACCOUNT, region=REGION, role=made.name)
    root.client("iam").create_role(RoleName=made.name, AssumeRolePolicyDocument=json.dumps(trust_policy(scope)))
    root.client("s3").create_bucket(Bucket=made.name, CreateBucketConfiguration={"LocationConstraint": REGION})
    ecr = root.client("ecr")
    ecr.create_repository(repositoryName=REPOSITORY)
    ecr.put_image(repositoryName=REPOSITORY, imageManifest=json.dumps(MANIFEST), imageTag=image_tag())
    yield made
    ecr.delete_repository(repositoryName=REPOSITORY, force=True)
    server.stop()


def level_of(findings: Findings, begin: str) -> Level:
    (level,) = {finding.level for finding in findings if finding.check.startswith(begin)}
    return level


def test_in_good_order_nothing_is_refused_and_nothing_is_left_behind(cloud: Cloud) -> None:
    session = cloud.session()
    findings = preflight(cloud.settings(), [TRAIN], session)

    findings.raise_refusals()
    assert not findings.of(Level.WARNING)
    asked = {finding.check.partition(" ")[0] for finding in findings.of(Level.OK)}
    assert asked >= {"credentials", "role", "bucket", "image", "checkpoints", "ranks"}
    assert session.client("s3").list_objects_v2(Bucket=cloud.name)["KeyCount"] == 0


def test_the_launchers_policy_has_every_right_that_a_preflight_needs(cloud: Cloud) -> None:
    """Its actions; the server knows neither its resources nor its conditions."""
    scope = Scope(bucket=cloud.name, prefix="store", account=ACCOUNT, region=REGION, role=cloud.name)
    actions = [action for statement in launcher_policy(scope)["Statement"] for action in statement["Action"]]
    session = cloud.session(actions=actions)
    with cloud.rights_held():
        findings = preflight(cloud.settings(), [TRAIN], session)

    assert not findings.of(Level.WARNING) + findings.of(Level.REFUSED)


def test_who_may_not_ask_is_told_so_and_only_the_bucket_refuses(cloud: Cloud) -> None:
    session = cloud.session(actions=["s3:GetBucketLocation", "s3:ListBucket", "s3:PutObject", "s3:GetObject"])
    with cloud.rights_held():
        findings = preflight(cloud.settings(), [TRAIN], session)

    assert level_of(findings, "role") == Level.WARNING
    assert level_of(findings, f"image {ACCOUNT}") == Level.WARNING
    assert level_of(findings, "bucket") == Level.REFUSED  # it may not delete
    with pytest.raises(CloudRefused, match=cloud.name) as caught:
        findings.raise_refusals()
    assert caught.value.code == "AccessDenied"


def test_everything_that_is_refused_comes_as_one_error(cloud: Cloud) -> None:
    settings = cloud.settings(
        role=f"arn:aws:iam::{ACCOUNT}:role/nobody", store="s3://no-such-bucket-here", num_instances=3
    )
    settings = settings.model_copy(update={"custom_image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/none:1"})

    findings = preflight(settings, [TRAIN], cloud.session())

    with pytest.raises(SettingsInvalid) as caught:
        findings.raise_refusals()
    message = str(caught.value)
    assert "\n" not in message
    assert "4 of" in message
    for part in ("role/nobody: there is none", "no-such-bucket-here", "none:1: is not there", "num_instances 3"):
        assert part in message
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("changes", "check", "level", "told"),
    [
        ({"role": f"arn:aws:iam::{ACCOUNT}:role/untrusted"}, "role", Level.REFUSED, "does not trust sagemaker"),
        ({"role": "arn:aws:iam::999999999999:role/r"}, "role", Level.REFUSED, f"not a role of account {ACCOUNT}"),
        ({"store": "s3://bucket-in-ohio/x"}, "bucket", Level.REFUSED, "is in us-east-2, and the jobs would run in eu"),
        ({"store": None}, "bucket", Level.REFUSED, "sagemaker.store"),
        ({"custom_image": "docker.io/library/python:3.11"}, "image docker", Level.WARNING, "not in this account's ECR"),
        (
            {"custom_image": f"763104351884.dkr.ecr.{REGION}.amazonaws.com/pytorch-training:2.6.0-gpu-py312"},
            "image 7631",
            Level.WARNING,
            "not in this account's ECR",
        ),
        (
            {"custom_image": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{REPOSITORY}:{image_tag()}"},
            f"image {ACCOUNT}",
            Level.REFUSED,
            "is in us-east-1, the jobs run in eu-west-1",
        ),
        (
            {"custom_image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/of-mine:1"},
            f"image {ACCOUNT}",
            Level.REFUSED,
            "is not there; push it, or name another sagemaker.custom_image",
        ),
        (
            {"custom_image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}:py3.0-123456789abc"},
            "image and lock",
            Level.WARNING,
            "its tag does not name this lock",
        ),
        (
            {"custom_image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}:{image_tag('3.0.1')}"},
            "image and lock",
            Level.WARNING,
            "on another Python",
        ),
    ],
)
def test_each_thing_that_is_wrong_there_is_found(
    cloud: Cloud, changes: dict[str, Any], check: str, level: Level, told: str
) -> None:
    root = cloud.session()
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}
    document["Statement"][0]["Principal"] = {"Service": "ec2.amazonaws.com"}
    iam = root.client("iam")
    if "untrusted" not in [role["RoleName"] for role in iam.list_roles()["Roles"]]:
        iam.create_role(RoleName="untrusted", AssumeRolePolicyDocument=json.dumps(document))
        place = {"LocationConstraint": "us-east-2"}
        cloud.session(region="us-east-2").client("s3").create_bucket(
            Bucket="bucket-in-ohio", CreateBucketConfiguration=place
        )

    (found,) = [f for f in preflight(cloud.settings(**changes), [TRAIN], root) if f.check.startswith(check)]

    assert found.level == level
    assert told in found.told
    assert "\n" not in str(found)


TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.mark.parametrize(
    ("statement", "trusts"),
    [
        (TRUST, True),
        (TRUST | {"Principal": {"Service": ["ec2.amazonaws.com", "sagemaker.amazonaws.com"]}}, True),
        (TRUST | {"Action": ["sts:AssumeRole", "sts:TagSession"]}, True),
        (TRUST | {"Effect": "Deny"}, False),
        (TRUST | {"Action": "sts:TagSession"}, False),
        (TRUST | {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}, False),
        (TRUST | {"Principal": "*"}, False),
    ],
)
def test_trust_is_an_allowed_assumption_by_the_service(statement: dict[str, Any], trusts: bool) -> None:
    assert _trusts_sagemaker({"Statement": [statement]}) is trusts
    assert _trusts_sagemaker({"Statement": statement}) is trusts


def test_without_credentials_that_alone_is_said(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))

    findings = preflight(cloud.settings(), [TRAIN], AwsSession(boto3.Session(region_name=REGION), REGION, cloud.url))

    with pytest.raises(CloudRefused, match="credentials"):
        findings.raise_refusals()
    assert not [finding for finding in findings if finding.check.startswith(("role", "bucket", "image"))]


def test_a_dry_run_asks_nobody_and_says_so() -> None:
    findings = preflight(SageMakerSettings(), [TRAIN], None)

    findings.raise_refusals()
    unchecked = [finding.check for finding in findings.of(Level.UNCHECKED)]
    assert unchecked[-4:] == ["credentials", "role", "bucket", "image"]
    assert all("dry run" in line for line in findings.lines()[-4:])


def train(**changes: Any) -> TrainSettings:
    return TRAIN.model_copy(update=changes)


def every(seconds: float, steps: int | None = None) -> TrainSettings:
    return train(checkpoints=CheckpointSettings(every_seconds=seconds, every_steps=steps))


def ranks(number: int) -> TrainSettings:
    return train(compute=ComputeSettings(num_ranks=number))


@pytest.mark.parametrize(
    ("settings", "job", "check", "level"),
    [
        ({}, TRAIN, "checkpoints", Level.OK),
        ({}, every(4 * 3600), "checkpoints", Level.REFUSED),
        ({"use_spot": False}, every(4 * 3600), "checkpoints", Level.WARNING),
        ({}, every(4 * 3600, steps=100), "checkpoints", Level.OK),
        ({}, every(1800), "checkpoints", Level.WARNING),
        ({"use_spot": False}, every(1800), "checkpoints", Level.OK),
        ({"num_instances": 2}, ranks(3), "ranks", Level.REFUSED),
        ({"num_instances": 2}, ranks(1), "ranks", Level.REFUSED),
        ({"num_instances": 2}, ranks(2), "ranks", Level.OK),
        ({}, ranks(2), "ranks", Level.REFUSED),
        ({"instance_type": "ml.g5.12xlarge"}, ranks(1), "ranks", Level.WARNING),
        ({"instance_type": "ml.c5.xlarge"}, ranks(2), "ranks", Level.OK),
        ({"instance_type": "ml.zz9.large"}, TRAIN, "ranks", Level.REFUSED),
        ({"instance_type": "ml.p3.2xlarge"}, TRAIN, "gpu", Level.REFUSED),
        ({"use_spot": False, "keep_alive_seconds": 600}, TRAIN, "warm pool", Level.WARNING),
        ({}, TRAIN, "notice", Level.UNCHECKED),
        ({}, TRAIN, "quota", Level.UNCHECKED),
    ],
)
def test_what_settings_alone_tell(settings: dict[str, Any], job: TrainSettings, check: str, level: Level) -> None:
    assert level_of(preflight(SageMakerSettings(**settings), [job], None), check) == level


@pytest.mark.parametrize(
    ("weights_bytes", "changes", "level", "told"),
    [
        (500_000_000, {}, Level.OK, "30 s to save and send; a reclaim leaves 120 s"),
        (3_000_000_000, {}, Level.WARNING, "180 s to save and send, and a reclaim leaves 120 s"),
        (500_000_000, {"checkpoints": CheckpointSettings(every_seconds=20)}, Level.WARNING, "sending falls behind"),
    ],
)
def test_a_checkpoint_must_be_saved_and_sent_within_the_notice(
    tmp_path: Path, weights_bytes: int, changes: dict[str, Any], level: Level, told: str
) -> None:
    config = {"model_type": "roberta", "architectures": ["RobertaModel"], "max_position_embeddings": 514}
    config |= {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    (tmp_path / "config.json").write_text(
        json.dumps(config | {"vocab_size": 100, "pad_token_id": 1, "eos_token_id": 2})
    )
    (tmp_path / "tokenizer.json").write_text("{}")
    with (tmp_path / "model.safetensors").open("wb") as weights:
        weights.truncate(weights_bytes)  # a hole: takes no room
    job = train(model=TransformerSettings(backbone=str(tmp_path)), **changes)

    (found,) = [f for f in preflight(SageMakerSettings(), [job], None) if f.check == "notice"]

    assert found.level == level
    assert told in found.told
    assert f"{3 * weights_bytes / 1e9:.1f} GB" in found.told


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ['"ml.g4dn.xlarge for spot training job usage"']),
        ({"use_spot": False}, ['"ml.g4dn.xlarge for training job usage"']),
        ({"on_demand_after_failures": 2}, ["for spot training job usage", "xlarge for training job usage"]),
    ],
)
def test_the_quota_is_named_once_as_service_quotas_names_it(settings: dict[str, Any], names: list[str]) -> None:
    jobs = [TRAIN, every(30), PredictSettings(model_run=Path("m"), data=Path("d"))]
    (found,) = [f for f in preflight(SageMakerSettings(**settings), jobs, None) if f.check == "quota"]
    assert all(name in found.told for name in names)
    assert found.told.count("training job usage") == len(names)


def test_isolation_names_each_thing_that_is_lost() -> None:
    jobs = [TRAIN, TRAIN.model_copy(update={"seed": 7}), PredictSettings(model_run=Path("m"), data=Path("d"))]
    findings = preflight(SageMakerSettings(network_isolation=True), jobs, None)

    lost = [finding.told for finding in findings.of(Level.WARNING) if finding.check == "network isolation"]
    assert lost == [f"lost: {each}" for each in LOST_WITH_ISOLATION]  # once, for all jobs
    assert len(lost) == 6
    (warning,) = preflight(SageMakerSettings(), jobs, None).of(Level.WARNING)
    assert (warning.check, warning.told[:12]) == ("budget", "nothing caps")
