"""The audit of records that runs were made on: found where it was made before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.jobs.layout import is_finished, plan_run
from models.jobs.registry import parse_job
from models.settings.audit import AuditSettings
from models.settings.train import TrainSettings
from tasks.finished_runs import under_root

AUDIT_FILE = "audit.json"


def finished_audit(runs_path: Path, records_path: Path) -> dict[str, Any] | None:
    """Content of ``audit.json`` of these records, by any build; ``None`` where nobody audited them.

    Args:
        runs_path: The run root.
        records_path: Run directory of the records.
    """
    plan = plan_run(AuditSettings(data=records_path), runs_path)
    places = [plan.run_path, *(other.path for other in reversed(plan.others) if other.finished)]
    found = next((path for path in places if is_finished(path)), None)
    return json.loads((found / AUDIT_FILE).read_bytes()) if found is not None else None


def records_of(train_path: Path, runs_path: Path) -> Path:
    """Run directory of the records that a training read.

    Args:
        train_path: Its run directory.
        runs_path: The run root.
    """
    training = parse_job((train_path / "settings.json").read_bytes())
    assert isinstance(training, TrainSettings)
    return under_root(runs_path, training.val_data.parent)
