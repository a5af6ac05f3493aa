"""What can be said of a model after an evaluation, in plain sentences; nothing is said that was not shown.

The page, the artifact and the terminal take their sentences from here, so that they never say different things.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

METRIC_TITLES = {
    "f1": "F1",
    "mcc": "MCC",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced acc.",
    "precision": "Precision",
    "recall": "Recall",
    "brier": "Brier",
    "false_positive_reduction": "FP dropped",
}
SPLIT_TITLES = {"valid": "Validation", "test": "Sealed test"}


@dataclass(frozen=True)
class Finding:
    """What was shown of one model on one metric.

    Args:
        metric: Its title.
        better: Titles of the systems it was shown to beat.
        worse: Those it was shown to lose to.
        undecided: Those to which no difference was shown.
    """

    metric: str
    better: tuple[str, ...]
    worse: tuple[str, ...]
    undecided: tuple[str, ...]

    def __str__(self) -> str:
        parts = [
            f"better than {_listed(self.better)}" if self.better else "",
            f"worse than {_listed(self.worse)}" if self.worse else "",
            f"no difference shown to {_listed(self.undecided)}" if self.undecided else "",
        ]
        return f"{self.metric}: {'; '.join(part for part in parts if part)}."


def headline_split(evaluation: dict[str, Any]) -> str:
    """The split whose numbers are the result: the test split where it was opened, else validation."""
    return "test" if evaluation["test_opened"] else "valid"


def split_title(split: str) -> str:
    """A split for people: ``test_chef`` is ``Sealed test: chef``."""
    first, _, part = split.partition("_")
    return f"{SPLIT_TITLES[first]}: {part}" if part else SPLIT_TITLES[first]


def records_text(evaluation: dict[str, Any], split: str) -> str:
    """How many records and groups a split holds, and how many of label 1, in the words for what the records are."""
    measured, words = evaluation["splits"][split], evaluation["words"]
    return (
        f"{measured['num_records']} records, {measured['num_groups']} {words['group']}, "
        f"{measured['positive_share']:.1%} {words['positive']}"
    )


def models_of(evaluation: dict[str, Any], split: str) -> list[str]:
    """Models measured on a split, in order."""
    return [name for name in evaluation["splits"][split]["systems"] if evaluation["systems"][name]["is_model"]]


def findings_of(evaluation: dict[str, Any], split: str, model: str) -> list[Finding]:
    """What was shown of ``model`` against every other system, one finding for each compared metric."""
    comparisons = [oriented for entry in evaluation["splits"][split]["comparisons"] if (oriented := _of(entry, model))]
    findings = []
    for metric in dict.fromkeys(entry["metric"] for entry in comparisons):
        entries = [entry for entry in comparisons if entry["metric"] == metric]
        titles = {entry["against"]: str(evaluation["systems"][entry["against"]]["title"]) for entry in entries}

        def chosen(entries: Sequence[dict[str, Any]], titles: dict[str, str], *, sign: int) -> tuple[str, ...]:
            return tuple(titles[entry["against"]] for entry in entries if _shown_sign(entry) == sign)

        findings.append(
            Finding(
                METRIC_TITLES[metric],
                chosen(entries, titles, sign=1),
                chosen(entries, titles, sign=-1),
                chosen(entries, titles, sign=0),
            )
        )
    return findings


def verdict_of(evaluation: dict[str, Any], split: str, model: str) -> str:
    """One sentence on how the model stands against the baselines."""
    baselines = {name: system["title"] for name, system in evaluation["systems"].items() if not system["is_model"]}
    comparisons = [
        entry
        for entry in evaluation["splits"][split]["comparisons"]
        if entry["model"] == model and entry["against"] in baselines
    ]
    metrics = list(dict.fromkeys(entry["metric"] for entry in comparisons))
    beaten = {
        metric: {e["against"] for e in comparisons if e["metric"] == metric and _shown_sign(e) == 1}
        for metric in metrics
    }
    beats_all = [METRIC_TITLES[metric] for metric in metrics if beaten[metric] == set(baselines)]
    never = [title for name, title in baselines.items() if not any(name in names for names in beaten.values())]
    if never:
        compared = _listed([METRIC_TITLES[metric] for metric in metrics])
        return f"{model} is not shown to be better than {_listed(never, last='or')} on any of {compared}."
    if beats_all:
        return f"{model} is shown to be better than every baseline on {_listed(beats_all)}."
    return f"{model} is shown to be better than each baseline on some metric, on no metric than all of them."


def verdicts_of(evaluation: dict[str, Any], split: str) -> list[str]:
    """What was shown, in a sentence for each model against the baselines and one for each two models."""
    return [*(verdict_of(evaluation, split, m) for m in models_of(evaluation, split)), *duels_of(evaluation, split)]


def duels_of(evaluation: dict[str, Any], split: str) -> list[str]:
    """One sentence for each two models: their paired differences with intervals, and what was shown."""
    return [
        _duel(first, second, entries)
        for first, second in combinations(models_of(evaluation, split), 2)
        if (entries := _between(evaluation, split, first, second))
    ]


def caveats_of(evaluation: dict[str, Any], split: str) -> list[str]:
    """What weakens the numbers of a split."""
    measured, caveats = evaluation["splits"][split], []
    if measured["thresholds_chosen_here"]:
        caveats.append(
            "The thresholds were chosen on these records, and models may have been stopped by them: "
            "read the numbers as optimistic."
        )
    elif split == "valid":
        caveats.append("Models may have been stopped by these records: read the numbers as optimistic.")
    if not evaluation["test_opened"]:
        caveats.append("The test split is sealed; nothing here was measured on it.")
    if measured["records_with_group_in_train"]:
        caveats.append(
            f"{measured['records_with_group_in_train']} of {measured['num_records']} records share a "
            f"{evaluation['words']['one_group']} with training: the split leaks."
        )
    if not measured["can_show_a_difference"]:
        caveats.append(
            f"With {evaluation['settings']['num_resamples']} resamples no difference can be shown after correcting for "
            f"{len(measured['comparisons'])} comparisons; raise num_resamples."
        )
    return caveats


def coverage(evaluation: dict[str, Any]) -> str:
    """Coverage of the intervals, such as ``95 %``."""
    return f"{100 * evaluation['settings']['confidence']:g} %"


def signed(value: float | None, digits: int = 3) -> str:
    """A difference, always with its sign."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", "\u2212")


def shown_word(entry: dict[str, Any]) -> str:
    """What a comparison showed of its ``model``."""
    return {1: "better", -1: "worse", 0: "no difference shown"}[_shown_sign(entry)]


def _between(evaluation: dict[str, Any], split: str, first: str, second: str) -> list[dict[str, Any]]:
    """The comparisons of two models, as seen from ``first``."""
    seen = [_of(entry, first) for entry in evaluation["splits"][split]["comparisons"]]
    return [entry for entry in seen if entry is not None and entry["against"] == second]


def _duel(first: str, second: str, entries: Sequence[dict[str, Any]]) -> str:
    told = []
    for entry in entries:
        interval = "" if entry["low"] is None else f" [{signed(entry['low'], 2)}, {signed(entry['high'], 2)}]"
        told.append(f"{METRIC_TITLES[entry['metric']]} {signed(entry['difference'])}{interval}")
    words = [f"shown to be {word}" if word in ("better", "worse") else word for word in map(shown_word, entries)]
    if len(set(words)) == 1:
        return f"{first} against {second}: {', '.join(told)}; {words[0]}."
    return f"{first} against {second}: {'; '.join(f'{t}, {word}' for t, word in zip(told, words, strict=True))}."


def _of(entry: dict[str, Any], model: str) -> dict[str, Any] | None:
    """The comparison as seen from ``model``; ``None`` where it takes no part."""
    if entry["model"] == model:
        return entry
    if entry["against"] == model:
        turned = {"difference": entry["difference"], "low": entry.get("high"), "high": entry.get("low")}
        return {
            **entry,
            "model": model,
            "against": entry["model"],
            **{key: None if value is None else -value for key, value in turned.items()},
        }
    return None


def _shown_sign(entry: dict[str, Any]) -> int:
    if not entry["shown"]:
        return 0
    return 1 if entry["difference"] > 0 else -1


def _listed(names: Sequence[str], *, last: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
