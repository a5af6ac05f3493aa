"""Two texts as one sequence, for models that read both at once (cross-encoders).

The tokenizer's own form of a pair is kept: ``<s> a </s></s> b </s>`` for RoBERTa, ``[CLS] a [SEP] b [SEP]`` for BERT.

Shape letters: P pairs, T tokens of the longest.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from models.data.retrieval.texts import Texts
from models.data.token_batches import TokenBatch
from models.data.tokenizer_files import TOKENIZER_FILE
from models.errors import SettingsInvalid

Ints = npt.NDArray[np.int64]


class PairForm(NamedTuple):
    """Special ids of a pair of texts.

    Args:
        before: In front of the first text.
        between: Behind the first and in front of the second; never empty.
        behind: Behind the second.
    """

    before: list[int]
    between: list[int]
    behind: list[int]

    @property
    def num_special(self) -> int:
        """All of them."""
        return len(self.before) + len(self.between) + len(self.behind)


def pair_form(tokenizer_folder: Path, eos: int) -> PairForm:
    """How a tokenizer joins two texts.

    Args:
        tokenizer_folder: With its tokenizer.json.
        eos: Id that ends a text; it parts the two where the tokenizer itself puts nothing between them.
    """
    encoding = Tokenizer.from_file(str(tokenizer_folder / TOKENIZER_FILE)).encode("x", "x")
    side_of = encoding.sequence_ids
    firsts = [at for at, side in enumerate(side_of) if side == 0]
    seconds = [at for at, side in enumerate(side_of) if side == 1]
    between = encoding.ids[firsts[-1] + 1 : seconds[0]]
    return PairForm(encoding.ids[: firsts[0]], between or [eos], encoding.ids[seconds[-1] + 1 :])


class JoinedTexts:
    """Pairs of texts of one file, joined.

    Each text of a pair gets half of the room (the first the odd token) and what the other leaves of its half; the end
    of a longer one is not read.

    Args:
        texts: They are taken from.
        max_seq_len: Longest pair, special tokens included [tokens].

    Raises:
        SettingsInvalid: There is no room for a token of each. Not retried.
    """

    def __init__(self, texts: Texts, max_seq_len: int) -> None:
        self._form = pair_form(texts.tokenizer.folder, texts.tokenizer.eos)
        self._room = max_seq_len - self._form.num_special
        if self._room < 2:
            raise SettingsInvalid(
                f"max_seq_len={max_seq_len} leaves no room for two texts beside {self._form.num_special} special "
                "tokens; give more"
            )
        special = texts.tokenizer.special
        self._pad = special.pad
        self._ids = np.asarray(texts.table.token_ids)
        self._begins: Ints = np.asarray(texts.table.token_ptr)[:-1] + len(special.prefix)
        self._bodies: Ints = np.asarray(texts.table.token_ptr)[1:] - len(special.suffix) - self._begins

    def lengths(self, firsts: Ints, seconds: Ints) -> Ints:
        """``(P,)``: tokens of each pair, special ones included.

        Args:
            firsts: ``(P,)`` rows of the first texts (queries).
            seconds: ``(P,)`` rows of the second ones (candidates).
        """
        return np.add(*self._kept(firsts, seconds)) + self._form.num_special

    def cost(self, firsts: Ints, seconds: Ints) -> int:
        """Padded tokens of a batch of these pairs."""
        return len(firsts) * int(self.lengths(firsts, seconds).max(initial=0))

    def batch(self, firsts: Ints, seconds: Ints) -> TokenBatch:
        """The pairs, filled up to the longest of them: ``ids_WT`` is ``(P, T)``. Arguments as of ``lengths``."""
        form, kept = self._form, self._kept(firsts, seconds)
        lengths = np.add(*kept) + form.num_special
        ids = np.full((len(firsts), int(lengths.max(initial=0))), self._pad, np.int64)
        ids[:, : len(form.before)] = form.before
        for row, (first, second, num_first, num_second) in enumerate(
            zip(firsts.tolist(), seconds.tolist(), kept[0].tolist(), kept[1].tolist(), strict=True)
        ):
            at = len(form.before)
            ids[row, at : at + num_first] = self._body(first, num_first)
            at += num_first
            ids[row, at : at + len(form.between)] = form.between
            at += len(form.between)
            ids[row, at : at + num_second] = self._body(second, num_second)
            at += num_second
            ids[row, at : at + len(form.behind)] = form.behind
        mask = np.arange(ids.shape[1]) < lengths[:, None]
        return TokenBatch(
            ids_WT=torch.from_numpy(ids),
            mask_WT=None if mask.all() else torch.from_numpy(mask),
            record_of_W=None,
            num_records=len(firsts),
        )

    def _kept(self, firsts: Ints, seconds: Ints) -> tuple[Ints, Ints]:
        """Tokens of each text that are read."""
        of_first, of_second = self._bodies[firsts], self._bodies[seconds]
        half = self._room - self._room // 2
        num_first = np.minimum(of_first, np.maximum(half, self._room - of_second))
        return num_first, np.minimum(of_second, self._room - num_first)

    def _body(self, row: int, num_tokens: int) -> npt.NDArray[np.int32]:
        begin = int(self._begins[row])
        return self._ids[begin : begin + num_tokens]
