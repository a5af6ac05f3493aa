"""Records that a model reads by their tokens: opened, and refused where they are not of the model's tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.data.columnar import RecordTable, open_records
from models.data.record_tokenizer import RecordTokenizer
from models.data.token_batches import Reading, TokenStore
from models.errors import DataInvalid
from models.settings.tokenizing import TOKENIZER_FOLDER


class TokenRecords(NamedTuple):
    """Records of one file, ready to be read.

    Args:
        table: The records.
        store: Their windows.
    """

    table: RecordTable
    store: TokenStore


def open_token_records(path: Path, tokenizer: RecordTokenizer, reading: Reading, *, vocab_size: int) -> TokenRecords:
    """The records at ``path``, as a model reads them.

    Args:
        path: A .jsonl beside the tokenizer that made it.
        tokenizer: The one that the model reads by.
        reading: How long records are read.
        vocab_size: Entries of the model's vocabulary.

    Raises:
        DataInvalid: No record, a token id beyond the vocabulary, or records of another tokenizer. Not retried.
        SettingsInvalid: There is no tokenizer beside the records. Not retried.
    """
    refuse_other_tokenizer(path, tokenizer)
    table = open_records(path)
    if len(table) == 0:
        raise DataInvalid(path, "holds no record; training needs at least one")
    largest = int(np.max(table.token_ids, initial=0))
    if largest >= vocab_size:
        raise DataInvalid(
            path,
            f"token id {largest} is beyond the backbone's vocabulary of {vocab_size}; preprocess with the "
            "backbone's own tokenizer (--tokenizer)",
        )
    store = TokenStore(table, tokenizer.special, reading)
    misfit = store.first_misfit()
    if misfit is not None:
        raise DataInvalid(
            path,
            f"record {table.ids[misfit]} does not begin and end as the tokenizer beside the records does it; give "
            "records and tokenizer of one preprocess run",
        )
    return TokenRecords(table, store)


def refuse_other_tokenizer(path: Path, tokenizer: RecordTokenizer) -> None:
    """Refuse records of another tokenizer: its ids mean other words, whatever their range.

    Raises:
        DataInvalid: They are. Not retried.
        SettingsInvalid: There is no tokenizer beside the records. Not retried.
    """
    beside = RecordTokenizer.read(path.parent / TOKENIZER_FOLDER)
    if not beside.reads_as(tokenizer):
        raise DataInvalid(
            path,
            f"was tokenised by {beside.folder}, which is not the tokenizer that the model reads by "
            f"({tokenizer.folder}); preprocess all splits in one run",
        )
