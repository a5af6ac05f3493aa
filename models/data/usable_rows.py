"""Rows of a split that can be used, with their ids and groups; and which split keeps a group.

A row's group is its commit. A row without one belongs to its cluster of near copies among the rows without a commit
of all splits (exact copies, where functions are too short for an estimate), named after the first of them. Clusters
are known only at the end, so ``find_groups`` reads all rows once before any is written; it computes signatures only of
rows without a commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from models.data.duplicates import DuplicateSearch
from models.data.raw_functions import (
    SPLITS,
    RawFunction,
    Rejection,
    Survey,
    max_line_bytes,
    read_function,
    read_lines,
)
from models.data.records import NamedFunction
from models.data.split_report import SplitReport
from models.settings.preprocess import PreprocessSettings

QUICK_TEST_RECORDS = 100


@dataclass
class RowGroups:
    """What is known of groups before records are written.

    Args:
        clusters: Per record id without a commit that has a near copy, its cluster.
        kept_by: Per group, the last split that has it; empty where the given split stands.
    """

    clusters: Mapping[str, str] = field(default_factory=dict)
    kept_by: dict[str, str] = field(default_factory=dict)

    def split_instead(self, split: str, group: str) -> str | None:
        """The split that keeps the group, where it is not ``split``."""
        keeper = self.kept_by.get(group, split)
        return keeper if keeper != split else None


class RowSink(NamedTuple):
    """Where rows that are no records are told.

    Args:
        report: Counts.
        told: Called for each row rejected or dropped.
    """

    report: SplitReport
    told: Callable[[Rejection], None]


def usable_rows(
    settings: PreprocessSettings, survey: Survey, split: str, groups: RowGroups, sink: RowSink
) -> Iterator[NamedFunction]:
    """Rows of a split that become records, each id once; of the first hundred usable ones in a quick test.

    An id holds the name of the row's own source, where the row has one: an ``idx`` is unique in its source only.
    """
    report = sink.report
    seen: set[str] = set()
    for line in read_lines(survey.path, max_line_bytes=max_line_bytes(settings.max_code_bytes)):
        if line.content == b"":
            report.num_blank_lines += 1
            continue
        row = read_function(line, settings.max_code_bytes)
        record_id = "" if isinstance(row, Rejection) else _id_of(row, settings.source, split)
        if not isinstance(row, Rejection) and record_id in seen:
            row = Rejection(line.number, "duplicate_id", f"idx {row.orig_id} was used by an earlier row of this file")
        if isinstance(row, Rejection):
            report.reject(row)
            sink.told(row)
            continue
        seen.add(record_id)
        group = row.commit_id or groups.clusters.get(record_id, record_id)
        if keeper := groups.split_instead(split, group):
            dropped = Rejection(line.number, f"group_in_{keeper}", f"{keeper} has rows of the group {group}, too")
            report.drop(dropped)
            sink.told(dropped)
        else:
            report.accept(row, settings.source)
            yield NamedFunction(row, record_id, group, split)
        if settings.quick_test and report.num_accepted + report.num_dropped == QUICK_TEST_RECORDS:
            return


def _id_of(function: RawFunction, source: str, split: str) -> str:
    return f"{function.source or source}-{split}-".upper() + function.unique_name


def find_groups(
    settings: PreprocessSettings, surveys: Mapping[str, Survey], check_stop: Callable[[], None]
) -> RowGroups:
    """Clusters of the rows without a commit, and where ``splits`` is ``by_group`` the split that keeps each group.

    Args:
        settings: Of the job.
        surveys: Per split its file.
        check_stop: Called at each row; raises where the job shall end.
    """
    search = DuplicateSearch(settings.near_duplicate_similarity)
    for split, survey in surveys.items():
        for named in _read_quietly(settings, survey, split, RowGroups()):
            check_stop()
            if not named.function.commit_id:
                function = named.function
                search.add(split, named.record_id, named.group, function.label, function.code)
    groups = RowGroups(search.clusters())
    if settings.splits == "by_group":
        kept_by: dict[str, str] = {}
        for split in SPLITS[1:]:  # train keeps only what no other split has; test is the last and keeps all it has
            for named in _read_quietly(settings, surveys[split], split, groups):
                check_stop()
                kept_by[named.group] = split
        groups.kept_by = kept_by
    return groups


def _read_quietly(
    settings: PreprocessSettings, survey: Survey, split: str, groups: RowGroups
) -> Iterator[NamedFunction]:
    """Without a word on what cannot be used: that is told when records are written."""
    return usable_rows(settings, survey, split, groups, RowSink(SplitReport(), lambda _: None))
