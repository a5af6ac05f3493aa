"""C code to syntax graphs: tree-sitter trees as flat arrays, in three tiers.

1. ``full``: the tree has no error, as it is or after preprocessor directives were blanked (field notes: macros are
   what breaks most parses).
2. ``partial``: the tree has error nodes, and most tokens have a parent that is none.
3. ``tokens``: no tree worth the name; the lexical tokens hang from one root.

Which nodes: every named node, and every anonymous one that says something its parent's kind does not say alone
(operators, ``.`` and ``->``, keywords). Pure punctuation (brackets, comma, semicolon, colon, question mark, quotes) is
left out: on Devign that is 27 % of all nodes. A node id is tree-sitter-c's own symbol number; ``ERROR`` becomes
``ERROR_ID``.

Text in, arrays out; what the arrays become in a record is in ``records.py``.
"""

from __future__ import annotations

import re
from functools import cached_property
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import tree_sitter_c
from tree_sitter import Language, Parser, Tree

Tier = Literal["full", "partial", "tokens"]
Ints = npt.NDArray[np.int32]

NUM_NODE_IDS = 1000
ERROR_ID = NUM_NODE_IDS - 1
"""What ``ERROR`` nodes, 65535 in tree-sitter, are called."""
CHILD, NEXT_SIBLING, NEXT_TOKEN = 0, 1, 2
MAX_ERROR_SHARE = 0.5
"""A tree with more than this share of its leaves right below error nodes is not used."""
_RANKS: dict[Tier, int] = {"full": 0, "partial": 1, "tokens": 2}

_ERROR_SYMBOL = 65535
_QUOTES = [prefix + quote for prefix in ("", "L", "u", "U", "u8") for quote in ("'", '"')]
_PUNCTUATION = frozenset([*"()[]{},;:?\n", "::", "[[", "]]", "...", *_QUOTES])
_DIRECTIVE = re.compile(rb"^[ \t]*#[^\n\\]*(?:\\(?:\r?\n\n?)?[^\n\\]*)*", re.MULTILINE)
_NOT_NEWLINE = re.compile(rb"[^\n]")


class SyntaxGraph(NamedTuple):
    """A syntax tree as a graph; nodes in preorder.

    Args:
        nodes: ``(N,)`` int16, what each node is; below ``NUM_NODE_IDS``.
        edge_index: ``(E, 2)`` int32, source and destination; child edges first.
        edge_type: ``(E,)`` int8: 0 child, 1 next sibling, 2 next token.
        tier: How it was made.
        has_error: Whether the code as it is had a syntax error.
        num_cut: Nodes beyond the limit that were left out.
    """

    nodes: npt.NDArray[np.int16]
    edge_index: Ints
    edge_type: npt.NDArray[np.int8]
    tier: Tier
    has_error: bool
    num_cut: int


class TreeShape(NamedTuple):
    """Kept nodes of a tree in preorder.

    Args:
        kinds: Symbol numbers of tree-sitter.
        parents: Number of each node's parent among the kept; -1 for the root.
    """

    kinds: list[int]
    parents: list[int]


class ASTParser:
    """Parses C functions; one per process, it cannot be pickled.

    Args:
        max_nodes: Largest graph; what comes later in preorder is cut.
    """

    def __init__(self, max_nodes: int = 2000) -> None:
        self.max_nodes = max_nodes
        self.language = Language(tree_sitter_c.language())
        self._parser = Parser(self.language)
        self._kept, self._leaf = _node_tables(self.language)

    def parse(self, code: str) -> SyntaxGraph:
        """The syntax graph of one function; never fails, whatever the text.

        Args:
            code: Text that UTF-8 can encode.
        """
        return self._graph(*self.best_shape(code.encode()))

    def best_shape(self, content: bytes) -> tuple[TreeShape, Tier, bool]:
        """The nodes to use, their tier, and whether ``content`` as it is had an error.

        A second try with preprocessor directives blanked is made only after an error, and used only for a better tier.
        """
        tree = self._parser.parse(content)
        shape = self.shape_of(tree)
        if not tree.root_node.has_error:
            return shape, "full", False
        tier = tier_of(tree, shape)
        if b"#" in content:
            second = self._parser.parse(without_directives(content))
            second_shape = self.shape_of(second)
            second_tier = tier_of(second, second_shape)
            if _RANKS[second_tier] < _RANKS[tier]:
                shape, tier = second_shape, second_tier
        return self._token_shape(shape) if tier == "tokens" else shape, tier, True

    def shape_of(self, tree: Tree) -> TreeShape:
        """Kept nodes of a tree; walks with a cursor, so depth is no limit.

        Terminals are known by their number, which spares the attempt to enter them; whatever is left out is a
        terminal, so no kept node loses its parent.
        """
        kept, leaf = self._kept, self._leaf
        cursor = tree.walk()
        enter, step, leave = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
        kinds: list[int] = []
        parents: list[int] = []
        above: list[int] = []
        parent, number = -1, 0
        while True:
            kind = cursor.node.kind_id  # type: ignore[union-attr]  # a cursor on a tree always has a node
            if kept[kind]:
                kinds.append(kind)
                parents.append(parent)
                number += 1
                if not leaf[kind] and enter():
                    above.append(parent)
                    parent = number - 1
                    continue
            while not step():
                if not leave():
                    return TreeShape(kinds, parents)
                parent = above.pop()

    def node_name(self, node_id: int) -> str:
        """What a node id stands for, such as ``if_statement``."""
        return "ERROR" if node_id == ERROR_ID else self.language.node_kind_for_id(node_id) or "?"

    @cached_property
    def _root_kind(self) -> int:
        kind = self.language.id_for_node_kind("translation_unit", True)
        assert kind is not None
        return kind

    def _token_shape(self, shape: TreeShape) -> TreeShape:
        inner = set(shape.parents)
        kinds = [kind for number, kind in enumerate(shape.kinds) if number not in inner]
        return TreeShape([self._root_kind, *kinds], [-1] + [0] * len(kinds))

    def _graph(self, shape: TreeShape, tier: Tier, has_error: bool) -> SyntaxGraph:
        num_kept = min(len(shape.kinds), self.max_nodes)
        parents = np.array(shape.parents[:num_kept], np.int32)
        edge_index, edge_type = typed_edges(parents)
        return SyntaxGraph(
            node_ids(shape.kinds[:num_kept]), edge_index, edge_type, tier, has_error, len(shape.kinds) - num_kept
        )


def node_ids(kinds: list[int]) -> npt.NDArray[np.int16]:
    """Symbol numbers as node ids, ``(N,)``."""
    symbols = np.array(kinds, np.int32)
    symbols[symbols == _ERROR_SYMBOL] = ERROR_ID
    return symbols.astype(np.int16)


def child_edges(parents: Ints) -> Ints:
    """``(N - 1, 2)``: from each node's parent to it, in preorder."""
    return np.stack([parents[1:], np.arange(1, len(parents), dtype=np.int32)], axis=1)


def typed_edges(parents: Ints) -> tuple[Ints, npt.NDArray[np.int8]]:
    """All edges of a tree given by its nodes' parents in preorder.

    Returns:
        ``(E, 2)`` source and destination, and ``(E,)`` types: child edges, then from each node to the next child of
        its parent, then from each childless node to the next one.
    """
    children = child_edges(parents)
    by_parent = np.argsort(parents[1:], kind="stable").astype(np.int32) + 1
    same = parents[by_parent[1:]] == parents[by_parent[:-1]]
    siblings = np.stack([by_parent[:-1][same], by_parent[1:][same]], axis=1)
    childless = np.ones(len(parents), dtype=bool)
    childless[parents[1:]] = False
    leaves = np.flatnonzero(childless).astype(np.int32)
    tokens = np.stack([leaves[:-1], leaves[1:]], axis=1)
    edges = (children, siblings, tokens)
    types = np.repeat(np.array([CHILD, NEXT_SIBLING, NEXT_TOKEN], np.int8), [len(part) for part in edges])
    return np.concatenate(edges), types


def without_directives(content: bytes) -> bytes:
    """The same text with preprocessor directives as blanks; every other byte stays where it is.

    A backslash at the end of a line goes on in the next one, also across the empty line of Devign's doubled newlines.
    """
    return _DIRECTIVE.sub(lambda match: _NOT_NEWLINE.sub(b" ", match.group()), content)


def directive_spans(content: bytes) -> list[tuple[int, int]]:
    """Where preprocessor directives begin and end, continued lines included; a comment's lines may look like some."""
    return [match.span() for match in _DIRECTIVE.finditer(content)]


def describe_grammar() -> dict[str, Any]:
    """What the node ids mean, as JSON values: they hold for one version of the grammar."""
    language = Language(tree_sitter_c.language())
    kept, _ = _node_tables(language)
    names = [language.node_kind_for_id(kind) if kept[kind] else None for kind in range(language.node_kind_count)]
    return {
        "grammar": f"tree-sitter-c {version('tree-sitter-c')}",
        "runtime": f"tree-sitter {version('tree-sitter')}",
        "num_kinds": language.node_kind_count,
        "error_id": ERROR_ID,
        "kinds": names,
    }


def tier_of(tree: Tree, shape: TreeShape) -> Tier:
    """Which tier a tree belongs to."""
    if not tree.root_node.has_error:
        return "full"
    inner = set(shape.parents)
    above_leaves = [parent for number, parent in enumerate(shape.parents) if number not in inner and parent >= 0]
    num_lost = sum(shape.kinds[parent] == _ERROR_SYMBOL for parent in above_leaves)
    return "tokens" if not above_leaves or num_lost > MAX_ERROR_SHARE * len(above_leaves) else "partial"


def _node_tables(language: Language) -> tuple[bytes, bytes]:
    """Per symbol number 1 or 0: whether it is kept, and whether it never has children."""
    num_kinds = language.node_kind_count
    assert num_kinds < ERROR_ID, "the grammar has grown beyond the node vocabulary"
    kept = bytearray(b"\1" * (_ERROR_SYMBOL + 1))
    leaf = bytearray(_ERROR_SYMBOL + 1)
    # Terminals are numbered before the grammar's start symbol; other names of identifiers come last.
    start = language.id_for_node_kind("translation_unit", True)
    for kind in range(num_kinds):
        name = language.node_kind_for_id(kind) or ""
        leaf[kind] = kind < (start or 0) or name.endswith("_identifier")
        kept[kind] = language.node_kind_is_named(kind) or name not in _PUNCTUATION
    return bytes(kept), bytes(leaf)
