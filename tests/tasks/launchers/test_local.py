"""A job process is tied to the process that supervises it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.errors import CloudRefused, SettingsInvalid
from models.jobs.build import Build
from models.jobs.layout import OtherBuild, RunPlan
from models.jobs.placement import Placement
from models.settings.fields import Settings
from models.store.s3 import S3Uri
from tasks.aws.session import AwsSession
from tasks.launchers.aws_profile import PrivateProfile
from tasks.launchers.contract import JobState
from tasks.launchers.local import LocalProcess
from tasks.launchers.run_files import is_locked

STUB = Path(__file__).parent.parent / "stub_job.py"

SUPERVISOR = """
import sys
from pathlib import Path
from models.jobs.build import Build
from models.jobs.layout import RunPlan
from models.settings.fields import Settings
from tasks.launchers.local import LocalProcess

runs, stub = sys.argv[1:]
plan = RunPlan("stub", "stub", "0" * 64, "1" * 64, Build({}, {}, {}), Path(runs) / "stub/a/b")
command = [sys.executable, stub, "--steps", "999", "--step-seconds", "0.1"]
job = LocalProcess(Path(runs), command).launch(Settings(), plan)
print(job.pid, flush=True)
while True:
    job.events(1.0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the tie to the parent is a feature of Linux")
def test_sigkill_of_the_supervisor_leaves_no_orphan(tmp_path):
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path), str(STUB)]
    supervisor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    pid = int(supervisor.stdout.readline())
    run_path = tmp_path / "stub/a/b"
    wait_for(lambda: (run_path / "checkpoints/head.json").exists())
    assert os.getpgid(pid) == os.getpgid(supervisor.pid)  # Prefect signals the group

    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()

    wait_for(lambda: not is_running(pid))
    supervisor.stdout.close()


def test_a_run_directory_that_cannot_be_made_is_refused(tmp_path):
    plan = RunPlan("stub", "stub", "0" * 64, "1" * 64, Build({}, {}, {}), Path("/dev/null/x/run"))
    with pytest.raises(SettingsInvalid, match="no run can lie in /dev/null/x/run"):
        LocalProcess(Path("/dev/null/x")).launch(Settings(), plan)


def test_a_job_that_goes_on_with_another_build_is_told_so_once(tmp_path):
    build, run_path = Build({}, {}, {}), tmp_path / "run"
    reused = OtherBuild(run_path, False, ["a.py changed"])
    plan = RunPlan("stub", "stub", "0" * 64, "1" * 64, build, run_path, (reused,), reused)
    program = "import sys; open(sys.argv[1] + '.told', 'w').write(' '.join(sys.argv[2:]))"
    job = LocalProcess(tmp_path, [sys.executable, "-c", program]).launch(Settings(), plan)
    job.wait(20)
    job.close()

    assert (run_path / "job.json.told").read_text().split().count("--reuse-build") == 1


MIRRORED = """
import json, os, sys
from pathlib import Path
import boto3
found = boto3.Session().get_credentials()
told = {
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "access_key": found.access_key,
    "token": found.token,
    "region": boto3.Session().region_name,
    "mode": oct(Path(os.environ["AWS_CONFIG_FILE"]).stat().st_mode & 0o777),
}
Path(sys.argv[1] + ".told").write_text(json.dumps(told))
"""


@pytest.fixture
def nothing_in_s3(monkeypatch):
    """No other machine has finished the run; S3 itself is not asked."""
    monkeypatch.setattr(LocalProcess, "_brought_home", lambda *_: False)


def test_a_mirrored_child_finds_credentials_that_lie_on_no_disk_and_in_no_environment(
    tmp_path, monkeypatch, nothing_in_s3
):
    import boto3

    secrets = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "hidden", "aws_session_token": "token"}
    session = AwsSession(boto3.Session(**secrets), "eu-north-1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the supervisor")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    run_path = tmp_path / "run/01234567"
    plan = RunPlan("train", "label", "0" * 64, "1" * 64, Build({}, {}, {}), run_path)
    command = [sys.executable, "-c", MIRRORED]
    job = LocalProcess(tmp_path, command, store=S3Uri("a-bucket", "x"), session=session).launch(Settings(), plan)
    assert job.wait(60).state is not JobState.RUNNING
    job.close()

    told = json.loads((run_path / "job.json.told").read_text())
    assert (told["access_key"], told["token"], told["region"]) == ("AKIDEXAMPLE", "token", "eu-north-1")
    assert told["mode"] == "0o600"
    environment = told["environment"]
    assert not {"hidden", "token", "AKIDEXAMPLE", "of the supervisor"} & set(environment.values())
    assert environment["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:9"
    assert not Path(environment["AWS_CONFIG_FILE"]).exists()
    assert environment["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    placement = Placement.model_validate_json(Path(told["arguments"][-1]).read_bytes())
    assert placement.run_uri == "s3://a-bucket/x/runs/train/000000000000/01234567"
    assert (placement.openings_uri, placement.region, placement.run_key) == (None, "eu-north-1", "0" * 64)


class Login:
    """Keys that expire, with a number in them; one is used up by each renewal."""

    def __init__(self) -> None:
        from botocore.credentials import RefreshableCredentials

        self.num_given = 0
        self.credentials = RefreshableCredentials.create_from_metadata(self.give(), self.give, "login")

    def give(self) -> dict[str, str]:
        self.num_given += 1
        soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()  # so each look takes the next
        return {"access_key": f"AKID{self.num_given}", "secret_key": "s", "token": "t", "expiry_time": soon}

    def get_credentials(self):
        return self.credentials


def test_keys_that_expire_are_renewed_while_a_child_is_supervised(monkeypatch):
    import boto3
    from botocore.credentials import RefreshableCredentials

    profile = PrivateProfile(AwsSession(Login(), "eu-north-1"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in profile.environment({}).items():
        monkeypatch.setenv(name, value)
    found = boto3.Session().get_credentials()
    before = found.get_frozen_credentials().access_key
    profile.renew()  # not before a minute has passed
    assert boto3.Session().get_credentials().access_key == before

    monkeypatch.setattr(profile, "_renew_at", 0.0)
    profile.renew()

    assert boto3.Session().get_credentials().access_key != before
    assert isinstance(found, RefreshableCredentials)
    assert found.refresh_needed(refresh_in=21 * 60)  # the child asks again by itself
    assert not found.refresh_needed(refresh_in=15 * 60)
    profile.remove()


def test_without_credentials_a_mirrored_child_is_not_started_and_the_run_is_free(tmp_path, nothing_in_s3):
    class Nobody:
        def get_credentials(self):
            return None

    plan = RunPlan("train", "label", "0" * 64, "1" * 64, Build({}, {}, {}), tmp_path / "run")
    launcher = LocalProcess(tmp_path, store=S3Uri("a-bucket", "x"), session=AwsSession(Nobody(), "eu-north-1"))
    with pytest.raises(CloudRefused, match="there are no AWS credentials"):
        launcher.launch(Settings(), plan)
    assert not is_locked(tmp_path / "run/launch.lock")


def is_running(pid: int) -> bool:
    """False for the dead, and for zombies that nobody has collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition, *, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
