"""BM25 over code: the baseline that any search by meaning must beat.

A text is asked with as it is, whole: a token counts as often as it stands in the query. Identifiers are cut where
camelCase and snake_case say so and lower-cased; numbers and operators are tokens of their own. Comments and strings are
read too: they are part of the text.

Source:
    Robertson et al. 1994 (Okapi at TREC-3), in the form of Lucene, as bm25s weighs it (Lù 2024, arXiv:2407.03618).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from models.evaluation.retrieval.search import Ordered, chunks_of, ordered_by_scores
from models.evaluation.retrieval.texts import Integers

K1 = 1.5
"""How soon a repeated token stops counting; the usual value."""
B = 0.75
"""How far long texts are held back; the usual value."""
METHOD = (
    f"BM25 (Lucene's form, k1={K1:g}, b={B:g}) over code tokens: identifiers cut at camelCase and snake_case and "
    "lower-cased, numbers, operators; comments and strings included; the whole text is the query, a token counts as "
    "often as it is there"
)

_TOKEN = re.compile(
    r"[^\W\d_]+|\d+(?:\.\d+)?|<<=|>>=|\.\.\.|===|!==|->|=>|::|\+\+|--|&&|\|\||<<|>>|[<>=!:+\-*/%&|^]=|[^\w\s]"
)
_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def code_tokens(code: str) -> list[str]:
    """The tokens of a text, in order."""
    tokens: list[str] = []
    for found in _TOKEN.findall(code):
        if found[0].isalpha():
            tokens += _BOUNDARY.sub(" ", found).lower().split()
        else:
            tokens.append(found)
    return tokens


class BM25:
    """BM25 of every text of a pool.

    Args:
        codes: The ``N`` texts of the pool.
    """

    def __init__(self, codes: Sequence[str]) -> None:
        import bm25s
        from scipy import sparse

        tokens = [code_tokens(code) for code in codes]
        vocabulary = {token: at for at, token in enumerate(sorted({token for text in tokens for token in text}))}
        numbers = [[vocabulary[token] for token in text] for text in tokens]
        index = bm25s.BM25(k1=K1, b=B, method="lucene", backend="numpy")
        index.index((numbers, dict(vocabulary)), show_progress=False)
        weights, num_tokens = index.scores, len(index.scores["indptr"]) - 1
        columns = (weights["data"].astype(np.float64), weights["indices"], weights["indptr"])
        # (V, N): the weight of a token in a text; bm25s stores it by token.
        self._weights = sparse.csr_matrix(columns, shape=(num_tokens, len(codes)))
        self._counts = _counts(numbers, num_tokens)

    def search(self, queries: Integers) -> Iterator[Ordered]:
        """The whole pool in the order of its scores, for texts of the pool (rows), some at a time."""
        for places in chunks_of(len(queries), self._weights.shape[1]):
            scores = (self._counts[queries[places]] @ self._weights).toarray()
            yield ordered_by_scores(places, scores)


def _counts(numbers: Sequence[Sequence[int]], num_tokens: int) -> Any:
    """``(N, V)`` how often each token stands in each text."""
    from scipy import sparse

    sizes = np.array([len(text) for text in numbers], dtype=np.int64)
    flat = np.fromiter((number for text in numbers for number in text), dtype=np.int64, count=int(sizes.sum()))
    rows = np.repeat(np.arange(len(numbers)), sizes)
    return sparse.csr_matrix((np.ones(len(flat)), (rows, flat)), shape=(len(numbers), num_tokens))
