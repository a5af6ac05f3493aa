"""A data set built beside its place and moved there whole: what is there before stays until then."""

from __future__ import annotations

import shutil

from models.data.balanced.building import FILES, Built, build
from models.data.job_progress import put_in_place
from models.jobs.contract import JobContext
from models.settings.balance import BalanceSettings

TEMP_FOLDER = ".balance"


def built_in_place(settings: BalanceSettings, context: JobContext) -> Built:
    """Build ``FILES`` in the run directory. Errors as ``build``; nothing is changed then."""
    temp_path = context.run_path / TEMP_FOLDER
    shutil.rmtree(temp_path, ignore_errors=True)
    temp_path.mkdir(parents=True)
    try:
        built = build(settings, temp_path, context)
        put_in_place(temp_path, context.run_path, FILES)
    finally:
        shutil.rmtree(temp_path, ignore_errors=True)
    return built
