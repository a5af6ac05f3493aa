"""Functions in another order, where it does not matter."""

from __future__ import annotations

import pytest

from models.data.augmentation import REORDER, augment_text
from models.settings.augment import AugmentConfig
from models.settings.languages import LanguageName


def orders(code: str, language: LanguageName) -> set[str]:
    """What becomes of the text with many seeds."""
    config = AugmentConfig(
        language=language, enable_rename=False, enable_shuffle=False, enable_whitespace=False, enable_comment=False,
        enable_reorder=True,
    )  # fmt: skip
    outcomes = [augment_text(code, seed, config) for seed in range(20)]
    assert all(outcome.parsed and not outcome.undone for outcome in outcomes)
    assert all(each.transformations == ((REORDER,) if each.augmented != code else ()) for each in outcomes)
    return {outcome.augmented for outcome in outcomes} - {code}


MOVED: list[tuple[LanguageName, str, str]] = [
    ("c", "int f(void) { return 1; }\n\n/* of g */\nint g(void) { return 2; }\n",
     "/* of g */\nint g(void) { return 2; }\n\nint f(void) { return 1; }\n"),
    ("python", "def f():\n    g()\n\n\ndef g(a):\n    f()\n", "def g(a):\n    f()\n\n\ndef f():\n    g()\n"),
    ("java", "class A {\n  int f() { return 1; }\n  int g() { return 2; }\n}\n",
     "class A {\n  int g() { return 2; }\n  int f() { return 1; }\n}\n"),
    ("javascript", "function f() {}\nfunction g() {}\n", "function g() {}\nfunction f() {}\n"),
    ("go", "package m\n\nfunc f() {}\n\nfunc g() {}\n", "package m\n\nfunc g() {}\n\nfunc f() {}\n"),
]  # fmt: skip
LEFT: list[tuple[LanguageName, str]] = [
    ("c", "static int f(void) { return 1; }\nint g(void) { return f(); }\n"),
    ("c", "int f(void) { return 1; }\n#undef A\nint g(void) { return 2; }\n"),
    ("c", "int f(void) {\n#define K 3\n  return K;\n}\nint g(void) { return K; }\n"),
    ("c", "int g(void) { return K; }\nint f(void) {\n#undef K\n  return 1;\n}\n"),
    ("c", "struct s { int x; } f(void) { struct s a; return a; }\nint g(void) { return sizeof(struct s); }\n"),
    ("cpp", "int f(int a) { return 1; }\nint f(char a) { return 2; }\n"),
    ("python", "@one\ndef f(): pass\n@two\ndef g(): pass\n"),
    ("python", "def f(): pass\ndef g(a=f()): pass\n"),
    ("python", "def f(): pass\nx = f\ndef g(): pass\n"),
    ("python", "def f(): pass\ndef f(): pass\n"),
    ("go", "package m\n\nfunc init() {}\n\nfunc g() {}\n"),
]


@pytest.mark.parametrize(("language", "code", "expected"), MOVED)
def test_functions_that_do_not_need_each_other_first_change_places(
    language: LanguageName, code: str, expected: str
) -> None:
    assert orders(code, language) == {expected}


@pytest.mark.parametrize(("language", "code"), LEFT)
def test_others_do_not(language: LanguageName, code: str) -> None:
    assert orders(code, language) == set()
