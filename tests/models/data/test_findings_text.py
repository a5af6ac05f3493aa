"""What a model reads of a finding, and what is left of it where there is no room for all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from models.data.findings import Finding, Window, read_file
from models.data.findings_records import FindingMaker
from models.data.findings_text import flagged_at, keep_nearest, text_of
from models.data.tokens import SafeTokenizer

ReadWindow = Callable[..., Window]


def finding(window: Window, **changes: Any) -> Finding:
    plain = Finding(
        Path("train.jsonl"), 3, "train", "use_of_http", "chef", "a.rb", 17, window, 1, "by hand", in_combined=True
    )
    return plain._replace(**changes)


@pytest.fixture
def window_of(row_of: Callable[..., dict[str, Any]], tmp_path: Path) -> ReadWindow:
    """The window of the context that is given, whose flagged line is ``user: root`` in line 17."""

    def read(*lines: str, tech: str = "ansible") -> Window:
        row = row_of(0, tech, file="a.yml", content="user: root", line=17, with_context="\n".join(lines))
        (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
        return read_file(tmp_path / "rows.jsonl", "train").findings[0].window

    return read


@pytest.mark.parametrize(
    ("header", "tech"),
    [
        (["# Ansible file: a.yml", ""], "ansible"),
        (["# Puppet file: a.yml", ""], "puppet"),
        ([""], "chef"),
        ([], "chef"),
    ],
)
def test_the_header_is_left_out_and_all_technologies_look_alike(
    header: list[str], tech: str, window_of: ReadWindow
) -> None:
    window = window_of(*header, "- hosts: all", "17: user: root", "state: up", tech=tech)
    assert window == Window(("- hosts: all",), "user: root", ("state: up",))


def test_only_the_header_is_left_out(window_of: ReadWindow) -> None:
    of_another_file = "# Ansible file: b.yml"
    assert window_of(of_another_file, "", "17: user: root").before == (of_another_file, "")
    assert window_of("# Ansible file: a.yml", "", "", "17: user: root").before == ("",)
    assert window_of("x", "", "17: user: root").before == ("x", "")


def test_numbers_go_where_they_are_the_lines_own_and_indentation_stays(window_of: ReadWindow) -> None:
    window = window_of("15: a:", "16:", "17:     user: root  ", "18:   b", "19 : c", "17: 5", "21: d")
    assert window == Window(("a:", ""), "    user: root  ", ("  b", "19 : c", "17: 5", "d"))


def test_a_flagged_line_without_a_blank_after_its_number_is_found(window_of: ReadWindow) -> None:
    assert window_of("17:user: root").flagged == "user: root"


WINDOW = Window(("one", "two", "three"), "  url: http://a", ("four", "five"))


@pytest.mark.parametrize(
    ("context_lines", "text"),
    [
        (0, "chef use_of_http\n>>>   url: http://a"),
        (1, "chef use_of_http\nthree\n>>>   url: http://a\nfour"),
        (2, "chef use_of_http\ntwo\nthree\n>>>   url: http://a\nfour\nfive"),
        (9, "chef use_of_http\none\ntwo\nthree\n>>>   url: http://a\nfour\nfive"),
    ],
)
def test_the_text_says_what_to_look_for_and_marks_the_line_among_its_neighbours(context_lines: int, text: str) -> None:
    assert text_of(finding(WINDOW), context_lines) == text
    assert text.split("\n")[flagged_at(finding(WINDOW), context_lines)].startswith(">>> ")


def test_nothing_of_where_a_finding_stands_or_who_judged_it_is_read() -> None:
    other = finding(WINDOW, file="b.rb", line=4711, row=9, split="test", label=0, source="other", in_combined=False)
    assert text_of(other, 5) == text_of(finding(WINDOW), 5)


LINE = st.text("ab. ", max_size=12)
TEXTS = st.builds(
    lambda before, flagged, after: (
        "\n".join(["chef use_of_http", *before, ">>> " + flagged, *after]),
        len(before) + 1,
    ),
    st.lists(LINE, max_size=5),
    LINE,
    st.lists(LINE, max_size=5),
)


def piece_offsets(text: str) -> np.ndarray:
    """Words, points, and white space with the line ends in it."""
    return np.array([match.span() for match in re.finditer(r"[a-z_]+|\n|[^a-z_\n]", text)], np.int32).reshape(-1, 2)


def leave_out_one_by_one(text: str, flagged: int, room: int) -> list[int] | None:
    """Lines that are left when the farthest goes, the later of two, until the rest fits; ``None``: it never does."""
    lines = text.split("\n")
    sizes = [len(piece_offsets(line)) + (at > 0) for at, line in enumerate(lines)]
    left = list(range(len(lines)))
    while sum(sizes[at] for at in left) > room:
        context = [at for at in left if at not in (0, flagged)]
        if not context:
            return None
        left.remove(max(context, key=lambda at: (abs(at - flagged), at)))
    return left


@given(TEXTS, st.integers(1, 60))
def test_the_farthest_lines_go_first(text_and_flagged: tuple[str, int], room: int) -> None:
    text, flagged = text_and_flagged
    offsets = piece_offsets(text)
    kept = keep_nearest(text, offsets, flagged, room)
    assert (np.diff(kept.tokens) > 0).all()
    assert len(kept.tokens) <= room
    shown = "".join(text[begin:end] for begin, end in offsets[kept.tokens].tolist())
    lines = text.split("\n")
    expected = leave_out_one_by_one(text, flagged, room)
    if expected is None:
        assert kept.trimming == "flagged_line"
        assert len(kept.tokens) == room
        assert f"{lines[0]}\n{lines[flagged]}".startswith(shown)
    else:
        assert kept.trimming == ("none" if len(offsets) <= room else "lines")
        assert shown == "\n".join(lines[at] for at in expected)


def test_of_two_lines_equally_far_the_later_goes() -> None:
    text = "chef use_of_http\na\nb\n>>> c\nd\ne"
    offsets = np.array([match.span() for match in re.finditer(r"\S+", text)], np.int32)
    shown = [
        [text[begin:end] for begin, end in offsets[keep_nearest(text, offsets, 3, room).tokens].tolist()][2:]
        for room in (7, 6, 5, 4, 3)
    ]
    assert shown == [["a", "b", ">>>", "c", "d"], ["b", ">>>", "c", "d"], ["b", ">>>", "c"], [">>>", "c"], [">>>"]]


def maker(tokenizer: Tokenizer, max_seq_len: int = 512, context_lines: int = 5) -> FindingMaker:
    reads = SafeTokenizer(tokenizer, collapse_whitespace=False)
    return FindingMaker(reads, source="iac", context_lines=context_lines, max_seq_len=max_seq_len)


def spelled(tokenizer: Tokenizer, ids: np.ndarray) -> str:
    return str(tokenizer.decode(ids.tolist(), skip_special_tokens=True))


CODE_LINE = st.text("ab: é🙂\t'/.", max_size=15)
WINDOWS = st.builds(Window, st.lists(CODE_LINE, max_size=4).map(tuple), CODE_LINE, st.lists(CODE_LINE).map(tuple))


@given(window=WINDOWS)
def test_tokens_of_a_text_that_fits_are_all_of_it(tokenizer: Tokenizer, window: Window) -> None:
    (record,), _, _, (fact,) = maker(tokenizer).make([finding(window)], "train")
    assert fact.trimming == "none"
    assert spelled(tokenizer, record.tokens.ids) == record.code == text_of(finding(window), 5)


@given(window=WINDOWS, max_seq_len=st.integers(16, 60))
def test_offsets_index_the_untrimmed_text(tokenizer: Tokenizer, window: Window, max_seq_len: int) -> None:
    (record,), _, _, (fact,) = maker(tokenizer, max_seq_len).make([finding(window)], "train")
    ids, offsets = record.tokens
    assert record.code == text_of(finding(window), 5)
    assert len(ids) == len(offsets) == fact.num_tokens == min(max_seq_len, fact.num_tokens)
    assert offsets[0].tolist() == offsets[-1].tolist() == [0, 0]
    assert (ids[0], ids[-1]) == (tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>"))
    begins, ends = offsets[1:-1].T
    assert (np.diff(begins) >= 0).all()
    assert (np.diff(ends) >= 0).all()
    for token, (begin, end) in zip(ids[1:-1], offsets[1:-1].tolist(), strict=True):
        piece = spelled(tokenizer, np.array([token]))
        if "\ufffd" not in piece:  # a part of a character
            assert record.code[begin:end].strip(" ") == piece.strip(" ")


@given(window=WINDOWS, max_seq_len=st.integers(40, 80))
def test_what_is_left_are_whole_lines_with_the_first_and_the_flagged_one(
    tokenizer: Tokenizer, window: Window, max_seq_len: int
) -> None:
    (record,), _, _, (fact,) = maker(tokenizer, max_seq_len).make([finding(window)], "train")
    lines, shown = record.code.split("\n"), spelled(tokenizer, record.tokens.ids).split("\n")
    if fact.trimming == "flagged_line":
        assert "\n".join([lines[0], ">>> " + window.flagged]).startswith("\n".join(shown).rstrip("\ufffd"))
        return
    flagged = flagged_at(finding(window), 5)
    before = [at for at in range(1, flagged) if at >= flagged - (len(shown) - 2)]
    possible = [
        [lines[0], *lines[flagged - num_before : flagged + len(shown) - 1 - num_before]]
        for num_before in range(len(before) + 1)
    ]
    assert shown in possible
    assert fact.num_tokens_before_trim >= fact.num_tokens


def test_many_findings_are_made_as_each_alone(tokenizer: Tokenizer) -> None:
    some = [finding(WINDOW, row=row, technology=name) for row, name in enumerate(("chef", "puppet", "ansible"))]
    together = maker(tokenizer, 24).make(some, "valid")
    alone = [maker(tokenizer, 24).make([each], "valid") for each in some]
    assert together.lines == b"".join(each.lines for each in alone)
    assert together.facts == [each.facts[0] for each in alone]
