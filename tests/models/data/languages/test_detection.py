"""The language of code without a file name, and headers of C told from those of C++."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.generated import twin_functions
from models.data.languages import detection
from models.data.languages.detection import guess_language, is_cpp_header, num_error_bytes
from models.data.languages.grammars import NAMES
from models.settings.languages import LANGUAGES, LanguageName

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"

CODES: list[tuple[LanguageName, str]] = [
    ("c", "#include <stdio.h>\n\nint main(void)\n{\n\tchar *s = malloc(3);\n\treturn s->x;\n}\n"),
    ("c", "static void f(struct item *item)\n{\n\titem->next = 0;\n}\n"),
    ("c", "int f(int a) { return a; }"),
    ("cpp", "#include <vector>\nint f(const std::vector<int> &a) { return a.size(); }\n"),
    ("cpp", "template <class T>\nT f(T x) { return x; }\n"),
    ("cpp", "int Reader::next(int a)\n{\n  return a;\n}\n"),
    ("python", "def f(a):\n    return a\n"),
    ("python", "import os\nfor x in y:\n    print(x)\n"),
    ("python", "x = [a for a in b if a]\n"),
    ("java", "public class A {\n  public static void main(String[] a) { System.out.println(a[0]); }\n}\n"),
    ("java", "int f(List<String> a) throws IOException {\n  return a.size();\n}\n"),
    ("javascript", "const f = (a) => a === 1;\n"),
    ("javascript", "function f(a) {\n  var b = a;\n  return b;\n}\n"),
    ("go", "package main\n\nfunc f(a int) int {\n\treturn a\n}\n"),
    ("go", "func (t *T) f(a []byte) error {\n\tb := a[1:]\n\treturn nil\n}\n"),
]


@pytest.mark.parametrize(("language", "code"), CODES)
def test_the_language_of_code(language: LanguageName, code: str) -> None:
    assert guess_language(code) == language


def test_conclusive_signs_spare_the_grammars(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(content: bytes, language: LanguageName) -> int:
        raise AssertionError("nothing had to be parsed")

    monkeypatch.setattr(detection, "num_error_bytes", refuse)
    assert {guess_language(code) for _, code in twin_pairs()} == {"c"}
    assert guess_language(CODES[-1][1]) == "go"
    with pytest.raises(AssertionError, match="parsed"):
        guess_language("x = [1, 2]")


def test_without_signs_the_grammar_with_the_fewest_errors_decides() -> None:
    code = "a ?? b;"
    assert num_error_bytes(code.encode(), "javascript") == 0 < num_error_bytes(code.encode(), "c")
    assert guess_language(code) == "javascript"


@given(st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_whatever_the_text_there_is_an_answer_and_it_stays(code: str) -> None:
    assert guess_language(code) in LANGUAGES
    assert guess_language(code) == guess_language(code)


def test_errors_are_counted_in_bytes() -> None:
    assert num_error_bytes(b"int f(void) { return 1; }", "c") == 0
    assert num_error_bytes(b"int f(void) { return 1 }", "c") == 1
    assert num_error_bytes(b"", "c") == 0
    assert num_error_bytes(b"\x00\xff@@@@", "c") > 0


@pytest.mark.parametrize(
    ("header", "is_cpp"),
    [
        ("#ifndef A_H\n#define A_H\nstruct s { int a; };\nint f(struct s *s);\n#endif\n", False),
        ("int f(void);\n", False),
        ("", False),
        ("class A {\n public:\n  int f() const;\n};\n", True),
        ("namespace n {\nint f();\n}\n", True),
        ("struct A { A(); virtual ~A(); };\n", True),
        ("#ifdef __cplusplus\nextern \"C\" {\n#endif\nint f(void);\n#ifdef __cplusplus\n}\n#endif\n", False),
        ("/* like std::string, in C */\nint f(void);\n", True),
    ],
)  # fmt: skip
def test_headers(header: str, is_cpp: bool) -> None:
    assert is_cpp_header(header.encode()) is is_cpp


@pytest.mark.long
@pytest.mark.skipif(not DATA.is_dir(), reason="the project's data folders are not here")
def test_measured_on_real_data() -> None:
    found: Counter[str] = Counter()
    every: Counter[str] = Counter()
    with gzip.open(DATA / "rosetta" / "solutions.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if language := NAMES.get(row["lang"].lower()):
                every[language] += 1
                found[language] += guess_language(row["code"]) == language
    assert found.total() >= 0.95 * every.total()
    assert all(found[language] >= 0.92 * every[language] for language in LANGUAGES)


def twin_pairs() -> list[tuple[int, str]]:
    return [(pair, twin_functions(pair)[1]) for pair in range(20)]
