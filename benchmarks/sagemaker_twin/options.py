"""How long the twin takes for what the platform does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TwinOptions:
    """Times and rates of the platform, short so that tests are.

    Args:
        starting_seconds: Time until a job has a machine [s].
        sync_seconds: Time between two passes of the checkpoint sync [s].
        stop_seconds: Time between SIGTERM and SIGKILL when a job is stopped [s]; 120 on the platform.
        spot_discount: Share that Spot takes off the bill.
        namespaces: Off: jobs are plain children, as where the machine allows no namespaces.
    """

    starting_seconds: float = 0.0
    sync_seconds: float = 1.0
    stop_seconds: float = 120.0
    spot_discount: float = 0.7
    namespaces: bool = True
