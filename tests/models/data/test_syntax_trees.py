"""Syntax graphs against a plain recursion over tree-sitter's own children."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import tree_sitter_c
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser

from models.data.syntax_trees import (
    CHILD,
    ERROR_ID,
    NEXT_SIBLING,
    NEXT_TOKEN,
    NUM_NODE_IDS,
    ASTParser,
    SyntaxGraph,
    describe_grammar,
    typed_edges,
    without_directives,
)

PUNCTUATION = {"(", ")", "[", "]", "{", "}", ",", ";", ":", "::", "[[", "]]", "?", "...", "\n", '"', "'"} | {
    prefix + quote for prefix in ("L", "u", "U", "u8") for quote in "'\""
}
PARTS = [
    "int f(int a)", "{", "}", "(", ")", "if (a <= 1)", "return a->b[2];", "*p = &x;", "x += 'c';", '"s"', "#if X\n",
    "#endif\n", "// c\n", "/* c */", "goto l;", "l:", "é", "@", "\\", "struct s { int m; };", "for (;;)", "sizeof(x)",
]  # fmt: skip


def reference(code: str) -> tuple[list[str], list[tuple[int, int]]]:
    """Names and child edges of the nodes to keep, by recursion."""
    names: list[str] = []
    edges: list[tuple[int, int]] = []

    def visit(node: Node, parent: int) -> None:
        if not node.is_named and node.type in PUNCTUATION:
            return
        number = len(names)
        names.append(node.type)
        if parent >= 0:
            edges.append((parent, number))
        for child in node.children:
            visit(child, number)

    visit(Parser(Language(tree_sitter_c.language())).parse(code.encode()).root_node, -1)
    return names, edges


def edges_of(graph: SyntaxGraph, kind: int) -> list[tuple[int, int]]:
    return [(source, target) for source, target in graph.edge_index[graph.edge_type == kind].tolist()]


def names_of(parser: ASTParser, graph: SyntaxGraph) -> list[str]:
    return [parser.node_name(node) for node in graph.nodes.tolist()]


def test_nodes_and_child_edges_are_those_of_a_recursion(functions: list[str]) -> None:
    parser = ASTParser(100_000)
    for code in functions:
        graph = parser.parse(code)
        assert (names_of(parser, graph), edges_of(graph, CHILD)) == reference(code)
        assert (graph.tier, graph.has_error, graph.num_cut) == ("full", False, 0)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=14).map("".join))
def test_any_text_gives_a_graph_that_holds_together(code: str) -> None:
    parser = ASTParser(50)
    graph = parser.parse(code)

    num_nodes = len(graph.nodes)
    assert 1 <= num_nodes <= 50
    assert ((graph.nodes >= 0) & (graph.nodes < NUM_NODE_IDS)).all()
    assert graph.edge_index.shape == (len(graph.edge_type), 2)
    assert (np.diff(graph.edge_type) >= 0).all()  # child edges first
    assert ((graph.edge_index >= 0) & (graph.edge_index < num_nodes)).all()
    assert sorted(target for _, target in edges_of(graph, CHILD)) == list(range(1, num_nodes))
    assert all(source < target for source, target in graph.edge_index.tolist())
    if graph.tier == "partial" or (graph.tier == "full" and not graph.has_error):
        names, edges = reference(code)
        if "#" not in code:
            assert names_of(parser, graph) == names[:50]
            assert edges_of(graph, CHILD) == [edge for edge in edges if edge[1] < 50]
            assert graph.num_cut == len(names) - num_nodes


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=40))
def test_sibling_and_token_edges_are_those_of_a_plain_loop(draws: list[int]) -> None:
    parents = [-1]
    path = [0]
    for number, draw in enumerate(draws, start=1):  # preorder: a parent is on the path from the root to the last node
        path = path[: 1 + draw % len(path)]
        parents.append(path[-1])
        path.append(number)
    children: dict[int, list[int]] = {}
    for number, parent in enumerate(parents[1:], start=1):
        children.setdefault(parent, []).append(number)

    edge_index, edge_type = typed_edges(np.array(parents, np.int32))

    found = {kind: [tuple(edge) for edge in edge_index[edge_type == kind].tolist()] for kind in range(3)}
    assert found[CHILD] == [(parent, number) for number, parent in enumerate(parents[1:], start=1)]
    assert sorted(found[NEXT_SIBLING]) == sorted(edge for row in children.values() for edge in pairwise(row))
    assert found[NEXT_TOKEN] == list(pairwise(number for number in range(len(parents)) if number not in children))


def test_operators_and_keywords_are_nodes_and_brackets_are_not() -> None:
    parser = ASTParser()
    less, at_most = (parser.parse(f"int f(int a) {{ return a {sign} 1; }}") for sign in ("<", "<="))

    assert "<" in names_of(parser, less)
    assert "<=" in names_of(parser, at_most)
    assert "return" in names_of(parser, less)
    assert not PUNCTUATION & set(names_of(parser, less))


def test_code_with_errors_keeps_its_partial_tree() -> None:
    parser = ASTParser()
    graph = parser.parse("int f(int a) { if (a) { return 1; } FOREACH(x, y) a++ b; return 0; }")

    assert (graph.tier, graph.has_error) == ("partial", True)
    assert ERROR_ID in graph.nodes
    assert "if_statement" in names_of(parser, graph)


def test_text_that_is_no_code_becomes_a_row_of_tokens_below_one_root() -> None:
    parser = ASTParser()
    graph = parser.parse(") ) = = a ] b ( (")

    assert (graph.tier, graph.has_error) == ("tokens", True)
    num_tokens = len(graph.nodes) - 1
    assert num_tokens >= 2
    assert names_of(parser, graph)[0] == "translation_unit"
    assert edges_of(graph, CHILD) == [(0, number) for number in range(1, num_tokens + 1)]
    assert edges_of(graph, NEXT_TOKEN) == list(pairwise(range(1, num_tokens + 1)))


def test_directives_that_break_the_code_are_blanked() -> None:
    code = "int f(int a)\n{\n#if A\n  if (a) {\n#else\n  if (!a) {\n#endif\n    a++;\n  }\n  }\n  return a;\n}\n"
    parser = ASTParser()
    assert Parser(Language(tree_sitter_c.language())).parse(code.encode()).root_node.has_error

    graph = parser.parse(code)

    assert (graph.tier, graph.has_error) == ("full", True)
    assert not any("preproc" in name for name in names_of(parser, graph))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"#define A \\\n  1\nx;", b"           \n   \nx;"),
        (b"#define A \\\n\n  1\n\nx;", b"           \n\n   \n\nx;"),  # doubled newlines, as in Devign
        (b"a #b\n  # if 1\r\nc", b"a #b\n         \nc"),
    ],
)
def test_blanking_moves_no_byte(before: bytes, after: bytes) -> None:
    assert without_directives(before) == after
    assert len(before) == len(after)


def test_graphs_are_cut_in_preorder_and_what_was_cut_is_counted(functions: list[str]) -> None:
    whole = ASTParser(100_000).parse(functions[0])
    cut = ASTParser(20).parse(functions[0])

    assert cut.nodes.tolist() == whole.nodes[:20].tolist()
    assert cut.num_cut == len(whole.nodes) - 20
    assert edges_of(cut, CHILD) == edges_of(whole, CHILD)[:19]


def test_ten_thousand_nested_braces_are_walked_without_recursion() -> None:
    for code in ("void f() " + "{" * 10_000 + "}" * 10_000, "{" * 10_000, "(" * 10_000):
        graph = ASTParser(2000).parse(code)
        assert len(graph.nodes) <= 2000


def test_node_ids_are_described_by_the_grammar_they_come_from() -> None:
    described = describe_grammar()
    parser = ASTParser()

    graph = parser.parse("int f(void) { return 0; }")

    assert [described["kinds"][node] for node in graph.nodes.tolist()] == names_of(parser, graph)
    assert described["num_kinds"] < described["error_id"] < NUM_NODE_IDS
