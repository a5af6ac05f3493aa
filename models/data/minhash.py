"""From C text to MinHash signatures, and from signatures to similar pairs: array in, array out.

The text is cut into words (runs of letters, digits and ``_``) and single punctuation characters; comments and
whitespace are left out, so two functions that differ only in them have the same tokens. A shingle is three tokens
in a row. Tokens and shingles are never Python objects: one batch of functions is one byte array, and each step is
one numpy pass over it.

Signatures: rensa's R-MinHash. Banding: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

Words = npt.NDArray[np.uint64]
Signatures = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]

TOKENS_PER_SHINGLE = 3
MIN_RECALL = 0.98
"""Share of pairs exactly at the threshold that the bands let through."""
MAX_BUCKET_GAP = 16
"""A row is compared with this many followers in its bucket: the search stays linear when a bucket is huge."""
VERIFY_CHUNK = 8_192

_COMMENT = re.compile(rb'/(?:\*.*?(?:\*/|\Z)|/[^\n]*)|("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')', re.DOTALL)
_SPACE, _WORD, _PUNCTUATION = 0, 1, 2
_FACTOR = 0x9E3779B97F4A7C15
_FACTOR_INVERSE = pow(_FACTOR, -1, 2**64)
_KEPT_POWERS = 1 << 19
_RENSA_SEED = 42


def _byte_classes() -> npt.NDArray[np.uint8]:
    classes = np.full(256, _WORD, dtype=np.uint8)  # bytes above 127 are letters of some alphabet
    classes[:128] = _PUNCTUATION
    classes[:33] = classes[127] = _SPACE
    for byte in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_":
        classes[byte] = _WORD
    return classes


def _mixed(values: Words) -> Words:
    """Spread every bit over all bits, in place (splitmix64's finaliser)."""
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


_CLASSES = _byte_classes()
_BYTE_VALUES: Words = np.where(_CLASSES == _SPACE, 0, _mixed(np.arange(1, 257, dtype=np.uint64) * np.uint64(_FACTOR)))


class Batch(NamedTuple):
    """What is known of B functions.

    Args:
        digests: 16 bytes a function; equal where the token sequences are equal.
        num_tokens: (B,) tokens without comments.
        signatures: (B, P) MinHash values; meaningless for a function with no shingle.
    """

    digests: list[bytes]
    num_tokens: Indices
    signatures: Signatures


def signatures_of(codes: Sequence[str], num_permutations: int) -> Batch:
    """Digests, token counts and MinHash signatures of a batch of C functions.

    Memory is about 40 bytes per byte of text: hand in batches of a megabyte or so.
    """
    tokens, pointer = token_hashes([_without_comments(code) for code in codes])
    view = memoryview(tokens.tobytes())
    digests = [
        blake2b(view[8 * first : 8 * last], digest_size=16).digest()
        for first, last in zip(pointer[:-1].tolist(), pointer[1:].tolist(), strict=True)
    ]
    shingles, shingle_pointer = shingle_hashes(tokens, pointer)
    return Batch(digests, np.diff(pointer), _signatures(shingles, shingle_pointer, num_permutations))


def _without_comments(code: str) -> bytes:
    raw = code.encode("utf-8", "surrogatepass")
    if b"//" not in raw and b"/*" not in raw:
        return raw
    return _COMMENT.sub(rb" \1", raw)


def token_hashes(texts: Sequence[bytes]) -> tuple[Words, Indices]:
    """64-bit hashes of all tokens, flat, and where each text's begin.

    A token's hash is a polynomial of its bytes. All are taken at once: each byte is weighted by a power that grows
    along the whole batch, sums run over each token, and the power of the token's first byte is divided out (mod
    2**64).

    Returns:
        Hashes (T,) and pointer (B + 1,).
    """
    lengths = np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts))
    ends = np.cumsum(lengths)
    flat = np.frombuffer(b"\n".join(texts) + b"\n", dtype=np.uint8)
    classes = _CLASSES[flat]
    begins = classes == _WORD
    begins[1:] &= classes[:-1] != _WORD
    begins |= classes == _PUNCTUATION
    starts = np.flatnonzero(begins)
    pointer = np.concatenate(([0], np.searchsorted(starts, ends))).astype(np.int64)
    if not len(starts):
        return np.zeros(0, np.uint64), pointer
    weighted = _BYTE_VALUES[flat]  # white space weighs nothing, so a token's sum may run on to the next token
    weighted *= _powers(_FACTOR, len(flat))
    sums = np.add.reduceat(weighted, starts)
    sums *= _powers(_FACTOR_INVERSE, len(flat))[starts]
    return _mixed(sums), pointer


def _powers(base: int, count: int) -> Words:
    if count > _KEPT_POWERS:  # one huge function: not worth keeping
        return _powers_up_to(base, count)
    return _kept_powers(base)[:count]


@cache
def _kept_powers(base: int) -> Words:
    return _powers_up_to(base, _KEPT_POWERS)


def _powers_up_to(base: int, count: int) -> Words:
    powers = np.full(count, base, dtype=np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)


def shingle_hashes(tokens: Words, pointer: Indices) -> tuple[Words, Indices]:
    """Hashes of all runs of three tokens inside each text, and where each text's begin."""
    num_shingles = np.maximum(np.diff(pointer) - (TOKENS_PER_SHINGLE - 1), 0)
    shingle_pointer = np.concatenate(([0], np.cumsum(num_shingles))).astype(np.int64)
    if len(tokens) < TOKENS_PER_SHINGLE:
        return np.zeros(0, np.uint64), shingle_pointer
    rolled = tokens[:-2] * np.uint64(_FACTOR)
    rolled += tokens[1:-1]
    rolled *= np.uint64(_FACTOR)
    rolled += tokens[2:]
    inside = np.ones(len(tokens), dtype=bool)
    ends = pointer[1:][np.diff(pointer) > 0]
    for back in range(1, TOKENS_PER_SHINGLE):  # a run that would cross into the next text
        inside[np.maximum(ends - back, 0)] = False
    return _mixed(rolled[inside[: len(rolled)]]), shingle_pointer


def _signatures(shingles: Words, pointer: Indices, num_permutations: int) -> Signatures:
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        shingles, pointer.astype(np.uint64), num_perm=num_permutations, seed=_RENSA_SEED
    )
    values = chain.from_iterable(matrix.to_rows())
    num_rows = len(pointer) - 1
    return np.fromiter(values, np.uint32, num_rows * num_permutations).reshape(num_rows, num_permutations)


def band_shape(similarity: float, num_permutations: int) -> tuple[int, int]:
    """Bands and rows per band: the most selective shape that still finds ``MIN_RECALL`` of pairs at the threshold."""
    for rows in range(num_permutations, 0, -1):
        bands = num_permutations // rows
        if 1.0 - (1.0 - similarity**rows) ** bands >= MIN_RECALL:
            return bands, rows
    return num_permutations, 1


class SimilarPairs(NamedTuple):
    """Pairs of rows, ``left < right``, sorted.

    Args:
        left: (K,) row numbers.
        right: (K,) row numbers.
        similarity: (K,) share of equal signature values, an estimate of the Jaccard similarity.
        num_cut_buckets: Buckets so large that not all their pairs were looked at: the pairs are then a lower bound.
    """

    left: Indices
    right: Indices
    similarity: npt.NDArray[np.float64]
    num_cut_buckets: int


def similar_pairs(signatures: Signatures, similarity: float) -> SimilarPairs:
    """Find the pairs of rows whose signatures agree in at least ``similarity`` of their values.

    Time grows with rows x bands x ``MAX_BUCKET_GAP`` at worst, never with the square of a bucket.
    """
    num_rows, num_permutations = signatures.shape
    bands, width = band_shape(similarity, num_permutations)
    found = np.zeros(0, np.int64)
    num_cut_buckets = 0
    for band in range(bands):
        keys, num_cut = _bucket_pairs(signatures[:, band * width : (band + 1) * width])
        found = np.union1d(found, keys)
        num_cut_buckets += num_cut
    left, right = np.divmod(found, max(num_rows, 1))
    estimate = _agreement(signatures, left, right)
    kept = estimate >= similarity
    return SimilarPairs(left[kept], right[kept], estimate[kept], num_cut_buckets)


def _bucket_pairs(band: Signatures) -> tuple[Indices, int]:
    """Pairs ``left * num_rows + right`` of rows that are equal in this band, and how many buckets were cut."""
    num_rows = len(band)
    folded = np.zeros(num_rows, np.uint64)
    for column in band.T:
        folded *= np.uint64(_FACTOR)
        folded += column
        folded = _mixed(folded)
    order = np.argsort(folded, kind="stable")
    ordered = folded[order]
    keys = []
    for gap in range(1, min(MAX_BUCKET_GAP, num_rows - 1) + 1):
        (at,) = np.nonzero(ordered[gap:] == ordered[:-gap])
        if not len(at):
            break
        keys.append(order[at] * num_rows + order[at + gap])  # stable order: the smaller row number comes first
    _, sizes = np.unique(ordered, return_counts=True)
    return np.concatenate(keys) if keys else np.zeros(0, np.int64), int((sizes > MAX_BUCKET_GAP + 1).sum())


def _agreement(signatures: Signatures, left: Indices, right: Indices) -> npt.NDArray[np.float64]:
    agreement = np.zeros(len(left))
    for at in range(0, len(left), VERIFY_CHUNK):
        rows = slice(at, at + VERIFY_CHUNK)
        agreement[rows] = (signatures[left[rows]] == signatures[right[rows]]).mean(axis=1)
    return agreement
