"""What launching and watching jobs on SageMaker asks of AWS: ``python -m benchmarks.remote_launches [--jobs 50]``.

Tiny training jobs of different seeds are launched from several threads, and then watched while they run, on the twin,
where a stub stands in for training: half of them print an event every two seconds, as training does, half are silent.
Beside our watching, others watch the same jobs in the same minutes: ``TrainingJob.wait`` of SageMaker's SDK, with and
without logs, and boto3's waiter at its defaults. Bounds: at most 2 calls for a job beyond uploads, code and each input
uploaded once, looks at the status at most half as often as the SDK's.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

from benchmarks.api_calls import Call, CallLog, count_calls
from benchmarks.job_watchers import OURS, SDK, SILENT, SPEAKING, STATUS, Watching, watch
from benchmarks.local_aws import LocalAws
from benchmarks.resume_cases import tiny_run
from benchmarks.tiny_data import write_tiny_data
from models.jobs.layout import plan_run
from models.settings.train import TrainSettings
from tasks.aws.bundle import BUNDLE_FILE, CodeBundle, code_bundle
from tasks.aws.session import AwsSession
from tasks.aws.settings import SageMakerSettings
from tasks.launchers.remote_job import RemoteJob
from tasks.launchers.training_job import SageMakerTraining

MAX_CALLS_PER_JOB = 2
MAX_STATUS_RATIO = 0.5
NUM_FUNCTIONS = 60
FIRST_SEED = 1000
RUNNING_SECONDS = 300.0
STORE = "many"
STUB = b"""
import json, pathlib, time
job = json.loads((pathlib.Path(__file__).parents[1] / "job" / "job.json").read_bytes())
print(json.dumps({"event": "phase", "time": time.time(), "phase": "train"}), flush=True)
step = 0
while True:
    time.sleep(2)
    step += 1
    if job["seed"] % 2 == 0:
        values = {"step": step, "num_steps": 9999, "epoch": 0, "loss": 0.5, "samples_per_second": 1.0}
        print(json.dumps({"event": "step", "time": time.time(), **values}), flush=True)
"""


@dataclass(frozen=True)
class Launching:
    """Launched jobs, and the calls that took.

    Args:
        jobs: By their names.
        log: Where further calls of their launcher are heard.
        calls: Those of launching.
        seconds: It took [s].
        num_requests: To S3 and the training API, as the servers counted them.
    """

    jobs: dict[str, RemoteJob]
    log: CallLog
    calls: list[Call]
    seconds: float
    num_requests: int

    @property
    def most_beyond_uploads(self) -> int:
        """Calls for a job that neither upload nor are made once for all, of the job with most."""
        return max(count_calls(self.calls, lambda call: call.job if purpose(call) == "job" else None).values())

    @property
    def writes(self) -> Counter[str]:
        """How often each object that jobs share (code, inputs) was written, by its key."""
        return count_calls(
            self.calls,
            lambda call: call.on if (purpose(call), call.operation) == ("shared upload", "PutObject") else None,
        )

    @property
    def num_bundles(self) -> int:
        """Code bundles written."""
        return sum(number for key, number in self.writes.items() if key.endswith(BUNDLE_FILE))


def purpose(call: Call) -> str:
    """What a call of launching is for: a job, an upload for it or for many, or the launcher itself."""
    if call.service in ("sts", "pricing"):
        return "once"
    folder = call.on.removeprefix(f"{STORE}/").partition("/")[0]
    if folder in ("code", "inputs"):
        return "shared upload"
    return "upload" if folder == "jobs" else "job"


def launch(aws: LocalAws, jobs: Sequence[TrainSettings], folder: Path, *, num_threads: int) -> Launching:
    """Launch all jobs by one launcher from several threads.

    Args:
        aws: Where SageMaker and S3 are; the environment of this process must say so too.
        jobs: The jobs.
        folder: The run root.
        num_threads: Threads that launch.
    """
    import boto3

    log = CallLog()
    session = boto3.Session(region_name=aws.region)
    log.listen(session)
    settings = SageMakerSettings(instance_type="ml.c5.xlarge", store=f"s3://{aws.bucket}/{STORE}", role=aws.role)
    launcher = SageMakerTraining(settings, folder, AwsSession(session, aws.region))
    resolved = [launcher.resolved(job) for job in jobs]
    plans = [plan_run(job, folder, machine=launcher.machine) for job in resolved]

    def launch_one(number: int) -> RemoteJob:
        with log.working_for(str(number)):
            launcher.newest_step(plans[number])  # so do supervisors, who ask afterwards whether it got further
            launched = launcher.launch(resolved[number], plans[number])
        assert isinstance(launched, RemoteJob)
        return launched

    before, started = _num_requests(aws), time.monotonic()
    with ThreadPoolExecutor(num_threads) as pool:
        launched = {job.name: job for job in pool.map(launch_one, range(len(jobs)))}
    seconds = time.monotonic() - started
    return Launching(launched, log, log.calls, seconds, _num_requests(aws) - before)


def _num_requests(aws: LocalAws) -> int:
    return aws.s3_requests().total() + aws.calls().total()


def report_launching(launching: Launching) -> bool:
    """Print the calls of launching; whether the bounds were kept."""
    num_jobs = len(launching.jobs)
    print(f"{num_jobs} jobs launched in {launching.seconds:.1f} s")
    print("  call                                 for                calls   a job")
    operations = count_calls(
        launching.calls, lambda call: f"{f'{call.service} {call.operation}':<36} {purpose(call):<15}"
    )
    for name, number in sorted(operations.items()):
        print(f"  {name} {number:8d}  {number / num_jobs:6.2f}")
    num_heard = sum(call.service in ("s3", "sagemaker") for call in launching.calls)
    print(
        f"  S3 and the training API counted {launching.num_requests} requests; "
        f"the launcher made {num_heard} calls there"
    )
    most, bundles = launching.most_beyond_uploads, launching.num_bundles
    written = max(launching.writes.values())
    return all(
        [
            told_bound("calls for a job beyond uploads, at most", most, MAX_CALLS_PER_JOB),
            told_bound("code bundles uploaded", bundles, 1),
            told_bound("times that an object of code or inputs was uploaded", written, 1),
        ]
    )


def report_watching(watching: Watching, num_jobs: int) -> bool:
    """Print the calls of watching; whether the bound was kept."""
    print(f"watching {num_jobs} running jobs for {watching.seconds:g} s, half of them silent; calls a job and minute")
    print(f"                            status  log, speaking  log, silent  all {num_jobs} jobs in a minute  ours is")
    ours = watching.in_a_minute(OURS, num_jobs)
    for name, rates in watching.rates.items():
        total = watching.in_a_minute(name, num_jobs)
        print(
            f"  {name:<24} {rates[STATUS]:7.2f} {rates[SPEAKING]:14.2f} {rates[SILENT]:12.2f} {total:25.0f}"
            f"  {ours / total:6.2f}x"
        )
    return told_bound(f"looks at the status, of {SDK}'s", watching.status_ratio, MAX_STATUS_RATIO)


def told_bound(name: str, value: float, bound: float) -> bool:
    """Print a value beside its bound; whether it is kept."""
    print(f"  {name:<52} {value:5.2f}  (<= {bound:g})  {'ok' if value <= bound else 'MISSED'}", flush=True)
    return value <= bound


def stub_code() -> CodeBundle:
    """Our bundle, with a program that prints instead of training."""
    return replace(code_bundle(), start=STUB)


def main(argv: Sequence[str] | None = None) -> int:
    """Print both tables; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.remote_launches", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--jobs", type=int, default=50, help="jobs to launch [jobs]")
    parser.add_argument("--threads", type=int, default=8, help="threads that launch [threads]")
    parser.add_argument("--seconds", type=float, default=120, help="watching [s]")
    arguments = parser.parse_args(argv)
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="codewarden-remote-launches-")))
        write_tiny_data(folder / "data", NUM_FUNCTIONS)
        aws = opened.enter_context(LocalAws(folder / "aws"))
        opened.enter_context(patch.dict(os.environ, aws.environment))
        opened.enter_context(patch("tasks.launchers.training_job.code_bundle", stub_code))
        job = tiny_run("gnn", folder / "data", num_ranks=1)
        jobs = [job.model_copy(update={"seed": FIRST_SEED + number}) for number in range(arguments.jobs)]
        launching = launch(aws, jobs, folder / "runs", num_threads=arguments.threads)
        held = [report_launching(launching)]
        names = list(launching.jobs)
        for name in names:
            aws.wait_for(name, secondary="Training", deadline_seconds=RUNNING_SECONDS)
        watched = watch(aws, launching.jobs, launching.log, names[::2], arguments.seconds)
        held.append(report_watching(watched, len(names)))
        for launched in launching.jobs.values():
            launched.close()
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main())
