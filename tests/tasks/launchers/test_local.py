"""A job process is tied to the process that supervises it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.errors import SettingsInvalid
from models.jobs.build import Build
from models.jobs.layout import OtherBuild, RunPlan
from models.settings.fields import Settings
from tasks.launchers.local import LocalProcess

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
