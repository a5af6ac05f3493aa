"""Where deployments run: the work pools, as ``prefect.yaml`` names them."""

from __future__ import annotations

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from deployments.definitions import LOCAL_POOL


def ensure_local_pool(client: SyncPrefectClient) -> bool:
    """Make the pool if it is missing; whether it was made."""
    try:
        client.read_work_pool(LOCAL_POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=LOCAL_POOL, type="process", base_job_template=template))
        return True
    return False
