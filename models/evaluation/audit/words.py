"""What a model without understanding makes of the texts: words, TF-IDF, logistic regression, always out of fold.

Words and pairs of words are hashed, so that nothing is fitted but the regression and 30,000 functions take seconds; the
document frequencies of TF-IDF are of all learnable records and see no label. A text counts up to ``MAX_CHARS``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evaluation.audit.checks import Check, Section, Topic, Verdict, percent
from models.evaluation.audit.folds import (
    Estimate,
    Labels,
    auroc_within_folds,
    f1_by_other_folds,
    mean_of,
    scores_out_of_fold,
)
from models.evaluation.audit.rows import AuditRows
from models.evaluation.baselines import REGULARISATION, WORDS
from models.evaluation.intervals import Resamples, percentile_interval
from models.evaluation.metrics import Floats, Integers, confusion_of, f1

TEXT = Topic("words", "Words alone", "How far do single words tell the label, commits and copies held apart?")
LEAK = Topic("split_leak", "Leak through groups", "Do random folds score better than folds that keep groups together?")
AGAINST = Topic("split_leak", "Random folds score worse", LEAK.question)
PROJECTS = Topic("across_projects", "Across projects", "Does what words tell hold for projects that were not seen?")
CONSTANT = Topic("constant_answers", "Constant answers", "What does a model reach that always answers the same?")
MAX_CHARS = 20_000
NUM_FEATURES = 2**18
MAX_ITERATIONS = 500
GIVEN_AWAY, EASY = 0.95, 0.85
"""AUROC of words from which the label is given away by the text, and from which it is worth a look."""
NOTABLE_LEAK = 0.02

SparseRows = Any
"""A sparse matrix; SciPy has no types."""


@dataclass(frozen=True)
class WordScores:
    """Scores of the words, out of fold, for one way to fold.

    Args:
        folds: ``(N,)`` of the first repeat.
        scores: ``(N,)`` probabilities of label 1, in the first repeat.
        auroc: Within folds, the mean over the repeats.
        f1: At thresholds of the other folds, the mean over the repeats.
        by_repeat: AUROC of each repeat: how much is due to which record fell into which fold.
    """

    folds: Integers
    scores: Floats
    auroc: Estimate
    f1: float
    by_repeat: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """What ``audit.json`` holds of it."""
        return {"auroc": self.auroc.as_json(), "f1": self.f1, "num_folds": int(self.folds.max()) + 1}


@dataclass(frozen=True)
class HashedWords:
    """Words and pairs of words of records.

    Args:
        features: ``(N, F)`` sparse TF-IDF.
        columns: ``(F,)`` what each column is hashed to, in [0, NUM_FEATURES).
    """

    features: SparseRows
    columns: Integers


def hashed_words(rows: AuditRows) -> HashedWords:
    """Words and pairs that two records have at least: others tell nothing out of fold, and cost time."""
    from sklearn.feature_extraction.text import TfidfTransformer

    counts = word_hasher().transform(code[:MAX_CHARS] for code in rows.codes)
    columns = np.flatnonzero(np.bincount(counts.indices, minlength=NUM_FEATURES) >= 2)
    columns = columns if len(columns) else np.zeros(1, dtype=np.int64)  # a matrix has a column
    return HashedWords(TfidfTransformer(sublinear_tf=True).fit_transform(counts[:, columns]), columns.astype(np.int64))


def word_hasher() -> Any:
    """scikit-learn's vectoriser of words and pairs of words, cut as the text baseline cuts them."""
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        token_pattern=WORDS,
        lowercase=False,
        ngram_range=(1, 2),
        n_features=NUM_FEATURES,
        alternate_sign=False,
        norm=None,
    )


def words_out_of_fold(labels: Labels, words: HashedWords, folds: Integers, seed: int) -> Floats:
    """``(N,)`` probabilities of label 1 by logistic regression on the other folds.

    Args:
        labels: ``(N,)`` 0 or 1.
        words: Of the same records.
        folds: ``(N,)``.
        seed: Of the solver.
    """
    from sklearn.linear_model import LogisticRegression

    features = words.features

    def fit_and_score(fitted: Integers, scored: Integers) -> Floats:
        if len(set(labels[fitted].tolist())) < 2:
            return np.full(len(scored), float(labels[fitted].mean()))
        model = LogisticRegression(C=REGULARISATION, max_iter=MAX_ITERATIONS, random_state=seed)
        found: Floats = model.fit(features[fitted], labels[fitted]).predict_proba(features[scored])[:, 1]
        return np.clip(found, 0.0, 1.0)

    return scores_out_of_fold(folds, fit_and_score)


def score_words(
    rows: AuditRows, words: HashedWords, repeats: Sequence[Integers | None], resamples: Resamples, seed: int
) -> WordScores | None:
    """Words under one way to fold; ``None`` where there are no such folds.

    Args:
        rows: Records that may be learnt from.
        words: Of these records.
        repeats: Folds ``(N,)`` of each repeat.
        resamples: Of the groups.
        seed: Of the solver.
    """
    told = [folds for folds in repeats if folds is not None]
    if not told:
        return None
    scores = [words_out_of_fold(rows.labels, words, folds, seed) for folds in told]
    pairs = list(zip(scores, told, strict=True))
    f1_of_each = [f1_by_other_folds(rows.labels, found, folds) for found, folds in pairs]
    aurocs = [auroc_within_folds(rows.labels, found, folds, resamples) for found, folds in pairs]
    by_repeat = tuple(each.value for each in aurocs)
    return WordScores(told[0], scores[0], mean_of(aurocs), float(np.mean(f1_of_each)), by_repeat)


def baselines(rows: AuditRows, scored: dict[str, WordScores | None]) -> Section:
    """Words under each way to fold beside constant answers.

    Args:
        rows: Records that may be learnt from.
        scored: By ``random_folds``, ``group_folds`` and ``project_folds``.
    """
    share = float(rows.labels.mean()) if len(rows) else float("nan")
    always_1 = float(f1(confusion_of(rows.labels, np.ones(len(rows))))) if len(rows) else float("nan")
    content = {
        "words": {name: found.as_json() if found is not None else None for name, found in scored.items()},
        "always_1": {"f1": always_1, "accuracy": share},
        "majority": {"accuracy": max(share, 1.0 - share)},
    }
    by_random, by_group, by_project = (scored[name] for name in ("random_folds", "group_folds", "project_folds"))
    checks = (
        _judge_constant(rows, content, by_group),
        _judge_words(by_group),
        _judge_leak(rows, by_random, by_group),
        _judge_projects(rows, by_group, by_project),
    )
    return Section("baselines", content, checks)


def _judge_constant(rows: AuditRows, content: dict[str, Any], by_group: WordScores | None) -> Check:
    if len(set(rows.labels.tolist())) < 2:
        return CONSTANT.not_checked("Not checked: every record has the same label.")
    always_1, majority = content["always_1"]["f1"], content["majority"]["accuracy"]
    detail = f"Always 1 has F1 {always_1:.3f}; the commoner label has accuracy {percent(majority)}."
    if by_group is not None:
        detail += f" Words have F1 {by_group.f1:.3f} by group folds."
    is_close = by_group is not None and by_group.f1 < always_1 + 0.02
    advice = "Put both beside every model, and lead with MCC or AUROC: F1 alone does not show that anything was learnt."
    return CONSTANT.judged("look" if is_close else "good", detail, value=always_1, advice=advice, unit="score")


def _judge_words(by_group: WordScores | None) -> Check:
    if by_group is None:
        return TEXT.not_checked("Not checked: there are not two groups of either label.")
    found = by_group.auroc
    verdict: Verdict = "bad" if found.low > GIVEN_AWAY else "look" if found.low > EASY else "good"
    return TEXT.judged(
        verdict,
        f"AUROC {found.value:.3f} [{found.low:.3f}, {found.high:.3f}] by group folds.",
        value=found.value,
        expected=0.5,
        advice="Words give the label away: see which, and take names, comments and markers out of the text.",
        unit="score",
    )


def _judge_leak(rows: AuditRows, by_random: WordScores | None, by_group: WordScores | None) -> Check:
    if by_random is None or by_group is None:
        return LEAK.not_checked("Not checked: there are not two groups of either label.")
    difference = by_random.auroc.value - by_group.auroc.value
    interval = percentile_interval(by_random.auroc.resampled - by_group.auroc.resampled, 0.95)
    verdict: Verdict = "good"
    low, high = sorted((by_random.by_repeat, by_group.by_repeat))  # no repeat of one way may reach into the other's
    is_apart = max(low) < min(high)
    if is_apart and (interval.low > 0.0 or interval.high < 0.0):
        verdict = "bad" if difference >= NOTABLE_LEAK else "look"
    grouped_by = f"{rows.grouped_by or 'cluster of near copies'}"
    detail = (
        f"Words: AUROC {by_random.auroc.value:.3f} in random folds, {by_group.auroc.value:.3f} by {grouped_by}: a "
        f"difference of {difference:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]."
    )
    advice = (
        f"A random split of these data measures memory: split and fold by {grouped_by}."
        if difference > 0
        else f"In random folds near copies with the other label are learnt from: split and fold by {grouped_by}."
    )
    topic = AGAINST if verdict != "good" and difference < 0 else LEAK  # worse at random: nothing leaks
    return topic.judged(verdict, detail, value=difference, expected=0.0, advice=advice, unit="score")


def _judge_projects(rows: AuditRows, by_group: WordScores | None, by_project: WordScores | None) -> Check:
    if by_group is None or by_project is None:
        known = set(rows.categories.get("project", ())) - {""}
        why = "there are not two groups of either label" if len(known) > 1 else "fewer than two projects are known"
        return PROJECTS.not_checked(f"Not checked: {why}.")
    inside, across = by_group.auroc, by_project.auroc
    lost = inside.value - across.value
    verdict: Verdict = "good"
    if inside.low > 0.5 and lost > NOTABLE_LEAK:
        verdict = "bad" if across.low <= 0.5 else "look"
    detail = (
        f"Words: AUROC {inside.value:.3f} where every project is learnt from, {across.value:.3f} [{across.low:.3f}, "
        f"{across.high:.3f}] on projects that were held out."
    )
    advice = "Report scores on held-out projects beside the usual ones: what was learnt is the projects' own."
    return PROJECTS.judged(verdict, detail, value=across.value, expected=inside.value, advice=advice, unit="score")
