"""That every call is counted, for whom it is, and that all watchers watch what really runs."""

from __future__ import annotations

import pytest

from benchmarks import remote_launches
from benchmarks.api_calls import Call
from benchmarks.job_watchers import OURS, SDK, SDK_LOGS, SILENT, SPEAKING, STATUS, WAITER, Watching, watch
from benchmarks.remote_launches import Launching, launch, purpose, report_launching, report_watching
from benchmarks.resume_cases import tiny_run


def test_launches_and_watchers_are_counted_at_the_callers_as_at_the_servers(aws, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(remote_launches, "STORE", "counted")  # in another one the bundle may lie already
    monkeypatch.setattr("tasks.launchers.training_job.code_bundle", remote_launches.stub_code)
    for name in ("train.jsonl", "train.arrow", "valid.jsonl", "valid.arrow"):  # read by no one: a stub is trained
        (tmp_path / name).write_text(name)
    job = tiny_run("gnn", tmp_path, num_ranks=1)
    jobs = [job.model_copy(update={"seed": seed}) for seed in (7000, 7001)]

    launching = launch(aws, jobs, tmp_path / "runs", num_threads=2)

    assert report_launching(launching), capsys.readouterr().out
    assert launching.most_beyond_uploads == 2
    assert launching.num_bundles == 1
    assert len(launching.writes) == 2 + 2 * 3  # start and bundle; records, their copy and the mark of two inputs
    assert launching.num_requests == sum(call.service in ("s3", "sagemaker") for call in launching.calls)
    speaking, _ = launching.jobs
    for name in launching.jobs:
        aws.wait_for(name, secondary="Training")

    rates = watch(aws, launching.jobs, launching.log, [speaking], 6.0).rates

    assert rates[WAITER][STATUS] == 60 / 6  # once, at its beginning
    assert all(rate[STATUS] > rates[WAITER][STATUS] for name, rate in rates.items() if name != WAITER)
    assert rates[OURS][SPEAKING] > 0
    assert rates[SDK_LOGS][SILENT] > 0
    assert rates[SDK][SPEAKING] == rates[WAITER][SPEAKING] == 0
    for launched in launching.jobs.values():
        launched.stop(0)
        launched.close()


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (Call("sagemaker", "CreateTrainingJob", "train-a-1", "0"), "job"),
        (Call("s3", "ListObjectsV2", "many/runs/train/a/b/", "0"), "job"),
        (Call("s3", "PutObject", "many/jobs/train-a-1/job.json", "0"), "upload"),
        (Call("s3", "HeadObject", "many/code/0f/bundle.tar.gz", "0"), "shared upload"),
        (Call("s3", "PutObject", "many/inputs/0f/train.jsonl", "0"), "shared upload"),
        (Call("sts", "GetCallerIdentity", "", "0"), "once"),
    ],
)
def test_what_a_call_is_for(call, expected):
    assert purpose(call) == expected


def test_missed_bounds_are_told(capsys):
    def of(*calls: Call) -> Launching:
        code = Call("s3", "PutObject", "many/code/0f/bundle.tar.gz", "0")
        return Launching({}, None, [code, *calls], 1.0, 2)  # type: ignore[arg-type]

    look = Call("s3", "ListObjectsV2", "many/runs/", "0")
    again = Call("s3", "PutObject", "many/code/0f/bundle.tar.gz", "1")
    for launching, held in ((of(look, look), True), (of(look, look, look), False), (of(look, again), False)):
        launching.jobs["a"] = None  # type: ignore[assignment]
        assert report_launching(launching) is held
        assert ("MISSED" in capsys.readouterr().out) is not held

    for status, held in ((5.9, True), (6.1, False)):
        rates = {OURS: status, SDK: 12.0}
        told = {name: {STATUS: rate, SPEAKING: 0.0, SILENT: 0.0} for name, rate in rates.items()}
        assert report_watching(Watching(told, 60.0), 2) is held
