"""Which grammar reads which language, and which files are of it."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import PurePosixPath

from tree_sitter import Language, Parser

from models.settings.languages import LanguageName

GRAMMAR_MODULES: dict[LanguageName, str] = {
    "c": "tree_sitter_c",
    "cpp": "tree_sitter_cpp",
    "python": "tree_sitter_python",
    "java": "tree_sitter_java",
    "javascript": "tree_sitter_javascript",
    "go": "tree_sitter_go",
}
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
    return Language(importlib.import_module(GRAMMAR_MODULES[language]).language())


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
