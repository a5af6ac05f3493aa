"""Numbers and names of a comparison as people read them: the page, the artifact and the terminal share these."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from models.evaluation.comparison.verdicts import can_be_detected
from tasks.report_claims import METRIC_TITLES, signed

NONE = "–"
TOO_BOLD, OVER_BOUND, BY_CONSTRUCTION = "†", "*", "‡"
"""Marks of rows and cells that a footnote explains."""
BLIND_PROBES = ("rename", "reformat")
"""What a graph network cannot see."""
PAIR_OUTCOMES = {
    "P-C": "both right",
    "P-V": "both called vulnerable",
    "P-B": "both called safe",
    "P-R": "both wrong",
}
"""What a system says of a vulnerable function and its fix (PrimeVul, Ding et al. 2024, section 4)."""


def number(value: float | None, digits: int = 3) -> str:
    """A value, or a dash where it is not defined."""
    return NONE if value is None else f"{value:.{digits}f}".replace("-", "\u2212")


def percent(share: float | None, digits: int = 1) -> str:
    """A share in per cent, or a dash."""
    return NONE if share is None else f"{100 * share:.{digits}f} %"


def with_interval(found: Mapping[str, Any] | None) -> str:
    """``0.612 [0.58, 0.64]``; the value alone where it has no interval."""
    if found is None or found["value"] is None or found.get("low") is None:
        return number(found["value"] if found else None)
    return f"{number(found['value'])} [{number(found['low'], 2)}, {number(found['high'], 2)}]"


def difference_text(entry: Mapping[str, Any]) -> str:
    """A difference with its interval, signs always said."""
    if entry["difference"] is None or entry["low"] is None:
        return signed(entry["difference"])
    return f"{signed(entry['difference'])} [{signed(entry['low'])}, {signed(entry['high'])}]"


def p_text(value: float | None) -> str:
    """A p value; small ones as a bound."""
    if value is None:
        return NONE
    return f"{value:.3f}" if value >= 0.001 else "<.001"


def shown_word(entry: Mapping[str, Any]) -> str:
    """What was shown of the first system; ``open``: not settled."""
    if is_unsettled(entry):
        return "open"
    if not entry["shown"]:
        return "no"
    return "better" if entry["difference"] > 0 else "worse"


def detectable_text(entry: Mapping[str, Any]) -> str:
    """The minimum detectable difference where none is shown; ``none``: more than the metric has room for."""
    least = entry["minimum_detectable"]
    if entry["shown"] or not least:
        return NONE
    return number(least) if can_be_detected(entry["metric"], least) else "none"


def is_unsettled(entry: Mapping[str, Any]) -> bool:
    """Whether the bootstrap shows a difference that the test over its few seeds and groups does not bear out."""
    return bool(entry["too_bold"]) and not entry["shown"]


def metric_title(metric: str) -> str:
    """A metric for people."""
    return METRIC_TITLES.get(metric, metric)


def is_over_bound(comparison: Mapping[str, Any], system: Mapping[str, Any]) -> bool:
    """Whether a system has more false alarms on the measured split than its threshold allowed on validation."""
    rate = ((system.get("vds") or {}).get("false_alarm_rate") or {}).get("value")
    return rate is not None and rate > comparison["settings"]["max_false_alarms"]


def holds_by_construction(system: Mapping[str, Any], probe: str) -> bool:
    """Whether a probe cannot change a system: a graph network is given types of nodes, no names and no layout."""
    changed = ((system.get("robustness") or {}).get(probe) or {}).get("answers_changed")
    return system["model_kind"] == "gnn" and probe in BLIND_PROBES and not changed


def seeds_text(system: Mapping[str, Any]) -> str:
    """How many seeds a system has; a baseline without one, a dash."""
    return str(num_seeds(system)) if num_seeds(system) else NONE


def num_seeds(system: Mapping[str, Any]) -> int:
    """Seeds of a system; a baseline that needs none has 0."""
    return sum(seed != "-" for seed in system["seeds"])


def threshold_range(system: Mapping[str, Any]) -> str:
    """The thresholds over the seeds, lowest to highest."""
    values = [value for value in system["thresholds"].values() if value is not None]
    if not values:
        return NONE
    low, high = number(min(values), 2), number(max(values), 2)
    return low if low == high else f"{low}–{high}"


def seed_values(metric: Mapping[str, Any]) -> list[tuple[str, float]]:
    """``(seed, value)`` for each seed that a mean was taken over."""
    by_seed = metric.get("by_seed") or {}
    return [(seed, value) for seed, value in by_seed.items() if seed != "-" and value is not None]


def names_of(comparison: Mapping[str, Any], *, models: bool) -> list[str]:
    """Systems in the order of the tables, models or baselines."""
    return [name for name, system in comparison["systems"].items() if bool(system["is_model"]) == models]


def title_of(comparison: Mapping[str, Any], name: str) -> str:
    """Title of a system."""
    return str(comparison["systems"][name]["title"])


def probes_of(comparison: Mapping[str, Any]) -> list[str]:
    """Names of the probes that any system was measured on, in order."""
    systems = comparison["systems"].values()
    return list(dict.fromkeys(probe for system in systems for probe in (system.get("robustness") or {})))


def split_name(comparison: Mapping[str, Any]) -> str:
    """The split that everything was measured on."""
    return "Sealed test" if comparison["data"]["measured_on"] == "test" else "Validation (the test stays sealed)"


def data_text(comparison: Mapping[str, Any]) -> str:
    """What was measured on, in a sentence."""
    data = comparison["data"]
    return (
        f"{split_name(comparison)}: {data['num_records']} records in {data['num_groups']} groups, "
        f"{percent(data['positive_share'])} vulnerable; thresholds from {data['valid_num_records']} validation records."
    )


def with_titles(comparison: Mapping[str, Any], sentence: str) -> str:
    """A sentence of the comparison with systems called by their titles."""
    for name in comparison["systems"]:
        title = title_of(comparison, name)
        # a name without an underscore may be a plain word of the sentence, but where that begins with it
        pattern = rf"\b{re.escape(name)}\b" if "_" in name else rf"^{re.escape(name)}\b"
        sentence = re.sub(pattern, lambda _, title=title: title, sentence)  # type: ignore[misc]
    return sentence
