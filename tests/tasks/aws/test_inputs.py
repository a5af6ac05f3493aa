"""Inputs in S3 are brought here once, and do not travel back."""

from __future__ import annotations

import functools

import pytest

from models.errors import SettingsInvalid
from models.store.manifest import digest_file
from models.store.s3 import S3Uri
from tasks.aws.channels import Parcel
from tasks.aws.inputs import fetch_input, origin_of
from tasks.aws.sending import Sending
from tasks.aws.session import open_session
from tasks.aws.settings import SageMakerSettings


@pytest.fixture
def session(aws):
    return open_session(SageMakerSettings())


@pytest.fixture
def prefix(aws, request):
    """A prefix of the test's own, with records and what lies beside them."""
    prefix = f"given/{request.node.name}"
    files = {"train.jsonl": b"{}\n", "train.arrow": b"columns", "training.txt": b"no", "tokenizer/tokenizer.json": b"t"}
    for name, content in files.items():
        aws.client("s3").put_object(Bucket=aws.bucket, Key=f"{prefix}/{name}", Body=content)
    return prefix


def test_a_record_file_comes_with_its_copy_and_tokenizer_and_only_once(aws, session, prefix, tmp_path):
    uri = f"s3://{aws.bucket}/{prefix}/train.jsonl"
    path = fetch_input(uri, session, tmp_path / "inputs")

    found = sorted(p.relative_to(path.parent).as_posix() for p in path.parent.rglob("*") if p.is_file())
    assert found == ["tokenizer/tokenizer.json", "train.arrow", "train.jsonl"]
    inode = path.stat().st_ino
    assert fetch_input(uri, session, tmp_path / "inputs").stat().st_ino == inode

    aws.client("s3").put_object(Bucket=aws.bucket, Key=f"{prefix}/train.jsonl", Body=b"{}{}\n")
    other = fetch_input(uri, session, tmp_path / "inputs")
    assert other.read_bytes() == b"{}{}\n"
    assert other != path


def test_a_prefix_is_a_folder(aws, session, prefix, tmp_path):
    path = fetch_input(f"s3://{aws.bucket}/{prefix}/tokenizer", session, tmp_path)
    assert [p.name for p in path.iterdir()] == ["tokenizer.json"]


def test_nothing_there_is_refused(aws, session, tmp_path):
    with pytest.raises(SettingsInvalid, match="no object and no prefix"):
        fetch_input(f"s3://{aws.bucket}/given/nothing.jsonl", session, tmp_path)


def test_what_lies_in_s3_is_copied_there_and_not_sent_again(aws, session, prefix, tmp_path, monkeypatch):
    path = fetch_input(f"s3://{aws.bucket}/{prefix}/train.jsonl", session, tmp_path / "inputs")
    (tmp_path / "own.jsonl").write_bytes(b"own\n")
    assert origin_of(tmp_path / "own.jsonl", digest_file(tmp_path / "own.jsonl")) is None
    store = session.objects(S3Uri(aws.bucket, f"{prefix}/store"))
    sent = []
    put_file = type(store).put_file

    def noted(self, key, path, digest):
        sent.append(path.name)
        put_file(self, key, path, digest)

    monkeypatch.setattr(type(store), "put_file", noted)

    parcel = Parcel("train_data", {"train.jsonl": path, "own.jsonl": tmp_path / "own.jsonl"})
    sending = Sending(store, session.client("s3"))
    sending.parcel(parcel)

    assert sent == ["own.jsonl"]
    assert store.get(f"{parcel.prefix}/train.jsonl").content == b"{}\n"
    before = aws.s3_requests()
    sending.parcel(parcel)
    assert aws.s3_requests() == before  # remembered
    Sending(store, session.client("s3")).parcel(parcel)
    assert (aws.s3_requests() - before).total() == 3  # another process looks at each once
    assert sent == ["own.jsonl"]


def test_what_was_changed_here_is_no_copy_any_more(aws, session, prefix, tmp_path):
    path = fetch_input(f"s3://{aws.bucket}/{prefix}/train.jsonl", session, tmp_path / "inputs")
    assert origin_of(path, digest_file(path)) is not None
    path.write_bytes(b"[]\n")  # of the same size
    assert origin_of(path, digest_file(path)) is None


def test_an_input_that_was_damaged_or_deleted_in_the_store_is_sent_again(aws, session, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    parcel = Parcel("data", {name: tmp_path / name for name in ("a", "b", "c")})
    store = session.objects(S3Uri(aws.bucket, "sent-again"))
    Sending(store, session.client("s3")).parcel(parcel)
    store.put(f"{parcel.prefix}/a", b"x")
    store.delete(f"{parcel.prefix}/b")
    versions = {name: store.version(f"{parcel.prefix}/{name}") for name in parcel.files}

    Sending(store, session.client("s3")).parcel(parcel)

    assert [store.get(f"{parcel.prefix}/{name}").content for name in parcel.files] == [b"a", b"b", b"c"]
    assert store.version(f"{parcel.prefix}/c") == versions["c"]


def test_an_object_that_is_replaced_while_it_is_fetched_is_listed_again(aws, session, prefix, tmp_path, monkeypatch):
    put = functools.partial(aws.client("s3").put_object, Bucket=aws.bucket, Key=f"{prefix}/train.jsonl")
    contents = iter([b"second\n", b"third\n"])
    client = session.client("s3")
    get = client.get_object

    def get_object(**given):
        if (content := next(contents, None)) is not None:
            put(Body=content)
        return get(**given)

    monkeypatch.setattr(client, "get_object", get_object)
    path = fetch_input(f"s3://{aws.bucket}/{prefix}/train.jsonl", session, tmp_path / "inputs")
    assert path.read_bytes() == b"third\n"


def test_small_objects_under_their_digest_are_never_written_over_but_damaged_ones(aws, session):
    store = session.objects(S3Uri(aws.bucket, "contents"))
    files = {"job.json": b"{}", "placement.json": b"[]"}
    Sending(store, None).contents("jobs/ab", files)
    versions = [store.version(f"jobs/ab/{name}") for name in files]
    before = aws.s3_requests()["PUT"]
    Sending(store, None).contents("jobs/ab", files)
    assert [store.version(f"jobs/ab/{name}") for name in files] == versions
    assert aws.s3_requests()["PUT"] == before + 2  # refused by S3 itself: they are there
    store.put("jobs/ab/job.json", b"{")
    Sending(store, None).contents("jobs/ab", files)
    assert store.get("jobs/ab/job.json").content == b"{}"
