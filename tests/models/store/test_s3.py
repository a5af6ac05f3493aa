"""Files in S3, and what is made of its errors: tried again, read back, or refused in one line."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import CloudRefused, HeadConflict, ObjectCorrupt, ObjectMissing, SettingsInvalid, StoreUnavailable
from models.store import crash_points, s3_upload
from models.store.manifest import digest_bytes
from models.store.s3 import S3Uri, open_s3
from models.store.s3_calls import Patience


@given(st.from_regex(r"\A[a-z0-9]{3,10}\Z"), st.from_regex(r"\A[a-zA-Z0-9_-]{1,5}(/[a-z0-9._-]{1,5}){0,3}\Z"))
def test_an_address_is_read_as_it_is_written(bucket, prefix):
    uri = S3Uri.parse(f"s3://{bucket}/{prefix}")
    assert (uri.bucket, uri.prefix, str(uri)) == (bucket, prefix, f"s3://{bucket}/{prefix}")
    assert S3Uri.parse(f"{uri}/") == uri
    assert str(uri / "a/b") == f"{uri}/a/b"
    assert str(S3Uri.parse(f"s3://{bucket}") / "a") == f"s3://{bucket}/a"


@pytest.mark.parametrize(
    "text", ["", "/runs", "s3:/bucket/x", "https://bucket", "s3://B/x", "s3://bucket/a b", "s3://"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(SettingsInvalid, match="such as s3://bucket/codewarden"):
        S3Uri.parse(text)


@pytest.mark.parametrize("num_bytes", [0, 1, 300_000])
def test_a_file_comes_back_as_it_went_whether_sent_whole_or_in_parts(s3_objects, tmp_path, monkeypatch, num_bytes):
    for parts_from_bytes in (1 << 30, 1 << 17):
        monkeypatch.setattr(s3_upload, "PARTS_FROM_BYTES", parts_from_bytes)
        content = bytes(range(256)) * (num_bytes // 256) + b"x" * (num_bytes % 256)
        (tmp_path / "sent").write_bytes(content)
        s3_objects.child("a").put_file("file.bin", tmp_path / "sent", digest_bytes(content))
        s3_objects.get_file("a/file.bin", tmp_path / "came", digest_bytes(content))
        assert (tmp_path / "came").read_bytes() == content
        assert s3_objects.digest("a/file.bin") == digest_bytes(content)
    assert s3_objects.digest("a/other.bin") is None


@pytest.mark.parametrize("stored", [b"content!", b"conten", b""])
def test_other_bytes_than_expected_never_get_the_name(s3_objects, tmp_path, stored):
    s3_objects.put("file", stored)
    (tmp_path / "file").write_bytes(b"before")
    with pytest.raises(ObjectCorrupt, match="is damaged"):
        s3_objects.get_file("file", tmp_path / "file", digest_bytes(b"content"))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"before")]


def test_a_file_that_changed_on_the_disk_is_not_sent(s3_objects, tmp_path):
    (tmp_path / "file").write_bytes(b"damaged")
    with pytest.raises(ObjectCorrupt):
        s3_objects.put_file("file", tmp_path / "file", digest_bytes(b"content"))
    with pytest.raises(ObjectMissing):
        s3_objects.put_file("file", tmp_path / "nowhere", digest_bytes(b""))
    assert s3_objects.list() == []


def test_a_death_in_the_middle_of_an_upload_leaves_nothing_that_is_believed(s3_objects, tmp_path, crash, monkeypatch):
    monkeypatch.setattr(s3_upload, "PARTS_FROM_BYTES", 5 << 20)

    def die(point):
        raise crash(point)

    crash_points.observe(die)
    for content in (b"1", b"1" * 11_000_000):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(crash, match="mid-upload"):
            s3_objects.put_file("file", tmp_path / "file", digest_bytes(content))
        with pytest.raises((ObjectMissing, ObjectCorrupt)):  # this server keeps half a body, unlike S3
            s3_objects.get_file("file", tmp_path / "came", digest_bytes(content))


TRANSIENT = [
    (500, "InternalError"),
    (503, "SlowDown"),
    (503, "ServiceUnavailable"),
    (429, "TooManyRequests"),
    (400, "RequestTimeout"),
    (409, "ConditionalRequestConflict"),
    "timeout",
]


@pytest.mark.parametrize("fault", TRANSIENT, ids=str)
def test_what_may_pass_is_tried_again(s3_objects, s3_faults, tmp_path, fault):
    (tmp_path / "file").write_bytes(b"content")
    for call in (
        lambda: s3_objects.put("key", b"content"),
        lambda: s3_objects.compare_and_set("new", b"1", None),
        lambda: s3_objects.get("key"),
        lambda: s3_objects.list(),
        lambda: s3_objects.version("key"),
        lambda: s3_objects.put_file("file", tmp_path / "file", digest_bytes(b"content")),
        lambda: s3_objects.get_file("file", tmp_path / "file", digest_bytes(b"content")),
        lambda: s3_objects.delete("new"),
    ):
        s3_faults.first(2, fault)
        call()
    s3_faults.mend()
    assert s3_objects.list() == ["file", "key"]


def test_patience_ends_and_the_message_says_what_is_safe(s3_objects, s3_faults):
    s3_faults.always((503, "SlowDown"))
    with pytest.raises(StoreUnavailable, match=r"SlowDown.*what is on this disk is kept") as caught:
        s3_objects.put("key", b"")
    assert len(s3_faults.seen) > 2
    assert caught.value.retryable


def test_nobody_listening_is_told_as_unavailable(s3_objects, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    away = open_s3(s3_objects.uri, patience=Patience(total_seconds=0.1, first_pause_seconds=0.01))
    with pytest.raises(StoreUnavailable, match="Could not connect"):
        away.get("key")


@given(st.floats(0.001, 100), st.floats(0.001, 10), st.integers(0, 2**32))
def test_pauses_grow_to_a_bound_and_end_whatever_the_clock_on_the_wall_does(total_seconds, first_seconds, _):
    now = 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        patch.setattr(time, "time", lambda: -1e9 if now else 1e9)
        patience = Patience(total_seconds, first_seconds, longest_pause_seconds=2.0)
        for pause in patience.pauses():
            assert 0 < pause <= max(first_seconds, 2.0)
            now += pause
        assert now <= total_seconds


@pytest.mark.parametrize(
    "fault", ["lost", (409, "ConditionalRequestConflict"), (500, "InternalError"), "timeout"], ids=str
)
@pytest.mark.parametrize("expected", [None, b"old"])
def test_after_an_unclear_answer_it_is_read_back_whether_the_write_landed(s3_objects, s3_faults, fault, expected):
    version = s3_objects.put("head.json", expected) if expected is not None else None
    s3_faults.first(1, fault, method="PUT")
    version = s3_objects.compare_and_set("head.json", b"new", version)
    assert s3_objects.get("head.json").version == version
    assert s3_objects.get("head.json").content == b"new"


def test_an_answer_lost_and_another_writer_since_is_a_conflict(s3_objects, s3_faults):
    other = open_s3(s3_objects.uri)
    s3_faults.first(1, "lost", method="PUT")
    plan = s3_faults.plan

    def then_another_writes(method: str, path: str):
        if method == "GET":
            other.put("head.json", b"theirs")
        return plan(method, path)

    s3_faults.plan = then_another_writes
    with pytest.raises(HeadConflict):
        s3_objects.compare_and_set("head.json", b"ours", None)
    assert other.get("head.json").content == b"theirs"


REFUSALS = [
    (403, "AccessDenied", {}, ["s3:PutObject", "arn:aws:s3:::test-"]),
    (404, "NoSuchBucket", {}, ["there is no bucket", "--sagemaker.store"]),
    (301, "PermanentRedirect", {"x-amz-bucket-region": "eu-west-1"}, ["--sagemaker.region eu-west-1"]),
    (400, "AuthorizationHeaderMalformed", {"x-amz-bucket-region": "eu-west-1"}, ["--sagemaker.region eu-west-1"]),
    (400, "ExpiredToken", {}, ["give valid credentials"]),
    (403, "InvalidAccessKeyId", {}, ["give valid credentials"]),
    (403, "SignatureDoesNotMatch", {}, ["give valid credentials"]),
    (403, "RequestTimeTooSkewed", {}, ["clock of this machine"]),
    (400, "KMS.DisabledException", {}, ["told by the test"]),
]


@pytest.mark.parametrize(("status", "code", "headers", "words"), REFUSALS, ids=[each[1] for each in REFUSALS])
def test_a_refusal_is_one_line_that_says_what_to_do_and_is_not_tried_again(
    s3_objects, s3_faults, status, code, headers, words
):
    s3_faults.headers = headers
    s3_faults.always((status, code))
    with pytest.raises(CloudRefused) as caught:
        s3_objects.put("key", b"")
    assert code in str(caught.value)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words)
    assert not caught.value.retryable
    assert len([seen for seen in s3_faults.seen if seen[0] == "PUT"]) <= 2  # a redirection is followed once


def test_without_credentials_it_says_how_to_give_them(s3_objects, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(CloudRefused, match=r"NoCredentialsError.*aws configure"):
        open_s3(s3_objects.uri).get("key")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CloudRefused, match=r"ProfileNotFound.*nobody"):
        open_s3(s3_objects.uri)


def test_a_bucket_that_is_not_there_is_refused_also_where_its_objects_are_listed_or_read(s3_objects):
    nowhere = open_s3(S3Uri("no-such-bucket-here", "p"))
    for call in (lambda: nowhere.get("key"), nowhere.list, lambda: nowhere.compare_and_set("key", b"", None)):
        with pytest.raises(CloudRefused, match="no bucket no-such-bucket-here"):
            call()
