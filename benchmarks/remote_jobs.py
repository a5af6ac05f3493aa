"""Training jobs with a mirror in S3, as a reclaimed machine's successor runs them: on a disk that has nothing."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.killing import Attempt, Kill, run_to_kill
from benchmarks.local_aws import LocalAws
from benchmarks.remote_turns import newest_bytes
from models.jobs.contract import PROGRESS_FILE, RECORD_FILE
from models.jobs.placement import Placement, read_placement
from models.jobs.registry import ENTRY_MODULES, OBJECTIVE_MODULES, parse_job
from models.settings.train import TrainSettings
from models.store.crash_points import MID_STEP

EXIT_INTERRUPTED = 75
CHILD = "import sys; from benchmarks.remote_jobs import child; sys.exit(child(*sys.argv[1:]))"


@dataclass(frozen=True)
class Start:
    """A start on an empty disk.

    Args:
        seconds: From the end of imports until the first step after the checkpoint begins [s].
        step_seconds: Its gradients took so long [s].
        requests: Requests to S3 until then, by HTTP method.
    """

    seconds: float
    step_seconds: float
    requests: Counter[str]


@dataclass(frozen=True)
class JobFigures:
    """What a job said of itself, in its record, after it had been interrupted and started on empty disks.

    Args:
        record: Entry of its last attempt in ``record.json``.
        starts: Starts that were ended after their first step.
        checkpoint_bytes: Size of its last checkpoint [bytes].
    """

    record: dict[str, Any]
    starts: list[Start]
    checkpoint_bytes: int

    @property
    def stalled_seconds(self) -> float:
        """Training stood still for saving [s]."""
        return float(self.record["seconds_saving"])

    @property
    def last_wait_seconds(self) -> float:
        """Waited once, after the last step, for the last upload [s]."""
        return float(self.record["seconds_waiting_for_uploads"])

    @property
    def training_seconds(self) -> float:
        """From the first step to the end of the last save [s]."""
        return float(self.record["seconds_training"]) - self.last_wait_seconds

    @property
    def share(self) -> float:
        """Share of training that stood still for saving."""
        return self.stalled_seconds / self.training_seconds

    @property
    def share_with_last_wait(self) -> float:
        """The same, with the wait for the last upload."""
        return (self.stalled_seconds + self.last_wait_seconds) / (self.training_seconds + self.last_wait_seconds)


def run_job(aws: LocalAws, settings: TrainSettings, folder: Path, *, num_starts: int = 2) -> JobFigures:
    """Interrupt a job after its first step, start it on empty disks, and let the last one go on to its end.

    Args:
        aws: Where S3 is.
        settings: The job.
        folder: Becomes its own; the job is mirrored under its name.
        num_starts: Starts that end after their first step.

    Raises:
        RuntimeError: the job did not leave when asked to, or did not end well.
    """
    folder.mkdir()
    (folder / "job.json").write_text(settings.model_dump_json())
    placement = Placement(run_uri=f"s3://{aws.bucket}/runs/{folder.name}", region=aws.region, notice_seconds=60)
    (folder / "placement.json").write_text(placement.model_dump_json())
    _interrupt(aws, folder)
    starts = [_start(aws, folder, f"disk-{number}") for number in range(num_starts)]
    _run_child(aws, folder, "disk-last", dies="")
    record: dict[str, Any] = json.loads((folder / "disk-last" / RECORD_FILE).read_bytes())["attempts"][-1]
    return JobFigures(record, starts, newest_bytes(folder / "disk-last"))


def _interrupt(aws: LocalAws, folder: Path) -> None:
    """Run the job on a disk of its own until its first step has been told, then ask it to leave."""
    command = [sys.executable, "-m", "models", str(folder / "job.json"), f"--run-dir={folder / 'disk-first'}"]
    command += [f"--runs={folder}", f"--placement={folder / 'placement.json'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment(aws)) as job:
        assert job.stdout is not None
        for line in job.stdout:
            if json.loads(line)["event"] == "step":
                job.send_signal(signal.SIGTERM)
                break
        job.stdout.read()
    if job.returncode != EXIT_INTERRUPTED:
        raise RuntimeError(f"the job was asked to leave, and ended with {job.returncode}")


def _start(aws: LocalAws, folder: Path, disk: str) -> Start:
    before = aws.s3_requests()
    _run_child(aws, folder, disk, dies="dies")
    requests = aws.s3_requests() - before
    seconds_to_gradients = float((folder / f"{disk}.clock").read_text())
    seconds = _training_began(folder / disk) - float((folder / f"{disk}.began").read_text())
    return Start(seconds, seconds_to_gradients - seconds, requests)


def _training_began(run_path: Path) -> float:
    """When it told that it trains, since 1970 [s]."""
    events = [json.loads(line) for line in (run_path / PROGRESS_FILE).read_bytes().splitlines()]
    return max(float(event["time"]) for event in events if event.get("phase") == "train")


def _run_child(aws: LocalAws, folder: Path, disk: str, *, dies: str) -> None:
    command = [sys.executable, "-c", CHILD, str(folder), disk, dies]
    code = subprocess.run(command, env=_environment(aws), check=False).returncode
    if code != (-signal.SIGKILL if dies else 0):
        raise RuntimeError(f"the job on {disk} ended with {code}")


def child(folder_name: str, disk: str, dies: str) -> int:
    """Import everything, then run the job on ``disk``; with ``dies`` until its first step."""
    importlib.import_module("boto3")
    for module in {**ENTRY_MODULES, **OBJECTIVE_MODULES}.values():
        importlib.import_module(module)
    folder = Path(folder_name)
    settings = parse_job((folder / "job.json").read_bytes())
    assert isinstance(settings, TrainSettings)
    placement = read_placement(folder / "placement.json")
    (folder / f"{disk}.began").write_text(f"{time.time()}")
    attempt = Attempt(settings, folder / disk, folder / f"{disk}.note", placement, 0)
    return run_to_kill(attempt, Kill(0, MID_STEP) if dies else None)


def _environment(aws: LocalAws) -> dict[str, str]:
    return {**os.environ, **aws.environment}
