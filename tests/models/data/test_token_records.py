"""What a model that reads tokens refuses of a file of records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from models.data.record_form import Record, json_line
from models.data.record_tokenizer import RecordTokenizer
from models.data.token_batches import Reading
from models.data.token_records import open_token_records
from models.data.tokenizer_files import READING_FILE, save_tokenizer
from models.data.tokens import TokenSequence
from models.errors import DataInvalid

READING = Reading(8, 1, 0.0)


def record(number: int, ids: list[int]) -> bytes:
    tokens = TokenSequence(np.array(ids, np.int32), np.zeros((len(ids), 2), np.int32))
    return json_line(Record(f"r{number}", "g", "code", "c", tokens, 0, {"group": "g"}))


@pytest.fixture
def read_by(tokenizer: Tokenizer, tmp_path: Path) -> RecordTokenizer:
    save_tokenizer(tokenizer.to_str(), tmp_path / "tokenizer")
    return RecordTokenizer.read(tmp_path / "tokenizer")


def open_lines(lines: list[bytes], tokenizer: RecordTokenizer, vocab_size: int = 500):
    path = tokenizer.folder.parent / "texts.jsonl"
    path.write_bytes(b"".join(lines))
    return open_token_records(path, tokenizer, READING, vocab_size=vocab_size)


def test_records_of_the_tokenizer_are_opened(read_by: RecordTokenizer):
    table, store = open_lines([record(0, [0, 7, 8, 2]), record(1, [0, *range(5, 30), 2])], read_by)
    assert table.ids == ["r0", "r1"]
    assert store.window_lengths.tolist() == [4, 8]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "holds no record"),
        ([record(0, [0, 7, 2]), record(1, [0, 500, 2])], "token id 500 is beyond the backbone's vocabulary of 500"),
        ([record(0, [0, 7, 2]), record(1, [7, 8, 2])], "record r1 does not begin and end as the tokenizer"),
    ],
)
def test_other_records_are_refused(lines: list[bytes], told: str, read_by: RecordTokenizer):
    with pytest.raises(DataInvalid) as refused:
        open_lines(lines, read_by)
    assert told in str(refused.value)


def test_records_read_in_another_way_are_refused(read_by: RecordTokenizer, tokenizer: Tokenizer, tmp_path: Path):
    save_tokenizer(tokenizer.to_str(), tmp_path / "other")
    (tmp_path / "other" / READING_FILE).write_text('{"collapse_whitespace": true}')
    with pytest.raises(DataInvalid, match="is not the tokenizer that the model reads by"):
        (read_by.folder.parent / "texts.jsonl").write_bytes(record(0, [0, 7, 2]))
        open_token_records(tmp_path / "texts.jsonl", RecordTokenizer.read(tmp_path / "other"), READING, vocab_size=500)
