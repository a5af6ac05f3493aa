from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.token_batches import Reading, SpecialTokens, TokenStore

BEGIN, END, PAD = 1, 2, 0
SPECIAL = SpecialTokens(np.array([BEGIN], np.int32), np.array([END], np.int32), PAD)


def table_of(bodies: list[list[int]]) -> Any:
    """Records as the preprocess job makes them."""
    records = [[BEGIN, *body, END] for body in bodies]
    flat = [token for record in records for token in record]
    return SimpleNamespace(
        token_ids=np.array(flat, np.int32), token_ptr=np.cumsum([0, *map(len, records)]).astype(np.int64)
    )


def numbered(sizes: list[int]) -> list[list[int]]:
    return [list(range(10, 10 + size)) for size in sizes]


sizes_lists = st.lists(st.integers(0, 60), min_size=1, max_size=6)
readings = st.builds(
    lambda room, overlap, windows: Reading(room + 2, windows, overlap),
    st.integers(3, 20),
    st.floats(0, 0.5),
    st.integers(1, 12),
)


@given(sizes=sizes_lists, reading=readings)
def test_windows_cover_the_record_from_its_begin_as_far_as_they_may(sizes: list[int], reading: Reading):
    bodies = numbered(sizes)
    store = TokenStore(table_of(bodies), SPECIAL, reading)
    for number, body in enumerate(bodies):
        batch = store.batch(np.array([number]))
        rows = [row[row != PAD].tolist() for row in batch.ids_WT.numpy()]
        assert len(rows) == store.num_windows[number] <= reading.max_windows
        assert all((row[0], row[-1]) == (BEGIN, END) for row in rows)
        assert {len(row) for row in rows} == {int(store.window_lengths[number])}
        assert len(rows[0]) <= reading.max_seq_len
        seen = sorted({token for row in rows for token in row[1:-1]})
        assert seen == body[: len(seen)]
        assert len(seen) + 2 == store.num_read[number]
        if len(rows) < reading.max_windows:
            assert seen == body
        for one, two in itertools.pairwise(rows):
            assert len(set(one[1:-1]) & set(two[1:-1])) >= int(reading.overlap * (reading.max_seq_len - 2))


@given(sizes=sizes_lists, reading=readings)
def test_a_batch_holds_the_windows_of_each_record_in_the_order_asked_for(sizes: list[int], reading: Reading):
    store = TokenStore(table_of(numbered(sizes)), SPECIAL, reading)
    records = np.arange(len(sizes))[::-1].copy()
    batch = store.batch(records)
    owners = np.arange(len(sizes)) if batch.record_of_W is None else batch.record_of_W.numpy()
    assert np.bincount(owners).tolist() == store.num_windows[records].tolist()
    mask = np.ones(batch.ids_WT.shape, bool) if batch.mask_WT is None else batch.mask_WT.numpy()
    np.testing.assert_array_equal(mask, batch.ids_WT.numpy() != PAD)
    assert (batch.mask_WT is None) == mask.all()


def test_a_record_that_fits_is_read_as_it_is():
    store = TokenStore(table_of([[5, 6, 7]]), SPECIAL, Reading(8, 4, 0.25))
    assert store.batch(np.array([0])).ids_WT.tolist() == [[BEGIN, 5, 6, 7, END]]


@pytest.mark.parametrize(("record", "flat"), [(1, [1, 5, 2, 5, 5, 2, 1, 2]), (0, [1, 5, 5, 1, 5, 2, 1, 2])])
def test_records_without_the_special_tokens_are_noticed(record: int, flat: list[int]):
    table: Any = SimpleNamespace(token_ids=np.array(flat, np.int32), token_ptr=np.array([0, 3, 6, 8]))
    assert TokenStore(table, SPECIAL, Reading(8, 1, 0.0)).first_misfit() == record


def test_records_with_them_are_not():
    assert TokenStore(table_of(numbered([0, 3, 9])), SPECIAL, Reading(8, 1, 0.0)).first_misfit() is None
