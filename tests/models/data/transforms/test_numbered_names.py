"""Renaming to var_N: what changes in each language, and what stays because it is not the text's own.

The second route of the property is a plain word list: a variant is the text with some words replaced.
"""

from __future__ import annotations

import re
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.augmentation import generated_text
from models.data.augmentation import RENAME, augment_text
from models.settings.augment import AugmentConfig
from models.settings.languages import LANGUAGES, LanguageName

WORD = re.compile(r"[A-Za-z_$][\w$]*")


def renamed(code: str, language: LanguageName, probability: float = 1.0, seed: int = 1) -> str:
    config = AugmentConfig(
        language=language, rename_prob=probability, enable_shuffle=False, enable_whitespace=False, enable_comment=False
    )
    outcome = augment_text(code, seed, config)
    assert outcome.parsed and not outcome.undone
    assert outcome.transformations == ((RENAME,) if outcome.augmented != code else ())
    return outcome.augmented


def replaced(before: str, after: str) -> set[str]:
    """The words that became others, each in the same way wherever it did."""
    pairs = {(old, new) for old, new in zip(WORD.findall(before), WORD.findall(after), strict=True) if old != new}
    assert len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs})
    return {old for old, _ in pairs}


CASES: list[tuple[LanguageName, str, str]] = [
    # own names with everything that must stay
    ("python", "def f(a, b, *c, d=1, **e):\n    g = a + b\n    return g, c, d, e, dict(b=1)\n", "g"),
    ("python", "def f(a):\n    return f'{a}'\n", ""),
    ("python", "def f(a):\n    x = locals()\n    return x\n", ""),
    ("python", "def f(a):\n    global x\n    x = a.x\n", ""),
    ("python", "def f():\n    a = 1\n    class C:\n        b = a\n    return C.b\n", "a"),
    ("python", "x = 1\ndef f(list, self, match):\n    x = 2\n    return x\n", "x"),
    ("python", "def f():\n    x = z\n    return [x for x in x if y]\ndef g():\n    return [y for y in y]\n", "x"),
    ("python", "def f():\n    def g(x=x):\n        return x\n    return g\n", ""),
    ("python", "@app.route\ndef f(a):\n    b = a\n    return b\n", "b"),
    ("python", "def test_f(fixture):\n    b = fixture\n    return b\n", "b"),
    ("python", "def area(width, height):\n    x = width * height\n    return x\narea(**d)\n", "x"),
    ("python", "def f(a, *b, c: int, d: int = 1, e=2, **g):\n    h = a, b, c, d, e, g\n    return h\n", "h"),
    ("python", "def f(df):\n    bound, low = 1, 2\n    return df.query('x > @bound')[low:]\n", "low"),
    ("python", "def f():\n    a = 1\n    nb = 2\n    return a, nb, '\\nb', r'\\na'\n", ""),
    ("python", "def f():\n    y = 1\n    g()\ndef g():\n    return sys._getframe(1).f_locals[k]\n", ""),
    ("python", "def f():\n    y = 1\n    exec 'print z'\n", ""),
    ("python", "def f():\n    y = 1\n    return inspect.stack(), y\n", ""),
    ("python", "def f():\n    c = 1\n    return map(lambda x, *y: x + c, z)\n", "c"),
    ("python", "def f((a, b), d):\n    c = a\n    return c\n", "c"),
    ("python", "def f(__a, b):\n    import c\n    from d import e as g\n    return b, c, g\n", ""),
    ("python", "def f():\n    x = 1\n    y: int = x\n    return lambda z: z + x\n", "x y"),
    ("c", "int f(int a, char *b) { int c[2], d; s->a = a; t.b = *b; g(c, d); goto d; d: return a; }\n", "a b c d"),
    ("c", "int n;\nint f(void) { { int n = 1; g(n); } return n; }\n", ""),
    ("c", "int f(void) { extern int n; int h(int k); return n + h(1); }\n", "k"),
    ("c", "int f(int (*cb)(int n)) { return cb(n); }\n", "cb"),
    ("c", "#define USE(x) x\nint f(int USED, int x, int y) { return USED + x + y; }\n", "y"),
    ("c", "int f(struct item *item, size_t size) { return item->size + size; }\n", "size"),
    ("c", "void f(T *work) { T *x = container_of(work, foo_t, work); g(x); }\n", "x"),
    ("c", "T *f(T *it, T *next) { next = TAILQ_NEXT(it, next); return next + g(it); }\n", ""),
    ("c", "#define LEN(p, m) ((p)->m)\n#define at(p, m) p[m]\nint f(T *p, int len, int m2, int q)\n"
          "{ return LEN(p, len) + at(p, (m2)) + q; }\n", "q"),
    ("c", "T *f(T *pos, H *h, int a) { list_add(pos, h); return g(offsetof(T, pos), rb_entry(h, T, h), a); }\n", "a"),
    ("c", "int f(int a, int b) { return printf(\"%d a\", a + b); }\n", "b"),
    ("cpp", "int f(int x, int y) { struct S : B { int g() { return x; } }; return S().g() + x + y; }\n", "y"),
    ("cpp", "int f(int min, int a) { auto [b, c] = g(a); return std::min(min, b + c); }\n", "a b c"),
    ("cpp", "int f(V &a) { auto g = [a, b = a](int c) { return a + b + c; }; return g(1); }\n", "a b c g"),
    ("cpp", "struct Sum { int v; Sum(int v) : v(v) { this->v = v; } int get() { return v; } };\n", "v"),
    ("java", "class A { int x; void f(int x, int y) { this.x = x; y(A.y, y); } void g() { x = 1; } }\n", "x y"),
    ("java", "class A { void f(int n) { a: for (int i = 0; i < n; i++) break a; g(i); } }\n", "n"),
    ("java", "class A { void f(Object o) { g(s -> s.o()); if (o instanceof B b) g(b); } }\n", "o s"),
    ("java", "class A { void f(int RED) { switch (RED) { case RED: g(); } } }\n", ""),
    ("java", "class A { void f() { new B() { int q; void h(int q) {} }; } }\n", ""),
    ("java", "class A { B f(int modCount, int n) { g(n); return new B() { int h() { return modCount; } }; } }\n", "n"),
    ("java", "class A { int f(int a, int n) { class B extends C { int h() { return a; } } return a + n; } }\n", "n"),
    ("java", "class A { int f(@P int a, int b) { return a + b; } @G int g(int c) { int d = c; return d; } }\n", "b d"),
    ("java", "interface A { int f(int a); }\n", ""),
    ("javascript", "m.controller('C', function ($scope, users) { var a = users; $scope.x = a; });\n", "a"),
    ("javascript", "angular.module('m').factory('F', function (users) { var a = users; return a; });\n", "a"),
    ("javascript", "function f(users) { const a = users, $b = a; return $b; }\n", "users a"),
    ("javascript", "function f(a, b, {c, d: e}) { var g = {a, b: b, x: e}; return `${e}` + c.b + g; }\n", "b g"),
    ("javascript", "function f(a) { with (a) { return b; } }\n", ""),
    ("javascript", "function f(a) { return eval('a'); }\n", ""),
    ("javascript", "function f() { if (x) { var a = 1; let b = 2; } return a + b; }\n", "a"),
    ("javascript", "function f(a) { const g = () => a; b = a; [c] = a; return g; }\n", "a"),
    ("javascript", "const f = ({a: b}, ...c) => { for (const d of c) g(d); return b; };\n", "b c d"),
    ("go", "package m\nfunc f(a int) (b int) {\n\tc := P{e: a}\n\tfor d := range c.a { b += d }\n}\n", "a b c d"),
    ("go", "package m\nfunc f(a, b int) P { return P{a: a, x: b} }\n", "b"),
    ("go", "package m\nfunc f() int {\n\tif n := n + 1; n > 0 { return n }\n\treturn 0\n}\n", ""),
    ("go", "package m\nfunc f(n int) int {\n\tif n := n + 1; n > 0 { return n }\n\treturn n\n}\n", "n"),
    ("go", "package m\nfunc f(len, fmt, x int) { fmt.Println(x); g(T{x: 1}) }\n", "fmt"),
    ("go", "package m\nfunc f(g func(a int) int) { h(func(b int) int { return a + b }) }\n", "g b"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "code", "names"), CASES)
def test_only_names_of_which_every_use_is_understood_change(language: LanguageName, code: str, names: str) -> None:
    assert replaced(code, renamed(code, language)) == set(names.split())


def test_numbers_go_by_first_use_and_leave_out_those_that_the_text_has() -> None:
    code = "int f(int b, int a) { int c = a + var_2 + b; return c; }\n"

    assert renamed(code, "c") == "int f(int var_1, int var_3) { int var_4 = var_3 + var_2 + var_1; return var_4; }\n"


def test_a_name_is_renamed_where_a_function_declares_it_and_nowhere_else() -> None:
    code = textwrap.dedent("""\
        function f(count) { return count; }
        function g() { return count; }
        class A { count(count) { return this.count + count; } }
        """)

    assert renamed(code, "javascript") == textwrap.dedent("""\
        function f(var_1) { return var_1; }
        function g() { return count; }
        class A { count(var_1) { return this.count + var_1; } }
        """)


@given(st.sampled_from(LANGUAGES), st.integers(0, 400), st.integers(0, 5), st.sampled_from([0.0, 0.4, 1.0]))
@settings(max_examples=80)
def test_a_variant_is_the_text_with_some_words_replaced_by_new_ones(
    language: LanguageName, number: int, seed: int, probability: float
) -> None:
    code = generated_text(language, number)
    after = renamed(code, language, probability, seed)

    assert WORD.sub("w", code) == WORD.sub("w", after)
    new_words = set(WORD.findall(after)) - set(WORD.findall(code))
    assert new_words == {f"var_{each}" for each in range(1, len(new_words) + 1)}
    assert len(replaced_anywhere(code, after)) >= len(new_words)
    assert (probability == 0.0) <= (after == code)
    assert (probability == 1.0 and language != "python") <= (after != code)  # there some have parameters only


def replaced_anywhere(before: str, after: str) -> set[tuple[str, str]]:
    return {pair for pair in zip(WORD.findall(before), WORD.findall(after), strict=True) if pair[0] != pair[1]}
