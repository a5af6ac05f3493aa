"""Where tokenizers come from: a folder, the hub or its cache, or the training split itself; and how they are kept.

What is made of text with them is in ``tokens.py``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from models.errors import SettingsInvalid
from models.settings.text_encoder import PINNED_REVISIONS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""Numbered from 0 in a trained tokenizer, the first four as in RoBERTa."""
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
READING_FILE = "reading.json"
"""How the preprocess job read its texts: what a text must go through to become such tokens."""
_OTHER_FORMS = (CONFIG_FILE, "vocab.txt", "spiece.model", "sentencepiece.bpe.model")
"""Files that transformers may make a tokenizer of, a fast one or not."""
MIN_FREQUENCY = 2
LONGEST_PIECE = 1000
"""Characters of a text without a blank, or of white space, that a tokenizer learns from at once."""
_LONG_BLANK = re.compile(rf"(\s{{{LONGEST_PIECE}}})\s+")
_LONG_PIECE = re.compile(rf"[^ \t\n\r\f\v]{{{LONGEST_PIECE}}}(?=[^ \t\n\r\f\v])")


def init_safe_tokenizer(
    model_name: str, *, revision: str | None = None, allow_network: bool = False
) -> PreTrainedTokenizerFast:
    """A fast tokenizer that gives offsets, from a folder, or by hub name from the local cache.

    Args:
        model_name: Folder with tokenizer.json (or vocab.json and merges.txt), or a name on the hub.
        revision: Commit on the hub; ``None``: the one pinned for the backbone of this name, if any.
        allow_network: Fetch from the hub what the cache has not.

    Raises:
        SettingsInvalid: nothing is found there, or it is slow or gives no offsets. Not retried.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    folder = Path(model_name)
    if folder.is_dir() and revision is not None:
        raise SettingsInvalid(f"tokenizer_revision belongs to a name on the hub, and {model_name} is a folder")
    if folder.is_dir() and _is_vocabulary(folder):
        tokenizer: Any = _wrapped(PreTrainedTokenizerFast, folder)
    else:
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                model_name,
                revision=revision or PINNED_REVISIONS.get(model_name),
                use_fast=True,
                local_files_only=not allow_network,
                trust_remote_code=False,
            )
        except (OSError, ValueError) as error:
            raise SettingsInvalid(f"{_not_found(model_name, allow_network)} ({_first_line(error)})") from error
    _check(tokenizer, model_name)
    return tokenizer  # type: ignore[no-any-return]


def _is_vocabulary(folder: Path) -> bool:
    """Whether there is no definition of a tokenizer but a vocabulary, or nothing."""
    if (folder / TOKENIZER_FILE).is_file():
        return False
    return (folder / "vocab.json").is_file() or not any((folder / name).is_file() for name in _OTHER_FORMS)


def _wrapped(tokenizer_class: Any, folder: Path) -> Any:
    return tokenizer_class(tokenizer_object=_from_vocabulary(folder), **_ROLES)


def _check(tokenizer: Any, model_name: str) -> None:
    if not tokenizer.is_fast:
        raise SettingsInvalid(
            f"Tokenizer {model_name} is not fast (Rust-backed). Token offsets require a fast tokenizer: "
            "give one that has a tokenizer.json."
        )
    if "offset_mapping" not in tokenizer("test", return_offsets_mapping=True):
        raise SettingsInvalid(f"Tokenizer {model_name} does not support offset_mapping; give another one.")


def _not_found(model_name: str, allow_network: bool) -> str:
    if Path(model_name).is_dir():
        return f"tokenizer: the folder {model_name} has none that can be made a fast one; give one with tokenizer.json"
    where = "the hub" if allow_network else "the local cache (allow_network is off)"
    return (
        f"tokenizer: no tokenizer {model_name!r} as a folder or in {where}. Either give the path of a folder with "
        "tokenizer.json (or vocab.json and merges.txt), or set allow_network=true to fetch it from the hub once"
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


_ROLES = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}


def _from_vocabulary(folder: Path) -> Tokenizer:
    """A RoBERTa-style byte-level BPE from ``vocab.json`` and ``merges.txt``.

    Raises:
        SettingsInvalid: a file or a special token is missing. Not retried.
    """
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    if not (vocabulary.is_file() and merges.is_file()):
        raise SettingsInvalid(f"tokenizer: {folder} has neither tokenizer.json nor vocab.json and merges.txt")
    entries = json.loads(vocabulary.read_bytes())
    missing = [token for token in SPECIAL_TOKENS if token not in entries]
    if missing:
        raise SettingsInvalid(f"tokenizer: {vocabulary} lacks the special tokens {', '.join(missing)}")
    return _byte_level(models.BPE.from_file(str(vocabulary), str(merges), unk_token="<unk>"), entries)  # noqa: S106


def _byte_level(model: models.BPE, entries: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", entries["</s>"]), ("<s>", entries["<s>"]), trim_offsets=True, add_prefix_space=False
    )
    tokenizer.add_special_tokens(sorted(SPECIAL_TOKENS, key=lambda token: entries[token]))
    return tokenizer


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE (RoBERTa's form) learnt from texts; equal texts give an equal tokenizer.

    Args:
        texts: What it will have to read, white space collapsed if it will be.
        vocab_size: Entries at most, special tokens included.
    """
    learner = Tokenizer(models.BPE(unk_token="<unk>"))  # noqa: S106
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=MIN_FREQUENCY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learner.train_from_iterator(map(_with_short_pieces, texts), trainer)
    return _byte_level(learner.model, learner.get_vocab())


def _with_short_pieces(text: str) -> str:
    """Blanks in runs that have none, and shorter blank runs: learning takes the square of the longest piece.

    What such runs are made of is learnt from a thousand characters as well.
    """
    return _LONG_PIECE.sub(r"\g<0> ", _LONG_BLANK.sub(r"\1", text))


def save_tokenizer(content: str, folder: Path) -> tuple[str, ...]:
    """Write a tokenizer so that ``AutoTokenizer.from_pretrained(folder)`` loads it; gives the names of its files."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {token["content"] for token in json.loads(content)["added_tokens"]}
    roles = {role: token for role, token in _ROLES.items() if token in entries}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **roles}
    (folder / TOKENIZER_FILE).write_text(content, encoding="utf-8")
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return TOKENIZER_FILE, CONFIG_FILE


def tokenizer_sha256(content: str) -> str:
    """Digest of a tokenizer's definition."""
    return hashlib.sha256(content.encode()).hexdigest()
