"""A balanced data set built in two passes: samples to a temporary file, then to the splits they belong to."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from models.data.balanced.augmenting import Augmenting
from models.data.balanced.balance_report import LeftOutCounts, describe, warnings_of
from models.data.balanced.choosing import choose_rows
from models.data.balanced.samples import CodeSample
from models.data.balanced.sources import Source, open_source
from models.data.balanced.spool import Spool
from models.data.balanced.writing import PAIRS_FILE, SPLIT_FILES, TRIPLES_FILE, write_pairs, write_splits
from models.data.job_progress import Progress
from models.errors import DataInvalid
from models.jobs.contract import JobContext
from models.settings.balance import BalanceSettings

STATS_FILE = "stats.json"
FILES = (*SPLIT_FILES.values(), STATS_FILE, PAIRS_FILE, TRIPLES_FILE)
_SPOOL_FILE = "spool.temp"


class Built(NamedTuple):
    """What was built.

    Args:
        stats: What ``stats.json`` says.
        seconds: Time of each phase [s].
    """

    stats: dict[str, Any]
    seconds: dict[str, float]


def build(settings: BalanceSettings, folder: Path, context: JobContext) -> Built:
    """Write ``FILES`` into an empty folder.

    Memory does not grow with the code, only with the number of functions (about 2 kB each); the folder takes the code
    of the functions twice while it works.

    Raises:
        DataInvalid: there is no function, too few groups, a ratio that cannot be met, or files of labels of which
            nothing is there or a line is none. Not retried.
        SettingsInvalid: labels are given for a collection that has its own. Not retried.
        StoreUnavailable: the disk is full. Retried.
        Interrupted: the job was asked to stop. Retried.
    """
    clock = _Clock()
    context.enter("read")
    source = open_source(settings)
    with Spool(folder / _SPOOL_FILE) as spool:
        reading = _read(settings, source, spool, context)
        clock.lap("read")
        context.enter("split")
        chosen = choose_rows(settings, spool, context)
        clock.lap("split")
        context.enter("write")
        augmenting = Augmenting(settings) if settings.augment_k else None
        variants = write_splits(settings, folder, spool, chosen, augmenting.vary if augmenting else None, context)
        pairs = write_pairs(settings, folder, spool.facts, chosen, variants, context)
        stats = describe(settings, spool.facts, chosen, variants, pairs, reading)
    if augmenting is not None:
        made = augmenting.report()
        kept = stats["splits"]["train"]["variants"]
        stats["augmentation"] = {**made, "variants_left_out_by_balance": made["variants"] - kept}
    clock.lap("write")
    context.enter("save")
    for warning in warnings_of(stats):
        context.events.notice(warning, "warning")
    (folder / STATS_FILE).write_text(json.dumps(stats, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return Built(stats, clock.seconds)


def _read(settings: BalanceSettings, source: Source, spool: Spool, context: JobContext) -> dict[str, Any]:
    left_out, progress = LeftOutCounts(), Progress(context, None, "functions")
    for found in source.samples():
        context.leave_if_asked(progress.done)
        if isinstance(found, CodeSample):
            spool.add(found)
        else:
            left_out.add(found)
        progress.step(1)
    if not len(spool.facts):
        told = (
            ", ".join(f"{reason}: {count}" for reason, count in sorted(left_out.counts.items())) or "nothing is in it"
        )
        raise DataInvalid(
            settings.repos_root, f"holds no function that can be used ({told}); give code in {_asked(settings)}"
        )
    return {"format": source.name, "left_out": left_out.report(), **source.report()}


def _asked(settings: BalanceSettings) -> str:
    return ", ".join(settings.languages)


class _Clock:
    """Seconds since the last lap."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, phase: str) -> None:
        now = time.monotonic()
        self.seconds[f"{phase}_seconds"] = round(now - self._last, 3)
        self._last = now
