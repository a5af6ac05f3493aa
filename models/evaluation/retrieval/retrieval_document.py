"""What ``retrieval.json`` says: measures in, JSON out; no path, clock or host gets in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evaluation.measuring import Measuring
from models.evaluation.metrics import as_json
from models.evaluation.retrieval.comparing import METHODS, Measured, Sample
from models.evaluation.retrieval.comparison_document import (
    describe_comparison,
    describe_measured,
    describe_values,
    verdicts_of,
    warnings_of_sample,
)
from models.evaluation.retrieval.rank_metrics import DEFINITIONS, chance
from models.evaluation.retrieval.searches import ALL, SEARCHES, Measure, Question
from models.evaluation.retrieval.systems import BM25, DESCRIPTIONS, ENCODER, UNTRAINED
from models.evaluation.retrieval.texts import Integers
from models.settings.retrieval import RetrieveSettings

COMPARISONS = ((ENCODER, BM25), (ENCODER, UNTRAINED), (BM25, UNTRAINED))

Measures = Mapping[str, Mapping[str, Measure]]
"""By search, by system."""


@dataclass(frozen=True)
class Searched:
    """All that was measured.

    Args:
        question: What was searched.
        num_with_relevant: Texts that could be asked with, drawn or not.
        num_copies: Texts whose very words another text of the pool has too; of these, by whether it does the same.
        measures: By search, by system.
        not_measured: Why, of systems that were not.
    """

    question: Question
    num_with_relevant: int
    num_copies: Mapping[str, int]
    measures: Measures
    not_measured: Mapping[str, str]


def compared_metrics(ks: Sequence[int]) -> tuple[str, ...]:
    """The metrics on which systems are compared; each one counts in the correction."""
    return ("mrr", f"recall@{max(ks)}", f"ndcg@{max(ks)}")


def describe(settings: RetrieveSettings, searched: Searched) -> dict[str, Any]:
    """The content of ``retrieval.json``."""
    texts, question = searched.question.texts, searched.question
    how = Measuring(settings.num_resamples, settings.confidence, settings.seed)
    sample = Sample([texts.groups[row] for row in question.rows], how)
    comparisons = _compare(settings, searched, sample)
    num_groups = sample.num_groups
    return {
        "split": settings.split,
        "num_texts": len(texts),
        "num_queries": len(question.rows),
        "num_with_relevant": searched.num_with_relevant,
        "num_without_relevant": len(texts) - searched.num_with_relevant,
        "num_groups": num_groups,
        "languages": dict(sorted(Counter(texts.languages).items())),
        "copies": dict(searched.num_copies),
        "ks": list(settings.ks),
        "num_resamples": settings.num_resamples,
        "confidence": settings.confidence,
        "seed": settings.seed,
        "systems": {name: DESCRIPTIONS[name] for name in searched.measures[ALL]},
        "not_measured": dict(searched.not_measured),
        "searches": {
            name: _describe_search(settings, question, name, of_systems, how)
            for name, of_systems in searched.measures.items()
        },
        "comparisons": [describe_comparison(row) for row in comparisons],
        "verdicts": verdicts_of(comparisons, sample),
        "definitions": {
            **DEFINITIONS,
            "ties": f"{DEFINITIONS['pessimistic']}, of every system",
            "relevant": "every other text that does the same (equal match), exact copies of the query included",
            "query": "a text with a relevant one in its pool; the others are only searched",
            "comparisons": f"on {', '.join(compared_metrics(settings.ks))} of the whole pool",
            **METHODS,
        },
        "warnings": _warnings(settings, searched, len(comparisons), sample),
    }


def small_numbers(document: Mapping[str, Any]) -> dict[str, Any]:
    """What ``result.json`` says."""
    search = document["searches"][ALL]
    return {
        "split": document["split"],
        "num_queries": document["num_queries"],
        "num_texts": document["num_texts"],
        "pool_size": search["pool_size"]["mean"],
        "chance_mrr": search["chance"]["mrr"],
        "systems": {
            name: {metric: told["value"] for metric, told in metrics.items()}
            for name, metrics in search["systems"].items()
        },
    }


def _compare(settings: RetrieveSettings, searched: Searched, sample: Sample) -> list[Any]:
    measured = _measured(searched.measures[ALL])
    pairs = [(measured[one], measured[other]) for one, other in COMPARISONS if one in measured and other in measured]
    return sample.compare(pairs, compared_metrics(settings.ks))


def _measured(of_systems: Mapping[str, Measure]) -> dict[str, Measured]:
    return {
        name: Measured(name, ("",), {metric: values[None] for metric, values in measure.values.items()})
        for name, measure in of_systems.items()
    }


def _describe_search(
    settings: RetrieveSettings, question: Question, search: str, of_systems: Mapping[str, Measure], how: Measuring
) -> dict[str, Any]:
    queries = next(iter(of_systems.values())).queries
    pool, relevant = question.pool_sizes(search)[queries], question.num_relevant(search)[queries]
    sample = Sample([question.texts.groups[row] for row in question.rows[queries]], how)
    return {
        "pool": SEARCHES[search],
        "num_queries": len(queries),
        "num_left_out": len(question.rows) - len(queries),
        "num_groups": sample.num_groups,
        "pool_size": _spread(pool),
        "num_relevant": _spread(relevant),
        "chance": describe_values(chance(pool, relevant, settings.ks)),
        "systems": {name: describe_measured(own, sample) for name, own in _measured(of_systems).items()},
    }


def _spread(values: Integers) -> dict[str, Any]:
    told: dict[str, Any] = as_json({"min": int(values.min()), "mean": float(np.mean(values)), "max": int(values.max())})
    return told


def _warnings(settings: RetrieveSettings, searched: Searched, num_tests: int, sample: Sample) -> list[str]:
    found = [f"{name} was not measured: {why}" for name, why in searched.not_measured.items()]
    if len(searched.question.texts) <= settings.depth:
        found.append(
            f"the pool has {len(searched.question.texts)} texts, no more than depth={settings.depth}: its lists hold "
            "all of it, and a reranker meets no choice that was made before it"
        )
    if ENCODER in searched.measures[ALL]:
        found.append("1 seed of the encoder: the spread between trainings is not measured")
    return [*found, *warnings_of_sample(num_tests, sample)]
