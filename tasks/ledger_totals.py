"""What entries of the ledger add up to: cost of each attempt, of kinds, of storage, and what a budget leaves.

Pure, and the same in whatever order the entries come.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.aws.settings import BudgetSettings
from tasks.ledger_entries import End, Entry, Launch, StorageMeasure

MONTH_SECONDS = 365.25 / 12 * 24 * 3600


@dataclass(frozen=True)
class Attempt:
    """A launched job with its end.

    Args:
        launch: How it was asked for.
        end: How it ended; ``None``: it runs, as far as the ledger knows.
    """

    launch: Launch
    end: End | None

    @property
    def spent_usd(self) -> float:
        """Computed: billable seconds × machines × price on demand; Spot's discount is in the billable seconds [USD]."""
        return self.end.billed_seconds * self.launch.usd_per_second if self.end else 0.0

    @property
    def reserved_usd(self) -> float:
        """What it can cost at most while it has not ended [USD]."""
        return 0.0 if self.end else self.launch.bound_usd

    @property
    def on_demand_usd(self) -> float:
        """What the same time would have cost on demand [USD]."""
        if self.end is None:
            return 0.0
        trained = self.end.training_seconds
        return self.launch.usd_per_second * (self.end.billed_seconds if trained is None else trained)

    @property
    def saved_usd(self) -> float:
        """By Spot, against the same time on demand [USD]."""
        return self.on_demand_usd - self.spent_usd if self.launch.use_spot else 0.0

    @property
    def repeated_usd(self) -> float:
        """What its repeated steps cost, at what a second of this attempt cost [USD]."""
        if self.end is None or not self.end.seconds_per_step:
            return 0.0
        seconds = self.end.repeated_steps * self.end.seconds_per_step
        trained = self.end.training_seconds
        paid_share = self.end.billed_seconds / trained if trained else 1.0
        return seconds * self.launch.usd_per_second * paid_share


@dataclass(frozen=True)
class StorageCost:
    """What a prefix of S3 costs.

    Args:
        newest: The newest measure of it.
        usd: What was kept between measures, each until the next, and a month of the newest one paid ahead [USD].
    """

    newest: StorageMeasure
    usd: float


@dataclass(frozen=True)
class Totals:
    """Sums over entries.

    Args:
        attempts: All of them, in the order they were launched.
        storage: Prefixes of S3; empty for a single flow run, as the store is shared.
        unknown_ends: Ends of jobs that were launched from another run root; they cost nothing here.
    """

    attempts: tuple[Attempt, ...]
    storage: tuple[StorageCost, ...]
    unknown_ends: tuple[End, ...]

    @property
    def attempts_usd(self) -> float:
        """What ended attempts cost [USD]."""
        return math.fsum(attempt.spent_usd for attempt in self.attempts)

    @property
    def storage_usd(self) -> float:
        """What storage costs [USD]."""
        return math.fsum(cost.usd for cost in self.storage)

    @property
    def spent_usd(self) -> float:
        """Attempts and storage [USD]."""
        return self.attempts_usd + self.storage_usd

    @property
    def reserved_usd(self) -> float:
        """What launches that have not ended can cost at most [USD]."""
        return math.fsum(attempt.reserved_usd for attempt in self.attempts)

    @property
    def on_demand_usd(self) -> float:
        """What the same time would have cost on demand [USD]."""
        return math.fsum(attempt.on_demand_usd for attempt in self.attempts)

    @property
    def saved_usd(self) -> float:
        """By Spot [USD]."""
        return math.fsum(attempt.saved_usd for attempt in self.attempts)

    @property
    def repeated_usd(self) -> float:
        """What repeated steps cost [USD]."""
        return math.fsum(attempt.repeated_usd for attempt in self.attempts)

    @property
    def num_interruptions(self) -> int:
        """How often machines were taken away."""
        return sum(attempt.end.num_interruptions for attempt in self.attempts if attempt.end)

    @property
    def spot_saving(self) -> float | None:
        """Share that Spot has saved here so far; ``None``: no Spot attempt has trained."""
        equivalent = math.fsum(attempt.on_demand_usd for attempt in self.attempts if attempt.launch.use_spot)
        return self.saved_usd / equivalent if equivalent else None

    @property
    def dearer_usd(self) -> float | None:
        """How much more machines on demand cost that were taken instead of Spot [USD].

        By the share that Spot has saved among these attempts; ``None``: none has shown it.
        """
        instead = math.fsum(attempt.spent_usd for attempt in self.attempts if attempt.launch.instead_of_spot)
        if not instead:
            return 0.0
        return None if self.spot_saving is None else instead * self.spot_saving

    def remaining_usd(self, budget: BudgetSettings) -> float | None:
        """What a launch may cost at most; ``None``: there is no limit [USD]."""
        if budget.total_usd is None:
            return None
        return budget.total_usd - budget.buffer_usd - self.spent_usd - self.reserved_usd

    def by_kind(self) -> dict[str, Totals]:
        """Sums for each kind of job, by name."""
        kinds = defaultdict(list)
        for attempt in self.attempts:
            kinds[attempt.launch.kind].append(attempt)
        return {kind: Totals(tuple(kinds[kind]), (), ()) for kind in sorted(kinds)}

    def by_run(self) -> dict[str, Totals]:
        """Sums for each run over its attempts, by run key."""
        runs = defaultdict(list)
        for attempt in self.attempts:
            runs[attempt.launch.run_key].append(attempt)
        return {key: Totals(tuple(attempts), (), ()) for key, attempts in runs.items()}


def totals_of(entries: Iterable[Entry], flow_run: str | None = None) -> Totals:
    """Sums over entries; over those of one flow run where it is named."""
    entries = list(entries)
    ends = {end.launch_id: end for end in sorted(_ends(entries), key=lambda end: end.time_seconds)}
    attempts = sorted(
        (Attempt(each, ends.get(each.launch_id)) for each in entries if isinstance(each, Launch)),
        key=lambda attempt: (attempt.launch.time_seconds, attempt.launch.launch_id),
    )
    if flow_run is not None:
        return Totals(tuple(each for each in attempts if each.launch.flow_run == flow_run), (), ())
    launched = {attempt.launch.launch_id for attempt in attempts}
    return Totals(
        tuple(attempts),
        tuple(_storage_costs(each for each in entries if isinstance(each, StorageMeasure))),
        tuple(end for end in _ends(entries) if end.launch_id not in launched),
    )


def newest_budget(entries: Sequence[Entry]) -> BudgetSettings:
    """The budget that the newest launch was held against; no limit where there is none."""
    launches = [entry for entry in entries if isinstance(entry, Launch)]
    newest = max(launches, key=lambda launch: (launch.time_seconds, launch.launch_id), default=None)
    return BudgetSettings.model_validate(newest.budget) if newest is not None else BudgetSettings()


def open_launches(entries: Sequence[Entry]) -> list[Launch]:
    """Launches that have not ended."""
    ended = {end.launch_id for end in _ends(entries)}
    return [each for each in entries if isinstance(each, Launch) and each.launch_id not in ended]


def _ends(entries: Iterable[Entry]) -> list[End]:
    return [each for each in entries if isinstance(each, End)]


def _storage_costs(measures: Iterable[StorageMeasure]) -> list[StorageCost]:
    prefixes = defaultdict(list)
    for measure in measures:
        prefixes[measure.prefix].append(measure)
    return [_storage_cost(prefixes[prefix]) for prefix in sorted(prefixes)]


def _storage_cost(measures: list[StorageMeasure]) -> StorageCost:
    """Each size is taken to have stayed until the next measure; of the newest, a month is paid ahead."""
    rising = sorted(measures, key=lambda measure: (measure.time_seconds, measure.size_bytes))
    newest = rising[-1]
    kept = [
        earlier.usd_per_month * (later.time_seconds - earlier.time_seconds) / MONTH_SECONDS
        for earlier, later in itertools.pairwise(rising)
    ]
    return StorageCost(newest, math.fsum([*kept, newest.usd_per_month]))
