"""What a collect run took, rejected and dropped, source by source, as text and markdown; data in, text out."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.comparison_words import NONE, percent
from tasks.report_provenance import read_json
from tasks.tables import TERMINAL_WIDTH, PlainTable, as_markdown, as_text

COLLECTION_FILE = "collection.json"
SPLITS = ("train", "valid", "test")


def read_collection(run_path: Path) -> dict[str, Any]:
    """``collection.json`` of a finished collect run."""
    collection: dict[str, Any] = read_json(run_path / COLLECTION_FILE)
    return collection


def collection_line(collection: Mapping[str, Any]) -> str:
    """What may be learnt from and what was left out, in one line."""
    by_source = collection["training"]["by_source"]
    parts = ", ".join(f"{name} {_count(found['rows'])}" for name, found in by_source.items())
    told = f"Data: {_count(collection['training']['rows'])} training records ({parts})"
    for name, part in collection["sources"].items():
        dropped = sum((part.get("dropped_by_reason") or {}).values())
        told += (
            f"; of {_count(part['rows'])} rows of {name} {_count(part['rejected'])} rejected, {_count(dropped)} "
            f"dropped, {_count(part['kept'])} kept"
        )
        told += ", all of one label" if part.get("single_label") else ""
    return f"{told}."


def collection_text(collection: Mapping[str, Any]) -> str:
    """Rows and reasons by source as text of 100 columns, then what a person should know before training on them."""
    lines = [textwrap.fill(f"Warning: {warning}", TERMINAL_WIDTH) for warning in collection["warnings"]]
    return "\n".join([as_text(collection_tables(collection)), *lines]).rstrip() + "\n"


def collection_markdown(collection: Mapping[str, Any]) -> str:
    """The same for an artifact; warnings first."""
    warnings = [f"> **{warning}**\n" for warning in collection["warnings"]]
    return "\n".join([*warnings, as_markdown(collection_tables(collection))])


def collection_tables(collection: Mapping[str, Any]) -> list[PlainTable]:
    """Rows of every set of data, and the reasons why rows were rejected or dropped, where any was."""
    reasons = reasons_table(collection)
    return [rows_table(collection), *([reasons] if reasons.rows else [])]


def rows_table(collection: Mapping[str, Any]) -> PlainTable:
    """From rows read to rows kept, and the labels of those kept; what may be learnt from is summed up."""
    rows = tuple(_row(name, use, part) for name, use, part in _parts(collection))
    labels = collection["training"]["labels"]
    total = ("all training", "", *([""] * 4), _count(collection["training"]["rows"]), *_label_cells(labels), "")
    heads = ("Rows", "Rejected", "Sampled out", "Dropped", "Kept", "Label 0", "Label 1", "Copies")
    return PlainTable("Collected rows", ("Data", "For"), heads, (*rows, total), num_sums=1)


def reasons_table(collection: Mapping[str, Any]) -> PlainTable:
    """Why rows were rejected (broken, wrong language, …) or dropped (copies, leaks, conflicts), the commonest first."""
    found: list[tuple[str, ...]] = []
    for name, _, part in _parts(collection):
        for what in ("rejected", "dropped"):
            counts = Counter(part.get(f"{what}_by_reason") or {})
            found += [(name, what, reason.replace("_", " "), _count(count)) for reason, count in counts.most_common()]
        if part.get("near_conflicts_kept"):
            found.append((name, "kept", "near copy with the other label", _count(part["near_conflicts_kept"])))
    return PlainTable("Why", ("Data", "", "Reason"), ("Rows",), tuple(found))


def _parts(collection: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every set of data with its use: clean splits, noisy sources, pairs."""
    clean = collection["clean"]
    for split in SPLITS:
        if split in clean["splits"]:
            yield f"{clean['name']} {split}", "training" if split == "train" else "measuring", clean["splits"][split]
    for name, part in collection["sources"].items():
        yield name, "training", part
    for name, part in collection["pairs"].items():
        yield name, f"{_count(part['num_pairs'])} pairs", part  # read as pairs, kept as two rows each


def _row(name: str, use: str, part: Mapping[str, Any]) -> tuple[str, ...]:
    dropped = sum((part.get("dropped_by_reason") or {}).values())
    flag = " (one label only)" if part.get("single_label") else ""
    return (
        f"{name}{flag}",
        use,
        _count(part["rows"]),
        _count(part["rejected"]),
        _count(part["sampled_out"]),
        _count(dropped),
        _count(part["kept"]),
        *_label_cells(part["labels"]),
        percent(part.get("duplicate_share")) if "duplicate_share" in part else NONE,
    )


def _label_cells(labels: Mapping[str, int]) -> tuple[str, str]:
    return _count(labels["0"]), _count(labels["1"])


def _count(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")
