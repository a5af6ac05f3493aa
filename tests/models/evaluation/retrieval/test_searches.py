"""Ranks in a pool: the fast way against groups of ties, whatever ties and whatever is in the pool."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.retrieval.rank_metrics import measure, pessimistic, tie_groups
from models.evaluation.retrieval.searches import pessimistic_ranks

rows = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=6, max_size=6)


@given(st.lists(rows, min_size=1, max_size=4))
def test_ranks_are_those_of_groups_of_ties(queries):
    told = [sorted(entries, key=lambda entry: -entry[0]) for entries in queries]
    scores = np.array([[score for score, _, _ in entries] for entries in told], dtype=np.float32)
    in_pool = np.array([[inside for _, inside, _ in entries] for entries in told])
    in_pool[:, 2] = True
    relevant = in_pool & np.array([[wanted for _, _, wanted in entries] for entries in told])
    relevant[:, 2] = True
    num_relevant = relevant.sum(axis=1)
    fast = measure(pessimistic_ranks(scores, in_pool, relevant), num_relevant, (1, 3))
    query = np.nonzero(in_pool)[0]
    slow = measure(pessimistic(tie_groups(query, scores[in_pool], relevant[in_pool])), num_relevant, (1, 3))
    for name, values in slow.items():
        assert fast[name] == pytest.approx(values), name
