"""Whether other preprocess runs hold the very records that are measured, and what of these their training has seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import DataInvalid
from models.evaluation.record_sets import both_labels
from models.evaluation.records import SplitRecords, read_split

METADATA_FILE = "preprocessing_metadata.json"


@dataclass(frozen=True)
class TrainingSet:
    """Training records that systems may have learnt from.

    Args:
        name: ``data``, or ``same_data[0]`` and so on: where the settings name it.
        folder: Its preprocess run.
        records: Of training, both labels.
        differs: Whether its ids and labels are others than those before it.
    """

    name: str
    folder: Path
    records: SplitRecords
    differs: bool = True


def read_training_sets(data: Path, train: SplitRecords, others: Sequence[Path]) -> list[TrainingSet]:
    """The training records of ``data``, then those of each other run.

    Raises:
        DataInvalid: They cannot be read or are of one label. Not retried.
    """
    found = [TrainingSet("data", data, train)]
    for number, folder in enumerate(others):
        records = both_labels(read_split(folder / "train.jsonl"))
        differs = all(_difference(known.records, records) for known in found)
        found.append(TrainingSet(f"same_data[{number}]", folder, records, differs))
    return found


def find_leaks(training_sets: Sequence[TrainingSet], measured: SplitRecords, split: str) -> list[dict[str, Any]]:
    """What of the measured records each training set has seen.

    Args:
        training_sets: Of ``read_training_sets``.
        measured: The split that is measured.
        split: Its name.

    Returns:
        For each ``records`` (its name), ``num_train``, ``groups_in_train`` (groups, which are commits, on both sides)
        and ``twins_in_train`` (measured records with an exact or near copy in training, as the preprocess run counted
        them; ``None`` where it did not).

    Raises:
        DataInvalid: What the preprocess run says of itself cannot be read. Not retried.
    """
    groups = set(measured.groups)
    return [
        {
            "records": each.name,
            "num_train": len(each.records),
            "groups_in_train": len(groups & set(each.records.groups)),
            "twins_in_train": _num_twins(each.folder / METADATA_FILE, split),
        }
        for each in training_sets
    ]


def tell_leaks(leaks: Sequence[dict[str, Any]], split: str) -> list[str]:
    """A warning for each training set that has seen measured records."""
    return [
        f"training records of {leak['records']} leak: {leak['groups_in_train']} {split} commits and "
        f"{leak['twins_in_train'] or 0} copies of {split} records are among them; systems that learnt from them look "
        "better than they are"
        for leak in leaks
        if leak["groups_in_train"] or leak["twins_in_train"]
    ]


def _num_twins(path: Path, split: str) -> int | None:
    try:
        twins = json.loads(path.read_bytes())["duplicates"]["with_twin_in_train"]
        return int(twins[split]["either"]) if split in twins else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DataInvalid(
            path, f"expected what the preprocess job says of its run ({error!r}); make it again"
        ) from error


def refuse_other_data(others: Sequence[Path], records: SplitRecords, split: str) -> None:
    """Systems are comparable only if the data that each was scored from hold the same records in this split.

    Args:
        others: Directories of other preprocess runs; tokens and graphs may differ.
        records: The split as it is measured.
        split: Its name.

    Raises:
        DataInvalid: A split differs, with the first record that does. Not retried.
    """
    for folder in others:
        other = read_split(folder / f"{split}.jsonl")
        difference = _difference(records, other)
        if difference:
            raise DataInvalid(
                other.path,
                f"{difference} {records.path}; compare systems on the same records: preprocess the same rows",
            )


def _difference(records: SplitRecords, other: SplitRecords) -> str:
    if len(records) != len(other):
        return f"{len(other)} records, not the {len(records)} of"
    for row, (one, another) in enumerate(zip(records.ids, other.ids, strict=True)):
        if one != another:
            return f"record {row + 1} has id {another!r}, not {one!r} as in"
        if records.labels[row] != other.labels[row]:
            return f"record {one!r} has label {other.labels[row]}, not {records.labels[row]} as in"
        if records.codes[row] != other.codes[row]:
            return f"record {one!r} has other code than in"
    return ""
