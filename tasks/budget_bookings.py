"""What the ledger has booked on each item of the first budget."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.jobs.contract import SETTINGS_FILE
from models.store.run_identity import RUN_KEY_DIGITS
from tasks.budget_items import NOISE, OTHER, STORED, Phase, key_of
from tasks.ledger_entries import SECONDS_PER_HOUR, Launch
from tasks.ledger_totals import Attempt, Totals

FINDINGS = "findings"
"""Folder of runs whose records are those of the stages, which the first budget does not know."""


@dataclass(frozen=True)
class Booking:
    """What was booked on an item.

    Args:
        hours: That were billed, of all machines [h].
        usd: What they cost [USD].
    """

    hours: float
    usd: float


Bookings = Mapping[tuple[Phase | None, str], Booking]


def bookings_of(totals: Totals, runs_path: Path) -> Bookings:
    """Ended attempts by phase and key; ``(None, "other")`` and ``(None, "stored")`` hold what belongs to no item.

    A training that leaves a fold out or is given weights is Phase 2's, another one Phase 1's, those that Phase 2 trains
    to compare with included: no more can be told from a launch and its run.

    Args:
        totals: Of the ledger.
        runs_path: The run root, whose runs tell the settings of a launch.
    """
    found: dict[tuple[Phase | None, str], list[Attempt]] = defaultdict(list)
    for attempt in totals.attempts:
        if attempt.end is not None:
            found[_place(attempt.launch, runs_path)].append(attempt)
    bookings: dict[tuple[Phase | None, str], Booking] = {place: _sum(attempts) for place, attempts in found.items()}
    if totals.storage:
        bookings[None, STORED] = Booking(0.0, totals.storage_usd)
    return bookings


def _sum(attempts: list[Attempt]) -> Booking:
    seconds = (each.end.billed_seconds * each.launch.num_instances for each in attempts if each.end is not None)
    return Booking(math.fsum(seconds) / SECONDS_PER_HOUR, math.fsum(each.spent_usd for each in attempts))


def _place(launch: Launch, runs_path: Path) -> tuple[Phase | None, str]:
    settings = _settings_of(launch, runs_path)
    key = key_of(launch.kind, launch.label, str((settings.get("model") or {}).get("kind", "")))
    if key == OTHER or FINDINGS in Path(str(settings.get("train_data", ""))).parts:
        return None, OTHER
    is_phase_1 = launch.kind == "train" and key != NOISE and not settings.get("weights")
    return ("1" if is_phase_1 else "2"), key


def _settings_of(launch: Launch, runs_path: Path) -> dict[str, Any]:
    """Settings of the run that was launched, where it lies here; else empty."""
    pattern = f"*-{launch.run_key[:RUN_KEY_DIGITS]}/*/{SETTINGS_FILE}"
    for path in sorted((runs_path / launch.kind).glob(pattern)):
        settings: dict[str, Any] = json.loads(path.read_bytes())
        return settings
    return {}
