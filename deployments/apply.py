"""Apply what ``prefect.yaml`` cannot hold, to the server of ``PREFECT_API_URL``: ``python -m deployments.apply``."""

from __future__ import annotations

import sys

from prefect.client.orchestration import get_client

from deployments.automations import ensure_automation, zombie_automation
from deployments.definitions import LOCAL_POOL
from deployments.work_pools import ensure_local_pool


def main() -> int:
    """Pools and automations; what is there already stays as it is."""
    with get_client(sync_client=True) as client:
        made = [LOCAL_POOL] if ensure_local_pool(client) else []
    automation = zombie_automation()
    made += [automation.name] if ensure_automation(automation) else []
    sys.stdout.write(f"made: {', '.join(made) or 'nothing, all was there'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
