from __future__ import annotations

from difflib import SequenceMatcher, unified_diff

from hypothesis import assume, example, given
from hypothesis import strategies as st

from models.data.retrieval.line_edits import HUNK_MARK, Block, blocks_of, edit_text

texts = st.lists(st.sampled_from(["a", "b", "  c", "}", ""]), max_size=14).map("\n".join)


@given(before=texts, after=texts)
def test_the_whole_diff_gives_both_texts_back(before: str, after: str):
    assume(before != after)
    lines = edit_text(blocks_of(before, after), 100).removesuffix("\n").split("\n")
    assert "\n".join(line[1:] for line in lines if line[0] in " -") == before
    assert "\n".join(line[1:] for line in lines if line[0] in " +") == after


@given(before=texts, after=texts, context_lines=st.integers(0, 4))
@example(before="a\nb\nb\nb\na", after="c\nb\nb\nb\nc", context_lines=1)
def test_context_is_what_a_unified_diff_shows(before: str, after: str, context_lines: int):
    """The library's way of showing the same blocks."""
    assume(before != after)
    blocks = blocks_of(before, after)
    old, new = before.split("\n"), after.split("\n")
    matcher = SequenceMatcher(None, old, new)
    matcher.opcodes = _opcodes(blocks)  # type: ignore[assignment]
    expected = []
    for group in matcher.get_grouped_opcodes(context_lines):
        expected.append(HUNK_MARK)
        for tag, a, b, c, d in group:
            expected += [f" {line}" for line in old[a:b]] if tag == "equal" else []
            expected += [f"-{line}" for line in old[a:b]] if tag in ("replace", "delete") else []
            expected += [f"+{line}" for line in new[c:d]] if tag in ("replace", "insert") else []
    assert edit_text(blocks, context_lines) == "\n".join(expected[1:]) + "\n"


def _opcodes(blocks: list[Block]) -> list[tuple[str, int, int, int, int]]:
    found, a, c = [], 0, 0
    for block in blocks:
        b, d = a + len(block.before), c + len(block.after)
        tag = "equal" if block.is_equal else "insert" if a == b else "delete" if c == d else "replace"
        found.append((tag, a, b, c, d))
        a, c = b, d
    return found


def test_a_plain_edit_reads_as_the_library_prints_it():
    before, after = "a\nb\nc\nd\ne\nf\ng\nh", "a\nX\nc\nd\ne\nf\ng\nH"
    printed = list(unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=2))[3:]
    expected = [HUNK_MARK if line.startswith("@@") else line for line in printed]
    assert edit_text(blocks_of(before, after), 2) == "\n".join(expected) + "\n"
