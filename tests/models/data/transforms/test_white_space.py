"""White space that means nothing varies; the second route is the text without any, and Python's own tree."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.augmentation import generated_text
from models.data import augmentation
from models.data.augmentation import WHITESPACE, augment_text
from models.settings.augment import AugmentConfig
from models.settings.languages import LANGUAGES, LanguageName


def perturbed(code: str, language: LanguageName, seed: int = 1, probability: float = 1.0) -> str:
    config = AugmentConfig(
        language=language, whitespace_prob=probability, enable_rename=False, enable_shuffle=False, enable_comment=False
    )
    outcome = augment_text(code, seed, config)
    assert outcome.parsed and not outcome.undone
    assert outcome.transformations == ((WHITESPACE,) if outcome.augmented != code else ())
    return outcome.augmented


FIXED: list[tuple[LanguageName, str, list[str]]] = [
    ("c", '#define  F(a,b)  \\\n   a,b\nint f(int a,int b)\n{\n  /* a,b\n     c */\n  return g("a,b",a);  // x,y\n}\n',
     ["#define  F(a,b)  \\\n   a,b\n", "/* a,b\n     c */", '"a,b"', "// x,y\n"]),
    ("cpp", 'auto f(int a, int b) { return R"(a,b\n   c\n)" + g(a,b); }\n', ['R"(a,b\n   c\n)"']),
    ("python", 'def f(a,b):\n    x = """a,b\n\n  c = d\n"""\n    return f"{a,b}",x\n',
     ['"""a,b\n\n  c = d\n"""', 'f"{a,b}"', "\n    x", "\n    return"]),
    ("javascript", "const f = (a,b) => {\n  return `a,b\n\n    ${a,b}` + /a,b/.test(a) + <p>a,b  {c}\n</p>\n}\n",
     ["`a,b\n\n    ${a,b}`", "/a,b/", "<p>a,b  {c}\n</p>"]),
    ("java", 'class A { String f(int a,int b) {\n    return """\n      a,b\n      """ + g(a,b);\n} }\n',
     ['"""\n      a,b\n      """']),
    ("go", "package m\n\nfunc f(a,b int) string {\n\treturn `a,b\n\n\tc` + g(a,b)\n}\n", ["`a,b\n\n\tc`"]),
]  # fmt: skip


@pytest.mark.parametrize(("language", "code", "kept"), FIXED)
def test_strings_comments_and_preprocessor_lines_stay(language: LanguageName, code: str, kept: list[str]) -> None:
    for seed in range(20):
        after = perturbed(code, language, seed)

        assert after != code
        assert "".join(after.split()) == "".join(code.split())
        for text in kept:
            assert text in after


@given(st.sampled_from(LANGUAGES), st.integers(0, 400), st.integers(0, 5), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=60)
def test_nothing_but_white_space_changes(language: LanguageName, number: int, seed: int, probability: float) -> None:
    code = generated_text(language, number)
    after = perturbed(code, language, seed, probability)

    assert "".join(after.split()) == "".join(code.split())
    assert words_by_line(after) == words_by_line(code)  # no line is broken or joined with another
    assert (probability == 0.0) <= (after == code)


def words_by_line(code: str) -> list[list[str]]:
    lines = [re.findall(r"\w+", line) for line in code.splitlines() if line.strip()]
    return [words for words in lines if words]


def test_python_means_the_same_to_python() -> None:
    for path in sorted(Path(augmentation.__file__).parent.rglob("*.py"))[::6]:
        code = path.read_text()
        assert ast.dump(ast.parse(perturbed(code, "python"))) == ast.dump(ast.parse(code))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_newlines_are_those_of_the_text(end: str) -> None:
    code = "int f(int a)\n{\n\n  return a + \\\n    1;\n}\n".replace("\n", end)
    for seed in range(20):
        after = perturbed(code, "c", seed)
        assert after.count("\r") == (after.count("\n") if end == "\r\n" else 0)
        assert f"\\{end}    1" in after


def test_a_text_with_other_line_ends_is_left_alone() -> None:
    assert perturbed("int a = b;\f\nint c;\n", "c") == "int a = b;\f\nint c;\n"
    assert perturbed("var x = 1 ;\u2028var y = 2;\n", "javascript") == "var x = 1 ;\u2028var y = 2;\n"


@pytest.mark.parametrize(
    "code", ["a-- - 1", "f(a&&b);", "x = y\n++z\n", "a\n(b)\n", "return\nx\n".join(["() => {\n", "}\n"])]
)
def test_statements_without_semicolons_keep_their_ends(code: str) -> None:
    for seed in range(10):
        after = perturbed(code, "javascript", seed)
        assert [line.split() for line in re.split(r"\n\s*", after.replace(" ", ""))] == [
            line.split() for line in re.split(r"\n\s*", code.replace(" ", ""))
        ]
