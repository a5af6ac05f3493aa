"""C code to token ids, with offsets that index the raw code whatever was done to it before tokenising.

Two routes to the same answer. The general one tokenises each text and maps offsets back through the collapsed white
space. The fast one is for byte-level BPE on collapsed ASCII text: no token crosses a blank there, so each distinct word
is tokenised once and looked up ever after; raw positions of words come from one pass over the bytes.

Loading and training of tokenizers is in ``tokenizer_files.py``, shortening in ``trimming.py``.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from models.data.tokenizer_files import init_safe_tokenizer

__all__ = ["SafeTokenizer", "TokenSequence", "init_safe_tokenizer"]

MAX_WORDS = 100_000
"""Distinct words remembered before the table is begun anew; about 30 MB."""

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]

_LAST_SPACE = 0x3000
_IS_SPACE = np.array([chr(point).isspace() for point in range(_LAST_SPACE + 1)])
_IS_SPACE_BYTE = _IS_SPACE[:256]


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
        self.prefix, self.suffix = _special_ids(self._tokenizer)
        self._tokenizer.encode_special_tokens = True
        # Their text is looked for before the text is cut into words.
        self._added = [
            token.content for token in self._tokenizer.get_added_tokens_decoder().values() if not token.special
        ]
        by_words = collapse_whitespace and _keeps_words_apart(self.content)
        self._words = _WordTable(self._tokenizer) if by_words else None

    @property
    def vocab_size(self) -> int:
        """Entries, added tokens included."""
        return int(self._tokenizer.get_vocab_size())

    def tokenize(self, code: str) -> TokenSequence:
        """Tokens of one text."""
        return self.tokenize_batch([code])[0]

    def tokenize_batch(self, codes: Sequence[str]) -> list[TokenSequence]:
        """Tokens of several texts, in order."""
        by_words = [at for at, code in enumerate(codes) if self._is_plain(code)]
        whole = sorted(set(range(len(codes))).difference(by_words))
        found: dict[int, TokenSequence] = {}
        if self._words is not None and by_words:
            found |= zip(by_words, self._words.tokenize([codes[at] for at in by_words]), strict=True)
        if whole:
            found |= zip(whole, self._tokenize_whole([codes[at] for at in whole]), strict=True)
        return [found[at] for at in range(len(codes))]

    def _is_plain(self, code: str) -> bool:
        return self._words is not None and code.isascii() and not any(text in code for text in self._added)

    def _tokenize_whole(self, codes: Sequence[str]) -> list[TokenSequence]:
        if not self.collapse_whitespace:
            return [_sequence(encoding) for encoding in self._encode(codes)]
        encodings = self._encode([" ".join(code.split()) for code in codes])
        return [_in_raw_text(_sequence(encoding), code) for encoding, code in zip(encodings, codes, strict=True)]

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        return self._tokenizer.encode_batch(list(texts), add_special_tokens=False)


class _WordTable:
    """Tokens of distinct words, as flat arrays that whole batches of texts are looked up in.

    Args:
        tokenizer: Byte-level BPE that splits at blanks.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._forget()

    def _forget(self) -> None:
        self._first: dict[str, int] = {}  # words that begin a text have no blank before them
        self._later: dict[str, int] = {}
        self._pointer = array("q", [0])
        self._ids, self._begins, self._ends = array("i"), array("i"), array("i")

    def tokenize(self, codes: Sequence[str]) -> list[TokenSequence]:
        """Tokens of ASCII texts."""
        if len(self._first) + len(self._later) > MAX_WORDS:
            self._forget()
        words_of = [code.split() for code in codes]
        self._learn(words_of)
        first, later = self._first, self._later
        numbers: list[int] = []
        for words in words_of:
            numbers.extend(map(later.__getitem__, words))
            if words:
                numbers[-len(words)] = first[words[0]]
        return self._look_up(codes, np.array(numbers, np.int64), [len(words) for words in words_of])

    def _learn(self, words_of: list[list[str]]) -> None:
        later: set[str] = set()
        for words in words_of:
            later.update(words)
        new_later = [word for word in dict.fromkeys(w for words in words_of for w in words) if word not in self._later]
        new_first = [word for word in dict.fromkeys(words[0] for words in words_of if words) if word not in self._first]
        for table, new, blank in ((self._later, new_later, " "), (self._first, new_first, "")):
            encodings = self._tokenizer.encode_batch([blank + word for word in new], add_special_tokens=False)
            for word, encoding in zip(new, encodings, strict=True):
                table[word] = len(self._pointer) - 1
                self._ids.extend(encoding.ids)
                for begin, end in encoding.offsets:
                    self._begins.append(max(begin - len(blank), 0))
                    self._ends.append(max(end - len(blank), 0))
                self._pointer.append(len(self._ids))

    def _look_up(self, codes: Sequence[str], words: Longs, num_words: list[int]) -> list[TokenSequence]:
        pointer = np.frombuffer(self._pointer, np.int64)
        lengths = pointer[words + 1] - pointer[words]
        ends = np.cumsum(lengths)
        at = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(pointer[words] - ends + lengths, lengths)
        ids = np.frombuffer(self._ids, np.int32)[at]
        shift = np.repeat(_word_starts(codes), lengths)
        begins = np.frombuffer(self._begins, np.int32)[at] + shift
        offsets = np.stack([begins, np.frombuffer(self._ends, np.int32)[at] + shift], axis=1).astype(np.int32)
        token_ends = np.concatenate(([0], ends))[np.cumsum([0, *num_words])].tolist()
        return [
            TokenSequence(ids[first:last], offsets[first:last])
            for first, last in zip(token_ends[:-1], token_ends[1:], strict=True)
        ]


def _word_starts(codes: Sequence[str]) -> Longs:
    """Where each word of ASCII texts begins, counted within its text."""
    flat = np.frombuffer("\n".join(codes).encode("ascii"), np.uint8)
    if not len(flat):
        return np.zeros(0, np.int64)
    is_space = _IS_SPACE_BYTE[flat]
    begins = ~is_space
    begins[1:] &= is_space[:-1]
    starts = np.flatnonzero(begins)
    text_starts = np.cumsum([0, *(len(code) + 1 for code in codes[:-1])])
    return starts - text_starts[np.searchsorted(text_starts, starts, side="right") - 1]


def _sequence(encoding: Encoding) -> TokenSequence:
    return TokenSequence(np.array(encoding.ids, np.int32), np.array(encoding.offsets, np.int32).reshape(-1, 2))


def _in_raw_text(sequence: TokenSequence, code: str) -> TokenSequence:
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


def _special_ids(tokenizer: Tokenizer) -> tuple[Ints, Ints]:
    """Ids that the tokenizer puts before and after a text."""
    encoding = tokenizer.encode("x", add_special_tokens=True)
    plain = [at for at, special in enumerate(encoding.special_tokens_mask) if not special]
    ids = np.array(encoding.ids, np.int32)
    return ids[: plain[0]], ids[plain[-1] + 1 :]


def _keeps_words_apart(content: str) -> bool:
    """Whether tokenising word by word gives what tokenising the whole text gives."""
    described: dict[str, Any] = json.loads(content)
    splitter = described.get("pre_tokenizer") or {}
    has_blank = any(
        " " in token["content"] or token["lstrip"] or token["rstrip"]
        for token in described.get("added_tokens", [])
        if not token["special"]
    )
    return (
        described.get("normalizer") is None
        and splitter.get("type") == "ByteLevel"
        and splitter.get("use_regex", True)
        and not has_blank
    )
