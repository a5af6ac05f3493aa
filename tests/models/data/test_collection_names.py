"""Names of rows with and without idx, whatever the idx reads like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.data.collection_names import idx_of_held_out, name_in_records
from models.data.raw_functions import RawFunction

LIKE_LINES = st.from_regex(r"(idx-){0,3}line-[0-9]{1,3}", fullmatch=True)


@given(idx=st.none() | LIKE_LINES | st.text(min_size=1, max_size=8), line=st.integers(1, 999))
def test_a_held_out_row_keeps_its_own_idx_and_so_its_name(idx: str | None, line: int) -> None:
    read = RawFunction(line, f"line-{line}" if idx is None else idx, "", 0, "", "", has_idx=idx is not None)
    assert idx_of_held_out(read.unique_name) == idx
    assert name_in_records(idx, line) == read.unique_name
