"""A run that is mirrored: any machine goes on with it, it ends with the bytes of a local one, and only once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from models.errors import (
    EXIT_CRASHED,
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    CloudRefused,
    HeadConflict,
    Interrupted,
    StoreUnavailable,
)
from models.jobs import execution, run_mirror
from models.jobs.contract import JobContext, JobResult
from models.jobs.execution import Execution, execute
from models.jobs.hosts import Hosts
from models.jobs.keys import run_key
from models.jobs.layout import is_finished, is_mirrored
from models.jobs.placement import Placement
from models.jobs.registry import parse_job
from models.jobs.stopping import StopSignal
from models.store.head import Head
from models.store.manifest import digest_file
from models.store.openings import read_openings
from models.store.s3 import S3Objects
from models.store.s3_calls import Patience

Document = Callable[..., dict[str, Any]]
Body = Callable[[JobContext], JobResult]
Machines = Callable[..., tuple[int, Path]]


class StopAfter(StopSignal):
    """Asks to stop once it was looked at so many times."""

    def __init__(self, num_looks: int) -> None:
        super().__init__()
        self.num_looks = num_looks

    def __call__(self) -> bool:
        self.num_looks -= 1
        return self.num_looks <= 0


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def writes_weights(context: JobContext) -> JobResult:
    context.events.phase("train")
    (context.run_path / "weights").write_text("w" * context.attempt)
    return JobResult({"f1": 0.5}, ("weights",), {})


def never(context: JobContext) -> JobResult:
    raise AssertionError("the job ran again")


def raises(error: Exception) -> Body:
    def body(context: JobContext) -> JobResult:
        raise error

    return body


@pytest.fixture
def on_machine(
    s3_objects: S3Objects, train_document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Machines:
    """Runs the job on a machine of some name, whose disk is empty at first; exit code and run directory."""

    def run(
        name: str, body: Body | None = None, document: dict[str, Any] | None = None, **options: Any
    ) -> tuple[int, Path]:
        settings = parse_job(json.dumps(document or train_document()))
        placement = Placement(run_uri=str(s3_objects.uri), region="us-east-1", **options.pop("placement", {}))
        run_path = tmp_path / name / "run"
        with monkeypatch.context() as patch:
            if body is not None:
                patch.setattr(execution, "entry_of", lambda _: lambda _, context: body(context))
            code = execute(Execution(settings, run_path, tmp_path / name, placement=placement, **options))
        return code, run_path

    return run


def test_a_run_that_wanders_over_machines_ends_with_the_bytes_of_a_local_one(
    on_machine: Machines,
    train_document: Document,
    records_path: Path,
    s3_objects: S3Objects,
    tmp_path: Path,
    torch_left_as_found: None,
):
    document = train_document(test_data=str(records_path / "test.jsonl"))
    local_path = tmp_path / "local"
    assert execute(Execution(parse_job(json.dumps(document)), local_path, tmp_path)) == EXIT_DONE
    openings = {"openings_uri": str(s3_objects.uri)}

    code, first = on_machine("first", document=document, stop=StopAfter(9), placement=openings)
    assert (code, read(first / "outcome.json")["step"]) == (EXIT_INTERRUPTED, 8)
    code, second = on_machine("second", document=document, placement=openings)
    assert code == EXIT_DONE

    names = [*read(local_path / "manifest.json")["files"], "manifest.json"]
    expected = {name: (local_path / name).read_bytes() for name in names}
    assert {name: (second / name).read_bytes() for name in names} == expected
    assert {name: s3_objects.get(name).content for name in names} == expected
    assert s3_objects.get("outcome.json").content == (second / "outcome.json").read_bytes()
    attempts = json.loads(s3_objects.get("record.json").content)["attempts"]
    assert [attempt["attempt"] for attempt in attempts] == [1, 2]
    assert attempts[1]["resumed_at_step"] == 8
    events = [json.loads(line) for line in s3_objects.get("progress.jsonl").content.splitlines()]
    assert [event["step"] for event in events if event["event"] == "step"] == list(range(1, 16))
    assert [opening.attempt for opening in read_openings(s3_objects)] == [2]
    assert not (second.parent / "openings.jsonl").exists()

    code, third = on_machine("third", never, document)
    assert (code, read(third / "outcome.json")["outcome"]) == (EXIT_DONE, "done")
    assert {path.name for path in third.iterdir()} & {*names} == set()
    assert len(json.loads(s3_objects.get("record.json").content)["attempts"]) == 2


def no_answer(**_: Any) -> None:
    raise EndpointConnectionError(endpoint_url="http://s3")


def test_the_manifest_is_kept_last(on_machine: Machines, monkeypatch: pytest.MonkeyPatch):
    kept: list[str] = []
    put_file = S3Objects.put_file

    def seen(objects: S3Objects, key: str, path: Path, digest: Any) -> None:
        kept.append(key)
        put_file(objects, key, path, digest)

    monkeypatch.setattr(S3Objects, "put_file", seen)
    assert on_machine("first", writes_weights)[0] == EXIT_DONE
    assert kept.index("record.json") < kept.index("weights")
    assert {"weights", "result.json", "outcome.json", "progress.jsonl"} <= set(kept)
    assert kept.index("manifest.json") == len(kept) - 1


def test_an_upload_that_is_not_there_afterwards_leaves_the_run_unfinished(
    on_machine: Machines, s3_objects: S3Objects, monkeypatch: pytest.MonkeyPatch
):
    put_file = S3Objects.put_file

    def lost(objects: S3Objects, key: str, path: Path, digest: Any) -> None:
        if key != "weights":
            put_file(objects, key, path, digest)

    monkeypatch.setattr(S3Objects, "put_file", lost)
    code, run_path = on_machine("first", writes_weights)
    assert (code, read(run_path / "outcome.json")["error"]) == (EXIT_CRASHED, "ObjectCorrupt")
    assert s3_objects.version("manifest.json") is None


def test_a_finished_run_whose_store_was_away_at_its_end_is_kept_by_the_next_attempt(
    on_machine: Machines, s3_objects: S3Objects, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_mirror, "END_PATIENCE", Patience(total_seconds=0.1))

    def cut_off(context: JobContext) -> JobResult:
        assert isinstance(context.mirror, S3Objects)
        context.mirror._client.meta.events.register("before-send.s3", no_answer)
        return writes_weights(context)

    code, run_path = on_machine("first", cut_off, placement={"notice_seconds": 0.1})
    outcome = read(run_path / "outcome.json")
    assert (code, outcome["error"], outcome["retryable"]) == (EXIT_CRASHED, "StoreUnavailable", True)
    assert (outcome["attempt"], outcome["message"].startswith("finished here, not yet in S3")) == (1, True)
    assert (is_finished(run_path), is_mirrored(run_path)) == (True, False)
    assert s3_objects.version("manifest.json") is None

    assert on_machine("first", never)[0] == EXIT_DONE
    assert is_mirrored(run_path)
    assert read(run_path / "record.json")["attempts"][-1]["outcome"] == "done"
    assert s3_objects.get("manifest.json").content == (run_path / "manifest.json").read_bytes()
    assert json.loads(s3_objects.get("outcome.json").content)["outcome"] == "done"


def test_a_store_that_is_away_at_the_beginning_is_tried_again_later(
    on_machine: Machines, monkeypatch: pytest.MonkeyPatch
):
    def away(objects: S3Objects, key: str) -> None:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(S3Objects, "get_sent", away)
    code, run_path = on_machine("first", never, placement={"notice_seconds": 0.1})
    outcome = read(run_path / "outcome.json")
    assert (code, outcome["error"], outcome["retryable"]) == (EXIT_CRASHED, "StoreUnavailable", True)
    assert outcome["message"] == "no answer, or without --store to go on from this disk alone"
    failure = {"failure_path": str(run_path / "failure")}  # in a container there is no disk that stays
    assert "--store" not in read(on_machine("first", never, placement=failure)[1] / "outcome.json")["message"]


def test_a_finished_run_with_another_file_in_the_store_is_run_again(
    on_machine: Machines, s3_objects: S3Objects, tmp_path: Path
):
    assert on_machine("first", writes_weights)[0] == EXIT_DONE
    (tmp_path / "other").write_text("x")
    s3_objects.put_file("weights", tmp_path / "other", digest_file(tmp_path / "other"))
    code, run_path = on_machine("second", writes_weights)
    assert (code, read(run_path / "outcome.json")["attempt"]) == (EXIT_DONE, 2)
    assert s3_objects.get("weights").content == b"ww"


def test_how_an_unfinished_attempt_ended_is_kept_and_the_next_one_is_counted(
    on_machine: Machines, s3_objects: S3Objects
):
    assert on_machine("first", raises(Interrupted(3)))[0] == EXIT_INTERRUPTED
    assert json.loads(s3_objects.get("outcome.json").content)["outcome"] == "interrupted"
    assert s3_objects.version("manifest.json") is None
    assert read(on_machine("second", raises(ZeroDivisionError()))[1] / "outcome.json")["attempt"] == 2
    s3_objects.put("checkpoints/head.json", Head(None, None, (), 8, "writer", {}).to_bytes())
    assert read(on_machine("third", raises(Interrupted(3)))[1] / "outcome.json")["attempt"] == 9


def test_a_record_that_is_newer_here_is_not_replaced(on_machine: Machines, s3_objects: S3Objects):
    _, run_path = on_machine("first", raises(Interrupted(1)))
    record = read(run_path / "record.json")
    record["attempts"] += [{"attempt": 2}, {"attempt": 3}]
    (run_path / "record.json").write_text(json.dumps(record))
    assert read(on_machine("first", raises(Interrupted(1)))[1] / "outcome.json")["attempt"] == 4
    assert len(json.loads(s3_objects.get("record.json").content)["attempts"]) == 4


def test_a_finished_run_that_aws_refused_is_tried_again_and_not_given_up(
    on_machine: Machines, s3_objects: S3Objects, monkeypatch: pytest.MonkeyPatch
):
    put_file = S3Objects.put_file

    def refused(objects: S3Objects, key: str, path: Path, digest: Any) -> None:
        if key == "weights":
            raise CloudRefused(key, "ExpiredToken", "give valid credentials")
        put_file(objects, key, path, digest)

    with monkeypatch.context() as patch:
        patch.setattr(S3Objects, "put_file", refused)
        for body in (writes_weights, never):
            code, run_path = on_machine("first", body)
            outcome = read(run_path / "outcome.json")
            assert (code, outcome["error"], outcome["retryable"]) == (EXIT_CRASHED, "StoreUnavailable", True)
            assert "ExpiredToken" in outcome["message"]
            assert not is_mirrored(run_path)
    assert on_machine("first", never)[0] == EXIT_DONE
    assert is_mirrored(run_path)
    assert s3_objects.version("manifest.json") is not None


@pytest.mark.parametrize("damage", [b'{"attempts": [{', b"[]", b"\x00"])
@pytest.mark.parametrize("name", ["record.json", "question.json", "build.json"])
def test_a_small_file_that_was_damaged_in_the_store_is_not_used_and_that_is_said(
    on_machine: Machines, s3_objects: S3Objects, name: str, damage: bytes
):
    on_machine("first", raises(Interrupted(2)))
    s3_objects.put("checkpoints/head.json", Head(None, None, (), 1, "writer", {}).to_bytes())
    s3_objects.put(name, damage)
    code, run_path = on_machine("second", writes_weights)
    assert (code, read(run_path / "outcome.json")["attempt"]) == (EXIT_DONE, 2)
    assert read(run_path / "record.json")["attempts"][-1]["damaged_in_mirror"] == [name]
    warning = json.loads((run_path / "progress.jsonl").read_text().splitlines()[0])
    assert (warning["level"], name in warning["message"]) == ("warning", True)
    assert s3_objects.get_sent(name) == (run_path / name).read_bytes()


def test_an_error_that_nobody_foresaw_leaves_an_outcome_and_a_failure_file_also_before_the_job(
    on_machine: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(S3Objects, "get_sent", lambda *_: 1 / 0)
    code, run_path = on_machine("first", never, placement={"failure_path": str(tmp_path / "failure")})
    assert (code, read(run_path / "outcome.json")["error"]) == (EXIT_CRASHED, "ZeroDivisionError")
    assert read(tmp_path / "failure")["error"] == "ZeroDivisionError"


def test_a_finished_run_whose_bytes_were_changed_in_the_store_is_made_again_and_sent_again(
    on_machine: Machines, s3_objects: S3Objects
):
    on_machine("first", writes_weights)
    uri = s3_objects.uri
    stored = s3_objects._client.get_object(Bucket=uri.bucket, Key=uri.key("weights"))
    s3_objects._client.put_object(Bucket=uri.bucket, Key=uri.key("weights"), Body=b"v", Metadata=stored["Metadata"])
    code, run_path = on_machine("second", lambda context: writes_weights(replace(context, attempt=1)))
    assert (code, read(run_path / "outcome.json")["attempt"]) == (EXIT_DONE, 2)
    assert s3_objects.get("weights").content == b"w"
    assert read(run_path / "record.json")["attempts"][-1]["damaged_in_mirror"] == ["weights"]


def test_a_run_that_is_kept_as_it_is_here_is_not_written_again(on_machine: Machines, monkeypatch: pytest.MonkeyPatch):
    on_machine("first", writes_weights)
    monkeypatch.setattr(S3Objects, "put_file", raises(AssertionError("written again")))
    assert on_machine("first", never)[0] == EXIT_DONE


def test_a_finished_attempt_that_was_succeeded_leaves_the_run_to_its_successor(
    on_machine: Machines, s3_objects: S3Objects
):
    def succeeded(context: JobContext) -> JobResult:
        assert on_machine("second", raises(Interrupted(5)))[0] == EXIT_INTERRUPTED
        return writes_weights(context)

    code, run_path = on_machine("first", succeeded)
    outcome = read(run_path / "outcome.json")
    assert (code, outcome["error"], outcome["retryable"]) == (EXIT_CRASHED, "HeadConflict", False)
    assert outcome["message"].startswith("another machine runs this now")
    assert s3_objects.version("weights") is s3_objects.version("manifest.json") is None
    assert json.loads(s3_objects.get("outcome.json").content)["step"] == 5

    code, run_path = on_machine("first", writes_weights)  # started by a person who knows: it takes over
    assert (code, read(run_path / "outcome.json")["attempt"]) == (EXIT_DONE, 3)
    assert s3_objects.get("weights").content == b"www"


def test_an_attempt_that_a_head_alone_succeeds_says_nothing(on_machine: Machines, s3_objects: S3Objects):
    def succeeded(context: JobContext) -> JobResult:
        s3_objects.put("checkpoints/head.json", Head(None, None, (), 2, "writer", {}).to_bytes())
        raise Interrupted(3)

    assert on_machine("first", succeeded)[0] == EXIT_INTERRUPTED
    assert s3_objects.version("outcome.json") is None


def test_a_machine_that_does_not_own_the_run_forgets_no_checkpoints(
    on_machine: Machines, s3_objects: S3Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(execution, "run_ranks", lambda *_: EXIT_DONE)
    on_machine("first", raises(Interrupted(2)))
    begun_by_other_code(s3_objects, tmp_path)
    s3_objects.put("checkpoints/head.json", Head(None, None, (), 1, "writer", {}).to_bytes())
    hosts = Hosts(("algo-1", "algo-2"), "algo-2", None)
    assert on_machine("second", hosts=hosts, num_ranks=2)[0] == EXIT_DONE
    assert s3_objects.list("checkpoints/") == ["checkpoints/head.json"]
    assert s3_objects.version("manifest.json") is None


def test_a_job_with_other_inputs_than_planned_refuses_and_names_them(
    on_machine: Machines, s3_objects: S3Objects, train_document: Document, records_path: Path, tmp_path: Path
):
    planned = {"run_key": run_key(parse_job(json.dumps(train_document())))}
    (tmp_path / "damaged.jsonl").write_bytes((records_path / "train.jsonl").read_bytes()[:-200])
    damaged = train_document(train_data=str(tmp_path / "damaged.jsonl"))
    code, run_path = on_machine("first", never, damaged, placement=planned)
    outcome = read(run_path / "outcome.json")
    assert (code, outcome["error"]) == (EXIT_REFUSED, "SettingsInvalid")
    found = digest_file(tmp_path / "damaged.jsonl").sha256[:12]
    assert f"{planned['run_key'][:12]} planned" in outcome["message"]
    assert f"train_data {found}" in outcome["message"]
    assert s3_objects.list() == []

    on_machine("second", raises(Interrupted(1)), placement=planned)
    _, run_path = on_machine("second", never, damaged, placement=planned)
    assert f"then, {found}… now" in read(run_path / "outcome.json")["message"]


def test_an_attempt_that_was_succeeded_says_nothing_over_its_successor(on_machine: Machines, s3_objects: S3Objects):
    def succeeded(context: JobContext) -> JobResult:
        assert on_machine("second", raises(Interrupted(5)))[0] == EXIT_INTERRUPTED
        raise HeadConflict("head.json", "attempt 1", "attempt 2")

    assert on_machine("first", succeeded)[0] == EXIT_CRASHED
    assert len(json.loads(s3_objects.get("record.json").content)["attempts"]) == 2
    assert json.loads(s3_objects.get("outcome.json").content)["step"] == 5


def with_checkpoint(s3_objects: S3Objects) -> None:
    s3_objects.put("checkpoints/step-000000002-a1/manifest.json", b"{}")


def test_other_settings_are_refused_where_something_was_achieved(
    on_machine: Machines, s3_objects: S3Objects, train_document: Document, capsys: pytest.CaptureFixture[str]
):
    on_machine("first", raises(Interrupted(2)))
    with_checkpoint(s3_objects)
    begun = s3_objects.get("question.json").content
    assert on_machine("second", never, train_document(seed=7))[0] == EXIT_REFUSED
    assert "seed: 42 then, 7 now" in capsys.readouterr().err
    assert s3_objects.get("question.json").content == begun


def test_a_finished_run_of_other_settings_is_refused_also_where_its_question_was_lost(
    on_machine: Machines, s3_objects: S3Objects, train_document: Document
):
    on_machine("first", writes_weights)
    for name in ("question.json", "record.json"):
        s3_objects.delete(name)
    code, run_path = on_machine("second", never, train_document(seed=7))
    assert (code, "of other settings" in read(run_path / "outcome.json")["message"]) == (EXIT_REFUSED, True)


def send(s3_objects: S3Objects, folder: Path, name: str, document: dict[str, Any]) -> None:
    """As a job sends a file, with its sha256 beside it."""
    (folder / "sent").write_text(json.dumps(document))
    s3_objects.put_file(name, folder / "sent", digest_file(folder / "sent"))


def begun_by_other_code(s3_objects: S3Objects, tmp_path: Path) -> None:
    build = json.loads(s3_objects.get("build.json").content)
    build["files"]["models/training/trainer.py"] = "another digest"
    send(s3_objects, tmp_path, "build.json", build)


def test_checkpoints_of_another_build_are_refused_or_continued_on_record(
    on_machine: Machines, s3_objects: S3Objects, tmp_path: Path
):
    on_machine("first", raises(Interrupted(2)))
    begun_by_other_code(s3_objects, tmp_path)
    with_checkpoint(s3_objects)
    code, run_path = on_machine("second", never)
    assert (code, read(run_path / "outcome.json")["error"]) == (EXIT_REFUSED, "BuildDiffers")
    code, run_path = on_machine("third", writes_weights, reuse_build=True)
    assert code == EXIT_DONE
    attempt = read(run_path / "record.json")["attempts"][-1]
    assert attempt["continued_other_build"] == ["models/training/trainer.py changed"]


def test_another_build_without_checkpoints_is_replaced_with_its_head(
    on_machine: Machines, s3_objects: S3Objects, tmp_path: Path
):
    on_machine("first", raises(Interrupted(2)))
    own = s3_objects.get("build.json").content
    begun_by_other_code(s3_objects, tmp_path)
    s3_objects.put("checkpoints/head.json", Head(None, None, (), 1, "writer", {}).to_bytes())
    assert on_machine("second", writes_weights)[0] == EXIT_DONE
    assert s3_objects.get("build.json").content == own
    assert s3_objects.list("checkpoints/") == []


def test_another_processor_than_before_is_on_record_and_said(
    on_machine: Machines, s3_objects: S3Objects, tmp_path: Path
):
    on_machine("first", raises(Interrupted(2)))
    with_checkpoint(s3_objects)
    record = json.loads(s3_objects.get("record.json").content)
    record["attempts"][0]["device_class"] = "cpu of another make"
    send(s3_objects, tmp_path, "record.json", record)
    _, run_path = on_machine("second", writes_weights)
    assert read(run_path / "record.json")["attempts"][1]["continued_on_other_device_class"] == "cpu of another make"
    warning = json.loads((run_path / "progress.jsonl").read_text().splitlines()[0])
    assert (warning["level"], "the bytes of this run may differ" in warning["message"]) == ("warning", True)


def test_last_words_that_hang_do_not_hold_the_job(on_machine: Machines, monkeypatch: pytest.MonkeyPatch):
    for_ever = threading.Event()

    def cut_off(context: JobContext) -> JobResult:
        monkeypatch.setattr(S3Objects, "put_file", lambda *_: for_ever.wait())
        raise Interrupted(1)

    assert on_machine("first", cut_off, placement={"notice_seconds": 0.1})[0] == EXIT_INTERRUPTED
    for_ever.set()
