"""What weakens a comparison, in sentences for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from models.evaluation.comparison.differences import Corrected
from models.evaluation.comparison.measures import SeededMeasures
from models.evaluation.comparison.systems import System
from models.evaluation.comparison.verdicts import TITLES, listed, num_seeds_text
from models.evaluation.comparisons import detectable_by_t_test
from models.evaluation.measuring import Measuring, can_show, resamples_to_show
from models.evaluation.metrics import Floats
from models.evaluation.record_sets import SMALL_SET
from models.evaluation.records import SplitRecords

ENOUGH_SEEDS = 10
"""From here on a t-test over seeds sees a difference of one standard deviation."""


def warnings_of_seeds(
    systems: Sequence[System],
    scores: Mapping[str, Floats],
    rows: Sequence[Corrected],
    *,
    confidence: float,
    power: float,
) -> Iterator[str]:
    """What the number of seeds leaves unsaid; what holds of one comparison its own row tells.

    Args:
        systems: The models.
        scores: ``(S, N)`` of each on validation.
        rows: The comparisons.
        confidence: ``1 - alpha`` of the tests.
        power: At which a difference counts as seen.
    """
    yield from _runs_alike(systems, scores)
    seeds_of = {system.name: len(system.seeds) for system in systems}
    compared = {(row.of.first, row.of.second): row.of.num_seeds for row in rows}
    for (first, second), num_seeds in compared.items():
        if num_seeds < max(seeds_of[first], seeds_of[second]):
            theirs = [f"{name} ({num_seeds_text(seeds_of[name])})" for name in (first, second)]
            yield f"{listed(theirs)} are compared over {num_seeds_text(num_seeds)} that both have"
    for num_seeds in sorted({number for number in compared.values() if number < ENOUGH_SEEDS}):
        yield _few_seeds(num_seeds, confidence, power)


def _runs_alike(systems: Sequence[System], scores: Mapping[str, Floats]) -> Iterator[str]:
    """Runs that are likely one run under two names."""
    runs: dict[bytes, list[str]] = {}
    for system in systems:
        for seed, own in zip(system.seeds, scores[system.name], strict=True):
            runs.setdefault(own.tobytes(), []).append(f"{system.name} seed {seed}")
    for alike in runs.values():
        if len(alike) > 1:
            yield f"{listed(alike)} scored every validation record alike; is it the same run twice?"


def _few_seeds(num_seeds: int, confidence: float, power: float) -> str:
    if num_seeds == 1:
        return (
            "1 seed: a difference is one of these trained models, not of their kinds; other seeds may differ otherwise"
        )
    seen = detectable_by_t_test(num_seeds, confidence=confidence, power=power)
    return (
        f"{num_seeds} seeds: a t-test over them sees only differences of {seen:.2f} or more standard deviations of the "
        f"per-seed difference ({power:.0%} power, before correction)"
    )


def warnings_of_data(
    train: SplitRecords, valid: SplitRecords, measured: SplitRecords, *, max_false_alarms: float, test_opened: bool
) -> Iterator[str]:
    """What the records leave unsaid."""
    split = "test" if test_opened else "valid"
    if not test_opened:
        yield (
            "the test split stays sealed: everything is measured on validation, where the thresholds were chosen too, "
            "so that numbers of answers are optimistic"
        )
    in_train = set(train.groups)
    num_shared = sum(group in in_train for group in measured.groups)
    if num_shared:
        yield f"{num_shared} of {len(measured)} {split} records share a commit with training"
    if len(measured) < SMALL_SET:
        yield (
            f"{split} is small: {len(measured)} records of {len(set(measured.groups))} groups; its intervals are wide, "
            "and a difference must be large to be shown on it"
        )
    num_negative = int((valid.labels == 0).sum())
    if num_negative * max_false_alarms < 1.0:
        yield (
            f"validation has {num_negative} safe records, too few for {max_false_alarms:g} of false alarms "
            f"(one in {math.ceil(1.0 / max_false_alarms)}): the threshold of misses lies just above the "
            "highest score of a safe one, and the false-alarm rate on other records may be far higher"
        )


def warnings_of_baselines(systems: Sequence[System], measured: Mapping[str, SeededMeasures]) -> Iterator[str]:
    """Which models do not score above the best baseline, in one sentence."""
    told = []
    for metric in ("f1", "auroc"):
        means = {system.name: float(measured[system.name].by_seed[metric].mean()) for system in systems}
        best = max((system.name for system in systems if not system.is_model), key=lambda name: means[name])
        below = [s.name for s in systems if s.is_model and means[s.name] <= means[best]]
        if below:
            values = listed([f"{name} ({means[name]:.3f})" for name in below])
            told.append(f"{values} on {TITLES[metric]} ({best}: {means[best]:.3f})")
    if told:
        yield f"not above the best baseline: {'; '.join(told)}"


def warnings_of_resamples(num_tests: int, how: Measuring) -> Iterator[str]:
    """Whether there are too few to show anything."""
    if num_tests and not can_show(num_tests, how):
        yield (
            f"num_resamples={how.num_resamples} is too few to show any difference after correcting for {num_tests} "
            f"tests; give num_resamples={resamples_to_show(num_tests, how)} or more, or fewer comparisons"
        )
