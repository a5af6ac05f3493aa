"""What ``judgement.json`` says: orders in, JSON out; no path, clock or host gets in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from models.data.retrieval.candidate_lists import CandidateList
from models.evaluation.measuring import Measuring
from models.evaluation.metrics import as_json
from models.evaluation.retrieval.comparing import METHODS, Compared, Measured, Sample
from models.evaluation.retrieval.comparison_document import (
    describe_comparison,
    describe_measured,
    describe_values,
    verdicts_of,
    warnings_of_sample,
)
from models.evaluation.retrieval.judged_orders import Orders, values_of
from models.evaluation.retrieval.judged_systems import Judged
from models.evaluation.retrieval.kept_share import METHOD as KEPT_METHOD
from models.evaluation.retrieval.kept_share import kept
from models.evaluation.retrieval.rank_metrics import DEFINITIONS
from models.settings.retrieval import JudgeSettings

COMPARED = ("top1", "mrr", "map")
"""Metrics on which systems are compared; each one counts in the correction."""

FEW_PROJECTS = 5
"""Projects below which draws of them say next to nothing of a new one."""
OVER_PROJECTS = (
    "of patches: interval of a bootstrap over projects, whole: bugs of one share the model that was trained without it"
)

Floats = npt.NDArray[np.float64]


class Judgement:
    """All that is measured of systems and baselines on the same lists.

    Args:
        settings: Of the job.
        lists: All of them.
        judged: Systems, then baselines.
        notes: What is known of where the lists come from.
    """

    def __init__(
        self,
        settings: JudgeSettings,
        lists: Sequence[CandidateList],
        judged: Sequence[Judged],
        notes: Sequence[str] = (),
    ) -> None:
        self.notes = notes
        self.settings = settings
        self.lists = lists
        self.judged = judged
        self.answerable = [entry for entry in lists if entry.num_relevant > 0]
        self.is_mixed = np.array([entry.is_mixed for entry in self.answerable], dtype=bool)
        self.mixed = [entry for entry in self.answerable if entry.is_mixed]
        how = Measuring(settings.num_resamples, settings.confidence, settings.seed)
        self.sample = Sample([entry.group for entry in self.mixed], how)
        self.by_project = Sample([entry.split for entry in self.mixed], how)
        self._orders = Orders(self.answerable)
        self._candidates = np.repeat(
            [entry.num_relevant > 0 for entry in lists], [len(entry.candidates) for entry in lists]
        )
        self.values = {each.name: self._values(each) for each in judged}

    def describe(self) -> dict[str, Any]:
        """The content of ``judgement.json``."""
        comparisons = self._compare()
        settings = self.settings
        return {
            **self._counts(),
            "ks": list(settings.ks),
            "num_resamples": settings.num_resamples,
            "confidence": settings.confidence,
            "seed": settings.seed,
            "systems": {each.name: self._describe(each) for each in self.judged if each.is_model},
            "baselines": {each.name: self._describe(each) for each in self.judged if not each.is_model},
            "comparisons": [describe_comparison(row) for row in comparisons],
            "verdicts": verdicts_of(comparisons, self.sample),
            "definitions": {
                **DEFINITIONS,
                "ties": f"of systems: {DEFINITIONS['pessimistic']}; of baselines: {DEFINITIONS['mean']}",
                "judged": "lists with both right and wrong candidates; the others are counted",
                "over_all_lists": "mean over all lists with a right text in the pool, found or not",
                "recall_ceiling": "share of the relevant texts that are among the candidates: no order finds more",
                "kept": KEPT_METHOD,
                "comparisons": f"systems with baselines and with each other, on {', '.join(COMPARED)}",
                "over_projects": OVER_PROJECTS,
                **METHODS,
            },
            "notes": list(self.notes),
            "warnings": list(self._warnings(len(comparisons))),
        }

    def _values(self, judged: Judged) -> dict[str, Floats]:
        """``(S, Q)`` of each metric on every answerable list."""
        by_seed = [
            values_of(self._orders, own[self._candidates], self.settings.ks, is_pessimistic=judged.is_model)
            for own in judged.scores
        ]
        return {name: np.stack([values[name] for values in by_seed]) for name in by_seed[0]}

    def _measured(self, judged: Judged) -> Measured:
        """On the lists that can be ordered well or badly."""
        values = {name: own[:, self.is_mixed] for name, own in self.values[judged.name].items()}
        return Measured(judged.name, judged.seeds, values)

    def _describe(self, judged: Judged) -> dict[str, Any]:
        measured = self._measured(judged)
        told: dict[str, Any] = {
            "title": judged.title,
            "seeds": list(judged.seeds) if judged.is_model else [],
            "metrics": describe_measured(measured, self.sample),
            "by_split": self._by_split(measured),
        }
        if self._is_of_patches:
            return told | {"over_projects": self._over_projects(measured), "kept": self._describe_kept(judged)}
        return told | {"over_all_lists": describe_values(self.values[judged.name])}

    @property
    def _is_of_patches(self) -> bool:
        return self.lists[0].query is None

    def _over_projects(self, measured: Measured) -> dict[str, Any]:
        """The same means; their intervals by draws of whole projects."""
        told: dict[str, Any] = as_json(
            {name: self.by_project.describe(values) for name, values in measured.values.items()}
        )
        return told

    def _by_split(self, measured: Measured) -> dict[str, Any]:
        splits = np.array([entry.split for entry in self.mixed])
        return {
            split: {"num_lists": int((splits == split).sum())}
            | describe_values({name: own[:, splits == split] for name, own in measured.values.items()})
            for split in sorted(set(splits.tolist()))
        }

    def _describe_kept(self, judged: Judged) -> dict[str, Any]:
        entries = [(entry, label) for entry in self.lists for label in entry.relevant]
        relevant = np.array([label == 1 for _, label in entries], dtype=bool)
        splits = [entry.split for entry, _ in entries]
        values = np.stack([kept(own, relevant, splits) for own in judged.scores])
        groups = [entry.group for entry, label in entries if label == 1]
        known = np.asarray(~np.isnan(values).any(axis=0))
        sample = Sample([group for group, is_known in zip(groups, known, strict=True) if is_known], self.sample.how)
        told: dict[str, Any] = as_json({**sample.describe(values[:, known]), "num_right": int(known.sum())})
        return told

    def _compare(self) -> list[Compared]:
        models = [self._measured(each) for each in self.judged if each.is_model]
        baselines = [self._measured(each) for each in self.judged if not each.is_model]
        pairs = [(model, baseline) for model in models for baseline in baselines]
        pairs += [(one, other) for one, other in combinations(models, 2) if _can_compare(one, other)]
        return self.sample.compare(pairs, COMPARED)

    def _counts(self) -> dict[str, Any]:
        labels = Counter(label for entry in self.lists for label in entry.relevant)
        ceiling = [sum(entry.relevant) / entry.num_relevant for entry in self.answerable]
        found = [any(entry.relevant) for entry in self.answerable]
        sizes = [len(entry.candidates) for entry in self.mixed]
        counts: dict[str, Any] = as_json(
            {
                "num_lists": len(self.lists),
                "num_judged": len(self.mixed),
                "num_all_right": sum(all(entry.relevant) for entry in self.lists),
                "num_all_wrong": sum(not any(entry.relevant) for entry in self.lists),
                "num_groups": self.sample.num_groups,
                "num_candidates": len(self._candidates),
                "num_right": labels[1],
                "candidates_per_judged_list": {"min": min(sizes), "mean": float(np.mean(sizes)), "max": max(sizes)},
                "recall_ceiling": float(np.mean(ceiling)),
                "success_ceiling": float(np.mean(found)),
            }
        )
        return counts

    def _warnings(self, num_tests: int) -> Iterator[str]:
        left_out = len(self.lists) - len(self.mixed)
        if left_out:
            yield f"{left_out} of {len(self.lists)} lists have one label only: counted, and not judged"
        num_projects = len({entry.split for entry in self.lists})
        if self._is_of_patches and self.by_project.num_groups < FEW_PROJECTS:
            yield (
                f"intervals and comparisons are over bugs; of {num_projects} projects "
                f"{self.by_project.num_groups} could be judged, a new project may differ more"
            )
        models = [self._measured(each) for each in self.judged if each.is_model]
        for one, other in combinations(models, 2):
            if not _can_compare(one, other):
                yield f"{one.name} and {other.name} have different seeds and are not compared with each other"
        for each in self.judged:
            if each.is_model and len(each.seeds) == 1:
                yield f"{each.name} has 1 seed: what is shown is about this trained model, other seeds may differ"
            for (seed, scores), (again, same) in combinations(zip(each.seeds, each.scores, strict=True), 2):
                if np.array_equal(scores, same):
                    yield f"seeds {seed} and {again} of {each.name} scored all alike; is it the same run twice?"
        yield from warnings_of_sample(num_tests, self.sample)


def _can_compare(one: Measured, other: Measured) -> bool:
    """Whether values can be paired by seed, or one has a single seed that stands beside each of the other's."""
    return one.seeds == other.seeds or 1 in (len(one.seeds), len(other.seeds))
