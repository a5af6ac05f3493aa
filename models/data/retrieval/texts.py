"""Texts as models read them: token records by id, with what each does the same as, and batches of them.

What is known of a text beside its tokens comes from the .jsonl itself: that file, and nothing beside it, is what a run
is named by.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.data.record_tokenizer import RecordTokenizer
from models.data.retrieval.text_facts import TextFacts, read_facts
from models.data.token_batches import Reading, TokenBatch
from models.data.token_records import TokenRecords, open_token_records
from models.errors import DataInvalid

Ints = npt.NDArray[np.int64]


class Texts:
    """Texts of one file.

    Args:
        path: The .jsonl.
        tokenizer: That made them.
        records: Their tokens.
        facts: What is known of each, in the same order.

    Attributes:
        ids: Of each text.
        row_of: Number of the text of an id.
        matches: What each does the same as.
        groups: What each must not be separated from.
        languages: Of each.
        splits: Of each.
        projects: Of each; empty where unknown.
        lengths: ``(N,)`` int64, tokens of each that are read, special ones included.
    """

    def __init__(self, path: Path, tokenizer: RecordTokenizer, records: TokenRecords, facts: list[TextFacts]) -> None:
        self.path = path
        self.tokenizer = tokenizer
        self.table, self._store = records
        self.ids = [fact.text_id for fact in facts]
        self.row_of = {text_id: row for row, text_id in enumerate(self.ids)}
        self.matches = [fact.match for fact in facts]
        self.groups = [fact.group for fact in facts]
        self.languages = [fact.language for fact in facts]
        self.splits = [fact.split for fact in facts]
        self.projects = [fact.project for fact in facts]
        self.lengths: Ints = self._store.window_lengths

    @classmethod
    def open(cls, path: Path, tokenizer_folder: Path, max_seq_len: int, *, vocab_size: int | None = None) -> Texts:
        """The texts at ``path``.

        Args:
            path: The .jsonl, beside the tokenizer that made it.
            tokenizer_folder: Of the tokenizer that the model reads by.
            max_seq_len: Longest text that is read, special tokens included; of a longer one the begin [tokens].
            vocab_size: Entries of the model's vocabulary; ``None``: those of the tokenizer.

        Raises:
            DataInvalid: No text, an id twice, a line without ``match`` and the like, a token id beyond the vocabulary,
                or records of another tokenizer. Not retried.
            SettingsInvalid: There is no tokenizer. Not retried.
        """
        tokenizer = RecordTokenizer.read(tokenizer_folder)
        reading = Reading(max_seq_len, max_windows=1, overlap=0.0)
        records = open_token_records(path, tokenizer, reading, vocab_size=vocab_size or tokenizer.vocab_size)
        texts = cls(path, tokenizer, records, read_facts(path))
        if len(texts.row_of) < len(texts):
            twice = next(name for row, name in enumerate(texts.ids) if texts.row_of[name] != row)
            raise DataInvalid(path, f"text {twice} is there twice; make the file again")
        return texts

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def match_numbers(self) -> Ints:
        """``(N,)``: equal where two texts do the same; counted from 0 in the order of the file."""
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(match, len(numbers)) for match in self.matches], np.int64)

    def rows_of(self, ids: Iterable[str], named_by: Path) -> Ints:
        """Numbers of the texts of ``ids``, in their order.

        Args:
            ids: Of texts.
            named_by: The file of pairs or lists that names them.

        Raises:
            DataInvalid: There is no such text. Not retried.
        """
        named = list(ids)
        try:
            return np.fromiter(map(self.row_of.__getitem__, named), np.int64, len(named))
        except KeyError as error:
            raise DataInvalid(
                named_by, f"names the text {error.args[0]}, which is not in {self.path}; give files of one run"
            ) from None

    def batch(self, rows: Ints) -> TokenBatch:
        """Texts filled up to the longest of them, in the order of ``rows``; a text may be there more than once."""
        return self._store.batch(rows)

    def cost(self, rows: Ints) -> int:
        """Padded tokens of a batch of ``rows``."""
        return len(rows) * int(self.lengths[rows].max(initial=0))
