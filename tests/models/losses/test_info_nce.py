"""Symmetric InfoNCE against its definition, written out pair by pair."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from models.losses.info_nce import symmetric_info_nce


def random_unit(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, 6, generator=generator, dtype=torch.float64), dim=1)


def written_out(anchors: Tensor, texts: Tensor, scale: float, match_p: list[int], match_t: list[int]) -> list[float]:
    losses = []
    for p in range(len(anchors)):
        own = math.exp(scale * float(anchors[p] @ texts[p]))
        others = [t for t in range(len(texts)) if t == p or match_t[t] != match_p[p]]
        asked = [q for q in range(len(anchors)) if q == p or match_p[q] != match_t[p]]
        forwards = -math.log(own / sum(math.exp(scale * float(anchors[p] @ texts[t])) for t in others))
        backwards = -math.log(own / sum(math.exp(scale * float(anchors[q] @ texts[p])) for q in asked))
        losses.append((forwards + backwards) / 2)
    return losses


@given(
    matches=st.lists(st.integers(0, 3), min_size=1, max_size=7),
    negatives=st.lists(st.integers(0, 5), max_size=5),
    scale=st.floats(0.5, 100.0),
    seed=st.integers(0, 1000),
)
def test_it_is_what_its_definition_says(matches: list[int], negatives: list[int], scale: float, seed: int):
    match_t = [*matches, *negatives]
    anchors, texts = random_unit(len(matches), seed), random_unit(len(match_t), seed + 1)
    found = symmetric_info_nce(
        anchors,
        texts,
        torch.tensor(scale, dtype=torch.float64),
        match_P=torch.tensor(matches),
        match_T=torch.tensor(match_t),
    )
    cut = [
        symmetric_info_nce(
            anchors,
            texts,
            torch.tensor(scale, dtype=torch.float64),
            match_P=torch.tensor(matches),
            match_T=torch.tensor(match_t),
            of=slice(first, first + 2),
        )
        for first in range(0, len(matches), 2)
    ]
    torch.testing.assert_close(torch.cat(cut), found)
    assert found.tolist() == pytest.approx(written_out(anchors, texts, scale, matches, match_t), rel=1e-9, abs=1e-9)


def test_without_equal_pairs_it_is_the_mean_of_two_cross_entropies():
    anchors, texts = random_unit(5, 0), random_unit(5, 1)
    logits, own = anchors @ texts.T * 20.0, torch.arange(5)
    found = symmetric_info_nce(anchors, texts, torch.tensor(20.0), match_P=own, match_T=own)
    expected = (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
    torch.testing.assert_close(found.mean(), expected)


def test_texts_that_do_the_same_are_not_pushed_apart():
    anchors, texts = random_unit(4, 0), random_unit(6, 1).requires_grad_()
    match_p, match_t = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 1, 0, 2])
    losses = symmetric_info_nce(anchors, texts, torch.tensor(20.0), match_P=match_p, match_T=match_t)
    (gradient,) = torch.autograd.grad(losses[0], texts)
    touched = gradient.abs().sum(dim=1) > 0
    assert touched.tolist() == [True, False, True, True, False, True]


def test_a_step_whose_pairs_all_do_the_same_has_nothing_to_learn():
    anchors, texts = random_unit(3, 0).requires_grad_(), random_unit(3, 1)
    losses = symmetric_info_nce(anchors, texts, torch.tensor(20.0), match_P=torch.zeros(3), match_T=torch.zeros(3))
    (gradient,) = torch.autograd.grad(losses.sum(), anchors)
    assert losses.tolist() == pytest.approx([0.0] * 3, abs=1e-12)
    assert float(gradient.abs().max()) < 1e-12
