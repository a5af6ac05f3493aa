"""Opening the sealed test split for baselines: logged first, then read.

A model's opening was logged by the run that scored it. Baselines see the split where they are measured beside models.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.evaluation.baselines import Baseline
from models.evaluation.records import SplitRecords, read_split
from models.jobs.contract import JobContext
from models.jobs.keys import sha256_of
from models.store.manifest import digest_file
from models.store.openings import append_opening


def open_for_baselines(
    path: Path,
    context: JobContext,
    baselines: Sequence[Baseline],
    *,
    key: str,
    train_path: Path,
    seed: int,
    beside: Sequence[str],
    split: str = "test",
) -> SplitRecords:
    """Log that the baselines see sealed records, then read them.

    Args:
        path: The records.
        context: Of the job.
        baselines: Fitted.
        key: Key of the run.
        train_path: The records that they were fitted on.
        seed: Of their solver.
        beside: Names of the models that they stand beside.
        split: Name of what is opened.

    Raises:
        StoreUnavailable: The opening could not be logged; the records stay closed. Retried.
        DataInvalid: They cannot be read. Not retried.
    """
    names = [baseline.name for baseline in baselines]
    append_opening(
        context.openings_log,
        # Baselines have no weights on disk: what they were fitted from names them.
        model_sha256=sha256_of({"baselines": names, "seed": seed, "train": digest_file(train_path).sha256}),
        data_sha256=digest_file(path).sha256,
        split=split,
        purpose=f"baselines ({', '.join(names)}) beside {', '.join(beside)}",
        run_key=key,
        attempt=context.attempt,
    )
    return read_split(path)
