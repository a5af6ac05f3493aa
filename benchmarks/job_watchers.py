"""Ours and others' ways to wait for jobs that run, side by side, and how often each asks."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from unittest.mock import patch

from benchmarks.api_calls import Call, CallLog, count_calls
from benchmarks.local_aws import LocalAws
from tasks.launchers.remote_job import RemoteJob

SDK_POLL_SECONDS = 5
OURS, SDK, SDK_LOGS, WAITER = "ours", "TrainingJob.wait", "TrainingJob.wait, logs", "boto3's waiter"
STATUS, SPEAKING, SILENT = "status", "log of one that speaks", "log of a silent one"


@dataclass(frozen=True)
class Watching:
    """Calls of watching jobs that run.

    Args:
        rates: Calls a job and minute, by watcher and what was asked for [1/min].
        seconds: Watched for so long [s].
    """

    rates: dict[str, dict[str, float]]
    seconds: float

    @property
    def status_ratio(self) -> float:
        """Our looks at the status, of those of the SDK."""
        return self.rates[OURS][STATUS] / self.rates[SDK][STATUS]

    def in_a_minute(self, watcher: str, num_jobs: int) -> float:
        """Calls for so many jobs, half of them silent [1/min]."""
        rates = self.rates[watcher]
        return num_jobs * (rates[STATUS] + (rates[SPEAKING] + rates[SILENT]) / 2)


def watch(
    aws: LocalAws, jobs: Mapping[str, RemoteJob], log: CallLog, speaking: Collection[str], seconds: float
) -> Watching:
    """Let all watchers watch all jobs at the same time.

    Args:
        aws: Where they run.
        jobs: The jobs, by their names.
        log: Hears their launcher.
        speaking: Names of those that print events.
        seconds: For so long [s].
    """
    logs = {OURS: log} | {name: CallLog() for name in (SDK, SDK_LOGS, WAITER)}
    with contextlib.ExitStack() as opened:
        watchers = {
            OURS: our_watcher(jobs, seconds),
            SDK: opened.enter_context(sdk_watcher(aws, logs[SDK], seconds, with_logs=False)),
            SDK_LOGS: opened.enter_context(sdk_watcher(aws, logs[SDK_LOGS], seconds, with_logs=True)),
            WAITER: boto_watcher(aws, logs[WAITER], seconds),
        }
        pool = opened.enter_context(ThreadPoolExecutor(len(watchers) * len(jobs)))
        made = [(watcher, name) for watcher in watchers.values() for name in jobs]
        ready = [watcher(name) for watcher, name in made]  # clients are made before anything is counted
        for heard in logs.values():
            heard.forget()
        for done in [pool.submit(watching) for watching in ready]:
            done.result()
    rates = {name: _rates(heard.calls, set(jobs), set(speaking), seconds) for name, heard in logs.items()}
    return Watching(rates, seconds)


Watcher = Callable[[str], Callable[[], None]]
"""Made ready for a job by its name; watches when it is called."""


def our_watcher(jobs: Mapping[str, RemoteJob], seconds: float) -> Watcher:
    """As ``tasks.supervision`` watches."""

    def ready(name: str) -> Callable[[], None]:
        def follow() -> None:
            deadline = time.monotonic() + seconds
            while (remaining := deadline - time.monotonic()) > 0:
                jobs[name].events(min(1.0, remaining))

        return follow

    return ready


@contextlib.contextmanager
def sdk_watcher(aws: LocalAws, log: CallLog, seconds: float, *, with_logs: bool) -> Iterator[Watcher]:
    """``TrainingJob.wait`` of SageMaker's SDK; nothing of it is shown."""
    import boto3
    from sagemaker.core.resources import TrainingJob  # type: ignore[import-untyped]
    from sagemaker.core.utils.exceptions import TimeoutExceededError  # type: ignore[import-untyped]
    from sagemaker.core.utils.logs import CloudWatchLogsClient  # type: ignore[import-untyped]

    session = boto3.Session(region_name=aws.region)
    log.listen(session)

    def ready(name: str) -> Callable[[], None]:
        job = TrainingJob.get(name, session=session, region=aws.region)

        def wait() -> None:
            with contextlib.suppress(TimeoutExceededError):
                job.wait(poll=SDK_POLL_SECONDS, timeout=math.floor(seconds - SDK_POLL_SECONDS), logs=with_logs)

        return wait

    with contextlib.ExitStack() as patches:
        patches.enter_context(patch("sagemaker.core.resources.Live", lambda *_, **__: contextlib.nullcontext()))
        if with_logs:
            patches.enter_context(patch.object(CloudWatchLogsClient, "client", session.client("logs")))
        yield ready


def boto_watcher(aws: LocalAws, log: CallLog, seconds: float) -> Watcher:
    """``training_job_completed_or_stopped`` at its defaults, as far as it gets in that time."""
    import boto3
    from botocore.exceptions import WaiterError

    session = boto3.Session(region_name=aws.region)
    log.listen(session)
    waiter = session.client("sagemaker").get_waiter("training_job_completed_or_stopped")

    def ready(name: str) -> Callable[[], None]:
        def wait() -> None:
            with contextlib.suppress(WaiterError):  # so it says that the last of its looks found the job running
                waiter.wait(
                    TrainingJobName=name,
                    WaiterConfig={"MaxAttempts": math.ceil(seconds / waiter.config.delay)},
                )

        return wait

    return ready


def _rates(calls: Sequence[Call], jobs: Collection[str], speaking: Collection[str], seconds: float) -> dict[str, float]:
    """Calls a job and minute by what was asked for."""

    def asked(call: Call) -> str:
        if call.operation == "DescribeTrainingJob":
            return STATUS
        return SPEAKING if call.on.partition("/")[0] in speaking else SILENT

    counts = count_calls(calls, asked)
    num_jobs = {STATUS: len(jobs), SPEAKING: len(speaking), SILENT: len(jobs) - len(speaking)}
    return {name: 60 * counts[name] / max(1, number) / seconds for name, number in num_jobs.items()}
