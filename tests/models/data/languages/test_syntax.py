"""The queries that transforms read: what a capture gives is what whole matches give, the second route."""

from __future__ import annotations

import pytest
from tree_sitter import QueryCursor

from benchmarks.augmentation import generated_text
from models.data.languages import syntax
from models.data.languages.syntax import SYNTAX, query_of
from models.data.transforms.checked import parse
from models.settings.languages import LANGUAGES, LanguageName

CAPTURES = {
    "fixed", "comment", "statement", "member", "declared", "hoisted", "unclear", "never", "function", "scope",
    "class", "declaration", "hole", "operation", "primitive", "constant", "dynamic", "members", "parameters",
}  # fmt: skip
CHECKED_AGAIN = {"operation", "constant"}
"""Their text is read once more before they move."""


def test_every_language_has_every_table() -> None:
    tables = (syntax.UNITS, syntax.COMMUTATIVE, syntax.KEPT_NAMES, syntax.DYNAMIC_NAMES, syntax.COMMENT_FORMS)
    assert all(set(table) == set(LANGUAGES) for table in (SYNTAX, *tables))


@pytest.mark.parametrize("language", LANGUAGES)
def test_captures_are_those_of_whole_matches(language: LanguageName) -> None:
    query = query_of(language)
    assert {query.capture_name(number) for number in range(query.capture_count)} <= CAPTURES
    for number in range(25):
        root = parse(generated_text(language, number).encode(), language).root_node
        by_match: dict[str, set[tuple[int, int]]] = {}
        for _, match in QueryCursor(query).matches(root):
            for name, nodes in match.items():
                by_match.setdefault(name, set()).update((node.start_byte, node.end_byte) for node in nodes)
        captures = QueryCursor(query).captures(root)
        for name in {*captures, *by_match} - CHECKED_AGAIN:
            assert {(node.start_byte, node.end_byte) for node in captures[name]} == by_match[name]
