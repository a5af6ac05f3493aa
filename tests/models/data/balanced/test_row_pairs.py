"""Pairs and triples of rows."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from models.data.balanced.grouping import NearCopies
from models.data.balanced.likeness import Likeness
from models.data.balanced.row_pairs import Negatives, RowPair, pairs_of
from models.data.balanced.samples import CodeSample
from models.data.balanced.spool import Facts

NO_NEAR = NearCopies([], [], complete=True)


def facts_of(rows: list[tuple[int | None, int, str]], hints: dict[int, str] | None = None) -> Facts:
    """Facts of rows given as match, file and language."""
    facts = Facts()
    for number, (match, file, language) in enumerate(rows):
        facts.add(
            CodeSample(
                name=f"row{number}",
                code=f"code {number}",
                language=language,  # type: ignore[arg-type]
                label=number % 2,
                label_source="test",
                repo="r",
                file=f"f{file}",
                function="f",
                line=1,
                match=None if match is None else f"m{match}",
                group_hint=(hints or {}).get(number),
            )
        )
    return facts


row_of = st.tuples(st.none() | st.integers(0, 3), st.integers(0, 4), st.sampled_from(["c", "go"]))


@given(st.lists(row_of, max_size=40), st.integers(1, 3), st.integers(0, 5))
def test_pairs_do_the_same_are_there_once_and_prefer_other_files(rows, per_sample, seed):  # type: ignore[no-untyped-def]
    facts = facts_of(rows)
    pairs = list(pairs_of(facts, range(len(rows)), {}, per_sample=per_sample, seed=seed))
    assert all(facts.match_of(pair.anchor) == facts.match_of(pair.positive) for pair in pairs)
    assert len({frozenset(pair[:2]) for pair in pairs}) == len(pairs)
    assert all(count <= per_sample for count in Counter(pair.anchor for pair in pairs).values())
    for pair in pairs:
        if facts.files[pair.anchor] == facts.files[pair.positive]:
            members = [row for row in range(len(rows)) if facts.match_of(row) == facts.match_of(pair.anchor)]
            others = sum(facts.files[row] != facts.files[pair.anchor] for row in members)
            assert others < per_sample
    paired = {row for pair in pairs for row in pair[:2]}
    matches = Counter(facts.match_of(row) for row in range(len(rows)))
    assert paired == {row for row in range(len(rows)) if matches[facts.match_of(row)] > 1}


@given(st.lists(row_of, min_size=2, max_size=40), st.integers(0, 5))
def test_negatives_do_something_else_in_the_language_of_the_positive_where_there_is_one(rows, seed):  # type: ignore[no-untyped-def]
    facts = facts_of(rows)
    negatives = Negatives(facts, range(len(rows)), seed, Likeness(facts, {}, NO_NEAR))
    for pair in pairs_of(facts, range(len(rows)), {0: ["row0#1"]}, per_sample=2, seed=seed):
        others = [row for row in range(len(rows)) if facts.match_of(row) != facts.match_of(pair.anchor)]
        found = negatives.find(pair)
        if found is None:
            assert not others
            continue
        assert found in others
        same_language = [row for row in others if facts.languages[row] == facts.languages[pair.positive]]
        assert not same_language or found in same_language


def test_the_other_side_of_a_fix_is_the_negative_of_a_variant() -> None:
    facts = facts_of([(None, number, "c") for number in range(9)], hints={3: "fix", 7: "fix"})
    negatives = Negatives(facts, range(9), 1, Likeness(facts, {}, NO_NEAR))
    assert negatives.find(RowPair(3, 3, "row3#1")) == 7
    assert negatives.find(RowPair(7, 7, "row7#1")) == 3
    assert negatives.find(RowPair(4, 4, "row4#1")) != 4
