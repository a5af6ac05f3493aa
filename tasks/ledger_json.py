"""The ledger for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tasks.aws.settings import BudgetSettings
from tasks.ledger_entries import Entry
from tasks.ledger_report import COMPUTED
from tasks.ledger_totals import Attempt, Totals, newest_budget, totals_of


def cost_json(entries: Sequence[Entry], flow_run: str | None, budget: BudgetSettings | None) -> str:
    """The ledger as JSON; money in USD, unrounded.

    Args:
        entries: All of it.
        flow_run: Only its attempts; ``None``: all, and storage.
        budget: What to hold the sums against; ``None``: the one that the newest launch was held against.
    """
    totals = totals_of(entries, flow_run)
    held = budget if budget is not None else newest_budget(entries)
    overall = totals_of(entries)
    content = {
        "flow_run": flow_run,
        "attempts": [_attempt_json(attempt) for attempt in totals.attempts],
        "runs": {key: _sums_json(run) for key, run in totals.by_run().items()},
        "kinds": {kind: _sums_json(of_kind) for kind, of_kind in totals.by_kind().items()},
        "storage": [
            {
                "prefix": cost.newest.prefix,
                "size_bytes": cost.newest.size_bytes,
                "num_objects": cost.newest.num_objects,
                "usd_per_month": cost.newest.usd_per_month,
                "usd": cost.usd,
            }
            for cost in totals.storage
        ],
        **_sums_json(totals),
        "storage_usd": totals.storage_usd,
        "spent_usd": totals.spent_usd,
        "budget": {
            **held.model_dump(),
            "spent_usd": overall.spent_usd,
            "reserved_usd": overall.reserved_usd,
            "remaining_usd": overall.remaining_usd(held),
        },
        "num_unknown_ends": len(totals.unknown_ends),
        "how": COMPUTED,
    }
    return json.dumps(content, indent=1) + "\n"


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    launch, end = attempt.launch, attempt.end
    return {
        "job_name": launch.job_name,
        "run_key": launch.run_key,
        "kind": launch.kind,
        "label": launch.label,
        "flow_run": launch.flow_run,
        "instance_type": launch.instance_type,
        "num_instances": launch.num_instances,
        "use_spot": launch.use_spot,
        "instead_of_spot": launch.instead_of_spot,
        "rate_usd_per_hour": launch.rate.usd_per_hour,
        "rate_source": launch.rate.source,
        "rate_as_of": launch.rate.as_of,
        "status": end.status if end else None,
        "training_seconds": end.training_seconds if end else None,
        "billable_seconds": end.billable_seconds if end else None,
        "repeated_steps": end.repeated_steps if end else None,
        **_sums_json(Totals((attempt,), (), ())),
    }


def _sums_json(totals: Totals) -> dict[str, Any]:
    return {
        "attempts_usd": totals.attempts_usd,
        "reserved_usd": totals.reserved_usd,
        "on_demand_equivalent_usd": totals.on_demand_usd,
        "saved_by_spot_usd": totals.saved_usd,
        "repeated_usd": totals.repeated_usd,
        "num_interruptions": totals.num_interruptions,
    }
