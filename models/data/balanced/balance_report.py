"""What ``stats.json`` says of a balanced data set, and what a person must be told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from models.data.balanced.choosing import ChosenRows
from models.data.balanced.samples import LeftOut
from models.data.balanced.splitting import SPLITS
from models.data.balanced.spool import Facts
from models.data.balanced.weak_rules import NAME as RULES
from models.data.balanced.writing import PairCounts
from models.settings.balance import BalanceSettings

MAX_SHOWN = 20


class LeftOutCounts:
    """Counts what gave no sample, and keeps the first of each reason for people."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._shown: dict[str, list[str]] = {}

    def add(self, left_out: LeftOut) -> None:
        """Count one."""
        self.counts[left_out.reason] += 1
        shown = self._shown.setdefault(left_out.reason, [])
        if len(shown) < MAX_SHOWN:
            shown.append(left_out.place)

    def report(self) -> dict[str, Any]:
        """By reason how many, and the first of them."""
        return {reason: {"count": self.counts[reason], "shown": self._shown[reason]} for reason in sorted(self.counts)}


def describe(
    settings: BalanceSettings,
    facts: Facts,
    chosen: ChosenRows,
    variants: Mapping[int, Sequence[str]],
    pairs: PairCounts,
    reading: Mapping[str, Any],
) -> dict[str, Any]:
    """All that is known of the data set, as JSON values without clocks or paths of this machine."""
    ratio = settings.balance_ratio
    return {
        **reading,
        "num_samples": len(facts),
        "balance_ratio": ratio,
        "balanced": chosen.balanced,
        "seed": settings.seed,
        "augment_k": settings.augment_k,
        **chosen.report,
        "splits": {split: _split_report(facts, chosen, variants, split) for split in SPLITS},
        "pairs": {split: _kinds_of(pairs, split) for split in SPLITS},
        "triples": {
            split: {
                "count": pairs.triples[split],
                "with_other_side_of_fix": pairs.other_sides[split],
                "pairs_without_negative": pairs.without_negative[split],
            }
            for split in SPLITS
        },
    }


def _split_report(
    facts: Facts, chosen: ChosenRows, variants: Mapping[int, Sequence[str]], split: str
) -> dict[str, Any]:
    rows = chosen.rows[split]
    labels = Counter(facts.labels[row] for row in rows)
    labelled = labels[0] + labels[1]
    written: Counter[int] = Counter()
    for row in rows:
        written[facts.labels[row]] += 1 + len(variants.get(row, ()))
    matches = Counter(facts.match_of(row) for row in rows)
    return {
        "functions": len(rows),
        "vulnerable": labels[1],
        "safe": labels[0],
        "unlabelled": len(rows) - labelled,
        "ratio": labels[1] / labelled if labelled else None,
        "ratio_with_variants": written[1] / (written[0] + written[1]) if labelled else None,
        "variants": sum(written.values()) - len(rows),
        "groups": len({int(chosen.first_of[row]) for row in rows}),
        "repositories": len({facts.repos[row] for row in rows}),
        "files": len({facts.files[row] for row in rows}),
        "with_a_match": sum(count for count in matches.values() if count > 1),
        "languages": _named(Counter(facts.languages[row] for row in rows), facts.language_names.texts),
        "label_sources": _named(Counter(facts.sources[row] for row in rows), facts.source_names.texts),
    }


def _named(counts: Counter[int], names: list[str]) -> dict[str, int]:
    return {
        name: counts[number] for number, name in sorted(enumerate(names), key=lambda item: item[1]) if counts[number]
    }


def _kinds_of(pairs: PairCounts, split: str) -> dict[str, int]:
    return {kind: count for (of, kind), count in sorted(pairs.pairs.items()) if of == split}


def warnings_of(stats: Mapping[str, Any]) -> list[str]:
    """What a person must be told."""
    told = []
    if not stats["balanced"] and stats["balance_ratio"] is not None:
        told.append(f"nothing in it is labelled ({stats['format']}): it is not balanced, functions stay as they come")
    if stats["split_by_fallback"]:
        told.append(
            f"files are kept together, not whole repositories: {stats['split_by_fallback']}; functions of one "
            "repository may be in several splits (split_by=repository refuses that)"
        )
    if stats["near_copies_across_tasks"]:
        told.append(
            f"{stats['near_copies_across_tasks']} pairs of near copies are given different tasks: neither is a "
            "negative of the other, but a search counts it as wrong"
        )
    if stats["texts_of_several_tasks"]:
        told.append(
            f"{stats['texts_of_several_tasks']} texts are given several tasks; each has the match of the first alone"
        )
    if stats["unlabelled_left_out"]:
        told.append(
            f"{stats['unlabelled_left_out']} functions without a label are left out, as the labelled ones are "
            "balanced; an empty balance_ratio keeps them"
        )
    conflicts = stats["conflicting_labels"]
    if conflicts["texts"]:
        told.append(
            f"{conflicts['texts']} texts are labelled both ways; their {conflicts['rows_left_out']} functions are "
            "left out"
        )
    missing = {field: stats.get(field, {}).get("missing", 0) for field in ("labels", "before_after")}
    told.extend(
        f"{count} entries of {field} name files or functions that are not there, or that are not read"
        for field, count in missing.items()
        if count
    )
    weak = sum(split["label_sources"].get(RULES, 0) for split in stats["splits"].values())
    if weak:
        told.append(f"{weak} labels come from rules: they are weak, no number on them says how good a model is")
    if not stats["near_copies_complete"]:
        told.append("some functions have so many near copies that not all pairs were looked at; splits may share some")
    return told


def small_numbers(stats: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the statistics that a result holds."""
    splits = stats["splits"]
    return {
        "num_samples": stats["num_samples"],
        "split_by": stats["split_by"],
        "num_groups": stats["num_groups"],
        "balanced": stats["balanced"],
        **{f"num_{split}": splits[split]["functions"] + splits[split]["variants"] for split in SPLITS},
        **{f"{split}_ratio": splits[split]["ratio"] for split in SPLITS},
        "train_ratio_with_variants": splits["train"]["ratio_with_variants"],
        "num_pairs": sum(sum(kinds.values()) for kinds in stats["pairs"].values()),
        "num_triples": sum(triples["count"] for triples in stats["triples"].values()),
        "copies_left_out": stats["copies_left_out"],
        "conflicting_texts": stats["conflicting_labels"]["texts"],
    }
