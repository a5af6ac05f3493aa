"""Functions cut out of files of six languages by their syntax trees.

What is a function: in C and C++ definitions with a body, methods within their class too; in Python ``def`` and
``async def``, with decorators; in Java methods and constructors; in JavaScript declarations, methods, and functions
assigned to a name; in Go functions and methods. A function within another belongs to the outer one. Names are qualified
by the class or receiver: ``Reader::next``, ``Reader.next``.

Any bytes can be cut. A function with an error inside is cut by its node all the same; for C and C++ what errors hide is
found by other routes, see ``mending``.
"""

from __future__ import annotations

from typing import NamedTuple

from models.data.languages.definitions import DEFINITIONS
from models.data.languages.grammars import parser_of
from models.data.languages.mending import MENDED, mended_spans, without_class_macros
from models.data.languages.spans import spans_below
from models.settings.languages import LanguageName


class CutFunction(NamedTuple):
    """A function as it stands in its file.

    Args:
        name: As it is declared, after its class, such as ``main`` or ``Reader::next``; of a macro with what it is
            called with.
        content: Its bytes, from its first word or decorator to its last brace or statement.
        line: Line of its start, counted from 1.
        start_byte: Where it begins in the file.
        end_byte: Where it ends: ``file[start_byte:end_byte]`` is ``content``.
    """

    name: str
    content: bytes
    line: int
    start_byte: int
    end_byte: int


def cut_functions(content: bytes, language: LanguageName) -> list[CutFunction]:
    """Functions with a body, in the order of the file; they never overlap.

    Never two threads at once: two parsers at once crash CPython 3.11.

    Args:
        content: A source file in UTF-8; any bytes.
        language: Whose grammar reads it.
    """
    if not DEFINITIONS[language].may_hold(content, 0, len(content)):
        return []
    text = without_class_macros(content) if language == "cpp" else content
    root = parser_of(language).parse(text).root_node
    spans = (mended_spans if root.has_error and language in MENDED else spans_below)(root, text, language)
    functions: list[CutFunction] = []
    line, counted = 1, 0
    for name, start, end in spans:
        line, counted = line + content.count(b"\n", counted, start), start
        functions.append(CutFunction(name, content[start:end], line, start, end))
    return functions
