"""Spot takes machines from the twin's jobs: they start again, on empty disks, with what was synced and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.local_aws import FaultPlan, Reclaim

STAYS = """
import time
print("ready")
while True:
    time.sleep(0.01)
"""
COUNTS = """
import signal, sys, time
from pathlib import Path
leaving = []
signal.signal(signal.SIGTERM, lambda *_: leaving.append(1))
marks = Path("/opt/ml/checkpoints")
marks.mkdir(exist_ok=True)
print("disk", sorted(path.name for path in Path("/opt/ml").iterdir()))
Path("/opt/ml/left-behind").touch()
found = sorted(int(path.name) for path in marks.iterdir())
print("found", found)
for step in range(found[-1] + 1 if found else 0, 6):
    (marks / str(step)).write_text(str(step))
    (marks / str(step - 2)).unlink(missing_ok=True)
    print(f"step={step};")
    for _ in range(10):
        time.sleep(0.01)
        if leaving:
            print("leaving")
            sys.exit(75)
"""


def test_a_reclaimed_job_starts_again_on_an_empty_disk_each_reclaim_once(apart: Any) -> None:
    apart.aws.plan_faults(FaultPlan("bare", reclaims=(Reclaim("step=0;"), Reclaim("step=1;"))))
    job = apart.run("bare", COUNTS)
    log = apart.aws.log("bare")
    assert job["TrainingJobStatus"] == "Completed"
    lost = ["Starting", "Downloading", "Training", "Interrupted"]
    assert apart.statuses(job) == [*lost, *lost, "Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert log.count("found []") == 3, "without CheckpointConfig nothing survives"
    assert log.count("leaving") == 2
    assert not any("left-behind" in line for line in log)


def test_checkpoints_come_back_and_deletions_are_propagated(apart: Any) -> None:
    apart.aws.plan_faults(FaultPlan("synced", reclaims=(Reclaim("step=1;"),)))
    apart.run("synced", COUNTS, CheckpointConfig=apart.checkpoints("synced"))
    first, second = (line for line in apart.aws.log("synced") if line.startswith("found"))
    assert first == "found []"
    assert second in {f"found [{step - 1}, {step}]" for step in range(1, 6)}, "the step it left at, and the one before"
    assert apart.objects("checkpoints/synced/") == {"4": b"4", "5": b"5"}


def test_without_a_notice_what_was_not_synced_is_lost(apart: Any) -> None:
    plan = FaultPlan("hard", reclaims=(Reclaim("step=1;", hard=True),), stall_sync_seconds=3600)
    apart.aws.plan_faults(plan)
    apart.run("hard", COUNTS, CheckpointConfig=apart.checkpoints("hard"))
    log = apart.aws.log("hard")
    assert log.count("found []") == 2
    assert "leaving" not in log
    assert apart.objects("checkpoints/hard/") == {}, "the sync stood still to the end"


def test_a_stalled_sync_goes_on_later(apart: Any) -> None:
    apart.aws.plan_faults(FaultPlan("stalled", stall_sync_seconds=0.3))  # less than the job takes
    apart.run("stalled", COUNTS, CheckpointConfig=apart.checkpoints("stalled"))
    assert apart.objects("checkpoints/stalled/") == {"4": b"4", "5": b"5"}


@pytest.mark.parametrize("final_sync", [True, False])
def test_what_is_written_after_the_notice_may_be_lost(apart: Any, final_sync: bool) -> None:
    source = """
    import signal, sys, time
    from pathlib import Path
    last = Path("/opt/ml/checkpoints/last")
    def leave(*_):
        last.write_text("written in the notice")
        time.sleep(0.2)  # some passes of the sync
        sys.exit(75)
    signal.signal(signal.SIGTERM, leave)
    print("found" if last.exists() else "nothing")
    print("ready")
    time.sleep(600)
    """
    name = f"notice-{str(final_sync).lower()}"
    reclaims = (Reclaim("ready", final_sync=final_sync), Reclaim("ready", hard=True))
    apart.aws.plan_faults(FaultPlan(name, reclaims=reclaims, exceed_max_wait=True))
    apart.run(name, source, CheckpointConfig=apart.checkpoints(name))
    assert apart.aws.log(name) == ["nothing", "ready", "found" if final_sync else "nothing", "ready"]


def test_a_job_that_ignores_the_notice_is_killed_after_it(apart: Any) -> None:
    apart.aws.plan_faults(FaultPlan("deaf", reclaims=(Reclaim("ready", notice_seconds=0.3),), exceed_max_wait=True))
    assert apart.statuses(apart.run("deaf", STAYS))[-4:] == [
        "Interrupted",
        "Starting",
        "Stopping",
        "MaxWaitTimeExceeded",
    ]
