"""Where tokenizers come from and how they are kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, pre_tokenizers

from models.data import tokenizer_files
from models.data.tokenizer_files import init_safe_tokenizer, save_tokenizer, tokenizer_sha256, train_tokenizer
from models.errors import SettingsInvalid


def test_training_in_another_process_gives_the_same_tokenizer(tokenizer: Tokenizer, functions: list[str]) -> None:
    program = (
        "import json, sys\n"
        "from models.data.tokenizer_files import tokenizer_sha256, train_tokenizer\n"
        "texts = [' '.join(code.split()) for code in json.load(sys.stdin)]\n"
        "print(tokenizer_sha256(train_tokenizer(texts, 500).to_str()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(functions), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == tokenizer_sha256(tokenizer.to_str())


def test_vocabulary_has_the_size_asked_for(functions: list[str]) -> None:
    assert train_tokenizer(functions, 320).get_vocab_size() == 320


def test_a_saved_tokenizer_loads_with_auto_tokenizer_and_says_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(tokenizer.to_str(), tmp_path)

    loaded = init_safe_tokenizer(str(tmp_path))

    assert loaded("int x = 1;")["input_ids"] == tokenizer.encode("int x = 1;").ids
    assert (loaded.pad_token, loaded.mask_token, loaded.cls_token) == ("<pad>", "<mask>", "<s>")


def test_a_folder_of_vocabulary_and_merges_loads_as_a_fast_tokenizer(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.model.save(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merges.txt", "vocab.json"]

    loaded = init_safe_tokenizer(str(tmp_path))

    text = "static int f(void) { return 0; }"
    assert loaded.is_fast
    assert loaded(text)["input_ids"] == tokenizer.encode(text).ids


def test_a_folder_with_the_word_list_of_bert_loads_as_a_fast_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nint\nx\n")

    assert init_safe_tokenizer(str(tmp_path))("int x")["input_ids"] == [2, 5, 6, 3]


def test_a_folder_with_a_slow_tokenizer_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    with pytest.raises(SettingsInvalid, match="is not fast"):
        init_safe_tokenizer(str(tmp_path))


def test_a_vocabulary_without_special_tokens_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.model.save(str(tmp_path))
    entries = json.loads((tmp_path / "vocab.json").read_bytes())
    (tmp_path / "vocab.json").write_text(json.dumps({k: v for k, v in entries.items() if k != "<mask>"}))

    with pytest.raises(SettingsInvalid, match="<mask>"):
        init_safe_tokenizer(str(tmp_path))


def test_an_unknown_name_is_refused_with_both_remedies() -> None:
    with pytest.raises(SettingsInvalid, match=r"folder with tokenizer\.json.*allow_network=true"):
        init_safe_tokenizer("nobody/no-such-tokenizer")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="merges"):
        init_safe_tokenizer(str(tmp_path))


def test_a_revision_of_a_folder_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(tokenizer.to_str(), tmp_path)
    with pytest.raises(SettingsInvalid, match="tokenizer_revision"):
        init_safe_tokenizer(str(tmp_path), revision="main")


class SlowTokenizer:
    is_fast = False


class TokenizerWithoutOffsets:
    is_fast = True

    def __call__(self, text: str, **options: object) -> dict[str, list[int]]:
        return {"input_ids": [1]}


@pytest.mark.parametrize(
    ("found", "message"),
    [(SlowTokenizer(), "not fast"), (TokenizerWithoutOffsets(), "does not support offset_mapping")],
)
def test_a_tokenizer_that_cannot_give_offsets_is_refused(
    found: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", lambda *_, **__: found)
    with pytest.raises(SettingsInvalid, match=message):
        init_safe_tokenizer("some/name")


HARD_TEXTS = {
    "operators": "(" * 300_000,
    "letters": "x" * 250_000 + " y",
    "blanks": "a" + " " * 300_000 + "b",
    "other_blanks": "\u00a0" * 3000,
    "separators": "(\x1c" * 3000,
}


@pytest.mark.parametrize("text", HARD_TEXTS.values(), ids=HARD_TEXTS)
def test_no_piece_that_a_tokenizer_learns_from_is_longer_than_the_bound(text: str) -> None:
    cut = tokenizer_files._with_short_pieces(text)
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(cut)
    assert max(end - start for _, (start, end) in pieces) <= tokenizer_files.LONGEST_PIECE + 1  # a blank before
    assert "".join(cut.split()) == "".join(text.split())


def test_a_function_of_one_300_kb_word_is_learnt_from(functions: list[str]) -> None:
    assert train_tokenizer([*functions, "=" * 300_000], 320).get_vocab_size() == 320


def test_ordinary_text_gives_the_vocabulary_that_uncut_text_gives(
    functions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = train_tokenizer(functions, 500).to_str()
    monkeypatch.setattr(tokenizer_files, "_with_short_pieces", lambda text: text)
    assert train_tokenizer(functions, 500).to_str() == cut
