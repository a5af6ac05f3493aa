"""AWS on this machine, as far as this project needs it: moto for everything but training jobs, the twin for those.

with LocalAws(folder) as aws:
    os.environ.update(aws.environment)
    boto3.client("sagemaker").create_training_job(RoleArn=aws.role, ...)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.s3_weather import CONTROL_PATH, S3Fault
from benchmarks.sagemaker_twin.faults import FaultPlan, Reclaim
from benchmarks.sagemaker_twin.options import TwinOptions

__all__ = ["FaultPlan", "LocalAws", "Reclaim", "S3Fault", "TwinOptions"]

REGION = "us-east-1"
ROLE_NAME = "codewarden-training"
ROOT = Path(__file__).resolve().parents[1]
CONTROL_SECONDS = 30
END_SECONDS = 20
LOOK_SECONDS = 0.1


class LocalAws:
    """Moto and the twin as processes on free ports, with a bucket and an execution role; both end with this process.

    Args:
        folder: Where the disks of jobs and the logs of the servers lie.
        bucket: Name of the bucket that is made.
        latency_seconds: Added to each request to S3, the twin's own excepted [s].
        twin: Whether training jobs are wanted; without it, ``environment`` sends everything to moto.
        options: Times and rates of the twin.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bucket: str = "codewarden-test",
        latency_seconds: float = 0.0,
        twin: bool = True,
        options: TwinOptions | None = None,
    ) -> None:
        self.bucket = bucket
        self.region = REGION
        self.role = ""
        self.s3_url = ""
        self.twin_url = ""
        self.isolation = ""
        """How the twin sets jobs apart, as it says itself; "none" where the machine allows no namespaces."""
        self._folder = folder
        self._latency_seconds = latency_seconds
        self._with_twin = twin
        self._options = options or TwinOptions()
        self._processes: list[subprocess.Popen[str]] = []
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            moto = self._start("moto", ["benchmarks.local_moto", "--latency-seconds", str(self._latency_seconds)])
            self.s3_url = moto["url"]
            if self._with_twin:
                twin = self._start("twin", self._twin_command())
                self.twin_url, self.isolation = twin["url"], twin["isolation"]
            self._make_bucket_and_role()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End both servers and every job."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.communicate(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        self._processes.clear()

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which boto3, in this process or another, finds all of it and no other AWS."""
        return {
            "AWS_ENDPOINT_URL": self.s3_url,
            **({"AWS_ENDPOINT_URL_SAGEMAKER": self.twin_url} if self._with_twin else {}),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, service: str) -> Any:
        """A boto3 client of it, whatever the environment of this process says; made once, safe for several threads."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make_client(service)
            return self._clients[service]

    def _make_client(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        endpoint_url = self.twin_url if service == "sagemaker" and self._with_twin else self.s3_url
        return boto3.session.Session().client(
            service,
            region_name=self.region,
            endpoint_url=endpoint_url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(s3={"addressing_style": "path"}),
        )

    def plan_faults(self, faults: FaultPlan) -> None:
        """From now on for new jobs with its prefix."""
        self._ask(f"{self.twin_url}/twin/faults", faults.as_dict())

    def clear_faults(self) -> None:
        """No plan holds for new jobs any more."""
        self._ask(f"{self.twin_url}/twin/faults", method="DELETE")

    def jobs(self) -> list[dict[str, Any]]:
        """All training jobs in the order of their creation, as DescribeTrainingJob tells them.

        Times are in seconds since 1970; ``NumStarts`` says how often a job got machines.
        """
        jobs: list[dict[str, Any]] = self._ask(f"{self.twin_url}/twin/jobs")
        return jobs

    def calls(self) -> Counter[str]:
        """Calls of the training API so far, by operation."""
        return Counter(self._ask(f"{self.twin_url}/twin/calls"))

    def s3_faults(self, *faults: S3Fault) -> None:
        """From now on requests to S3 fail so; without arguments, they no longer do."""
        self._ask(f"{self.s3_url}{CONTROL_PATH}faults", [fault.as_dict() for fault in faults])

    def s3_latency(self, seconds: float) -> None:
        """From now on each request to S3 takes so much longer [s]."""
        self._ask(f"{self.s3_url}{CONTROL_PATH}latency", seconds)

    def s3_requests(self) -> Counter[str]:
        """Requests to S3 so far, by HTTP method; those of the twin itself are not counted."""
        return Counter(self._ask(f"{self.s3_url}{CONTROL_PATH}counts"))

    def wait_for(self, job_name: str, *, secondary: str | None = None, deadline_seconds: float = 60) -> dict[str, Any]:
        """A job once it has ended, or has entered ``secondary`` for the first time.

        Raises:
            TimeoutError: It has not within the deadline.
        """
        deadline = time.monotonic() + deadline_seconds
        while True:
            job = next(one for one in self.jobs() if one["TrainingJobName"] == job_name)
            entered = {transition["Status"] for transition in job["SecondaryStatusTransitions"]}
            if "TrainingEndTime" in job or secondary in entered:
                return job
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job_name} is still {job['SecondaryStatus']} after {deadline_seconds:g} s")
            time.sleep(LOOK_SECONDS)

    def log(self, job_name: str) -> list[str]:
        """What a job has logged, over all of its starts and hosts, in the order of time."""
        logs = self.client("logs")
        group = "/aws/sagemaker/TrainingJobs"
        events: list[dict[str, Any]] = []
        try:
            streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job_name}/")["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        for stream in streams:
            token: dict[str, str] = {}
            while True:
                page = logs.get_log_events(
                    logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, **token
                )
                if not page["events"]:
                    break
                events += page["events"]
                token = {"nextToken": page["nextForwardToken"]}
        return [event["message"] for event in sorted(events, key=lambda event: event["timestamp"])]

    def _twin_command(self) -> list[str]:
        options = self._options
        command = ["benchmarks.sagemaker_twin", "--port", "0", "--folder", str(self._folder / "jobs")]
        command += ["--s3", self.s3_url, "--proxy", self.s3_url, "--region", self.region]
        for name in ("starting_seconds", "sync_seconds", "stop_seconds", "spot_discount"):
            command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
        return command if options.namespaces else [*command, "--no-namespaces"]

    def _start(self, name: str, module: list[str]) -> dict[str, Any]:
        """Start a server and read the line by which it says that it is ready."""
        log_path = self._folder / f"{name}.log"
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{name} did not start: {log_path.read_text(errors='replace')[-2000:]}")
        ready: dict[str, Any] = json.loads(line)
        return ready

    def _make_bucket_and_role(self) -> None:
        self.client("s3").create_bucket(Bucket=self.bucket)
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
        made = self.client("iam").create_role(RoleName=ROLE_NAME, AssumeRolePolicyDocument=json.dumps(trust))
        self.role = made["Role"]["Arn"]

    def _ask(self, url: str, content: Any = None, method: str | None = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(url, body, method=method)
        with urllib.request.urlopen(request, timeout=CONTROL_SECONDS) as answer:
            return json.load(answer)
