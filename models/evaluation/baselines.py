"""Answers that need no model worth the name, in the same table as every model.

A model that does not beat them has learnt nothing that they do not know: the constant answers (always 1 has a better F1
on Devign than many published networks, and for findings is the analyser alone), the length of a function, its project,
the smell of a finding, and its words with logistic regression. All are fitted on the training split; a threshold, where
one is needed, is settled as for a model. Nothing here sees test labels. One thread, fixed seeds: equal input gives
equal scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import Floats
from models.evaluation.records import SplitRecords

Scorer = Callable[[SplitRecords], Floats]

WORDS = r"[^\W\d]\w*|\d[\w.]*|->|\+\+|--|<<=?|>>=?|[-+*/%&|^!=<>]=|&&|\|\||[^\w\s]"
"""Identifiers, numbers, C operators, and any other single character."""
MAX_FEATURES = 200_000
MAX_NGRAM = 4
"""Words in a row that the text baseline sees; with pairs only it would miss what order alone tells."""
REGULARISATION = 1.0
"""Inverse strength ``C``, scikit-learn's default; not tuned."""


@dataclass(frozen=True)
class Baseline:
    """One fitted baseline.

    Args:
        name: Key in tables.
        title: For people.
        description: What it knows.
        scorer: Probabilities ``(N,)`` of label 1 for records.
        threshold: Fixed threshold, or ``None`` where validation chooses it.
    """

    name: str
    title: str
    description: str
    scorer: Scorer
    threshold: float | None = None


def fit_baselines(train: SplitRecords, *, seed: int) -> list[Baseline]:
    """Every baseline that the records allow, fitted on ``train``.

    Of findings: the majority, the analyser alone, the smell, the words. Of functions: the majority, always 1, the
    length, the project where there are two or more, the words.

    Args:
        train: The training split, with both labels.
        seed: Seed of the regressions' solver.
    """
    if train.are_findings:
        smell = category_only(train, "smell", title="Smell name only")
        return [always_majority(train), keep_every_finding(), smell, words_logistic(train, seed=seed)]
    baselines = [
        always_majority(train),
        always_vulnerable(),
        length_only(train, seed=seed),
        words_logistic(train, seed=seed),
    ]
    if len(set(train.categories["project"]) - {""}) > 1:
        baselines.insert(3, category_only(train, "project", title="Project only"))
    return baselines


def always_majority(train: SplitRecords) -> Baseline:
    """The commoner label of training, for every record; its probability is the share of label 1."""
    share = float(train.labels.mean())
    label = int(share >= 0.5)
    return Baseline(
        "majority",
        f"Always {label} (majority)",
        f"the commoner label of training for every record; {share:.1%} of training is label 1",
        lambda records: np.full(len(records), share),
        threshold=0.5,
    )


def always_vulnerable() -> Baseline:
    """Calls every record vulnerable."""
    return _always_1("always_1", "Always 1 (vulnerable)", "calls every record vulnerable")


def keep_every_finding() -> Baseline:
    """What the analyser says without anything behind it: every finding is true."""
    return _always_1("keep_all", "GLITCH alone (keep every finding)", "takes every finding of the analyser for true")


def _always_1(name: str, title: str, description: str) -> Baseline:
    return Baseline(name, title, description, lambda records: np.ones(len(records)), threshold=0.5)


def length_only(train: SplitRecords, *, seed: int) -> Baseline:
    """Logistic regression on the logarithm of a function's length in characters."""

    def features(records: SplitRecords) -> Floats:
        return np.log1p(np.array([len(code) for code in records.codes], dtype=np.float64))[:, None]

    with _one_thread():
        model = _logistic_regression(seed).fit(features(train), train.labels)

    def scorer(records: SplitRecords) -> Floats:
        with _one_thread():
            return _label_1(model.predict_proba(features(records)))

    return Baseline("length", "Length only", "logistic regression on the logarithm of the length in characters", scorer)


def category_only(train: SplitRecords, category: str, *, title: str) -> Baseline:
    """The share of label 1 in the record's category, smoothed by two records of the training split's own share."""
    share = float(train.labels.mean())
    values = train.categories[category]
    sizes, positives = Counter(values), Counter[str]()
    for value, label in zip(values, train.labels.tolist(), strict=True):
        positives[value] += label
    rates = {value: (positives[value] + 2.0 * share) / (size + 2.0) for value, size in sizes.items()}
    return Baseline(
        category,
        title,
        f"share of label 1 among training records of the same {category}",
        lambda records: np.array([rates.get(value, share) for value in records.categories[category]]),
    )


def words_logistic(train: SplitRecords, *, seed: int) -> Baseline:
    """TF-IDF of words and operators, up to ``MAX_NGRAM`` in a row, with logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        token_pattern=WORDS,
        lowercase=False,
        ngram_range=(1, MAX_NGRAM),
        min_df=2,
        max_features=MAX_FEATURES,
        sublinear_tf=True,
    )
    with _one_thread():
        model = _logistic_regression(seed).fit(vectorizer.fit_transform(_texts(train.codes)), train.labels)

    def scorer(records: SplitRecords) -> Floats:
        with _one_thread():
            return _label_1(model.predict_proba(vectorizer.transform(_texts(records.codes))))

    return Baseline(
        "tfidf_lr",
        "TF-IDF + logistic regression",
        f"words and operators, up to {MAX_NGRAM} in a row, weighted by TF-IDF, with logistic regression",
        scorer,
    )


def _texts(codes: Sequence[str]) -> Iterator[str]:
    """Each text with one word that all share: ``min_df`` may cut every other, and there must be a vocabulary."""
    return (f"{code} ;" for code in codes)


def _logistic_regression(seed: int):  # type: ignore[no-untyped-def]  # noqa: ANN202  scikit-learn has no types
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=REGULARISATION, solver="lbfgs", max_iter=2000, random_state=seed)


def _label_1(probabilities: npt.NDArray[np.float64]) -> Floats:
    """Clipped: a rounding error above 1 is no probability."""
    return np.clip(probabilities[:, 1], 0.0, 1.0)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in another order of threads would give other last digits."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=1):
        yield
