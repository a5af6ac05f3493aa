"""What an estimate is asked about: jobs of a flow, as far as its plan knows them, and what is taken for granted."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.aws.prices import Rate
from tasks.ledger_entries import SECONDS_PER_HOUR

ASSUMED_SETUP_SECONDS = 300.0
"""From getting a machine to the first step, image and data included; billed."""


@dataclass(frozen=True)
class PlannedMachine:
    """What jobs that are sent away would run on.

    Args:
        instance_type: Such as ``ml.g4dn.xlarge``.
        device_class: As builds say it (``machine_of(instance_type).device_class``).
        num_instances: Machines of one job.
        num_ranks: Processes that train together in one job.
        use_spot: Whether it is managed Spot.
        max_run_seconds: Longest time one training job may run [s].
        rate: Price of an hour of one instance, on demand.
    """

    instance_type: str
    device_class: str
    num_instances: int
    num_ranks: int
    use_spot: bool
    max_run_seconds: int
    rate: Rate

    @property
    def usd_per_hour(self) -> float:
        """Price of all machines of a job, on demand; nothing where the price is unknown [USD/h]."""
        return self.rate.counted_usd_per_hour * self.num_instances

    @property
    def has_price(self) -> bool:
        """Whether its price is known."""
        return self.rate.usd_per_hour is not None

    @property
    def has_gpu(self) -> bool:
        """Whether it has one."""
        return self.device_class.startswith("cuda")

    @property
    def reserved_usd(self) -> float:
        """What one launch can cost at most, and is held against the budget with [USD]."""
        return self.usd_per_hour * self.max_run_seconds / SECONDS_PER_HOUR


@dataclass(frozen=True)
class PlannedJob:
    """A job of a flow, as far as its plan knows it.

    Args:
        kind: Kind of job, such as train.
        label: What people call the run.
        is_cached: Whether it is finished already.
        machine: What it would run on; ``None``: here, where it costs nothing and is not estimated.
        model_kind: Kind of the model it trains or asks; empty where there is none.
        model: Which model, as ``measured_runs.model_name`` says.
        num_records: Records to train on or to score; ``None``: not known before it runs.
        epochs: Passes over them at most; 1 for other jobs than training.
        relative_cost: Work for a record, as ``model_cost.relative_cost`` says.
    """

    kind: str
    label: str
    is_cached: bool
    machine: PlannedMachine | None = None
    model_kind: str = ""
    model: str = ""
    num_records: int | None = None
    epochs: int = 1
    relative_cost: float = 1.0


@dataclass(frozen=True)
class Assumptions:
    """What an estimate takes for granted, from the settings.

    Args:
        interruptions_per_hour: Expected reclaims of a Spot machine in an hour.
        spot_saving: Share of the price on demand that Spot is expected to save.
        checkpoint_interval_seconds: Time between checkpoints as planned [s].
    """

    interruptions_per_hour: float
    spot_saving: float
    checkpoint_interval_seconds: float
