"""Which grammar reads which language, and which files are of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import PurePosixPath

from tree_sitter import Language, Parser

from models.settings.languages import LanguageName

SUFFIXES: dict[str, LanguageName] = {
    **dict.fromkeys((".c", ".h"), "c"),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".c++", ".hh", ".hpp", ".hxx", ".h++", ".inl", ".ipp"), "cpp"),
    **dict.fromkeys((".py", ".pyi"), "python"),
    ".java": "java",
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), "javascript"),
    ".go": "go",
}
NAMES: dict[str, LanguageName] = {
    "c": "c",
    "c++": "cpp",
    "cpp": "cpp",
    "python": "python",
    "java": "java",
    "javascript": "javascript",
    "js": "javascript",
    "go": "go",
}
"""Languages as data sets spell them, in lower case."""


@cache
def grammar_of(language: LanguageName) -> Language:
    """The grammar; loaded once in a process."""
    return Language(_LOADERS[language]())


@cache
def parser_of(language: LanguageName) -> Parser:
    """A parser; one per process, and never two threads at once: two parsers at once crash CPython 3.11."""
    return Parser(grammar_of(language))


def language_of_file(name: str) -> LanguageName | None:
    """The language that a file is called like; ``None`` for any other.

    Args:
        name: Its name or path.
    """
    return SUFFIXES.get(PurePosixPath(name).suffix.lower())


def _c() -> object:
    import tree_sitter_c

    return tree_sitter_c.language()


def _cpp() -> object:
    import tree_sitter_cpp

    return tree_sitter_cpp.language()


def _python() -> object:
    import tree_sitter_python

    return tree_sitter_python.language()


def _java() -> object:
    import tree_sitter_java

    return tree_sitter_java.language()


def _javascript() -> object:
    import tree_sitter_javascript

    return tree_sitter_javascript.language()


def _go() -> object:
    import tree_sitter_go

    return tree_sitter_go.language()


# Imports that can be read off the text: a build is named by the versions of what its modules import.
_LOADERS: dict[LanguageName, Callable[[], object]] = {
    "c": _c,
    "cpp": _cpp,
    "python": _python,
    "java": _java,
    "javascript": _javascript,
    "go": _go,
}
