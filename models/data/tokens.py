"""C code to token ids, with offsets that index the raw code whatever was done to it before tokenising.

Two routes to the same answer. The general one hands each text to the Rust library. The fast one is for byte-level BPE
on ASCII text with collapsed white space: the text is cut as GPT-2's splitter cuts it, each distinct piece is tokenised
once, and whole batches are looked up. Both give offsets in the collapsed text, which are then mapped to the raw text.

Loading and training of tokenizers is in ``tokenizer_files.py``, shortening in ``trimming.py``.
"""

from __future__ import annotations

import itertools
import json
import re
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from models.data.tokenizer_files import init_safe_tokenizer

__all__ = ["SafeTokenizer", "TokenSequence", "init_safe_tokenizer"]

MAX_PIECES = 100_000
"""Distinct pieces remembered before the table is begun anew; about 25 MB."""

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]

_LAST_SPACE = 0x3000
_IS_SPACE = np.array([chr(point).isspace() for point in range(_LAST_SPACE + 1)])
_SPLIT_ASCII = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^ A-Za-z0-9]+")
"""GPT-2's splitter where the only white space is single blanks between words."""


_BYTE_LETTERS = {point: ByteLevel(add_prefix_space=False).pre_tokenize_str(chr(point))[0][0] for point in range(128)}
"""Which letter stands for each ASCII byte in a byte-level vocabulary."""


class TokenSequence(NamedTuple):
    """Tokens of one text, without special tokens.

    Args:
        ids: ``(T,)`` int32.
        offsets: ``(T, 2)`` int32, begin and end of each token in the raw text [characters]. Where white space was
            collapsed, a token's leading blank is outside, and a token that is only a blank is empty.
    """

    ids: Ints
    offsets: Ints


class SafeTokenizer:
    """A fast tokenizer that gives ids and raw offsets, and never takes text for a special token.

    Args:
        tokenizer: The Rust tokenizer; it is copied.
        collapse_whitespace: Tokenise with each run of white space as one blank and none around the text.
    """

    def __init__(self, tokenizer: Tokenizer, *, collapse_whitespace: bool = True) -> None:
        self.content = tokenizer.to_str()
        self.collapse_whitespace = collapse_whitespace
        self._tokenizer = Tokenizer.from_str(self.content)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.prefix, self.suffix = special_ids(self._tokenizer)
        self._tokenizer.encode_special_tokens = True
        # The Rust library looks for these before it cuts a text into pieces.
        self._added = [
            token.content for token in self._tokenizer.get_added_tokens_decoder().values() if not token.special
        ]
        by_pieces = collapse_whitespace and _is_plain_byte_level(self.content)
        self._pieces = _PieceTable(self._tokenizer) if by_pieces else None

    @property
    def vocab_size(self) -> int:
        """Entries, added tokens included."""
        return int(self._tokenizer.get_vocab_size())

    def tokenize(self, code: str) -> TokenSequence:
        """Tokens of one text."""
        return self.tokenize_batch([code])[0]

    def tokenize_batch(self, codes: Sequence[str]) -> list[TokenSequence]:
        """Tokens of several texts, in order."""
        sequences = self.tokenize_collapsed(codes)
        if not self.collapse_whitespace:
            return sequences
        return [in_raw_text(sequence, code) for sequence, code in zip(sequences, codes, strict=True)]

    def tokenize_collapsed(self, codes: Sequence[str]) -> list[TokenSequence]:
        """As ``tokenize_batch``, with offsets in the text that was tokenised."""
        texts = [" ".join(code.split()) for code in codes] if self.collapse_whitespace else list(codes)
        found: list[TokenSequence | None] = [None] * len(texts)
        plain = [at for at, text in enumerate(texts) if self._is_plain(text)]
        if self._pieces is not None and plain:
            for at, sequence in zip(plain, self._pieces.tokenize([texts[at] for at in plain]), strict=True):
                found[at] = sequence
        whole = [at for at, sequence in enumerate(found) if sequence is None]
        for at, encoding in zip(whole, self._encode([texts[at] for at in whole]), strict=True):
            found[at] = _sequence(encoding)
        return [sequence for sequence in found if sequence is not None]

    def _is_plain(self, text: str) -> bool:
        return self._pieces is not None and text.isascii() and not any(added in text for added in self._added)

    def _encode(self, texts: list[str]) -> list[Encoding]:
        return self._tokenizer.encode_batch(texts, add_special_tokens=False) if texts else []


class _PieceTable:
    """Tokens of distinct pieces, as flat arrays that whole batches of texts are looked up in.

    Args:
        tokenizer: Byte-level BPE.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._model = tokenizer.model
        self._forget()

    def _forget(self) -> None:
        self._numbers: dict[str, int] = {}
        self._num_chars = array("i")
        self._pointer = array("q", [0])
        self._ids, self._begins, self._ends = array("i"), array("i"), array("i")

    def tokenize(self, texts: Sequence[str]) -> list[TokenSequence]:
        """Tokens of ASCII texts whose only white space is single blanks between words."""
        if len(self._numbers) > MAX_PIECES:
            self._forget()
        pieces_of = [_SPLIT_ASCII.findall(text) for text in texts]
        pieces = list(itertools.chain.from_iterable(pieces_of))
        for piece in dict.fromkeys(pieces):
            if piece not in self._numbers:
                self._learn(piece)
        numbers = np.fromiter(map(self._numbers.__getitem__, pieces), np.int64, len(pieces))
        return self._look_up(numbers, [len(pieces) for pieces in pieces_of])

    def _learn(self, piece: str) -> None:
        self._numbers[piece] = len(self._num_chars)
        self._num_chars.append(len(piece))
        end = 0
        for token in self._model.tokenize(piece.translate(_BYTE_LETTERS)):
            self._ids.append(token.id)
            self._begins.append(end)
            end += len(token.value)
            self._ends.append(end)
        self._pointer.append(len(self._ids))

    def _look_up(self, pieces: Longs, num_pieces: list[int]) -> list[TokenSequence]:
        """Tokens of texts given as piece numbers end to end, ``num_pieces`` of each text."""
        pointer = np.frombuffer(self._pointer, np.int64)
        num_tokens = pointer[pieces + 1] - pointer[pieces]
        token_ends = np.concatenate(([0], np.cumsum(num_tokens)))
        at = np.arange(token_ends[-1]) + np.repeat(pointer[pieces] - token_ends[:-1], num_tokens)
        char_ends = np.concatenate(([0], np.cumsum(np.frombuffer(self._num_chars, np.int32)[pieces])))
        shift = np.repeat(char_ends[:-1], num_tokens)
        ids = np.frombuffer(self._ids, np.int32)[at]
        begins = np.frombuffer(self._begins, np.int32)[at] + shift
        ends = np.frombuffer(self._ends, np.int32)[at] + shift
        offsets = np.stack([begins, ends], axis=1)
        text_ends = np.cumsum([0, *num_pieces])
        return [
            TokenSequence(ids[first:last], (offsets[first:last] - char).astype(np.int32))
            for (first, last), char in zip(
                itertools.pairwise(token_ends[text_ends].tolist()), char_ends[text_ends[:-1]].tolist(), strict=True
            )
        ]


def _sequence(encoding: Encoding) -> TokenSequence:
    return TokenSequence(np.array(encoding.ids, np.int32), np.array(encoding.offsets, np.int32).reshape(-1, 2))


def in_raw_text(sequence: TokenSequence, code: str) -> TokenSequence:
    """The same tokens, with offsets in collapsed text turned into offsets in the raw text."""
    points = np.frombuffer(code.encode("utf-32-le", "surrogatepass"), np.uint32)
    is_space = (points <= _LAST_SPACE) & _IS_SPACE[np.minimum(points, _LAST_SPACE)]
    words = np.flatnonzero(~is_space)
    if not len(words):
        return TokenSequence(sequence.ids, np.zeros_like(sequence.offsets))
    kept = ~is_space
    kept[1:] |= ~is_space[:-1]  # a blank for each run
    kept[: words[0]] = False
    kept[words[-1] + 1 :] = False
    (raw,) = np.nonzero(kept)
    next_word = words[np.searchsorted(words, raw)]  # itself, or for a blank where the next word begins
    begins, ends = sequence.offsets[:, 0], sequence.offsets[:, 1]
    raw_begins = np.append(next_word, len(code))[begins]
    after = np.where(is_space[raw], next_word, raw + 1)
    raw_ends = np.where(ends > begins, after[np.maximum(ends - 1, 0)], raw_begins)
    return TokenSequence(sequence.ids, np.stack([raw_begins, raw_ends], axis=1).astype(np.int32))


def special_ids(tokenizer: Tokenizer) -> tuple[Ints, Ints]:
    """Ids that the tokenizer puts before and after a text."""
    encoding = tokenizer.encode("x", add_special_tokens=True)
    plain = [at for at, special in enumerate(encoding.special_tokens_mask) if not special]
    ids = np.array(encoding.ids, np.int32)
    return ids[: plain[0]], ids[plain[-1] + 1 :]


def _is_plain_byte_level(content: str) -> bool:
    """Whether pieces of ASCII text can be tokenised by themselves, and by ``_SPLIT_ASCII``."""
    described: dict[str, Any] = json.loads(content)
    splitter = described.get("pre_tokenizer") or {}
    return (
        described.get("normalizer") is None
        and described["model"]["type"] == "BPE"
        and all(
            letter in described["model"]["vocab"] for letter in _BYTE_LETTERS.values()
        )  # no piece has unknown parts
        and splitter.get("type") == "ByteLevel"
        and splitter.get("use_regex", True)
        and not splitter.get("add_prefix_space", True)
    )
