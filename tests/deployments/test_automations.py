"""A run whose worker and process were both killed does not stay Running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deployments.automations import ENDINGS, zombie_automation
from deployments.definitions import HEARTBEAT_SECONDS, ZOMBIE_SECONDS

STUB_FLOW = "tests/tasks/stub_flow.py:stub_training"
ROOT = Path(__file__).resolve().parents[2]


def test_a_run_may_miss_two_heartbeats_and_not_three():
    assert 2 * HEARTBEAT_SECONDS < ZOMBIE_SECONDS <= 3 * HEARTBEAT_SECONDS


def test_a_flow_run_by_hand_from_the_checkout_beats_as_often_as_one_of_the_worker():
    code = "from prefect.settings import get_current_settings as get; print(get().flows.heartbeat_frequency)"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}

    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )

    assert told.stdout.strip() == str(HEARTBEAT_SECONDS)


def test_each_ending_disarms_the_automation():
    trigger = zombie_automation().trigger

    assert {f"prefect.flow-run.{ending}" for ending in ENDINGS} < trigger.expect
    assert trigger.within.total_seconds() == ZOMBIE_SECONDS


@pytest.mark.server
@pytest.mark.long
def test_a_run_whose_worker_and_process_are_gone_is_crashed_by_the_automation(server, prefect_client, tmp_path):
    from prefect.deployments import run_deployment
    from prefect.flows import Flow

    loaded = Flow.from_source(source=str(ROOT), entrypoint=STUB_FLOW)
    loaded.deploy(name="zombie", work_pool_name="local-process", build=False, push=False, print_next_steps=False)
    arguments = ["--steps", "9999", "--step-seconds", "0.5"]
    run = run_deployment(
        "stub-training/zombie", parameters={"folder": str(tmp_path), "arguments": arguments}, timeout=0
    )
    wait_for(lambda: list(tmp_path.glob("runs/train/*/*/checkpoints/head.json")), seconds=60)
    (attempts_path,) = tmp_path.glob("runs/train/*/*/attempts.txt")
    child = int(attempts_path.read_text().split()[-1])
    flow = int(Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[1])
    worker = int((server.home_path / "worker.lock").read_text())
    time.sleep(HEARTBEAT_SECONDS + 5)  # the automation counts from a heartbeat
    try:
        os.kill(worker, signal.SIGKILL)
        os.kill(flow, signal.SIGKILL)
        assert prefect_client.read_flow_run(run.id).state.name == "Running"  # nobody is left to say otherwise

        wait_for(lambda: prefect_client.read_flow_run(run.id).state.is_final(), seconds=ZOMBIE_SECONDS + 60)
        state = prefect_client.read_flow_run(run.id).state
        assert (state.name, state.message) == ("Crashed", f"no heartbeat for {ZOMBIE_SECONDS} s")
    finally:
        server.command("deployments.server", "up", "--port", str(server.port))


def wait_for(condition, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
