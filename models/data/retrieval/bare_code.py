"""Code without comments and blank lines: what it does, without what was said about it.

Tools sign what they write ("start of generated patch"), and people explain it; either tells who made a patch. Where a
comment ends is for a grammar to say: a regular expression of JavaScript may hold what begins one elsewhere.
"""

from __future__ import annotations

from functools import cache

from tree_sitter import Query, QueryCursor

from models.data.languages.grammars import grammar_of, parser_of
from models.settings.languages import LanguageName

_MACROS = "[(comment) (preproc_arg)] @comment"
_COMMENTS: dict[LanguageName, str] = {
    "c": _MACROS,
    "cpp": _MACROS,
    "java": "[(line_comment) (block_comment)] @comment",
    "javascript": "[(comment) (html_comment)] @comment",
}
_COMMENT = "(comment) @comment"


def bare_code(code: str, language: LanguageName | None) -> str:
    """The code without comments, without lines that hold nothing else, and without blanks at the ends of lines.

    Args:
        code: Parsing or not.
        language: Whose grammar says what a comment is; ``None``: nobody's, and comments stay.
    """
    kept = code if language is None else _without_comments(code.encode(), language).decode()
    return "\n".join(line.rstrip() for line in kept.split("\n") if line.strip())


def _without_comments(content: bytes, language: LanguageName) -> bytes:
    """A space for each comment: what stood on its two sides does not grow together."""
    tree = parser_of(language).parse(content)
    found = QueryCursor(_query_of(language)).captures(tree.root_node).get("comment", [])
    kept, end = b"", 0
    for first, last, kind in sorted((node.start_byte, node.end_byte, node.type) for node in found):
        # The grammar does not look into macros: their text is read again.
        instead = _without_comments(content[first:last], language) if kind == "preproc_arg" else b" "
        kept += content[end:first] + instead
        end = last
    return kept + content[end:]


@cache
def _query_of(language: LanguageName) -> Query:
    return Query(grammar_of(language), _COMMENTS.get(language, _COMMENT))
