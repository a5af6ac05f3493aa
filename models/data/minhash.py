"""From C text to MinHash signatures, and from signatures to similar pairs: array in, array out.

The text is cut into words (runs of letters, digits and ``_``) and single punctuation characters; comments and
whitespace are left out, so two functions that differ only in them have the same tokens. A shingle is three tokens
in a row. Tokens and shingles are never Python objects: one batch of functions is one byte array, and each step is
one numpy pass over it.

Signatures: rensa's R-MinHash. Banding: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from functools import cache
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
VERIFY_CHUNK = 2_048
KEY_CHUNK = 4_096
MAX_UNSORTED_PAIRS = 1 << 20

_COMMENT_OR_STRING = re.compile(
    rb"/(?:\*.*?(?:\*/|\Z)|/[^\n]*)"  # every branch begins with a plain byte: the search for one is three times as fast
    rb'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    rb"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'",
    re.DOTALL,
)
_SPACE, _WORD, _PUNCTUATION = 0, 1, 2
_FACTOR = 0x9E3779B97F4A7C15
_SECOND_FACTOR = 0xD1342543DE82EF95  # of the digest's other half
_KEPT_POWERS = 1 << 17
_RENSA_SEED = 42
_DIGEST_BYTES = 16


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
_CLASS_TABLE = _CLASSES.tobytes()
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

    Memory is about 30 bytes per byte of text, and a batch that fits the processor's cache takes half the time: hand in
    some ten thousand bytes at a time.
    """
    tokens, pointer = token_hashes([_without_comments(code) for code in codes])
    shingles, shingle_pointer = shingle_hashes(tokens, pointer)
    signatures = _signatures(shingles, shingle_pointer, num_permutations)
    return Batch(_digests(tokens, pointer), np.diff(pointer), signatures)


def _without_comments(code: str) -> bytes:
    raw = code.encode("utf-8", "surrogatepass")
    if b"/" not in raw or (b"//" not in raw and b"/*" not in raw):
        return raw
    return _COMMENT_OR_STRING.sub(_blank_comment, raw)


def _blank_comment(match: re.Match[bytes]) -> bytes:
    found = match[0]
    return b" " if found.startswith(b"/") else found


def token_hashes(texts: Sequence[bytes]) -> tuple[Words, Indices]:
    """64-bit hashes of all tokens, flat, and where each text's begin.

    A token's hash is a polynomial of its bytes.

    Returns:
        Hashes (T,) and pointer (B + 1,).
    """
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
    joined = b"\n".join(texts) + b"\n"
    classes = np.frombuffer(joined.translate(_CLASS_TABLE), dtype=np.uint8)
    begins = classes == _WORD
    begins[1:] &= classes[:-1] != _WORD
    begins |= classes == _PUNCTUATION
    starts = np.flatnonzero(begins)
    pointer = np.concatenate(([0], np.searchsorted(starts, ends))).astype(np.int64)
    if not len(starts):
        return np.zeros(0, np.uint64), pointer
    values = _BYTE_VALUES.take(np.frombuffer(joined, dtype=np.uint8))
    bounds = np.append(starts, len(joined))  # white space weighs nothing, so a token's sum may run on to the next token
    return _mixed(_polynomials(values, bounds, _FACTOR)), pointer


def _polynomials(values: Words, bounds: Indices, base: int) -> Words:
    """``sum(values[i] * base ** (i - first))`` mod 2**64 over each run from one bound to the next; spoils ``values``.

    All are taken at once: each value is weighted by a power that grows along the whole batch, running sums are
    subtracted, and the power of the run's first value is divided out.

    Args:
        values: (V,), at least one.
        bounds: (R + 1,), ascending, from 0 to V; a run may be empty.
        base: Odd.
    """
    values *= _powers(base, len(values))
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values, out=sums[1:])
    of_runs = np.diff(sums[bounds])
    firsts = np.minimum(bounds[:-1], len(values) - 1)
    of_runs *= _powers(pow(base, -1, 2**64), len(values))[firsts]
    return of_runs


def _digests(tokens: Words, pointer: Indices) -> list[bytes]:
    """Two independent polynomials of each text's token hashes."""
    halves = np.zeros((len(pointer) - 1, 2), np.uint64)
    if len(tokens):
        halves[:, 0] = _polynomials(tokens.copy(), pointer, _FACTOR)
        halves[:, 1] = _polynomials(tokens.copy(), pointer, _SECOND_FACTOR)
    flat = halves.tobytes()
    return [flat[at : at + _DIGEST_BYTES] for at in range(0, len(flat), _DIGEST_BYTES)]


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
    values = array("I")  # rensa hands out lists of numbers only; an array takes one up faster than numpy does
    for row in matrix.to_rows():
        values.fromlist(row)
    return np.frombuffer(values, np.uint32).reshape(-1, num_permutations)


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
    num_rows = len(signatures)
    keys = _band_keys(signatures, *band_shape(similarity, signatures.shape[1]))
    found, unsorted, num_cut_buckets = np.zeros(0, np.int64), [np.zeros(0, np.int64)], 0
    for band in keys:
        pairs, num_cut = _bucket_pairs(band)
        unsorted.append(pairs)
        num_cut_buckets += num_cut
        if sum(map(len, unsorted)) > MAX_UNSORTED_PAIRS:
            found, unsorted = np.unique(np.concatenate([found, *unsorted])), []
    left, right = np.divmod(np.unique(np.concatenate([found, *unsorted])), max(num_rows, 1))
    estimate = _agreement(signatures, left, right)
    kept = estimate >= similarity
    return SimilarPairs(left[kept], right[kept], estimate[kept], num_cut_buckets)


def _band_keys(signatures: Signatures, bands: int, width: int) -> Words:
    """(bands, rows): a hash of each row's values in each band, in the high bits, and the row's number in the low ones.

    Sums of products with odd numbers, of which the high bits count: Dietzfelbinger, "Universal hashing and k-wise
    independent random variables via integer arithmetic without primes", STACS 1996.
    """
    num_rows = len(signatures)
    factors = _mixed(np.arange(1, width + 1, dtype=np.uint64) * np.uint64(_FACTOR)) | np.uint64(1)
    number_bits = np.uint64(_number_bits(num_rows))
    keys = np.empty((bands, num_rows), np.uint64)
    for at in range(0, num_rows, KEY_CHUNK):
        chunk = signatures[at : at + KEY_CHUNK, : bands * width].reshape(-1, bands, width)
        hashed = np.zeros((len(chunk), bands), np.uint64)
        for column in range(width):
            hashed += chunk[:, :, column] * factors[column]
        hashed >>= number_bits
        hashed <<= number_bits
        hashed += np.arange(at, at + len(chunk), dtype=np.uint64)[:, None]
        keys[:, at : at + len(chunk)] = hashed.T
    return keys


def _number_bits(num_rows: int) -> int:
    return max(num_rows - 1, 1).bit_length()


def _bucket_pairs(keys: Words) -> tuple[Indices, int]:
    """Pairs ``left * num_rows + right`` of rows with one hash, and how many buckets were cut; sorts ``keys``."""
    num_rows, number_bits = len(keys), np.uint64(_number_bits(len(keys)))
    keys.sort()  # the smaller row number comes first
    buckets = keys >> number_bits
    rows = (keys & ((np.uint64(1) << number_bits) - np.uint64(1))).astype(np.int64)
    pairs = [np.zeros(0, np.int64)]
    for gap in range(1, min(MAX_BUCKET_GAP, num_rows - 1) + 1):
        (at,) = np.nonzero(buckets[gap:] == buckets[:-gap])
        if not len(at):
            break
        pairs.append(rows[at] * num_rows + rows[at + gap])
    cut = buckets[MAX_BUCKET_GAP + 1 :] == buckets[: -(MAX_BUCKET_GAP + 1)]
    return np.concatenate(pairs), int(cut[:1].sum() + (cut[1:] & ~cut[:-1]).sum())


def _agreement(signatures: Signatures, left: Indices, right: Indices) -> npt.NDArray[np.float64]:
    num_equal = np.zeros(len(left), np.int64)
    for at in range(0, len(left), VERIFY_CHUNK):
        rows = slice(at, at + VERIFY_CHUNK)
        num_equal[rows] = np.count_nonzero(signatures[left[rows]] == signatures[right[rows]], axis=1)
    return np.divide(num_equal, signatures.shape[1])
