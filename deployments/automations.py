"""What the server does by itself: crash the runs whose process is gone."""

from __future__ import annotations

from datetime import timedelta

from prefect.automations import Automation
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from deployments.definitions import ZOMBIE_SECONDS

HEARTBEAT = "prefect.flow-run.heartbeat"
ENDINGS = ("Completed", "Failed", "Cancelled", "Crashed")


def zombie_automation(silence_seconds: int = ZOMBIE_SECONDS) -> Automation:
    """Marks a run Crashed that stopped sending heartbeats: worker and flow were killed together."""
    return Automation(
        name="crash-zombie-flow-runs",
        description=f"A flow run that sends no heartbeat for {silence_seconds} s is dead, whatever it says.",
        trigger=EventTrigger(
            after={HEARTBEAT},
            expect={HEARTBEAT, *(f"prefect.flow-run.{ending}" for ending in ENDINGS)},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silence_seconds),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=f"no heartbeat for {silence_seconds} s")],
    )


def ensure_automation(automation: Automation) -> bool:
    """Make the automation if none has its name; whether it was made."""
    try:
        Automation.read(name=automation.name)  # type: ignore[unused-coroutine]  # no event loop here: synchronous
    except ValueError:
        automation.create()
        return True
    return False
