"""Comments go and come; what tools read stays, and the code between is the same."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.augmentation import generated_text
from models.data import augmentation
from models.data.augmentation import COMMENTS, augment_text
from models.data.transforms.checked import nodes_of, parse
from models.settings.augment import AugmentConfig
from models.settings.languages import LANGUAGES, LanguageName


def commented(code: str, language: LanguageName, seed: int = 1, probability: float = 1.0) -> str:
    config = AugmentConfig(
        language=language, comment_prob=probability, enable_rename=False, enable_shuffle=False, enable_whitespace=False
    )
    outcome = augment_text(code, seed, config)
    assert outcome.parsed and not outcome.undone
    assert outcome.transformations == ((COMMENTS,) if outcome.augmented != code else ())
    return outcome.augmented


REMOVED: list[tuple[LanguageName, str, str]] = [
    ("c", "int a; /* x */\n// y\n  /* of\n two lines */\nint /* z */b;\n", "int a;\nint  b;\n"),
    ("cpp", "int a; // x\r\n// y\r\nint b;\r\n", "int a;\r\nint b;\r\n"),
    ("python", "# a\nx = 1  # b\n    # odd indent\ny = '# c'\n", "\nx = 1\ny = '# c'\n"),
    ("java", "/** doc */\nclass A { } // x", "\nclass A { }"),
    ("javascript", "a = b // x\n(c)\n/* y */ d\n", "a = b\n(c)\n  d\n"),
    ("go", "package m\n\n// doc\nvar a = 1 // x\n", "package m\n\nvar a = 1\n"),
]
KEPT: list[tuple[LanguageName, str]] = [
    ("python", "#!/bin/python\n# -*- coding: utf-8 -*-\nx = []  # type: list\ny = 1  # noqa\n# pragma: no cover\n"),
    ("python", "# Copyright 2020 Me\n# pylint: disable=all\n# fmt: off\nx = 1\n"),
    ("go", "//go:build linux\n// +build linux\n\npackage m\n\n//go:embed x\nvar a string\n"),
    ("go", 'package m\n\n// int f(void);\nimport "C"\n'),
    ("javascript", "// @ts-ignore\nx = 1 /* eslint-disable-line */\n//# sourceMappingURL=x\n"),
    ("c", "/* SPDX: MIT */\nint a; // NOLINT\n/* fall through */\n#define A 1 /* a */ \\\n  /* b */\n"),
    ("javascript", "x = y /* a\n */\nz()\n"),  # of several lines, behind code
    ("python", "x = 1  # nosec\nx = 1  # nosemgrep: rule\nx = 1  # lgtm[py/x]\nx = 1  # a  # type: ignore\n"),
    ("python", "x = 1  # skipcq: A\nx = 1  # fmt: skip\nx = 1  # pyre-ignore\n# vim: set ai:\n# doctest: +SKIP\n"),
    ("java", 'class A { String a = "b"; //$NON-NLS-1$\n  // @SuppressWarnings\n  int b; // NOPMD\n  // sonar\n}\n'),
    ("java", "class A {\n  // @formatter:off\n  int b; // spotless:off\n  //nosec\n  /*@ nullable */\n}\n"),
    ("go", "package m\n\nvar a = 1 // #nosec G1\n// +kubebuilder:x\nvar b = 2 //nolint:all\nvar c = 3 // codeql[x]\n"),
    ("c", "/* clang-format off */\nint a; // cppcheck-suppress x\n/* FALLTHROUGH */\n/*NOTREACHED*/\n/*LCOV_EXCL*/\n"),
    ("c", "/* Coverity[x] */\nint a; /* fallthrough */\nint b; // -V501\n/* -*- c -*- */\n/* *INDENT-OFF* */\n"),
    ("javascript", "/* istanbul ignore next */\n// eslint-disable-line\nx = /** @type {T} */ (y) // biome-ignore\n"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "code", "expected"), REMOVED)
def test_comments_go(language: LanguageName, code: str, expected: str) -> None:
    assert commented(code, language) == expected


@pytest.mark.parametrize(("language", "code"), KEPT)
def test_comments_that_are_read_stay(language: LanguageName, code: str) -> None:
    assert commented(code, language) == code


def test_comments_come_before_statements_that_begin_a_line() -> None:
    code = (
        "int f(int a)\n{\n  a = 1; a = 2;\n#if A\n\tg(); \\\n  h();\n#endif\n  a++;\n  return a;\n"
        "  // NOLINTNEXTLINE\n  g();\n}\n"
    )

    lines = commented(code, "c").splitlines()

    assert [line for line in lines if "/*" not in line] == code.splitlines()
    assert [lines[at + 1] for at, line in enumerate(lines) if "/*" in line] == ["  a = 1; a = 2;", "  return a;"]
    assert all(line.startswith("  /* ") and line.endswith(" */") for line in lines if "/*" in line)


@given(st.sampled_from(LANGUAGES), st.integers(0, 400), st.integers(0, 5), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=60)
def test_the_tokens_that_are_no_comments_are_the_same(
    language: LanguageName, number: int, seed: int, probability: float
) -> None:
    code = generated_text(language, number)
    after = commented(code, language, seed, probability)

    assert tokens_of(after, language) == tokens_of(code, language)
    assert (probability == 0.0) <= (after == code)
    assert (probability == 1.0) <= (after != code)


def tokens_of(code: str, language: LanguageName) -> list[tuple[str, bytes | None]]:
    leaves = [node for node, _ in nodes_of(parse(code.encode(), language)) if not node.child_count]
    return [(leaf.type, leaf.text) for leaf in leaves if "comment" not in leaf.type]


def test_python_means_the_same_to_python() -> None:
    for path in sorted(Path(augmentation.__file__).parent.rglob("*.py"))[::6]:
        code = path.read_text()
        assert ast.dump(ast.parse(commented(code, "python"))) == ast.dump(ast.parse(code))
