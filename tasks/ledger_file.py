"""The ledger: ``ledger.jsonl`` in the run root, which is only ever appended to, and the budget it is held against.

Looking and appending happen under one lock, so that launches side by side cannot pass the budget together. The lock
holds on one machine: a budget is kept by one run root.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from models.errors import BudgetExceeded, ObjectMissing, SettingsInvalid
from models.store.filesystem import Filesystem, LocalFilesystem, disk_errors
from tasks.aws.settings import BudgetSettings
from tasks.ledger_entries import End, Entry, Launch, StorageMeasure, as_line, entry_of
from tasks.ledger_totals import Totals, open_launches, totals_of

LEDGER_FILE = "ledger.jsonl"
LOCK_FILE = ".ledger.lock"

logger = logging.getLogger(__name__)


class Ledger:
    """What the training jobs of a run root cost; used by any number of threads and processes of one machine.

    Every method raises ``StoreUnavailable`` (retried) where the disk refuses, and ``ObjectCorrupt`` (not retried,
    names the line) where a line is damaged: what was spent is not known then, so nothing more is launched. A last
    line without its end is left out: whoever wrote it died before anything was asked for.

    Args:
        runs_path: The run root; made when something is booked.
        filesystem: What is written through.
    """

    def __init__(self, runs_path: Path, *, filesystem: Filesystem | None = None) -> None:
        self._runs_path = runs_path
        self._disk = filesystem if filesystem is not None else LocalFilesystem()

    @property
    def path(self) -> Path:
        """The file."""
        return self._runs_path / LEDGER_FILE

    def book_launch(self, launch: Launch, budget: BudgetSettings) -> None:
        """Book a job before it is asked for; until it ends, its bound counts as spent.

        Booking a name again whose launch has not ended changes nothing: whoever booked it died before asking, or the
        job runs.

        Raises:
            BudgetExceeded: It could pass the budget; nothing is booked. Not retried.
            SettingsInvalid: There is a budget, and its price is unknown; nothing is booked. Not retried.
        """
        with self._locked():
            entries = self.entries()
            if any(known.job_name == launch.job_name for known in open_launches(entries)):
                return
            _judge_price(launch, budget)
            remaining_usd = totals_of(entries).remaining_usd(budget)
            if remaining_usd is not None and launch.bound_usd > remaining_usd:
                raise BudgetExceeded(
                    f"{launch.job_name} ({launch.num_instances} × {launch.instance_type} for up to "
                    f"{launch.max_run_seconds} s)",
                    bound_usd=launch.bound_usd,
                    remaining_usd=remaining_usd,
                )
            number = 1 + sum(isinstance(each, Launch) and each.job_name == launch.job_name for each in entries)
            self._append(
                replace(
                    launch,
                    time_seconds=_now(),
                    launch_id=f"{launch.job_name}#{number}",
                    budget=budget.model_dump(),
                )
            )

    def book_end(self, end: End) -> None:
        """Book how a job ended; what it cost takes the place of its bound.

        Booking the end of a launch again changes nothing: several supervisors may see a job end. The end of a job
        that was launched from another run root is kept, and costs nothing here.
        """
        with self._locked():
            entries = self.entries()
            opened = [launch for launch in open_launches(entries) if launch.job_name == end.job_name]
            known = any(isinstance(each, Launch | End) and each.job_name == end.job_name for each in entries)
            if opened or not known:
                launch_id = opened[0].launch_id if opened else ""
                self._append(replace(end, time_seconds=_now(), launch_id=launch_id))

    def book_storage(
        self, prefix: str, size_bytes: int, usd_per_gb_month: float, as_of: str, *, num_objects: int = 0
    ) -> StorageMeasure:
        """Book how much lies under a prefix of S3 now; gives what was booked."""
        measure = StorageMeasure(prefix, size_bytes, num_objects, usd_per_gb_month, as_of, time_seconds=_now())
        with self._locked():
            self._append(measure)
        return measure

    def entries(self) -> Sequence[Entry]:
        """All entries so far, in the order they were booked."""
        try:
            lines = self._disk.read(self.path).split(b"\n")[:-1]
        except ObjectMissing:
            return []
        return [entry_of(line, f"{self.path}:{number}") for number, line in enumerate(lines, start=1)]

    def totals(self, flow_run: str | None = None) -> Totals:
        """What was spent by a flow run; by all, storage included, where none is named."""
        return totals_of(self.entries(), flow_run)

    def _append(self, entry: Entry) -> None:
        self._disk.append_line(self.path, as_line(entry))
        self._disk.sync_folder(self._runs_path)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Held by one writer at a time, and freed by the kernel when its holder dies; another than append_line's."""
        self._disk.make_folder(self._runs_path)
        path = self._runs_path / LOCK_FILE
        with disk_errors(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            with disk_errors(path):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _judge_price(launch: Launch, budget: BudgetSettings) -> None:
    """A job without a price can be launched, but not held against a budget."""
    if launch.rate.usd_per_hour is not None:
        return
    if budget.total_usd is not None:
        raise SettingsInvalid(
            f"{launch.job_name}: the price of {launch.instance_type} is unknown ({launch.rate.source}), so it "
            "cannot be held against budget.total_usd; give credentials that may call pricing:GetProducts, take "
            "another sagemaker.instance_type, or leave budget.total_usd out"
        )
    logger.warning("%s: the price of %s is unknown; the ledger counts it as $0", launch.job_name, launch.instance_type)


def _now() -> float:
    return round(time.time(), 3)
