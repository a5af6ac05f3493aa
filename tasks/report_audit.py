"""The data audit of a report: what ``preprocessing_metadata.json`` says, as tables people can read.

Duplicates and trimming strategies have tables of their own shape. Everything else that is told per split becomes one
table with the splits side by side, and what is told once a list: a count that the preprocess job adds later is shown
without a change here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

SPLITS = ("train", "valid", "test")
HIDDEN = ("duplicates", "settings", "samples", "trimming_strategies")
"""Keys shown elsewhere, or too long for a table."""
MAX_DEPTH = 3
TITLES = {
    "splits": "Records by split",
    "trimming_strategies": "What each trimming would keep",
    "groups_across_splits": "Commits across splits",
    "duplicates": "Duplicates",
    "twins": "Records with a twin in training",
    "graph_statistics": "Graph sizes and batch size",
    "tokenizer": "Tokenizer",
    "syntax": "Grammar",
    "data": "Source files",
}
"""What the preprocess job's keys mean to people, in the order of the page."""
FIRST_ROWS = (
    "rows",
    "rejected",
    "rejected_by_reason",
    "accepted",
    "labels",
    "share_vulnerable",
    "projects",
    "ast_success",
    "has_error",
    "ast_tiers",
    "tokens_before_trim",
    "tokens",
    "share_of_tokens_kept",
    "share_of_records_cut",
    "trimming",
)
"""Order of what is told per split; the rest follows."""
CLEARER = {
    "has_error": "with a syntax error",
    "ast_success": "AST success (no error)",
    "in_several_splits": "groups in several splits",
    "share_of_records_cut any": "share of records cut",
    "share_of_records_cut window": "share cut to windows around vulnerable calls",
    "share_of_records_cut head": "share cut to the head",
    "share_of_records_cut head_tail": "share cut to head and tail",
    "trimming none": "records left whole",
    "trimming window": "cut to windows around vulnerable calls",
    "trimming head": "cut to the head",
    "trimming head_tail": "cut to head and tail",
}
STRATEGIES = {
    "window": "window: around vulnerable calls, else the head",
    "head": "head: the first tokens",
    "head_tail": "head_tail: the first and the last tokens",
    "whole": "whole: every token",
}
"""What the trimming strategies mean, in the order of their table."""
SHARES = ("share", "ast_success", "has_error")
"""A name that holds one of these is a share of 1."""
MAX_ITEMS = 12
"""A longer list is left to the file."""


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        title: Above it.
        columns: Heads; the first column holds names.
        rows: Cells as text, as many as heads.
        note: Below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def audit_tables(preprocessing: dict[str, Any]) -> list[Table]:
    """Tables of the metadata: one for each thing told per split, one of single values, duplicates and strategies."""
    tables, single = [], []
    for key, value in preprocessing.items():
        if key in HIDDEN:
            continue
        if _is_per_split(value):
            tables.append(_split_table(key, value))
        elif isinstance(value, dict) and value:
            rows = tuple((humanised(name), text_of(item)) for name, item in flattened(value))
            tables.append(Table(TITLES.get(key, humanised(key)), ("", "value"), rows))
        else:
            single.append((humanised(key), text_of(value)))
    duplicates = preprocessing.get("duplicates")
    tables += duplicate_tables(duplicates) if duplicates else []
    strategies = preprocessing.get("trimming_strategies")
    tables += [strategies_table(strategies, preprocessing["settings"]["trimming"])] if strategies else []
    tables += [Table("Other", ("", "value"), tuple(single))] if single else []
    first = {
        title: place for place, title in enumerate((*TITLES.values(), "Duplicates", "Records with a twin in training"))
    }
    return sorted(tables, key=lambda table: first.get(table.title, len(first)))


def duplicate_tables(report: dict[str, Any]) -> list[Table]:
    """Exact and near duplicates, within and across splits, and how often their labels agree."""
    rows = []
    for place in ("within", "across"):
        for where in report["exact"][place]:
            exact, near = report["exact"][place][where], report["near"][place][where]
            rows.append(
                (
                    f"{place} {where.replace('/', ' and ')}",
                    text_of(exact["pairs"]),
                    text_of(exact["other_label"]),
                    text_of(near["pairs"]),
                    text_of(near["other_label"]),
                )
            )
    heads = ("pairs", "exact", "labels differ", "near", "labels differ")
    twins = tuple(
        (name, *(text_of(counts[kind]) for kind in ("exact", "near", "either")))
        for name, counts in report["with_twin_in_train"].items()
    )
    note = f"Near: estimated Jaccard similarity of {report['similarity']:g} or more."
    if not report["complete"]:
        note += " Some groups of copies were too large to count in full: near pairs are a lower bound."
    found = [Table(TITLES["duplicates"], heads, tuple(rows), note)]
    if twins:
        found.append(Table(TITLES["twins"], ("split", "exact", "near", "either"), twins))
    return found


def strategies_table(found: dict[str, Any], used: str) -> Table:
    """What each trimming strategy would keep of the tokens, the one used marked."""
    rows = []
    for name, title in STRATEGIES.items():
        shares = found["strategies"][name]
        cells = (_cell(share, shares[share]) for share in ("share_of_tokens", "share_of_call_tokens"))
        rows.append((f"{title} (used)" if name == used else title, *cells))
    note = (
        f"{text_of(found['records_too_long'])} of {text_of(found['records'])} records are longer than "
        f"{text_of(found['max_seq_len'])} tokens. Vulnerable-call tokens are those of names of calls that often go "
        f"wrong, {text_of(found['call_tokens'])} in these records. What a model then reads may be less: a "
        "transformer reads at most max_windows windows of its own max_seq_len."
    )
    heads = ("trimming", "of all tokens", "of vulnerable-call tokens")
    return Table(TITLES["trimming_strategies"], heads, tuple(rows), note)


def flattened(value: dict[str, Any], prefix: str = "", depth: int = 0) -> list[tuple[str, Any]]:
    """``(name, value)`` of everything below, names joined by blanks; deeper than three levels stays one value."""
    found: list[tuple[str, Any]] = []
    for key, item in value.items():
        if key in HIDDEN or (isinstance(item, list) and len(item) > MAX_ITEMS):
            continue
        name = f"{prefix} {key}".strip()
        if isinstance(item, dict) and item and depth < MAX_DEPTH:
            found += flattened(item, name, depth + 1)
        else:
            found.append((name, item))
    return found


def humanised(name: str) -> str:
    """``num_rejected`` as ``Rejected``; acronyms of the field in capitals."""
    name = CLEARER.get(name, name)
    words = name.removeprefix("num_").replace("_", " ").replace(" num ", " ").split()
    capitals = {"ast": "AST", "sha256": "SHA-256", "bpe": "BPE"}
    text = " ".join(capitals.get(word.lower(), word) for word in words)
    return text[:1].upper() + text[1:]


def text_of(value: Any) -> str:
    """A cell: thousands apart, four digits of a fraction, lists joined, the beginning of a digest."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    if isinstance(value, float):
        return text_of(int(value)) if value.is_integer() and abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(text_of(item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {text_of(item)}" for key, item in value.items()) or "none"
    return value[:12] if re.fullmatch(r"[0-9a-f]{64}", str(value)) else str(value)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float) and any(part in name for part in SHARES):
        return f"{100 * value:.1f} %"
    return text_of(value)


def _row_place(name: str) -> int:
    """Names below ``labels`` read ``labels 0``, ``labels 1``."""
    key = name.split(" ")[0]
    return FIRST_ROWS.index(key) if key in FIRST_ROWS else len(FIRST_ROWS)


def _is_per_split(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and set(value) <= set(SPLITS)


def _split_table(key: str, value: dict[str, Any]) -> Table:
    """Splits side by side; a row for each name that any of them has."""
    columns = [split for split in SPLITS if split in value]
    flat = {
        split: dict(flattened(value[split])) if isinstance(value[split], dict) else {key: value[split]}
        for split in columns
    }
    found = dict.fromkeys(name for split in columns for name in flat[split])
    names = sorted(found, key=_row_place)  # stable: within one place as the job told them
    rows = tuple((humanised(name), *(_cell(name, flat[split].get(name)) for split in columns)) for name in names)
    return Table(TITLES.get(key, humanised(key)), ("", *columns), rows)
