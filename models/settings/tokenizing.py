"""What every job that makes records is told of its tokenizer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from models.settings.fields import INCIDENTAL, NAMED_INPUT, Settings

TOKENIZER_FOLDER = "tokenizer"
"""Where the job leaves the tokenizer of its records, beside them."""


class Tokenizing(Settings):
    """The tokenizer, and how long a sequence may be."""

    tokenizer: Annotated[str | None, NAMED_INPUT] = None
    """Hub name or folder of a fast tokenizer; empty: a byte-level BPE is trained on the training split."""
    tokenizer_revision: str | None = None
    """Commit of the tokenizer on the hub; only with a hub name."""
    vocab_size: Annotated[int, Field(ge=300, le=65000)] = 6000
    """Entries of the BPE trained when no tokenizer is given."""
    max_seq_len: Annotated[int, Field(ge=8, le=16384)] = 512
    """Longest token sequence kept, special tokens included [tokens]."""
    allow_network: Annotated[bool, INCIDENTAL] = False
    """Let a hub name be fetched; off: only folders and the local cache."""
