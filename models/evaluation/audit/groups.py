"""Groups (commits, files): whether splits share them, and whether the label is the group's rather than the record's.

In Devign and what was made like it every function of a commit has the label of the commit. Such records are no
independent evidence, and a split that tears commits apart hands the label over.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from models.evaluation.audit.checks import Check, Section, Topic, Verdict, counted, percent
from models.evaluation.audit.rows import AuditRows, codes_of
from models.evaluation.metrics import Floats, Integers

ACROSS = Topic("groups_across_splits", "Groups across splits", "Do valid and test share commits or files with train?")
PURITY = Topic("group_purity", "Labels within groups", "Is the label that of the commit or file, not of the record?")
NUM_PERMUTATIONS = 199
LABELS_OF_GROUPS = 0.95
"""Share of groups with one label from which labels are taken for labels of groups."""
NOTABLE_EXCESS = 0.1


def groups_across_splits(rows: AuditRows) -> Section:
    """Groups that several splits have, and the records of valid and test that share one with train."""
    known = [(split, group) for split, group in zip(rows.splits, rows.groups, strict=True) if group]
    content: dict[str, Any] = {"grouped_by": rows.grouped_by, "num_known": len(known)}
    if not known or len(rows.split_names) < 2:
        why = "there is one split only" if known else f"no {rows.word} has a commit or file"
        return Section("groups", content | {"reason": why}, (ACROSS.not_checked(f"Not checked: {why}."),))
    splits_of: dict[str, set[str]] = {}
    for split, group in known:
        splits_of.setdefault(group, set()).add(split)
    in_train = {group for group, splits in splits_of.items() if "train" in splits}
    others = [(split, group) for split, group in known if split != "train"]
    shared = Counter(split for split, group in others if group in in_train)
    content |= {
        "groups": len(splits_of),
        "in_several_splits": sum(len(splits) > 1 for splits in splits_of.values()),
        "records_with_group_in_train": {split: shared[split] for split in rows.split_names if split != "train"},
    }
    return Section("groups", content, (_judge_across(rows, content, len(others)),))


def _judge_across(rows: AuditRows, content: dict[str, Any], num_others: int) -> Check:
    found = content["records_with_group_in_train"]
    num_shared = sum(found.values())
    share = num_shared / num_others if num_others else 0.0
    told = ", ".join(f"{number:,} of {split}" for split, number in found.items())
    detail = (
        f"{counted(content['in_several_splits'], rows.grouped_by)} of {content['groups']:,} lie in several splits; "
        f"records that share one with train: {told} ({percent(share)})."
    )
    advice = f"Split by {rows.grouped_by} (preprocess and findings: splits by group), or read scores as too good."
    verdict: Verdict = "good" if not content["in_several_splits"] else "bad" if share >= 0.01 else "look"
    return ACROSS.judged(verdict, detail, value=share, expected=0.0, advice=advice)


def group_purity(rows: AuditRows, seed: int) -> Section:
    """How many groups of two or more have one label, beside what shuffled labels would give; without the sealed split.

    Args:
        rows: Records that may be learnt from.
        seed: Of the permutations.
    """
    places = np.flatnonzero([bool(group) for group in rows.groups])
    names, group_of = codes_of([rows.groups[place] for place in places.tolist()])
    sizes = np.bincount(group_of, minlength=len(names)) if len(places) else np.zeros(0, np.int64)
    large = np.flatnonzero(sizes >= 2)
    if not len(large):
        why = (
            f"no {rows.grouped_by} holds two records"
            if rows.grouped_by
            else f"no {rows.word} has a commit or file; groups are then clusters of near copies"
        )
        return Section("group_purity", {"reason": why}, (PURITY.not_checked(f"Not checked: {why}."),))
    chosen = np.isin(group_of, large)
    labels = rows.labels[places][chosen].astype(np.float64)
    _, group_of = np.unique(group_of[chosen], return_inverse=True)
    sizes = sizes[large]
    purity = _purity(labels, group_of, sizes)
    shuffled = shuffled_purity(labels, group_of, sizes, seed)
    content = {
        "grouped_by": rows.grouped_by,
        "groups": len(sizes),
        "records": int(sizes.sum()),
        "single_label_groups": round(purity * len(sizes)),
        "share_single_label": purity,
        "expected": float(shuffled.mean()),
        "p_value": float((1 + np.sum(shuffled >= purity)) / (1 + len(shuffled))),
        "largest_group": int(sizes.max()),
    }
    return Section("group_purity", content, (_judge_purity(rows, content),))


def shuffled_purity(labels: Floats, group_of: Integers, sizes: Integers, seed: int) -> Floats:
    """``(B,)`` shares of groups with one label after the labels were shuffled among the records."""
    random = np.random.Generator(np.random.PCG64(seed))
    return np.array([_purity(random.permutation(labels), group_of, sizes) for _ in range(NUM_PERMUTATIONS)])


def _purity(labels: Floats, group_of: Integers, sizes: Integers) -> float:
    positives = np.bincount(group_of, weights=labels, minlength=len(sizes))
    return float(np.mean((positives == 0) | (positives == sizes)))


def _judge_purity(rows: AuditRows, content: dict[str, Any]) -> Check:
    share, expected, p_value = (content[name] for name in ("share_single_label", "expected", "p_value"))
    detail = (
        f"{percent(share)} of {counted(content['groups'], rows.grouped_by)} with two or more records have one label; "
        f"shuffled labels would give {percent(expected)} (p {p_value:.3f})."
    )
    advice = (
        f"Split, fold and resample by {rows.grouped_by}, and count {rows.grouped_by}s, not records, as the sample: "
        "a record of a seen group tells its label."
    )
    is_shown = p_value <= 0.01 and share > expected
    verdict: Verdict = (
        "bad"
        if is_shown and share >= LABELS_OF_GROUPS
        else "look"
        if is_shown and share - expected > NOTABLE_EXCESS
        else "good"
    )
    return PURITY.judged(verdict, detail, value=share, expected=expected, advice=advice)
