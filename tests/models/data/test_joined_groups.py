from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from models.data.joined_groups import joined_groups


@st.composite
def linked_rows(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    num_rows = draw(st.integers(1, 30))
    rows = st.integers(0, num_rows - 1)
    return num_rows, draw(st.lists(st.tuples(rows, rows), max_size=40))


@given(linked_rows())
def test_they_are_the_connected_components_named_by_their_smallest_row(given_rows: tuple[int, list[tuple[int, int]]]):
    num_rows, links = given_rows
    left, right = np.array(links, dtype=np.int64).reshape(-1, 2).T
    _, component = connected_components(coo_array((np.ones(len(links)), (left, right)), shape=(num_rows, num_rows)))
    expected = [int(np.flatnonzero(component == own)[0]) for own in component]
    assert joined_groups(num_rows, links) == expected


def test_rows_are_joined_through_others_whatever_the_order_of_the_links():
    chain = [(row, row + 1) for row in range(9, -1, -1)]
    assert joined_groups(12, chain) == [0] * 11 + [11]
    assert joined_groups(0, []) == []
