"""From texts to finished records: white space as it stands, the end of long texts cut off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models.data.chosen_tokenizer import check_room, choose_tokenizer, leave_tokenizer
from models.data.column_writer import ColumnChunk, column_chunk
from models.data.percentiles import share, spread_of
from models.data.record_form import Record, column_row, json_line
from models.data.tokens import SafeTokenizer, TokenSequence
from models.settings.tokenizing import Tokenizing

COLLAPSES_WHITESPACE = False
"""Indentation is a part of what code looks like, and of some languages' syntax."""
TRIMMING_NAME = "head"
NO_LABEL = 0
"""What stands for a missing label where a number must stand; the metadata say ``null``."""


class NamedText(NamedTuple):
    """A text that becomes a record.

    Args:
        text_id: Unique among all files of the run.
        group: What must not be separated from it.
        text: As it will be tokenised.
        language: It is written in; empty where nobody knows.
        label: 0, 1, or ``None`` where it has none.
        metadata: What else is known of it, as JSON values.
    """

    text_id: str
    group: str
    text: str
    language: str
    label: int | None
    metadata: dict[str, Any]


@dataclass
class TextReport:
    """Counts over the records of a file.

    Args:
        num_tokens: Lengths before the cut, special tokens included.
        num_cut: Texts whose end was cut off.
        languages: Texts of each.
        labels: Texts of each, ``null`` for none.
    """

    num_tokens: Counter[int] = field(default_factory=Counter)
    num_cut: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)

    @property
    def num_texts(self) -> int:
        """All texts."""
        return self.num_tokens.total()

    def described(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "num_texts": self.num_texts,
            "tokens_before_cut": spread_of(self.num_tokens),
            "num_cut": self.num_cut,
            "share_cut": share(self.num_cut, self.num_texts),
            "languages": dict(sorted(self.languages.items())),
            "labels": dict(sorted(self.labels.items())),
        }


class MadeTexts(NamedTuple):
    """Records of a few texts, in order.

    Args:
        lines: As JSON lines.
        columns: The same for the columnar copy.
        empty: Ids of texts that the tokenizer makes nothing of; they are records without a body.
    """

    lines: bytes
    columns: ColumnChunk
    empty: list[str]


def text_tokenizer(settings: Tokenizing, training_texts: Callable[[], Iterable[str]]) -> SafeTokenizer:
    """The tokenizer of texts: the one that the settings name, else one learnt from the training texts.

    Raises:
        SettingsInvalid: It cannot be had, or ``max_seq_len`` leaves no room. Not retried.
    """
    tokenizer = SafeTokenizer(choose_tokenizer(settings, training_texts), collapse_whitespace=COLLAPSES_WHITESPACE)
    check_room(settings, tokenizer)
    return tokenizer


def leave_text_tokenizer(settings: Tokenizing, tokenizer: SafeTokenizer, folder: Path) -> tuple[str, ...]:
    """Write it beside the texts; gives the names of its files, relative to ``folder``."""
    reading = {
        "collapse_whitespace": COLLAPSES_WHITESPACE,
        "trimming": TRIMMING_NAME,
        "max_seq_len": settings.max_seq_len,
    }
    return leave_tokenizer(tokenizer, reading, folder)


class TextMaker:
    """Makes records.

    Args:
        tokenizer: That reads white space as it stands.
        max_seq_len: Longest record, special tokens included.
    """

    def __init__(self, tokenizer: SafeTokenizer, max_seq_len: int) -> None:
        self._tokenizer = tokenizer
        self._num_special = len(tokenizer.prefix) + len(tokenizer.suffix)
        self._room = max_seq_len - self._num_special

    def make(self, texts: Sequence[NamedText], report: TextReport) -> MadeTexts:
        """Records of some texts; they are counted in ``report``."""
        sequences = self._tokenizer.tokenize_batch([named.text for named in texts])
        records = []
        for named, sequence in zip(texts, sequences, strict=True):
            records.append(self._record(named, sequence))
            report.num_tokens[len(sequence.ids) + self._num_special] += 1
            report.num_cut += len(sequence.ids) > self._room
            report.languages[named.language or "unknown"] += 1
            report.labels["null" if named.label is None else str(named.label)] += 1
        empty = [named.text_id for named, found in zip(texts, sequences, strict=True) if not len(found.ids)]
        return MadeTexts(b"".join(map(json_line, records)), column_chunk(map(column_row, records)), empty)

    def _record(self, named: NamedText, sequence: TokenSequence) -> Record:
        tokens = self._with_special(sequence)
        return Record(
            record_id=named.text_id,
            group=named.group,
            code=named.text,
            language=named.language,
            tokens=tokens,
            label=NO_LABEL if named.label is None else named.label,
            metadata={
                **named.metadata,
                "group": named.group,
                "label": named.label,
                "num_tokens": len(tokens.ids),
                "num_tokens_before_trim": len(sequence.ids) + self._num_special,
            },
        )

    def _with_special(self, sequence: TokenSequence) -> TokenSequence:
        prefix, suffix = self._tokenizer.prefix, self._tokenizer.suffix
        ids = np.concatenate([prefix, sequence.ids[: self._room], suffix])
        offsets = np.zeros((len(ids), 2), np.int32)
        offsets[len(prefix) : len(ids) - len(suffix)] = sequence.offsets[: self._room]
        return TokenSequence(ids, offsets)
