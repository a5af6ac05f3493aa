"""What a flow would take, before it is begun: hours, money, interruptions, how often to save.

Pure. Hours come from finished runs of the same model on the same device where there are some, else from stated
assumptions; which of both is told with every job. How it is shown is in ``estimate_report.py``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tasks.checkpoint_interval import advised_interval_seconds, repeated_seconds
from tasks.ledger_entries import SECONDS_PER_HOUR
from tasks.measured_runs import Measurement
from tasks.planned_jobs import ASSUMED_SETUP_SECONDS, Assumptions, PlannedJob, PlannedMachine

ASSUMED_RECORDS = 21_854
"""Training records of CodeXGLUE's defect detection, where a plan does not know its own yet."""
ASSUMED_ON = "ml.g4dn.xlarge"
ASSUMED_HOURS = {"transformer": (2.0, 5), "gnn": (4.0, 100)}
"""Hours on ml.g4dn.xlarge for all assumed records, and the epochs that were allowed, by kind of model: the project's
planning figures (the GNN's 4 h were for about 60 epochs, early stopping being in them)."""
ASSUMED_FACTORS = (0.5, 2.0)
"""Hours by assumption may be so many times fewer or more."""
FEW_RUNS = 2
FEW_RUNS_FACTORS = (0.67, 1.5)
"""Hours by so few finished runs may be so many times fewer than the fastest, or more than the slowest."""
COVERAGE = 0.95
"""Of the interval by more finished runs."""
PREDICT_SHARE = 1 / 3
"""Scoring a record takes about so much of training on it: forward alone."""
ASSUMED_CHECKPOINT_SECONDS = 1.0
ASSUMED_CPU_FACTOR = 20.0
"""Hours on an instance without a GPU are so many times those on ml.g4dn.xlarge, where nothing was measured."""


class Source(StrEnum):
    """Where hours come from."""

    CACHED = "finished"
    HERE = "runs here"
    MEASURED = "measured"
    ASSUMED = "assumed"


@dataclass(frozen=True)
class Interval:
    """An expected value between a low and a high one."""

    low: float
    expected: float
    high: float

    def times(self, factor: float) -> Interval:
        """All three, multiplied."""
        return Interval(self.low * factor, self.expected * factor, self.high * factor)


NOTHING = Interval(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class JobEstimate:
    """What one job would take.

    Args:
        job: Which.
        source: Where its hours come from.
        num_measured: Finished runs they come from.
        hours: Of its machines, each counted once [h].
        usd: What it would cost [USD].
        num_interruptions: Expected.
        repeated_usd: What interruptions are expected to cost, in ``usd`` already [USD].
        advised_interval_seconds: Best time between checkpoints [s]; ``None``: no interruption is expected.
        num_launches: Training jobs it takes at the high hours, each of its longest time.
        bound_usd: What they can cost at most, however long it takes [USD].
    """

    job: PlannedJob
    source: Source
    num_measured: int = 0
    hours: Interval = NOTHING
    usd: Interval = NOTHING
    num_interruptions: float = 0.0
    repeated_usd: float = 0.0
    advised_interval_seconds: float | None = None
    num_launches: int = 0
    bound_usd: float = 0.0

    @property
    def has_price(self) -> bool:
        """Whether its money is known; where not it is 0."""
        return self.job.machine is None or self.job.machine.has_price


@dataclass(frozen=True)
class FlowEstimate:
    """What a flow would take.

    Args:
        jobs: Each of its jobs.
        assumptions: What was taken for granted.
        remaining_usd: What the budget leaves; ``None``: no limit.
    """

    jobs: tuple[JobEstimate, ...]
    assumptions: Assumptions
    remaining_usd: float | None

    @property
    def hours(self) -> Interval:
        """Of all machines; low and high as if all jobs were off to the same side [h]."""
        return _sum([each.hours for each in self.jobs])

    @property
    def usd(self) -> Interval:
        """Of all jobs; low and high as if all were off to the same side [USD]."""
        return _sum([each.usd for each in self.jobs])

    @property
    def has_price(self) -> bool:
        """Whether the price of all jobs is known; where not, sums of money are of the others."""
        return all(each.has_price for each in self.jobs)

    @property
    def num_interruptions(self) -> float:
        """Expected in all jobs."""
        return math.fsum(each.num_interruptions for each in self.jobs)

    @property
    def repeated_usd(self) -> float:
        """What interruptions are expected to cost [USD]."""
        return math.fsum(each.repeated_usd for each in self.jobs)

    @property
    def bound_usd(self) -> float:
        """What can be spent at most [USD]."""
        return math.fsum(each.bound_usd for each in self.jobs)


def estimate_flow(
    jobs: Sequence[PlannedJob],
    assumptions: Assumptions,
    *,
    measurements: Sequence[Measurement] = (),
    remaining_usd: float | None = None,
) -> FlowEstimate:
    """Estimate all jobs of a flow.

    Args:
        jobs: Them.
        assumptions: What is taken for granted.
        measurements: Of finished runs.
        remaining_usd: What the budget leaves; ``None``: no limit.
    """
    estimates = tuple(estimate_job(job, assumptions, measurements) for job in jobs)
    return FlowEstimate(estimates, assumptions, remaining_usd)


def estimate_job(job: PlannedJob, assumptions: Assumptions, measurements: Sequence[Measurement] = ()) -> JobEstimate:
    """Estimate one job; one that is finished or runs here takes nothing."""
    if job.is_cached or job.machine is None:
        return JobEstimate(job, Source.CACHED if job.is_cached else Source.HERE)
    machine = job.machine
    like = [each for each in measurements if _is_like(each, job, machine)]
    work_hours = _measured_hours(job, like) if like else _assumed_hours(job, machine)
    saves = [each.checkpoint_seconds for each in like if each.checkpoint_seconds is not None]
    checkpoint_seconds = statistics.fmean(saves) if saves else ASSUMED_CHECKPOINT_SECONDS
    per_hour = assumptions.interruptions_per_hour * machine.num_instances if machine.use_spot else 0.0
    lost_hours = repeated_seconds(assumptions.checkpoint_interval_seconds, ASSUMED_SETUP_SECONDS) / SECONDS_PER_HOUR
    setup_hours = ASSUMED_SETUP_SECONDS / SECONDS_PER_HOUR
    bare_hours = Interval(*(value + setup_hours for value in (work_hours.low, work_hours.expected, work_hours.high)))
    hours = bare_hours.times(1 + per_hour * lost_hours)
    paid_per_hour = machine.usd_per_hour * (1 - assumptions.spot_saving if machine.use_spot else 1.0)
    num_interruptions = bare_hours.expected * per_hour
    num_launches = max(1, math.ceil(hours.high * SECONDS_PER_HOUR / machine.max_run_seconds))
    return JobEstimate(
        job,
        Source.MEASURED if like else Source.ASSUMED,
        num_measured=len(like),
        hours=hours,
        usd=hours.times(paid_per_hour),
        num_interruptions=num_interruptions,
        repeated_usd=num_interruptions * lost_hours * paid_per_hour,
        advised_interval_seconds=advised_interval_seconds(checkpoint_seconds, per_hour),
        num_launches=num_launches,
        bound_usd=num_launches * machine.reserved_usd,
    )


def _is_like(measured: Measurement, job: PlannedJob, machine: PlannedMachine) -> bool:
    """Nothing is concluded from another model, another device or another number of ranks."""
    return (measured.model, measured.device_class, measured.num_ranks) == (
        job.model,
        machine.device_class,
        machine.num_ranks,
    )


def _amount(job: PlannedJob) -> float:
    """Records times epochs, each record that is only scored counting less."""
    records = job.num_records if job.num_records is not None else ASSUMED_RECORDS
    return records * job.epochs * (1.0 if job.kind == "train" else PREDICT_SHARE)


def _measured_hours(job: PlannedJob, like: Sequence[Measurement]) -> Interval:
    """By the geometric mean of finished runs; from three on, the interval is that of the next one (log-normal)."""
    seconds = [each.seconds_per_record_epoch for each in like]
    unit = Interval(min(seconds), statistics.geometric_mean(seconds), max(seconds))
    if len(seconds) <= FEW_RUNS:
        unit = Interval(unit.low * FEW_RUNS_FACTORS[0], unit.expected, unit.high * FEW_RUNS_FACTORS[1])
    else:
        from scipy.special import stdtrit

        quantile = float(stdtrit(len(seconds) - 1, (1 + COVERAGE) / 2))
        spread = statistics.stdev(map(math.log, seconds)) * math.sqrt(1 + 1 / len(seconds))
        unit = Interval(
            unit.expected * math.exp(-quantile * spread), unit.expected, unit.expected * math.exp(quantile * spread)
        )
    return unit.times(_amount(job) / SECONDS_PER_HOUR)


def _assumed_hours(job: PlannedJob, machine: PlannedMachine) -> Interval:
    # A job without a model of its own, or of a kind without a figure, is taken for the slowest.
    all_hours, all_epochs = ASSUMED_HOURS.get(job.model_kind) or max(
        ASSUMED_HOURS.values(), key=lambda figure: figure[0] / figure[1]
    )
    hours = _amount(job) * all_hours / (ASSUMED_RECORDS * all_epochs) * job.relative_cost
    hours *= 1.0 if machine.has_gpu else ASSUMED_CPU_FACTOR
    return Interval(hours * ASSUMED_FACTORS[0], hours, hours * ASSUMED_FACTORS[1])


def _sum(intervals: Sequence[Interval]) -> Interval:
    return Interval(
        math.fsum(each.low for each in intervals),
        math.fsum(each.expected for each in intervals),
        math.fsum(each.high for each in intervals),
    )
