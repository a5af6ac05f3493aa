from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from models.data.backbone_files import BackboneFiles
from models.data.tokenizer_agreement import check_tokenizer
from models.data.tokenizer_files import init_safe_tokenizer, save_tokenizer, train_tokenizer
from models.errors import SettingsInvalid


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A backbone's tokenizer."""
    save_tokenizer(tokenizer.to_str(), tmp_path / "backbone")
    return tmp_path / "backbone"


def files_of(folder: Path, **config: Any) -> BackboneFiles:
    return BackboneFiles(str(folder), folder, None, {"vocab_size": 500, **config})


def test_the_tokenizer_that_made_the_records_fits(folder: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(tokenizer.to_str(), tmp_path / "records")
    check_tokenizer(files_of(folder), tmp_path / "records")


def test_the_same_vocabulary_and_merges_without_a_definition_fit(
    folder: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    save_tokenizer(tokenizer.to_str(), tmp_path / "records")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    tokenizer.model.save(str(folder))
    check_tokenizer(files_of(folder), tmp_path / "records")


def test_tokens_that_only_one_of_them_has_are_tolerated(folder: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    richer = Tokenizer.from_str(tokenizer.to_str())
    richer.add_special_tokens(["<extra_id_0>"])
    save_tokenizer(richer.to_str(), tmp_path / "richer")
    size = richer.get_vocab_size()
    check_tokenizer(files_of(folder, vocab_size=size), tmp_path / "richer")

    save_tokenizer(richer.to_str(), folder)
    save_tokenizer(tokenizer.to_str(), tmp_path / "records")
    check_tokenizer(files_of(folder), tmp_path / "records")


def test_another_vocabulary_is_refused_with_what_differs_and_what_to_do(
    folder: Path, functions: list[str], tmp_path: Path
) -> None:
    save_tokenizer(train_tokenizer(functions[:4], 400).to_str(), tmp_path / "records")
    with pytest.raises(SettingsInvalid, match=rf"have another id \(the first is .*--tokenizer {folder}"):
        check_tokenizer(files_of(folder), tmp_path / "records")


def test_an_id_that_means_another_token_is_refused(folder: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    last = max(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    document = json.loads(tokenizer.to_str())
    number = document["model"]["vocab"].pop(last)
    document["model"]["vocab"]["another"] = number
    document["model"]["merges"] = [pair for pair in document["model"]["merges"] if "".join(pair) != last]
    save_tokenizer(json.dumps(document), tmp_path / "records")
    with pytest.raises(SettingsInvalid, match=rf"1 ids mean another token \(the first is {number}: 'another'"):
        check_tokenizer(files_of(folder), tmp_path / "records")


def test_equal_vocabularies_that_read_code_otherwise_are_refused(
    folder: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    document = json.loads(tokenizer.to_str())
    document["normalizer"] = {"type": "Lowercase"}
    save_tokenizer(json.dumps(document), tmp_path / "records")
    with pytest.raises(SettingsInvalid, match=r"in the records and .* in the backbone"):
        check_tokenizer(files_of(folder), tmp_path / "records")


def test_ids_beyond_the_vocabulary_are_refused(folder: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(tokenizer.to_str(), tmp_path / "records")
    with pytest.raises(SettingsInvalid, match=r"embeddings for 490 ids, and its tokenizer.s go up to 499; .* pair"):
        check_tokenizer(files_of(folder, vocab_size=490), tmp_path / "records")


def test_a_slow_tokenizer_is_refused(folder: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(tokenizer.to_str(), tmp_path / "records")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    with pytest.raises(SettingsInvalid, match="is not fast"):
        check_tokenizer(files_of(folder), tmp_path / "records")


def test_a_tokenizer_that_needs_code_of_its_own_is_refused_and_the_code_not_run(folder: Path, tmp_path: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    own = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(own))
    with pytest.raises(SettingsInvalid, match="none that can be made a fast one"):
        init_safe_tokenizer(str(folder))
    assert not (tmp_path / "ran").exists()
