"""Renaming: what changes, what stays, and that undoing works. The second route is a plain word list."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.transforms import renaming
from models.data.transforms.checked import num_errors, parse, same_shape
from models.data.transforms.renaming import rename_identifiers

WORD = re.compile(r"[A-Za-z_]\w*")
EVERYTHING = """\
static int read_all(struct reader *reader, const char *path, int (*on_line)(const char *text), size_t LIMIT)
{
    extern int verbose_level;
    int helper(int inner);
    char line[LEN], *at = line;
    struct item item = { .path = path, .size = sizeof(line) };
    static unsigned num_lines;
#ifdef TRACE
    int traced = 1;
    trace(traced, at);
#endif
    for (int row = 0; row < reader->path; row++) {
        on_line(at);
        reader->line = "line at path"; /* line at path */
        CHECK(row, path);
    }
    goto path;
path:
    return verbose_level + helper(num_lines) + TRACED(traced);
}
"""


def mapping_of(before: str, after: str) -> dict[str, set[str]]:
    """What each word became, word by word."""
    found: dict[str, set[str]] = {}
    for old, new in zip(WORD.findall(before), WORD.findall(after), strict=True):
        found.setdefault(old, set()).add(new)
    return found


def test_own_names_change_and_all_others_stay() -> None:
    outcome = rename_identifiers(EVERYTHING, seed=1)
    mapping = mapping_of(EVERYTHING, outcome.code)

    changed = {old for old, new in mapping.items() if new != {old}}
    assert outcome.changed
    assert changed == {
        "reader", "path", "on_line", "text", "line", "at", "item", "num_lines", "inner", "row", "traced",
    }  # fmt: skip
    assert "struct item" in outcome.code and "struct reader *" in outcome.code  # types
    assert "->path" in outcome.code and ".path =" in outcome.code and "->line" in outcome.code  # fields
    assert "goto path;\npath:" in outcome.code  # labels
    assert '"line at path"; /* line at path */' in outcome.code
    assert "#ifdef TRACE" in outcome.code


def test_a_name_that_a_preprocessor_line_or_a_broken_part_holds_is_left_alone() -> None:
    code = "int f(int used, int kept, int odd)\n{\n#if kept > 1\n  used += kept;\n#endif\n  g(odd h);\n  h(used);\n}\n"

    outcome = rename_identifiers(code, seed=1)

    assert outcome.changed
    assert re.search(r"int f\(int (?!used)\w+, int kept, int odd\)", outcome.code)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_one_name_becomes_one_new_name_and_nothing_else_changes(
    c_like: st.SearchStrategy[str], data: st.DataObject
) -> None:
    code = data.draw(c_like)
    outcome = rename_identifiers(code, seed=7)

    assert not (outcome.changed and outcome.undone)
    if not outcome.changed:
        assert outcome.code == code
        return
    before, after = parse(code.encode()), parse(outcome.code.encode())
    assert same_shape(before, after)
    assert num_errors(after) <= num_errors(before)
    assert WORD.sub("w", code) == WORD.sub("w", outcome.code)  # what is no word is as it was
    old_words = set(WORD.findall(code))
    mapping = mapping_of(code, outcome.code)
    new_names = [new for old, news in mapping.items() for new in news - {old}]
    assert len(new_names) == len(set(new_names))
    assert not old_words & set(new_names)
    assert all(len(news - {old}) <= 1 for old, news in mapping.items())


def test_every_generated_function_is_renamed_and_parses_as_before(generated: list[str]) -> None:
    for code in generated:
        outcome = rename_identifiers(code, seed=0)
        assert outcome.changed
        assert same_shape(parse(code.encode()), parse(outcome.code.encode()))
        assert rename_identifiers(code, seed=1).code != outcome.code


def test_names_do_not_depend_on_the_process(generated: list[str]) -> None:
    program = (
        "import hashlib, sys; from models.data.transforms.renaming import rename_identifiers as f; "
        "print(hashlib.sha256(f(sys.stdin.read(), seed=3).code.encode()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=generated[0], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": "77", "PATH": ""},
    )  # fmt: skip
    assert done.stdout.strip() == hashlib.sha256(rename_identifiers(generated[0], seed=3).code.encode()).hexdigest()


def test_names_are_the_same_for_ever() -> None:
    assert (
        rename_identifiers("int f(int a) { return a + 1; }", seed=42).code == "int f(int trimhi) { return trimhi + 1; }"
    )


@pytest.mark.parametrize("code", ["", "\n", "int f(void) { return 0; }", "not C at all é ≠", "x = y;"])
def test_nothing_to_rename_gives_the_text_back(code: str) -> None:
    assert rename_identifiers(code, seed=1) == (code, False, False)


def test_a_change_that_the_parser_reads_otherwise_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "int f(int a) { return a; }"
    monkeypatch.setattr(renaming, "_renamed", lambda *_: b"int f(int a) { return a")
    assert rename_identifiers(code, seed=1) == (code, False, True)
    monkeypatch.setattr(renaming, "_renamed", lambda *_: b"int f(int a) { return (a); }")
    assert rename_identifiers(code, seed=1) == (code, False, True)
