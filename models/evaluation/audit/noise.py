"""Hints at wrong labels: records whose words speak against their label, and an estimate of how many there are.

Confident learning (Northcutt, Jiang, Chuang 2021, JAIR 70; cleanlab) on probabilities out of group folds. What it gives
is as good as the model behind it, and words know little of most vulnerabilities: the AUROC and the same estimate for
shuffled labels stand beside it. Hints are for people to read; nothing is removed by them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from models.evaluation.audit.checks import Check, Section, Topic, Verdict, percent
from models.evaluation.audit.folds import group_folds
from models.evaluation.audit.rows import AuditRows
from models.evaluation.audit.words import HashedWords, WordScores, words_out_of_fold
from models.evaluation.metrics import Floats, Integers
from models.evaluation.out_of_fold.label_trust import TELLING_AUROC, estimated_noise, label_trust, noise_if_shuffled

NOISE = Topic("label_noise", "Label noise (hints)", "How many labels do the words of the other records speak against?")
MIN_RECORDS = 50
NOTABLE, MUCH = 0.05, 0.15
HEAD_CHARS = 400


def label_noise(
    rows: AuditRows, words: HashedWords, groups: Integers, scored: WordScores | None, *, num_shown: int, seed: int
) -> Section:
    """Estimated noise, the same for shuffled labels, and the records that are trusted least.

    Args:
        rows: Records that may be learnt from.
        words: Of these records.
        groups: ``(N,)`` what is held out together.
        scored: Words in group folds; ``None`` where there are none.
        num_shown: Hints given.
        seed: Of the shuffle.
    """
    why = (
        "there are not two groups of either label"
        if scored is None
        else f"{len(rows)} records are too few"
        if len(rows) < MIN_RECORDS
        else ""
    )
    if why or scored is None:
        return Section("label_noise", {"reason": why, "hints": []}, (NOISE.not_checked(f"Not checked: {why}."),))
    trust = label_trust(rows.labels, [scored.scores])
    content: dict[str, Any] = {
        "auroc": scored.auroc.as_json(),
        "estimated": _estimated(rows.labels.astype(np.int64), scored.scores),
        "estimated_if_shuffled": _if_shuffled(rows, words, groups, int(scored.folds.max()) + 1, seed),
        "hints": _hints(rows, scored.scores, trust, num_shown),
    }
    return Section("label_noise", content, (_judge(content),))


def _estimated(labels: Integers, scores: Floats) -> Mapping[str, float | None]:
    """Share of wrong labels, of all and by given label; null where that cannot be said."""
    found = estimated_noise(labels, scores)
    shares = {"overall": found.overall, "given_0": found.given_0, "given_1": found.given_1}
    return shares if all(map(math.isfinite, shares.values())) else dict.fromkeys(shares)


def _if_shuffled(rows: AuditRows, words: HashedWords, groups: Integers, num_folds: int, seed: int) -> float | None:
    """The estimate for the same texts with their labels shuffled, folded as the real ones."""

    def by_words(shuffled: Integers) -> Floats | None:
        labels = shuffled.astype(np.int8)
        folds = group_folds(labels, groups, num_folds, seed)
        return None if folds is None else words_out_of_fold(labels, words, folds, seed)

    return noise_if_shuffled(rows.labels, np.zeros(len(rows), dtype=np.int64), by_words, seed=seed)


def _hints(rows: AuditRows, scores: Floats, trust: Floats, num_shown: int) -> list[dict[str, Any]]:
    """The least trusted first."""
    return [
        {
            "id": rows.ids[row],
            "label": int(rows.labels[row]),
            "probability": float(scores[row]),
            "trust": float(trust[row]),
            "split": rows.splits[row],
            "group": rows.groups[row],
            "project": rows.categories["project"][row] if "project" in rows.categories else "",
            "code_head": head_of(rows.codes[row]),
        }
        for row in np.argsort(trust, kind="stable")[:num_shown].tolist()
    ]


def head_of(code: str) -> str:
    """Its first lines that hold something, up to ``HEAD_CHARS`` characters."""
    lines = [line.rstrip() for line in code[: 4 * HEAD_CHARS].splitlines() if line.strip()]
    return "\n".join(lines)[:HEAD_CHARS]


def _judge(content: dict[str, Any]) -> Check:
    estimate, shuffled, auroc = content["estimated"]["overall"], content["estimated_if_shuffled"], content["auroc"]
    if estimate is None:
        return NOISE.not_checked("Not checked: the words tell too little for an estimate.")
    beside = "" if shuffled is None else f" For shuffled labels the same words give {percent(shuffled)}."
    of_0, of_1 = (content["estimated"][f"given_{label}"] for label in (0, 1))
    detail = (
        f"Words (AUROC {auroc['value']:.3f}) take {percent(estimate)} of labels for wrong: {percent(of_0)} of label 0, "
        f"{percent(of_1)} of label 1.{beside}"
    )
    advice = "Read the least trusted records (on the page), and weigh records rather than remove them (job weigh)."
    if auroc["low"] < TELLING_AUROC:
        detail += " They know too little of the labels to judge them: this shows neither right nor wrong ones."
        return NOISE.judged("look", detail, value=estimate, expected=shuffled, advice=advice)
    verdict: Verdict = "good" if estimate < NOTABLE else "look" if estimate < MUCH else "bad"
    return NOISE.judged(verdict, detail, value=estimate, expected=shuffled, advice=advice)
