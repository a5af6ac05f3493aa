"""Other sets of records made from those of a preprocess run: fewer, longer, easier."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from models.data.record_tokenizer import RecordTokenizer
from models.settings.tokenizing import TOKENIZER_FOLDER

JOINED = {1: 0.28, 2: 0.19, 3: 0.12, 4: 0.08, 5: 0.33}
"""Shares of records that hold so many generated functions: a third reaches 512 tokens, as of CodeXGLUE's functions."""
SPLITS = ("train", "valid")

Record = dict[str, Any]


def write_some(source: Path, folder: Path, num_records: int) -> None:
    """Leave ``num_records`` of the training records, and a quarter as many for validation."""
    for split, count in zip(SPLITS, (num_records, num_records // 4), strict=True):
        records = _read(source, split)
        chosen = np.random.default_rng(0).permutation(len(records))[:count]
        _write(folder, split, [records[number] for number in sorted(chosen)])
    shutil.copytree(source / TOKENIZER_FOLDER, folder / TOKENIZER_FOLDER)


def write_joined(source: Path, folder: Path) -> None:
    """Leave records that hold several functions of one label behind each other (tokens, not graphs)."""
    special = RecordTokenizer.read(source / TOKENIZER_FOLDER).special
    for split in SPLITS:
        by_label: dict[int, list[Record]] = {0: [], 1: []}
        for record in _read(source, split):
            by_label[record["label"]].append(record)
        halves = [_joined(records, len(special.prefix), len(special.suffix)) for records in by_label.values()]
        _write(folder, split, [record for half in halves for record in half])
    shutil.copytree(source / TOKENIZER_FOLDER, folder / TOKENIZER_FOLDER)


def write_easy(source: Path, folder: Path, max_seq_len: int) -> None:
    """Leave the records with a label that an encoder learns in minutes: whether a token occurs that half of them have.

    Generated functions are made so that single tokens tell nothing of their own labels.
    """
    room = max_seq_len - 1
    count = Counter(token for record in _read(source, "train") for token in set(record["tokens"][:room]))
    half = len(_read(source, "train")) / 2
    telling = min(count, key=lambda token: (abs(count[token] - half), token))
    for split in SPLITS:
        records = _read(source, split)
        for record in records:
            record["label"] = int(telling in record["tokens"][:room])
        _write(folder, split, records)
    shutil.copytree(source / TOKENIZER_FOLDER, folder / TOKENIZER_FOLDER)


def _joined(records: list[Record], num_prefix: int, num_suffix: int) -> Iterator[Record]:
    rng = np.random.default_rng(0)
    begin = 0
    while begin < len(records):
        count = int(rng.choice(list(JOINED), p=list(JOINED.values())))
        parts = [record["tokens"] for record in records[begin : begin + count]]
        bodies = [token for part in parts for token in part[num_prefix : len(part) - num_suffix]]
        tokens = parts[0][:num_prefix] + bodies + parts[0][len(parts[0]) - num_suffix :]
        yield {**records[begin], "tokens": tokens, "token_offsets": [[0, 0]] * len(tokens)}
        begin += count


def _read(folder: Path, split: str) -> list[Record]:
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def _write(folder: Path, split: str, records: list[Record]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
