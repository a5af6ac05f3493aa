"""Names and times that pools, automations, server and worker agree on."""

from __future__ import annotations

LOCAL_POOL = "local-process"
"""Work pool of flow runs that are processes on the worker's machine; also named in ``prefect.yaml``."""

HEARTBEAT_SECONDS = 30
"""How often a flow run says that it lives; Prefect allows no less."""

ZOMBIE_SECONDS = 90
"""Silence after which a run counts as dead: three heartbeats."""
