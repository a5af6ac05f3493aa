"""Books the ends of jobs that nobody watches any more: the machine that supervised them was lost, or told to leave."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from models.errors import CloudRefused
from tasks.aws.endings import is_ended, num_interruptions_of, status_of
from tasks.ledger_entries import End
from tasks.ledger_file import Ledger
from tasks.ledger_totals import open_launches

NOT_FOUND = frozenset({"ValidationException", "ResourceNotFound"})
"""What SageMaker answers about a job that it does not have."""

logger = logging.getLogger(__name__)


def settle_open(ledger: Ledger, describe: Callable[[str], Mapping[str, Any]]) -> int:
    """Book the ends of all launches that have ended at SageMaker; gives how many were booked.

    Steps that such a job repeated are not known. A launch that SageMaker does not know stays open: it may be asked for
    this very moment, or may have been made in another region or account. Starting its flow again settles it.

    Args:
        ledger: Whose open launches.
        describe: Gives what ``DescribeTrainingJob`` answers about a job, as ``TrainingApi.describe`` does.

    Raises:
        CloudRefused: It may not be asked. Not retried.
        StoreUnavailable: SageMaker does not answer, or the ledger's disk. Retried.
        JobCrashed: A job has a status that is not known. Not retried.
    """
    num_settled = 0
    for launch in open_launches(ledger.entries()):
        try:
            description = describe(launch.job_name)
        except CloudRefused as error:
            if error.code not in NOT_FOUND:
                raise
            logger.warning("%s is not known to SageMaker here; it stays reserved", launch.job_name)
            continue
        if is_ended(description):
            ledger.book_end(end_of(description))
            num_settled += 1
    return num_settled


def end_of(description: Mapping[str, Any], *, repeated_steps: int = 0, seconds_per_step: float | None = None) -> End:
    """The entry for a job that has ended.

    Args:
        description: As ``DescribeTrainingJob`` answers.
        repeated_steps: Steps it made again, by whoever watched it.
        seconds_per_step: Mean time of a step [s]; ``None``: unknown.
    """
    return End(
        job_name=str(description["TrainingJobName"]),
        status=status_of(description),
        training_seconds=description.get("TrainingTimeInSeconds"),
        billable_seconds=description.get("BillableTimeInSeconds"),
        repeated_steps=repeated_steps,
        seconds_per_step=seconds_per_step,
        num_interruptions=num_interruptions_of(description),
    )
