"""The tokenizer of a job that makes records: chosen by its settings, described for the metadata, left beside them.

How one is loaded or learnt is in ``tokenizer_files.py``, what is made of text with it in ``tokens.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from models.data.tokenizer_files import (
    READING_FILE,
    init_safe_tokenizer,
    save_tokenizer,
    tokenizer_sha256,
    train_tokenizer,
)
from models.data.tokens import SafeTokenizer
from models.errors import SettingsInvalid
from models.settings.tokenizing import TOKENIZER_FOLDER, Tokenizing


def choose_tokenizer(settings: Tokenizing, training_texts: Callable[[], Iterable[str]]) -> Tokenizer:
    """Loaded where the settings name one, else learnt from the training split.

    Args:
        settings: Of the job.
        training_texts: Called only where one is learnt; texts as they will be tokenised.

    Raises:
        SettingsInvalid: the one named cannot be had, or a revision is of no tokenizer. Not retried.
    """
    if settings.tokenizer:
        loaded = init_safe_tokenizer(
            settings.tokenizer, revision=settings.tokenizer_revision, allow_network=settings.allow_network
        )
        return loaded.backend_tokenizer
    if settings.tokenizer_revision:
        raise SettingsInvalid("tokenizer_revision is set without a tokenizer; name one on the hub, or leave both empty")
    return train_tokenizer(training_texts(), settings.vocab_size)


def check_room(settings: Tokenizing, tokenizer: SafeTokenizer) -> None:
    """Whether a record has room for a token beside the special ones.

    Raises:
        SettingsInvalid: it has none. Not retried.
    """
    num_special = len(tokenizer.prefix) + len(tokenizer.suffix)
    if settings.max_seq_len <= num_special:
        raise SettingsInvalid(
            f"max_seq_len={settings.max_seq_len} leaves no room beside {num_special} special tokens; give more"
        )


def tokenizer_name(settings: Tokenizing) -> str | None:
    """Hub name, or the last part of a folder's path; ``None`` where it is learnt."""
    if not settings.tokenizer:
        return None
    folder = Path(settings.tokenizer)
    return folder.resolve().name if folder.is_dir() else settings.tokenizer


def describe_tokenizer(settings: Tokenizing, tokenizer: SafeTokenizer) -> dict[str, Any]:
    """Name, revision, digest and size, as JSON values."""
    return {
        "name": tokenizer_name(settings) or "trained on the training split",
        "revision": settings.tokenizer_revision,
        "sha256": tokenizer_sha256(tokenizer.content),
        "vocab_size": tokenizer.vocab_size,
    }


def leave_tokenizer(tokenizer: SafeTokenizer, reading: dict[str, Any], folder: Path) -> tuple[str, ...]:
    """Write it into the folder of the records, with what their texts went through before it.

    Args:
        tokenizer: That made the records.
        reading: ``collapse_whitespace``, ``trimming`` and ``max_seq_len``, as JSON values.
        folder: Of the records.

    Returns:
        Its files, relative to ``folder``.
    """
    names = save_tokenizer(tokenizer.content, folder / TOKENIZER_FOLDER)
    (folder / TOKENIZER_FOLDER / READING_FILE).write_text(json.dumps(reading, sort_keys=True) + "\n")
    return tuple(f"{TOKENIZER_FOLDER}/{name}" for name in (*names, READING_FILE))
