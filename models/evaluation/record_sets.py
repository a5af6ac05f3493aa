"""Which sets a file of records is measured as, and the words by which people know what is in it.

Functions of the test file are one set. Findings are several, as published: the combined set (rows marked so) and one
for each technology. These share records: they are read beside each other, never added up.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.errors import DataInvalid
from models.evaluation.records import SplitRecords

FUNCTIONS, FINDINGS = "functions", "findings"
WORDS: Mapping[str, Mapping[str, str]] = {
    FUNCTIONS: {"positive": "vulnerable", "group": "commits", "one_group": "commit"},
    FINDINGS: {"positive": "true findings", "group": "files", "one_group": "file"},
}
"""By kind of record: what label 1 is, and what resamples are drawn by."""
SMALL_SET = 500
"""Records below which a set is called small: its intervals span several points of F1."""


def kind_of(records: SplitRecords) -> str:
    """``functions`` or ``findings``."""
    return FINDINGS if records.are_findings else FUNCTIONS


def sets_of_test(test: SplitRecords) -> dict[str, SplitRecords]:
    """The splits that records of the test file are measured as, by name; ``test`` is the first.

    Raises:
        DataInvalid: Findings of which none is marked ``in_combined``. Not retried.
    """
    if not test.are_findings:
        return {"test": test}
    combined = _rows(test, "in_combined", "true")
    if not len(combined):
        raise DataInvalid(test.path, "no finding is marked in_combined; expected records of the findings job")
    technologies = sorted(set(test.categories["technology"]))
    by_technology = {f"test_{name}": test.only(_rows(test, "technology", name)) for name in technologies}
    return {"test": test.only(combined), **by_technology}


def both_labels(records: SplitRecords, split: str = "") -> SplitRecords:
    """The records, if both labels are among them; ``split`` names them in the message.

    Raises:
        DataInvalid: Every label is the same. Not retried.
    """
    if len(set(records.labels.tolist())) == 1:
        which = f"every record of {split}" if split else "every record"
        raise DataInvalid(
            records.path, f"{which} has label {records.labels[0]}; ranking metrics and thresholds need both labels"
        )
    return records


def set_of(split: str) -> str:
    """A split of findings as its folder is called: ``test`` is ``combined``, ``test_chef`` is ``chef``."""
    return "combined" if split == "test" else split.removeprefix("test_")


def _rows(records: SplitRecords, category: str, value: str) -> npt.NDArray[np.intp]:
    return np.flatnonzero(np.array(records.categories[category]) == value)
