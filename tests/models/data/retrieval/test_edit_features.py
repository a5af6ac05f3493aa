from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.retrieval.edit_features import FEATURES, SIZE_FEATURE, edit_features, size_ranks
from models.data.retrieval.line_edits import blocks_of


def named(before: str, after: str, *, stops_parsing: bool = False) -> dict[str, float]:
    values = edit_features(blocks_of(before, after), stops_parsing=stops_parsing)
    return dict(zip(list(FEATURES)[:-1], values, strict=True))


FUNCTION = "int f(A a) {\n  int n = 10;\n  if (a == null) return 0;\n  return g(a, n);\n}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("10", "11", {"literals_changed": 1, "operators_changed": 0, "characters_changed": 4, "lines_changed": 1}),
        ("==", "!=", {"operators_changed": 1, "null_checks_added": 0, "tokens_added": 1, "tokens_removed": 1}),
        ("g(a", "h(a", {"calls_changed": 1, "literals_changed": 0}),
        ("g(a, n)", "g(a, h(n))", {"calls_changed": 1, "only_adds": 1, "tokens_added": 3, "tokens_removed": 0}),
        ("  if (a == null) return 0;\n", "", {
            "only_removes": 1, "only_adds": 0, "branches_added": -1, "returns_added": -1, "null_checks_added": -1,
            "lines_removed": 1, "lines_added": 0, "lines_changed": 0, "calls_changed": 0, "literals_changed": 2,
        }),
        ("  return", "  if (n > 0 && null != a.b) throw e;\n  return", {
            "branches_added": 1, "returns_added": 1, "null_checks_added": 1, "only_adds": 1, "lines_added": 1,
        }),
        ("int n = 10", "int n  =  10", {"characters_changed": 0, "token_similarity": 1, "lines_changed": 1}),
    ],
)  # fmt: skip
def test_a_feature_says_what_changed(old: str, new: str, expected: dict[str, float]):
    found = named(FUNCTION, FUNCTION.replace(old, new))
    assert {name: found[name] for name in expected} == expected


def test_places_lines_and_parsing():
    found = named(FUNCTION, FUNCTION.replace("10", "9").replace("g(", "h("), stops_parsing=True)
    assert (found["num_places"], found["function_lines"], found["stops_parsing"]) == (2, 5, 1)
    assert named(FUNCTION, FUNCTION + "\n")["stops_parsing"] == 0


code = st.text(st.sampled_from("ab1(){}=!&|?. \n\"'+if"), max_size=60)


@given(before=code, after=code)
def test_all_are_finite_and_shares_are_shares(before: str, after: str):
    found = named(before, after)
    assert all(map(math.isfinite, found.values()))
    assert 0 <= found["share_changed"] <= 1
    assert 0 <= found["token_similarity"] <= 1
    assert (found["characters_changed"] == 0) == (found["token_similarity"] == 1)
    back = named(after, before)
    assert (back["lines_added"], back["lines_removed"]) == (found["lines_removed"], found["lines_added"])


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=9))
def test_ranks_are_shares_of_smaller_edits(sizes: list[int]):
    expected = []
    for at, size in enumerate(sizes):
        others = sizes[:at] + sizes[at + 1 :]
        beaten = [1.0 if other < size else 0.5 if other == size else 0.0 for other in others]
        expected.append(sum(beaten) / len(beaten) if beaten else 0.5)
    assert size_ranks(sizes) == pytest.approx(expected)


def test_the_size_comes_first_for_judges_by_size():
    assert list(FEATURES)[SIZE_FEATURE] == "characters_changed"
    assert len(FEATURES) == 20
