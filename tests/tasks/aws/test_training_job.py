"""Jobs really run as training jobs of the twin: same bytes as here, through reclaims, kills and refusals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from benchmarks.local_aws import FaultPlan, LocalAws, Reclaim
from benchmarks.resume_cases import tiny_run
from models.errors import (
    BudgetExceeded,
    BuildDiffers,
    CapacityMissing,
    CloudRefused,
    JobRefused,
    JobStopped,
    ObjectCorrupt,
    SettingsInvalid,
)
from models.jobs.layout import RunPlan, is_finished, plan_run
from models.settings.train import ComputeSettings, TrainSettings
from tasks.aws.settings import SageMakerSettings
from tasks.launchers.job_keeper import JobKeeper
from tasks.launchers.local import LocalProcess
from tasks.launchers.remote_state import RemoteState
from tasks.launchers.step_meter import StepMeter
from tasks.launchers.training_job import SageMakerTraining
from tasks.ledger_entries import End, Launch
from tasks.ledger_file import Ledger
from tasks.supervision import SupervisionSettings, supervise

PATIENCE = SupervisionSettings(grace_seconds=10)


def settings_for(aws: LocalAws, store: str, **changes: Any) -> SageMakerSettings:
    values = {"instance_type": "ml.c5.xlarge", "store": f"s3://{aws.bucket}/{store}", "role": aws.role}
    return SageMakerSettings(**{**values, "poll_seconds": 0.2, "capacity_pause_seconds": 0.1, **changes})


def tiny(records: Path, **changes: Any) -> TrainSettings:
    """A training of a second; changed in its seed so that each test has runs of its own."""
    return tiny_run("gnn", records, num_ranks=1).model_copy(update=changes)


def endless(records: Path, seed: int) -> TrainSettings:
    """A training that ends only when it is made to."""
    job = tiny(records, seed=seed)
    return job.model_copy(
        update={"model": job.model.model_copy(update={"epochs": 9999, "early_stopping_patience": 9999})}
    )


def planned(launcher: SageMakerTraining, job: TrainSettings) -> tuple[TrainSettings, RunPlan]:
    job = launcher.resolved(job)
    return job, plan_run(job, launcher.runs_path, machine=launcher.machine)


def jobs_of(aws: LocalAws, plan: RunPlan) -> list[dict[str, Any]]:
    return [job for job in aws.jobs() if plan.run_key[:12] in job["TrainingJobName"]]


def made_here(job: TrainSettings, runs_path: Path) -> RunPlan:
    """The same job on this machine."""
    plan = plan_run(job, runs_path)
    supervise(LocalProcess(runs_path), job, plan, PATIENCE, lambda _: None)
    return plan


def assert_same_bytes(plan: RunPlan, other: RunPlan) -> None:
    for name in ("best_model.safetensors", "history.json", "predictions_valid.jsonl", "result.json"):
        assert (plan.run_path / name).read_bytes() == (other.run_path / name).read_bytes(), name


def test_a_run_reclaimed_twice_ends_with_the_bytes_of_a_local_one(aws, records, tmp_path):
    here = tiny(records)
    local_plan = made_here(here, tmp_path / "local")
    launcher = SageMakerTraining(settings_for(aws, "equal"), tmp_path / "runs")
    job, plan = planned(launcher, here)
    reclaims = (Reclaim(on_log=r'"step": 7,', hard=True), Reclaim(on_log=r'"step": 16,'))
    aws.plan_faults(FaultPlan(name_prefix=f"train-{plan.run_key[:12]}", reclaims=reclaims))
    heard: list[dict[str, Any]] = []

    done = supervise(launcher, job, plan, PATIENCE, heard.append)

    assert plan.run_key == local_plan.run_key
    assert_same_bytes(plan, local_plan)
    assert (done.num_launches, is_finished(plan.run_path)) == (1, True)
    (remote,) = jobs_of(aws, plan)
    assert (remote["TrainingJobStatus"], remote["NumStarts"]) == ("Completed", 3)
    # What came home reads as if it had run here: the given paths, harmful as they are, and nothing was executed.
    assert json.loads((plan.run_path / "settings.json").read_bytes()) == job.model_dump(mode="json")
    assert not list(Path(aws._folder).rglob("touched"))
    epochs = [event["epoch"] for event in heard if event["event"] == "epoch"]
    assert set(epochs) == set(range(max(epochs) + 1))
    launch, end = Ledger(tmp_path / "runs").entries()
    assert isinstance(launch, Launch)
    assert isinstance(end, End)
    assert (end.job_name, end.status, end.num_interruptions) == (launch.job_name, "Completed", 2)
    assert end.billable_seconds == remote["BillableTimeInSeconds"]
    assert 0 <= end.repeated_steps <= 2 * 4

    # Another machine, with a run root of its own: found finished in S3, brought home, nothing launched.
    other = SageMakerTraining(settings_for(aws, "equal"), tmp_path / "other")
    job, plan_there = planned(other, here)
    assert supervise(other, job, plan_there, PATIENCE, lambda _: None).num_launches == 0
    assert (plan_there.run_path / "manifest.json").read_bytes() == (plan.run_path / "manifest.json").read_bytes()
    assert len(jobs_of(aws, plan)) == 1


@pytest.fixture(scope="module")
def seed_20_here(records, tmp_path_factory) -> RunPlan:
    return made_here(tiny(records, seed=20), tmp_path_factory.mktemp("here"))


@pytest.mark.parametrize("is_stalled", [False, True])
def test_without_a_network_a_reclaimed_run_comes_home_by_sagemakers_own_sync(
    is_stalled, seed_20_here, aws, records, tmp_path
):
    launcher = SageMakerTraining(settings_for(aws, f"isolated{is_stalled}", network_isolation=True), tmp_path / "runs")
    job, plan = planned(launcher, tiny(records, seed=20))
    reclaim = Reclaim(on_log=r'"step": (7|8|9|1[0-9]),', hard=is_stalled)
    stall_seconds = 3.0 if is_stalled else 0.0
    aws.plan_faults(
        FaultPlan(name_prefix=f"train-{plan.run_key[:12]}", reclaims=(reclaim,), stall_sync_seconds=stall_seconds)
    )

    supervise(launcher, job, plan, PATIENCE, lambda _: None)

    assert is_finished(plan.run_path)
    assert_same_bytes(plan, seed_20_here)
    remote = jobs_of(aws, plan)[-1]
    assert (remote["EnableNetworkIsolation"], remote["NumStarts"]) == (True, 2)
    assert launcher.newest_step(plan) > 0
    if not is_stalled:  # the sync had time, until the machine was gone
        last = json.loads((plan.run_path / "record.json").read_bytes())["attempts"][-1]
        assert last["resumed_at_step"] > 0
    opening = job.model_copy(update={"test_data": records / "test.jsonl"})
    with pytest.raises(SettingsInvalid, match="network_isolation: the job opens sealed test records"):
        launcher.launch(*planned(launcher, opening))


def test_a_lost_answer_disowns_no_job_and_who_finds_it_pays_and_changes_nothing(aws, records, tmp_path, monkeypatch):
    launcher = SageMakerTraining(settings_for(aws, "lost"), tmp_path / "runs")
    job, plan = planned(launcher, endless(records, seed=26))
    client = launcher._site().api._one_try
    create, num_lost = client.create_training_job, 0

    def lose_the_first(**request):
        nonlocal num_lost
        answer = create(**request)
        num_lost += 1
        if num_lost == 1:
            raise ReadTimeoutError(endpoint_url="http://sagemaker")
        return answer

    monkeypatch.setattr(client, "create_training_job", lose_the_first)
    running = launcher.launch(job, plan)
    assert (num_lost, running.attached) == (1, False)
    (remote,) = jobs_of(aws, plan)
    assert len(remote["TrainingJobName"]) <= 63
    s3 = {"Bucket": aws.bucket, "Prefix": "lost/jobs/"}
    sent = aws.client("s3").list_objects_v2(**s3)["Contents"]

    changes = {"budget": {"total_usd": 0.01}, "notice_seconds": 5.0}
    poor = SageMakerTraining(settings_for(aws, "lost", **changes), tmp_path / "poor")
    watching = poor.launch(*planned(poor, job))
    assert watching.attached
    assert not [entry for entry in Ledger(tmp_path / "poor").entries() if isinstance(entry, Launch)]
    after = {one["Key"]: one["LastModified"] for one in aws.client("s3").list_objects_v2(**s3)["Contents"]}
    assert {one["Key"]: one["LastModified"] for one in sent}.items() <= after.items()
    watching.close()
    other_store = SageMakerTraining(settings_for(aws, "lost2", **changes), tmp_path / "other")
    with pytest.raises(BudgetExceeded):  # the job of another store is none of this one's
        other_store.launch(*planned(other_store, job))

    running.stop(20)
    running.close()
    assert jobs_of(aws, plan)[0]["TrainingJobStatus"] == "Stopped"
    assert [entry.status for entry in Ledger(tmp_path / "runs").entries() if isinstance(entry, End)] == ["Stopped"]


def test_whoever_is_cancelled_during_a_launch_leaves_no_job_of_theirs(aws, records, tmp_path, monkeypatch):
    launcher = SageMakerTraining(settings_for(aws, "cancelled"), tmp_path / "runs")
    job, plan = planned(launcher, endless(records, seed=27))
    api = launcher._site().api
    create = api.create

    def interrupted(request, launch):
        create(request, launch)
        raise KeyboardInterrupt

    other = SageMakerTraining(settings_for(aws, "cancelled"), tmp_path / "other")
    others = other.launch(*planned(other, job))
    monkeypatch.setattr(api, "create", interrupted)
    with pytest.raises(KeyboardInterrupt):
        supervise(launcher, job, plan, PATIENCE, lambda _: None)
    assert [one["TrainingJobStatus"] for one in jobs_of(aws, plan)] == ["InProgress"]
    others.stop(20)
    others.close()

    job, plan = planned(launcher, endless(records, seed=28))
    with pytest.raises(KeyboardInterrupt):
        supervise(launcher, job, plan, PATIENCE, lambda _: None)
    (remote,) = jobs_of(aws, plan)
    assert aws.wait_for(remote["TrainingJobName"])["TrainingJobStatus"] == "Stopped"


def test_a_run_that_is_damaged_in_s3_is_mended_by_one_job_and_no_more(aws, records, tmp_path):
    launcher = SageMakerTraining(settings_for(aws, "damaged", capacity_attempts=1), tmp_path / "runs")
    job, plan = planned(launcher, tiny(records, seed=29))
    aws.plan_faults(FaultPlan(name_prefix=f"train-{plan.run_key[:12]}", no_capacity=9999))
    key = f"damaged/runs/train/{plan.run_key[:12]}/{plan.run_path.name}/manifest.json"
    aws.client("s3").put_object(Bucket=aws.bucket, Key=key, Body=b"{")

    launched = launcher.launch(job, plan)
    (notice,) = (event["message"] for event in launched.events(0) if event.get("level") == "warning")
    launched.close()
    assert "the finished run in S3 is damaged" in notice
    assert "manifest.json" in notice
    known = RemoteState.read(plan.run_path)
    assert (known.mending, known.unmendable) == (True, False)
    keeper = JobKeeper("x", launcher.settings, Ledger(tmp_path / "runs"), plan.run_path, known, StepMeter())
    keeper.brought_home(ObjectCorrupt("manifest.json", "a manifest", "{"))

    with pytest.raises(ObjectCorrupt, match=r"manifest\.json.*also after a job was to mend it; delete all of it"):
        launcher.launch(job, plan)
    assert len(jobs_of(aws, plan)) == 1


LAUNCHER = """
import sys
from pathlib import Path
from models.jobs.registry import parse_job
from models.jobs.layout import plan_run
from tasks.aws.settings import SageMakerSettings
from tasks.launchers.training_job import SageMakerTraining

settings, job, runs = sys.argv[1:]
launcher = SageMakerTraining(SageMakerSettings.model_validate_json(settings), Path(runs))
job = launcher.resolved(parse_job(job))
running = launcher.launch(job, plan_run(job, Path(runs), machine=launcher.machine))
while True:
    for event in running.events(1.0):
        print(event["event"], flush=True)
"""


def test_a_killed_launchers_job_is_found_and_cancelling_stops_it_but_who_only_watches_does_not(aws, records, tmp_path):
    settings, runs = settings_for(aws, "killed"), tmp_path / "runs"
    launcher = SageMakerTraining(settings, runs)
    job, plan = planned(launcher, endless(records, seed=21))
    command = [sys.executable, "-c", LAUNCHER, settings.model_dump_json(), job.model_dump_json(), str(runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as first:
        assert first.stdout is not None
        wait_for_word(first.stdout, "step")
        same_machine = launcher.launch(job, plan)  # follows what the first one writes here, and asks AWS nothing
        assert same_machine.attached
        assert any(event["event"] == "step" for _ in range(50) for event in same_machine.events(1.0))
        same_machine.close()
        first.send_signal(signal.SIGKILL)

    elsewhere = SageMakerTraining(settings, tmp_path / "elsewhere")
    _, plan_elsewhere = planned(elsewhere, job)
    watching = elsewhere.launch(job, plan_elsewhere)
    assert watching.attached
    watching.stop(0.1)
    watching.close()
    entries = Ledger(tmp_path / "elsewhere").entries()
    assert [entry.status for entry in entries if isinstance(entry, End)] == ["NotCreated"]

    def cancel(event: dict[str, Any]) -> None:
        if event["event"] == "step":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        supervise(launcher, job, plan, PATIENCE, cancel)

    (remote,) = jobs_of(aws, plan)
    assert (remote["TrainingJobName"][-2:], remote["TrainingJobStatus"]) == ("-1", "Stopped")
    launch, end = Ledger(runs).entries()
    assert (launch.job_name, end.status) == (remote["TrainingJobName"], "Stopped")
    assert (plan.run_path / "log.txt").read_text().count("--- training job") == 1


def test_without_spot_capacity_an_on_demand_machine_is_taken_and_who_stops_it_means_it(aws, records, tmp_path):
    settings = settings_for(aws, "capacity", on_demand_after_failures=2)
    launcher = SageMakerTraining(settings, tmp_path / "runs")
    job, plan = planned(launcher, endless(records, seed=22))
    prefix = f"train-{plan.run_key[:12]}"
    aws.plan_faults(FaultPlan(name_prefix=prefix, no_capacity=2, stop_after='"event": "step"'))
    heard: list[dict[str, Any]] = []

    with pytest.raises(JobStopped, match="stopped at SageMaker by someone else"):
        supervise(launcher, job, plan, PATIENCE, heard.append)

    jobs = jobs_of(aws, plan)
    assert [one["TrainingJobStatus"] for one in jobs] == ["Failed", "Failed", "Stopped"]
    assert [one["EnableManagedSpotTraining"] for one in jobs] == [True, True, False]
    warnings = [event["message"] for event in heard if event.get("level") == "warning"]
    assert [warning for warning in warnings if "on-demand machine" in warning]
    launches = [entry for entry in Ledger(tmp_path / "runs").entries() if isinstance(entry, Launch)]
    assert [(launch.use_spot, launch.instead_of_spot) for launch in launches] == [(True, False)] * 2 + [(False, True)]


def test_capacity_that_does_not_come_is_given_up_for_a_retry(aws, records, tmp_path):
    launcher = SageMakerTraining(settings_for(aws, "never", capacity_attempts=2), tmp_path / "runs")
    job, plan = planned(launcher, tiny(records, seed=23))
    aws.plan_faults(FaultPlan(name_prefix=f"train-{plan.run_key[:12]}", no_capacity=99))

    for num_jobs in (2, 4):  # and so does a retry, with names of its own
        with pytest.raises(CapacityMissing) as raised:
            supervise(launcher, job, plan, PATIENCE, lambda _: None)
        assert raised.value.retryable
        assert len(jobs_of(aws, plan)) == num_jobs
    assert len({one["TrainingJobName"] for one in jobs_of(aws, plan)}) == 4


@pytest.mark.parametrize(("refusal", "error"), [("quota", CloudRefused), ("role", CloudRefused), ("image", JobRefused)])
def test_what_aws_refuses_is_told_once_and_costs_nothing(refusal, error, aws, records, tmp_path):
    launcher = SageMakerTraining(settings_for(aws, "refused"), tmp_path / "runs")
    job, plan = planned(launcher, tiny(records, seed=24))
    aws.plan_faults(FaultPlan(refusal=refusal))
    before = aws.calls()["CreateTrainingJob"]

    with pytest.raises(error) as raised:
        supervise(launcher, job, plan, PATIENCE, lambda _: None)

    assert not raised.value.retryable
    assert aws.calls()["CreateTrainingJob"] == before + 1
    assert Ledger(tmp_path / "runs").totals().spent_usd == 0


def test_fifty_launches_ask_twice_each_and_send_code_and_inputs_once(aws, records, tmp_path):
    launcher = SageMakerTraining(settings_for(aws, "many", capacity_attempts=1), tmp_path / "runs")
    aws.plan_faults(FaultPlan(no_capacity=9999))
    plans = [planned(launcher, tiny(records, seed=seed)) for seed in range(100, 150)]
    job, plan = plans[0]
    calls, requests = aws.calls(), aws.s3_requests()

    for job, plan in plans:
        assert launcher.newest_step(plan) == -1
        launched = launcher.launch(job, plan)
        assert not launched.attached
        launched.close()

    assert aws.calls() - calls == {"CreateTrainingJob": 50}
    made = aws.s3_requests() - requests
    assert made["GET"] == 50  # one look each at what the run has in S3
    assert made["HEAD"] == 3  # code and two inputs, that nobody has sent yet
    parts = sum(len(channel) for channel in (("start", "bundle"), ("jsonl", "arrow", "complete") * 2))
    assert 2 * 50 < made["PUT"] <= 2 * 50 + parts  # what another test has sent is found


def test_an_unfinished_run_of_other_code_is_refused_unless_it_is_to_be_gone_on_with(aws, records, tmp_path):
    launcher = SageMakerTraining(settings_for(aws, "builds", capacity_attempts=1), tmp_path / "runs")
    job, plan = planned(launcher, tiny(records, seed=25))
    aws.plan_faults(FaultPlan(no_capacity=9999))
    begun = plan.build.to_json() | {"libraries": plan.build.libraries | {"torch": "1.0"}}
    prefix = f"builds/runs/train/{plan.run_key[:12]}/deadbeef"
    for name in ("build.json", "checkpoints/step-000000006-a1/manifest.json"):
        aws.client("s3").put_object(Bucket=aws.bucket, Key=f"{prefix}/{name}", Body=json.dumps(begun).encode())

    for _ in range(2):  # by what lies in S3, then by what was noted here
        with pytest.raises(BuildDiffers, match=r"torch: 1.0 then"):
            launcher.launch(*planned(launcher, job))

    again = plan_run(job, launcher.runs_path, machine=launcher.machine, reuse_build=True)
    launcher.launch(job, again).close()
    (remote,) = jobs_of(aws, plan)
    assert re.fullmatch(rf"train-{plan.run_key[:12]}-deadbeef-[0-9a-f]{{6}}-1", remote["TrainingJobName"])
    assert remote["AlgorithmSpecification"]["ContainerArguments"][-1] == "--reuse-build"


def wait_for_word(lines: Any, word: str) -> None:
    deadline = time.monotonic() + 120
    for line in lines:
        if line.strip() == word:
            return
        assert time.monotonic() < deadline
    raise AssertionError(f"ended without {word!r}")


@pytest.mark.parametrize(
    ("instance_type", "device", "precision"),
    [("ml.g4dn.xlarge", "cuda", "fp16"), ("ml.g5.xlarge", "cuda", "bf16"), ("ml.c5.xlarge", "cpu", "off")],
)
def test_device_and_precision_are_those_of_the_instance_before_a_run_is_named(
    instance_type, device, precision, records, tmp_path
):
    launcher = SageMakerTraining(SageMakerSettings(instance_type=instance_type), tmp_path)
    job = tiny(records, compute=ComputeSettings())

    resolved = launcher.resolved(job)

    assert isinstance(resolved, TrainSettings)
    assert (resolved.compute.device, resolved.compute.precision) == (device, precision)
    plan = plan_run(resolved, tmp_path, machine=launcher.machine)
    assert plan.build.machine["device_class"] == launcher.machine.device_class
    with pytest.raises(SettingsInvalid, match="give a multiple of 2"):
        SageMakerTraining(SageMakerSettings(instance_type=instance_type, num_instances=2), tmp_path).resolved(job)
