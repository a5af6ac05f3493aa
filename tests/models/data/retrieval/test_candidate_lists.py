from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.retrieval.candidate_lists import CandidateList, list_line, read_lists
from models.errors import DataInvalid

names = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def candidate_lists(draw: Any) -> list[CandidateList]:
    num_features = draw(st.integers(0, 3))

    def one(list_id: str) -> CandidateList:
        size = draw(st.integers(1, 4))
        rows = st.tuples(*[numbers] * num_features)
        relevant = tuple(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
        return CandidateList(
            list_id,
            draw(names),
            draw(st.none() | names),
            tuple(draw(st.lists(names, min_size=size, max_size=size))),
            relevant,
            tuple(draw(st.lists(rows, min_size=size, max_size=size))),
            sum(relevant) + draw(st.integers(0, 5)),
            draw(names),
        )

    return [one(list_id) for list_id in draw(st.lists(names, min_size=1, max_size=5, unique=True))]


@given(lists=candidate_lists(), limit=st.none() | st.integers(1, 6))
def test_what_is_written_is_read_again(lists: list[CandidateList], limit: int | None, tmp_path_factory):
    path = tmp_path_factory.mktemp("lists") / "lists.jsonl"
    path.write_bytes(b"".join(map(list_line, lists)))
    assert read_lists(path, limit=limit) == lists[:limit]


@given(lists=candidate_lists())
def test_a_list_is_mixed_where_some_order_is_better_than_another(lists: list[CandidateList]):
    for entry in lists:
        assert entry.is_mixed == ({0, 1} <= set(entry.relevant))


def line(**changes: Any) -> bytes:
    entry = CandidateList("1", "g", None, ("a", "b"), (1, 0), ((0.5,), (0.1,)), 1, "train")
    return orjson.dumps(orjson.loads(list_line(entry)) | changes) + b"\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such file"),
        (b"", "holds no list"),
        (line() + line(), "lists.jsonl:2: list 1 is there twice"),
        (line() + line(id="2", features=[[1, 2], [3, 4]]), "lists.jsonl:2: list 2 has other features"),
        (line(relevant=[1]), "differ in number"),
        (line(relevant=[1, 2]), "relevant (0 or 1)"),
        (line(candidates=[], relevant=[], features=[]), "or are none"),
        (line(features=[[None], [1]]), "no list (TypeError"),
        (b'{"id": "1"}\n', "no list (KeyError: 'group')"),
    ],
)
def test_what_is_no_file_of_lists_is_refused(content: bytes | None, told: str, tmp_path: Path):
    path = tmp_path / "lists.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataInvalid) as refused:
        read_lists(path)
    assert told in str(refused.value)
