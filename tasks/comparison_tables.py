"""The tables of a comparison, for terminal, artifact and page alike: systems, differences, further checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.comparison_words import (
    BY_CONSTRUCTION,
    NONE,
    OVER_BOUND,
    PAIR_OUTCOMES,
    TOO_BOLD,
    detectable_text,
    difference_text,
    holds_by_construction,
    is_over_bound,
    is_unsettled,
    metric_title,
    names_of,
    number,
    p_text,
    percent,
    probes_of,
    seeds_text,
    shown_word,
    split_name,
    threshold_range,
    title_of,
    with_interval,
)
from tasks.report_claims import coverage, signed
from tasks.tables import PlainTable

Comparison = Mapping[str, Any]
MORE_METRICS = ("accuracy", "balanced_accuracy", "precision", "recall")
"""What only the page shows, as far as it was measured."""


def tables_of(comparison: Comparison) -> list[PlainTable]:
    """All of them, in order; those without rows are left out."""
    found = [systems_table(comparison), differences_table(comparison), checks_table(comparison)]
    return [table for table in found if table.rows]


def systems_table(comparison: Comparison, *, wide: bool = False) -> PlainTable:
    """Phase 1, Phase 2 and fusion systems, then baselines, set off: means over seeds.

    Args:
        comparison: Content of ``comparison.json``.
        wide: Whether there is room for the interval of MCC and for Brier, as on the page.
    """
    models, baselines = names_of(comparison, models=True), names_of(comparison, models=False)
    covered = coverage(dict(comparison))
    return PlainTable(
        f"{split_name(comparison)}, means over seeds",
        ("System",),
        (
            "Seeds",
            f"F1 [{covered}]",
            f"MCC [{covered}]" if wide else "MCC",
            f"AUROC [{covered}]",
            "AUPRC",
            *(["Brier"] if wide else []),
            "ECE",
            "Threshold",
        ),
        tuple(_system_row(comparison["systems"][name], wide=wide) for name in (*models, *baselines)),
        num_sums=len(baselines),
    )


def _system_row(system: Mapping[str, Any], *, wide: bool) -> tuple[str, ...]:
    metrics = system["metrics"]
    return (
        str(system["title"]),
        seeds_text(system),
        with_interval(metrics["f1"]),
        with_interval(metrics["mcc"]) if wide else number(metrics["mcc"]["value"]),
        with_interval(metrics["auroc"]),
        number(metrics["auprc"]["value"]),
        *([number((metrics.get("brier") or {}).get("value"))] if wide else []),
        number(metrics["ece"]["value"]),
        threshold_range(system),
    )


def differences_table(comparison: Comparison, *, wide: bool = False) -> PlainTable:
    """Every comparison: the difference, p after Holm by each test, and how small a difference could be shown.

    Args:
        comparison: Content of ``comparison.json``.
        wide: Whether there is room for the combined test, as on the page.
    """
    named = {"bootstrap": "p bootstrap", **({"combined": "p combined"} if wide else {})}
    named |= {"t": "p t-test", "mcnemar": "p McNemar"}
    rows = []
    for entry in comparison["comparisons"]:
        between = f"{title_of(comparison, entry['first'])} − {title_of(comparison, entry['second'])}"
        mark = f" {TOO_BOLD}" if is_unsettled(entry) else ""
        tests = (entry[f"p_{test}_corrected"] for test in named)
        rows.append(
            (
                between,
                metric_title(entry["metric"]),
                difference_text(entry),
                *map(p_text, tests),
                detectable_text(entry),
                f"{shown_word(entry)}{mark}",
            )
        )
    heads = (
        f"Difference [{coverage(dict(comparison))}]",
        *named.values(),
        "Detectable",
        "Shown",
    )
    return PlainTable("Differences; p after Holm", ("First − second", "Metric"), heads, tuple(rows))


def checks_table(comparison: Comparison) -> PlainTable:
    """Misses where false alarms are few, answers on pairs, and what renaming and reformatting change."""
    probes = probes_of(comparison)
    names = [*names_of(comparison, models=True), *names_of(comparison, models=False)]
    asked = [(name, comparison["systems"][name]) for name in names]
    return PlainTable(
        f"Missed vulnerable functions at ≤ {_most_alarms(comparison)} false alarms (threshold from validation); "
        "pairs; robustness",
        ("System",),
        ("Missed", "False alarms", *PAIR_OUTCOMES, *(f"ΔF1 {probe}" for probe in probes)),
        tuple(tuple(_check_cells(comparison, system, probes)) for _, system in asked if _has_checks(system)),
    )


def _most_alarms(comparison: Comparison) -> str:
    return f"{100 * comparison['settings']['max_false_alarms']:g} %"


def _has_checks(system: Mapping[str, Any]) -> bool:
    return any(system.get(name) for name in ("vds", "pairs", "robustness"))


def _check_cells(comparison: Comparison, system: Mapping[str, Any], probes: list[str]) -> Iterator[str]:
    vds, pairs = system.get("vds") or {}, system.get("pairs") or {}
    robustness = system.get("robustness") or {}
    yield str(system["title"])
    yield with_interval(vds.get("miss_rate"))
    alarms = percent((vds.get("false_alarm_rate") or {}).get("value"))
    yield f"{alarms} {OVER_BOUND}" if is_over_bound(comparison, system) else alarms
    for outcome in PAIR_OUTCOMES:
        yield number((pairs.get(outcome) or {}).get("value"), 2)
    for probe in probes:
        change = signed(((robustness.get(probe) or {}).get("f1") or {}).get("difference"))
        yield f"{NONE}{BY_CONSTRUCTION}" if holds_by_construction(system, probe) else change


def pairs_table(comparison: Comparison) -> PlainTable:
    """Answers on pairs, for the page: each share with its interval, and what as many calls by chance would reach.

    Chance is told of the outcome that is wanted only: that of its contrary is the same.
    """
    rows = []
    for name in names_of(comparison, models=True):
        pairs = comparison["systems"][name].get("pairs")
        if pairs:
            right, *others = (with_interval(pairs[each]) for each in PAIR_OUTCOMES)
            chance = number(pairs[next(iter(PAIR_OUTCOMES))].get("by_chance"), 2)
            rows.append((title_of(comparison, name), right, chance, *others))
    covered = coverage(dict(comparison))
    right, *others = (f"{each} [{covered}]" for each in PAIR_OUTCOMES)
    heads = (right, f"{next(iter(PAIR_OUTCOMES))} by chance", *others)
    return PlainTable("Answers on pairs", ("System",), heads, tuple(rows))


def details_table(comparison: Comparison) -> PlainTable:
    """What only the page shows: further metrics, spread over seeds and by sampling."""
    names = [*names_of(comparison, models=True), *names_of(comparison, models=False)]
    measured = comparison["systems"][names[0]]["metrics"] if names else {}
    metrics = [metric for metric in MORE_METRICS if metric in measured]
    rows = []
    for name in names:
        found = comparison["systems"][name]["metrics"]
        spread = (found[metric].get(part) for metric in ("f1", "auroc") for part in ("seed_sd", "sampling_se"))
        cells = (with_interval(found.get(metric)) for metric in metrics)
        rows.append((title_of(comparison, name), *map(number, spread), *cells))
    heads = ("F1: SD over seeds", "F1: SE of sampling", "AUROC: SD over seeds", "AUROC: SE of sampling")
    titles = map(metric_title, metrics)
    return PlainTable("More of each system", ("System",), (*heads, *titles), tuple(rows))


def robustness_table(comparison: Comparison) -> PlainTable:
    """What each probe changes, for the page: F1 and AUROC with the difference to the test split, answers changed."""
    covered, rows = coverage(dict(comparison)), []
    for name in names_of(comparison, models=True):
        system = comparison["systems"][name]
        for probe, found in (system.get("robustness") or {}).items():
            cells = [f"{NONE}{BY_CONSTRUCTION}"] * 5 if holds_by_construction(system, probe) else _changes(found)
            rows.append((title_of(comparison, name), probe, *cells))
    heads = ("F1", f"to the test [{covered}]", "AUROC", f"to the test [{covered}]", "Answers changed")
    return PlainTable("Robustness", ("System", "Probe"), heads, tuple(rows))


def _changes(found: Mapping[str, Any]) -> list[str]:
    cells = [
        text for metric in ("f1", "auroc") for text in (number(found[metric]["value"]), difference_text(found[metric]))
    ]
    return [*cells, percent(found["answers_changed"])]
