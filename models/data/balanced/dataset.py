"""``build_balanced_dataset``: the balance job as a call, its result as sequences over the files it wrote."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.data.balanced.building import STATS_FILE
from models.data.balanced.placing import built_in_place
from models.data.balanced.row_files import RowFile
from models.data.balanced.writing import SPLIT_FILES
from models.errors import DataInvalid
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.balance import BalanceSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BalancedDataset:
    """A balanced data set; two are equal where all their rows and statistics are.

    Args:
        train: Rows to learn from, each variant after its original.
        val: Rows to choose by.
        test: Rows to report on.
        stats: What ``stats.json`` says.
    """

    train: RowFile
    val: RowFile
    test: RowFile
    stats: dict[str, Any]


def build_balanced_dataset(
    repos_root: Path = Path("data/repos"),
    output_dir: Path = Path("artifacts/dl/balanced"),
    balance_ratio: float | None = 0.5,
    seed: int = 1337,
    augment_k: int = 0,
) -> BalancedDataset:
    """Build a balanced data set of the functions of repositories; other choices are settings of ``write_dataset``.

    Args:
        repos_root: Folder whose sub-folders are repositories, or a collection of a known shape.
        output_dir: Where the files are written; what a call before left there is replaced.
        balance_ratio: Share of vulnerable functions in each split; ``None``: as they come.
        seed: Seed of splits, choice and variants.
        augment_k: Changed variants of each training function.

    Raises:
        DataInvalid: there is no function, too few groups, a ratio that cannot be met, or files of labels of which
            nothing is there or a line is none. What was in ``output_dir`` stays. Not retried.
    """
    settings = BalanceSettings(repos_root=repos_root, balance_ratio=balance_ratio, seed=seed, augment_k=augment_k)
    return write_dataset(settings, output_dir)


def write_dataset(settings: BalanceSettings, output_dir: Path) -> BalancedDataset:
    """Build a data set with any settings; warnings are logged. Errors as ``build_balanced_dataset``."""
    output_dir.mkdir(parents=True, exist_ok=True)
    events = EventStream(echo=_Logged())
    built_in_place(settings, JobContext(run_path=output_dir, runs_path=output_dir, events=events))
    return open_dataset(output_dir)


def open_dataset(folder: Path) -> BalancedDataset:
    """The data set that lies in a folder: an output directory, or the directory of a balance run.

    Raises:
        DataInvalid: there is none. Not retried.
    """
    splits = [RowFile(folder / file) for file in SPLIT_FILES.values()]
    try:
        stats = json.loads((folder / STATS_FILE).read_bytes())
    except (FileNotFoundError, ValueError) as error:
        raise DataInvalid(folder / STATS_FILE, f"no statistics ({error}); build the data set again") from None
    train, val, test = splits
    return BalancedDataset(train, val, test, stats)


class _Logged:
    """Logs the notices of a job, and nothing else that it tells."""

    def write(self, text: str, /) -> int:
        event = json.loads(text)
        if event["event"] == "notice":
            _log.warning(event["message"])
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""
