"""Reformatting: the same tokens, other white space. The second route is the text without any white space."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.transforms import reformatting
from models.data.transforms.checked import num_errors, parse, same_tokens
from models.data.transforms.reformatting import reformat

FUNCTION = """\
static int f(const char *name, int total)
{
    int n = total - -1, m = 0x1e + 5;
    /* kept   as
         it is */
#define LONG(x) \\
      ((x)  +  (x))
    if (n < m) {
        call("a  +  b", n);   // why   not
    } else {
        n = n / *p;
    }

    return n ? m : - n;
}
"""


def test_many_seeds_give_many_layouts_of_the_same_tokens() -> None:
    layouts = {reformat(FUNCTION, seed=seed).code for seed in range(40)}

    assert len(layouts) > 30
    for code in layouts:
        assert same_tokens(parse(FUNCTION.encode()), parse(code.encode()))
        assert "/* kept   as\n         it is */\n" in code
        assert "\n#define LONG(x) \\\n      ((x)  +  (x))\n" in code
        assert '"a  +  b"' in code and "// why   not\n" in code
        assert "--1" not in code and "/*p" not in code
        assert not re.search(r"0x1e\+", code)  # one number to a compiler
    assert any("n<m" in code for code in layouts) and any("n < m" in code for code in layouts)
    assert any("total){" in code.replace(" ", "") for code in layouts)
    assert {len(re.search(r"\n([ \t]+)int n", code)[1]) for code in layouts} > {1, 2, 4}  # type: ignore[index]


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_only_white_space_changes(c_like: st.SearchStrategy[str], data: st.DataObject) -> None:
    code = data.draw(c_like)
    outcome = reformat(code, seed=5)

    assert not (outcome.changed and outcome.undone)
    if not outcome.changed:
        assert outcome.code == code
        return
    assert "".join(outcome.code.split()) == "".join(code.split())
    before, after = parse(code.encode()), parse(outcome.code.encode())
    assert same_tokens(before, after)
    assert num_errors(after) <= num_errors(before)
    for line in re.findall(r"^[ \t]*#[^\r\n]*", code, re.MULTILINE):
        assert line in outcome.code.replace("\r", "").split("\n")
    for line in re.findall(r"[^\n]*\\\r?\n[^\n]*", code):
        assert line.split("\\")[1] in outcome.code


def test_every_generated_function_is_laid_out_anew(generated: list[str]) -> None:
    for code in generated:
        outcome = reformat(code, seed=0)
        assert outcome.changed
        assert "".join(outcome.code.split()) == "".join(code.split())
        assert not re.search(r"[ \t]+$", outcome.code, re.MULTILINE)


def test_a_layout_is_the_same_for_ever() -> None:
    assert (
        reformat("int f(int a) { if (a) { a = 1; } return a; }", seed=42).code
        == "int f(int a)\n{ if(a)\n    { a=1; } return a; }"
    )


@pytest.mark.parametrize("code", ["", " \n", "@", "x"])
def test_text_without_two_tokens_is_given_back(code: str) -> None:
    assert reformat(code, seed=1) == (code, False, False)


def test_a_layout_that_joins_tokens_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "int f(int a)\n{\n  return a - -a;\n}\n"
    monkeypatch.setattr(reformatting, "_gap", lambda *_: b"")
    assert reformat(code, seed=1) == (code, False, True)
