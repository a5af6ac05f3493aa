"""The tokenizer that made a folder of records, as a model needs it: special ids, and its files for the saved model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from models.data.token_batches import SpecialTokens
from models.data.tokenizer_files import CONFIG_FILE, READING_FILE, TOKENIZER_FILE
from models.data.tokens import special_ids
from models.errors import SettingsInvalid

PAD_TOKENS = ("<pad>", "[PAD]")
BEGIN_TOKENS = ("<s>", "[CLS]", "<pad>")
END_TOKENS = ("</s>", "[SEP]")


@dataclass(frozen=True)
class RecordTokenizer:
    """What a model needs of the tokenizer.

    Args:
        folder: Where its files lie.
        vocab_size: Entries, added tokens included.
        special: Ids around a text, and the one that fills up.
        bos: Id that begins a text.
        eos: Id that ends it.
        content_sha256: Digest of its definition.
        reading: What the preprocess job did to texts before; ``None`` where that is not told.
    """

    folder: Path
    vocab_size: int
    special: SpecialTokens
    bos: int
    eos: int
    content_sha256: str
    reading: dict[str, Any] | None

    @classmethod
    def read(cls, folder: Path) -> RecordTokenizer:
        """The tokenizer in a folder of the preprocess job (or of a saved model).

        Raises:
            SettingsInvalid: none is there, or it has no token to fill up with. Not retried.
        """
        path = folder / TOKENIZER_FILE
        if not path.is_file():
            raise SettingsInvalid(
                f"no tokenizer at {path}; give records in the folder where the preprocess job wrote them"
            )
        content = path.read_bytes()
        reading_path = folder / READING_FILE
        tokenizer = Tokenizer.from_str(content.decode())
        prefix, suffix = special_ids(tokenizer)
        return cls(
            folder=folder,
            vocab_size=int(tokenizer.get_vocab_size()),
            special=SpecialTokens(prefix, suffix, _first_known(tokenizer, PAD_TOKENS, path)),
            bos=int(prefix[0]) if len(prefix) else _first_known(tokenizer, BEGIN_TOKENS, path),
            eos=int(suffix[-1]) if len(suffix) else _first_known(tokenizer, END_TOKENS, path),
            content_sha256=hashlib.sha256(content).hexdigest(),
            reading=json.loads(reading_path.read_bytes()) if reading_path.is_file() else None,
        )

    def reads_as(self, other: RecordTokenizer) -> bool:
        """Whether both make the same tokens of the same text, but for what is cut of long ones."""
        spaces = [(reading or {}).get("collapse_whitespace") for reading in (self.reading, other.reading)]
        return self.content_sha256 == other.content_sha256 and spaces[0] == spaces[1]

    def files(self) -> dict[str, bytes]:
        """Its files by name, for whoever loads the saved model by ``AutoTokenizer``."""
        names = (TOKENIZER_FILE, CONFIG_FILE, *([READING_FILE] if self.reading is not None else []))
        return {name: (self.folder / name).read_bytes() for name in names}


def _first_known(tokenizer: Tokenizer, names: tuple[str, ...], path: Path) -> int:
    found = [tokenizer.token_to_id(name) for name in names]
    known = [number for number in found if number is not None]
    if not known:
        raise SettingsInvalid(
            f"tokenizer: {path} has none of {', '.join(names)}; give one with RoBERTa's or BERT's tokens"
        )
    return int(known[0])
