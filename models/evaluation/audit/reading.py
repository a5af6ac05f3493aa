"""Whatever a data set came as, read into the audit's one table.

Tried in this order: records of a finished preprocess or findings run, splits in CodeXGLUE's shape (a folder, or a
collect run), a collection of any shape that ``models.data.collectors`` reads. A collection without splits is all train.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import DataInvalid
from models.evaluation.audit.rows import CATEGORIES, SPLITS, AuditRows
from models.settings.collect import CollectionFormat

MAX_CODE_BYTES = 1_000_000
"""Longer functions are left out, as the preprocess job does by default [bytes]."""
GROUPED_BY_FILE = ("juliet", "folder")
"""Shapes whose rows have files for groups."""


@dataclass
class _Columns:
    """The table while it is read."""

    path: Path
    ids: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    categories: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in CATEGORIES})
    numbers: list[int | None] = field(default_factory=list)
    num_rejected: int = 0
    num_in_pairs: int = 0

    def add(
        self, split: str, name: str, label: int, code: str, group: str, number: object, categories: dict[str, Any]
    ) -> None:
        """Take one record."""
        self.ids.append(name)
        self.splits.append(split)
        self.labels.append(label)
        self.codes.append(code)
        self.groups.append(group)
        text = str(number)
        self.numbers.append(int(text) if text.isascii() and text.isdigit() else None)
        for category, values in self.categories.items():
            value = categories.get(category)
            values.append("" if value is None else str(value))

    def finish(self, shape: str, kind: str, grouped_by: str) -> AuditRows:
        """The table; refuses one that holds nothing."""
        if not self.ids:
            rejected = f" ({self.num_rejected} rows were rejected)" if self.num_rejected else ""
            raise DataInvalid(self.path, f"no record that can be used{rejected}; there is nothing to audit")
        return AuditRows(
            self.path,
            shape,
            kind,
            self.ids,
            self.splits,
            np.array(self.labels, dtype=np.int8),
            self.codes,
            self.groups,
            grouped_by if any(self.groups) else "",
            {name: values for name, values in self.categories.items() if any(values)},
            self.numbers,
            in_pairs=2 * self.num_in_pairs > len(self.ids),
            num_rejected=self.num_rejected,
        )


def read_rows(path: Path, given_format: CollectionFormat = "auto") -> AuditRows:
    """Everything of a data set that the audit looks at.

    Args:
        path: A run directory, a folder or a file.
        given_format: Shape of a collection, where it is one.

    Raises:
        DataInvalid: Nothing is there that can be read, or no row of it can be used. Not retried.
    """
    from models.data.raw_functions import SUFFIXES

    if given_format != "auto" or not path.is_dir():
        return _read_collection(path, given_format)
    files = {split: file for split in SPLITS for suffix in SUFFIXES if (file := path / f"{split}{suffix}").is_file()}
    first = next((row for _, row in _objects(files["train"])), {}) if "train" in files else {}
    if isinstance(first.get("metadata"), dict) and "code" in first:
        return _read_records(path, files)
    if "func" in first and "target" in first:
        return _read_splits(path, files)
    if "with_context" in first:
        raise DataInvalid(
            path,
            f"these are findings of an analyser as they came; run python -m models findings --data {path} and give its "
            "run directory",
        )
    return _read_collection(path, given_format)


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """JSON objects of a file with the numbers of their lines."""
    import orjson

    from models.data.raw_functions import max_line_bytes, read_lines

    for line in read_lines(path, max_line_bytes=max_line_bytes(16 * MAX_CODE_BYTES)):
        if line.content == b"":
            continue
        try:
            row = orjson.loads(line.content or b"")
        except orjson.JSONDecodeError as error:
            raise DataInvalid(path, f"no JSON ({error})", line=line.number) from error
        if not isinstance(row, dict):
            raise DataInvalid(path, "expected one JSON object a line", line=line.number)
        yield line.number, row


def _read_records(path: Path, files: dict[str, Path]) -> AuditRows:
    """Records of the preprocess or findings job; a group that is a record's id stands for none."""
    columns, are_findings = _Columns(path), False
    for split, file in files.items():
        for number, row in _objects(file):
            try:
                name, code, label, metadata = str(row["id"]), row["code"], row["label"], row["metadata"]
                group = str(metadata["group"])
            except (KeyError, TypeError) as error:
                raise DataInvalid(file, f"not a record ({type(error).__name__}: {error})", line=number) from error
            if label not in (0, 1) or not isinstance(code, str):
                raise DataInvalid(file, f"expected a text and a label 0 or 1, found label {label!r}", line=number)
            are_findings = are_findings or "smell" in metadata
            columns.num_in_pairs += bool(metadata.get("pair"))
            columns.add(split, name, int(label), code, group, metadata.get("orig_id"), metadata)
    known = set(columns.ids)
    columns.groups = ["" if group in known else group for group in columns.groups]
    kind, grouped_by = ("findings", "file") if are_findings else ("functions", "commit")
    return columns.finish(f"records of the {'findings' if are_findings else 'preprocess'} job", kind, grouped_by)


def _read_splits(path: Path, files: dict[str, Path]) -> AuditRows:
    """Rows in CodeXGLUE's shape; those that the preprocess job would reject are left out and counted."""
    from models.data.raw_functions import Rejection, max_line_bytes, read_function, read_lines

    columns, seen = _Columns(path), set[str]()
    for split, file in files.items():
        for line in read_lines(file, max_line_bytes=max_line_bytes(MAX_CODE_BYTES)):
            if line.content == b"":
                continue
            row = read_function(line, MAX_CODE_BYTES)
            if isinstance(row, Rejection):
                columns.num_rejected += 1
                continue
            name = "-".join(filter(None, (row.source, split, row.unique_name))).upper()
            if name in seen:
                columns.num_rejected += 1
                continue
            seen.add(name)
            categories = {"project": row.project, "source": row.source, "origin": row.origin}
            number = row.orig_id if row.has_idx else None
            columns.add(split, name, row.label, row.code, row.commit_id, number, categories)
    return columns.finish("splits in CodeXGLUE's shape", "functions", "commit")


def _read_collection(path: Path, given_format: CollectionFormat) -> AuditRows:
    from models.data.collectors.reading import detect_format, read_collection
    from models.data.collectors.rows import RejectedRow

    found = detect_format(path) if given_format == "auto" else given_format
    columns = _Columns(path)
    for row in read_collection(path, found, max_code_bytes=MAX_CODE_BYTES):
        if isinstance(row, RejectedRow):
            columns.num_rejected += 1
            continue
        columns.num_in_pairs += bool(row.pair)
        categories = {"project": row.project, "origin": row.origin}
        columns.add("train", row.idx, row.label, row.code, row.commit_id, row.idx, categories)
    return columns.finish(f"a collection ({found})", "functions", "file" if found in GROUPED_BY_FILE else "commit")
