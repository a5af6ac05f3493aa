"""What the collect job says of its run: ``collection.json``, its small numbers, its warnings.

No clock and no path is in it: equal data and settings give equal bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.data.collection_merging import Merged
from models.data.collection_parts import Part
from models.data.percentiles import share
from models.settings.collect import CollectSettings

COPIES = ("exact_copy", "near_copy", "conflicts_with_clean", "contradictory")
"""How the reasons begin that make a dropped row a duplicate, of whatever."""
LEAKS = ("exact_copy_of_", "near_copy_of_", "commit_in_", "linked_to_")
MAX_ORIGINS_NAMED = 5


def describe_collection(
    settings: CollectSettings, parts: Sequence[Part], merged: Merged, digests: Mapping[str, str], *, is_complete: bool
) -> dict[str, Any]:
    """Everything that is known of the merged data, as JSON values.

    Args:
        settings: Of the job.
        parts: All that was read, counts finished.
        merged: What came of the rows.
        digests: sha256 of each set of data by its name.
        is_complete: Whether every near pair was found.
    """
    clean = [part for part in parts if part.kind == "clean"]
    sources = [part for part in parts if part.kind == "collected"]
    training = [part for part in parts if part.place in ("clean", "collected")]
    labels = sum((part.labels for part in training), Counter[int]())
    return {
        "settings": {
            "near_duplicate_similarity": settings.near_duplicate_similarity,
            "max_code_bytes": settings.max_code_bytes,
            "seed": settings.seed,
        },
        "clean": {"name": settings.clean_name, "splits": {part.split: _counts(part) for part in clean}},
        "clean_dropped_through_sources": len(merged.clean_through_collected),
        "held_out_overlaps": {name: overlap._asdict() for name, overlap in merged.held_out_overlaps.items()},
        "sources": {part.name: _source(part) for part in sources},
        "pairs": {
            part.name: _counts(part) | {"num_pairs": part.num_kept // 2} for part in parts if part.kind == "pairs"
        },
        "training": {
            "rows": labels.total(),
            "labels": _by_label(labels),
            "by_source": {part.name: {"rows": part.num_kept, "labels": _by_label(part.labels)} for part in training},
        },
        "near_copies_complete": is_complete,
        "warnings": [*_warnings(settings, parts, is_complete), *_warnings_of_merging(settings, merged)],
        "data": dict(digests),
    }


def _counts(part: Part) -> dict[str, Any]:
    return {
        "format": part.format,
        "rows": part.num_rows,
        "accepted": part.num_accepted,
        "rejected": part.rejected.total(),
        "rejected_by_reason": dict(sorted(part.rejected.items())),
        "sampled_out": part.num_sampled_out,
        "dropped_by_reason": dict(sorted(part.dropped.items())),
        "kept": part.num_kept,
        "labels": _by_label(part.labels),
    }


def _source(part: Part) -> dict[str, Any]:
    return _counts(part) | {
        "origins": {origin: _by_label(labels) for origin, labels in sorted(part.origins.items())},
        "single_label": len(part.labels) == 1,
        "single_label_origins": _single_label_origins(part),
        "duplicate_share": duplicate_share(part),
        "near_conflicts_kept": part.num_near_conflicts,
    }


def duplicate_share(part: Part) -> float:
    """Share of the rows compared that went because they are copies of others."""
    num_copies = sum(count for reason, count in part.dropped.items() if reason.startswith(COPIES))
    return share(num_copies, part.num_compared)


def _single_label_origins(part: Part) -> list[str]:
    return sorted(origin for origin, labels in part.origins.items() if origin and len(labels) == 1)


def _by_label(labels: Counter[int]) -> dict[str, int]:
    return {"0": labels[0], "1": labels[1]}


def small_numbers(collection: dict[str, Any]) -> dict[str, Any]:
    """What flows and people want to see of a run at once."""
    return {
        "training": collection["training"],
        "held_out": {split: collection["clean"]["splits"][split]["kept"] for split in ("valid", "test")},
        "pairs": {name: found["num_pairs"] for name, found in collection["pairs"].items()},
        "sources": {
            name: {key: found[key] for key in ("rows", "kept", "rejected", "single_label", "duplicate_share")}
            | {"dropped": sum(found["dropped_by_reason"].values())}
            for name, found in collection["sources"].items()
        },
        "num_warnings": len(collection["warnings"]),
    }


def _warnings(settings: CollectSettings, parts: Sequence[Part], is_complete: bool) -> Iterator[str]:
    """What a person should know before training on these rows."""
    for part in parts:
        name = f"{part.name} {part.split}" if part.kind == "clean" else part.name
        if part.rejected:
            yield f"{name}: {_told(part.rejected)} of {part.num_rows} rows rejected; see rejected.jsonl"
        leaks = Counter({reason: count for reason, count in part.dropped.items() if _is_leak(reason)})
        if leaks:
            yield f"{name}: {_told(leaks)} of {part.num_compared} rows kept out of training; see dropped.jsonl"
        if part.kind == "collected":
            yield from _warnings_of_source(part, settings.max_duplicate_fraction)
    if not is_complete:
        yield (
            "some functions have so many near copies that not all pairs were compared: the near copies found are a "
            "lower bound"
        )


def _warnings_of_merging(settings: CollectSettings, merged: Merged) -> Iterator[str]:
    if found := len(merged.clean_through_collected):
        yield (
            f"{settings.clean_name} train: {found} rows hang together with held-out rows through collected rows only; "
            "collected without sources they would train"
        )
    for name, overlap in merged.held_out_overlaps.items():
        if any(overlap):
            first, second = name.split("_")
            yield (
                f"{first} and {second} are not independent: {overlap.exact_copies} rows of {first} have an exact copy "
                f"and {overlap.near_copies} a near copy in {second}, and {overlap.commits} commits are in both; they "
                "stay as they are"
            )


def _warnings_of_source(part: Part, max_duplicate_fraction: float) -> Iterator[str]:
    if (found := duplicate_share(part)) > max_duplicate_fraction:
        yield (
            f"{part.name}: {found:.1%} of {part.num_compared} rows are copies of others, more than "
            f"max_duplicate_fraction={max_duplicate_fraction:.0%}; {part.num_kept} rows are left"
        )
    conflicts = Counter({r: n for r, n in part.dropped.items() if r in ("conflicts_with_clean", "contradictory")})
    if conflicts:
        yield f"{part.name}: {_told(conflicts)} of {part.num_compared} rows dropped for their labels"
    if len(part.labels) == 1:
        yield (
            f"{part.name}: all {part.num_kept} rows have label {next(iter(part.labels))}: where a row comes from tells "
            "its label, and a model may learn that instead; it is left as it is"
        )
    elif origins := _single_label_origins(part):
        named = ", ".join(f"{name} ({_told_label(part.origins[name])})" for name in origins[:MAX_ORIGINS_NAMED])
        more = f" and {len(origins) - MAX_ORIGINS_NAMED} more" if len(origins) > MAX_ORIGINS_NAMED else ""
        yield (
            f"{part.name}: {len(origins)} of {len(part.origins)} origins have a single label: {named}{more}; what "
            "tells an origin tells the label"
        )


def _told_label(labels: Counter[int]) -> str:
    ((label, count),) = labels.items()
    return f"{count} rows of label {label}"


def _is_leak(reason: str) -> bool:
    return reason.startswith(LEAKS) and not reason.endswith("_clean")


def _told(counts: Mapping[str, int]) -> str:
    return f"{sum(counts.values())} ({', '.join(f'{count} {reason}' for reason, count in sorted(counts.items()))})"
