"""Copies of texts, exact and near: across splits, and where copies have different labels.

The search is the one of the preprocess job (`models.data.duplicates`); the sealed split is compared, nothing is fitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.evaluation.audit.checks import Check, Section, Topic, Verdict, counted, percent
from models.evaluation.audit.rows import AuditRows
from models.evaluation.metrics import Integers

if TYPE_CHECKING:
    from models.data.duplicates import DuplicateSearch

ACROSS = Topic("duplicates_across_splits", "Copies across splits", "Do valid and test hold copies of training records?")
CONFLICTS = Topic("near_duplicate_conflicts", "Copies that contradict", "Do copies of one text have the same label?")
NOTABLE, MUCH = 0.05, 0.25
"""Share of pairs of copies whose labels differ."""
MAX_TWINS = 0.01


def search_of(rows: AuditRows, similarity: float) -> DuplicateSearch:
    """A search that holds all records."""
    from models.data.duplicates import DuplicateSearch

    search = DuplicateSearch(similarity)
    for row, split in enumerate(rows.splits):
        search.add(split, rows.ids[row], rows.groups[row] or rows.ids[row], int(rows.labels[row]), rows.codes[row])
    return search


def joined_with_copies(rows: AuditRows, search: DuplicateSearch) -> Integers:
    """``(N,)`` number of what must be held out together: commit or file, and near copies, through others too."""
    from models.data.fold_dealing import joined_rows

    links = search.links()
    return joined_rows([group or f"\0{row}" for row, group in enumerate(rows.groups)], [*links.exact, *links.near])


def duplicates(rows: AuditRows, search: DuplicateSearch) -> Section:
    """Report of the search with both checks."""
    report = search.report()
    return Section("duplicates", report, (_judge_across(rows, report), _judge_conflicts(rows, report)))


def _judge_across(rows: AuditRows, report: dict[str, Any]) -> Check:
    twins = report["with_twin_in_train"]
    if not twins:
        why = "there is one split only" if len(rows.split_names) == 1 else "there is no train"
        return ACROSS.not_checked(f"Not checked: {why}.")
    found = sum(counts["either"] for counts in twins.values())
    total = sum(report["num_records"][split] for split in twins)
    told = ", ".join(f"{counts['either']:,} of {split} ({counts['exact']:,} exact)" for split, counts in twins.items())
    share = found / total
    verdict: Verdict = "good" if not found else "bad" if share > MAX_TWINS else "look"
    advice = "Take them out of training (python -m models collect does), or show scores with and without them."
    detail = f"Records with an exact or near copy in train: {told}."
    return ACROSS.judged(verdict, detail, value=share, expected=0.0, advice=advice)


def _judge_conflicts(rows: AuditRows, report: dict[str, Any]) -> Check:
    pairs = {kind: _total(report, kind, "pairs") for kind in ("exact", "near")}
    differ = {kind: _total(report, kind, "other_label") for kind in ("exact", "near")}
    total, conflicts = sum(pairs.values()), sum(differ.values())
    positive = float(rows.labels.mean())
    expected = 2.0 * positive * (1.0 - positive)
    if not total:
        return CONFLICTS.judged("good", "No two records are copies of each other.", value=0.0, expected=expected)
    share = conflicts / total
    detail = (
        f"{conflicts:,} of {counted(total, 'pair')} of copies have different labels ({percent(share)}; of unrelated "
        f"records {percent(expected)}): {differ['exact']:,} of {pairs['exact']:,} exact, {differ['near']:,} of "
        f"{pairs['near']:,} near."
    )
    verdict: Verdict = "good" if share < NOTABLE and not differ["exact"] else "look" if share < MUCH else "bad"
    advice = (
        "Exact copies with both labels cannot both be right. Near ones bound what any model can reach: report with and "
        "without them, and use them as pairs."
    )
    if rows.in_pairs:
        detail += " These data are before/after pairs, which should differ so."
        verdict = "look" if verdict == "bad" and not differ["exact"] else verdict
    return CONFLICTS.judged(verdict, detail, value=share, expected=expected, advice=advice)


def _total(report: dict[str, Any], kind: str, what: str) -> int:
    return int(np.sum([counts[what] for place in report[kind].values() for counts in place.values()], dtype=np.int64))
