"""Which tokens of a long function are kept."""

from __future__ import annotations

import re
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.trimming import STRATEGIES, VULNERABLE_APIS, VulnerableCodeTrimmer, _distance_to
from models.settings.preprocess import TrimmingStrategy

PIECES = st.lists(st.sampled_from(["x ", "+ ", "strcpy(a) ", "system (b) ", "é "]), min_size=30, max_size=120)


def word_offsets(code: str) -> np.ndarray:
    return np.array([match.span() for match in re.finditer(r"\w+|[^\w\s]", code)], np.int32).reshape(-1, 2)


def kept_words(code: str, offsets: np.ndarray, kept: np.ndarray) -> list[str]:
    return [code[begin:end] for begin, end in offsets[kept].tolist()]


def test_there_are_patterns_for_at_least_fifteen_kinds_of_call() -> None:
    assert len(VULNERABLE_APIS) >= 15


@pytest.mark.parametrize("call", ["strcpy(a, b)", "system (x)", "eval(s)", "gets(b)", "__builtin_memcpy(a, b, 1)"])
def test_calls_are_found(call: str) -> None:
    (span,) = VulnerableCodeTrimmer(10).find_spans(f"x = {call};")
    assert call.startswith(f"x = {call}"[slice(*span)])


@pytest.mark.parametrize("code", ["my_strcpy(a)", "strcpy = 1;", "p->free(x)", "s.read(x)", "strcpyx(a)", "return 0;"])
def test_what_is_no_call_of_them_is_not_found(code: str) -> None:
    assert VulnerableCodeTrimmer(10).find_spans(code) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_short_functions_are_left_alone(strategy: TrimmingStrategy) -> None:
    code = "strcpy(a, b);"
    trimmed = VulnerableCodeTrimmer(7, strategy).trim(code, word_offsets(code))
    assert (trimmed.kept.tolist(), trimmed.trimming) == (list(range(7)), "none")
    assert trimmed.call_tokens == {}


def test_without_calls_the_head_is_kept() -> None:
    code = "x + " * 50
    trimmed = VulnerableCodeTrimmer(10).trim(code, word_offsets(code))
    assert (trimmed.kept.tolist(), trimmed.trimming) == (list(range(10)), "head")


@pytest.mark.parametrize(
    ("strategy", "max_tokens", "kept", "trimming"),
    [
        ("head", 10, list(range(10)), "head"),
        ("head_tail", 10, [0, 1, 2, 3, 4, 101, 102, 103, 104, 105], "head_tail"),
        ("head_tail", 5, [0, 1, 2, 104, 105], "head_tail"),
        ("head_tail", 1, [0], "head_tail"),
        ("whole", 10, list(range(106)), "none"),
    ],
)
def test_other_strategies_do_not_look_for_calls(
    strategy: TrimmingStrategy, max_tokens: int, kept: list[int], trimming: str
) -> None:
    code = "x + " * 50 + "strcpy(a, b)"
    trimmed = VulnerableCodeTrimmer(max_tokens, strategy).trim(code, word_offsets(code))
    assert (trimmed.kept.tolist(), trimmed.trimming) == (kept, trimming)


def test_there_is_a_function_for_each_strategy_of_the_settings() -> None:
    assert tuple(STRATEGIES) == get_args(TrimmingStrategy)


@given(PIECES.map("".join), st.integers(1, 40))
def test_what_a_strategy_is_said_to_keep_of_the_calls_is_what_it_keeps(code: str, max_tokens: int) -> None:
    offsets = word_offsets(code)
    counts = VulnerableCodeTrimmer(max_tokens).trim(code, offsets).call_tokens
    for strategy in STRATEGIES if counts else ():
        trimmed = VulnerableCodeTrimmer(max_tokens, strategy).trim(code, offsets)
        assert len(trimmed.kept) == (len(offsets) if strategy == "whole" else max_tokens)
        assert (np.diff(trimmed.kept) > 0).all()
        shown = kept_words(code, offsets, trimmed.kept)
        assert counts[strategy] == sum(word in ("strcpy", "system") for word in shown)
        assert counts[strategy] <= counts["window"] <= counts["whole"] or strategy == "whole"


def test_a_window_lies_around_the_call_with_equally_much_on_both_sides() -> None:
    code = "x + " * 50 + "strcpy(a, b); " + "y - " * 50
    offsets = word_offsets(code)
    trimmed = VulnerableCodeTrimmer(9).trim(code, offsets)
    assert trimmed.trimming == "window"
    assert kept_words(code, offsets, trimmed.kept) == ["x", "+", "x", "+", "strcpy", "(", "a", ",", "b"]


@given(PIECES.map("".join), st.integers(8, 40))
def test_every_call_is_kept_as_long_as_the_names_fit(code: str, max_tokens: int) -> None:
    offsets = word_offsets(code)
    trimmer = VulnerableCodeTrimmer(max_tokens)
    spans = trimmer.find_spans(code)
    trimmed = trimmer.trim(code, offsets)

    assert len(trimmed.kept) == min(max_tokens, len(offsets))
    assert (np.diff(trimmed.kept) > 0).all()
    names = [word for word in kept_words(code, offsets, trimmed.kept) if word in ("strcpy", "system")]
    assert len(names) == (len(spans) if len(spans) <= max_tokens else max_tokens) or trimmed.trimming == "none"


@given(st.sets(st.integers(0, 59), min_size=1), st.integers(60, 80))
def test_distance_is_to_the_nearest(chosen: set[int], count: int) -> None:
    found = _distance_to(np.array(sorted(chosen)), count).tolist()
    assert found == [min(abs(position - each) for each in chosen) for position in range(count)]
