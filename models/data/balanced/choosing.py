"""Which rows go to which split: copies apart, whole groups together, each split balanced. Row numbers in and out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from models.data.balanced.balancing import LabelCounts, check_ratio, chosen_rows, kept_counts
from models.data.balanced.copies import KeptRows, Rows, without_copies
from models.data.balanced.grouping import NearCopies, find_near_copies, join
from models.data.balanced.likeness import Likeness, num_across_tasks, share_matches
from models.data.balanced.splitting import SPLITS, deal_groups
from models.data.balanced.spool import UNKNOWN, Facts, Spool
from models.errors import DataInvalid
from models.jobs.contract import JobContext
from models.settings.balance import BalanceSettings

MIN_FILLED = 0.5
"""With ``split_by`` auto, repositories are split by only where validation and test get this part of their shares."""

By = Literal["repository", "file"]
Ints = npt.NDArray[np.int64]


class ChosenRows(NamedTuple):
    """Rows by split.

    Args:
        rows: Row numbers of each split, growing.
        first_of: First row of each row's group; ``UNKNOWN`` for rows that are in no split.
        balanced: Whether they were balanced; not where nothing is labelled, or no ratio is asked for.
        likeness: Which rows are too much alike to be negatives of each other.
        report: What was found and left out, as JSON values.
    """

    rows: dict[str, list[int]]
    first_of: Ints
    balanced: bool
    likeness: Likeness
    report: dict[str, Any]


class _Split(NamedTuple):
    """Groups of rows and where each row goes; both arrays are in the order of the rows that are kept.

    ``fallback`` says why repositories were not kept whole though they were tried first.
    """

    by: By
    joined: Ints
    number: Ints
    num_groups: int
    fallback: str | None = None


def choose_rows(settings: BalanceSettings, spool: Spool, context: JobContext) -> ChosenRows:
    """Rows of train, val and test.

    Raises:
        DataInvalid: there are fewer than three groups, or a split cannot be balanced. Not retried.
        Interrupted: the job was asked to stop. Retried.
    """
    facts = spool.facts
    kept = without_copies(facts)
    labels = np.array(facts.labels, dtype=np.int64)
    balanced = settings.balance_ratio is not None and bool((labels[kept.rows] != UNKNOWN).any())
    rows = kept.rows[labels[kept.rows] != UNKNOWN] if balanced else kept.rows
    near = find_near_copies(spool, rows, settings.near_duplicate_similarity, context)
    report_of_near = {
        "near_copies": len(near.links),
        "near_copies_complete": near.complete,
        "near_copies_across_tasks": num_across_tasks(facts, near),
        "near_copies_given_one_match": share_matches(facts, near),
    }
    split = _split_rows(settings, facts, rows, near, balanced=balanced)
    by_split = {name: rows[split.number == number].tolist() for number, name in enumerate(SPLITS)}
    chosen = _balanced(settings, facts, by_split) if balanced else by_split
    first_of = np.full(len(facts), UNKNOWN, dtype=np.int64)
    first_of[rows] = rows[split.joined]
    report = {
        **_report_of_copies(kept),
        "unlabelled_left_out": len(kept.rows) - len(rows),
        **report_of_near,
        "split_by": split.by,
        "split_by_fallback": split.fallback,
        "num_groups": split.num_groups,
        "largest_group": int(np.bincount(split.joined).max()),
        "left_out_by_balance": {name: len(by_split[name]) - len(chosen[name]) for name in SPLITS},
    }
    return ChosenRows(chosen, first_of, balanced, Likeness(facts, kept.tasks, near), report)


def _report_of_copies(kept: KeptRows) -> dict[str, Any]:
    return {
        "copies_left_out": kept.num_copies,
        "texts_of_several_tasks": len(kept.tasks),
        "conflicting_labels": {
            "texts": kept.num_conflicts,
            "rows_left_out": kept.num_conflicting_rows,
            "shown": kept.conflicts,
        },
    }


def _split_rows(settings: BalanceSettings, facts: Facts, rows: Rows, near: NearCopies, *, balanced: bool) -> _Split:
    split = _split_by(settings, facts, rows, near, "file" if settings.split_by == "file" else "repository")
    if settings.split_by == "auto" and (lacking := _lacking(settings, facts, rows, split, balanced=balanced)):
        split = _split_by(settings, facts, rows, near, "file")._replace(fallback=lacking)
    if split.num_groups < len(SPLITS):
        advice = " (split_by=file makes more)" if split.by == "repository" else ""
        raise DataInvalid(
            settings.repos_root,
            f"{len(rows)} functions are in {split.num_groups} groups that must not be divided ({split.by}, copies, "
            f"equal match): train, val and test need at least one each; give more data{advice}",
        )
    return split


def _split_by(settings: BalanceSettings, facts: Facts, rows: Rows, near: NearCopies, by: By) -> _Split:
    joined = np.array(join(facts, rows, near, by), dtype=np.int64)
    firsts, group = np.unique(joined, return_inverse=True)
    counts = np.zeros((len(firsts), 3), dtype=np.int64)
    np.add.at(counts, (group, np.array(facts.labels, dtype=np.int64)[rows]), 1)  # UNKNOWN counts in the last column
    if len(firsts) < len(SPLITS):
        return _Split(by, joined, np.zeros(len(rows), dtype=np.int64), len(firsts))
    names = [facts.ids[row] for row in rows[firsts].tolist()]
    keys = [hashlib.sha256(f"{settings.seed}:split:{name}".encode()).digest() for name in names]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    dealt = deal_groups(counts, _shares(settings), order)
    return _Split(by, joined, dealt[group], len(firsts))


def _shares(settings: BalanceSettings) -> tuple[float, float, float]:
    return 1.0 - settings.val_share - settings.test_share, settings.val_share, settings.test_share


def _lacking(settings: BalanceSettings, facts: Facts, rows: Rows, split: _Split, *, balanced: bool) -> str | None:
    """What a split lacks of its share, or to be balanced where it is to be; ``None`` where nothing."""
    if split.num_groups < len(SPLITS):
        return (
            f"repositories, joined with what does the same, make {split.num_groups} of the {len(SPLITS)} groups needed"
        )
    for number, share in enumerate(_shares(settings)):
        inside = rows[split.number == number]
        if len(inside) < MIN_FILLED * share * len(rows):
            return f"{SPLITS[number]} would get {len(inside)} of {len(rows)} functions, and its share is {share:g}"
        counts = _label_counts(facts, inside.tolist())
        if balanced and kept_counts(counts, settings.balance_ratio or 0.5) is None:
            return f"{SPLITS[number]} would get {counts.vulnerable} vulnerable and {counts.safe} safe functions"
    return None


def _balanced(settings: BalanceSettings, facts: Facts, by_split: dict[str, list[int]]) -> dict[str, list[int]]:
    ratio = settings.balance_ratio
    assert ratio is not None
    counts = {name: _label_counts(facts, rows) for name, rows in by_split.items()}
    check_ratio(settings.repos_root, counts, ratio)
    chosen = {}
    for name, rows in by_split.items():
        kept = kept_counts(counts[name], ratio)
        assert kept is not None
        parts = [
            chosen_rows([row for row in rows if facts.labels[row] == label], facts.ids, count, settings.seed)
            for label, count in ((1, kept.vulnerable), (0, kept.safe))
        ]
        chosen[name] = sorted([*parts[0], *parts[1]])
    return chosen


def _label_counts(facts: Facts, rows: Sequence[int]) -> LabelCounts:
    vulnerable = sum(facts.labels[row] == 1 for row in rows)
    return LabelCounts(vulnerable, sum(facts.labels[row] == 0 for row in rows))
