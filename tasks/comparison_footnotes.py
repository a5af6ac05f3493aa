"""What the marks and short words of a comparison's tables mean: one footnote each, and only where it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from models.evaluation.comparison.verdicts import times_missed
from tasks.comparison_words import (
    BY_CONSTRUCTION,
    NONE,
    OVER_BOUND,
    PAIR_OUTCOMES,
    TOO_BOLD,
    holds_by_construction,
    is_over_bound,
    is_unsettled,
    probes_of,
)

Comparison = Mapping[str, Any]


def systems_footnotes(comparison: Comparison) -> Iterator[str]:
    """Of the table of systems."""
    systems = comparison["systems"].values()
    words = ["MCC: correlation of answers and labels, 0 for guesses", "ECE: error of the probabilities, 0 is best"]
    if any(system["model_kind"] == "gnn" for system in systems):
        words.insert(0, "gnn: graph neural network over the syntax tree")
    yield "; ".join(words) + "."
    if any(name == f"phase2_{system['model_kind']}" for name, system in comparison["systems"].items()):
        yield "Phase 2: learnt from clean and noisy data with confidence weights, where the title says nothing else."


def differences_footnotes(comparison: Comparison) -> Iterator[str]:
    """Of the table of differences."""
    entries, power = comparison["comparisons"], comparison["settings"]["power"]
    if not entries:
        return
    yield (
        "p, after Holm: hierarchical bootstrap over seeds and groups; combined (on the page), a t-test over both; "
        "shown is what these two show. Beside them the paired t-test over seeds alone, and McNemar "
        f"at the median seeds. Detectable: a lesser difference would be missed more often than {times_missed(power)}; "
        "that it is not shown proves nothing (none: of any difference)."
    )
    if any(entry["p_t"] is None and entry["num_seeds"] > 1 for entry in entries):
        yield f"p t-test {NONE}: the difference is the same for every seed, which leaves the t-test nothing to say."
    unsettled = [entry for entry in entries if is_unsettled(entry)]
    if unsettled:
        seeds = " or ".join(str(number) for number in sorted({entry["num_seeds"] for entry in unsettled}))
        yield (
            f"{TOO_BOLD} open: not settled. The bootstrap shows it, the t-test over {seeds} seeds and groups does not: "
            "seeds as a whole differ by more than records explain; more seeds would tell."
        )


def checks_footnotes(comparison: Comparison, *, collapses: bool) -> Iterator[str]:
    """Of misses, pairs and robustness.

    Args:
        comparison: Content of ``comparison.json``.
        collapses: Whether the records' tokenizer reads each run of white space as one blank.
    """
    systems, probes = list(comparison["systems"].values()), probes_of(comparison)
    if any(system.get("pairs") for system in systems):
        yield f"Pairs: {', '.join(f'{name} {words}' for name, words in PAIR_OUTCOMES.items())}."
    if any(is_over_bound(comparison, system) for system in systems):
        yield (
            f"{OVER_BOUND} more false alarms than the bound, which is kept on validation, where the threshold was "
            "chosen; on other records the rate may be higher."
        )
    if any(holds_by_construction(system, probe) for system in systems for probe in probes):
        yield (
            f"{NONE}{BY_CONSTRUCTION} unchanged by construction: the nodes of a gnn's graphs carry types, no names and "
            "no layout."
        )
    if collapses and "reformat" in probes:
        yield "Reformat: white space is collapsed before tokenising, so that little of a new layout reaches a model."


def footnotes_of(comparison: Comparison, *, collapses: bool) -> list[str]:
    """All of them, in the order of the tables."""
    return [
        *systems_footnotes(comparison),
        *differences_footnotes(comparison),
        *checks_footnotes(comparison, collapses=collapses),
    ]
