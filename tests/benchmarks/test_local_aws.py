"""The local AWS itself: S3 that can be slow, break and count; servers that find each other and nothing else."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from benchmarks.local_aws import LocalAws, S3Fault


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    with LocalAws(tmp_path_factory.mktemp("aws"), twin=False) as aws:
        yield aws


@pytest.fixture
def s3(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client that finds it by the environment and tries once."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    once = Config(retries={"total_max_attempts": 1}, read_timeout=1, s3={"addressing_style": "path"})
    yield boto3.session.Session().client("s3", config=once)
    aws.s3_faults()


def test_the_environment_leads_here(aws: LocalAws, s3: Any) -> None:
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == [aws.bucket]
    assert (
        boto3.session.Session().client("iam").get_role(RoleName=aws.role.rsplit("/", 1)[-1])["Role"]["Arn"] == aws.role
    )


def test_errors_strike_as_often_as_planned_and_where_planned(aws: LocalAws, s3: Any) -> None:
    aws.s3_faults(S3Fault("error", status=500, code="InternalError", methods=("PUT",), path="/runs/", num_requests=2))
    s3.put_object(Bucket=aws.bucket, Key="other/x", Body=b"x")
    for _ in range(2):
        with pytest.raises(ClientError, match="InternalError"):
            s3.put_object(Bucket=aws.bucket, Key="runs/x", Body=b"x" * 100_000)
    s3.put_object(Bucket=aws.bucket, Key="runs/x", Body=b"x")
    assert s3.get_object(Bucket=aws.bucket, Key="runs/x")["Body"].read() == b"x"


@pytest.mark.parametrize(("kind", "error"), [("reset", ConnectionClosedError), ("hang", ReadTimeoutError)])
def test_unanswered_requests_are_not_done(aws: LocalAws, s3: Any, kind: Any, error: type[Exception]) -> None:
    key = f"unanswered/{kind}"
    aws.s3_faults(S3Fault(kind, num_requests=1))
    with pytest.raises(error):
        s3.put_object(Bucket=aws.bucket, Key=key, Body=b"x")
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=aws.bucket, Key=key)


def test_a_lost_answer_is_of_a_request_that_was_done(aws: LocalAws, s3: Any) -> None:
    aws.s3_faults(S3Fault("lost answer", num_requests=1))
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=aws.bucket, Key="lost", Body=b"x")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=aws.bucket, Key="lost", Body=b"y", IfNoneMatch="*")


def test_slow_answers_arrive_whole_and_faults_end_by_themselves(aws: LocalAws, s3: Any) -> None:
    content = os.urandom(64 * 1024)
    s3.put_object(Bucket=aws.bucket, Key="slow", Body=content)
    aws.s3_faults(S3Fault("slow", bytes_per_second=256 * 1024, seconds=60))
    began = time.monotonic()
    assert s3.get_object(Bucket=aws.bucket, Key="slow")["Body"].read() == content
    assert time.monotonic() - began >= 64 / 256
    aws.s3_faults(S3Fault("error", seconds=0.05))
    time.sleep(0.1)
    assert s3.head_object(Bucket=aws.bucket, Key="slow")["ContentLength"] == len(content)


def test_hanging_requests_let_go_when_faults_are_cleared(aws: LocalAws, s3: Any) -> None:
    patient = boto3.session.Session().client("s3", config=Config(retries={"total_max_attempts": 2}, read_timeout=60))
    aws.s3_faults(S3Fault("hang"))
    done = threading.Thread(
        target=patient.put_object, kwargs={"Bucket": aws.bucket, "Key": "patient", "Body": b"x"}, daemon=True
    )
    before = aws.s3_requests()["PUT"]
    done.start()
    while aws.s3_requests()["PUT"] == before:
        time.sleep(0.01)
    aws.s3_faults()
    done.join(20)
    assert s3.get_object(Bucket=aws.bucket, Key="patient")["Body"].read() == b"x"


def test_latency_is_added_to_requests_to_s3_only_and_all_are_counted(aws: LocalAws, s3: Any) -> None:
    aws.s3_latency(0.2)
    try:
        before = aws.s3_requests()
        began = time.monotonic()
        s3.put_object(Bucket=aws.bucket, Key="late", Body=b"x")
        s3.get_object(Bucket=aws.bucket, Key="late")
        assert time.monotonic() - began >= 0.4
        boto3.session.Session().client("logs").describe_log_groups()
        assert aws.s3_requests() - before == {"PUT": 1, "GET": 1}
    finally:
        aws.s3_latency(0.0)


def test_large_objects_pass_in_parts_and_in_parallel(aws: LocalAws, s3: Any) -> None:
    from io import BytesIO

    content = os.urandom(24 * 1024 * 1024)
    s3.upload_fileobj(BytesIO(content), aws.bucket, "large")
    read = BytesIO()
    s3.download_fileobj(aws.bucket, "large", read)
    assert read.getvalue() == content
