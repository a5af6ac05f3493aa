"""Metrics of orders: against plain loops, against scikit-learn, and what must hold whatever the order."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from models.evaluation.retrieval.rank_metrics import (
    FirstRanks,
    TieGroups,
    chance,
    first_ranks,
    measure,
    pessimistic,
    tie_groups,
)

KS = (1, 3, 5)
labels = st.lists(st.booleans(), min_size=1, max_size=7).filter(any)
lists = labels.flatmap(
    lambda own: st.tuples(st.just(own), st.lists(st.integers(0, 3), min_size=len(own), max_size=len(own)))
)


def measured(relevant, scores, *, is_pessimistic, num_relevant=None):
    """Of one list, by the module."""
    order = np.argsort(-np.asarray(scores, float), kind="stable")
    groups = tie_groups(np.zeros(len(order), int), np.asarray(scores, float)[order], np.asarray(relevant, bool)[order])
    wanted = np.array([num_relevant or sum(relevant)])
    values = measure(pessimistic(groups) if is_pessimistic else groups, wanted, KS)
    return {name: float(value[0]) for name, value in values.items()}


def plain(ordered, num_relevant):
    """Of labels in order, by loops."""
    ranks = [rank for rank, label in enumerate(ordered, start=1) if label]
    found = {"mrr": 1 / ranks[0] if ranks else 0.0, "top1": float(bool(ordered[0]))}
    found["map"] = sum(at / rank for at, rank in enumerate(ranks, start=1)) / num_relevant
    for k in KS:
        found[f"recall@{k}"] = sum(ordered[:k]) / num_relevant
        found[f"success@{k}"] = float(any(ordered[:k]))
        best = sum(1 / math.log2(1 + rank) for rank in range(1, min(k, num_relevant) + 1))
        found[f"ndcg@{k}"] = sum(1 / math.log2(1 + rank) for rank in ranks if rank <= k) / best
    return found


@given(lists)
def test_pessimistic_is_the_worst_order_of_ties_by_loops(case):
    relevant, scores = case
    worst = [label for _, label in sorted(zip(scores, relevant, strict=True), key=lambda entry: (-entry[0], entry[1]))]
    assert measured(relevant, scores, is_pessimistic=True) == pytest.approx(plain(worst, sum(relevant)))


@settings(max_examples=40)
@given(lists)
def test_mean_is_the_average_over_every_order_of_ties(case):
    relevant, scores = case
    orders = []
    for order in itertools.permutations(range(len(scores))):
        if all(scores[one] >= scores[other] for one, other in itertools.pairwise(order)):
            orders.append(plain([relevant[at] for at in order], sum(relevant)))
    expected = {name: np.mean([found[name] for found in orders]) for name in orders[0]}
    assert measured(relevant, scores, is_pessimistic=False) == pytest.approx(expected)


@pytest.mark.parametrize(("pool", "relevant"), [(1, 1), (6, 1), (6, 3), (5, 5), (7, 2)])
def test_chance_is_the_average_over_every_order_of_the_pool(pool, relevant):
    orders = [
        plain(order, relevant) for order in itertools.permutations([True] * relevant + [False] * (pool - relevant))
    ]
    expected = {name: np.mean([found[name] for found in orders]) for name in orders[0]}
    found = chance(np.array([pool, pool]), np.array([relevant, relevant]), KS)
    assert {name: values[1] for name, values in found.items()} == pytest.approx(expected)


def test_chance_of_a_large_pool_is_what_drawn_orders_give():
    random = np.random.default_rng(0)
    orders = [random.permutation(np.arange(200) < 7) for _ in range(4000)]
    drawn = [plain(list(order), 7) for order in orders]
    found = chance(np.array([200]), np.array([7]), KS)
    for name, values in found.items():
        spread = np.std([each[name] for each in drawn]) / math.sqrt(len(drawn))
        assert abs(values[0] - np.mean([each[name] for each in drawn])) < 4 * spread + 1e-9, name


@given(lists)
def test_scikit_learn_says_the_same_where_it_measures_the_same(case):
    relevant, scores = case
    found = measured(relevant, scores, is_pessimistic=False)
    if len(scores) > 1:  # theirs is of two documents or more; ties averaged, as in ours
        for k in KS:
            assert found[f"ndcg@{k}"] == pytest.approx(ndcg_score([relevant], [scores], k=k))
    if len(set(scores)) == len(scores):
        assert found["map"] == pytest.approx(average_precision_score(relevant, scores))


@given(lists, st.integers(0, 5), st.randoms(use_true_random=False))
def test_what_must_hold_whatever_the_order(case, num_unfound, random):
    relevant, scores = case
    for rule in (True, False):
        found = measured(relevant, scores, is_pessimistic=rule, num_relevant=sum(relevant) + num_unfound)
        assert all(-1e-12 <= value <= 1 + 1e-12 for value in found.values())
        assert all(found[f"recall@{a}"] <= found[f"recall@{b}"] + 1e-12 for a, b in itertools.pairwise(KS))
        shuffled = random.sample(range(len(scores)), len(scores))
        again = measured(
            [relevant[at] for at in shuffled],
            [scores[at] for at in shuffled],
            is_pessimistic=rule,
            num_relevant=sum(relevant) + num_unfound,
        )
        assert again == pytest.approx(found)
        longer = measured(
            [*relevant, False], [*scores, -1], is_pessimistic=rule, num_relevant=sum(relevant) + num_unfound
        )
        assert longer == pytest.approx(found)  # a wrong one at the end changes nothing but the size of the pool
    pessimist, mean = (measured(relevant, scores, is_pessimistic=rule) for rule in (True, False))
    assert all(pessimist[name] <= mean[name] + 1e-12 for name in mean)


@given(labels)
def test_the_best_order_is_perfect(relevant):
    found = measured(relevant, [float(label) for label in relevant], is_pessimistic=True)
    assert found["mrr"] == found["map"] == found["top1"] == 1.0
    assert all(found[f"ndcg@{k}"] == pytest.approx(1.0) and found[f"success@{k}"] == 1.0 for k in KS)


def test_scoring_all_alike_gains_nothing():
    found = measured([True, False, False, False], [0.5] * 4, is_pessimistic=True)
    assert (found["mrr"], found["top1"], found["recall@3"]) == (0.25, 0.0, 0.0)


def test_a_list_where_nothing_is_found_counts_as_nothing():
    query, scores, relevant = np.array([0, 0, 2]), np.array([2.0, 1.0, 0.5]), np.array([False, True, True])
    values = measure(tie_groups(query, scores, relevant), np.array([1, 4, 1]), KS)
    assert values["mrr"].tolist() == [0.5, 0.0, 1.0]
    assert values["recall@5"].tolist() == [1.0, 0.0, 1.0]


def test_first_ranks_share_every_order_of_a_group():
    group = TieGroups(*(np.array([value]) for value in (0, 2, 0, 4, 2)))
    found: FirstRanks = first_ranks(group, 1)
    # Of the orders of two right and two wrong: first right at 3, 4 or 5 with 3/6, 2/6, 1/6.
    assert found.rank.tolist() == [3, 4, 5]
    assert found.share == pytest.approx([3 / 6, 2 / 6, 1 / 6])
