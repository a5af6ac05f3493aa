"""All findings of a folder, and whether its sets can be learnt from and measured on.

A folder holds ``train``, ``val`` and ``test/TECHNOLOGY``, each as .jsonl or .jsonl.gz. Rows are read in
``findings.py``; what must hold of several rows or files is checked here, all of it before anything is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from models.data.findings import LABELS, ROWS, Finding, FindingsFile, check_agreement, read_file
from models.data.raw_functions import SUFFIXES, find_split
from models.errors import DataInvalid

TRAIN, VAL, TEST_FOLDER = "train", "val", "test"
RESERVED = ("combined", "valid")
"""Sets that are measured beside those of each technology, so no technology is called so."""


class FindingsFolder(NamedTuple):
    """All findings of a folder, checked.

    Args:
        train: Findings to learn from; their files may be in val too.
        val: Findings to choose by.
        test: Findings to measure on, per technology, sorted by its name; their files are in neither of the others.
    """

    train: FindingsFile
    val: FindingsFile
    test: dict[str, FindingsFile]

    def files(self) -> dict[str, FindingsFile]:
        """All files by their names in the folder, without suffix."""
        tests = {f"{TEST_FOLDER}/{technology}": file for technology, file in self.test.items()}
        return {TRAIN: self.train, VAL: self.val, **tests}


def read_folder(folder: Path) -> FindingsFolder:
    """Read and check everything.

    Raises:
        DataInvalid: a file is missing, empty or damaged; a row is broken, lacks a field, or has a label, smell or
            technology that is not known; a finding has two labels; a set has one label only; a file of test is in
            train or val, too. The message names file, line, key and what was expected. Not retried.
    """
    train_path, val_path = (find_split(folder, split, ROWS) for split in (TRAIN, VAL))
    test_paths = _test_paths(folder / TEST_FOLDER)
    train, val = read_file(train_path, TRAIN), read_file(val_path, VAL)
    test = {technology: read_file(path, "test") for technology, path in test_paths.items()}
    for technology, file in test.items():
        _check_technologies(file, (technology,), "as the file is named")
    for file in (train, val):
        _check_technologies(file, tuple(test), f"as there are files in {TEST_FOLDER}/")
        check_both_labels(file.path, file.findings)
    check_agreement([*train.findings, *val.findings])
    for file in test.values():
        check_both_labels(file.path, file.findings)
        _check_apart(file, [*train.findings, *val.findings])
    combined = [finding for file in test.values() for finding in file.findings if finding.in_combined]
    check_both_labels(folder / TEST_FOLDER, combined, "of the combined set (in_combined: true)")
    return FindingsFolder(train, val, test)


def _test_paths(folder: Path) -> dict[str, Path]:
    """The test files by technology, sorted."""
    names = {path.name.removesuffix(suffix) for suffix in SUFFIXES for path in folder.glob(f"*{suffix}")}
    if not names:
        raise DataInvalid(
            folder, "holds no test set; expected TECHNOLOGY.jsonl or TECHNOLOGY.jsonl.gz in it, such as ansible.jsonl"
        )
    if taken := sorted(names.intersection(RESERVED)):
        raise DataInvalid(
            folder, f"{taken[0]!r} is no technology: a set of all or of validation is called so; rename the file"
        )
    return {name: find_split(folder, name, ROWS) for name in sorted(names)}


def _check_technologies(file: FindingsFile, expected: tuple[str, ...], why: str) -> None:
    for finding in file.findings:
        if finding.technology not in expected:
            problem = f"tech: expected {' or '.join(expected)}, {why}; found {finding.technology!r}"
            raise DataInvalid(file.path, problem, line=finding.row)


def check_both_labels(path: Path, findings: Sequence[Finding], which: str = "of it") -> None:
    """Whether there are true findings and false alarms.

    Args:
        path: For the message.
        findings: The set.
        which: What they are of all rows at ``path``, for the message.

    Raises:
        DataInvalid: all have one label, or there are none. Not retried.
    """
    counts = Counter(finding.label for finding in findings)
    if len(counts) < len(LABELS):
        found = {name: counts[label] for name, label in LABELS.items()}
        told = ", ".join(f"{count} {name}" for name, count in found.items())
        raise DataInvalid(path, f"label: expected both TP and FP among the {len(findings)} rows {which}; found {told}")


def _check_apart(test: FindingsFile, others: Iterable[Finding]) -> None:
    """Whether no file of test is one that a model learns from or is chosen by."""
    first_of: dict[str, Finding] = {}
    for finding in others:
        first_of.setdefault(finding.group, finding)
    shared = [finding for finding in test.findings if finding.group in first_of]
    if shared:
        finding, other = shared[0], first_of[shared[0].group]
        raise DataInvalid(
            test.path,
            f"file: {finding.file!r} is in {other.path}:{other.row}, too, so the test file overlaps a training file "
            f"({len(shared)} rows of test are of such files); expected files that are neither in {TRAIN} nor in {VAL}",
            line=finding.row,
        )
