"""What simple classifiers make of generated findings: whether smell, technology or the flagged line give them away.

These read the sample itself. The baselines of real evaluations are in ``models.evaluation.baselines``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from models.data.findings import Finding
from models.data.findings_folder import read_folder
from models.data.findings_text import text_of

CONTEXT_LINES = 5
WORDS = r"\w+|[^\w\s]"
TEXTS: Mapping[str, Callable[[Finding], str]] = {
    "smell only": lambda finding: finding.smell,
    "technology only": lambda finding: finding.technology,
    "flagged line only": lambda finding: finding.window.flagged,
    "whole context": lambda finding: text_of(finding, CONTEXT_LINES),
}
"""What each classifier reads, as TF-IDF of runs of one to four words, by logistic regression."""


class Score(NamedTuple):
    """How well true findings are told from false ones.

    Args:
        f1: Of true findings, at the threshold that is best on these very findings.
        auroc: 0.5 is chance.
    """

    f1: float
    auroc: float


def scores_of(train: Sequence[Finding], held_out: Sequence[Finding]) -> dict[str, Score]:
    """Scores of ``constant`` (every finding is true) and of each of ``TEXTS``."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score, roc_auc_score
    from sklearn.pipeline import make_pipeline

    labels = [finding.label for finding in held_out]
    scores = {"constant": Score(f1_score(labels, [1] * len(labels)), 0.5)}
    for name, read in TEXTS.items():
        reader = TfidfVectorizer(token_pattern=WORDS, ngram_range=(1, 4), lowercase=False)
        model = make_pipeline(reader, LogisticRegression(max_iter=1000))
        model.fit([read(finding) for finding in train], [finding.label for finding in train])
        found = model.predict_proba([read(finding) for finding in held_out])[:, 1]
        f1 = max(f1_score(labels, found >= threshold) for threshold in sorted(set(found)))
        scores[name] = Score(float(f1), float(roc_auc_score(labels, found)))
    return scores


def compare_baselines(folder: Path) -> str:
    """A table of the scores on val of what was learnt on train."""
    findings = read_folder(folder)
    scores = scores_of(findings.train.findings, findings.val.findings)
    rows = [f"{name:<18} {score.f1:>6.3f} {score.auroc:>6.3f}" for name, score in scores.items()]
    return "\n".join([f"{'on val':<18} {'F1':>6} {'AUROC':>6}", *rows])
