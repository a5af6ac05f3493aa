"""How a generated function is written: in which language, under which names, laid out how."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from models.data.c_drawing import Draw
from models.settings.languages import LanguageName

_TAKEN_WORDS = """
and as assert async await break byte case catch chan char class const continue debugger def default defer del delete do
double elif else end enum except exp export extends false final finally float for func function from global go goto if
implements import in instanceof int interface is lambda len let list log long map math max min native new none nonlocal
not null object or package pass private protected public raise range return select self short size static str string
struct super switch synchronized this throw throws transient true try type typeof union unsigned var vector void
volatile while with yield
"""
_TAKEN = frozenset(_TAKEN_WORDS.split())
_INDENTS: dict[LanguageName, tuple[str, ...]] = {"go": ("\t",), "python": ("    ",)}
_INTEGERS: dict[LanguageName, tuple[str, ...]] = {
    "c": ("int", "long", "int32_t"),
    "cpp": ("int", "long", "int64_t"),
    "java": ("int", "long"),
    "go": ("int", "int64"),
}
_SNAKE: frozenset[LanguageName] = frozenset({"c", "cpp", "python"})


@dataclass(frozen=True)
class Style:
    """How a function is written; equal styles give equal text for equal trees.

    Args:
        language: In which.
        names: What each name of the tree is called; ``len(xs)`` has one of its own, as C needs it.
        function: Name of the function.
        indent: One level of indentation.
        brace_alone: Whether the brace of a function opens on a line of its own.
        counts_by_while: Whether counting loops are written as ``while``.
        integer: Type of whole numbers, where one is written.
        is_typed: Whether a language that need not have types has them.
        comment: Above the function; empty for none.
        remark: Within it; empty for none.
    """

    language: LanguageName
    names: tuple[tuple[str, str], ...]
    function: str
    indent: str
    brace_alone: bool
    counts_by_while: bool
    integer: str
    is_typed: bool
    comment: str
    remark: str


def drawn_style(draw: Draw, language: LanguageName, task: ast.FunctionDef) -> Style:
    """A style with names that say nothing of the task."""
    names = sorted({node.arg for node in ast.walk(task) if isinstance(node, ast.arg)})
    names += sorted({node.id for node in ast.walk(task) if isinstance(node, ast.Name)} - set(names))
    lengths = [f"len({name})" for name in names]
    return Style(
        language=language,
        names=tuple((name, drawn_name(draw, language)) for name in (*names, *lengths)),
        function=drawn_function(draw, language),
        indent=draw.pick(_INDENTS.get(language, ("    ", "  ", "\t"))),
        brace_alone=draw.chance(0.4) and language in ("c", "cpp", "java"),
        counts_by_while=draw.chance(0.35),
        integer=draw.pick(_INTEGERS.get(language, ("int",))),
        is_typed=draw.chance(0.5),
        comment=draw.message() if draw.chance(0.6) else "",
        remark=draw.message() if draw.chance(0.4) else "",
    )


def drawn_name(draw: Draw, language: LanguageName) -> str:
    """A new name of a variable that is no word of any of the languages."""
    while True:
        name = draw.name()
        if name.lower() not in _TAKEN:
            return name if language in _SNAKE else _camel(name)


def drawn_function(draw: Draw, language: LanguageName) -> str:
    """A new name of a function."""
    name = draw.function()
    if language in _SNAKE:
        return name
    camel = _camel(name)
    return camel[0].upper() + camel[1:] if language == "go" and draw.chance(0.5) else camel


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
