"""What tells the label without the code being read: length, and what records are sorted by (project, source, ...).

A category is scored out of fold by its share of label 1 in the other folds. A value whose records all have one label
is named, unless so few records would be of one label by chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.evaluation.audit.checks import Check, Section, Topic, Verdict, counted, percent
from models.evaluation.audit.folds import Estimate, auroc_within_folds, scores_out_of_fold
from models.evaluation.audit.rows import CATEGORIES, AuditRows, codes_of
from models.evaluation.intervals import Resamples
from models.evaluation.metrics import Floats, Integers

LENGTH = Topic("length", "Length", "Does the length alone tell the label?")
NUM_BINS = 10
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
WEAK, STRONG = 0.02, 0.1
"""How far an interval's nearer end is from 0.5 where a category is worth a look, and where it is a shortcut."""
MAX_CHANCE = 0.001
"""Chance that records of a value have one label, below which that is told."""
MAX_SHARE_SINGLE = 0.1
MAX_VALUES = 50
SMOOTHING = 2.0
"""Records of the data's own share of label 1 that each value starts with."""


def topic_of(category: str) -> Topic:
    """The check of one category."""
    return Topic(f"shortcut_{category}", f"Shortcut: {category}", f"Does the {category} alone tell the label?")


def length(rows: AuditRows, folds: Integers | None, resamples: Resamples) -> Section:
    """AUROC of the length in characters, as it is and by tenths of the records, and its quantiles by label."""
    if folds is None:
        why = "there are not two groups of either label"
        return Section("length", {"reason": why}, (LENGTH.not_checked(f"Not checked: {why}."),))
    sizes = np.array([len(code) for code in rows.codes], dtype=np.float64)
    plain = auroc_within_folds(rows.labels, sizes, np.zeros(len(rows), np.int64), resamples)
    edges = np.unique(np.quantile(sizes, np.linspace(0, 1, NUM_BINS + 1)[1:-1]))
    tenths = np.searchsorted(edges, sizes, side="right")
    binned = auroc_within_folds(rows.labels, rates_out_of_fold(rows, tenths, folds), folds, resamples)
    quantiles = {
        str(label): [round(float(value)) for value in np.quantile(sizes[rows.labels == label], QUANTILES)]
        for label in (0, 1)
    }
    content = {
        "auroc": plain.value,
        "low": plain.low,
        "high": plain.high,
        "by_tenths": binned.as_json(),
        "quantiles": {"at": QUANTILES, **quantiles},
    }
    distance = max(_distance(plain), binned.low - 0.5)
    medians = (quantiles[label][len(QUANTILES) // 2] for label in "01")
    detail = (
        f"AUROC {plain.value:.3f} [{plain.low:.3f}, {plain.high:.3f}] of length, {binned.value:.3f} of its tenths; "
        "median {:,} characters of label 0 and {:,} of label 1.".format(*medians)
    )
    advice = "Show the length baseline beside every model; match lengths, or compare within classes of length."
    check = LENGTH.judged(_verdict(distance), detail, value=plain.value, expected=0.5, advice=advice, unit="score")
    return Section("length", content, (check,))


def shortcuts(rows: AuditRows, folds: Integers | None, resamples: Resamples) -> Section:
    """Each category that has at least two values: its AUROC alone, and its values with one label only."""
    content: dict[str, Any] = {}
    checks: list[Check] = []
    for category in CATEGORIES:
        values = rows.categories.get(category)
        names, places = codes_of(values or [])
        why = _why_not(rows, category, names, folds)
        if why or folds is None:
            content[category] = {"reason": why}
            if category in _expected_of(rows):
                checks.append(topic_of(category).not_checked(f"Not checked: {why}."))
            continue
        scores = rates_out_of_fold(rows, places, folds)
        estimate = auroc_within_folds(rows.labels, scores, folds, resamples)
        content[category] = _described(rows, names, places, estimate)
        checks.append(_judge(rows, category, content[category], estimate))
    return Section("shortcuts", content, tuple(checks))


def rates_out_of_fold(rows: AuditRows, places: Integers, folds: Integers) -> Floats:
    """``(N,)`` share of label 1 among records of the same value in the other folds, smoothed."""
    num_values = int(places.max()) + 1
    labels = rows.labels.astype(np.float64)

    def fit_and_score(fitted: Integers, scored: Integers) -> Floats:
        share = float(labels[fitted].mean())
        sizes = np.bincount(places[fitted], minlength=num_values)
        positives = np.bincount(places[fitted], weights=labels[fitted], minlength=num_values)
        rates: Floats = (positives + SMOOTHING * share) / (sizes + SMOOTHING)
        return rates[places[scored]]

    return scores_out_of_fold(folds, fit_and_score)


def _expected_of(rows: AuditRows) -> tuple[str, ...]:
    """Categories whose absence is worth a word."""
    return ("technology", "smell") if rows.kind == "findings" else ("project", "source")


def _why_not(rows: AuditRows, category: str, names: list[str], folds: Integers | None) -> str:
    if not set(names) - {""}:
        return f"no {rows.word} has a {category}"
    if len(names) < 2:
        return f"every {rows.word} has the {category} {names[0]}"
    return "" if folds is not None else "there are not two groups of either label"


def _described(rows: AuditRows, names: list[str], places: Integers, estimate: Estimate) -> dict[str, Any]:
    """AUROC, the largest values by label, and those of one label."""
    sizes = np.bincount(places, minlength=len(names))
    positives = np.bincount(places, weights=rows.labels, minlength=len(names)).astype(np.int64)
    share = float(rows.labels.mean())
    chance = np.where(positives == sizes, share, 1.0 - share) ** sizes
    single = [at for at in np.argsort(-sizes, kind="stable") if positives[at] in (0, sizes[at]) and sizes[at] > 1]
    flagged = [at for at in single if chance[at] < MAX_CHANCE]
    largest = np.argsort(-sizes, kind="stable")[:MAX_VALUES]
    return {
        "auroc": estimate.as_json(),
        "num_values": len(names),
        "values": {names[at]: {"0": int(sizes[at] - positives[at]), "1": int(positives[at])} for at in largest},
        "single_label": {names[at]: int(positives[at] > 0) for at in flagged[:MAX_VALUES]},
        "num_single_label": len(flagged),
        "records_in_single_label": int(sizes[flagged].sum()) if flagged else 0,
    }


def _judge(rows: AuditRows, category: str, found: dict[str, Any], estimate: Estimate) -> Check:
    in_single = found["records_in_single_label"] / len(rows)
    detail = (
        f"AUROC {estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}] of the {category} alone "
        f"({counted(found['num_values'], 'value')})"
    )
    if found["num_single_label"]:
        shown = ", ".join(
            f"{name or '(none)'} (all {label})" for name, label in list(found["single_label"].items())[:3]
        )
        more = ", …" if found["num_single_label"] > 3 else ""
        detail += f"; {counted(found['num_single_label'], 'value')} with one label only: {shown}{more}, "
        detail += f"{percent(in_single)} of records"
    verdict: Verdict = _verdict(estimate.low - 0.5)
    if found["num_single_label"]:
        verdict = "bad" if in_single > MAX_SHARE_SINGLE or verdict == "bad" else "look"
    advice = (
        f"Never let a model see the {category}; show its baseline, measure within one {category} and across, and add "
        "records of the missing label or leave out values with one label."
    )
    return topic_of(category).judged(
        verdict, f"{detail}.", value=estimate.value, expected=0.5, advice=advice, unit="score"
    )


def _distance(estimate: Estimate) -> float:
    """How far 0.5 lies outside of the interval; negative inside."""
    return max(estimate.low - 0.5, 0.5 - estimate.high)


def _verdict(distance: float) -> Verdict:
    return "bad" if distance > STRONG else "look" if distance > WEAK else "good"
