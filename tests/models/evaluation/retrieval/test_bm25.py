"""BM25 over code: tokens, against the formula by hand and against bm25s itself, ties of equal texts."""

from __future__ import annotations

import math

import bm25s
import numpy as np
import pytest

from models.evaluation.retrieval.bm25 import BM25, K1, B, code_tokens

CODES = [
    "int readLine(int max_len) { return max_len + 1; }",
    "def read_line(maxLen):\n    return maxLen + 1",
    "for (i = 0; i < 10; ++i) total += values[i];",
    "int readLine(int max_len) { return max_len + 1; }",
    "print('hello') # größe",
    "§",
]


@pytest.mark.parametrize(
    ("code", "tokens"),
    [
        ("readHTTPHeader2", ["read", "http", "header", "2"]),
        ("max_len->nextNode", ["max", "len", "->", "next", "node"]),
        ("x==3.14&&!y", ["x", "==", "3.14", "&&", "!", "y"]),
        ("std::vector<int> a;", ["std", "::", "vector", "<", "int", ">", "a", ";"]),
        ("Größe += 0x1f", ["größe", "+=", "0", "x", "1", "f"]),
        ("  \n\t", []),
    ],
)
def test_tokens_of_code(code, tokens):
    assert code_tokens(code) == tokens


def scores_of(codes):
    """``(N, N)`` in the order of rows."""
    (found,) = BM25(codes).search(np.arange(len(codes)))
    dense = np.empty((len(codes), len(codes)))
    np.put_along_axis(dense, found.order, found.scores, axis=1)
    return dense


def test_scores_are_the_formula_by_hand():
    texts = [code_tokens(code) for code in CODES]
    mean = sum(map(len, texts)) / len(texts)

    def weight(token, text):
        containing = sum(token in other for other in texts)
        idf = math.log(1 + (len(texts) - containing + 0.5) / (containing + 0.5))
        count = text.count(token)
        return idf * count / (count + K1 * (1 - B + B * len(text) / mean))

    expected = [[sum(weight(token, text) for token in query) for text in texts] for query in texts]
    assert scores_of(CODES) == pytest.approx(np.array(expected), abs=1e-4)


def test_scores_are_those_of_bm25s():
    texts = [code_tokens(code) for code in CODES]
    index = bm25s.BM25(k1=K1, b=B, method="lucene")
    index.index(texts, show_progress=False)
    expected = np.stack([index.get_scores(text) for text in texts])
    assert scores_of(CODES) == pytest.approx(expected, abs=1e-4)


def test_equal_texts_score_exactly_the_same():
    scores = scores_of(CODES)
    assert (scores[:, 0] == scores[:, 3]).all()
    assert (scores[0] == scores[3]).all()
    assert scores[0, 4] > 0.0  # brackets are tokens too
    assert (scores[5, :5] == 0.0).all()


def test_only_the_texts_asked_with_are_searched():
    (found,) = BM25(CODES).search(np.array([4, 1]))
    assert found.queries.tolist() == [0, 1]
    assert found.order[:, 0].tolist() == [4, 1]
