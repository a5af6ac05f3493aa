from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.retrieval.text_pairs import TextPair, pair_line, read_pairs
from models.errors import DataInvalid

names = st.text(st.characters(codec="utf-8"), max_size=12)
pairs = st.lists(
    st.builds(TextPair, names, names, names, names, names, st.lists(names, max_size=3).map(tuple)),
    min_size=1,
    max_size=8,
    unique_by=lambda pair: pair.pair_id,
)
LINE = pair_line(TextPair("1", "a", "b", "m", "g"))


@given(pairs=pairs, limit=st.none() | st.integers(1, 9))
def test_what_is_written_is_read_again(pairs: list[TextPair], limit: int | None, tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    path.write_bytes(b"".join(map(pair_line, pairs)))
    assert read_pairs(path, limit=limit) == pairs[:limit]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such file"),
        (b"", "holds no pair"),
        (LINE + LINE, "pairs.jsonl:2: pair 1 is there twice"),
        (b"[]\n", "pairs.jsonl:1: no pair"),
        (LINE + b'{"id": "2", "anchor": "a"}\n', "pairs.jsonl:2: no pair (KeyError: 'positive')"),
        (b"{\n", "pairs.jsonl:1: no pair (JSONDecodeError"),
    ],
)
def test_what_is_no_file_of_pairs_is_refused(content: bytes | None, told: str, tmp_path: Path):
    path = tmp_path / "pairs.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataInvalid) as refused:
        read_pairs(path)
    assert told in str(refused.value)
