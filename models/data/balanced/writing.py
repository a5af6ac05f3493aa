"""The files of a data set: rows by split with their variants, pairs and triples, one line each, never all in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from models.data.balanced.balancing import variants_over
from models.data.balanced.choosing import ChosenRows
from models.data.balanced.row_pairs import Negatives, RowPair, pairs_of
from models.data.balanced.samples import CodeSample
from models.data.balanced.splitting import SPLITS
from models.data.balanced.spool import Facts, Spool
from models.data.job_progress import Progress
from models.errors import StoreUnavailable
from models.jobs.contract import JobContext
from models.settings.balance import BalanceSettings

PAIRS_FILE, TRIPLES_FILE = "pairs.jsonl", "triples.jsonl"
SPLIT_FILES = {split: f"{split}.jsonl" for split in SPLITS}


class Variant(NamedTuple):
    """A changed copy of a row.

    Args:
        row_id: Unique among all.
        code: Its text.
        transformations: Names of what was done.
    """

    row_id: str
    code: str
    transformations: tuple[str, ...]


Vary = Callable[[CodeSample, str], Sequence[Variant]]
"""Variants of a sample with its id."""


class PairCounts(NamedTuple):
    """What was written of pairs and triples.

    Args:
        pairs: By split and kind.
        triples: By split.
        other_sides: Triples whose negative is the other side of the same fix, by split.
        without_negative: Pairs that make no triple, by split.
    """

    pairs: Counter[tuple[str, str]]
    triples: Counter[str]
    other_sides: Counter[str]
    without_negative: Counter[str]


def write_splits(
    settings: BalanceSettings, folder: Path, spool: Spool, chosen: ChosenRows, vary: Vary | None, context: JobContext
) -> dict[int, tuple[str, ...]]:
    """Write a file for each split; training rows are followed by their variants, balanced where the rows are.

    Returns:
        Ids of the variants of each row that has any.

    Raises:
        StoreUnavailable: the disk is full. Retried.
        Interrupted: the job was asked to stop. Retried.
    """
    variants: dict[int, tuple[str, ...]] = {}
    progress = Progress(context, sum(map(len, chosen.rows.values())), "functions")
    for split, rows in chosen.rows.items():
        with (folder / SPLIT_FILES[split]).open("wb") as file:
            for row, sample in spool.read(rows):
                context.leave_if_asked(progress.done)
                values = _row_values(spool.facts, chosen, row, sample, split)
                _write(file, values)
                made = vary(sample, values["id"]) if vary is not None and split == "train" else ()
                for variant in made:
                    _write(file, values | _variant_values(variant, values["id"]))
                if made:
                    variants[row] = tuple(variant.row_id for variant in made)
                progress.step(1)
    return _balanced_variants(settings, folder, spool.facts, chosen, variants) if chosen.balanced else variants


def _balanced_variants(
    settings: BalanceSettings,
    folder: Path,
    facts: Facts,
    chosen: ChosenRows,
    variants: Mapping[int, tuple[str, ...]],
) -> dict[int, tuple[str, ...]]:
    """Take variants of the larger label out of the file again: how many a function has is known once they are made."""
    rows = chosen.rows["train"]
    vulnerable, safe = ([row for row in rows if facts.labels[row] == label] for label in (1, 0))
    assert settings.balance_ratio is not None
    over = variants_over(variants, vulnerable, safe, settings.balance_ratio, settings.seed)
    if over:
        names = (name for row in rows for name in (facts.ids[row], *variants.get(row, ())))
        _keep_lines(folder / SPLIT_FILES["train"], (name not in over for name in names))
    left = {row: tuple(name for name in names if name not in over) for row, names in variants.items()}
    return {row: names for row, names in left.items() if names}


def _keep_lines(path: Path, is_kept: Iterator[bool]) -> None:
    """Write a file again with some of its lines."""
    temp_path = path.with_suffix(".temp")
    try:
        with path.open("rb") as lines, temp_path.open("wb") as file:
            file.writelines(line for line, keep in zip(lines, is_kept, strict=True) if keep)
        temp_path.replace(path)
    except OSError as error:
        raise StoreUnavailable(f"{temp_path}: {error.strerror}; make room and start again") from error


def _row_values(facts: Facts, chosen: ChosenRows, row: int, sample: CodeSample, split: str) -> dict[str, Any]:
    return {
        "id": facts.ids[row],
        "code": sample.code,
        "language": sample.language,
        "label": sample.label,
        "label_source": sample.label_source,
        "repo": sample.repo,
        "file": sample.file,
        "function": sample.function,
        "line": sample.line,
        "match": facts.match_of(row),
        "group": facts.ids[int(chosen.first_of[row])],
        "split": split,
        "augmented_from": None,
        "transformations": [],
    }


def _variant_values(variant: Variant, original: str) -> dict[str, Any]:
    return {
        "id": variant.row_id,
        "code": variant.code,
        "augmented_from": original,
        "transformations": list(variant.transformations),
    }


def write_pairs(
    settings: BalanceSettings,
    folder: Path,
    facts: Facts,
    chosen: ChosenRows,
    variants: Mapping[int, Sequence[str]],
    context: JobContext,
) -> PairCounts:
    """Write ``pairs.jsonl`` and ``triples.jsonl``.

    Raises:
        StoreUnavailable: the disk is full. Retried.
        Interrupted: the job was asked to stop. Retried.
    """
    counts = PairCounts(Counter(), Counter(), Counter(), Counter())
    progress = Progress(context, None, "pairs")
    with (folder / PAIRS_FILE).open("wb") as pairs, (folder / TRIPLES_FILE).open("wb") as triples:
        for split, rows in chosen.rows.items():
            negatives = Negatives(facts, rows, settings.seed, chosen.likeness)
            found = pairs_of(facts, rows, variants, per_sample=settings.pairs_per_sample, seed=settings.seed)
            for number, pair in enumerate(found):
                context.leave_if_asked(progress.done)
                progress.step(1)
                values = _pair_values(facts, chosen, pair, split, number)
                _write(pairs, values)
                counts.pairs[split, pair.kind] += 1
                negative = negatives.find(pair)
                if negative is None:
                    counts.without_negative[split] += 1
                    continue
                _write(triples, _triple_values(values, facts.ids[negative]))
                counts.triples[split] += 1
                counts.other_sides[split] += negatives.other_side(pair.anchor) == negative
    return counts


def _pair_values(facts: Facts, chosen: ChosenRows, pair: RowPair, split: str, number: int) -> dict[str, Any]:
    return {
        "id": f"{split}-{number}",
        "split": split,
        "anchor": facts.ids[pair.anchor],
        "positive": facts.ids[pair.positive] if pair.variant is None else pair.variant,
        "kind": pair.kind,
        "match": facts.match_of(pair.anchor),
        "group": facts.ids[int(chosen.first_of[pair.anchor])],
    }


def _triple_values(pair: Mapping[str, Any], negative: str) -> dict[str, Any]:
    return {**{name: pair[name] for name in ("id", "split", "anchor", "positive")}, "negative": negative}


def _write(file: IO[bytes], values: Mapping[str, Any]) -> None:
    try:
        file.write(orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise StoreUnavailable(f"{file.name}: {error.strerror}; make room and start again") from error
