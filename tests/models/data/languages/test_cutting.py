"""Functions cut in six languages: which, under what name, with their own bytes, and the same as by a query."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Query, QueryCursor

from models.data.generated import twin_functions
from models.data.languages.cutting import CutFunction, cut_functions
from models.data.languages.grammars import NAMES, grammar_of, parser_of
from models.settings.languages import LANGUAGES, LanguageName

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"

SNIPPETS: dict[LanguageName, list[tuple[str, list[str]]]] = {
    "c": [
        ("static int *f(int (*g)(int)) { return 0; }", ["f"]),
        ("int f(a) int a; { return a; }\nint g(void);\nstruct s { int a; };", ["f"]),
        ("#ifdef A\nint f(void) { return 1; }\n#else\nint g(void) { return 1; }\n#endif\n", ["f", "g"]),
        ("int f(void) { int g(void) { return 2; } return g(); }", ["f"]),
        ("int t[] = { 1, 2 };\nint x = 1;\n", []),
        ("int f(void);", []),
        ("", []),
    ],
    "cpp": [
        (
            "class A { public: A() : x(1) {} ~A() {} int f() const { return x; } int g(); int x; };",
            ["A::A", "A::~A", "A::f"],
        ),
        ("namespace n { struct A { struct B { void f() {} }; }; void g() {} }", ["A::B::f", "g"]),
        ("int A::f(int a) { return a; }\nstd::string &A<T>::g() { return s; }", ["A::f", "A<T>::g"]),
        ("struct A { A() = default; A(A &) = delete; bool operator==(A o) { return 1; } };", ["A::operator=="]),
        (
            "struct A { operator bool() const { return 1; } };\nA::operator int() { return 1; }",
            ["A::operator bool", "A::operator int"],
        ),
        (
            "template <class T> T f(T x) { return x; }\ntemplate <class T> class A { T f() { return x; } T x; };",
            ["f", "A::f"],
        ),
        ("auto f = [](int a) { return a; };\nint g() { auto h = [] { return 1; }; return h(); }", ["g"]),
        ("A::A() try : x(1) { } catch (...) { }", ["A::A"]),
        ('extern "C" { int f(void) { return 1; } }\nextern "C" int g() { return 1; }', ["f", "g"]),
        ("TEST(Reader, Next) { EXPECT_EQ(1, 1); }", ["TEST(Reader, Next)"]),
        ("struct URL { URL() { } URL(int a, long b) { } };", ["URL::URL", "URL::URL"]),
        ("struct { int f() { return 1; } } x;", ["f"]),
    ],
    "python": [
        ("def f(): pass\nasync def g(a, *, b=1):\n    return a\n", ["f", "g"]),
        (
            "class A:\n    @property\n    def f(self):\n        return 1\n    class B:\n        def g(self): pass\n",
            ["A.f", "A.B.g"],
        ),
        ("def f():\n    def g():\n        pass\n    class C:\n        def h(self): pass\n", ["f"]),
        (
            "if x:\n    def f(): pass\nelse:\n    try:\n        def f(): pass\n    except E:\n        def g(): pass\n",
            ["f", "f", "g"],
        ),
        ("f = lambda x: x\nprint('def')\n", []),
        ("x = 1\n", []),
    ],
    "java": [
        ("class A { A() { x = 1; } int f() { return 1; } abstract int g(); }", ["A.A", "A.f"]),
        ("interface I { default int f() { return 1; } int g(); }", ["I.f"]),
        ("enum E { A { int f() { return 1; } }; int g() { return 2; } }", ["E.f", "E.g"]),
        ("record P(int x) { P { } int y() { return x; } }", ["P.P", "P.y"]),
        ("class A { static class B { void f() { new R() { public void run() { } }; } } }", ["A.B.f"]),
        ("class A { R r = new R() { public void run() { } }; int x = 1; }", ["A.run"]),
        ("int f() { return 1; }", ["f"]),
    ],
    "javascript": [
        ("function f() {}\nasync function* g() {}\nexport default function h() {}", ["f", "g", "h"]),
        ("const f = (a) => a, g = function () {}, h = 1;", ["f", "g"]),
        ("export const f = async () => { await 1; };", ["f"]),
        (
            "class A { #p = () => 1; constructor() {} static async *g() {} get x() { return 1; } }",
            ["A.#p", "A.constructor", "A.g", "A.x"],
        ),
        ("module.exports = { f(a) { return 1; }, g: () => 2, 'h': function () {}, i: 1 };", ["f", "g", "h"]),
        ("A.prototype.f = function () {};\nexports.g = exports.h = () => 1;", ["A.prototype.f", "exports.h"]),
        ("!function () { function f() { function g() {} } }();\n(() => { const h = () => 1; })();", ["f", "h"]),
        ("app.get('/', (a, b) => { b.send(1); });", []),
        ("var x = a + b;", []),
    ],
    "go": [
        (
            "package main\nfunc f(a int) int { return a }\nfunc g[T any](a T) T { return a }\nfunc h(a int)\n",
            ["f", "g"],
        ),
        ("func (t *T) f() {}\nfunc (T) g() {}\nfunc (t *T[K, V]) h() {}", ["T.f", "T.g", "T.h"]),
        ("var f = func() {}\ntype T struct { a int }", []),
    ],
}
CASES = [(language, code, names) for language, cases in SNIPPETS.items() for code, names in cases]

HELD = "[(arrow_function) (function_expression) (generator_function)]"
QUERIES: dict[LanguageName, str] = {
    "c": "(function_definition declarator: (_) body: (compound_statement)) @f",
    "cpp": "[(function_definition declarator: (_) body: (compound_statement))"
    " (template_declaration (function_definition body: (compound_statement)))"
    " (template_declaration (template_declaration (function_definition body: (compound_statement))))"
    " (function_definition (try_statement))] @f",
    "python": "[(function_definition) (decorated_definition definition: (function_definition))] @f",
    "java": "[(method_declaration body: (_)) (constructor_declaration) (compact_constructor_declaration)] @f",
    "javascript": "[(function_declaration) (generator_function_declaration) (method_definition)"
    f" (variable_declarator value: {HELD})"
    f" (lexical_declaration . (variable_declarator value: {HELD}) .)"
    f" (variable_declaration . (variable_declarator value: {HELD}) .)"
    f" (assignment_expression right: {HELD}) (pair value: {HELD}) (field_definition value: {HELD})] @f",
    "go": "[(function_declaration body: (_)) (method_declaration body: (_))] @f",
}
CONTEXTS = ("{}", "class A {{ {} }}", "struct A {{ {} }};", "x = {{ {} }};")


@pytest.mark.parametrize(("language", "code", "names"), CASES)
def test_names(language: LanguageName, code: str, names: list[str]) -> None:
    assert [function.name for function in cut_functions(code.encode(), language)] == names


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_cut_function_is_a_function_again(language: LanguageName) -> None:
    for code, _ in SNIPPETS[language]:
        for function in cut_functions(code.encode(), language):
            alone = [context.format(function.content.decode()).encode() for context in CONTEXTS]
            again = [cut.content for text in alone for cut in cut_functions(text, language)]
            assert any(content in function.content and len(content) > 0.7 * len(function.content) for content in again)


@pytest.mark.parametrize("language", LANGUAGES)
def test_as_a_query_finds_them(language: LanguageName) -> None:
    text = "\n".join(code for code, _ in SNIPPETS[language] if "TEST(" not in code) + "\n"
    assert not parser_of(language).parse(text.encode()).root_node.has_error
    assert spans(cut_functions(text.encode(), language)) == queried(text.encode(), language)


@pytest.mark.long
@pytest.mark.skipif(not DATA.is_dir(), reason="the project's data folders are not here")
def test_as_a_query_finds_them_in_real_files() -> None:
    num_same = num_files = 0
    for language, content in solutions():
        if not parser_of(language).parse(content).root_node.has_error:
            num_files += 1
            num_same += spans(cut_functions(content, language)) == queried(content, language)
    assert num_files > 4000
    assert num_same > 0.999 * num_files  # a macro or a declaration that a query takes for a function


def test_a_file_gives_back_the_functions_it_was_made_of() -> None:
    parts = [code.strip() for pair in range(4) for code in twin_functions(pair)[1:]]
    file = "#include <string.h>\n\n" + "\n\n/* next */\nstatic int x;\n".join(parts) + "\n"
    found = cut_functions(file.encode(), "c")
    assert [function.content.decode() for function in found] == parts
    lines = file.split("\n")
    assert all(lines[function.line - 1] == function.content.decode().split("\n")[0] for function in found)


@given(
    st.sampled_from(LANGUAGES).flatmap(
        lambda language: st.tuples(
            st.just(language),
            st.lists(st.sampled_from([code for code, _ in SNIPPETS[language]]) | st.text(max_size=20), max_size=6),
            st.binary(max_size=40),
        )
    )
)
@settings(max_examples=300, deadline=None)
def test_whatever_the_bytes_functions_lie_in_the_file_in_order_and_apart(
    drawn: tuple[LanguageName, list[str], bytes],
) -> None:
    language, parts, noise = drawn
    content = "\n".join(parts).encode() + noise
    found = cut_functions(content, language)
    end = 0
    for function in found:
        assert end <= function.start_byte < function.end_byte <= len(content)
        assert content[function.start_byte : function.end_byte] == function.content
        assert function.line == content[: function.start_byte].count(b"\n") + 1
        assert function.name
        end = function.end_byte
    assert found == cut_functions(content, language)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("class API Reader : public Base {\n  int next() { return 1; }\n};\nint g() { return 1; }", ["next", "g"]),
        ("namespace n {\nclass API_1 A final {\n  A() : x{1} { }\n};\n}\n", ["A"]),
        ("FOO BAR(x) int f(int a) { LOCK(a) return 1; @ }\nint g() { return 1; }", ["f", "g"]),
        ("#if A\nint f(int a) {\n#else\nint f() {\n#endif\n  return 1;\n}\n\nint g() { return 2; }\n", ["f", "g"]),
        ("class A {\n  int f() { return 1 @ ; }\n  int g() { return 2; }\n};", ["f", "g"]),
    ],
)
def test_what_macros_hide_in_cpp_is_found(code: str, names: list[str]) -> None:
    found = cut_functions(code.encode(), "cpp")
    assert [function.name.rpartition("::")[2] for function in found] == names


def test_an_error_costs_the_functions_around_nothing() -> None:
    good = [code.strip() for pair in range(3) for code in twin_functions(pair)[1:]]
    broken = "#if A\nint odd(int a) {\n#else\nint odd(void) {\n#endif\n  return 1;\n}"
    found = cut_functions("\n\n".join([*good[:3], broken, *good[3:]]).encode(), "c")
    assert [function.content.decode() for function in found if function.name != "odd"] == good
    assert [function.content.decode()[-9:] for function in found if function.name == "odd"] == ["return 1;\n}"[-9:]]


def test_broken_files_of_other_languages_keep_their_functions() -> None:
    assert [cut.name for cut in cut_functions(b"def f(:\n    pass\n\ndef g():\n    return 1\n", "python")][-1] == "g"
    assert "A.g" in [cut.name for cut in cut_functions(b"class A { int f() { @@ } int g() { return 1; } }", "java")]


def spans(functions: list[CutFunction]) -> list[tuple[int, int]]:
    return [(function.start_byte, function.end_byte) for function in functions]


@cache
def query_of(language: LanguageName) -> Query:
    return Query(grammar_of(language), QUERIES[language])


def queried(content: bytes, language: LanguageName) -> list[tuple[int, int]]:
    """Where the captures of a query are that lie in no other."""
    captures = QueryCursor(query_of(language)).captures(parser_of(language).parse(content).root_node)
    found: list[tuple[int, int]] = []
    for start, end in sorted({(node.start_byte, -node.end_byte) for node in captures.get("f", [])}):
        if not found or start >= found[-1][1]:
            found.append((start, -end))
    return found


def solutions() -> Iterator[tuple[LanguageName, bytes]]:
    with gzip.open(DATA / "rosetta" / "solutions.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if language := NAMES.get(row["lang"].lower()):
                yield language, row["code"].encode()
