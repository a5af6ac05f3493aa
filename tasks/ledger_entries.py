"""What the ledger of a run root holds: launches, their ends, measured storage; each one JSON line.

What they add up to is in ``ledger_totals.py``, the file itself in ``ledger_file.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from models.errors import ObjectCorrupt
from tasks.aws.prices import Rate

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class Launch:
    """A training job that is about to be asked for.

    Args:
        job_name: Its name at SageMaker, one for each attempt.
        run_key: Hex digest of the question it answers.
        kind: Kind of job, such as train.
        label: What people call the run.
        instance_type: Such as ``ml.g4dn.xlarge``.
        num_instances: Machines it takes.
        use_spot: Whether it takes managed Spot.
        max_run_seconds: Longest time it may run [s].
        rate: Price of an hour of one instance, on demand.
        flow_run: The flow run that asked for it; ``None``: none.
        instead_of_spot: Whether Spot was wanted, and on demand was taken as Spot had no machine.
        time_seconds: When it was booked, since 1970 [s]; set by the ledger.
        launch_id: Names this launch in its end: a name whose launch failed can be launched again; set by the ledger.
        budget: Total and buffer at the time [USD]; set by the ledger.
    """

    job_name: str
    run_key: str
    kind: str
    label: str
    instance_type: str
    num_instances: int
    use_spot: bool
    max_run_seconds: int
    rate: Rate
    flow_run: str | None = None
    instead_of_spot: bool = False
    time_seconds: float = 0.0
    launch_id: str = ""
    budget: dict[str, float | None] = field(default_factory=dict, hash=False)

    @property
    def usd_per_second(self) -> float:
        """Of all its machines, on demand; nothing where the price is unknown [USD/s]."""
        return self.rate.counted_usd_per_hour * self.num_instances / SECONDS_PER_HOUR

    @property
    def bound_usd(self) -> float:
        """What it can cost at most; for Spot too, which has no other bound that is known beforehand [USD]."""
        return self.usd_per_second * self.max_run_seconds


@dataclass(frozen=True)
class End:
    """How a launched job ended.

    Args:
        job_name: Its name at SageMaker.
        status: Its last status there, such as Completed; ``NotCreated`` where the API refused it.
        training_seconds: Time it trained by SageMaker's clock [s]; ``None``: it never had a machine.
        billable_seconds: Time it is billed for, Spot's discount included [s]; ``None``: as long as it trained.
        repeated_steps: Steps it made again, as an earlier attempt made them after its last checkpoint.
        seconds_per_step: Mean time of a step [s]; ``None``: unknown.
        num_interruptions: How often its machine was taken away.
        time_seconds: When it was booked, since 1970 [s]; set by the ledger.
        launch_id: The launch that ended; empty: it was launched from another run root; set by the ledger.
    """

    job_name: str
    status: str
    training_seconds: float | None
    billable_seconds: float | None
    repeated_steps: int = 0
    seconds_per_step: float | None = None
    num_interruptions: int = 0
    time_seconds: float = 0.0
    launch_id: str = ""

    @property
    def billed_seconds(self) -> float:
        """Seconds that are paid for; none without a machine [s]."""
        return self.billable_seconds if self.billable_seconds is not None else self.training_seconds or 0.0


@dataclass(frozen=True)
class StorageMeasure:
    """How much lay under a prefix of S3 at some time.

    Args:
        prefix: Such as ``s3://bucket/codewarden``.
        size_bytes: Sum over its objects [bytes].
        num_objects: How many there were.
        usd_per_gb_month: Price of keeping 2^30 bytes for a month [USD].
        as_of: The day of which the price is.
        time_seconds: When it was measured, since 1970 [s]; set by the ledger.
    """

    prefix: str
    size_bytes: int
    num_objects: int
    usd_per_gb_month: float
    as_of: str
    time_seconds: float = 0.0

    @property
    def usd_per_month(self) -> float:
        """What a month of it costs [USD]."""
        return self.size_bytes / 2**30 * self.usd_per_gb_month


Entry = Launch | End | StorageMeasure
_NAMES: dict[type[Entry], str] = {Launch: "launch", End: "end", StorageMeasure: "storage"}
_CLASSES = {name: entry_class for entry_class, name in _NAMES.items()}


def as_line(entry: Entry) -> bytes:
    """The line of an entry, without its end."""
    return json.dumps({"entry": _NAMES[type(entry)], **asdict(entry)}, sort_keys=True, allow_nan=False).encode()


def entry_of(line: bytes, where: str) -> Entry:
    """The entry of a line.

    Args:
        line: As ``as_line`` gives it.
        where: File and number, for the error.

    Raises:
        ObjectCorrupt: The line is damaged; what was spent is not known then. Not retried.
    """
    try:
        told = json.loads(line)
        entry_class = _CLASSES[told.pop("entry")]
        entry = entry_class(**told)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ObjectCorrupt(where, "an entry of the ledger as one JSON line", repr(line[:80])) from error
    return replace(entry, rate=_rate_of(told["rate"], line, where)) if isinstance(entry, Launch) else entry


def _rate_of(told: Any, line: bytes, where: str) -> Rate:
    if not isinstance(told, Mapping):
        raise ObjectCorrupt(where, "a rate with price and source", repr(line[:80]))
    try:
        return Rate(**told)
    except TypeError as error:
        raise ObjectCorrupt(where, "a rate with price and source", repr(line[:80])) from error
