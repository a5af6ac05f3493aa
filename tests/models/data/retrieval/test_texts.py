from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from models.data.retrieval.texts import Texts
from models.data.tokenizer_files import save_tokenizer
from models.errors import DataInvalid, SettingsInvalid


@pytest.fixture
def texts(made_pairs: Path) -> Texts:
    return Texts.open(made_pairs / "texts.jsonl", made_pairs / "tokenizer", 16)


def test_a_text_is_known_by_its_id(texts: Texts, made_pairs: Path, lines_of):
    for row, record in enumerate(lines_of(made_pairs / "texts.jsonl")):
        known = record["metadata"]
        assert texts.row_of[record["id"]] == row
        assert (texts.matches[row], texts.groups[row]) == (known["match"], known["group"])
        assert (texts.languages[row], texts.splits[row]) == (record["language"], known["split"])
        assert texts.projects[row] == known["project"]
    same = np.equal.outer(texts.match_numbers, texts.match_numbers)
    assert same.tolist() == [[one == other for other in texts.matches] for one in texts.matches]


def test_a_batch_is_the_heads_of_texts_filled_up(texts: Texts, made_pairs: Path, lines_of):
    records = lines_of(made_pairs / "texts.jsonl")
    rows = np.array([3, 0, 3, 14, 7])
    batch = texts.batch(rows)
    heads = []
    for row in rows.tolist():
        tokens = records[row]["tokens"]
        heads.append(tokens if len(tokens) <= 16 else [*tokens[:15], tokens[-1]])
    longest = max(map(len, heads))
    pad = texts.tokenizer.special.pad
    assert batch.ids_WT.tolist() == [[*head, *[pad] * (longest - len(head))] for head in heads]
    assert texts.lengths[rows].tolist() == list(map(len, heads))
    assert texts.cost(rows) == batch.ids_WT.numel()
    assert (batch.record_of_W, batch.num_records) == (None, 5)


def test_rows_of_ids_are_in_their_order_and_unknown_ids_are_refused(texts: Texts):
    assert texts.rows_of(["val-0", "train-2", "val-0"], Path("pairs.jsonl")).tolist() == [12, 2, 12]
    assert texts.rows_of([], Path("pairs.jsonl")).dtype == np.int64
    with pytest.raises(DataInvalid, match=r"pairs.jsonl: names the text test-0, which is not in .*texts.jsonl"):
        texts.rows_of(["train-0", "test-0"], Path("pairs.jsonl"))


def test_a_columnar_copy_of_other_texts_is_made_anew(made_pairs: Path, tmp_path: Path):
    """Nothing but the digest tells it from the right one: same rows, same form, its time the newer one."""
    folder = tmp_path / "run"
    shutil.copytree(made_pairs, folder)
    path = folder / "texts.jsonl"
    before = (folder / "texts.arrow").read_bytes()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    (folder / "texts.arrow").touch()
    opened = Texts.open(path, folder / "tokenizer", 16)
    assert opened.ids[:2] == opened.table.ids[:2] == [json.loads(line)["id"] for line in (lines[1], lines[0])]
    assert opened.table.tokens(0).tolist() == json.loads(lines[1])["tokens"]
    assert (folder / "texts.arrow").read_bytes() != before


def test_texts_of_another_tokenizer_are_refused(made_pairs: Path, tokenizer: Tokenizer, tmp_path: Path):
    save_tokenizer(tokenizer.to_str(), tmp_path / "other")
    with pytest.raises(DataInvalid, match="is not the tokenizer that the model reads by"):
        Texts.open(made_pairs / "texts.jsonl", tmp_path / "other", 16)
    with pytest.raises(SettingsInvalid, match="no tokenizer at"):
        Texts.open(made_pairs / "texts.jsonl", tmp_path / "nowhere", 16)


def test_tokens_beyond_the_vocabulary_are_refused(made_pairs: Path):
    with pytest.raises(DataInvalid, match="beyond the backbone's vocabulary of 50"):
        Texts.open(made_pairs / "texts.jsonl", made_pairs / "tokenizer", 16, vocab_size=50)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b'"match":"train-task-1"', b'"other":""', "texts.jsonl:3: no text of a pairs or candidates run (KeyError"),
        (b'"match":"train-task-1"', b'"match":7', "texts.jsonl:3: id, match, group"),
        (b'"id":"train-2"', b'"id":"train-0"', "text train-0 is there twice"),
    ],
)
def test_texts_of_another_form_are_refused(old: bytes, new: bytes, told: str, made_pairs: Path, tmp_path: Path):
    folder = tmp_path / "changed"
    shutil.copytree(made_pairs, folder)
    path = folder / "texts.jsonl"
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(DataInvalid) as refused:
        Texts.open(path, folder / "tokenizer", 16)
    assert told in str(refused.value)
