"""Neighbours that change places, and neighbours that must not."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.augmentation import generated_text
from models.data.augmentation import SHUFFLE, augment_text
from models.settings.augment import AugmentConfig
from models.settings.languages import LANGUAGES, LanguageName


def shuffled(code: str, language: LanguageName, seed: int = 1, probability: float = 1.0) -> str:
    config = AugmentConfig(
        language=language, shuffle_prob=probability, enable_rename=False, enable_whitespace=False, enable_comment=False
    )
    outcome = augment_text(code, seed, config)
    assert outcome.parsed and not outcome.undone
    assert outcome.transformations == ((SHUFFLE,) if outcome.augmented != code else ())
    return outcome.augmented


EXCHANGED: list[tuple[LanguageName, str, str]] = [
    ("c", "int f(int a, int b) { return a * b + 1; }", "int f(int a, int b) { return b * a + 1; }"),
    ("c", "int f(int a) { return a + 2 == a; }", "int f(int a) { return 2 + a == a; }"),
    ("c", "void f(void) {\n  int a = 1;\n  char b = 'x';\n}", "void f(void) {\n  char b = 'x';\n  int a = 1;\n}"),
    ("cpp", "bool f(int a, long b) { return a == b; }", "bool f(int a, long b) { return b == a; }"),
    ("python", "def f(a):\n    return a == 1\n", "def f(a):\n    return 1 == a\n"),
    ("python", "def f():\n    a = 1\n    b = None\n", "def f():\n    b = None\n    a = 1\n"),
    ("java", "class A { int f(int a, int b) { return a & b; } }", "class A { int f(int a, int b) { return b & a; } }"),
    ("javascript", "(a, b, c) => f(a === b, 2 * c);", "(a, b, c) => f(b === a, c * 2);"),
    ("java", "class A { boolean f() { int a = g(), b = 2; return a == b; } }",
     "class A { boolean f() { int a = g(), b = 2; return b == a; } }"),
    ("javascript", "() => { let a = 1; let b = 'x'; }", "() => { let b = 'x'; let a = 1; }"),
    ("go", "package m\nfunc f() {\n\ta := 1\n\tb := \"x\"\n}", "package m\nfunc f() {\n\tb := \"x\"\n\ta := 1\n}"),
    ("go", "package m\nvar x = y + 1", "package m\nvar x = 1 + y"),
]  # fmt: skip
LEFT_ALONE: list[tuple[LanguageName, str]] = [
    ("c", "int f(int a, int b) { return a - b; }"),
    ("c", "int f(int a) { return a * 1.5 + LIMIT * a; }"),  # a float; what may be a macro
    ("c", "int f(int a) { return a * g() + a * h[1]; }"),
    ("c", "int f(int a, int b) { return a < b || a << b; }"),
    ("c", "int f(void) { int a = 1; int b = a; int c = g(); return c; }"),
    ("c", "#if A == 1\nint a;\n#endif\n"),
    ("cpp", "M f(M a, M b, int c) { return a * b + a * c; }"),  # operators of a class
    ("cpp", "void f() { Lock a = 1; Lock b = 2; }"),
    ("c", "int f(int *p) { int v; int ok = get(p, &v); if (ok && v || ok) return 1; return 0; }"),
    ("c", "int f(T a, int b) { return a * b + LIMIT * b; }"),  # what T is, is told elsewhere
    ("cpp", "bool f(bool a, bool b) { return a && b || b; }"),
    ("java", "class A { boolean f(boolean known, Boolean flag) { return known && flag || flag & known; } }"),
    ("java", "class A { int a; boolean f(int b) { return a == b; } boolean g(Integer c, int d) { return c == d; } }"),
    ("java", "class A { boolean f(int a[], int[] b) { int c[] = a; return c == b; } }"),
    ("go", "package m\nfunc f(a, b bool) bool { return a && b || b }"),
    ("javascript", "f(a === b, 2 * c);"),  # reading a global may do anything
    ("python", "def f(a, b):\n    return a * 2 + b, a == b, a and b\n"),
    ("python", "def f(a):\n    return 1 == a == 2, f'{a == 1}'\n"),
    ("python", "class A:\n    a = 1\n    b = 2\nx = 1\ny = 2\n"),  # attributes and globals have an order
    ("python", "def f():\n    a = 1\n    a = 2\n"),
    ("python", "def f():\n    a: int = 1\n    b = a\n"),
    ("java", "class A { String f(String a, int b) { return a + b + 1; } }"),
    ("javascript", "f(a + b, a * b, a && b, a < b);"),  # strings, valueOf, order
    ("javascript", "() => { let a = 1;\nlet b = 2\n}"),  # the ends differ
    ("javascript", "f(`${a === b}`)"),
    ("go", "package m\nvar x = y + z"),
    ("go", "package m\nfunc f(n int) {\n\tdoors := make([]bool, n)\n\tlast := int64(1)\n\tn, m := 1, 2\n\tk := -n\n}"),
]


@pytest.mark.parametrize(("language", "code", "expected"), EXCHANGED)
def test_neighbours_that_do_not_depend_on_each_other_change_places(
    language: LanguageName, code: str, expected: str
) -> None:
    assert shuffled(code, language) == expected
    assert shuffled(code, language, probability=0.0) == code


@pytest.mark.parametrize(("language", "code"), LEFT_ALONE)
def test_others_do_not(language: LanguageName, code: str) -> None:
    assert shuffled(code, language) == code


@given(st.sampled_from(LANGUAGES), st.integers(0, 400), st.integers(0, 5))
@settings(max_examples=40)
def test_the_same_characters_stand_in_another_order(language: LanguageName, number: int, seed: int) -> None:
    code = generated_text(language, number)

    assert Counter(shuffled(code, language, seed)) == Counter(code)
