"""The balance job: functions of repositories, or a known collection, to a balanced data set with pairs and triples.

Everything is written under temporary names and takes its place at the end; a killed job starts over.
"""

from __future__ import annotations

from models.data.balanced.balance_report import small_numbers
from models.data.balanced.building import FILES
from models.data.balanced.placing import built_in_place
from models.jobs.contract import JobContext, JobResult
from models.settings.balance import BalanceSettings


def run(settings: BalanceSettings, context: JobContext) -> JobResult:
    """Write the splits, pairs, triples and statistics into the run directory.

    Raises:
        DataInvalid: there is no function, too few groups, a ratio that cannot be met, or files of labels of which
            nothing is there or a line is none. Nothing is written then. Not retried.
        SettingsInvalid: labels are given for a collection that has its own. Not retried.
        StoreUnavailable: the disk is full. Retried.
        Interrupted: the job was asked to stop; it starts over. Retried.
    """
    built = built_in_place(settings, context)
    return JobResult(small_numbers(built.stats), FILES, dict(built.seconds))
